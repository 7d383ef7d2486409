package main

import (
	"fmt"
	"strings"

	"r2v-mcp/internal/callback"
	"r2v-mcp/internal/egress"
	"r2v-mcp/tools"
)

// CallbackConfig is what the environment decides about who is told of a task's end.
type CallbackConfig struct {
	Callbacks     string `env:"R2V_CALLBACKS, default=on" desc:"callback_url: on for any public https address at port 443, off, or the only hosts that are called, at any port, separated by commas; .example.com for all below it"`
	WebhookSecret string `env:"R2V_WEBHOOK_SECRET" desc:"signs callbacks: whsec_ and 24 to 64 bytes in base64, or several with blanks between them, the newest first; must be kept secret" shown:"none: not signed"`

	callbackHosts []string          // of Callbacks, none for all
	secrets       []callback.Secret // WebhookSecret
}

// Values of R2V_CALLBACKS that are no hosts.
const callbacksOn, callbacksOff = "on", "off"

// verifyCallbacks checks who may be called, and with what it is signed.
func (c *Config) verifyCallbacks(bad func(name, format string, args ...any)) {
	var err error
	if word := strings.ToLower(c.Callbacks); word == callbacksOn || word == callbacksOff {
		c.Callbacks = word
	}
	if c.Callbacks != callbacksOn && c.Callbacks != callbacksOff {
		if c.callbackHosts, err = callback.ParseHosts(c.Callbacks); err != nil {
			bad("R2V_CALLBACKS", "it is neither on nor off nor a list of hosts: %v", err)
		}
	}
	if c.secrets, err = callback.ParseSecrets(c.WebhookSecret); err != nil {
		bad("R2V_WEBHOOK_SECRET", "%v", err)
	}
}

// sender sends callbacks, nil where the operator wants none. What the operator has opened may be called where its host is named for that
// too: who is let read from a place is not let write to it. The service on this machine is opened for its results alone.
func (c *Config) sender() (*callback.Sender, error) {
	if c.Callbacks == callbacksOff {
		return nil, nil //nolint:nilnil // nobody is called
	}
	o := callback.Options{
		Egress: egress.Settings{Proxy: c.EgressProxy, UserAgent: userAgent}, Hosts: c.callbackHosts, StandardPort: len(c.callbackHosts) == 0, Secrets: c.secrets,
	}
	if len(c.callbackHosts) > 0 {
		o.Egress.Allow = c.EgressAllow
	}
	s, err := callback.New(o)
	if err != nil {
		return nil, fmt.Errorf("callbacks: %w", err)
	}
	return s, nil
}

// callBack lets the ends of tasks be told in the words of the tools.
func (l *life) callBack(set *tools.Set) {
	if l.sender == nil {
		return
	}
	set.Callbacks = l.sender
	l.tasks.Callbacks, l.tasks.Body = l.sender, set.CallbackBody
}
