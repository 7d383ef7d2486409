package main

import (
	"net/url"

	"r2v-mcp/internal/metrics"
	"r2v-mcp/internal/serve"
)

// callsBack reports whether the provider tells of a task's end where its purchase asks for that. DashScope does not.
func (c *Config) callsBack() bool { return c.Provider == viaEvoLink }

// hintURL is what the addresses of the provider's own callbacks begin with, empty where it makes none, or has no safe way here: what an
// address ends in is a secret.
func hintURL(cfg *Config) string {
	u, err := url.Parse(cfg.PublicURL)
	if err != nil || u.Scheme != "https" || !cfg.callsBack() {
		return ""
	}
	return cfg.PublicURL + "/callbacks/"
}

// takeHints lets the provider's own callbacks in. Tasks are looked at without them as well.
func (l *life) takeHints(cfg *Config, counted *metrics.Metrics, o *serve.Options) {
	base := hintURL(cfg)
	if base == "" {
		return
	}
	l.tasks.HintURL, l.tasks.Hinted = base, counted.Hint
	o.Callback, o.CallbackRefused = l.tasks.Hint, func() { counted.Hint("refused") }
}
