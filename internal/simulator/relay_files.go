package simulator

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

const (
	relayFileMemory = 72 * time.Hour
	keptFileBytes   = 256 << 20 // of content; older files are only known
)

// relayFile is an upload whose content is served, while there is room for it.
type relayFile struct {
	id, contentType string
	uploaded        time.Time
	content         []byte
}

// incoming is a file on its way in.
type incoming struct {
	name, folder string
	content      []byte
}

// contentType goes by the content; not every film begins in the way that net/http looks for.
func (in incoming) contentType() string {
	if inspect(in.content).format != "mp4" {
		return http.DetectContentType(in.content)
	}
	if extension(in.name) == ".mov" {
		return "video/quicktime"
	}
	return "video/mp4"
}

// fileRefusal is why an upload is not taken.
type fileRefusal struct {
	status  int
	message string
}

func refusedFile(message string) *fileRefusal { return &fileRefusal{http.StatusBadRequest, message} }

type fileBody struct {
	Success bool      `json:"success"`
	Code    int       `json:"code"`
	Msg     string    `json:"msg"`
	Data    *fileData `json:"data,omitempty"`
}

type fileData struct {
	FileID       string `json:"file_id"`
	FileName     string `json:"file_name"`
	OriginalName string `json:"original_name"`
	FileSize     int    `json:"file_size"`
	MIMEType     string `json:"mime_type"`
	UploadPath   string `json:"upload_path"`
	FileURL      string `json:"file_url"`
	DownloadURL  string `json:"download_url"`
	UploadTime   string `json:"upload_time"`
	ExpiresAt    string `json:"expires_at"`
}

// filed makes a handler of one way to bring a file. Refusals have a body of their own here.
func (s *Server) filed(read func(*call) (incoming, *fileRefusal)) func(*call) answer {
	return func(c *call) answer {
		in, wrong := read(c)
		switch {
		case c.refused:
			return c.json(http.StatusOK, fileBody{Code: http.StatusBadRequest, Msg: "File upload failed"})
		case wrong == nil && int64(len(in.content)) > s.maxUpload:
			wrong = &fileRefusal{http.StatusRequestEntityTooLarge, "File too large"}
		case wrong == nil && len(in.content) == 0:
			wrong = refusedFile("The file is empty")
		}
		if wrong != nil {
			return c.json(wrong.status, fileBody{Code: wrong.status, Msg: wrong.message})
		}
		return c.json(http.StatusOK, fileBody{true, http.StatusOK, "文件上传成功", s.keepFile(c, in)})
	}
}

// keepFile remembers what matters of a file, under the address that orders name.
func (s *Server) keepFile(c *call, in incoming) *fileData {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(c.now)
	base, id := baseAddress(c.r), "file_"+strings.ToLower(rand.Text()[:12])
	d := &fileData{
		FileID: id, FileName: path.Base(path.Clean("/" + in.name)), OriginalName: in.name, FileSize: len(in.content),
		MIMEType: in.contentType(), UploadPath: in.folder,
		DownloadURL: base + "/api/v1/files/download/" + id,
		UploadTime:  c.now.In(utc8()).Format(time.RFC3339), ExpiresAt: c.now.Add(relayFileMemory).In(utc8()).Format(time.RFC3339),
	}
	if d.FileName == "/" {
		d.FileName = id
	}
	d.FileURL = base + "/files/" + id + "/" + url.PathEscape(d.FileName)
	kept := object{expires: c.now.Add(relayFileMemory), medium: inspect(in.content)}
	s.objects[d.FileURL], s.objects[d.DownloadURL] = kept, kept
	s.files = append(s.files, relayFile{id, d.MIMEType, c.now, in.content})
	size := 0
	for _, f := range s.files {
		size += len(f.content)
	}
	for size > keptFileBytes && len(s.files) > 1 {
		size -= len(s.files[0].content)
		s.files = slices.Delete(s.files, 0, 1)
	}
	return d
}

// file serves an upload to whoever knows its address.
func (s *Server) file(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.files, func(f relayFile) bool { return f.id == c.r.PathValue("id") })
	if i < 0 || c.now.Sub(s.files[i].uploaded) >= relayFileMemory {
		return notFound(c)
	}
	f := s.files[i]
	return answer{status: http.StatusOK, file: &file{f.contentType, f.uploaded, f.content}}
}

// uploadBase64 takes one image, bare or as a data URI.
func (s *Server) uploadBase64(c *call) (incoming, *fileRefusal) {
	var in struct {
		Data   string `json:"base64_data"`
		Folder string `json:"upload_path"`
		Name   string `json:"file_name"`
	}
	if wrong := s.readFileOrder(c, &in); wrong != nil {
		return incoming{}, wrong
	}
	data := in.Data
	if head, rest, found := strings.Cut(in.Data, ","); found && strings.HasPrefix(head, "data:") {
		data = rest
	}
	content, err := base64.StdEncoding.DecodeString(data)
	if err != nil || in.Data == "" {
		return incoming{}, refusedFile("base64_data is not base64")
	}
	switch http.DetectContentType(content) {
	case "image/jpeg", "image/png", "image/gif", "image/webp":
		return incoming{in.Name, in.Folder, content}, nil
	}
	return incoming{}, refusedFile("Unsupported file type: only jpeg, png, gif and webp images are taken")
}

// uploadURL downloads the file itself.
func (s *Server) uploadURL(c *call) (incoming, *fileRefusal) {
	var in struct {
		URL    string `json:"file_url"`
		Folder string `json:"upload_path"`
		Name   string `json:"file_name"`
	}
	if wrong := s.readFileOrder(c, &in); wrong != nil {
		return incoming{}, wrong
	}
	u, err := url.Parse(in.URL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return incoming{}, refusedFile("file_url must be an http or https URL")
	}
	if s.client == nil {
		return incoming{}, refusedFile("simulator: nothing is downloaded here")
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), downloadTime)
	defer cancel()
	content, err := s.readAll(ctx, in.URL)
	if err != nil {
		return incoming{}, refusedFile("The file cannot be downloaded")
	}
	if in.Name == "" {
		in.Name = path.Base(u.Path)
	}
	return incoming{in.Name, in.Folder, content}, nil
}

func (s *Server) readFileOrder(c *call, into any) *fileRefusal {
	body, err := io.ReadAll(io.LimitReader(c.r.Body, s.maxOrder+1))
	if err == nil && int64(len(body)) > s.maxOrder {
		return &fileRefusal{http.StatusRequestEntityTooLarge, "File too large"}
	}
	if err != nil || json.NewDecoder(bytes.NewReader(body)).Decode(into) != nil {
		return refusedFile("Invalid request body: a JSON object is expected")
	}
	return nil
}

// uploadStream reads a form with one file, of any type: whether its page limits them is not known.
func (s *Server) uploadStream(c *call) (incoming, *fileRefusal) {
	parts, err := c.r.MultipartReader()
	if err != nil {
		return incoming{}, refusedFile("The body is no multipart/form-data")
	}
	var in incoming
	files, renamed := 0, ""
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = s.readPart(part, &in, &files, &renamed)
		}
		if err != nil {
			return incoming{}, refusedFile("The body is no multipart/form-data")
		}
	}
	if files != 1 {
		return incoming{}, refusedFile("One file is expected, in the field file")
	}
	if renamed != "" {
		in.name = renamed
	}
	return in, nil
}

// readPart reads one byte more of a file than is allowed, to tell one that is too long.
func (s *Server) readPart(part *multipart.Part, in *incoming, files *int, renamed *string) (err error) {
	if part.FormName() == "file" {
		*files++
		in.name = part.FileName()
		in.content, err = io.ReadAll(io.LimitReader(part, s.maxUpload+1))
		return err
	}
	value, err := io.ReadAll(io.LimitReader(part, maxFormField))
	switch part.FormName() {
	case "upload_path", "uploadPath":
		in.folder = string(value)
	case "file_name", "fileName":
		*renamed = string(value)
	}
	return err
}
