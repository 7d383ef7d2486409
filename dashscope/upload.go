package dashscope

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	opPolicy = "get upload policy"
	opUpload = "upload file"
)

// UploadPolicy is the permission to upload files for one model. It is good for several files until it expires. It holds a
// signature: do not log it.
type UploadPolicy struct {
	Host            string // where the form goes
	Dir             string // the folder that file names are put in
	Policy          string
	Signature       string
	AccessKeyID     string
	ObjectACL       string
	ForbidOverwrite string
	ExpiresIn       time.Duration // from the answer on; 5 minutes as documented
	MaxFileSize     int64         // bytes; 0 when not said
	RequestID       string
}

// File is what is uploaded.
type File struct {
	Name        string    // without a folder; unique within the policy, since nothing is overwritten
	ContentType string    // optional, such as "video/mp4"
	Size        int64     // bytes, exactly as many as Content holds
	Content     io.Reader // may still be read for a moment after an error
}

// UploadPolicy asks for the permission to upload files for a model. They can be used with that model only, by the same
// account, for 48 hours. Every error is an [*Error].
//
// Source: https://help.aliyun.com/zh/model-studio/get-temporary-file-url, which shows the Beijing host only.
func (c *Client) UploadPolicy(ctx context.Context, model string) (*UploadPolicy, error) {
	if model == "" {
		return nil, c.untried(opPolicy, errors.New("no model"))
	}
	query := url.Values{"action": {"getPolicy"}, "model": {model}}
	a, failure := c.do(ctx, &c.policies, call{op: opPolicy, method: http.MethodGet, path: "/uploads", query: query})
	if failure != nil {
		return nil, failure
	}
	data := a.object.object("data")
	p := &UploadPolicy{
		Host:            data.text("upload_host"),
		Dir:             data.text("upload_dir"),
		Policy:          data.text("policy"),
		Signature:       data.text("signature"),
		AccessKeyID:     data.text("oss_access_key_id"),
		ObjectACL:       data.text("x_oss_object_acl"),
		ForbidOverwrite: data.text("x_oss_forbid_overwrite"),
		ExpiresIn:       time.Duration(max(0, min(data.integer("expire_in_seconds"), 24*60*60))) * time.Second,
		MaxFileSize:     max(0, min(data.integer("max_file_size_mb"), 1<<20)) << 20,
		RequestID:       c.quote(a.requestID(), maxCode),
	}
	if p.Host == "" || p.Dir == "" || p.Policy == "" || p.Signature == "" || p.AccessKeyID == "" {
		return nil, c.malformed(opPolicy, a, "the answer is no complete upload policy")
	}
	return p, nil
}

// Upload sends a file to the policy's host and returns its oss:// address for use in a [VideoRequest]. The API key is not
// sent along, and a redirect is an error. It is one attempt: the content is read as it is sent. Every error is an [*Error].
func (c *Client) Upload(ctx context.Context, p *UploadPolicy, f File) (string, error) {
	if err := checkUpload(p, f); err != nil {
		return "", c.untried(opUpload, err)
	}
	key := strings.TrimSuffix(p.Dir, "/") + "/" + f.Name
	ctx, cancel := c.files.limit(ctx)
	defer cancel()
	if err := c.files.wait(ctx); err != nil {
		return "", c.untried(opUpload, err)
	}
	var d delivery
	req, err := uploadRequest(d.watch(ctx), p, key, f)
	if err != nil {
		return "", c.untried(opUpload, err)
	}
	req.Header.Set("User-Agent", c.userAgent)
	r, failure := c.exchange(opUpload, &c.files, req, &d)
	if failure != nil {
		return "", failure
	}
	if !r.successful() {
		o, err := parseObject(r.body)
		failure = c.refused(opUpload, r, o, err)
		failure.Host = req.URL.Host
		return "", failure
	}
	return "oss://" + key, nil
}

func checkUpload(p *UploadPolicy, f File) error {
	if p == nil {
		return errors.New("no upload policy")
	}
	if _, err := parseBase(p.Host); err != nil {
		return fmt.Errorf("upload host: %w", err)
	}
	switch {
	case f.Name == "" || f.Name == "." || f.Name == ".." || strings.ContainsAny(f.Name, `/\`) || cleanLine(f.Name) != f.Name:
		return errors.New("the file name must be one plain name")
	case f.Content == nil || f.Size <= 0:
		return errors.New("the file is empty or its size is not given")
	case p.MaxFileSize > 0 && f.Size > p.MaxFileSize:
		return fmt.Errorf("the file has %d bytes, and at most %d are allowed", f.Size, p.MaxFileSize)
	}
	return nil
}

// uploadRequest streams the form. Its length is computed beforehand, since OSS wants a Content-Length.
func uploadRequest(ctx context.Context, p *UploadPolicy, key string, f File) (*http.Request, error) {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	err := writeFields(w, [][2]string{
		{"OSSAccessKeyId", p.AccessKeyID},
		{"Signature", p.Signature},
		{"policy", p.Policy},
		{"key", key},
		{"x-oss-object-acl", p.ObjectACL},
		{"x-oss-forbid-overwrite", p.ForbidOverwrite},
		{"success_action_status", "200"},
		{"x-oss-content-type", f.ContentType},
	})
	if err != nil {
		return nil, err
	}
	if _, err := w.CreateFormFile("file", f.Name); err != nil { // last: OSS ignores the fields after it
		return nil, err
	}
	head := bytes.Clone(form.Bytes())
	form.Reset()
	if err := w.Close(); err != nil {
		return nil, err
	}
	tail := form.Bytes()
	body := io.MultiReader(bytes.NewReader(head), f.Content, bytes.NewReader(tail))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Host, io.NopCloser(body))
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(len(head)) + f.Size + int64(len(tail))
	req.Header.Set("Content-Type", w.FormDataContentType())
	return req, nil
}

func writeFields(w *multipart.Writer, fields [][2]string) error {
	for _, field := range fields {
		if field[1] == "" {
			continue
		}
		if err := w.WriteField(field[0], field[1]); err != nil {
			return err
		}
	}
	return nil
}
