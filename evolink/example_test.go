package evolink_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"r2v-mcp/evolink"
)

// A create that fails is never simply repeated: its fate says what may be done.
func ExampleClient_CreateVideo() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusGatewayTimeout)
	}))
	defer service.Close()

	client, err := evolink.New(evolink.Config{BaseURL: service.URL, APIKey: "sk-evo-example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	seconds := 5
	task, err := client.CreateVideo(context.Background(), &evolink.VideoRequest{
		Model:     "wan2.6-reference-video-flash",
		Prompt:    "A person dancing",
		VideoURLs: []string{"https://example.com/person.mp4"},
		Quality:   "720p",
		Duration:  &seconds,
	}, "order-2025-09-06-0001")
	var failed *evolink.Error
	if errors.As(err, &failed) {
		fmt.Println(failed)
		fmt.Println("the request is", failed.Fate())
		return
	}
	fmt.Println(task.ID, task.CreditsReserved)
	// Output:
	// create video: HTTP 504 Gateway Timeout; whether a task was created is not known
	// the request is unknown
}
