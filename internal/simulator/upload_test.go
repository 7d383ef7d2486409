package simulator_test

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

func (c *client) policy(model string) object {
	c.t.Helper()
	answer := c.read("/api/v1/uploads?action=getPolicy&model=" + model)
	require.Equal(c.t, 200, answer.status, "%s", answer.body)
	return answer.at("data").(object)
}

// upload sends the form as the official SDK does; fields overwrite or, when empty, take away.
func (c *client) upload(policy object, name string, content []byte, fields map[string]string) reply {
	c.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, field := range [][2]string{
		{"OSSAccessKeyId", policy["oss_access_key_id"].(string)},
		{"Signature", policy["signature"].(string)},
		{"policy", policy["policy"].(string)},
		{"key", policy["upload_dir"].(string) + "/" + name},
		{"x-oss-object-acl", policy["x_oss_object_acl"].(string)},
		{"x-oss-forbid-overwrite", policy["x_oss_forbid_overwrite"].(string)},
		{"success_action_status", "200"},
		{"x-oss-content-type", "application/octet-stream"},
	} {
		value, changed := fields[field[0]]
		if !changed {
			value = field[1]
		}
		if value != "" {
			require.NoError(c.t, form.WriteField(field[0], value))
		}
	}
	if content != nil {
		file, err := form.CreateFormFile("file", name)
		require.NoError(c.t, err)
		_, err = file.Write(content)
		require.NoError(c.t, err)
	}
	if after, ok := fields["after"]; ok {
		require.NoError(c.t, form.WriteField(after, "late"))
	}
	require.NoError(c.t, form.Close())
	return c.send(http.MethodPost, policy["upload_host"].(string), body.Bytes(),
		headers{"Content-Type": form.FormDataContentType(), "Authorization": ""})
}

// uploaded is the address of a new upload for wan2.7-r2v.
func (c *client) uploaded(name string, content []byte) string {
	c.t.Helper()
	p := c.policy("wan2.7-r2v")
	require.Equal(c.t, 200, c.upload(p, name, content, nil).status)
	return "oss://" + p["upload_dir"].(string) + "/" + name
}

func resolve() headers { return headers{"X-DashScope-OssResourceResolve": "enable"} }

func TestAnUploadIsAnsweredWith200AndNoBody(t *testing.T) {
	c := sockets(t, simulator.Options{})
	p := c.policy("wan2.7-r2v")
	require.Equal(t, c.base+"/upload", p["upload_host"])
	require.EqualValues(t, 300, p["expire_in_seconds"])
	answer := c.upload(p, "a b 舞.png", []byte("picture"), nil)
	require.Equal(t, 200, answer.status)
	require.Empty(t, answer.body)
}

func TestPoliciesNeedAnActionAndAModel(t *testing.T) {
	c := memory(t, simulator.Options{})
	require.Equal(t, 400, c.read("/api/v1/uploads?model=wan2.7-r2v").status)
	require.Equal(t, 400, c.read("/api/v1/uploads?action=getPolicy").status)
	c.read("/api/v1/uploads?action=getPolicy&model=nope").refused(400, "InvalidParameter", "Model not exist.")
}

func TestWrongUploadsAreRefused(t *testing.T) {
	c := memory(t, simulator.Options{})
	p := c.policy("wan2.7-r2v")
	require.Equal(t, 200, c.upload(p, "taken.png", []byte("x"), nil).status)
	for name, at := range map[string]struct {
		file   string
		fields map[string]string
		body   []byte
		status int
		code   string
	}{
		"file is not last":    {"a.png", map[string]string{"after": "key"}, []byte("x"), 400, "MalformedPOSTRequest"},
		"no file":             {"a.png", nil, nil, 400, "IncorrectNumberOfFilesInPOSTRequest"},
		"key elsewhere":       {"a.png", map[string]string{"key": "other/a.png"}, []byte("x"), 403, "AccessDenied"},
		"no key":              {"a.png", map[string]string{"key": ""}, []byte("x"), 403, "AccessDenied"},
		"changed policy":      {"a.png", map[string]string{"policy": "eyJ9"}, []byte("x"), 403, "SignatureDoesNotMatch"},
		"no signature":        {"a.png", map[string]string{"Signature": ""}, []byte("x"), 403, "SignatureDoesNotMatch"},
		"foreign access key":  {"a.png", map[string]string{"OSSAccessKeyId": "LTA"}, []byte("x"), 403, "InvalidAccessKeyId"},
		"public":              {"a.png", map[string]string{"x-oss-object-acl": "public-read"}, []byte("x"), 403, "AccessDenied"},
		"overwriting allowed": {"a.png", map[string]string{"x-oss-forbid-overwrite": ""}, []byte("x"), 403, "AccessDenied"},
		"name is taken":       {"taken.png", nil, []byte("x"), 409, "FileAlreadyExists"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := c.upload(p, at.file, at.body, at.fields)
			require.Equal(t, at.status, answer.status, "%s", answer.body)
			require.Contains(t, string(answer.body), "<Code>"+at.code+"</Code>")
		})
	}
	answer := c.send(http.MethodPost, "/upload", []byte("no form"), nil)
	require.Equal(t, 400, answer.status)
}

func TestUploadsAreResolvedByHeaderForTheirModelFor48Hours(t *testing.T) {
	const message = "InternalError.Algo.InvalidParameter: The provided URL does not appear to be valid. Ensure it is correctly formatted."
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{Unthrottled: true})
		address := c.uploaded("a 100% b.mp4", []byte("no film"))
		order := func(address string) object {
			return wan27(set("input.media", array{object{"type": "reference_video", "url": address}}))
		}
		require.Equal(t, 200, c.create(order(address), resolve()).status)
		c.create(order(address)).refused(400, "invalid_parameter_error", message)
		c.create(order(address+"x"), resolve()).refused(400, "invalid_parameter_error", message)
		other := changed(order(address), []change{set("model", "wan2.7-r2v-2026-06-12")})
		c.create(other, resolve()).refused(400, "invalid_parameter_error", message)
		voice := wan27(set("input.media", array{object{"type": "reference_image", "url": "https://a.test/a.png", "reference_voice": address}}))
		c.create(voice).refused(400, "invalid_parameter_error", message)

		time.Sleep(48 * time.Hour)
		require.Equal(t, 200, c.create(order(address), resolve()).status)
		time.Sleep(time.Second)
		c.create(order(address), resolve()).refused(400, "invalid_parameter_error", message)
	})
}
