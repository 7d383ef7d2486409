package main

import (
	"r2v-mcp/dashscope"
	"r2v-mcp/evolink"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/trace"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// provide gives a tracker the provider that the settings name.
func (c *Config) provide(t *tracker.Tracker, catalogue *video.Catalogue) error {
	if c.Provider == viaEvoLink {
		t.Provider, t.ReadInterval = provider.WithoutKey{Of: provider.EvoLinkWords()}, evolink.ReadInterval
		if c.APIKey == "" {
			return nil
		}
		client, err := evolink.New(evolink.Config{BaseURL: c.BaseURL, APIKey: c.APIKey, UserAgent: userAgent, AddHeader: trace.Add})
		if err != nil {
			return err
		}
		t.Provider = provider.NewEvoLink(client, catalogue)
		return nil
	}
	t.Provider = provider.WithoutKey{Of: provider.DashScopeWords()}
	if c.APIKey == "" {
		return nil
	}
	client, err := dashscope.New(dashscope.Config{
		BaseURL: c.BaseURL, APIKey: c.APIKey, Region: c.Region, Workspace: c.Workspace, UserAgent: userAgent, AddHeader: trace.Add,
	})
	if err != nil {
		return err
	}
	t.Provider = provider.NewDashScope(client, catalogue)
	return nil
}
