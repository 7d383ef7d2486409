package page

import (
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// document is a whole page: what stands in its head besides what all have, and its body.
func document(more, body g.Node) g.Node {
	return h.Doctype(h.HTML(h.Lang("en"),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
			h.Meta(h.Name("color-scheme"), h.Content("light dark")),
			h.TitleEl(g.Text(title)),
			h.Link(h.Rel("stylesheet"), h.Href("/page.css")),
			more,
		),
		body,
	))
}

// moment is a time in UTC, which the script turns into that of the reader's clock.
func moment(t time.Time) g.Node {
	return h.Time(h.DateTime(t.Format(time.RFC3339)), g.Text(t.Format("2 Jan 2006, 15:04 UTC")))
}

// soft is a paragraph that stands back.
func soft(text ...g.Node) g.Node { return h.P(h.Class("soft"), g.Group(text)) }

func strong(text string) g.Node { return h.Strong(g.Text(text)) }

// foreign is a text of somebody else's: it may run from right to left, and turns nothing beside it.
func foreign(text string) g.Node { return g.El("bdi", g.Text(text)) }
