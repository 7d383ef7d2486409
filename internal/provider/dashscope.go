package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/video"
)

// DashScope makes clips on Alibaba Cloud Model Studio.
type DashScope struct {
	client    *dashscope.Client
	catalogue *video.Catalogue
	policies  policies
}

// NewDashScope adapts a client; the catalogue tells the wire form of each model.
func NewDashScope(client *dashscope.Client, catalogue *video.Catalogue) *DashScope {
	return &DashScope{
		client: client, catalogue: catalogue,
		policies: policies{asking: make(chan struct{}, 1), known: map[string]policy{}},
	}
}

// DashScopeWords are how Model Studio is called in texts for people.
func DashScopeWords() Words {
	return Words{
		Console: "the Model Studio console", Key: "DASHSCOPE_API_KEY",
		GetKey: "Tell the user to get a key (https://www.alibabacloud.com/help/en/model-studio/get-api-key) and to set DASHSCOPE_API_KEY " +
			"and, if it is not a Singapore key, DASHSCOPE_REGION in this server's configuration.",
	}
}

// Words are Model Studio's: see [Provider].
func (d *DashScope) Words() Words { return DashScopeWords() }

// Bill knows of none that Look does not tell: see [Provider].
func (d *DashScope) Bill(context.Context, string, time.Time) (*decimal.Decimal, error) {
	return nil, nil
}

// Create buys a clip: see [Provider]. DashScope knows neither keys of purchases nor callbacks, and holds nothing.
func (d *DashScope) Create(ctx context.Context, p Purchase) (Bought, error) {
	m := d.catalogue.Model(p.Request.Model)
	if m == nil {
		return Bought{}, &video.Error{Charged: video.NotCharged, Failure: video.Failure{Code: "ModelUnknown", Message: "the catalogue has no model " + p.Request.Model}}
	}
	task, err := d.client.CreateVideo(ctx, wire(p.Request, m))
	if err != nil {
		return Bought{}, d.fail(err)
	}
	return Bought{ID: task.ID}, nil
}

// wire writes a request in the form that its model takes.
func wire(r video.Request, m *video.Model) *dashscope.VideoRequest {
	out := &dashscope.VideoRequest{
		Model: m.Name,
		Input: dashscope.VideoInput{Prompt: r.Prompt, NegativePrompt: r.NegativePrompt},
		Parameters: dashscope.VideoParameters{
			Duration: &r.Duration, ShotType: r.ShotType, Audio: r.Audio, PromptExtend: r.PromptExtend,
			Watermark: r.Watermark, Seed: r.Seed,
		},
	}
	if m.Wire == video.WireReferenceURLs {
		out.Parameters.Size = m.Size(r.Resolution, r.Ratio)
		for _, ref := range r.References {
			out.Input.ReferenceURLs = append(out.Input.ReferenceURLs, ref.URL)
		}
		return out
	}
	out.Parameters.Resolution, out.Parameters.Ratio = r.Resolution, r.Ratio
	types := map[video.Kind]string{video.Image: "reference_image", video.Video: "reference_video", video.FirstFrame: "first_frame"}
	for _, ref := range r.References {
		out.Input.Media = append(out.Input.Media, dashscope.Media{Type: types[ref.Kind], URL: ref.URL, ReferenceVoice: ref.VoiceURL})
	}
	return out
}

// Look reads a task: see [Provider].
func (d *DashScope) Look(ctx context.Context, id string) (video.Snapshot, error) {
	task, err := d.client.GetTask(ctx, id)
	if err != nil {
		return video.Snapshot{}, unread(d.fail(err), "call get_task again in a minute")
	}
	s := video.Snapshot{
		Status: status(task.Status), SubmittedAt: task.SubmitTime, ScheduledAt: task.ScheduledTime,
		EndedAt: task.EndTime, VideoURL: task.VideoURL, Usage: usage(task.Usage), Prompt: task.OrigPrompt,
	}
	if s.Status == video.Failed {
		advice := adviceFor(task.Code, task.Message)
		s.Failure = &video.Failure{Code: task.Code, Message: task.Message, Advice: advice.text, Retryable: advice.retryable, RequestID: task.RequestID}
	}
	if !s.Status.Open() && s.EndedAt.IsZero() {
		s.EndedAt = time.Now()
	}
	return s, nil
}

// status reads a state. A word that nobody has documented, such as the SDK's SUSPENDED, is not an end: the task goes on.
func status(word string) video.Status {
	switch s := video.Status(word); s {
	case video.Pending, video.Running, video.Succeeded, video.Failed, video.Canceled, video.Unknown:
		return s
	}
	return video.Running
}

// longestBill is more seconds than any task can be billed: what says more was not read right.
var longestBill = decimal.NewFromInt(3600) //nolint:gochecknoglobals // a constant that Go cannot write as one

// usage takes over what was counted, exactly. What cannot be read counts as nothing known, not as zero seconds.
func usage(u *dashscope.Usage) *video.Usage {
	if u == nil {
		return nil
	}
	total, err := decimal.NewFromString(u.Duration.String())
	if err != nil || !total.IsPositive() || total.GreaterThan(longestBill) {
		return nil
	}
	input, _ := decimal.NewFromString(u.InputVideoDuration.String())
	output, _ := decimal.NewFromString(u.OutputVideoDuration.String())
	return &video.Usage{Duration: total, Input: input, Output: output, Size: u.Size, Ratio: u.Ratio, SR: u.SR}
}

// unread is the error of a question: it costs nothing, so what became of it does not matter.
func unread(e *video.Error, again string) *video.Error {
	if e.Charged == video.ChargedUnknown {
		e.Charged, e.Retryable, e.Advice = video.NotCharged, true, "The service did not answer. Asking costs nothing: "+again+"."
	}
	return e
}

// fail puts a client's error into our words: what it means for the money, and what to do.
func (d *DashScope) fail(err error) *video.Error {
	e, ok := errors.AsType[*dashscope.Error](err)
	if !ok {
		return unexpected(err)
	}
	out := said{
		code: e.Code, message: e.Message, requestID: e.RequestID, status: e.StatusCode, transient: e.Transient(), cause: e.Unwrap(),
		unknown: e.Fate() == dashscope.FateUnknown, notSent: e.Fate() == dashscope.FateNotSent,
	}.inOurWords(adviceFor(e.Code, e.Message), fmt.Sprintf("%s could not be reached: check the network, DASHSCOPE_REGION and DASHSCOPE_HTTP_BASE_URL, then call again.", e.Host))
	if e.Unauthorized() && e.Fate() == dashscope.FateRefused {
		out.Advice = fmt.Sprintf("%s (region %s) refused the key, and a key of another region is refused exactly like this: "+
			"set DASHSCOPE_REGION to the key's own region, or DASHSCOPE_API_KEY to a key of %s.", e.Host, e.Region, e.Region)
	}
	return out
}
