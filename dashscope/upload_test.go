package dashscope_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
)

func TestUploadPolicyReadsTheRecordedAnswer(t *testing.T) {
	c, u := serve(t, answer(reply{status: 200, body: text(t, "upload-policy.json")}))
	p, err := c.UploadPolicy(t.Context(), "wan2.7-r2v")
	require.NoError(t, err)
	require.Equal(t, &dashscope.UploadPolicy{
		Host: "https://dashscope-file-xxx.oss-cn-beijing.aliyuncs.com", Dir: "dashscope-instant/xxx/2024-07-18/xxx",
		Policy: "eyJl...1ZSJ=", Signature: "eWy...=", AccessKeyID: "LTA...", ObjectACL: "private", ForbidOverwrite: "true",
		ExpiresIn: 5 * time.Minute, MaxFileSize: 100 << 20, RequestID: "52f4383a-c67d-9f8c-xxxxxx",
	}, p)
	requireHeads(t, u, c, `GET /gateway/api/v1/uploads?action=getPolicy&model=wan2.7-r2v HTTP/1.1
Host: HOST
Accept: application/json
Accept-Encoding: gzip
Authorization: Bearer sk-canary-0123456789abcdef
User-Agent: r2v-mcp

`)
}

func TestAnIncompleteUploadPolicyIsAnError(t *testing.T) {
	for _, body := range []string{`{}`, `{"data":{"upload_host":"https://example.com"}}`, `{"data":[]}`} {
		c, _ := serve(t, answer(reply{status: 200, body: body}))
		_, err := c.UploadPolicy(t.Context(), "wan2.7-r2v")
		require.Equal(t, 200, failure(t, err).StatusCode)
	}
	c, u := serve(t, answer(reply{status: 200}))
	_, err := c.UploadPolicy(t.Context(), "")
	require.Equal(t, dashscope.FateNotSent, failure(t, err).Fate())
	require.Empty(t, u.requests())
}

// storage starts the host that files go to and returns a policy for it.
func storage(t *testing.T, handler http.HandlerFunc) (*dashscope.UploadPolicy, *upstream) {
	u := &upstream{handler: handler}
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	return &dashscope.UploadPolicy{
		Host: server.URL, Dir: "dashscope-instant/d", Policy: "the-policy", Signature: "the-signature",
		AccessKeyID: "the-id", ObjectACL: "private", ForbidOverwrite: "true", MaxFileSize: 1000,
	}, u
}

func TestUploadSendsTheFormWithTheFileLastAndWithoutTheKey(t *testing.T) {
	c, api := serve(t, answer(reply{status: 500}))
	p, u := storage(t, answer(reply{status: 200, body: text(t, "upload-accepted.txt")}))
	address, err := c.Upload(t.Context(), p, dashscope.File{
		Name: "猫 1.png", ContentType: "image/png", Size: 5, Content: strings.NewReader("bytes"),
	})
	require.NoError(t, err)
	require.Equal(t, "oss://dashscope-instant/d/猫 1.png", address)
	require.Empty(t, api.requests())

	head, body := u.requests()[0], u.bodies()[0]
	boundary := strings.TrimPrefix(strings.SplitN(body, "\r\n", 2)[0], "--")
	require.Equal(t, fmt.Sprintf(`POST / HTTP/1.1
Host: %s
Accept-Encoding: gzip
Content-Length: %d
Content-Type: multipart/form-data; boundary=%s
User-Agent: r2v-mcp

`, strings.TrimPrefix(p.Host, "http://"), len(body), boundary), head)
	require.Equal(t, strings.ReplaceAll(`--B
Content-Disposition: form-data; name="OSSAccessKeyId"

the-id
--B
Content-Disposition: form-data; name="Signature"

the-signature
--B
Content-Disposition: form-data; name="policy"

the-policy
--B
Content-Disposition: form-data; name="key"

dashscope-instant/d/猫 1.png
--B
Content-Disposition: form-data; name="x-oss-object-acl"

private
--B
Content-Disposition: form-data; name="x-oss-forbid-overwrite"

true
--B
Content-Disposition: form-data; name="success_action_status"

200
--B
Content-Disposition: form-data; name="x-oss-content-type"

image/png
--B
Content-Disposition: form-data; name="file"; filename="猫 1.png"
Content-Type: application/octet-stream

bytes
--B--
`, "\n", "\r\n"), strings.ReplaceAll(body, boundary, "B"))
}

func TestUploadErrorsKeepWhatTheStorageSays(t *testing.T) {
	c, _ := serve(t, answer(reply{status: 500}))
	p, u := storage(t, answer(reply{status: 403, body: text(t, "upload-refused-403-policy-expired.xml")}))
	_, err := c.Upload(t.Context(), p, file("bytes"))
	e := failure(t, err)
	require.Equal(t, 403, e.StatusCode)
	require.Equal(t, "AccessDenied", e.Code)
	require.Equal(t, "Invalid according to Policy: Policy expired.", e.Message)
	require.Equal(t, strings.TrimPrefix(p.Host, "http://"), e.Host)
	require.Len(t, u.requests(), 1)
}

func TestUploadFollowsNoRedirectAndIsNotRepeated(t *testing.T) {
	c, api := serve(t, answer(reply{status: 200}))
	for _, status := range []int{301, 307, 500, 503} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			p, u := storage(t, answer(reply{status: status, header: map[string]string{"Location": address(c)}}))
			_, err := c.Upload(t.Context(), p, file("bytes"))
			require.Equal(t, status, failure(t, err).StatusCode)
			require.Len(t, u.requests(), 1)
		})
	}
	require.Empty(t, api.requests())
}

func file(content string) dashscope.File {
	return dashscope.File{Name: "a.png", Size: int64(len(content)), Content: strings.NewReader(content)}
}

func TestUploadRefusesWhatCannotWorkBeforeARequest(t *testing.T) {
	c, _ := serve(t, answer(reply{status: 200}))
	tests := map[string]struct {
		spoil func(*dashscope.UploadPolicy, *dashscope.File)
		says  string
	}{
		"plain http host":     {func(p *dashscope.UploadPolicy, _ *dashscope.File) { p.Host = "http://example.com" }, "must be https"},
		"another scheme":      {func(p *dashscope.UploadPolicy, _ *dashscope.File) { p.Host = "file:///etc" }, "upload host"},
		"host with a query":   {func(p *dashscope.UploadPolicy, _ *dashscope.File) { p.Host += "/?a=b" }, "query"},
		"path as a name":      {func(_ *dashscope.UploadPolicy, f *dashscope.File) { f.Name = "../a.png" }, "file name"},
		"no name":             {func(_ *dashscope.UploadPolicy, f *dashscope.File) { f.Name = "" }, "file name"},
		"line break in name":  {func(_ *dashscope.UploadPolicy, f *dashscope.File) { f.Name = "a\r\nb" }, "file name"},
		"no size":             {func(_ *dashscope.UploadPolicy, f *dashscope.File) { f.Size = 0 }, "size"},
		"larger than allowed": {func(_ *dashscope.UploadPolicy, f *dashscope.File) { f.Size = 1001 }, "1001 bytes, and at most 1000"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p, u := storage(t, answer(reply{status: 200}))
			f := file("bytes")
			test.spoil(p, &f)
			_, err := c.Upload(t.Context(), p, f)
			require.Equal(t, dashscope.FateNotSent, failure(t, err).Fate())
			require.ErrorContains(t, err, test.says)
			require.Empty(t, u.requests())
		})
	}
	_, err := c.Upload(context.Background(), nil, file("bytes"))
	require.Equal(t, dashscope.FateNotSent, failure(t, err).Fate())
}

// A size that is wrong would store a part of a file, or a form that ends in the middle.
func TestUploadOfAnotherSizeThanGivenIsAnError(t *testing.T) {
	for _, size := range []int64{4, 6} {
		c, _ := serve(t, answer(reply{status: 200}))
		p, _ := storage(t, answer(reply{status: 400}))
		f := file("bytes")
		f.Size = size
		_, err := c.Upload(t.Context(), p, f)
		failure(t, err)
	}
}
