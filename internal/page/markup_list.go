package page

import (
	"net/url"
	"strconv"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// listPage is the page of a person's tasks.
func listPage(l *list) g.Node {
	head := g.Group{
		h.Script(h.Src("/page.js"), h.Defer()),
		g.If(l.Live, h.NoScript(h.Meta(g.Attr("http-equiv", "refresh"), h.Content("15")))),
	}
	return document(head, h.Body(
		h.Header(h.Class("top"), h.H1(g.Text(title)), g.If(l.SignOut, signOutForm(l.Person))),
		h.Main(h.ID("list"), h.Data("live", strconv.FormatBool(l.Live)), h.Data("first", strconv.FormatBool(l.First)),
			daySection(l.Day),
			h.P(h.ID("said"), h.Class("said"), h.Role("status")),
			h.P(h.ID("newer"), h.Class("newer"), g.Attr("hidden"), h.A(h.Href("/"), g.Text("There are newer tasks: show them"))),
			h.H2(h.Class("unseen"), g.Text("Tasks, newest first")),
			taskList(l),
			pagesNav(l),
		),
	))
}

func signOutForm(person string) g.Node {
	return h.Form(h.Method("post"), h.Action("/sign-out"), h.Class("who"),
		h.Span(g.Text("Signed in as "), foreign(person)),
		h.Button(g.Text("Sign out")),
	)
}

func taskList(l *list) g.Node {
	if len(l.Tasks) > 0 {
		return h.Ol(h.Class("tasks"), g.Map(l.Tasks, taskItem))
	}
	says, advice := "There are no older tasks.", ""
	if l.First {
		says, advice = "No clip has been asked for yet.", "Ask your assistant for one: it appears here while it is made, and plays here when it is done."
	}
	return h.Div(h.Class("none"), h.P(strong(says)), soft(g.Text(advice)))
}

// pagesNav leads to the other pages of tasks, where there are any.
func pagesNav(l *list) g.Node {
	if l.First && l.Older == "" {
		return nil
	}
	return h.Nav(h.Class("pages"), h.Aria("label", "Pages of tasks"),
		g.If(!l.First, h.A(h.Href("/"), h.Rel("first"), g.Text("Newest"))),
		g.If(l.Older != "", h.A(h.Href("/?cursor="+url.QueryEscape(l.Older)), h.Rel("next"), g.Text("Older"))),
	)
}

// daySection tells what was spent today, and how much may be.
func daySection(d *day) g.Node {
	return h.Section(h.ID("day"), h.Class("day"), h.Aria("labelledby", "day-title"),
		h.H2(h.ID("day-title"), g.Text("Today’s spending")), dayWords(d))
}

func dayWords(d *day) g.Node {
	noLimit := soft(g.Text("No limit is set for a day."))
	switch {
	case d == nil:
		return noLimit
	case d.PerDay == "":
		return g.Group{h.P(h.Class("sum"), strong(d.Used), g.Text(" today.")), g.Text(" "), noLimit}
	}
	return g.Group{
		h.P(h.Class("sum"), strong(d.Used), g.Text(" of "+d.PerDay)),
		g.If(d.Max != "", dayMeter(d)),
		soft(g.Text(d.Left+" left until "), moment(d.Resets), g.Text(". What clips under way may cost is held.")),
	}
}

func dayMeter(d *day) g.Node {
	return h.Meter(h.Min("0"), g.Attr("low", "0"), g.Attr("high", d.High), g.Attr("optimum", "0"), h.Max(d.Max), h.Value(d.Value),
		h.Aria("label", "Spent today, of the day’s budget"), g.Text(d.Percent))
}
