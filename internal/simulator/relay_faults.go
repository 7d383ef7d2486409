package simulator

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Faults of the relay that more than one place knows.
const (
	noUsageFault   = "no-usage"
	lateBillFault  = "late-bill"
	twiceCallback  = "callback-twice"
	lostCallback   = "callback-lost"
	earlyCallback  = "callback-early"
	forgedCallback = "callback-forged"
)

const serviceErrorMessage = "The service is temporarily unable to process the task. Please retry in a minute."

// relayFaults have the names of DashScope's where the same thing goes wrong.
func relayFaults() []fault {
	unavailable := refusal{http.StatusServiceUnavailable, "service_unavailable", "Service temporarily unavailable, retry after 30 seconds"}
	return slices.Concat(
		relayRefusals(unavailable), oddRefusals(), brokenAnswers(askedCalls(), unavailable), relayFailures(), oddAnswers(), resultFaults(), callbackFaults(),
	)
}

// askedCalls are those that somebody waits for an answer to.
func askedCalls() []operation {
	return slices.DeleteFunc(relay{}.calls(), func(op operation) bool { return op == opCallback })
}

// relayRefusals are those of the pages' tables, and of the codes that EvoLink's own client knows. Where no status is documented
// for a code, it is that of its kind.
func relayRefusals(unavailable refusal) []fault {
	throttled := refusal{429, "rate_limit_exceeded", "Rate limit exceeded, retry after 60 seconds"}
	poor := refusal{402, "insufficient_quota", "Insufficient credits. Please top up your account."}
	denied := refusal{403, "model_access_denied", "Your API key has no access to this model"}
	moderated := refusal{400, "content_policy_violation", contentPolicyMessage}
	internal := refusal{500, "internal_error", "Internal server error"}
	var list []fault
	for _, entry := range []namedRefusal{
		{"invalid-parameter", refusal{400, "invalid_request", "Invalid duration parameter"}},
		{"model-not-exist", refusal{400, "invalid_request", "Invalid model parameter"}},
		{"data-inspection", moderated},
		{"invalid-api-key", refusal{401, "unauthorized", "Invalid API key"}},
		{"arrearage", poor}, {"quota", poor},
		{"allocation-quota", refusal{402, "insufficient_token_quota", "The credit limit of this API key is used up"}},
		{"access-denied", denied}, {"model-access-denied", denied},
		{"model-not-found-404", refusal{404, "model_not_found", "The model does not exist"}},
		{"too-large", refusal{413, "request_too_large", "Request body too large"}},
		{"throttling", throttled}, {"throttled", throttled}, {"burst", throttled},
		{"idempotency-conflict", refusal{409, "idempotency_conflict", "This Idempotency-Key was used with another request"}},
		{"500", internal}, {"system-error", internal},
		{"model-service-failed", refusal{502, "upstream_error", "Upstream service error, try a different model"}},
		{"model-serving-error", refusal{503, "no_available_channel", "No channel is available for this model"}},
		{"503", unavailable},
	} {
		list = append(list, fault{
			Fault: Fault{entry.name, string(opCreate), fmt.Sprintf("answers %d %s and does nothing", entry.status, entry.code)},
			calls: askedCalls(),
			act:   func(c *call, _ func() answer) answer { return c.refuse(entry.refusal) },
		})
	}
	return list
}

func oddRefusals() []fault {
	return []fault{
		{
			Fault: Fault{"integer-code", string(opCreate), "answers 400 with a number as its code, as older envelopes have it, and does nothing"},
			calls: askedCalls(),
			act: func(c *call, _ func() answer) answer {
				return c.json(http.StatusBadRequest, relayErrorBody{relayError{
					Code: http.StatusBadRequest, Message: "Invalid duration parameter", Type: "invalid_request_error", Param: "duration",
				}})
			},
		},
		{
			Fault: Fault{"paid-outcome-unknown", string(opCreate), "acts, then answers 409 paid_outcome_unknown"},
			calls: []operation{opCreate},
			act: func(c *call, next func() answer) answer {
				next()
				return c.refuse(refusal{http.StatusConflict, "paid_outcome_unknown", "The outcome of the paid request is unknown"})
			},
		},
		{
			Fault: Fault{"no-list", string(opList), "answers 404, as if there were no list"},
			calls: []operation{opList},
			act:   func(c *call, _ func() answer) answer { return notFound(c) },
		},
		{
			Fault: Fault{"upload-refused", string(opUpload), "answers 200 with success false and stores nothing"},
			calls: []operation{opUpload},
			act: func(c *call, next func() answer) answer {
				c.refused = true
				return next()
			},
		},
	}
}

const contentPolicyMessage = "Content policy violation.\nYour request was blocked by safety filters."

// relayFailures are taken without complaint and show when the task has ended.
func relayFailures() []fault {
	var list []fault
	for _, f := range []struct {
		name string
		problem
	}{
		{"fail-parameter", problem{code: "invalid_parameters", message: "Invalid parameters", after: checkingTime}},
		{"fail-data-inspection", problem{code: "content_policy_violation", message: contentPolicyMessage}},
		{"fail-ip-infringement", problem{code: "content_policy_violation", message: contentPolicyMessage, after: checkingTime}},
		{"fail-download", problem{code: "resource_not_found", message: "A reference could not be downloaded", after: checkingTime}},
		{"fail-format", problem{code: "image_processing_error", message: "A reference could not be processed", after: checkingTime}},
		{"fail-dimension", problem{code: "image_dimension_mismatch", message: "The size of an image does not match", after: checkingTime}},
		{"fail-no-content", problem{code: "generation_failed_no_content", message: "No content was generated"}},
		{"fail-quota", problem{code: "quota_exceeded", message: "The quota of the upstream service is used up", after: checkingTime}},
		{"fail-exhausted", problem{code: "resource_exhausted", message: "Resources are exhausted, retry in a minute"}},
		{"fail-internal", problem{code: "service_error", message: serviceErrorMessage}},
		{"fail-algo", problem{code: "service_unavailable", message: "The service is unavailable, retry in two minutes"}},
		{"fail-unknown", problem{code: "unknown_error", message: "Unknown error"}},
		{"fail-timeout", problem{code: "generation_timeout", message: "The generation has timed out", after: 3 * time.Hour}},
		{"request-cancelled", problem{code: "request_cancelled", message: "The request was cancelled"}},
		{"cancelled", problem{code: "request_cancelled", cancels: true}},
	} {
		says := "failed with " + f.code
		switch {
		case f.cancels:
			says = "cancelled"
		case f.after > checkingTime:
			says += " after three hours, divided by the speed"
		}
		list = append(list, fault{
			Fault: Fault{f.name, string(opCreate), "the task ends as " + says},
			calls: []operation{opCreate},
			act: func(c *call, next func() answer) answer {
				c.failure = &f.problem
				return next()
			},
		})
	}
	return list
}

// oddAnswers are well formed, and not what is documented.
func oddAnswers() []fault {
	get := func(name, description string, set func(c *call)) fault {
		return fault{Fault: Fault{name, string(opGet), description}, calls: []operation{opGet}, act: func(c *call, next func() answer) answer {
			set(c)
			return next()
		}}
	}
	return []fault{
		get(noUsageFault, "a completed task tells no bill, as documented; ordered in a prompt, neither do batches, lists and callbacks",
			func(c *call) { c.unbilled = true }),
		{
			Fault: Fault{lateBillFault, string(opGet), "a completed task tells its bill a minute after its end, divided by the speed, or after delay_ms; " +
				"ordered in a prompt, so do batches, lists and callbacks"},
			calls: []operation{opGet}, delay: time.Minute,
			act: asUsual, // withFault tells the read how late is late
		},
		get("result-data", "the link stands in result_data alone", func(c *call) { c.nested = true }),
	}
}

// callbackFaults act on the callback of the task that the prompt makes, or of the next one that has a callback.
func callbackFaults() []fault {
	var list []fault
	for _, f := range [][2]string{
		{twiceCallback, "the callback comes twice"},
		{lostCallback, "the callback of the task's end never comes"},
		{earlyCallback, "another callback comes while the task still runs"},
		{forgedCallback, "the callback says completed for a task that has failed"},
	} {
		list = append(list, fault{Fault: Fault{f[0], string(opCallback), f[1]}, calls: []operation{opCallback}, act: asUsual})
	}
	return list
}
