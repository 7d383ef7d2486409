package provider

import "strings"

// advice is what to do about an error code, and whether the same request may succeed later.
type advice struct {
	text      string
	retryable bool
}

// adviceUnknown is for a create that was sent and never answered.
const adviceUnknown = "Whether the clip was bought is not known. Do not buy it again: it is being looked for in the list of the service; call get_task."

const fallbackAdvice = "Nothing was charged. Read the message, correct the request and call again."

// adviceFor finds the advice for a code of DashScope: the entry with that very code, else the longest entry that the code
// begins with. Source of the codes: https://www.alibabacloud.com/help/en/model-studio/error-code.
func adviceFor(code, message string) advice {
	if strings.Contains(message, "Model not exist") { // what an unknown model is told under a code of many meanings
		code = "ModelNotFound"
	}
	best := advice{text: fallbackAdvice}
	longest := 0
	for prefix, a := range advices() {
		if (code == prefix || strings.HasPrefix(code, prefix+".")) && len(prefix) > longest {
			best, longest = a, len(prefix)
		}
	}
	return best
}

func advices() map[string]advice {
	const (
		media   = "Nothing was charged. Give a reference that the service can read: a public address, in an accepted format and size."
		content = "Nothing was charged. The content check refused it: change the prompt or the references; the same request will be refused again."
		bill    = "Nothing was charged. The account must be put in order in the Alibaba Cloud console: tell the user."
		access  = "Nothing was charged. The key may not use this model or workspace: tell the user to activate the model in the Model Studio console, or to check DASHSCOPE_WORKSPACE_ID."
		gone    = "Nothing was charged. The model does not exist for this key: check DASHSCOPE_REGION, or use another model (older models are retired from time to time)."
		later   = "Nothing was charged. The service failed: the same request may work in a few minutes."
		slower  = "Nothing was charged. Too many requests at once: wait a minute and call again."
	)
	return map[string]advice{
		"InvalidApiKey":                   {text: "Nothing was charged. Check DASHSCOPE_API_KEY and DASHSCOPE_REGION."},
		"NOT AUTHORIZED":                  {text: access},
		"AccessDenied":                    {text: access},
		"Model.AccessDenied":              {text: access},
		"Workspace.AccessDenied":          {text: access},
		"App.AccessDenied":                {text: access},
		"WorkSpaceNotFound":               {text: access},
		"ModelNotFound":                   {text: gone},
		"model_not_found":                 {text: gone},
		"model_not_supported":             {text: gone},
		"DataInspectionFailed":            {text: content},
		"IPInfringementSuspect":           {text: content},
		"InvalidParameter":                {text: "Nothing was charged. The message names what the service refused: correct it, check that every reference can be reached from the internet, and call again."},
		"InvalidParameter.DataInspection": {text: media, retryable: true},
		"InvalidURL":                      {text: media},
		"InvalidURL.ConnectionRefused":    {text: media, retryable: true},
		"InvalidURL.Timeout":              {text: media, retryable: true},
		"InvalidFile":                     {text: media},
		"InvalidImage":                    {text: media},
		"BadRequest":                      {text: media},
		"Arrearage":                       {text: bill},
		"CommodityNotPurchased":           {text: bill},
		"PrepaidBillOverdue":              {text: bill},
		"PostpaidBillOverdue":             {text: bill},
		"AllocationQuota":                 {text: "Nothing was charged. The free quota is used up: tell the user to switch off \"use free tier only\" in the Model Studio console."},
		"Throttling":                      {text: slower, retryable: true},
		"limit_requests":                  {text: slower, retryable: true},
		"Throttling.AllocationQuota":      {text: bill},
		"insufficient_quota":              {text: bill},
		"InternalError":                   {text: later, retryable: true},
		"SystemError":                     {text: later, retryable: true},
		"RequestTimeOut":                  {text: later, retryable: true},
		"ModelServiceFailed":              {text: later, retryable: true},
		"ModelServingError":               {text: later, retryable: true},
		"ModelUnavailable":                {text: later, retryable: true},
		"RewriteFailed":                   {text: "Nothing was charged. Rewriting the prompt failed: call again, on wan2.7 with prompt_extend false.", retryable: true},
	}
}
