package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"r2v-mcp/internal/video"
	"r2v-mcp/schema"
)

const (
	// defaultPage and longestPage bound a list: a model reads all of it, and somebody pays for that too.
	defaultPage, longestPage = 10, 50
	// shownPrompt is how many characters of a prompt tell it from others.
	shownPrompt = 80
)

type listTasksArguments struct {
	Status string `json:"status,omitempty" catalogue:"statuses"`
	Limit  *int   `json:"limit,omitempty" jsonschema_description:"Default {default_page}, max {longest_page}"`
	Cursor string `json:"cursor,omitempty" jsonschema_description:"next_cursor of the page before"`
}

type listAnswer struct {
	Tasks      []listedTask `json:"tasks"`
	NextCursor string       `json:"next_cursor,omitempty"`
	NextStep   string       `json:"next_step"`
}

// listedTask is a task in as few bytes as tell what it is, what it cost and where its clip is.
type listedTask struct {
	TaskID         string      `json:"task_id"`
	ProviderTaskID string      `json:"provider_task_id,omitempty"`
	Status         string      `json:"status" catalogue:"statuses"`
	Model          string      `json:"model,omitempty"`
	Prompt         string      `json:"prompt,omitempty" jsonschema_description:"Its beginning"`
	CreatedAt      time.Time   `json:"created_at"`
	EndedAt        time.Time   `json:"ended_at,omitzero"`
	Cost           *listedCost `json:"cost,omitempty"`
	Charged        string      `json:"charged" catalogue:"charged"`
	SavedTo        string      `json:"saved_to,omitempty"`
	VideoURL       string      `json:"video_url,omitempty" jsonschema_description:"While the clip is not saved"`
	VideoExpiresAt time.Time   `json:"video_url_expires_at,omitzero"`
	ErrorCode      string      `json:"error_code,omitempty"`
	Warnings       []string    `json:"warnings,omitempty"`
}

// listedCost is flatter than what get_task says: deep schemas are cut by some clients.
type listedCost struct {
	EstimatedHigh json.Number `json:"estimated_high,omitempty"`
	Held          json.Number `json:"held,omitempty"`
	Billed        json.Number `json:"billed,omitempty"`
	Difference    json.Number `json:"difference,omitempty" jsonschema_description:"Of billed from the nearest end of the estimate, unless 0"`
	Currency      string      `json:"currency"`
}

func (s *Set) list(ctx context.Context, in listTasksArguments, problems []video.Problem, _ mcp.CallToolRequest) (*listAnswer, error) {
	f, wrong := in.filter()
	f.Owner = s.owner(ctx)
	if problems = append(problems, wrong...); len(problems) > 0 {
		return nil, &refusal{what: "No tasks were listed.", problems: problems, charged: video.NotCharged, next: "Correct the arguments and call list_tasks again; all of them may be left out."}
	}
	tasks, next, err := s.Tasks.List(ctx, f)
	if err != nil {
		return nil, s.refuse("No tasks were listed.", err)
	}
	out := &listAnswer{Tasks: []listedTask{}, NextCursor: next, NextStep: afterList(f, len(tasks), next)}
	for i := range tasks {
		out.Tasks = append(out.Tasks, s.asListed(ctx, &tasks[i]))
	}
	return out, nil
}

// filter reads what is to be listed. More than a page is a page, as more than the longest wait is that wait; what means
// nothing is refused.
func (in *listTasksArguments) filter() (video.Filter, []video.Problem) {
	var problems []video.Problem
	f := video.Filter{Status: video.Status(strings.ToUpper(strings.TrimSpace(in.Status))), Limit: defaultPage, Cursor: strings.TrimSpace(in.Cursor)}
	if f.Status != "" && !slices.Contains(video.Statuses(), f.Status) {
		var known []string
		for _, status := range video.Statuses() {
			known = append(known, string(status))
		}
		problems = append(problems, video.Problem{Field: "status", Wrong: cut(strconv.Quote(in.Status), shownPrompt) + " is no status", Allowed: strings.Join(known, ", ") + ", or left out for all"})
	}
	if in.Limit != nil {
		f.Limit = min(*in.Limit, longestPage)
	}
	if f.Limit < 1 {
		problems = append(problems, video.Problem{Field: "limit", Wrong: fmt.Sprintf("there is no page of %d tasks", f.Limit), Allowed: fmt.Sprintf("1 to %d", longestPage)})
	}
	return f, problems
}

// afterList is what to do after a page, from a fixed set of sentences.
func afterList(f video.Filter, listed int, next string) string {
	switch {
	case next != "":
		return "There are older tasks: call list_tasks again with cursor = next_cursor, all else unchanged. get_task tells all about one task."
	case listed > 0:
		return "There are no older tasks. get_task tells all about one task, and its newest state."
	case f.Cursor != "":
		return "There are no older tasks: this was the end of the list."
	case f.Status != "":
		return fmt.Sprintf("No task is %s: call list_tasks without status for all.", f.Status)
	}
	return "No clip was ever ordered here: call estimate_cost, then generate_r2v. For a task made elsewhere, call get_task with its provider_task_id."
}

func (s *Set) asListed(ctx context.Context, t *video.Task) listedTask {
	clip := s.clipOf(ctx, t)
	out := listedTask{
		TaskID: t.ID, ProviderTaskID: t.ProviderTaskID, Status: string(t.Status), Model: t.Request.Model, Prompt: cut(t.Request.Prompt, shownPrompt),
		CreatedAt: stamp(t.CreatedAt), EndedAt: stamp(t.EndedAt), Charged: string(t.Charged()), SavedTo: clip.savedTo, Warnings: s.taskWarnings(t, clip),
	}
	if cost := s.asTaskCost(t); cost != nil {
		out.Cost = &listedCost{Held: cost.Held, Billed: cost.Billed, Currency: cost.Currency}
		if cost.Estimated != nil {
			out.Cost.EstimatedHigh = cost.Estimated.High
		}
		if cost.Difference != "0" {
			out.Cost.Difference = cost.Difference
		}
	}
	if linked := t.VideoURL != clip.url; linked || (clip.savedTo == "" || clip.stored()) && !dead(t) { // who has the file needs no link to the service's
		out.VideoURL = clip.url
		if clip.url != "" {
			out.VideoExpiresAt = stamp(clip.expires)
		}
	}
	if t.Failure != nil {
		out.ErrorCode = t.Failure.Code
	}
	if t.Trouble != nil {
		out.Warnings = append(out.Warnings, "this may not be the newest state: "+t.Trouble.Code)
	}
	return out
}

// cut shortens a text to so many characters, and says so.
func cut(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

func (s *Set) listTasks() (server.ServerTool, error) {
	arguments, err := schema.Arguments[listTasksArguments](s.Catalogue, "default_page", strconv.Itoa(defaultPage), "longest_page", strconv.Itoa(longestPage))
	if err != nil {
		return server.ServerTool{}, err
	}
	clips := "saved_to"
	if s.HidePaths {
		clips = "video_url"
	}
	return declare(s, declaration{
		name: "list_tasks", title: "List video clips",
		description: "Lists tasks, newest first, with status, cost and " + clips + ". Free. Finds a lost task_id.",
		readOnly:    true, idempotent: true,
	}, arguments, s.list)
}
