package tools_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ago is a time as the service writes it.
func ago(d time.Duration) string {
	return time.Now().Add(-d).In(time.FixedZone("UTC+8", 8*60*60)).Format("2006-01-02 15:04:05.000")
}

// telling is a service that takes one order and says the same of it ever after.
func telling(output, usage string) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method == http.MethodPost:
			_, _ = io.WriteString(rw, `{"output":{"task_status":"PENDING","task_id":"the-id"},"request_id":"r"}`)
		case strings.HasSuffix(r.URL.Path, "/tasks/the-id"):
			_, _ = fmt.Fprintf(rw, `{"output":{"task_id":"the-id",%s},"usage":%s,"request_id":"r"}`, output, usage)
		default:
			http.NotFound(rw, r)
		}
	})
}

func ended(since time.Duration) string {
	return fmt.Sprintf(`"task_status":"SUCCEEDED","submit_time":"%s","end_time":"%s","video_url":"https://results.invalid/a.mp4?Signature=canary"`, ago(since+time.Minute), ago(since))
}

func warningsOf(task map[string]any) string { return fmt.Sprint(task["warnings"]) }

// The bill is held against the estimate: 5 s of 1080P at 0.15 USD, with or without a reference video of unknown length.
func TestBillThatIsNotTheEstimate(t *testing.T) {
	t.Parallel()
	const exact, open = "0.75", "0.9 to 1.5"
	for name, tt := range map[string]struct {
		seconds, more, estimate string
		billed, difference      string
		warning                 string
	}{
		"as estimated":                  {"5", "", exact, "0.75", "0", ""},
		"one percent above":             {"5.05", "", exact, "0.7575", "0.0075", ""},
		"more than one percent above":   {"5.06", "", exact, "0.759", "0.009", "the bill of 0.759 USD is 0.009 (1.2 %) above the estimate of 0.75: "},
		"twice the estimate":            {"10", "", exact, "1.5", "0.75", "the bill of 1.5 USD is 0.75 (100 %) above the estimate of 0.75: "},
		"more than one percent below":   {"4", "", exact, "0.6", "-0.15", "the bill of 0.6 USD is 0.15 (20 %) below the estimate of 0.75: "},
		"inside the range":              {"8", "", open, "1.2", "0", ""},
		"one percent above the range":   {"10.1", "", open, "1.515", "0.015", ""},
		"above the range":               {"12", "", open, "1.8", "0.3", "the bill of 1.8 USD is 0.3 (20 %) above the estimate of 0.9 to 1.5: a reference may be longer"},
		"below the range":               {"3", "", open, "0.45", "-0.45", "the bill of 0.45 USD is 0.45 (50 %) below the estimate of 0.9 to 1.5: "},
		"another resolution":            {"5", `,"SR":720`, exact, "0.75", "0", "the service made 720P where 1080P was ordered"},
		"the resolution that was meant": {"5", `,"SR":1080`, exact, "0.75", "0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			usage := fmt.Sprintf(`{"duration":%s,"input_video_duration":0,"output_video_duration":5,"video_count":1%s}`, tt.seconds, tt.more)
			w := newWorld(t, options{handler: telling(ended(0), usage)})
			request := wan27(nil)
			if tt.estimate == open {
				request = wan27(arguments{"references": refs(clip8), "prompt": "Video 1 waves"})
			}
			created := w.answer("generate_r2v", request)
			task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 20})
			require.Equal(t, "SUCCEEDED", task["status"])
			require.Equal(t, json.Number(tt.billed), path(task, "cost", "billed"))
			require.Equal(t, json.Number(tt.difference), path(task, "cost", "difference"))
			require.Equal(t, path(created, "cost", "high"), path(task, "cost", "estimated", "high"))
			if tt.warning == "" {
				require.NotContains(t, warningsOf(task), "estimate")
				require.NotContains(t, warningsOf(task), "ordered")
			} else {
				require.Contains(t, warningsOf(task), tt.warning)
			}
		})
	}
}

func TestNoDifferenceBeforeTheBill(t *testing.T) {
	w := newWorld(t, options{handler: telling(`"task_status":"RUNNING"`, `null`)})
	created := w.answer("generate_r2v", wan27(nil))
	task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 0})
	require.Contains(t, task["cost"], "estimated")
	require.NotContains(t, task["cost"], "billed")
	require.NotContains(t, task["cost"], "difference")
	require.NotContains(t, task, "warnings")
}

func TestBillThatCannotBeRead(t *testing.T) {
	w := newWorld(t, options{handler: telling(ended(0), `null`)})
	created := w.answer("generate_r2v", wan27(nil))
	task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 20})
	require.Equal(t, "yes", task["charged"])
	require.Contains(t, warningsOf(task), "the service sent no usage that can be read yet, and is asked again by a server with its key")
	require.Contains(t, warningsOf(task), ": look at the bill in the Model Studio console")
}

func TestTaskAboutToBeForgottenIsRaisedLoudly(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		output  string
		warning string // empty for none
	}{
		"with more than two hours left": {`"task_status":"RUNNING","submit_time":"` + ago(21*time.Hour+59*time.Minute) + `"`, ""},
		"with less than two hours left": {`"task_status":"RUNNING","submit_time":"` + ago(22*time.Hour+time.Minute) + `"`, "in 11"},
		"past its time":                 {`"task_status":"PENDING","submit_time":"` + ago(24*time.Hour+time.Minute) + `"`, "the service has forgotten it since 20"},
		"a success without a link": {`"task_status":"SUCCEEDED","submit_time":"` + ago(23*time.Hour) + `","end_time":"` + ago(23*time.Hour) + `"`,
			"this clip may be lost: the service forgets it at 20"},
		"a success with a link": {fmt.Sprintf(`"task_status":"SUCCEEDED","submit_time":"%s","end_time":"%[1]s","video_url":"https://results.invalid/a.mp4"`, ago(23*time.Hour)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{handler: telling(tt.output, `null`)})
			created := w.answer("generate_r2v", wan27(nil))
			var task map[string]any
			require.Eventually(t, func() bool { // it has been looked at
				task = w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 0})
				return time.Since(stamped(t, task["submitted_at"])) > time.Hour
			}, 10*time.Second, 10*time.Millisecond)
			if tt.warning == "" {
				require.NotContains(t, warningsOf(task), "may be lost")
				return
			}
			first := task["warnings"].([]any)[0]
			require.Contains(t, first, "this clip may be lost")
			require.Contains(t, first, tt.warning)
			require.Contains(t, first, "Tell the user now to look for it in the Model Studio console, by provider_task_id the-id")
		})
	}
}

func stamped(t *testing.T, text any) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text.(string))
	require.NoError(t, err)
	return at
}

func TestClipOfAnotherLengthIsSavedAndWarnedAbout(t *testing.T) {
	w := newWorld(t, options{})
	created := w.answer("generate_r2v", wan27(arguments{"prompt": "Image 1 [[fault:wrong-length]]"}))
	task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 20})
	require.NotEmpty(t, task["saved_to"])
	require.Equal(t, []any{"the clip is saved, but look at it: the clip is 4 s long, and 5 s are billed"}, task["warnings"])
	require.Contains(t, task["next_step"], "Done: give the user saved_to")
}

func TestLinkThatHasDiedIsNotOffered(t *testing.T) {
	w := newWorld(t, options{handler: telling(ended(25*time.Hour), `{"duration":5,"input_video_duration":0,"output_video_duration":5}`)})
	created := w.answer("generate_r2v", wan27(nil))
	task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 20})
	require.Equal(t, "SUCCEEDED", task["status"])
	require.Contains(t, task["next_step"], "its link has died and it is not saved: tell the user, and do not buy it again unasked")
	require.NotContains(t, warningsOf(task), "Signature")
}

// However a clip is lost, no text of an answer but the link itself opens it, and none repeats key or prompt.
func TestErrorsKeepSecrets(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"expired-link", "short-clip", "half-clip", "redirect-307@result", "drop-before@result", "503@get x1", "invalid-api-key@get", "fail-internal"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{})
			created := w.answer("generate_r2v", wan27(arguments{"prompt": "Image 1 canaryprompt [[fault:" + fault + "]]"}))
			task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 20})
			delete(task, "video_url")
			require.Contains(t, task["prompt"], "canaryprompt", "the only place where it is told")
			delete(task, "prompt")
			text, err := json.Marshal(task)
			require.NoError(t, err)
			for _, secret := range []string{simulatedKey, "Signature", "canaryprompt", "fault:"} {
				require.NotContains(t, string(text), secret)
			}
		})
	}
}

func TestTaskTellsWhatWasOrdered(t *testing.T) {
	w := newWorld(t, options{})
	created := w.answer("generate_r2v", wan27(arguments{"resolution": "720P", "duration": 4}))
	task := w.answer("get_task", arguments{"task_id": created["task_id"], "wait_seconds": 0})
	require.Equal(t, "Image 1 waves", task["prompt"])
	require.Equal(t, "720P", task["resolution"])
	require.Equal(t, json.Number("4"), task["duration"])
	for length, want := range map[int]string{400: strings.Repeat("好", 400), 401: strings.Repeat("好", 399) + "…"} {
		long := w.claimed(strings.Repeat("好", length))
		require.Equal(t, want, w.answer("get_task", arguments{"task_id": long.ID, "wait_seconds": 0})["prompt"])
	}
}
