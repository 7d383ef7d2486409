package provider

import "strings"

// relayAdvice finds the advice for a code of EvoLink. Sources of the codes:
// https://docs.evolink.ai/en/api-manual/task-management/get-task-detail and EvoLink's own MCP client.
func relayAdvice(code string) advice {
	a, known := relayAdvices()[code]
	switch {
	case known:
		return a
	case strings.HasPrefix(code, "channel:"):
		return relayAdvices()["model_unavailable"]
	}
	return advice{text: fallbackAdvice}
}

func relayAdvices() map[string]advice {
	const (
		content = "Nothing was charged. The content check refused it: change the prompt or the references; the same request will be refused again."
		credits = "Nothing was charged. The EvoLink account has too few credits: tell the user to add some."
		limit   = "Nothing was charged. The EvoLink key has used up its own limit: tell the user to raise it, or to use another key."
		access  = "Nothing was charged. The EvoLink key may not use this model: tell the user to allow it in the key's settings."
		key     = "Nothing was charged. EvoLink does not take this key any more: tell the user to set EVOLINK_API_KEY to one that is valid."
		media   = "Nothing was charged. Give a reference that the service can read: a public address, in an accepted format and size."
		later   = "Nothing was charged. The service failed: the same request may work in a few minutes."
		slower  = "Nothing was charged. Too many requests at once: wait a minute and call again."
		request = "Nothing was charged. The message names what the service refused: correct it, check that every reference can be reached from the internet, and call again."
	)
	all := map[string]advice{"generation_failed_no_content": {text: "Nothing was charged. Nothing came of it: change the prompt or the references and call again."}}
	for text, codes := range map[string][]string{
		content: {"content_policy_violation", "content_filter", "sensitive_content", "moderation_blocked", "input_moderation_failed"},
		credits: {"insufficient_quota", "insufficient_user_quota", "quota_not_enough", "account_balance_insufficient"},
		limit:   {"insufficient_token_quota", "key_quota_exhausted", "token_daily_quota_exceeded", "key_daily_quota_exhausted"},
		access:  {"model_access_denied", "permission_denied", "key_model_not_allowed"},
		key:     {"unauthorized", "key_disabled", "key_expired", "user_disabled"},
		media:   {"image_dimension_mismatch", "image_processing_error", "resource_not_found"},
		request: {"invalid_request", "invalid_parameters"},
	} {
		for _, code := range codes {
			all[code] = advice{text: text}
		}
	}
	for text, codes := range map[string][]string{
		slower: {"rate_limit_exceeded", "quota_exceeded", "resource_exhausted"},
		later: {
			"internal_error", "service_error", "service_unavailable", "generation_timeout", "unknown_error", "upstream_error",
			"model_unavailable", "no_available_channel", "channel_selection_failed",
		},
	} {
		for _, code := range codes {
			all[code] = advice{text: text, retryable: true}
		}
	}
	return all
}
