package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// hostile is what a terminal would obey: clear the screen, set the title, 8-bit controls, text from right to left.
const hostile = "\x1b[2J\x1b]0;owned\x07\u009b31m\u202e\r\x00\u2028end\xff"

// book is a ledger with one task in every state that the table tells apart.
type book struct {
	*ledger.Ledger
	t    *testing.T
	home string
	ids  map[string]string // by what they are

	owner string // of what is added
}

func newBook(t *testing.T) *book {
	t.Helper()
	b := &book{t: t, home: t.TempDir(), ids: map[string]string{}}
	b.Ledger = ledger.New(ledger.Options{Path: filepath.Join(dataDir(b.home), "ledger.db"), Upstream: "127.0.0.1:8790", Account: "test"})
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// unpriced claims and buys a task of which no rate is known, and for which 63.24 credits are held.
func (b *book) unpriced(what, providerTaskID string) string {
	b.t.Helper()
	task, _, err := b.Claim(b.t.Context(), video.Order{
		Request: video.Request{Model: "wan2.6-r2v", Prompt: "character1"}, IdempotencyKey: "key-" + what, Fingerprint: what, Estimate: video.Cost{Currency: "credits"},
	})
	require.NoError(b.t, err)
	hold := decimal.RequireFromString("63.24")
	_, err = b.Answered(b.t.Context(), task.ID, providerTaskID, &hold)
	require.NoError(b.t, err)
	return task.ID
}

// add claims a task of up to 0.50 USD and buys it; without a provider's id the answer was lost.
func (b *book) add(what, providerTaskID string) string {
	b.t.Helper()
	task, claimed, err := b.Claim(b.t.Context(), video.Order{
		Owner: b.owner, Request: video.Request{Model: "wan2.7-r2v", Prompt: "Image 1 " + hostile}, IdempotencyKey: "key-" + what, Fingerprint: what,
		Estimate: video.Cost{Low: decimal.New(4, -1), High: decimal.New(5, -1), PerSecond: decimal.New(1, -1), Currency: "USD"},
	})
	require.NoError(b.t, err)
	require.True(b.t, claimed)
	if providerTaskID == "" {
		_, err = b.NotBought(b.t.Context(), task, &video.Error{Charged: video.ChargedUnknown, Failure: video.Failure{Code: "ConnectionBroke"}})
	} else {
		_, err = b.Bought(b.t.Context(), task.ID, providerTaskID, false)
	}
	require.NoError(b.t, err)
	b.ids[what] = task.ID
	return task.ID
}

func (b *book) end(id string, s video.Snapshot) {
	b.t.Helper()
	s.SubmittedAt, s.EndedAt = time.Now(), time.Now()
	_, _, err := b.Looked(b.t.Context(), id, s, time.Time{})
	require.NoError(b.t, err)
}

func (b *book) fill(billedSeconds string) *book {
	b.t.Helper()
	made := video.Snapshot{Status: video.Succeeded, VideoURL: "https://results.example/a.mp4?sign=1", Usage: &video.Usage{Duration: decimal.RequireFromString(billedSeconds)}}
	b.end(b.add("failed", "p-1"), video.Snapshot{Status: video.Failed, Failure: &video.Failure{Code: "InternalError", Message: hostile, Advice: "Try again."}})
	saved := b.add("saved", "p-2")
	b.end(saved, made)
	_, err := b.Saved(b.t.Context(), saved, filepath.Join(b.home, "saved.mp4"), nil, time.Time{})
	require.NoError(b.t, err)
	unsaved := b.add("unsaved", "p-3")
	b.end(unsaved, made)
	_, err = b.Saved(b.t.Context(), unsaved, "", fmt.Errorf("the disk is full"), time.Time{})
	require.NoError(b.t, err)
	b.add("in doubt", "")
	b.add("pending", "p-5")
	return b
}

func (b *book) show(env []string, args ...string) string {
	b.t.Helper()
	env = append([]string{"HOME=" + b.home, "DASHSCOPE_REGION=simulator"}, env...)
	stdout, stderr, err := command(b.t, env, "", append([]string{"tasks"}, args...)...)
	require.NoError(b.t, err, stderr)
	require.Empty(b.t, stderr)
	for _, r := range stdout {
		require.True(b.t, r == '\n' || unicode.IsPrint(r), "%U reaches the terminal", r)
	}
	return stdout
}

func TestTasksShowsTheLedgerNewestFirst(t *testing.T) {
	t.Parallel()
	b := newBook(t).fill("4")
	stdout := b.show([]string{"R2V_BUDGET_PER_DAY=10"})
	row := func(what string) string {
		found := regexp.MustCompile(`(?m)^.*` + b.ids[what] + `.*$`).FindString(stdout)
		require.NotEmpty(t, found, stdout)
		return found
	}
	require.Regexp(t, `^`+time.Now().Format("2006-01-")+`\d\d \d\d:\d\d:\d\d  r2v-\w+ +FAILED +wan2.7-r2v +0.4-0.5 USD +- +InternalError: .*end.*Image 1 .*end.$`, row("failed"))
	require.Regexp(t, `SUCCEEDED +wan2.7-r2v +0.4-0.5 USD +0.4 USD +`+regexp.QuoteMeta(b.home)+`/saved.mp4 +Image 1 .*end.$`, row("saved"))
	require.Regexp(t, `SUCCEEDED .* 0.4 USD +not saved: the disk is full; its link lives (23 h 59|24 h 00) min +Image 1 `, row("unsaved"))
	require.Regexp(t, `UNKNOWN .* - +nobody knows yet whether it was bought: it is looked for; do not buy it again +Image 1 `, row("in doubt"))
	require.Regexp(t, `PENDING .* - +- +Image 1 `, row("pending"))
	var order []int
	for _, what := range []string{"pending", "in doubt", "unsaved", "saved", "failed"} {
		order = append(order, strings.Index(stdout, b.ids[what]))
	}
	require.IsIncreasing(t, order)
	require.NotContains(t, stdout, "sign=1", "a link is for who asks for it")

	require.Regexp(t, `(?m)^`+time.Now().Format(time.DateOnly)+` +5 +0.8 +1.8 +USD$`, stdout, "2 of 0.4, and 2 of 0.5 held")
	require.Regexp(t, `(?m)^budget of today: 1.8 of 10 USD used, 8.2 left until \d{4}-\d\d-\d\d 00:00 `, stdout)
	require.Contains(t, stdout, "billed in 7 days: 0.8 USD, above the estimates: 0, below: 0\n", "0.4 is within 0.4 to 0.5")
	require.NotContains(t, stdout, "--limit", "these are all")
}

func TestTasksWarnsOnlyOfBillsThatAreOff(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[string]string{
		"5":    "billed in 7 days: 1 USD, above the estimates: 0, below: 0\n",
		"5.05": "billed in 7 days: 1.01 USD, above the estimates: 0.01, below: 0\n",
		"5.06": "billed in 7 days: 1.012 USD, above the estimates: 0.012, below: 0; WARNING: tasks more than 1 % off: 2: ",
		"3.96": "billed in 7 days: 0.792 USD, above the estimates: 0, below: 0.008\n",
		"3.95": "billed in 7 days: 0.79 USD, above the estimates: 0, below: 0.01; WARNING: tasks more than 1 % off: 2: ",
		"0":    "billed in 7 days: 0 USD, above the estimates: 0, below: 0.8; WARNING: tasks more than 1 % off: 2: ",
	} {
		require.Contains(t, newBook(t).fill(seconds).show(nil), want)
	}
}

func TestBillsThatAreOffDoNotCancelOut(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for what, seconds := range map[string]string{"dear": "6", "cheap": "3", "right": "4.5"} {
		b.end(b.add(what, "p-"+what), video.Snapshot{Status: video.Succeeded, VideoURL: "https://results.example/a.mp4", Usage: &video.Usage{Duration: decimal.RequireFromString(seconds)}})
	}
	require.Contains(t, b.show(nil), "billed in 7 days: 1.35 USD, above the estimates: 0.1, below: 0.1; WARNING: tasks more than 1 % off: 2: compare with the bill")
	var d struct {
		Tasks []struct {
			Cost struct{ Difference json.Number }
		}
		Days []struct {
			Above, Below, Estimated json.Number
			EstimatedLow            json.Number `json:"estimated_low"`
			Missed                  int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(b.show(nil, "--json")), &d))
	require.Equal(t, []json.Number{"0.1", "0.1", "1.2", "1.5"}, []json.Number{d.Days[0].Above, d.Days[0].Below, d.Days[0].EstimatedLow, d.Days[0].Estimated})
	require.Equal(t, 2, d.Days[0].Missed)
	var differences []string
	for _, task := range d.Tasks {
		differences = append(differences, string(task.Cost.Difference))
	}
	require.ElementsMatch(t, []string{"0.1", "-0.1", "0"}, differences)
}

func TestTasksCutsPrompts(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for _, prompt := range []string{strings.Repeat("好", 40), strings.Repeat("坏", 41)} {
		_, _, err := b.Claim(t.Context(), video.Order{Request: video.Request{Prompt: prompt}, Fingerprint: prompt})
		require.NoError(t, err)
	}
	stdout := b.show(nil)
	require.Regexp(t, `(?m)^TIME .* CLIP +PROMPT$`, stdout)
	require.Contains(t, stdout, strings.Repeat("好", 40)+"\n")
	require.Contains(t, stdout, " "+strings.Repeat("坏", 39)+"…\n")
}

func TestTasksAsJSON(t *testing.T) {
	t.Parallel()
	b := newBook(t).fill("4")
	stdout := b.show([]string{"R2V_BUDGET_PER_DAY=10"}, "--json")
	var d struct {
		Tasks []struct {
			TaskID    string `json:"task_id"`
			Status    string
			Prompt    string
			CreatedAt time.Time `json:"created_at"`
			Charged   string
			Cost      struct {
				Estimated          struct{ Low, High json.Number }
				Billed, Difference json.Number
				Currency           string
			}
			VideoURL  string `json:"video_url"`
			SavedTo   string `json:"saved_to"`
			SaveError string `json:"save_error"`
			Error     *struct{ Code, Message string }
		}
		Days []struct {
			Date, Currency          string
			Tasks                   int
			Used, Billed, Estimated json.Number
		}
		Budget *struct {
			PerDay     json.Number `json:"per_day"`
			Used, Left json.Number
			Currency   string
			ResetsAt   time.Time `json:"resets_at"`
		}
	}
	decoder := json.NewDecoder(strings.NewReader(stdout))
	require.NoError(t, decoder.Decode(&d))
	require.False(t, decoder.More(), "one document")
	require.Len(t, d.Tasks, 5)
	pending, doubt, unsaved, saved, failed := d.Tasks[0], d.Tasks[1], d.Tasks[2], d.Tasks[3], d.Tasks[4]
	require.Equal(t, b.ids["pending"], pending.TaskID)
	require.Equal(t, "Image 1 "+strings.ToValidUTF8(hostile, "\ufffd"), pending.Prompt, "escaped, and all there")
	require.Equal(t, "no", pending.Charged)
	require.Empty(t, pending.Cost.Billed)
	require.Equal(t, "unknown", doubt.Charged)
	require.Equal(t, "the disk is full", unsaved.SaveError)
	require.Equal(t, "https://results.example/a.mp4?sign=1", unsaved.VideoURL)
	require.Equal(t, filepath.Join(b.home, "saved.mp4"), saved.SavedTo)
	require.Equal(t, []json.Number{"0.4", "0.5", "0.4", "0"}, []json.Number{saved.Cost.Estimated.Low, saved.Cost.Estimated.High, saved.Cost.Billed, saved.Cost.Difference})
	require.Equal(t, "USD", saved.Cost.Currency)
	require.Equal(t, "InternalError", failed.Error.Code)
	require.Regexp(t, `"created_at": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`, stdout)
	require.Len(t, d.Days, 1)
	require.Equal(t, []json.Number{"1.8", "0.8", "1"}, []json.Number{d.Days[0].Used, d.Days[0].Billed, d.Days[0].Estimated})
	require.Equal(t, 5, d.Days[0].Tasks)
	require.Equal(t, []json.Number{"10", "1.8", "8.2"}, []json.Number{d.Budget.PerDay, d.Budget.Used, d.Budget.Left})
	require.WithinRange(t, d.Budget.ResetsAt, time.Now(), time.Now().Add(25*time.Hour))
	require.Contains(t, b.show(nil, "--json"), `"budget": null`)
}

// Without a rate there is what the service holds, and then what it bills; a bill that was not estimated is not off.
func TestTasksWithoutARate(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	bill := decimal.RequireFromString("3.4")
	b.end(b.unpriced("billed", "p-1"), video.Snapshot{Status: video.Succeeded, VideoURL: "https://results.example/a.mp4", Bill: &bill})
	b.unpriced("open", "p-2")
	shown := b.show(nil)
	require.Regexp(t, `PENDING +wan2.6-r2v +63.24 credits held +- `, shown)
	require.Regexp(t, `SUCCEEDED +wan2.6-r2v +- +3.4 credits `, shown)
	require.Regexp(t, ` 2 +3.4 +66.64 +credits`, shown)
	require.NotContains(t, shown, "WARNING")
	var d struct {
		Tasks []struct{ Cost json.RawMessage }
	}
	require.NoError(t, json.Unmarshal([]byte(b.show(nil, "--json")), &d))
	require.JSONEq(t, `{"held": 63.24, "currency": "credits"}`, string(d.Tasks[0].Cost))
	require.JSONEq(t, `{"billed": 3.4, "currency": "credits"}`, string(d.Tasks[1].Cost))
}

func TestTasksCanBeFilteredAndCounted(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	for i := range 22 {
		b.add(fmt.Sprint("task ", i), fmt.Sprint("p-", i))
	}
	b.end(b.ids["task 0"], video.Snapshot{Status: video.Canceled})
	for args, want := range map[string]int{"": 20, "--limit 0": 22, "--limit 3": 3, "--limit 1000000000": 22, "--status pending": 20, "--limit 0 --status PENDING": 21, "--status CANCELED": 1} {
		require.Equal(t, want, strings.Count(b.show(nil, strings.Fields(args)...), "r2v-"), args)
	}
	for args, want := range map[string]string{"": "\n20 of 22 tasks; --limit 0 shows all\n", "--limit 3 --status PENDING": "\n3 of 21 PENDING tasks; --limit 0 shows all\n"} {
		require.Contains(t, b.show(nil, strings.Fields(args)...), want)
	}
	for _, args := range []string{"--limit 0", "--limit 22", "--status CANCELED"} {
		require.NotContains(t, b.show(nil, strings.Fields(args)...), "shows all")
	}
	require.Contains(t, b.show(nil, "--status", "FAILED"), "There is no FAILED task in "+filepath.Join(dataDir(b.home), "ledger.db"))
	for args, want := range map[string]string{"--status DONE": `--status: "DONE" is not one of PENDING, RUNNING`, "--limit -1": "--limit: -1 is below 0", "--limit x": "--limit", "now": "unknown command"} {
		_, stderr, err := command(t, []string{"HOME=" + b.home}, "", append([]string{"tasks"}, strings.Fields(args)...)...)
		require.Equal(t, 1, exitOf(t, err))
		require.Contains(t, stderr, want)
	}
}

func TestTasksWithoutALedger(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	require.Equal(t, "There is no ledger yet: "+filepath.Join(dataDir(b.home), "ledger.db")+" is made with the first purchase.\n", b.show(nil))
	require.JSONEq(t, `{"tasks": [], "days": [], "budget": null}`, b.show(nil, "--json"))
	require.Contains(t, b.show([]string{"R2V_BUDGET_PER_DAY=2.50"}), "\nbudget of today: 0 of 2.5 USD used, 2.5 left until ")
	stdout, stderr, err := command(t, []string{"DASHSCOPE_REGION=simulator"}, "", "tasks")
	require.NoError(t, err, stderr)
	require.Equal(t, "There is no ledger: no folder for user data is known here. Set R2V_DATA_DIR to the one that the server uses.\n", stdout)
	left, err := os.ReadDir(b.home)
	require.NoError(t, err)
	require.Empty(t, left, "no file is made by looking")
}

func TestTasksOfABrokenLedgerSaysWhatToDo(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	require.NoError(t, os.MkdirAll(dataDir(b.home), 0o700))
	path := filepath.Join(dataDir(b.home), "ledger.db")
	require.NoError(t, os.WriteFile(path, []byte("my diary, page one"), 0o600))
	for _, args := range [][]string{{"tasks"}, {"tasks", "--json"}, {"track"}} {
		stdout, stderr, err := command(t, []string{"HOME=" + b.home, "DASHSCOPE_REGION=simulator"}, "", args...)
		require.Equal(t, 1, exitOf(t, err))
		require.Empty(t, stdout)
		require.Contains(t, stderr, "it is no ledger of r2v-mcp, or it is damaged")
		require.Contains(t, stderr, "Nothing was overwritten.")
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "my diary, page one", string(text))
}

func TestTasksOfSeveralPeople(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.owner = "anna"
	b.add("first", "p-1")
	require.NotContains(t, b.show(nil), "OWNER", "one person is no column")
	b.end(b.ids["first"], video.Snapshot{Status: video.Succeeded, VideoURL: "https://results.example/a.mp4", Usage: &video.Usage{Duration: decimal.NewFromInt(4)}})
	b.owner = hostile
	b.add("second", "p-2")
	b.owner = ""
	b.add("third", "p-3")
	budgets := []string{"R2V_BUDGET_PER_DAY=10"}
	stdout := b.show(budgets)
	require.Regexp(t, `(?m)^TIME +TASK +OWNER +STATUS `, stdout)
	require.Regexp(t, `(?m)^.*`+b.ids["first"]+` +anna +SUCCEEDED `, stdout)
	require.Regexp(t, `(?m)^.*`+b.ids["third"]+` +- +PENDING `, stdout)
	require.Regexp(t, `(?m)^in 7 days, by person:\nOWNER +TASKS +BILLED +BILLED AND HELD +OF TODAY +CURRENCY\n`, stdout)
	require.Regexp(t, `(?m)^anna +1 +0.4 +0.4 +0.4 +USD$`, stdout)
	require.Regexp(t, `(?m)^- +1 +0 +0.5 +0.5 +USD$`, stdout)
	require.Regexp(t, `(?m)^budget of today: 1.4 of 10 USD used, `, stdout)

	stdout = b.show(budgets, "--owner", "anna")
	require.Equal(t, 1, strings.Count(stdout, "r2v-"))
	require.Contains(t, stdout, b.ids["first"])
	require.Regexp(t, `(?m)^\d{4}-\d\d-\d\d +3 +0.4 +1.4 +USD$`, stdout, "the days are of all")
	require.Contains(t, b.show(nil, "--owner="), b.ids["third"])
	require.Contains(t, b.show(nil, "--owner", "bob"), "There is no task of bob in ")

	var d struct {
		Tasks []struct{ Owner string }
		Days  []struct {
			People []struct {
				Owner        string
				Tasks        int
				Used, Billed json.Number
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(b.show(nil, "--json")), &d))
	require.Equal(t, "anna", d.Tasks[2].Owner)
	require.Len(t, d.Days[0].People, 3)
	require.Equal(t, "anna 1 0.4 0.4", fmt.Sprint(d.Days[0].People[2].Owner, " ", d.Days[0].People[2].Tasks, " ", d.Days[0].People[2].Used, " ", d.Days[0].People[2].Billed))
}
