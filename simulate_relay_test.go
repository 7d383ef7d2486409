package main_test

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheRelayIsSimulatedWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env, args []string
		want      string
	}{
		"by the flag":           {nil, []string{"--provider", "evolink"}, "EVOLINK_API_KEY=anything"},
		"by the environment":    {[]string{"R2V_PROVIDER=evolink"}, nil, "EVOLINK_API_KEY=anything"},
		"the flag wins":         {[]string{"R2V_PROVIDER=evolink"}, []string{"--provider", "dashscope"}, "DASHSCOPE_API_KEY=anything"},
		"a variable left empty": {[]string{"R2V_PROVIDER="}, []string{"--callbacks-inside"}, "DASHSCOPE_API_KEY=anything"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := until(t, append(tt.env, "HOME="+t.TempDir()), tt.want, append([]string{"simulate", "--addr", "127.0.0.1:0"}, tt.args...)...)
			require.NoError(t, r.cmd.Process.Kill())
			_, _ = r.ended(t)
		})
	}
}

func TestTheSimulatedRelayPrintsWhatPointsTheProgramAtIt(t *testing.T) {
	t.Parallel()
	r := until(t, []string{"HOME=" + t.TempDir()}, "EVOLINK_API_KEY=sk-1", "simulate", "--addr", "127.0.0.1:0", "--provider", "evolink", "--key", "sk-1", "--callbacks-inside")
	said := r.said.text.String()
	require.NoError(t, r.cmd.Process.Kill())
	_, _ = r.ended(t)
	require.Regexp(t, `^simulated EvoLink on (http://127\.0\.0\.1:\d+), until interrupted; nothing is charged\n\n`+
		`R2V_PROVIDER=evolink\nDASHSCOPE_REGION=simulator\nEVOLINK_BASE_URL=http://127\.0\.0\.1:\d+\nEVOLINK_API_KEY=sk-1\n$`, said)
}

func TestSimulateKnowsTwoProviders(t *testing.T) {
	t.Parallel()
	home := "HOME=" + t.TempDir()
	for _, tt := range []struct{ env, args []string }{
		{[]string{home}, []string{"simulate", "--provider", "other"}}, {[]string{home, "R2V_PROVIDER=other"}, []string{"simulate"}},
	} {
		_, stderr, err := command(t, tt.env, "", tt.args...)
		require.Error(t, err)
		require.Contains(t, stderr, `--provider: "other" is not one of dashscope, evolink`)
	}
	relay, _, err := command(t, []string{home, "R2V_PROVIDER=evolink"}, "", "simulate", "--faults")
	require.NoError(t, err)
	require.Contains(t, relay, "\n  callback-forged ")
	require.NotContains(t, relay, "\n  unpurchased ")
	other, _, err := command(t, []string{home}, "", "simulate", "--faults")
	require.NoError(t, err)
	require.NotContains(t, other, "\n  callback-forged ")
}

func TestLiveAtTheRelayNeedsItsKey(t *testing.T) {
	t.Parallel()
	_, stderr, err := command(t, []string{"HOME=" + t.TempDir(), "R2V_PROVIDER=evolink", "DASHSCOPE_API_KEY=sk-other"}, "",
		"try", "--live", "--prompt", "Image 1", "--reference", "https://media.example/a.png")
	require.Error(t, err)
	require.Contains(t, stderr, "--live needs a key in EVOLINK_API_KEY")
}

// A server on this machine is called back only where that was asked for; its certificate is checked as anybody's.
func TestTheSimulatedRelayCallsThisMachineWhenTold(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 1)
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		bodies <- string(content)
	}))
	t.Cleanup(receiver.Close)
	known := filepath.Join(t.TempDir(), "known.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: receiver.Certificate().Raw})
	require.NoError(t, os.WriteFile(known, certificate, 0o600))
	for flag, status := range map[string]int{"--callbacks-inside=false": http.StatusBadRequest, "--callbacks-inside": http.StatusOK} {
		env := []string{"HOME=" + t.TempDir(), "SSL_CERT_FILE=" + known}
		r := until(t, env, "EVOLINK_API_KEY=", "simulate", "--addr", "127.0.0.1:0", "--provider", "evolink", "--speed", "1000", flag)
		base := regexp.MustCompile(`EVOLINK_BASE_URL=(\S+)`).FindStringSubmatch(r.said.text.String())[1]
		order := `{"model":"wan2.6-reference-video-flash","prompt":"dance","video_urls":["https://media.example/a-4s.mp4"],"callback_url":"` + receiver.URL + `/hook"}`
		ask, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/videos/generations", strings.NewReader(order))
		require.NoError(t, err)
		ask.Header.Set("Authorization", "Bearer anything")
		ask.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(ask)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, status, resp.StatusCode)
		if status == http.StatusOK {
			select {
			case body := <-bodies:
				require.Contains(t, body, `"status":"completed"`)
			case <-time.After(10 * time.Second):
				t.Error("nobody called")
			}
		}
		require.NoError(t, r.cmd.Process.Kill())
		_, _ = r.ended(t)
	}
}
