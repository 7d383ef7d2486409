package provider_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/dashscope"
	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/simulator/simulatortest"
	"r2v-mcp/internal/video"
)

const uploadModel = "wan2.7-r2v"

// picture is a PNG as far as its header tells: 640 by 480.
const picture = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x02\x80\x00\x00\x01\xe0\x08\x02\x00\x00\x00"

func file(name string) provider.File {
	return provider.File{Name: name, ContentType: "image/png", Size: int64(len(picture)), Content: strings.NewReader(picture)}
}

// counted is how often the service was called.
func (s simulated) counted(call string) int {
	s.t.Helper()
	return simulatortest.Counters(s.t, s.sim)[call]
}

func TestAnUploadedFileMakesAClip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simulate(t)
		began := time.Now()
		up, err := p.Upload(t.Context(), uploadModel, file("cat.png"))
		require.NoError(t, err)
		require.Equal(t, began.Add(47*time.Hour), up.Expires)
		time.Sleep(46 * time.Hour)
		bought, err := p.Create(t.Context(), provider.Purchase{Request: video.Request{
			Model: uploadModel, Prompt: "Image 1 dances", Resolution: "720P", Ratio: "16:9", Duration: 5,
			References: []video.Reference{{Kind: video.Image, URL: up.URL}},
		}})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		s, err := p.Look(t.Context(), bought.ID)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, s.Status)
	})
}

// 100 policies a second are allowed for an account, and each is good for several files.
func TestAPolicyServesSeveralFilesOfItsModelUntilAMinuteBeforeItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := simulate(t)
		var wait sync.WaitGroup
		urls := make(chan string, 20)
		for range 20 {
			wait.Go(func() {
				up, err := p.Upload(t.Context(), uploadModel, file("same.png"))
				if err != nil {
					t.Error(err)
				}
				urls <- up.URL
			})
		}
		wait.Wait()
		close(urls)
		different := map[string]bool{}
		for url := range urls {
			different[url] = true
		}
		require.Len(t, different, 20, "every object has a name of its own")
		require.Equal(t, []int{1, 20}, []int{p.counted("policy"), p.counted("upload")})

		send := func(model string) {
			_, err := p.Upload(t.Context(), model, file("a.png"))
			require.NoError(t, err)
		}
		time.Sleep(4*time.Minute - time.Second)
		send(uploadModel)
		require.Equal(t, 1, p.counted("policy"))
		send("wan2.7-r2v-2026-06-12")
		require.Equal(t, 2, p.counted("policy"), "a policy is for one model")
		time.Sleep(time.Second)
		send(uploadModel)
		require.Equal(t, 3, p.counted("policy"))
	})
}

// expiring is a provider whose storage calls the first policies expired.
func expiring(t *testing.T, times int) simulated {
	t.Helper()
	sim := simulator.New(simulator.Options{})
	return simulated{serving(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/upload" && times > 0 {
			times--
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, recorded(t, "upload-refused-403-policy-expired.xml"))
			return
		}
		sim.ServeHTTP(w, r)
	}), t, sim}
}

// Sending again is for those who can give the file from its beginning: see internal/upload.
func TestAPolicyThatExpiredAllTheSameIsNotUsedAgain(t *testing.T) {
	p := expiring(t, 1)
	_, err := p.Upload(t.Context(), uploadModel, file("a.png"))
	e := failure(t, err)
	require.Equal(t, "AccessDenied", e.Code)
	require.Equal(t, video.NotCharged, e.Charged)
	require.True(t, e.Retryable)
	require.Equal(t, []int{1, 0}, []int{p.counted("policy"), p.counted("upload")})
	_, err = p.Upload(t.Context(), uploadModel, file("a.png"))
	require.NoError(t, err)
	require.Equal(t, []int{2, 1}, []int{p.counted("policy"), p.counted("upload")})
}

func TestAPolicyIsKeptWhenAFileIsRefusedForAnotherReason(t *testing.T) {
	p := simulate(t)
	p.arm("access-denied", "upload")
	for range 2 {
		_, err := p.Upload(t.Context(), uploadModel, file("a.png"))
		e := failure(t, err)
		require.Equal(t, "AccessDenied", e.Code)
		require.False(t, e.Retryable)
	}
	require.Equal(t, 1, p.counted("policy"))
}

// A slow upload learns late that its policy had expired, when others have a newer one already.
func TestANewPolicyIsNotForgottenForAnOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{})
		uploads := 0
		p := simulated{serving(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/upload" {
				if uploads++; uploads <= 2 {
					time.Sleep(time.Duration(3-uploads) * time.Second) // the first is told last
					w.WriteHeader(http.StatusForbidden)
					_, _ = io.WriteString(w, recorded(t, "upload-refused-403-policy-expired.xml"))
					return
				}
			}
			sim.ServeHTTP(w, r)
		}), t, sim}
		send := func() error { _, err := p.Upload(t.Context(), uploadModel, file("a.png")); return err }
		late := make(chan error, 1)
		go func() { late <- send() }()
		synctest.Wait()
		require.Error(t, send())
		require.NoError(t, send())
		require.Equal(t, 2, p.counted("policy"))
		require.Error(t, <-late)
		require.NoError(t, send())
		require.Equal(t, []int{2, 2}, []int{p.counted("policy"), p.counted("upload")})
	})
}

func TestAFileMayBeAsLargeAsThePolicySays(t *testing.T) {
	sim := simulator.New(simulator.Options{})
	p := simulated{serving(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/uploads" {
			sim.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		sim.ServeHTTP(answer, r)
		_, _ = io.WriteString(w, strings.Replace(answer.Body.String(), `"max_file_size_mb":100`, `"max_file_size_mb":1`, 1))
	}), t, sim}
	large := picture + strings.Repeat("x", 1<<20-len(picture))
	send := func(content string) error {
		_, err := p.Upload(t.Context(), uploadModel, provider.File{Name: "a.png", Size: int64(len(content)), Content: strings.NewReader(content)})
		return err
	}
	require.NoError(t, send(large))
	require.Equal(t, "FileTooLarge", failure(t, send(large+"x")).Code)
	require.Equal(t, 1, p.counted("upload"))
}

func TestObjectsAreNamedWithoutTheUsersFolders(t *testing.T) {
	p := simulate(t)
	for _, tt := range []struct{ name, contentType, ends string }{
		{"cat.png", "image/png", "-cat.png"},
		{"/home/maria/Secret Plans/My cat (1).PNG", "image/png", "-My-cat-1.png"},
		{`C:\Users\Maria\cat.jpeg`, "image/jpeg", "-cat.jpeg"},
		{"cat.jpg", "image/png", "-cat.png"},
		{"cat", "image/webp", "-cat.webp"},
		{"猫.png", "image/png", "-file.png"},
		{"Screenshot 10.30\u202fPM.png", "image/png", "-Screenshot-10-30-PM.png"},
		{"..", "video/mp4", "-file.mp4"},
		{"", "video/quicktime", "-file.mov"},
		{"a?b#c%d.mp3", "audio/mpeg", "-a-b-c-d.mp3"},
		{"clip.MOV", "application/octet-stream", "-clip.mov"},
		{strings.Repeat("x", 300) + ".bmp", "image/bmp", "-" + strings.Repeat("x", 40) + ".bmp"},
	} {
		f := file(tt.name)
		f.ContentType = tt.contentType
		up, err := p.Upload(t.Context(), uploadModel, f)
		require.NoError(t, err, tt.name)
		require.Regexp(t, `^oss://[0-9A-Za-z/_-]+/[a-z2-7]{26}-[0-9A-Za-z-]+\.[a-z0-9]+$`, up.URL)
		require.Equal(t, tt.ends, path.Base(up.URL)[26:], tt.name)
	}
}

// An upload buys nothing, whatever becomes of it.
func TestAnUploadThatFailsIsNeverCharged(t *testing.T) {
	for _, on := range []string{"policy", "upload"} {
		for fault, retryable := range map[string]bool{
			"drop-before": true, "drop-after": true, "503": true, "html-502": true, "504": true, "throttled": true,
			"access-denied": false, "invalid-parameter": false, "arrearage": false, "invalid-api-key": false,
		} {
			t.Run(on+" "+fault, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := simulate(t)
					p.arm(fault, on)
					_, err := p.Upload(t.Context(), uploadModel, file("a.png"))
					e := failure(t, err)
					require.Equal(t, video.NotCharged, e.Charged)
					require.Equal(t, retryable, e.Retryable)
					require.NotEmpty(t, e.Code)
					require.NotEmpty(t, e.Advice)
					require.NotContains(t, e.Advice, "bought")
				})
			})
		}
	}
}

func TestWhereUploadsAreNotDocumentedTheRefusalSaysWhatToDoInstead(t *testing.T) {
	for _, tt := range []struct {
		region, body string
		status       int
		elsewhere    bool
	}{
		{"singapore", `{"code":"AccessDenied","message":"Access denied."}`, 403, true},
		{"virginia", `{"code":"InvalidParameter","message":"url error, please check url!"}`, 400, true},
		{"", `{"code":"NotFound","message":"Request path not found."}`, 404, true},
		{"singapore", `{"data":{}}`, 200, true},
		{"beijing", `{"code":"AccessDenied","message":"Access denied."}`, 403, false},
		{"singapore", `{"code":"Arrearage","message":"Access denied, please make sure your account is in good standing."}`, 400, false},
		{"singapore", `{"code":"InvalidApiKey","message":"Invalid API-key provided."}`, 401, false},
		{"singapore", `{"code":"ModelNotFound","message":"The model does not exist."}`, 404, false},
	} {
		client, err := dashscope.New(dashscope.Config{
			BaseURL: "http://127.0.0.1/api/v1", APIKey: "sk-test", Region: tt.region,
			HTTPClient: &http.Client{Transport: simulatortest.Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))},
		})
		require.NoError(t, err)
		catalogue, err := video.BuiltIn()
		require.NoError(t, err)
		_, err = provider.NewDashScope(client, catalogue).Upload(t.Context(), uploadModel, file("a.png"))
		e := failure(t, err)
		require.Equal(t, video.NotCharged, e.Charged)
		require.Equal(t, tt.elsewhere, strings.Contains(e.Advice, "public https address"), "%+v", e)
		require.Equal(t, tt.elsewhere, strings.Contains(e.Advice, "Beijing"), "%+v", e)
	}
}

func TestWhatCannotBeUploadedIsRefusedBeforehand(t *testing.T) {
	p := simulate(t)
	for code, f := range map[string]provider.File{
		"EmptyFile":    {Name: "a.png", Content: strings.NewReader("")},
		"FileTooLarge": {Name: "a.mp4", Size: 100<<20 + 1, Content: strings.NewReader("")},
	} {
		_, err := p.Upload(t.Context(), uploadModel, f)
		require.Equal(t, code, failure(t, err).Code)
	}
	_, err := p.Upload(t.Context(), "nope", file("a.png"))
	require.Equal(t, "ModelUnknown", failure(t, err).Code)
	require.Zero(t, p.counted("upload"))
}

// hasty is a transport that answers at once and reads the content later, as net/http may.
type hasty struct {
	sim  http.Handler
	late chan io.Reader
}

func (h hasty) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/upload" {
		h.late <- r.Body
		return nil, errors.New("connection reset")
	}
	return simulatortest.Transport(h.sim).RoundTrip(r)
}

func TestTheContentIsNotReadOnceUploadHasReturned(t *testing.T) {
	h := hasty{simulator.New(simulator.Options{}), make(chan io.Reader, 1)}
	client, err := dashscope.New(dashscope.Config{BaseURL: "http://127.0.0.1/api/v1", APIKey: "sk-test", HTTPClient: &http.Client{Transport: h}})
	require.NoError(t, err)
	catalogue, err := video.BuiltIn()
	require.NoError(t, err)
	content := bytes.NewReader([]byte(picture))
	_, err = provider.NewDashScope(client, catalogue).Upload(t.Context(), uploadModel, provider.File{Name: "a.png", Size: content.Size(), Content: content})
	require.True(t, failure(t, err).Retryable)
	_, err = io.ReadAll(<-h.late)
	require.Error(t, err)
	require.Equal(t, int(content.Size()), content.Len(), "not a byte is read")
}
