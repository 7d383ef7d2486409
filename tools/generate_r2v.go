package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
	"github.com/shopspring/decimal"

	"r2v-mcp/internal/video"
	"r2v-mcp/schema"
)

// generateArguments is one request for both wire forms, and the guards of the person who pays.
type generateArguments struct {
	Prompt         string              `json:"prompt" jsonschema_description:"Max {prompt_characters} characters. Name the references: Image 1, Video 1 counted apart ({characters}: character1, character2 in list order)"`
	References     []referenceArgument `json:"references" jsonschema_description:"1-{references} images and videos with one subject each (videos: max {reference_videos}{clips_alone}), plus one first_frame ({only:first_frame})"`
	Model          string              `json:"model,omitempty" catalogue:"models"`
	Resolution     string              `json:"resolution,omitempty" catalogue:"resolutions" jsonschema_description:"Default {resolution}; {resolution_price}"`
	Ratio          string              `json:"ratio,omitempty" catalogue:"ratios" jsonschema_description:"Default {ratio}, not with first_frame"`
	Duration       *int                `json:"duration,omitempty" catalogue:"duration" jsonschema_description:"Seconds, default {duration}; max {duration_max}, with a reference video {duration_max_with_video}"`
	NegativePrompt string              `json:"negative_prompt,omitempty" jsonschema_description:"Max {negative_prompt_characters} characters{unless:negative_prompt}"`
	ShotType       string              `json:"shot_type,omitempty" catalogue:"shot_types" jsonschema_description:"{only:shot_type} only"`
	Audio          *bool               `json:"audio,omitempty" jsonschema_description:"{only:audio} only; false is cheaper"`
	PromptExtend   *bool               `json:"prompt_extend,omitempty" jsonschema_description:"{only:prompt_extend} only{prompt_extend}"`
	Watermark      *bool               `json:"watermark,omitempty"`
	Seed           *int64              `json:"seed,omitempty" jsonschema_description:"{unless:seed}"`
	MaxCost        *decimal.Decimal    `json:"max_cost,omitempty" jsonschema_description:"Refuse above; in the estimate's currency"`
	IdempotencyKey string              `json:"idempotency_key,omitempty" jsonschema_description:"Your own, from the first call on"`
	CallbackURL    string              `json:"callback_url,omitempty" jsonschema_description:"https address told of the end"`
}

type referenceArgument struct {
	URL      string           `json:"url" jsonschema_description:"Public http(s) address{addresses}"`
	Type     string           `json:"type,omitempty" catalogue:"kinds" jsonschema_description:"Default: what the file is"`
	VoiceURL string           `json:"voice_url,omitempty" jsonschema_description:"{only:voice_url} only: voice sample (wav, mp3); words go in the prompt"`
	Seconds  *decimal.Decimal `json:"duration_seconds,omitempty" jsonschema_description:"If not measurable"`
}

// SetShort takes a reference as the wan2.6 API does: a plain address.
func (r *referenceArgument) SetShort(url string) { r.URL = url }

func (in *generateArguments) request() video.Request {
	req := video.Request{
		Model: in.Model, Prompt: in.Prompt, NegativePrompt: blankIsNone(in.NegativePrompt), Resolution: in.Resolution, Ratio: in.Ratio,
		ShotType: in.ShotType, Audio: in.Audio, PromptExtend: in.PromptExtend,
		Watermark: in.Watermark, Seed: in.Seed,
	}
	if in.Duration != nil {
		req.Duration = *in.Duration
	}
	for _, ref := range in.References {
		req.References = append(req.References, video.Reference{
			URL: plainAddress(ref.URL), Kind: video.Kind(ref.Type), VoiceURL: plainAddress(ref.VoiceURL), Seconds: ref.Seconds,
		})
	}
	return req
}

// plainAddress takes off what is copied along with an address from a text: blanks, quotes, <>, and Markdown's ![name](address).
func plainAddress(address string) string {
	address = strings.TrimSpace(address)
	if name, link, found := strings.Cut(strings.TrimPrefix(address, "!"), "]("); found && strings.HasPrefix(name, "[") && strings.HasSuffix(link, ")") {
		address = strings.TrimSuffix(link, ")")
	}
	for _, around := range []string{"``", "<>", `""`, "''"} {
		if len(address) > 1 && address[0] == around[0] && address[len(address)-1] == around[1] {
			address = address[1 : len(address)-1]
		}
	}
	return strings.TrimSpace(address)
}

func blankIsNone(s string) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	return s
}

type generateAnswer struct {
	TaskID         string            `json:"task_id"`
	ProviderTaskID string            `json:"provider_task_id,omitempty"`
	Status         string            `json:"status" catalogue:"statuses"`
	Model          string            `json:"model"`
	Resolution     string            `json:"resolution"`
	Duration       int               `json:"duration"`
	References     []referenceAnswer `json:"references"`
	Cost           *purchaseCost     `json:"cost,omitempty" jsonschema_description:"The estimate"`
	IdempotencyKey string            `json:"idempotency_key"`
	Replayed       bool              `json:"replayed" jsonschema_description:"True: nothing new was bought"`
	Charged        string            `json:"charged" catalogue:"charged" jsonschema_description:"A task is charged when it succeeds"`
	ExpiresAt      time.Time         `json:"expires_at"`
	PollAfter      int               `json:"poll_after_seconds"`
	Warnings       []string          `json:"warnings"`
	NextStep       string            `json:"next_step"`
}

type purchaseCost struct {
	Low       json.Number `json:"low,omitempty"`
	High      json.Number `json:"high,omitempty"`
	Held      json.Number `json:"held,omitempty" jsonschema_description:"Set aside by the service"`
	Currency  string      `json:"currency"`
	PerSecond json.Number `json:"per_second,omitempty"`
}

type referenceAnswer struct {
	Alias string `json:"alias,omitempty"`
	Type  string `json:"type"`
}

func (s *Set) generate(ctx context.Context, in generateArguments, problems []video.Problem, req mcp.CallToolRequest) (*generateAnswer, error) {
	q := s.quote(ctx, in, problems)
	q.checkGuards(in, s.BudgetPerTask)
	s.checkCallback(ctx, in, q)
	if found := q.problems(); len(found) > 0 {
		return s.refused(ctx, in, q, found)
	}
	if err := ctx.Err(); err != nil {
		return nil, &refusal{what: "The call was cancelled before anything was sent.", charged: video.NotCharged, next: "Call generate_r2v again if the clip is still wanted."}
	}
	return s.buy(ctx, in, q, req)
}

// buy brings the request's local files to the service, unless an equal call has bought the clip before, and buys the clip. Both go on
// when the call must be answered before they are done.
func (s *Set) buy(ctx context.Context, in generateArguments, q *quote, req mcp.CallToolRequest) (*generateAnswer, error) {
	longest := min(video.LongestCall, s.MaxWait)
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	order := video.Order{Request: q.report.Request, Estimate: q.cost(), IdempotencyKey: in.IdempotencyKey, Owner: s.owner(ctx), CallbackURL: q.callback}
	if q.hasFiles() {
		bringing, cancel := context.WithTimeout(ctx, longest*3/4) // and the rest is for the purchase
		defer cancel()
		if err := s.Media.Sum(bringing, order.Request.References); err != nil {
			return s.orEarlier(ctx, in, q, s.refuse("The local files could not be read.", err))
		}
		replay := order
		replay.Replay, replay.Fingerprint = true, q.report.Fingerprint()
		task, _, err := s.Tasks.Create(ctx, replay)
		if err == nil {
			return s.bought(ctx, task, true, q), nil
		}
		if _, known := errors.AsType[*video.Error](err); known { // not only that there is none
			return nil, s.unbought(err)
		}
		if order.Request, err = s.Media.Bring(bringing, q.report, share(ctx, req, "bytes of local files sent")); err != nil {
			return nil, s.refuse("The local files are not at the service.", err)
		}
	}
	order.Fingerprint = q.report.Fingerprint()
	task, replayed, err := s.Tasks.Create(ctx, order)
	if err != nil {
		return nil, s.unbought(err)
	}
	return s.bought(ctx, task, replayed, q), nil
}

func (a *generateAnswer) about() string { return a.TaskID }

func (s *Set) bought(ctx context.Context, task video.Task, replayed bool, q *quote) *generateAnswer {
	out := &generateAnswer{
		TaskID: task.ID, ProviderTaskID: task.ProviderTaskID, Status: string(task.Status), Model: task.Request.Model,
		Resolution: task.Request.Resolution, Duration: task.Request.Duration, Cost: s.asPurchase(&task), IdempotencyKey: task.IdempotencyKey, Replayed: replayed, Charged: string(task.Charged()),
		ExpiresAt: stamp(task.ExpiresAt()), PollAfter: s.pollAfter(&task), Warnings: q.warnings(), NextStep: s.nextStep(&task, s.clipOf(ctx, &task)),
	}
	for _, ref := range q.references() {
		out.References = append(out.References, referenceAnswer{Alias: ref.Alias, Type: string(ref.Type)})
	}
	if f := task.Failure; f != nil && task.Status == video.Unknown {
		out.Warnings = append(out.Warnings, "the service's answer was lost: "+f.Code+" "+f.Message)
	}
	if more := s.heldMore(&task); more != "" {
		out.Warnings = append(out.Warnings, more)
	}
	if kept := keptCallback(&task, q.callback); replayed && kept != "" {
		out.Warnings = append(out.Warnings, kept)
	}
	if replayed {
		out.NextStep = cmp.Or(afterReplay(&task), out.NextStep)
	}
	if replayed && task.Status != video.Unknown {
		out.Warnings = append(out.Warnings, "this is the task of an earlier, equal request; nothing new was bought: to buy the same clip again, give a new idempotency_key")
	}
	return out
}

// afterReplay is what to do about an earlier purchase that has ended, empty for any other: its clip, or what went wrong with it,
// is get_task's to tell.
func afterReplay(t *video.Task) string {
	switch t.Status {
	case video.Succeeded:
		return fmt.Sprintf("This task has ended: call get_task with task_id %s for its clip.", t.ID)
	case video.Failed:
		return fmt.Sprintf("This task has FAILED and cost nothing: call get_task with task_id %s for what went wrong. A new purchase needs a new idempotency_key.", t.ID)
	case video.Canceled:
		return fmt.Sprintf("This task was cancelled and cost nothing: call get_task with task_id %s for what is known of it. A new purchase needs a new idempotency_key.", t.ID)
	}
	return ""
}

// unbought refuses a purchase, and never says that there is none where nobody knows.
func (s *Set) unbought(err error) *refusal {
	r := s.refuse("This call brought no clip.", err)
	if r.charged == video.ChargedUnknown {
		r = s.refuse("Nobody can tell yet what became of this purchase.", err)
	}
	return r
}

func (s *Set) generateR2V() (server.ServerTool, error) {
	addresses, err := schema.Describe(s.Catalogue, map[bool]string{false: "{other_addresses}", true: "{other_addresses_far}"}[s.NoFiles])
	if err != nil {
		return server.ServerTool{}, err
	}
	facts, guard := []string{"addresses", addresses}, ", and set max_cost"
	if !s.rates() {
		facts, guard = append(facts, "max_cost", schema.Unpublished), ""
	}
	arguments, err := schema.Arguments[generateArguments](s.Catalogue, facts...)
	if err != nil {
		return server.ServerTool{}, err
	}
	return declare(s, declaration{
		name: "generate_r2v", title: "Buy a video clip",
		description: `Buys a reference-to-video clip: people or things from your images and videos act in a new video. Costs money: call estimate_cost first` + guard + `.
Returns task_id; a clip takes 1-5 minutes: wait with get_task. Never call again to check. Repeat a lost call unchanged: the same idempotency_key never buys twice.`,
		openWorld: true,
	}, arguments, s.generate)
}
