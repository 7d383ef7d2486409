package simulator

import (
	"net/http"
	"strings"
)

// authenticate wants "Authorization: Bearer <key>". Which of the two messages comes when was recorded.
func (s *Server) authenticate(c *call) *refusal {
	scheme, key, found := strings.Cut(c.r.Header.Get("Authorization"), " ")
	key = strings.TrimSpace(key)
	if !found || !strings.EqualFold(scheme, "Bearer") || key == "" {
		return &refusal{http.StatusUnauthorized, "InvalidApiKey", "No API-key provided."}
	}
	if s.apiKey != "" && key != s.apiKey {
		return &refusal{http.StatusUnauthorized, "InvalidApiKey", "Invalid API-key provided."}
	}
	return nil
}

func (s *Server) throttle(c *call) *refusal {
	if limit := s.limits[c.op]; limit != nil && !limit.AllowN(c.now, 1) {
		return &refusal{http.StatusTooManyRequests, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later."}
	}
	return nil
}

const asyncHeader = "X-DashScope-Async"

// requireAsync: the models run as tasks only (wan2.6 page, headers).
func (s *Server) requireAsync(c *call) *refusal {
	if strings.EqualFold(c.r.Header.Get(asyncHeader), "enable") {
		return nil
	}
	return &refusal{http.StatusForbidden, "AccessDenied", "current user api does not support synchronous calls."}
}

// refuseAsync: questions about tasks are answered at once and may not ask for a task (error page, 403 AccessDenied).
func (s *Server) refuseAsync(c *call) *refusal {
	if strings.EqualFold(c.r.Header.Get(asyncHeader), "enable") {
		return &refusal{http.StatusForbidden, "AccessDenied", "current user api does not support asynchronous calls."}
	}
	return nil
}
