package page

import (
	"strconv"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"r2v-mcp/internal/video"
)

// taskItem is a task in the list: its stage, where the clip plays, and what there is to say of it.
func taskItem(e entry) g.Node {
	return h.Li(h.Class("task"), h.ID("task-"+e.ID), h.Data("task", e.ID), h.Data("status", e.Status), g.If(e.Live, g.Attr("data-live")),
		h.Article(named(e),
			h.Div(h.Class("stage"), onStage(e)),
			h.Div(h.Class("words"),
				h.P(h.Class("line"), h.Span(h.Class("state"), h.Data("status", e.Status), g.Text(e.Status)), g.Text(" "), h.Span(h.Class("soft"), moment(e.Made))),
				h.H3(h.ID("prompt-"+e.ID), h.Dir("auto"), g.Text(e.Prompt)),
				factList(e.Facts),
				moneyList(e),
				failureBox(e.Failure),
				trouble("Its newest state could not be had:", e.Trouble),
				trouble("The clip could not be saved:", e.SaveError),
				serviceLink(e),
				h.P(h.Class("id soft"), g.Text(e.ID)),
			),
		),
	)
}

// named says that the task's prompt is the name of an element.
func named(e entry) g.Node { return h.Aria("labelledby", "prompt-"+e.ID) }

// onStage is the clip, or how far it is, or why there is none.
func onStage(e entry) g.Node {
	switch {
	case e.Clip:
		return h.Video(h.Controls(), h.Preload("metadata"), h.PlaysInline(), h.Width(strconv.Itoa(e.Width)), h.Height(strconv.Itoa(e.Height)),
			h.Src("/clips/"+e.ID+".mp4"), named(e))
	case e.Progress != nil:
		return h.Div(h.Class("wait"), bar(e.Progress.Percent), h.P(g.Text(e.Progress.Words)))
	}
	return h.P(h.Class("void"), g.Text(e.Stage))
}

func bar(percent int) g.Node {
	if percent == 0 {
		return h.Progress(h.Aria("label", "Progress, not known"))
	}
	value := strconv.Itoa(percent)
	return h.Progress(h.Max("100"), h.Value(value), h.Aria("label", "Progress, estimated"), g.Text(value+" %"))
}

func factList(facts []string) g.Node {
	if len(facts) == 0 {
		return nil
	}
	return h.Ul(h.Class("facts"), h.Aria("label", "Asked for"), g.Map(facts, func(fact string) g.Node { return h.Li(g.Text(fact)) }))
}

func moneyList(e entry) g.Node {
	estimated, billed := e.Estimated, g.Text(e.Money)
	if estimated == "" {
		estimated = "Not known"
	}
	if e.Billed != "" {
		billed = strong(e.Billed)
	}
	row := func(name string, value g.Node) g.Node { return h.Div(h.Dt(g.Text(name)), h.Dd(value)) }
	return h.Dl(h.Class("money"),
		row("Estimated", g.Text(estimated)),
		row("Billed", billed),
		g.If(e.Took != "", row("Took", g.Text(e.Took))),
	)
}

func failureBox(f *video.Failure) g.Node {
	if f == nil {
		return nil
	}
	return h.Div(h.Class("failure"),
		h.P(h.Strong(h.Dir("auto"), g.Text(f.Code)), g.If(f.Message != "", g.Group{g.Text(": "), foreign(f.Message)})),
		g.If(f.Advice != "", h.P(g.Text(f.Advice))),
	)
}

// trouble says what could not be had, and why; nothing where all is well.
func trouble(what, why string) g.Node {
	return g.If(why != "", h.P(h.Class("trouble"), strong(what), g.Text(" "), foreign(why)))
}

// serviceLink leads to the clip at the service, while it is there and nowhere else.
func serviceLink(e entry) g.Node {
	return g.If(e.Link != "", h.P(h.Class("link"),
		h.A(h.Href(e.Link), h.Rel("noreferrer noopener"), g.Text("Download the clip from the service")),
		g.Text(" "), h.Span(h.Class("soft"), g.Text("until "), moment(e.LinkUntil))))
}
