package page

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"r2v-mcp/internal/auth"
	"r2v-mcp/internal/video"
)

// These say why there is no clip.
const (
	noClip      = "There is no such clip."
	notSaved    = "The clip of this task is not saved here."
	clipGone    = "This clip was saved, and its file is gone."
	clipNotRead = "This clip is saved, and cannot be read now."
)

// clip answers with the saved clip of the person's task. Somebody else's is answered as one that does not exist.
func (p *page) clip(w http.ResponseWriter, r *http.Request) {
	id, isClip := strings.CutSuffix(r.PathValue("file"), ".mp4")
	if !isClip || !isID(id) {
		p.noClip(w, r, http.StatusNotFound, notice{Text: noClip})
		return
	}
	if p.fromElsewhere(r) {
		p.passOn(w, r, id)
		return
	}
	person, err := p.fetcher(r)
	if err != nil {
		p.refuseClip(w, r, err)
		return
	}
	task, err := p.Task(r.Context(), person.Name, id)
	switch {
	case isOutage(err):
		p.noClip(w, r, http.StatusServiceUnavailable, notice{Text: "The tasks cannot be read now.", Advice: "Try again in a minute."})
	case err != nil, task.Owner != person.Name:
		p.noClip(w, r, http.StatusNotFound, notice{Text: noClip})
	default:
		p.sendClip(w, r, &task)
	}
}

// asPage reports that a person looks at the answer in a browser. Programs, players and agents get a line of text.
func asPage(r *http.Request) bool {
	return r.Header.Get("Authorization") == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// fromElsewhere reports that somebody follows a link of another site. A browser leaves a strict cookie out of such a request, so
// nobody can tell who asks.
// Source: "Strict" in RFC 6265bis, 5.6.7.1; Sec-Fetch-Site, https://www.w3.org/TR/fetch-metadata/
func (p *page) fromElsewhere(r *http.Request) bool {
	return p.SignIn != nil && asPage(r) && r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

// passOn has the browser ask again, from a page of ours, so that the cookie comes along. It looks nothing up: the answer is the same for
// every clip, and whoever opened the window cannot watch what comes next.
func (p *page) passOn(w http.ResponseWriter, r *http.Request, id string) {
	w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
	p.say(w, r, http.StatusOK, notice{Heading: "A clip", Clip: clipPath(id)})
}

func clipPath(id string) string { return "/clips/" + id + ".mp4" }

func (p *page) sendClip(w http.ResponseWriter, r *http.Request, task *video.Task) {
	if task.SavedTo == "" || p.Clip == nil {
		p.noClip(w, r, http.StatusNotFound, p.orFromService(task, notice{Text: notSaved}))
		return
	}
	content, saved, err := p.Clip(r.Context(), task)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.noClip(w, r, http.StatusGone, p.orFromService(task, notice{Text: clipGone}))
		return
	case err != nil:
		p.noClip(w, r, http.StatusServiceUnavailable, p.orFromService(task, notice{Text: clipNotRead, Advice: "Try again in a minute; if it stays like this, tell the operator."}))
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

// orFromService adds the service's link to a notice, while it lives.
func (p *page) orFromService(task *video.Task, n notice) notice {
	if link, until := serviceLinkOf(task, p.now()); link != "" {
		n.Link, n.LinkUntil = link, until
	}
	return n
}

func (p *page) refuseClip(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, errNobody) && asPage(r):
		w.Header().Set("WWW-Authenticate", "Bearer")
		p.say(w, r, http.StatusUnauthorized, notice{Form: true})
	case asPage(r):
		p.refuse(w, r, err)
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

// noClip says why there is no clip: as a page to a person, in a line to a program.
func (p *page) noClip(w http.ResponseWriter, r *http.Request, status int, n notice) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	if asPage(r) {
		n.Heading = "No clip to play"
		p.say(w, r, status, n)
		return
	}
	http.Error(w, strings.TrimSpace(n.Text+" "+n.Advice), status)
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
