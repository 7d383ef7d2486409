package dashscope_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"r2v-mcp/dashscope"
)

// A create that fails is never simply repeated: its fate says what may be done.
func ExampleClient_CreateVideo() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusGatewayTimeout)
	}))
	defer service.Close()

	client, err := dashscope.New(dashscope.Config{BaseURL: service.URL + "/api/v1", APIKey: "sk-example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	seconds := 5
	task, err := client.CreateVideo(context.Background(), &dashscope.VideoRequest{
		Model: "wan2.7-r2v",
		Input: dashscope.VideoInput{
			Prompt: "Image 1 waves at the camera",
			Media:  []dashscope.Media{{Type: "reference_image", URL: "https://example.com/person.png"}},
		},
		Parameters: dashscope.VideoParameters{Resolution: "720P", Duration: &seconds},
	})
	var failed *dashscope.Error
	if errors.As(err, &failed) {
		fmt.Println(failed)
		fmt.Println("the request is", failed.Fate())
		return
	}
	fmt.Println(task.ID)
	// Output:
	// create video: HTTP 504 Gateway Timeout; whether a task was created is not known
	// the request is unknown
}
