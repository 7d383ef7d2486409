package simulator

import (
	"net/http"
	"slices"
	"time"
)

// Fault is a mishap that can be ordered, by its name in a prompt or through /control/faults.
type Fault struct {
	// Name goes into a prompt as [[fault:NAME]], [[fault:NAME x2]] for the first two times only, or
	// [[fault:NAME@get]] to happen on another call than On.
	Name string `json:"name"`
	// On is the call it happens to unless another is named: create, get, list, upload or result; of DashScope also cancel and
	// policy, of the relay batch, credits and callback.
	On string `json:"on"`
	// Description is one line for a reader.
	Description string `json:"description"`
}

// Faults lists every fault of DashScope, refusals first. The order is stable.
func Faults() []Fault { return FaultsOf(DashScope) }

// FaultsOf lists every fault of a provider, DashScope or EvoLink, refusals first. The order is stable. It panics for any
// other provider.
func FaultsOf(provider string) []Fault { return listed(tongueOf(provider).faults()) }

func listed(faults []fault) []Fault {
	var list []Fault
	for _, f := range faults {
		list = append(list, f.Fault)
	}
	return list
}

// fault is a Fault with what it does: act gets the call and what would have happened.
type fault struct {
	Fault
	calls []operation // that it can happen to
	act   func(c *call, next func() answer) answer
	delay time.Duration
}

func (f fault) happensTo(op operation) bool { return slices.Contains(f.calls, op) }

func anyCall() []operation {
	return []operation{opCreate, opGet, opList, opCancel, opPolicy, opUpload, opResult}
}

func catalogue() []fault {
	unavailable := refusal{http.StatusServiceUnavailable, "ModelUnavailable", unavailableMessage}
	return slices.Concat(refusals(), brokenAnswers(anyCall(), unavailable), taskFailures(), resultFaults())
}

// brokenAnswers are what networks, gateways and hasty servers do.
func brokenAnswers(calls []operation, unavailable refusal) []fault {
	var list []fault
	add := func(name, description string, act func(c *call, next func() answer) answer) {
		list = append(list, fault{Fault: Fault{name, string(opCreate), description}, calls: calls, act: act})
	}
	page := func(status int, html string) func(*call, func() answer) answer {
		return func(*call, func() answer) answer {
			return answer{status: status, contentType: "text/html; charset=utf-8", body: []byte(html)}
		}
	}
	replaced := func(body string) func(*call, func() answer) answer {
		return func(_ *call, next func() answer) answer {
			a := next()
			return answer{status: a.status, contentType: a.contentType, body: []byte(body)}
		}
	}
	add("slow", "acts at once and answers 30 s later, divided by the speed, or delay_ms later", asUsual)
	add("drop-before", "closes the connection without acting", func(*call, func() answer) answer { return answer{lost: true} })
	add("drop-after", "acts, then closes the connection without an answer", func(_ *call, next func() answer) answer {
		next()
		return answer{lost: true}
	})
	add("503-after", "acts, then answers 503 "+unavailable.code, func(c *call, next func() answer) answer {
		next()
		return c.refuse(unavailable)
	})
	add("html-502", "answers 502 with a gateway's HTML page and does nothing", page(http.StatusBadGateway, gatewayPage("502 Bad Gateway")))
	add("504", "answers 504 with a gateway's HTML page and does nothing", page(http.StatusGatewayTimeout, gatewayPage("504 Gateway Time-out")))
	add("empty-200", "acts, then answers with an empty body", replaced(""))
	add("garbage-200", "acts, then answers with a body that is no JSON", replaced(`{"output":{"task_`+"\x00\x01"+`<garbage>`))
	add("truncated-200", "acts, then closes the connection half way through the body", halfAnswer)
	add("redirect-307", "answers 307 to a path that only counts its visitors, and does nothing", func(c *call, _ func() answer) answer {
		return answer{status: http.StatusTemporaryRedirect, contentType: "text/plain", location: baseAddress(c.r) + "/redirected" + c.r.URL.Path}
	})
	list[0].delay = 30 * time.Second
	return list
}

func asUsual(_ *call, next func() answer) answer { return next() }

func halfAnswer(_ *call, next func() answer) answer {
	a := next()
	a.cut = true
	return a
}

func gatewayPage(title string) string {
	return "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n"
}

// taskFailures are taken without complaint and show when the task has ended.
func taskFailures() []fault {
	var list []fault
	add := func(name, code, message string, after time.Duration) {
		p := problem{code: code, message: message, after: after}
		list = append(list, fault{
			Fault: Fault{name, string(opCreate), "the task ends FAILED with " + code},
			calls: []operation{opCreate},
			act: func(c *call, next func() answer) answer {
				c.failure = &p
				return next()
			},
		})
	}
	add("fail-parameter", "InvalidParameter", "The size is not match xxx", checkingTime)
	add("fail-data-inspection", "DataInspectionFailed", "Output data may contain inappropriate content.", 0)
	add("fail-ip-infringement", "IPInfringementSuspect", "Input data is suspected of being involved in IP infringement.", checkingTime)
	add("fail-download", "InvalidParameter.DataInspection", notDownloadable, checkingTime)
	add("fail-format", "InvalidFile.Openerror", openError, checkingTime)
	add("fail-rewrite", "RewriteFailed", "Failed to rewrite content for prompt.", checkingTime)
	add("fail-internal", "InternalError", internalErrorMessage, 0)
	add("fail-algo", "InternalError.Algo", "inference internal error.", 0)
	add("fail-upload", "InternalError.Upload", "Failed to upload result.", 0)
	add("fail-timeout", "InternalError.Timeout", internalTimeoutMessage, 3*time.Hour)
	list[len(list)-1].Description += " after three hours, divided by the speed"
	return list
}

// resultFaults spoil what comes after a good end.
func resultFaults() []fault {
	on := func(op operation, name, description string, act func(c *call, next func() answer) answer) fault {
		return fault{Fault: Fault{name, string(op), description}, calls: []operation{op}, act: act}
	}
	return []fault{
		on(opResult, "expired-link", "the clip's link is refused as expired",
			func(c *call, _ func() answer) answer { return c.refuse(linkExpired()) }),
		on(opResult, "short-clip", "the connection closes half way through the clip", halfAnswer),
		on(opResult, "half-clip", "half of the clip's bytes, announced as if they were all",
			func(c *call, next func() answer) answer { c.halved = true; return next() }),
		on(opResult, "wrong-length", "a whole clip that is a second shorter than ordered",
			func(c *call, next func() answer) answer { c.cutShort = true; return next() }),
		on(opList, hideFault, "the task is missing from lists; through /control/faults, every task is",
			func(c *call, next func() answer) answer { c.hideYoung = taskMemory; return next() }),
		{
			Fault: Fault{lateFault, string(opList), "the task is missing from lists for its first 3 minutes, divided by the speed, or for delay_ms; " +
				"through /control/faults, every task is"},
			calls: []operation{opList},
			act:   asUsual, // withFault tells the list how young is too young
			delay: 3 * time.Minute,
		},
	}
}

// Faults of a row in a list.
const (
	hideFault = "hide-from-list"
	lateFault = "late-in-list"
)
