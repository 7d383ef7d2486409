package simulator

import (
	"fmt"
	"strings"
)

// documented are the refusals of the error page, with its messages, and one that was measured instead (model-not-exist).
func documented() []namedRefusal {
	return []namedRefusal{
		{"invalid-parameter", refusal{400, "InvalidParameter", "Required parameter(xxx) missing or invalid, please check the request parameters."}},
		{"model-not-exist", refusal{400, "InvalidParameter", "Model not exist."}},
		{"url-error", refusal{400, "InvalidParameter", "url error, please check url!"}},
		{"invalid-url", refusal{400, "InvalidURL", "Invalid URL provided in your request."}},
		{"media-inspection", refusal{400, "InvalidParameter.DataInspection", notDownloadable}},
		{"data-inspection", refusal{400, "DataInspectionFailed", "Input or output data may contain inappropriate content."}},
		{"ip-infringement", refusal{400, "IPInfringementSuspect", "Input data is suspected of being involved in IP infringement."}},
		{"arrearage", refusal{400, "Arrearage", "Access denied, please make sure your account is in good standing."}},
		{"invalid-api-key", refusal{401, "InvalidApiKey", "Invalid API-key provided."}},
		{"not-authorized", refusal{401, "NOT AUTHORIZED", "Access denied: Either you are not authorized to access this workspace, " +
			"or the workspace does not exist. Please:\nVerify the workspace configuration.\n" +
			"Check your API endpoint settings. Ensure you are targeting the correct environment."}},
		{"access-denied", refusal{403, "AccessDenied", "Access denied."}},
		{"unpurchased", refusal{403, "AccessDenied.Unpurchased", "Access to model denied. Please make sure you are eligible for using the model."}},
		{"model-access-denied", refusal{403, "Model.AccessDenied", "Model access denied."}},
		{"workspace-access-denied", refusal{403, "Workspace.AccessDenied", "Workspace access denied."}},
		{"free-tier-only", refusal{403, "AllocationQuota.FreeTierOnly", "The free tier of the model has been exhausted. " +
			`If you wish to continue access the model on a paid basis, please disable the "use free tier only" mode in the management console.`}},
		{"model-not-found-404", refusal{404, "ModelNotFound", "The model xxx does not exist or you do not have access to it."}},
		{"workspace-not-found", refusal{404, "WorkSpaceNotFound", "WorkSpace can not be found."}},
		{"throttling", refusal{429, "Throttling", "Requests throttling triggered."}},
		{"throttled", refusal{429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later."}},
		{"burst", refusal{429, "Throttling.BurstRate", "Request rate increased too quickly. " +
			"To ensure system stability, please adjust your client logic to scale requests more smoothly over time."}},
		{"allocation-quota", refusal{429, "Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota limit."}},
		{"quota", refusal{429, "Throttling.AllocationQuota", "Free allocated quota exceeded."}},
		{"not-purchased", refusal{429, "CommodityNotPurchased", "Commodity has not purchased yet."}},
		{"prepaid-overdue", refusal{429, "PrepaidBillOverdue", "The prepaid bill is overdue."}},
		{"bill-overdue", refusal{429, "PostpaidBillOverdue", "The postpaid bill is overdue."}},
		{"500", refusal{500, "InternalError", internalErrorMessage}},
		{"internal-algo", refusal{500, "InternalError.Algo", "inference internal error."}},
		{"system-error", refusal{500, "SystemError", systemErrorMessage}},
		{"request-timeout", refusal{500, "RequestTimeOut", "Request timed out, please try again later."}},
		{"model-service-failed", refusal{500, "ModelServiceFailed", "Failed to request model service."}},
		{"rewrite-failed", refusal{500, "RewriteFailed", "Failed to rewrite content for prompt."}},
		{"model-serving-error", refusal{503, "ModelServingError", "Too many requests. " +
			"Your requests are being throttled due to system capacity limits. Please try again later."}},
		{"503", refusal{503, "ModelUnavailable", unavailableMessage}},
	}
}

type namedRefusal struct {
	name string
	refusal
}

const (
	// The first three are misspelt by the service.
	internalErrorMessage   = "An internal error has occured, please try again later or contact service support."
	internalTimeoutMessage = "An internal timeout error has occured during execution, please try again later or contact service support."
	systemErrorMessage     = "An system error has occured, please try again later."
	unavailableMessage     = "Model is unavailable, please try again later."
)

// refusals are faults that answer an error and leave everything as it was.
func refusals() []fault {
	var list []fault
	for _, entry := range documented() {
		list = append(list, fault{
			Fault: Fault{entry.name, string(opCreate), fmt.Sprintf("answers %d %s and does nothing", entry.status, entry.code)},
			calls: anyCall(),
			act: func(c *call, _ func() answer) answer {
				r := entry.refusal
				if name, ok := c.order["model"].(string); ok {
					r.message = strings.Replace(r.message, "model xxx", "model "+name, 1)
				}
				return c.refuse(r)
			},
		})
	}
	return list
}
