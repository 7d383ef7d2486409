package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	policyLife = 300 * time.Second
	accessKey  = "LTAI5tSimulator"
)

// grant is what an upload policy that was handed out allows.
type grant struct {
	model   string
	dir     string
	expires time.Time
}

type policyBody struct {
	RequestID string     `json:"request_id"`
	Data      policyData `json:"data"`
}

type policyData struct {
	Policy           string `json:"policy"`
	Signature        string `json:"signature"`
	UploadDir        string `json:"upload_dir"`
	UploadHost       string `json:"upload_host"`
	ExpireInSeconds  int    `json:"expire_in_seconds"`
	MaxFileSizeMB    int    `json:"max_file_size_mb"`
	CapacityLimitMB  int    `json:"capacity_limit_mb"`
	OSSAccessKeyID   string `json:"oss_access_key_id"`
	OSSObjectACL     string `json:"x_oss_object_acl"`
	OSSForbidRewrite string `json:"x_oss_forbid_overwrite"`
}

type policyDocument struct {
	Expiration time.Time `json:"expiration"`
	Conditions []any     `json:"conditions"`
}

const (
	objectACL     = "private"
	forbidRewrite = "true"
)

// policy answers GET /uploads?action=getPolicy&model=… (temporary upload page).
func (s *Server) policy(c *call) answer {
	values := c.r.URL.Query()
	if values.Get("action") != "getPolicy" {
		wrong := invalidQuery("action")
		return c.refuse(refusal{http.StatusBadRequest, wrong.code, wrong.message})
	}
	m, wrong := orderedModel(map[string]any{"model": values.Get("model")})
	if wrong != nil {
		return c.refuse(refusal{http.StatusBadRequest, wrong.code, wrong.message})
	}
	dir := fmt.Sprintf("dashscope-instant/%s/%s/%s", s.sign(m.name)[:16], c.now.In(utc8()).Format(time.DateOnly), c.id)
	expires := c.now.Add(policyLife)
	document, err := json.Marshal(policyDocument{expires.UTC().Truncate(time.Millisecond), []any{
		[]any{"content-length-range", 0, maxUploadSize},
		[]any{"starts-with", "$key", dir},
		map[string]string{"x-oss-object-acl": objectACL},
		map[string]string{"x-oss-forbid-overwrite": forbidRewrite},
	}})
	if err != nil {
		panic(fmt.Sprintf("simulator: a policy that is not JSON: %v", err))
	}
	policy := base64.StdEncoding.EncodeToString(document)
	s.mu.Lock()
	s.grants[policy] = grant{m.name, dir, expires}
	s.mu.Unlock()
	return c.json(http.StatusOK, policyBody{c.id, policyData{
		Policy: policy, Signature: s.sign(policy), UploadDir: dir, UploadHost: baseAddress(c.r) + "/upload",
		ExpireInSeconds: int(policyLife.Seconds()), MaxFileSizeMB: maxUploadSize >> 20, CapacityLimitMB: 999999999,
		OSSAccessKeyID: accessKey, OSSObjectACL: objectACL, OSSForbidRewrite: forbidRewrite,
	}})
}

// allows checks a form against the policy in it, as the storage does: signature, time, conditions.
func (s *Server) allows(form map[string]string, now time.Time) (grant, *refusal) {
	denied := func(why string) (grant, *refusal) {
		return grant{}, &refusal{http.StatusForbidden, "AccessDenied", "Invalid according to Policy: " + why}
	}
	if form["OSSAccessKeyId"] != accessKey {
		return grant{}, &refusal{http.StatusForbidden, "InvalidAccessKeyId",
			"The OSS Access Key Id you provided does not exist in our records."}
	}
	if !hmac.Equal([]byte(form["Signature"]), []byte(s.sign(form["policy"]))) {
		return grant{}, badSignature()
	}
	s.mu.Lock()
	g, known := s.grants[form["policy"]]
	s.mu.Unlock()
	switch {
	case !known || now.After(g.expires): // what we signed and no longer know was dropped for its age
		return denied("Policy expired.")
	case form["x-oss-object-acl"] != objectACL || form["x-oss-forbid-overwrite"] != forbidRewrite:
		return denied("Policy Condition failed.")
	case !strings.HasPrefix(form["key"], g.dir+"/"):
		return denied(`Policy Condition failed: ["starts-with", "$key", "` + g.dir + `"].`)
	}
	return g, nil
}

func badSignature() *refusal {
	return &refusal{http.StatusForbidden, "SignatureDoesNotMatch",
		"The request signature we calculated does not match the signature you provided. Check your key and signing method."}
}

// sign is a MAC that only this Server can make.
func (s *Server) sign(text string) string {
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
