// Package dashscope is a thin client of the video synthesis and asynchronous task API of Alibaba Cloud Model Studio
// (DashScope): create a video task, get, list and cancel tasks, and upload a file for a task to use.
//
// It says on the wire what it is told and adds nothing to it. What it takes care of is delivery: the documented request
// rates are kept, reads are repeated when that helps, and a create, which costs money, is repeated only when it is certain
// that no task came of the attempt before. Every failure is an [*Error], and [Error.Fate] says what became of the request.
//
// The API is described at https://www.alibabacloud.com/help/en/model-studio/wan-video-to-video-api-reference and
// https://www.alibabacloud.com/help/en/model-studio/manage-asynchronous-tasks.
package dashscope

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Documented limits of requests a second. All keys of an account share them; a client keeps to them by itself.
// Source: https://www.alibabacloud.com/help/en/model-studio/rate-limit and the asynchronous task page.
const (
	createsPerSecond        = 5
	queriesPerSecond        = 20
	listsPerSecond          = 20
	cancelsPerSecond        = 20
	uploadPoliciesPerSecond = 100
)

// Config says which service to ask, and as whom.
type Config struct {
	// BaseURL is the address that ends in "/api/v1", with or without a slash after it. Required. It must be https; plain
	// http is taken for loopback hosts only, since the key travels with each request. See [BaseURL].
	BaseURL string

	// APIKey is the Model Studio key. Required. It is sent to the host of BaseURL and nowhere else.
	APIKey string `json:"-"`

	// Region is the name that errors give the place that was asked, such as "singapore". Where it is empty, the region of a
	// documented shared host is known from BaseURL.
	Region string

	// Workspace is the workspace id, sent as X-DashScope-WorkSpace unless empty.
	Workspace string

	// UserAgent is sent as it is; "r2v-mcp" when empty.
	UserAgent string

	// HTTPClient gives its Transport and its Timeout (of each attempt), and is not changed. Its cookie jar and its redirect
	// policy are not used. The Transport must not repeat requests by itself. Nil means a transport of this package's own.
	HTTPClient *http.Client

	// AddHeader adds headers to each request but those of files, from what its context carries; nil adds none.
	AddHeader func(ctx context.Context, h http.Header)
}

// String describes the configuration without the key.
func (c Config) String() string {
	return fmt.Sprintf("dashscope.Config(%s)", c.BaseURL)
}

// GoString describes the configuration without the key.
func (c Config) GoString() string { return c.String() }

// Client calls the API. It is safe for concurrent use. Request rates are kept per client: use one for each account.
type Client struct {
	base      string // no slash at the end
	host      string
	region    string
	workspace string
	userAgent string
	addHeader func(context.Context, http.Header)
	key       string

	creates, queries, lists, cancels, policies, files lane
}

// New checks the configuration and returns a client. Nothing is sent.
func New(cfg Config) (*Client, error) {
	base, err := parseBase(cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("base URL: %w", err)
	}
	switch {
	case cfg.APIKey == "":
		return nil, errors.New("API key: missing")
	case !isToken(cfg.APIKey):
		return nil, errors.New("API key: holds white space or a character that no key has")
	case cfg.Workspace != "" && !isToken(cfg.Workspace):
		return nil, errors.New("workspace: holds white space or a character that no workspace id has")
	case cfg.UserAgent != cleanLine(cfg.UserAgent):
		return nil, errors.New("user agent: holds control characters or doubled blanks")
	}
	c := &Client{
		base:      strings.TrimRight(base.String(), "/"),
		host:      base.Host,
		region:    cfg.Region,
		workspace: cfg.Workspace,
		userAgent: cfg.UserAgent,
		addHeader: cfg.AddHeader,
		key:       cfg.APIKey,
	}
	if c.userAgent == "" {
		c.userAgent = "r2v-mcp"
	}
	if c.region == "" {
		c.region = sharedRegion(base.Host)
	}
	c.openLanes(cfg.HTTPClient)
	return c, nil
}

// String describes the client without its key.
func (c *Client) String() string { return fmt.Sprintf("dashscope.Client(%s)", c.base) }

// GoString describes the client without its key.
func (c *Client) GoString() string { return c.String() }

// BaseURL returns the documented shared base of a region: "singapore", "virginia" or "beijing".
// Hosts of one workspace have a form of their own; see https://www.alibabacloud.com/help/en/model-studio/base-url.
func BaseURL(region string) (string, bool) {
	switch region {
	case "singapore":
		return "https://dashscope-intl.aliyuncs.com/api/v1", true
	case "virginia":
		return "https://dashscope-us.aliyuncs.com/api/v1", true
	case "beijing":
		return "https://dashscope.aliyuncs.com/api/v1", true
	}
	return "", false
}

// RegionOf tells the region of a base address by its host: one of the shared hosts, or a workspace's own. It is "" for any
// other, such as a gateway. Source: https://www.alibabacloud.com/help/en/model-studio/base-url.
func RegionOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	for place, region := range map[string]string{"ap-southeast-1": "singapore", "us-east-1": "virginia", "cn-beijing": "beijing"} {
		if strings.HasSuffix(host, "."+place+".maas.aliyuncs.com") {
			return region
		}
	}
	return sharedRegion(host)
}

func sharedRegion(host string) string {
	for _, region := range []string{"singapore", "virginia", "beijing"} {
		if base, _ := BaseURL(region); strings.HasPrefix(base, "https://"+strings.ToLower(host)+"/") {
			return region
		}
	}
	return ""
}

// parseBase takes an address that requests may be sent to. Its errors do not repeat the address: a caller may have put a
// secret into it.
func parseBase(address string) (*url.URL, error) {
	if address == "" {
		return nil, errors.New("missing")
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("must be an absolute http(s) address")
	case u.User != nil:
		return nil, errors.New("must not hold a user name or password")
	case strings.ContainsAny(address, "?#"):
		return nil, errors.New("must not have a query or a fragment")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("scheme %q is not https", cleanLine(u.Scheme))
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, errors.New("must be https (plain http only for a loopback host)")
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// isToken reports whether s is safe as a header's value: visible ASCII without blanks.
func isToken(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
