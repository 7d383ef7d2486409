package auth

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// wellKnown is where the metadata of a host's resources are: RFC 9728 section 3.
const wellKnown = "/.well-known/oauth-protected-resource"

// MetadataURL is where the metadata of a resource are, for [Require]'s challenge: its path comes behind that of the metadata. It is
// empty for what is no address.
func MetadataURL(resource string) string {
	u, err := url.Parse(resource)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host + wellKnown + strings.TrimSuffix(u.EscapedPath(), "/")
}

// Metadata serves the metadata of a protected resource (RFC 9728 section 2), by which a client finds out where to sign in. resource
// tells the address of the resource as the client knows it, such as https://host/mcp. Everybody may read them, pages of
// other origins included: they hold nothing that is not public, and clients in browsers need them.
func Metadata(resource func(*http.Request) string, issuer string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodOptions: // browsers ask first, since clients send MCP-Protocol-Version
			h.Set("Access-Control-Allow-Methods", "GET, HEAD")
			h.Set("Access-Control-Allow-Headers", "*")
			w.WriteHeader(http.StatusNoContent)
			return
		default:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			http.Error(w, "The metadata are read with GET.", http.StatusMethodNotAllowed)
			return
		}
		body, err := json.Marshal(struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
			Methods  []string `json:"bearer_methods_supported"`
		}{resource(r), []string{issuer}, []string{"header"}})
		if err != nil {
			http.Error(w, "The metadata cannot be written.", http.StatusInternalServerError)
			return
		}
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "max-age=300")
		_, _ = w.Write(body)
	})
}
