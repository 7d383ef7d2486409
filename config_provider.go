package main

import (
	"net/url"
	"strings"

	"r2v-mcp/dashscope"
	"r2v-mcp/evolink"
	"r2v-mcp/internal/video"
)

// The providers that can be chosen.
const (
	viaDashScope = "dashscope"
	viaEvoLink   = "evolink"
)

// providers lists the providers that can be chosen.
func providers() []string { return []string{viaDashScope, viaEvoLink} }

// simulated is the region of a provider's simulator.
const simulated = "simulator"

// EvoLinkConfig is what the environment decides about the relay.
type EvoLinkConfig struct {
	EvoLinkKey string `env:"EVOLINK_API_KEY" desc:"the EvoLink key, for R2V_PROVIDER=evolink" shown:"none"`
	EvoLinkURL string `env:"EVOLINK_BASE_URL" desc:"another address of EvoLink's API, such as a gateway's; files go there too" shown:"https://api.evolink.ai"`

	ignored string // DASHSCOPE_REGION, of which only the simulator's counts
}

// fillDashScope works out where Model Studio is.
func (c *Config) fillDashScope(env map[string]string) {
	if at := dashscope.RegionOf(c.BaseURL); at != "" && env["DASHSCOPE_REGION"] == "" {
		c.Region = at // the official SDKs know no region, only an address
	}
	if c.BaseURL == "" && c.Region == simulated {
		c.BaseURL = "http://" + simulatorAddr + "/api/v1"
	}
	if c.BaseURL == "" {
		c.BaseURL, _ = dashscope.BaseURL(c.Region)
	}
}

// fillEvoLink puts the relay's settings in the place of Model Studio's, of which only the region of the simulator counts.
func (c *Config) fillEvoLink() {
	region := "evolink"
	if c.ignored = c.Region; c.Region == simulated {
		region = "evolink-simulator"
	}
	c.Region, c.APIKey, c.Workspace, c.BaseURL = region, c.EvoLinkKey, "", c.EvoLinkURL
	switch {
	case c.BaseURL != "":
	case c.isSimulated():
		c.BaseURL = "http://" + simulatorAddr
	default:
		c.BaseURL = evolink.DefaultBaseURL
	}
}

// isSimulated reports whether clips are made by a simulator on this machine, and cost nothing.
func (c *Config) isSimulated() bool { return strings.HasSuffix(c.Region, simulated) }

// upstream names the service that this process buys from: its host, and for the relay that it is one, since a gateway or a simulator
// of either may be at one address.
func (c *Config) upstream() string {
	u, err := url.Parse(c.BaseURL)
	if err != nil {
		return c.BaseURL
	}
	if c.Provider == viaEvoLink {
		return viaEvoLink + "@" + u.Host
	}
	return u.Host
}

// verifyProvider checks what leads to the service, and the key to it.
func (c *Config) verifyProvider(catalogue *video.Catalogue, bad func(name, format string, args ...any)) {
	names := map[string]string{"DASHSCOPE_API_KEY": c.APIKey, "DASHSCOPE_WORKSPACE_ID": c.Workspace}
	switch c.Provider {
	case viaDashScope:
		c.verifyDashScope(catalogue, bad)
	case viaEvoLink:
		names = map[string]string{"EVOLINK_API_KEY": c.APIKey}
		if whole := catalogue.For(viaDashScope); whole != nil && whole.Region(c.ignored) == nil { // a misspelt simulator must not spend money
			bad("DASHSCOPE_REGION", "%q is not one of %s", c.ignored, strings.Join(whole.RegionNames(), ", "))
		}
		if _, err := evolink.New(evolink.Config{BaseURL: c.BaseURL, APIKey: "checked"}); err != nil {
			bad("EVOLINK_BASE_URL", "%v", err)
		}
		if c.isSimulated() && len(c.egressAllow()) == len(c.EgressAllow) {
			bad("DASHSCOPE_REGION", "simulator is on this machine, and EVOLINK_BASE_URL leads elsewhere")
		}
	default:
		bad("R2V_PROVIDER", "%q is not one of %s", c.Provider, strings.Join(providers(), ", "))
	}
	for name, value := range names {
		if strings.ContainsAny(value, "${}") || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			bad(name, "it holds blanks or other characters, or is a placeholder that was not replaced")
		}
	}
}

func (c *Config) verifyDashScope(catalogue *video.Catalogue, bad func(name, format string, args ...any)) {
	if catalogue.Region(c.Region) == nil {
		bad("DASHSCOPE_REGION", "%q is not one of %s", c.Region, strings.Join(catalogue.RegionNames(), ", "))
	}
	if _, err := dashscope.New(dashscope.Config{BaseURL: c.BaseURL, APIKey: "checked"}); c.BaseURL != "" && err != nil {
		bad("DASHSCOPE_HTTP_BASE_URL", "%v", err)
	} else if c.BaseURL != "" && !strings.HasSuffix(strings.TrimSuffix(c.BaseURL, "/"), "/api/v1") {
		bad("DASHSCOPE_HTTP_BASE_URL", "%q does not end in /api/v1", c.BaseURL)
	}
	if at := dashscope.RegionOf(c.BaseURL); at != "" && at != c.Region {
		bad("DASHSCOPE_REGION", "%s is not where DASHSCOPE_HTTP_BASE_URL leads, which is %s: prices would be wrong", c.Region, at)
	}
	if c.isSimulated() && len(c.egressAllow()) == len(c.EgressAllow) {
		bad("DASHSCOPE_REGION", "simulator is on this machine, and %s is not", c.BaseURL)
	}
}
