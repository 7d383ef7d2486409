package evolink

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"time"
)

const (
	opUpload = "upload file"

	uploadPath = "/api/v1/files/upload/"
)

// FileLifetime is how long an uploaded file can be used. Source:
// https://docs.evolink.ai/en/api-manual/file-series/upload-base64.
const FileLifetime = 72 * time.Hour

// File is what is uploaded.
type File struct {
	Name        string    // without a folder
	ContentType string    // optional, such as "video/mp4"
	Size        int64     // bytes, exactly as many as Content holds; the service takes at most 100 MB
	Content     io.Reader // not read any more when the upload has returned, which waits for a Read under way
}

// UploadedFile is a file that the service keeps.
type UploadedFile struct {
	ID          string
	URL         string    // for use in a [VideoRequest]
	Expires     time.Time // UTC; zero where the answer does not say, see [FileLifetime]
	Size        int64     // bytes, as the service counted them; 0 when not said
	ContentType string    // as the service sees it
	RequestID   string
}

// UploadStream uploads a file as it is read, and is the call for large ones. It is one attempt. Content that has more or
// fewer bytes than Size is an error, and the form is then cut off before its end. Every error is an [*Error].
//
// Source: https://docs.evolink.ai/en/api-manual/file-series/upload-stream.
func (c *Client) UploadStream(ctx context.Context, f File) (*UploadedFile, error) {
	if err := checkFile(f); err != nil {
		return nil, c.untried(opUpload, c.store, err)
	}
	b, err := formBody(f)
	if err != nil {
		return nil, c.untried(opUpload, c.store, err)
	}
	return c.upload(ctx, "stream", b, f)
}

// UploadBase64 uploads a file within a JSON text, which is a third longer than the file. The page names JPEG, PNG, GIF and
// WebP for it. It is one attempt, and streams like UploadStream. Every error is an [*Error].
//
// Source: https://docs.evolink.ai/en/api-manual/file-series/upload-base64.
func (c *Client) UploadBase64(ctx context.Context, f File) (*UploadedFile, error) {
	if err := checkFile(f); err != nil {
		return nil, c.untried(opUpload, c.store, err)
	}
	b, err := jsonBody(f)
	if err != nil {
		return nil, c.untried(opUpload, c.store, err)
	}
	return c.upload(ctx, "base64", b, f)
}

// UploadURL lets the service fetch a file from a public http(s) address. The name may be empty. It is sent again only when
// it did not leave or was throttled. Every error is an [*Error].
//
// Source: https://docs.evolink.ai/en/api-manual/file-series/upload-url.
func (c *Client) UploadURL(ctx context.Context, address, name string) (*UploadedFile, error) {
	if c.link(address) == "" {
		return nil, c.untried(opUpload, c.store, errors.New("the address of the file must be a plain http(s) address"))
	}
	if err := checkName(name); name != "" && err != nil {
		return nil, c.untried(opUpload, c.store, err)
	}
	body, err := encode(struct {
		URL  string `json:"file_url"`
		Name string `json:"file_name,omitempty"`
	}{address, name})
	if err != nil {
		return nil, c.untried(opUpload, c.store, err)
	}
	a, failure := c.do(ctx, &c.fetches, call{
		op:     opUpload,
		method: http.MethodPost,
		path:   uploadPath + "url",
		header: map[string]string{"Content-Type": "application/json"},
		body:   body,
	})
	if failure != nil {
		return nil, failure
	}
	return c.stored(a)
}

// upload sends the body once. Its content is lent to the transport for as long as this takes.
func (c *Client) upload(ctx context.Context, way string, b uploadBody, f File) (*UploadedFile, error) {
	content := &loan{r: f.Content, left: f.Size}
	defer content.end()
	ctx, cancel := c.files.limit(ctx)
	defer cancel()
	var d delivery
	req, err := c.request(d.watch(ctx), c.store, call{
		method: http.MethodPost,
		path:   uploadPath + way,
		header: map[string]string{"Content-Type": b.contentType},
	})
	if err != nil {
		return nil, c.untried(opUpload, c.store, err)
	}
	// GetBody stays unset: a stream cannot be sent a second time.
	req.Body = io.NopCloser(io.MultiReader(bytes.NewReader(b.head), b.through(content), bytes.NewReader(b.tail)))
	req.ContentLength = int64(len(b.head)) + b.size + int64(len(b.tail))
	r, failure := c.exchange(opUpload, &c.files, req, &d)
	if failure != nil {
		return nil, failure
	}
	a, failure := c.accept(opUpload, c.store, r)
	if failure != nil {
		return nil, failure
	}
	return c.stored(a)
}

// stored reads the envelope of files, which may say no under a status of success.
func (c *Client) stored(a *answer) (*UploadedFile, error) {
	if a.object.isFalse("success") {
		return nil, c.declined(opUpload, a)
	}
	data := a.object.object("data")
	f := &UploadedFile{
		ID:          c.id(data.text("file_id")),
		URL:         c.link(data.text("file_url")),
		Expires:     data.when("expires_at"),
		Size:        max(0, data.whole("file_size")),
		ContentType: c.quote(data.text("mime_type"), maxCode),
		RequestID:   c.quote(a.requestID(), maxCode),
	}
	if f.URL == "" {
		return nil, c.malformed(opUpload, a, "the answer has no address of the file")
	}
	return f, nil
}

// uploadBody is a body around a file's content: what comes before and after it, and how it is written between.
type uploadBody struct {
	contentType string
	head, tail  []byte
	size        int64 // of the content as written
	through     func(io.Reader) io.Reader
}

func formBody(f File) (uploadBody, error) {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	if err := w.WriteField("file_name", f.Name); err != nil {
		return uploadBody{}, err
	}
	header := textproto.MIMEHeader{
		"Content-Disposition": {multipart.FileContentDisposition("file", f.Name)},
		"Content-Type":        {f.ContentType},
	}
	if f.ContentType == "" {
		header.Set("Content-Type", "application/octet-stream")
	}
	if _, err := w.CreatePart(header); err != nil {
		return uploadBody{}, err
	}
	head := bytes.Clone(form.Bytes())
	form.Reset()
	if err := w.Close(); err != nil {
		return uploadBody{}, err
	}
	asItIs := func(r io.Reader) io.Reader { return r }
	return uploadBody{w.FormDataContentType(), head, form.Bytes(), f.Size, asItIs}, nil
}

func jsonBody(f File) (uploadBody, error) {
	name, err := encode(f.Name)
	if err != nil {
		return uploadBody{}, err
	}
	head := `{"file_name":` + string(name) + `,"base64_data":"`
	if f.ContentType != "" {
		head += "data:" + f.ContentType + ";base64,"
	}
	size := (f.Size + 2) / 3 * 4
	return uploadBody{"application/json", []byte(head), []byte(`"}`), size, func(r io.Reader) io.Reader { return &base64Reader{r: r} }}, nil
}

// base64Reader reads base64 of what it reads.
type base64Reader struct {
	r       io.Reader
	pending []byte
	err     error
}

func (b *base64Reader) Read(p []byte) (int, error) {
	if len(b.pending) == 0 && b.err == nil {
		chunk := make([]byte, 24<<10) // a multiple of three bytes, so that only the last is padded
		n, err := io.ReadFull(b.r, chunk)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		if b.err = err; err == nil || errors.Is(err, io.EOF) {
			b.pending = base64.StdEncoding.AppendEncode(nil, chunk[:n])
		}
	}
	n := copy(p, b.pending)
	b.pending = b.pending[n:]
	if n > 0 {
		return n, nil
	}
	return 0, b.err
}

func checkFile(f File) error {
	kind, sub, _ := strings.Cut(f.ContentType, "/")
	switch {
	case checkName(f.Name) != nil:
		return checkName(f.Name)
	case f.Content == nil || f.Size <= 0:
		return errors.New("the file is empty or its size is not given")
	case f.ContentType != "" && (kind == "" || sub == "" || !isToken(f.ContentType) || strings.ContainsAny(f.ContentType, `"\,;`)):
		return errors.New("the content type must be plain, such as video/mp4")
	}
	return nil
}

func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`) || cleanLine(name) != name {
		return errors.New("the file name must be one plain name")
	}
	return nil
}
