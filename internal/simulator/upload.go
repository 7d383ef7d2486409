package simulator

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"time"
)

const (
	ossScheme     = "oss://"
	objectMemory  = 48 * time.Hour
	maxUploadSize = 100 << 20
	maxFormField  = 64 << 10
)

// object is an uploaded file, of which only what matters later is kept.
type object struct {
	model   string // the one its policy was asked for
	expires time.Time
	medium  medium
}

func badForm() *refusal {
	return &refusal{http.StatusBadRequest, "MalformedPOSTRequest",
		"The body of your POST request is not well-formed multipart/form-data."}
}

// upload answers the form POST to the storage host (temporary upload page): 200 without a body.
func (s *Server) upload(c *call) answer {
	form, content, refused := readForm(c.r, s.maxUpload)
	if refused == nil {
		refused = s.store(c, form, content)
	}
	if refused != nil {
		return c.refuse(*refused)
	}
	return answer{status: http.StatusOK, contentType: "application/octet-stream"}
}

func (s *Server) store(c *call, form map[string]string, content []byte) *refusal {
	granted, refused := s.allows(form, c.now)
	if refused != nil {
		return refused
	}
	if int64(len(content)) > s.maxUpload {
		return &refusal{http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size."}
	}
	found := inspect(content)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(c.now)
	key := form["key"]
	if _, taken := s.objects[key]; taken {
		return &refusal{http.StatusConflict, "FileAlreadyExists", "The object you specified already exists and can not be overwritten."}
	}
	s.objects[key] = object{granted.model, c.now.Add(objectMemory), found}
	return nil
}

// readForm reads the fields up to the file, which must be the last of them.
func readForm(r *http.Request, limit int64) (map[string]string, []byte, *refusal) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, nil, badForm()
	}
	form := make(map[string]string)
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, nil, &refusal{http.StatusBadRequest, "IncorrectNumberOfFilesInPOSTRequest",
				"POST requires exactly one file upload per request."}
		}
		if err != nil {
			return nil, nil, badForm()
		}
		if part.FormName() == "file" {
			content, err := readFile(parts, part, limit)
			if err != nil {
				return nil, nil, badForm()
			}
			return form, content, nil
		}
		value, err := io.ReadAll(io.LimitReader(part, maxFormField))
		if err != nil {
			return nil, nil, badForm()
		}
		form[part.FormName()] = string(value)
	}
}

var errNotLast = errors.New("file is not the last field")

// readFile reads one byte more than is allowed, to tell a file that is too long.
func readFile(parts *multipart.Reader, part *multipart.Part, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(part, limit+1))
	if err != nil || int64(len(content)) > limit {
		return content, err
	}
	switch _, err := parts.NextPart(); {
	case err == nil:
		return nil, errNotLast
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return content, nil
}

// resolveUploads refuses an order with an oss:// address when the header that resolves them is missing, or when the
// file is gone, never was, or belongs to another model.
func (s *Server) resolveUploads(c *call, m model) *problem {
	resolved := strings.EqualFold(c.r.Header.Get("X-DashScope-OssResourceResolve"), "enable")
	for _, address := range addresses(c.order) {
		key, isUpload := strings.CutPrefix(address, ossScheme)
		if !isUpload {
			continue
		}
		o, known := s.objects[key]
		if !resolved || !known || o.model != m.name || c.now.After(o.expires) {
			return &problem{code: "invalid_parameter_error", message: "InternalError.Algo.InvalidParameter: " +
				"The provided URL does not appear to be valid. Ensure it is correctly formatted."}
		}
	}
	return nil
}

// addresses finds every address of an order, whatever else may be wrong with it.
func addresses(fields map[string]any) []string {
	input, _ := fields["input"].(map[string]any)
	var found []string
	add := func(v any) {
		if text, ok := v.(string); ok {
			found = append(found, text)
		}
	}
	for _, name := range []string{"reference_urls", "reference_video_urls"} {
		list, _ := input[name].([]any)
		for _, item := range list {
			add(item)
		}
	}
	media, _ := input["media"].([]any)
	for _, item := range media {
		element, _ := item.(map[string]any)
		add(element["url"])
		add(element["reference_voice"])
	}
	return found
}
