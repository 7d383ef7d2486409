package dashscope

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
)

const opCreate = "create video"

// VideoRequest is the body of a create. Empty and nil optional fields are left out, and the service uses its defaults.
// Nothing is checked here: which fields a model takes, and their ranges, are the service's to say (for some models only
// after the task was queued).
//
// Source: https://www.alibabacloud.com/help/en/model-studio/wan-video-to-video-api-reference.
type VideoRequest struct {
	Model      string          `json:"model"`
	Input      VideoInput      `json:"input"`
	Parameters VideoParameters `json:"parameters"`
}

// VideoInput is what the video is made from: ReferenceURLs for the wan2.6 models, Media for wan2.7 and later.
type VideoInput struct {
	Prompt         string   `json:"prompt"`
	NegativePrompt string   `json:"negative_prompt,omitempty"`
	ReferenceURLs  []string `json:"reference_urls,omitempty"`
	Media          []Media  `json:"media,omitempty"`
}

// Media is one reference of a wan2.7 request. URLs are http(s):// or oss:// (see [Client.Upload]); images may be data: URIs.
type Media struct {
	Type           string `json:"type"` // reference_image, reference_video or first_frame
	URL            string `json:"url"`
	ReferenceVoice string `json:"reference_voice,omitempty"`
}

// VideoParameters is how the video is made: Size for the wan2.6 models, Resolution and Ratio for wan2.7 and later.
type VideoParameters struct {
	Size         string `json:"size,omitempty"`       // width*height in pixels, such as "1280*720"
	Resolution   string `json:"resolution,omitempty"` // 720P or 1080P
	Ratio        string `json:"ratio,omitempty"`      // such as "16:9"
	Duration     *int   `json:"duration,omitempty"`   // seconds
	ShotType     string `json:"shot_type,omitempty"`  // single or multi
	Audio        *bool  `json:"audio,omitempty"`
	PromptExtend *bool  `json:"prompt_extend,omitempty"`
	Watermark    *bool  `json:"watermark,omitempty"`
	Seed         *int64 `json:"seed,omitempty"` // 0 to 2147483647
}

// CreateVideo creates a video task and returns it as accepted, PENDING as a rule. It costs money once the task succeeds.
//
// It is sent again, for at most about 30 seconds, only when it did not leave or was throttled. Every failure is an
// [*Error]; unless its Fate is FateNotSent or FateRefused, a task may exist all the same.
//
// The header that lets the service read oss:// addresses is set when the request holds one.
func (c *Client) CreateVideo(ctx context.Context, r *VideoRequest) (*Task, error) {
	if r == nil {
		return nil, c.untried(opCreate, errors.New("no request"))
	}
	body, err := encode(r)
	if err != nil {
		return nil, c.untried(opCreate, err)
	}
	header := map[string]string{"Content-Type": "application/json", "X-DashScope-Async": "enable"}
	if r.Input.usesUploads() {
		header["X-DashScope-OssResourceResolve"] = "enable"
	}
	a, failure := c.do(ctx, &c.creates, call{
		op:     opCreate,
		method: http.MethodPost,
		path:   "/services/aigc/video-generation/video-synthesis",
		header: header,
		body:   body,
	})
	if failure != nil {
		return nil, failure
	}
	return c.created(a)
}

func (c *Client) created(a *answer) (*Task, error) {
	t := c.task(a)
	if t.ID == "" {
		return nil, c.malformed(opCreate, a, "the answer has no task id")
	}
	return t, nil
}

// usesUploads reports whether a URL points to the service's temporary storage.
func (in VideoInput) usesUploads() bool {
	uploaded := func(url string) bool { return strings.HasPrefix(url, "oss://") }
	return slices.ContainsFunc(in.ReferenceURLs, uploaded) ||
		slices.ContainsFunc(in.Media, func(m Media) bool { return uploaded(m.URL) || uploaded(m.ReferenceVoice) })
}
