package ledger_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

//go:generate go test -run ^TestStates$ -update .

var update = flag.Bool("update", false, "write the generated part of docs/states.md anew")

// subject is a task that is driven through the states: its order, and the id that its purchase finds.
type subject struct {
	order video.Order
	theirs,
	id string
}

// step changes a task.
type step struct {
	name string
	do   func(t *testing.T, l *ledger.Ledger, s subject) error
}

// state is a state as a reader knows it, and the steps that lead to it.
type state struct {
	name string
	way  []string
}

func last[T any](_ T, err error) error { return err }

func second[T, U any](_ T, _ U, err error) error { return err }

func looked(s video.Snapshot) func(t *testing.T, l *ledger.Ledger, task subject) error {
	return func(t *testing.T, l *ledger.Ledger, task subject) error {
		return last(seen(l.Looked(t.Context(), task.id, s, time.Time{})))
	}
}

func notBought(c video.Charged) func(t *testing.T, l *ledger.Ledger, s subject) error {
	return func(t *testing.T, l *ledger.Ledger, s subject) error {
		task, err := l.Task(t.Context(), s.id)
		require.NoError(t, err)
		return last(l.NotBought(t.Context(), task, &video.Error{Charged: c}))
	}
}

// steps lists every change that a ledger makes of a task.
func steps() []step {
	return []step{
		{"claimed again by its key", func(t *testing.T, l *ledger.Ledger, s subject) error { return second(l.Claim(t.Context(), s.order)) }},
		{"bought: answered with an id", func(t *testing.T, l *ledger.Ledger, s subject) error {
			return last(l.Bought(t.Context(), s.id, s.theirs, false))
		}},
		{"bought: an id is found", func(t *testing.T, l *ledger.Ledger, s subject) error {
			return last(l.Bought(t.Context(), s.id, s.theirs, true))
		}},
		{"not bought", notBought(video.NotCharged)},
		{"nobody can tell", notBought(video.ChargedUnknown)},
		{"interrupted", func(t *testing.T, l *ledger.Ledger, _ subject) error {
			time.Sleep(time.Minute)
			return last(l.Interrupted(t.Context()))
		}},
		{"looked: PENDING", looked(video.Snapshot{Status: video.Pending})},
		{"looked: RUNNING", looked(video.Snapshot{Status: video.Running})},
		{"looked: SUCCEEDED, no link", looked(video.Snapshot{Status: video.Succeeded})},
		{"looked: SUCCEEDED", looked(video.Snapshot{Status: video.Succeeded, VideoURL: "https://media.example/a.mp4", Usage: seconds("3.5")})},
		{"looked: FAILED", looked(video.Snapshot{Status: video.Failed})},
		{"looked: CANCELED", looked(video.Snapshot{Status: video.Canceled})},
		{"looked: UNKNOWN", looked(video.Snapshot{Status: video.Unknown})},
		{"relinked", func(t *testing.T, l *ledger.Ledger, s subject) error {
			return last(l.Relinked(t.Context(), s.id, "https://media.example/b.mp4"))
		}},
		{"saved", func(t *testing.T, l *ledger.Ledger, s subject) error {
			return last(l.Saved(t.Context(), s.id, "a.mp4", nil, time.Time{}))
		}},
		{"not saved", func(t *testing.T, l *ledger.Ledger, s subject) error {
			return last(l.Saved(t.Context(), s.id, "", errors.New("the link is dead"), time.Time{}))
		}},
		{"disowned", func(t *testing.T, l *ledger.Ledger, s subject) error {
			return last(l.Disowned(t.Context(), s.id, s.theirs))
		}},
		{"another is answered with its id", func(t *testing.T, l *ledger.Ledger, s subject) error {
			bought(t, l, order("another of "+s.theirs, ""), s.theirs)
			return nil
		}},
	}
}

// states lists the states in the order of a task's life. Ids are found, so that they may be given up again.
func states() []state {
	const found = "bought: an id is found"
	return []state{
		{"claimed", nil},
		{"in doubt", []string{"nobody can tell"}},
		{"refused", []string{"not bought"}},
		{"open (PENDING)", []string{found}},
		{"open (RUNNING)", []string{found, "looked: RUNNING"}},
		{"made without a link", []string{found, "looked: SUCCEEDED, no link"}},
		{"made", []string{found, "looked: SUCCEEDED"}},
		{"saved", []string{found, "looked: SUCCEEDED", "saved"}},
		{"failed", []string{found, "looked: FAILED"}},
		{"cancelled", []string{found, "looked: CANCELED"}},
		{"forgotten", []string{found, "looked: UNKNOWN"}},
	}
}

// nameOf is the state of a task, as a reader knows it.
func nameOf(t *video.Task) string {
	bought := t.ProviderTaskID != ""
	switch {
	case t.Linkless():
		return "made without a link"
	case t.SavedTo != "":
		return "saved"
	}
	switch t.Status {
	case video.Pending, video.Running:
		if !bought {
			return "claimed"
		}
		return "open (" + string(t.Status) + ")"
	case video.Succeeded:
		return "made"
	case video.Canceled:
		return "cancelled"
	case video.Failed:
		return map[bool]string{true: "failed", false: "refused"}[bought]
	default:
		return map[bool]string{true: "forgotten", false: "in doubt"}[bought]
	}
}

// drive brings a new task to a state.
func drive(t *testing.T, l *ledger.Ledger, to state, name string) subject {
	s := subject{order: order(name, name), theirs: "theirs-" + name}
	s.order.Estimate.Currency = name // a budget of its own
	s.order.CallbackURL = receiver
	task, claimed, err := l.Claim(t.Context(), s.order)
	require.NoError(t, err)
	require.True(t, claimed)
	s.id = task.ID
	for _, way := range to.way {
		for _, step := range steps() {
			if step.name == way {
				require.NoError(t, step.do(t, l, s))
			}
		}
	}
	now, err := l.Task(t.Context(), s.id)
	require.NoError(t, err)
	require.Equal(t, to.name, nameOf(&now))
	return s
}

// The matrix in docs/states.md is made by driving a ledger through every change from every state.
func TestStates(t *testing.T) {
	const path = "../../docs/states.md"
	var table strings.Builder
	synctest.Test(t, func(t *testing.T) {
		l := perDay(t, onSQLite(t, ledger.Options{}), "1000", time.UTC)
		writeMoney(t, l, &table)
		writeMatrix(t, l, &table)
	})
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	part := regexp.MustCompile(`(?s)(<!-- generated: states -->\n).*?(<!-- end -->)`)
	require.Len(t, part.FindAll(text, -1), 1)
	want := part.ReplaceAll(text, []byte("${1}"+table.String()+"${2}"))
	if *update && !bytes.Equal(text, want) {
		require.NoError(t, os.WriteFile(path, want, 0o644))
		text = want
	}
	require.Equal(t, string(want), string(text), "run: go generate ./...")
}

func writeMoney(t *testing.T, l *ledger.Ledger, out *strings.Builder) {
	out.WriteString("\n| state | `status` | `charged` | held of the budget | `callback_url` is called |\n|---|---|---|---|---|\n")
	for i, state := range states() {
		s := drive(t, l, state, "money"+strconv.Itoa(i))
		task, err := l.Task(t.Context(), s.id)
		require.NoError(t, err)
		b, err := l.Budget(t.Context(), "", s.order.Estimate.Currency)
		require.NoError(t, err)
		held := b.Used.String()
		switch held {
		case "0":
			held = "nothing"
		case "0.4":
			held = "the highest estimate"
		case "0.35":
			held = "the bill"
		}
		out.WriteString("| " + state.name + " | `" + string(task.Status) + "` | `" + string(task.Charged()) + "` | " + held + " | " + called(t, l, s, state) + " |\n")
	}
}

// called is when who has asked for it is told that a task has come to a state.
func called(t *testing.T, l *ledger.Ledger, s subject, to state) string {
	task, err := l.Task(t.Context(), s.id)
	require.NoError(t, err)
	switch {
	case to.name == "refused":
		require.True(t, task.Callback.NextAt.IsZero())
		return "if it was in doubt before, or the call had been answered"
	case task.Callback.NextAt.IsZero():
		time.Sleep(video.Lifetime)
		require.NoError(t, l.CallLost(t.Context()))
		task, err = l.Task(t.Context(), s.id)
		require.NoError(t, err)
		return map[bool]string{true: "no", false: "after a day"}[task.Callback.NextAt.IsZero()]
	}
	require.False(t, task.Callback.NextAt.After(time.Now()))
	if to.name == "made" { // here nobody is to save it
		return "when it is saved, or could not be, or after a minute"
	}
	return "yes"
}

func writeMatrix(t *testing.T, l *ledger.Ledger, out *strings.Builder) {
	out.WriteString("\n| change |")
	for _, state := range states() {
		out.WriteString(" " + state.name + " |")
	}
	out.WriteString("\n|---|" + strings.Repeat("---|", len(states())) + "\n")
	for i, step := range steps() {
		out.WriteString("| " + step.name + " |")
		for j, state := range states() {
			s := drive(t, l, state, "cell"+strconv.Itoa(100*i+j))
			before, err := l.Task(t.Context(), s.id)
			require.NoError(t, err)
			time.Sleep(time.Millisecond) // so that every change shows
			err = step.do(t, l, s)
			after, gone := l.Task(t.Context(), s.id)
			require.NoError(t, gone)
			cell := nameOf(&after)
			if assert.ObjectsAreEqual(before, after) {
				cell = "–"
			} else {
				require.NoError(t, err)
			}
			out.WriteString(" " + cell + " |")
		}
		out.WriteString("\n")
	}
}
