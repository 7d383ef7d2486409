package provider

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/video"
)

const (
	// uploadUsable is how long an uploaded file is counted on: the documented 48 hours less one, since it is not documented
	// whether they begin before the file has arrived or after.
	uploadUsable = 47 * time.Hour
	// policyReserve is how much of a policy's life a file must find left when it is sent.
	policyReserve = time.Minute
	// longestStem is how much of a file's own name an object's name holds.
	longestStem = 40
)

const (
	adviceUploadLost = "Nothing was charged. The upload broke off, and costs nothing to repeat: call again. If it breaks off again, " +
		"put the file at a public https address and give that as the url."
	adviceElsewhere = "Nothing was charged. Put the file at a public https address and give that as the url."
)

// policies are the permissions to upload that may be used again, by model.
type policies struct {
	// asking is full while somebody asks: the others wait for the same answer, or give up. It is one for all models, since few are
	// used at a time and an answer takes a moment.
	asking chan struct{}
	known  map[string]policy
}

type policy struct {
	*dashscope.UploadPolicy
	until time.Time // when it is too old to send a file with
}

func (p *policies) hold(ctx context.Context) error {
	select {
	case p.asking <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *policies) release() { <-p.asking }

// Upload sends a file to the model's temporary storage: see [Provider].
// Source: https://help.aliyun.com/zh/model-studio/get-temporary-file-url.
func (d *DashScope) Upload(ctx context.Context, model string, f File) (Uploaded, error) {
	m := d.catalogue.Model(model)
	if m == nil {
		return Uploaded{}, unsent("ModelUnknown", "the catalogue has no model "+model, "Use one of the models that the tools list.")
	}
	if f.Size <= 0 || f.Content == nil {
		return Uploaded{}, unsent("EmptyFile", "the file is empty", "Give a file that has something in it.")
	}
	p, err := d.policy(ctx, m.Name)
	if err != nil {
		return Uploaded{}, d.unpermitted(err)
	}
	if p.MaxFileSize > 0 && f.Size > p.MaxFileSize {
		return Uploaded{}, unsent("FileTooLarge", fmt.Sprintf("the file has %d bytes, and the service takes at most %d", f.Size, p.MaxFileSize),
			"Give a smaller file, or one at a public https address.")
	}
	content := &loan{r: f.Content}
	defer content.end()
	sent := time.Now()
	url, err := d.client.Upload(ctx, p, dashscope.File{Name: objectName(f), ContentType: f.ContentType, Size: f.Size, Content: content})
	if err != nil {
		if expired(err) {
			d.forgetPolicy(ctx, m.Name, p)
		}
		return Uploaded{}, d.unstored(err)
	}
	return Uploaded{URL: url, Expires: sent.Add(uploadUsable)}, nil
}

// expired reports whether a file was refused for its policy's age.
func expired(err error) bool {
	e, ok := errors.AsType[*dashscope.Error](err)
	return ok && strings.Contains(strings.ToLower(e.Message), "expired")
}

// policy returns a permission that is good for another file, from an earlier answer where there is one.
func (d *DashScope) policy(ctx context.Context, model string) (*dashscope.UploadPolicy, error) {
	if err := d.policies.hold(ctx); err != nil {
		return nil, err
	}
	defer d.policies.release()
	if p, ok := d.policies.known[model]; ok && time.Now().Before(p.until) {
		return p.UploadPolicy, nil
	}
	asked := time.Now()
	p, err := d.client.UploadPolicy(ctx, model)
	if err != nil {
		return nil, err
	}
	d.policies.known[model] = policy{p, asked.Add(p.ExpiresIn - policyReserve)}
	return p, nil
}

// forgetPolicy drops a policy that was refused, unless somebody has a newer one already.
func (d *DashScope) forgetPolicy(ctx context.Context, model string, refused *dashscope.UploadPolicy) {
	if d.policies.hold(ctx) != nil {
		return // nor is this caller going to send anything
	}
	defer d.policies.release()
	if d.policies.known[model].UploadPolicy == refused {
		delete(d.policies.known, model)
	}
}

// unpermitted is the error of a policy that was not given.
func (d *DashScope) unpermitted(err error) error {
	e := unread(d.fail(err), "call again in a minute")
	said, ok := errors.AsType[*dashscope.Error](err)
	if !ok || said.Fate() == dashscope.FateNotSent || said.Transient() || said.Unauthorized() || isAboutAccount(said.Code) {
		return e
	}
	if region := d.catalogue.Region(said.Region); (region == nil || !region.Uploads) && (said.Fate() == dashscope.FateRefused || said.StatusCode == http.StatusOK) {
		e.Retryable = false
		e.Advice = fmt.Sprintf("%s Temporary uploads are documented for the region Beijing only, and this service (region %s) takes none.",
			adviceElsewhere, cmp.Or(said.Region, "unknown"))
	}
	return e
}

// isAboutAccount reports whether a refusal has nothing to do with uploads: a create would be refused like this as well.
func isAboutAccount(code string) bool {
	for _, word := range []string{"Arrearage", "Overdue", "NotPurchased", "Unpurchased", "Quota", "quota", "Throttling", "ModelNotFound", "Model.AccessDenied", "Workspace"} {
		if strings.Contains(code, word) {
			return true
		}
	}
	return false
}

// unstored is the error of a file that the storage did not take. Its codes are those of the storage, not of the models.
func (d *DashScope) unstored(err error) error {
	e := d.fail(err)
	said, ok := errors.AsType[*dashscope.Error](err)
	switch {
	case e.Charged == video.ChargedUnknown:
		e.Charged, e.Retryable, e.Advice = video.NotCharged, true, adviceUploadLost
	case !ok:
	case said.Fate() == dashscope.FateNotSent && said.Transient():
		e.Advice = fmt.Sprintf("Nothing was charged. %s, where the service keeps uploaded files, could not be reached: check the network and the firewall, then call again.", said.Host)
	case said.Fate() == dashscope.FateNotSent:
		e.Advice = adviceElsewhere
	default:
		e.Retryable = said.Transient() || expired(err)
		e.Advice = "Nothing was charged. The storage of the service refused the file: call again; if it stays like this, put the file at a public https address and give that as the url."
	}
	return e
}

func unsent(code, message, advice string) error {
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{Code: code, Message: message, Advice: "Nothing was charged. " + advice}}
}

// objectName is what a file is called at the service: unique, since nothing is overwritten there; plain ASCII, since the name
// becomes part of an address; with the ending of what the file holds, since the service may go by it; and without the folders
// that the file is in, which are nobody's business.
func objectName(f File) string {
	base := f.Name[strings.LastIndexAny(f.Name, `/\`)+1:]
	ending := strings.ToLower(path.Ext(base))
	stem := plain(base[:len(base)-len(path.Ext(base))])
	if right := endings(f.ContentType); len(right) > 0 {
		own := ending
		ending = right[0]
		for _, other := range right {
			if other == own {
				ending = own
			}
		}
	}
	if ending != "" {
		ending = "." + plain(strings.TrimPrefix(ending, "."))
	}
	return strings.ToLower(rand.Text()) + "-" + stem + ending
}

// endings are how names of files of a type end, the usual one first.
func endings(contentType string) []string {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	return map[string][]string{
		"image/jpeg": {".jpg", ".jpeg"}, "image/png": {".png"}, "image/bmp": {".bmp"}, "image/webp": {".webp"},
		"video/mp4": {".mp4"}, "video/quicktime": {".mov"}, "audio/wav": {".wav"}, "audio/x-wav": {".wav"}, "audio/mpeg": {".mp3"},
	}[strings.TrimSpace(kind)]
}

// plain keeps letters and digits of ASCII and puts one hyphen for anything between them; it is "file" when nothing is left.
func plain(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9')
	})
	text := strings.Join(words, "-")
	return cmp.Or(strings.TrimRight(text[:min(len(text), longestStem)], "-"), "file")
}
