package page

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"r2v-mcp/internal/auth"
	"r2v-mcp/internal/video"
)

const noClip = "There is no such clip."

// clip answers with the saved clip of the person's task. Somebody else's is answered as one that does not exist.
func (p *page) clip(w http.ResponseWriter, r *http.Request) {
	id, isClip := strings.CutSuffix(r.PathValue("file"), ".mp4")
	if !isClip || !isID(id) {
		http.Error(w, noClip, http.StatusNotFound)
		return
	}
	person, err := p.person(r)
	if err != nil {
		refuseClip(w, err)
		return
	}
	task, err := p.Task(r.Context(), person.Name, id)
	switch {
	case isOutage(err):
		w.Header().Set("Retry-After", "5")
		http.Error(w, "The tasks cannot be read now: try again in a minute.", http.StatusServiceUnavailable)
	case err != nil, task.Owner != person.Name:
		http.Error(w, noClip, http.StatusNotFound)
	default:
		p.sendClip(w, r, &task)
	}
}

func (p *page) sendClip(w http.ResponseWriter, r *http.Request, task *video.Task) {
	const notSaved = "The clip of this task is not saved here."
	if task.SavedTo == "" || p.Clip == nil {
		http.Error(w, notSaved, http.StatusNotFound)
		return
	}
	content, saved, err := p.Clip(r.Context(), task)
	if err != nil {
		http.Error(w, notSaved, http.StatusNotFound)
		return
	}
	defer func() { _ = content.Close() }() // it is only read
	h := w.Header()
	h.Set("Content-Type", "video/mp4")
	h.Set("Content-Disposition", fmt.Sprintf("inline; filename=%q", task.ID+".mp4"))
	h.Set("Cache-Control", "private, no-cache") // the person's browser keeps it, and asks each time whether it still may
	h.Set("Vary", "Cookie, Authorization")
	h.Set("ETag", fmt.Sprintf(`"%s-%x"`, task.ID, saved.UnixNano()))
	if strings.Contains(r.Header.Get("Range"), ",") { // each of many ranges may be a request to a storage that bills it; players ask for one
		r = r.Clone(r.Context())
		r.Header.Del("Range")
	}
	http.ServeContent(w, r, "", saved, content)
}

func refuseClip(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errNobody), errors.Is(err, auth.ErrUnknown):
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "Sign in at / first.", http.StatusUnauthorized)
	case errors.Is(err, errReader):
		http.Error(w, "This token reads metrics and has no clips.", http.StatusForbidden)
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "Tokens cannot be checked now: try again in a minute.", http.StatusServiceUnavailable)
	}
}

// isOutage reports that a task could not be looked up; every other error says that there is none.
func isOutage(err error) bool {
	e, ok := errors.AsType[*video.Error](err)
	return ok && e.Code != "TaskNotFound"
}

// isID reports whether a text may be a task's id.
func isID(text string) bool {
	const longest = 128
	return text != "" && len(text) <= longest && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
