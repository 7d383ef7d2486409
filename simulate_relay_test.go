package main_test

import (
	"testing"

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
