package tools

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"r2v-mcp/internal/video"
	"r2v-mcp/schema"
)

// maxArguments bounds the arguments of one call in bytes; pictures may come as base64, five of up to 20 MB each.
const maxArguments = 160 << 20

// Call is what became of one call of a tool.
type Call struct {
	Tool    string
	TaskID  string // ours, of the task that the answer is about; empty where it is about none
	Outcome string // "ok"; "refused" where the answer says no; "failed" where that is the server's own fault: a crash, or its ledger
	Code    string // of the error that the answer tells, such as "LedgerUnavailable"; empty where it tells none
	Err     error  // of a failed call: what the operator is to know. It holds no prompt and no link
	Took    time.Duration
}

// refusal is an answer that says no, in full: clients show a model nothing but its text.
type refusal struct {
	what     string          // what is wrong, in a sentence
	problems []video.Problem // each with what would be right
	charged  video.Charged
	next     string // what to do now
	cause    error  // nil where the arguments are
	task     string // our id of the task that it is about, empty for none
}

func (r *refusal) Unwrap() error { return r.cause }

func (r *refusal) Error() string {
	var b strings.Builder
	b.WriteString(r.what)
	for _, p := range r.problems {
		b.WriteString("\n- " + p.String())
	}
	fmt.Fprintf(&b, "\ncharged: %s\nnext_step: %s", r.charged, r.next)
	return b.String()
}

// function is what a tool does, once its arguments are read: problems are those that reading them found.
type function[In, Out any] func(ctx context.Context, in In, problems []video.Problem, req mcp.CallToolRequest) (*Out, error)

// handler turns a typed function into what the MCP library calls. It reads the arguments, and answers with structured
// content and the same as text; a refusal or a panic becomes a tool error whose text is complete.
func handler[In, Out any](s *Set, tool string, do function[In, Out]) server.ToolHandlerFunc {
	return func(ctx context.Context, req mcp.CallToolRequest) (result *mcp.CallToolResult, err error) {
		call, began := Call{Tool: tool, Outcome: outcomeFailed}, time.Now()
		defer func() {
			if recover() != nil {
				place := panickedIn()
				result, err = mcp.NewToolResultError(panicked(place)), nil
				call.Err = errors.New("it panicked in " + place)
			}
			if s.Called != nil {
				call.Took = time.Since(began)
				s.Called(ctx, call)
			}
		}()
		out, err := read(ctx, req, do)
		if err != nil {
			call.refused(err)
			return mcp.NewToolResultError(err.Error()), nil
		}
		if result, err = answered(out); err == nil {
			call.Outcome = outcomeOK
		} else {
			call.Err = errors.New("its answer is no JSON") // whose own words may repeat it
		}
		if about, ok := any(out).(interface{ about() string }); ok {
			call.TaskID = about.about()
		}
		return result, err
	}
}

const outcomeOK, outcomeRefused, outcomeFailed = "ok", "refused", "failed"

// refused notes why a call was refused.
func (c *Call) refused(err error) {
	c.Outcome = outcomeRefused
	known, ok := errors.AsType[*video.Error](err)
	if ok {
		c.Code = known.Code
	}
	if ok && ofLedger(known) {
		c.Outcome, c.Err = outcomeFailed, uncovered(known, err)
	}
	if no, ok := errors.AsType[*refusal](err); ok {
		c.TaskID = no.task
	}
}

// read reads the arguments of a call and does what it asks for.
func read[In, Out any](ctx context.Context, req mcp.CallToolRequest, do function[In, Out]) (*Out, error) {
	raw, err := rawArguments(req)
	if err != nil {
		return nil, err
	}
	in, problems := schema.Read[In](raw)
	return do(ctx, in, problems, req)
}

// answered gives an answer as structured content and as the same JSON in text. The text is read as it is, so the & of a
// link must not be written as an escape, which the library's own function does.
func answered(out any) (*mcp.CallToolResult, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		return nil, fmt.Errorf("write the answer: %w", err)
	}
	written := bytes.TrimSuffix(text.Bytes(), []byte("\n"))
	return &mcp.CallToolResult{
		Content:           []mcp.Content{mcp.NewTextContent(string(written))},
		StructuredContent: json.RawMessage(written), // not encoded a second time
	}, nil
}

func rawArguments(req mcp.CallToolRequest) ([]byte, error) {
	raw := []byte(req.Params.RawArguments)
	if raw == nil && req.Params.Arguments != nil { // an in-process client hands over values
		var err error
		if raw, err = json.Marshal(req.Params.Arguments); err != nil {
			return nil, &refusal{what: "The arguments are no JSON.", charged: video.NotCharged, next: "Send the arguments as one JSON object."}
		}
	}
	if len(raw) > maxArguments {
		return nil, &refusal{
			what:    fmt.Sprintf("The arguments have %d bytes; at most %d are read.", len(raw), maxArguments),
			charged: video.NotCharged, next: "Give large media as addresses.",
		}
	}
	return raw, nil
}

// panickedIn is where a panic was. Its own text may hold anything, so only the place is told.
func panickedIn() string {
	place := "unknown"
	for line := range strings.Lines(string(debug.Stack())) {
		if name, found := strings.CutPrefix(line, "r2v-mcp/"); found && !strings.Contains(line, "tools.panickedIn") && !strings.Contains(line, "tools.handler") {
			place, _, _ = strings.Cut(name, "(")
			break
		}
	}
	return place
}

// panicked keeps the caller of a broken tool informed.
func panicked(place string) string {
	return (&refusal{
		what: "Internal error in " + place + ": this is a bug of r2v-mcp.", charged: video.ChargedUnknown,
		next: "Do not repeat a purchase; ask get_task about any task_id you have, and report the bug.",
	}).Error()
}

// answers are the schemas of the answers: they follow from the structs alone, so they are made by go test ./tools -update, and
// read at every start, which waits for it.
//
//go:embed answers/*.json
var answers embed.FS

// declare makes a tool of its parts. Every hint is given: what is left out counts as dangerous.
func declare[In, Out any](s *Set, d declaration, arguments json.RawMessage, do function[In, Out]) (server.ServerTool, error) {
	answer, err := answers.ReadFile("answers/" + d.name + ".json")
	if err != nil {
		return server.ServerTool{}, err
	}
	return server.ServerTool{
		Tool: mcp.Tool{
			Name: d.name, Title: d.title, Description: d.description,
			RawInputSchema: arguments, RawOutputSchema: answer,
			Annotations: mcp.ToolAnnotation{
				ReadOnlyHint: &d.readOnly, DestructiveHint: &d.destructive,
				IdempotentHint: &d.idempotent, OpenWorldHint: &d.openWorld,
			},
		},
		Handler: handler(s, d.name, do),
	}, nil
}

type declaration struct {
	name, title, description                     string
	readOnly, destructive, idempotent, openWorld bool
}
