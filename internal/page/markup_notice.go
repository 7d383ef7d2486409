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
	case n.Form:
		says = soft(g.Text("With the token that your assistant uses for this server. It stays in this browser until you sign out or close it."))
	}
	next := h.P(h.A(h.Href("/"), g.Text("To the newest tasks")))
	if n.Form {
		next = tokenForm(n.Text == "")
	}
	return document(n.Title, nil, h.Body(h.Class("alone"),
		h.Main(h.Class("notice"), h.P(h.Class("name"), g.Text(n.Title)), h.H1(g.Text(n.Heading)), says, next)))
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
