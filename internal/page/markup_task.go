package page

import (
	"strconv"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"r2v-mcp/internal/video"
)

// taskItem is a task in the list: its stage, where the clip plays, and what there is to say of it.
func taskItem(e entry) g.Node {
	return h.Li(h.Class("task"), h.ID("task-"+e.ID), h.Data("task", e.ID), h.Data("status", e.Status), g.If(e.Live, g.Attr("data-live")), g.If(e.Retried, h.Data("retried", "")),
		h.Article(named(e),
			h.Div(h.Class("stage"), onStage(e)),
			h.Div(h.Class("words"),
				h.P(h.Class("line"), h.Span(h.Class("state"), h.Data("status", e.Status), g.Text(e.Status)), g.Text(" "), h.Span(h.Class("soft"), moment(e.Made))),
				h.H3(h.ID("prompt-"+e.ID), h.Dir("auto"), g.Text(e.Prompt)),
				factList(e.Facts),
				moneyList(e),
				failureBox(e.Failure),
				trouble("Its newest state could not be had:", e.Trouble),
				saveTrouble(e),
				linkLine(e),
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
		return g.Group{clipPlayer(e), goneLine(e)}
	case e.Progress != nil:
		return h.Div(h.Class("wait"), bar(e.Progress.Percent), h.P(g.Text(e.Progress.Words)))
	}
	return h.P(h.Class("void"), g.Text(e.Stage))
}

// goneLine is shown once a clip that does not play turns out to be gone; where the service still has it, its own page leads there.
func goneLine(e entry) g.Node {
	return h.P(h.Class("void"), h.Data("gone", ""), g.Attr("hidden"), g.Text(clipGone),
		g.If(!e.LinkUntil.IsZero() && !e.LinkDead, g.Group{g.Text(" "), h.A(h.Href(clipPath(e.ID)), g.Text("The service still has it."))}))
}

// clipPlayer plays a saved clip. Where nothing can tell that its file is gone, a link leads to what the server says of it.
func clipPlayer(e entry) g.Node {
	return g.Group{
		h.Video(h.Controls(), h.Preload("metadata"), h.PlaysInline(), h.Width(strconv.Itoa(e.Width)), h.Height(strconv.Itoa(e.Height)),
			h.Src(clipPath(e.ID)), named(e)),
		h.NoScript(h.P(h.Class("void"), h.A(h.Href(clipPath(e.ID)), g.Text("Open the clip by itself")))),
	}
}

func bar(percent int) g.Node {
	if percent == 0 {
		return h.Progress(h.Aria("label", "Progress, not known"))
	}
	value := strconv.Itoa(percent)
	return h.Progress(h.Max("100"), h.Value(value), h.Aria("label", "Progress"), g.Text(value+" %"))
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

// saveTrouble says why a clip is not saved, and what becomes of it; or what is odd about one that is.
func saveTrouble(e entry) g.Node {
	switch {
	case e.SaveError == "":
		return nil
	case e.Clip:
		return trouble("The clip is saved, but look at it:", e.SaveError)
	}
	next := g.Group{g.Text("Saving is tried again by itself, as long as the service keeps the clip.")}
	if e.LinkDead {
		next = g.Group{g.Text("The service’s link to it ended on "), moment(e.LinkUntil), g.Text(": it cannot be saved any more.")}
	}
	return h.Div(h.Class("trouble"), h.P(strong("The clip could not be saved:"), g.Text(" "), foreign(e.SaveError)), h.P(next))
}

// linkLine leads to the clip at the service, or says when its link ends.
func linkLine(e entry) g.Node {
	if e.Retried && e.Link == "" {
		return soft(g.Text("The service keeps the clip until "), moment(e.LinkUntil), g.Text("."))
	}
	return serviceLink(e.Link, e.LinkUntil)
}

// serviceLink leads to the clip at the service, while it is there.
func serviceLink(link string, until time.Time) g.Node {
	return g.If(link != "", h.P(h.Class("link"),
		h.A(h.Href(link), h.Rel("noreferrer noopener"), g.Text("Download the clip from the service")),
		g.Text(" "), h.Span(h.Class("soft"), g.Text("until "), moment(until))))
}
