package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

func (t *trial) run(ctx context.Context, arguments map[string]any) error {
	var estimate struct {
		Cost     struct{ Low, High, Currency json.RawMessage } // empty where no rate is known
		Problems []struct{ Field, Problem, Allowed string }
		Seconds  struct {
			Total struct{ Low, High json.RawMessage }
		} `json:"billable_seconds"`
	}
	if err := t.call(ctx, "estimate_cost", arguments, &estimate); err != nil {
		return err
	}
	for _, p := range estimate.Problems {
		fmt.Fprintf(t.stdout, "problem: %s: %s; allowed: %s\n", p.Field, p.Problem, p.Allowed)
	}
	if len(estimate.Problems) > 0 {
		return errors.New("this request would be refused; nothing was bought")
	}
	seconds := span(estimate.Seconds.Total.Low, estimate.Seconds.Total.High) + " billable seconds"
	price, warning := noRate, "a clip of "+seconds+" for real money; no rate is known, so nobody can say how much."
	if known(estimate.Cost.High) {
		price = span(estimate.Cost.Low, estimate.Cost.High) + " " + unquote(estimate.Cost.Currency)
		warning = "a clip for " + price + " of real money."
		arguments["max_cost"] = estimate.Cost.High
	}
	fmt.Fprintf(t.stdout, "estimate_cost  %s for %s\n", price, seconds)
	if t.live && !t.confirmed(warning) {
		return errors.New("not confirmed; nothing was bought")
	}
	var created struct {
		TaskID  string `json:"task_id"`
		Charged string
	}
	if err := t.call(ctx, "generate_r2v", arguments, &created); err != nil {
		return err
	}
	fmt.Fprintf(t.stdout, "generate_r2v   %s\n", created.TaskID)
	return t.follow(ctx, created.TaskID, price)
}

// noRate stands for a price where the catalogue has none.
const noRate = "no known rate"

// known tells an amount from one that is not there.
func known(amount json.RawMessage) bool { return len(amount) > 0 && string(amount) != "null" }

// usual is about how long a clip takes.
func (t *trial) usual() time.Duration {
	if t.live {
		return usualClip
	}
	return usualClip / simulatedSpeed
}

func (t *trial) confirmed(warning string) bool {
	fmt.Fprintf(t.stdout, "This buys %s Buy it? [y/N] ", warning)
	answer, _ := bufio.NewReader(t.stdin).ReadString('\n')
	return strings.EqualFold(strings.TrimSpace(answer), "y")
}

func (t *trial) follow(ctx context.Context, id, price string) error {
	line := newStatusLine(t.stdout, t.usual())
	for start := time.Now(); ; {
		var task struct {
			Status    string
			SavedTo   string `json:"saved_to"`
			VideoURL  string `json:"video_url"`
			PollAfter int    `json:"poll_after_seconds"` // above 0 while the clip is still being saved
			Cost      struct{ Billed, Currency json.RawMessage }
			Error     struct{ Code, Message, Advice string }
			Warnings  []string
		}
		if err := t.call(ctx, "get_task", map[string]any{"task_id": id, "wait_seconds": 1}, &task); err != nil {
			return err
		}
		line.show(task.Status, time.Since(start))
		switch task.Status {
		case "PENDING", "RUNNING":
			continue
		case "SUCCEEDED":
			if task.PollAfter > 0 && len(task.Warnings) == 0 {
				continue
			}
			line.done()
			for _, w := range task.Warnings {
				fmt.Fprintln(t.stdout, "warning:", w)
			}
			fmt.Fprintf(t.stdout, "saved          %s\n", orElse(task.SavedTo, "nothing; the link is "+task.VideoURL))
			billed := "unknown"
			if known(task.Cost.Billed) {
				billed = string(task.Cost.Billed)
			}
			fmt.Fprintf(t.stdout, "estimated      %s\nbilled         %s %s\n", price, billed, unquote(task.Cost.Currency))
			return nil
		default:
			line.done()
			return fmt.Errorf("the task ended as %s: %s: %s; %s", task.Status, task.Error.Code, task.Error.Message, task.Error.Advice)
		}
	}
}

// call calls a tool and reads its structured answer.
func (t *trial) call(ctx context.Context, tool string, arguments map[string]any, into any) error {
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.Arguments = tool, arguments
	result, err := t.client.CallTool(ctx, req)
	if err != nil {
		return fmt.Errorf("%s: %w", tool, err)
	}
	if result.IsError {
		return fmt.Errorf("%s: %s", tool, textOf(result))
	}
	return json.Unmarshal([]byte(textOf(result)), into)
}

func textOf(result *mcp.CallToolResult) string {
	for _, c := range result.Content {
		if text, ok := c.(mcp.TextContent); ok {
			return text.Text
		}
	}
	return ""
}

func span(low, high json.RawMessage) string {
	if string(low) == string(high) {
		return string(low)
	}
	return string(low) + " to " + string(high)
}

func unquote(raw json.RawMessage) string { return strings.Trim(string(raw), `"`) }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
