package page

import (
	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// noticePage says one thing, or asks for a token.
func noticePage(n notice) g.Node {
	var says g.Node
	switch {
	case n.Text != "":
		says = h.Div(h.Role("alert"), h.Class("failure"), h.P(strong(n.Text)), g.If(n.Advice != "", h.P(g.Text(n.Advice))))
	case n.Clip != "":
		says = soft(g.Text("The link was on another site. The clip plays now if you are signed in to this page in this browser."))
	case n.Form:
		says = soft(g.Text("With the token that your assistant uses for this server. It stays in this browser until you sign out or close it."))
	}
	next := h.P(h.A(h.Href("/"), g.Text("To the newest tasks")))
	if n.Form {
		next = tokenForm(n.Text == "")
	}
	var head g.Node
	if n.Clip != "" {
		head, next = h.Meta(g.Attr("http-equiv", "refresh"), h.Content("0; url="+n.Clip)), onward(n.Clip)
	}
	return document(head, h.Body(h.Class("alone"),
		h.Main(h.Class("notice"), h.P(h.Class("name"), g.Text(title)), h.H1(g.Text(n.Heading)), says, serviceLink(n.Link, n.LinkUntil), next)))
}

// onward leads to a clip, and to the form of whoever has not signed in.
func onward(clip string) g.Node {
	return g.Group{
		h.P(h.A(h.Class("go"), h.Href(clip), g.Text("Play the clip"))),
		soft(g.Text("Not signed in? "), h.A(h.Href("/"), g.Text("Sign in")), g.Text(" first.")),
	}
}

// tokenForm asks for a token. Its name of nobody lets a browser keep the token as a password. It has the focus unless there is
// something to be read first.
func tokenForm(focus bool) g.Node {
	return h.Form(h.Method("post"), h.Action("/sign-in"), h.Class("token"),
		h.Input(h.Type("text"), h.Name("username"), h.AutoComplete("username"), h.Value("r2v"), g.Attr("hidden")),
		h.Label(h.For("token"), g.Text("Token")),
		h.Input(h.ID("token"), h.Name("token"), h.Type("password"), h.AutoComplete("current-password"), g.Attr("autocapitalize", "off"),
			g.Attr("spellcheck", "false"), h.Required(), g.If(focus, h.AutoFocus())),
		h.Button(g.Text("Sign in")),
	)
}
