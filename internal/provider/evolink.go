package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"r2v-mcp/evolink"
	"r2v-mcp/internal/video"
)

// EvoLink makes clips through the EvoLink relay. Its models have DashScope's names here, and their own in the catalogue.
type EvoLink struct {
	client    *evolink.Client
	catalogue *video.Catalogue
}

// NewEvoLink adapts a client; the catalogue tells what the relay calls each model.
func NewEvoLink(client *evolink.Client, catalogue *video.Catalogue) *EvoLink {
	return &EvoLink{client, catalogue}
}

// EvoLinkWords are how EvoLink is called in texts for people.
func EvoLinkWords() Words {
	return Words{
		Console: "the EvoLink dashboard", Key: "EVOLINK_API_KEY",
		GetKey: "Tell the user to make a key on the API key page of https://evolink.ai and to set EVOLINK_API_KEY in this server's configuration.",
	}
}

// Words are EvoLink's: see [Provider].
func (e *EvoLink) Words() Words { return EvoLinkWords() }

// Create buys a clip: see [Provider].
func (e *EvoLink) Create(ctx context.Context, p Purchase) (Bought, error) {
	m := e.catalogue.Model(p.Request.Model)
	if m == nil {
		return Bought{}, &video.Error{Charged: video.NotCharged, Failure: video.Failure{Code: "ModelUnknown", Message: "the catalogue has no model " + p.Request.Model}}
	}
	task, err := e.client.CreateVideo(ctx, relayed(p, m), p.Key)
	if err != nil {
		return Bought{}, e.fail(err)
	}
	return Bought{ID: task.ID, Hold: credits(task.CreditsReserved)}, nil
}

// relayed writes a request in the relay's form.
// Source: https://docs.evolink.ai/en/api-manual/video-series/wan2.7/wan2.7-reference-video and its sisters of wan2.6.
func relayed(p Purchase, m *video.Model) *evolink.VideoRequest {
	r := p.Request
	out := &evolink.VideoRequest{
		Model: m.UpstreamName, Prompt: r.Prompt, NegativePrompt: r.NegativePrompt, Quality: strings.ToLower(r.Resolution), AspectRatio: r.Ratio,
		Duration: &r.Duration, GenerateAudio: r.Audio, Seed: r.Seed, PromptExtend: r.PromptExtend, CallbackURL: p.CallbackURL,
		ModelParams: evolink.ModelParams{ShotType: r.ShotType},
	}
	if out.PromptExtend == nil { // the relay's own default is another than DashScope's: what the catalogue says is what is sent
		out.PromptExtend = m.PromptExtendDefault
	}
	for _, ref := range r.References {
		subject := ""
		switch ref.Kind {
		case video.Image:
			out.ImageURLs = append(out.ImageURLs, ref.URL)
			subject = fmt.Sprintf("image%d", len(out.ImageURLs))
		case video.Video:
			out.VideoURLs = append(out.VideoURLs, ref.URL)
			subject = fmt.Sprintf("video%d", len(out.VideoURLs))
		case video.FirstFrame:
			out.ImageStart = ref.URL
		}
		if ref.VoiceURL != "" && subject != "" {
			if out.ModelParams.VoiceBindings == nil {
				out.ModelParams.VoiceBindings = map[string]string{}
			}
			out.ModelParams.VoiceBindings[subject] = ref.VoiceURL
		}
	}
	return out
}

// Look reads a task: see [Provider].
func (e *EvoLink) Look(ctx context.Context, id string) (video.Snapshot, error) {
	task, err := e.client.GetTask(ctx, id)
	if forgotten(err) {
		return video.Snapshot{Status: video.Unknown}, nil
	}
	if err != nil {
		return video.Snapshot{}, unread(e.fail(err), "call get_task again in a minute")
	}
	s := video.Snapshot{Status: relayStatus(task.Status), SubmittedAt: task.Created, Progress: task.Progress, Model: e.named(task.Model)}
	switch s.Status {
	case video.Succeeded:
		if len(task.Results) > 0 {
			s.VideoURL = task.Results[0]
		}
		s.Bill = credits(task.CreditsUsed)
	case video.Failed:
		s.Status, s.Failure = relayFailure(task)
	}
	return s, nil // when it ended the relay does not tell
}

// forgotten reports an id that the relay does not know, or no longer, or that is none of its own.
func forgotten(err error) bool {
	e, ok := errors.AsType[*evolink.Error](err)
	return ok && (e.StatusCode == http.StatusNotFound && e.Code != "" || e.StatusCode == http.StatusBadRequest && e.Code == "invalid_task_id")
}

// relayStatus reads a state. A word that nobody has documented is not an end: the task goes on.
func relayStatus(word string) video.Status {
	switch strings.ToLower(word) {
	case evolink.StatusPending:
		return video.Pending
	case evolink.StatusCompleted:
		return video.Succeeded
	case evolink.StatusFailed:
		return video.Failed
	case evolink.StatusCancelled, "canceled":
		return video.Canceled
	}
	return video.Running
}

// relayFailure is the end of a task that failed: some clients of the relay see a cancelled one as failed.
func relayFailure(task *evolink.Task) (video.Status, *video.Failure) {
	said := task.Error
	if said == nil {
		said = &evolink.TaskError{Code: "unknown_error"}
	}
	if slices.Contains([]string{"request_cancelled", "request_canceled"}, said.Code) {
		return video.Canceled, nil
	}
	a := relayAdvice(said.Code)
	return video.Failed, &video.Failure{Code: said.Code, Message: said.Message, Advice: a.text, Retryable: a.retryable, RequestID: task.RequestID}
}

// credits reads an amount. None, and one that cannot be, counts as nothing known.
func credits(n json.Number) *decimal.Decimal {
	d, err := decimal.NewFromString(n.String())
	const most = 1_000_000 // more is no price of a clip
	if err != nil || !d.IsPositive() || d.GreaterThan(decimal.NewFromInt(most)) {
		return nil
	}
	return &d
}

// Cancel refuses: the relay documents no call that cancels, and none of its own clients has one.
func (e *EvoLink) Cancel(context.Context, string) error {
	return &video.Error{Charged: video.NotCharged, Failure: video.Failure{
		Code: NotSupported, Message: "the relay has no call that cancels a task",
		Advice: "The task goes on, and is billed if it succeeds: wait for it with get_task.",
	}}
}

// fail puts a client's error into our words.
func (e *EvoLink) fail(err error) *video.Error {
	known, ok := errors.AsType[*evolink.Error](err)
	if !ok {
		return unexpected(err)
	}
	out := said{
		code: known.Code, message: known.Message, requestID: known.RequestID, status: known.StatusCode, transient: known.Transient(), cause: known.Unwrap(),
		unknown: known.Fate() == evolink.FateUnknown, notSent: known.Fate() == evolink.FateNotSent,
	}.inOurWords(relayAdvice(known.Code), fmt.Sprintf("%s could not be reached: check the network and EVOLINK_BASE_URL, then call again.", known.Host))
	out.RetryAfter = known.RetryAfter()
	if known.Unauthorized() && known.Fate() == evolink.FateRefused {
		out.Advice = fmt.Sprintf("%s refused the key: set EVOLINK_API_KEY to a key of EvoLink that is valid.", known.Host)
	}
	return out
}
