package provider_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

// Every documented code gets advice of its own, and is called retryable only where the same request may go well later.
func TestAdviceForDocumentedCodes(t *testing.T) {
	for code, tt := range map[string]struct {
		status    int
		retryable bool
	}{
		"InvalidParameter": {400, false}, "InvalidParameter.DataInspection": {400, true}, "DataInspectionFailed": {400, false},
		"IPInfringementSuspect": {400, false}, "Arrearage": {400, false}, "InvalidURL": {400, false}, "InvalidURL.Timeout": {400, true},
		"InvalidURL.ConnectionRefused": {400, true}, "InvalidFile.Duration": {400, false}, "InvalidImage.ImageSize": {400, false},
		"BadRequest.TooLarge": {400, false}, "NOT AUTHORIZED": {403, false}, "AccessDenied": {403, false}, "AccessDenied.Unpurchased": {403, false},
		"Model.AccessDenied": {403, false}, "Workspace.AccessDenied": {403, false}, "App.AccessDenied": {403, false},
		"AllocationQuota.FreeTierOnly": {403, false}, "ModelNotFound": {404, false}, "model_not_found": {404, false}, "WorkSpaceNotFound": {404, false},
		"model_not_supported": {404, false}, "Throttling.AllocationQuota": {429, false}, "insufficient_quota": {429, false},
		"CommodityNotPurchased": {429, false}, "PrepaidBillOverdue": {429, false}, "PostpaidBillOverdue": {429, false},
	} {
		t.Run(code, func(t *testing.T) {
			failure := refusedWith(t, tt.status, code)
			require.Equal(t, code, failure.Code)
			require.Equal(t, video.NotCharged, failure.Charged)
			require.Equal(t, tt.retryable, failure.Retryable)
			require.NotEqual(t, refusedWith(t, 400, "SomethingNew").Advice, failure.Advice)
		})
	}
}

// A failed task is never charged, whatever failed it.
func TestAdviceForFailedTasks(t *testing.T) {
	for code, retryable := range map[string]bool{
		"InternalError": true, "InternalError.Algo": true, "InternalError.Timeout": true, "SystemError": true, "RequestTimeOut": true,
		"ModelServiceFailed": true, "ModelServingError": true, "ModelUnavailable": true, "RewriteFailed": true, "DataInspectionFailed": false,
	} {
		t.Run(code, func(t *testing.T) {
			p := answering(t, http.StatusOK, `{"output":{"task_id":"a","task_status":"FAILED","code":"`+code+`","message":"said the service"},"request_id":"r"}`)
			s, err := p.Look(context.Background(), "a")
			require.NoError(t, err)
			require.Equal(t, video.Failed, s.Status)
			require.Equal(t, retryable, s.Failure.Retryable)
			require.Contains(t, s.Failure.Advice, "Nothing was charged.")
			require.NotContains(t, s.Failure.Advice, "idempotency_key", "the tools say when a new key is needed")
			require.Equal(t, "said the service", s.Failure.Message)
		})
	}
}

// What nobody has documented ends nothing and invents nothing.
func TestUndocumentedAnswers(t *testing.T) {
	s, err := answering(t, http.StatusOK, `{"output":{"task_id":"a","task_status":"SUSPENDED"}}`).Look(context.Background(), "a")
	require.NoError(t, err)
	require.True(t, s.Status.Open())
	s, err = answering(t, http.StatusOK, `{"output":{"task_id":"a","task_status":"SUCCEEDED","video_url":"https://media.example/a.mp4"},"usage":{"duration":"many"}}`).Look(context.Background(), "a")
	require.NoError(t, err)
	require.Nil(t, s.Usage, "seconds that cannot be read are unknown, not zero")
	require.False(t, s.EndedAt.IsZero())
}

func answering(t *testing.T, status int, body string) *provider.DashScope {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	client, err := dashscope.New(dashscope.Config{BaseURL: server.URL + "/api/v1", APIKey: "sk-test", Region: "beijing"})
	require.NoError(t, err)
	catalogue, err := video.BuiltIn()
	require.NoError(t, err)
	return provider.NewDashScope(client, catalogue)
}

func refusedWith(t *testing.T, status int, code string) *video.Error {
	t.Helper()
	_, err := answering(t, status, `{"code":"`+code+`","message":"said the service","request_id":"r"}`).Create(context.Background(), provider.Purchase{Request: video.Request{Model: "wan2.7-r2v"}})
	var failure *video.Error
	require.ErrorAs(t, err, &failure)
	return failure
}
