// Package evolink is a thin client of the EvoLink relay's video, task, credit and file API: create a video task, get tasks
// one by one or in batches, list them, read the credits of the account, and give the relay a file for a task to use.
//
// It says on the wire what it is told and adds nothing to it. What it takes care of is delivery: no task is read more often
// than every [ReadInterval], lists and credits are read again when that helps, and a create, which costs money, is repeated
// only when it is certain that no task came of the attempt before. Every failure is an [*Error], and [Error.Fate] says what
// became of the request.
//
// The API is described at https://docs.evolink.ai/en/api-manual/video-series/wan2.6/wan2.6-reference-video and
// https://docs.evolink.ai/en/api-manual/task-management/get-task-detail. What those pages leave out is read from EvoLink's
// own client, https://github.com/EvoLinkAI/evolink-mcp, and marked so.
package evolink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// The addresses of the service. Source: https://docs.evolink.ai/en/quickstart and
// https://docs.evolink.ai/en/api-manual/file-series/upload-base64.
const (
	DefaultBaseURL  = "https://api.evolink.ai"
	DefaultFilesURL = "https://files-api.evolink.ai"
)

// Config says which service to ask, and as whom.
type Config struct {
	// BaseURL is the address that comes before "/v1"; DefaultBaseURL when empty. It must be https; plain http is taken for
	// loopback hosts only, since the key travels with each request.
	BaseURL string

	// FilesURL is the address that comes before "/api/v1/files". When empty it is DefaultFilesURL if BaseURL is
	// DefaultBaseURL, and BaseURL itself otherwise: a key for a gateway is not sent past it.
	FilesURL string

	// APIKey is the relay's key. Required. It is sent to the hosts of BaseURL and FilesURL and nowhere else.
	APIKey string `json:"-"`

	// UserAgent is sent as it is; "r2v-mcp" when empty.
	UserAgent string

	// HTTPClient gives its Transport and its Timeout (of each attempt), and is not changed. Its cookie jar and its redirect
	// policy are not used. The Transport must not repeat requests by itself. Nil means a transport of this package's own.
	HTTPClient *http.Client

	// AddHeader adds headers to each request, from what its context carries; nil adds none.
	AddHeader func(ctx context.Context, h http.Header)
}

// String describes the configuration without the key.
func (c Config) String() string { return fmt.Sprintf("evolink.Config(%s)", c.BaseURL) }

// GoString describes the configuration without the key.
func (c Config) GoString() string { return c.String() }

// Client calls the API. It is safe for concurrent use. ReadInterval is kept per client: use one for each account.
type Client struct {
	api       service
	store     service
	userAgent string
	addHeader func(context.Context, http.Header)
	key       string
	turns     turns

	creates, queries, lists, fetches, files lane
}

// service is one of the hosts that the key may be sent to.
type service struct {
	base string // no slash at the end
	host string
}

// New checks the configuration and returns a client. Nothing is sent.
func New(cfg Config) (*Client, error) {
	api, store, err := cfg.services()
	if err != nil {
		return nil, err
	}
	switch {
	case cfg.APIKey == "":
		return nil, errors.New("API key: missing")
	case !isToken(cfg.APIKey):
		return nil, errors.New("API key: holds white space or a character that no key has")
	case cfg.UserAgent != cleanLine(cfg.UserAgent):
		return nil, errors.New("user agent: holds control characters or doubled blanks")
	}
	c := &Client{api: api, store: store, userAgent: cfg.UserAgent, addHeader: cfg.AddHeader, key: cfg.APIKey}
	if c.userAgent == "" {
		c.userAgent = "r2v-mcp"
	}
	c.openLanes(cfg.HTTPClient)
	return c, nil
}

func (c Config) services() (api, store service, err error) {
	base := c.BaseURL
	if base == "" {
		base = DefaultBaseURL
	}
	if api, err = parseBase(base); err != nil {
		return api, store, fmt.Errorf("base URL: %w", err)
	}
	switch {
	case c.FilesURL != "":
		if store, err = parseBase(c.FilesURL); err != nil {
			return api, store, fmt.Errorf("files URL: %w", err)
		}
	case strings.EqualFold(api.base, DefaultBaseURL):
		store, err = parseBase(DefaultFilesURL)
	default:
		store = api
	}
	return api, store, err
}

// String describes the client without its key.
func (c *Client) String() string { return fmt.Sprintf("evolink.Client(%s)", c.api.base) }

// GoString describes the client without its key.
func (c *Client) GoString() string { return c.String() }

// parseBase takes an address that requests may be sent to. Its errors do not repeat the address: a caller may have put a
// secret into it.
func parseBase(address string) (service, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return service{}, errors.New("must be an absolute http(s) address")
	case u.User != nil:
		return service{}, errors.New("must not hold a user name or password")
	case strings.ContainsAny(address, "?#"):
		return service{}, errors.New("must not have a query or a fragment")
	case u.Scheme != "https" && u.Scheme != "http":
		return service{}, fmt.Errorf("scheme %q is not https", cleanLine(u.Scheme))
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return service{}, errors.New("must be https (plain http only for a loopback host)")
	}
	base := strings.TrimRight(u.String(), "/")
	if strings.HasSuffix(base, "/v1") {
		return service{}, errors.New("must not end in /v1, which is added")
	}
	return service{base: base, host: u.Host}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// isToken reports whether s is safe as a header's value: visible ASCII without blanks.
func isToken(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
