package main_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// command runs the program as a person would, with nothing in its environment but what is given.
func command(t *testing.T, env []string, input string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, built(t, "r2v-mcp"), args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, strings.NewReader(input), &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

func TestTryMakesAClipWithoutAKey(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	stdout, stderr, err := command(t, []string{"HOME=" + home}, "", "try", "--duration", "3", "--model", "wan2.6-r2v")
	require.NoError(t, err, stderr)
	require.Empty(t, stderr)
	require.Contains(t, stdout, "No DASHSCOPE_API_KEY is set")
	said := func(label string) string {
		found := regexp.MustCompile(`(?m)^` + label + ` +(.*)$`).FindStringSubmatch(stdout)
		require.Len(t, found, 2, "%s in\n%s", label, stdout)
		return found[1]
	}
	require.Equal(t, "0.7 USD", said("billed"), "3 s and 4 s of a clip at 0.10")
	require.Equal(t, said("estimated"), said("billed"))
	clip, err := os.ReadFile(said("saved"))
	require.NoError(t, err)
	require.Equal(t, "ftyp", string(clip[4:8]))
	require.True(t, strings.HasPrefix(said("saved"), home+string(filepath.Separator)))
}

func TestTryTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	home := []string{"HOME=" + t.TempDir()}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"a request that breaks a rule": {[]string{"try", "--duration", "11"}, "would be refused; nothing was bought"},
		"a prompt for nobody":          {[]string{"try", "--prompt", "Image 3 waves"}, "would be refused"},
		"a task that fails":            {[]string{"try", "--prompt", "Video 1 [[fault:fail-data-inspection]]"}, "FAILED: DataInspectionFailed"},
		"live without a reference":     {[]string{"try", "--live"}, "--live needs --prompt and at least one --reference"},
		"live without a key":           {[]string{"try", "--live", "--prompt", "Image 1", "--reference", "https://media.example/a.png"}, "--live needs a key in DASHSCOPE_API_KEY"},
		"a flag that is not there":     {[]string{"try", "--lenght", "5"}, "--lenght"},
		"a command that is not there":  {[]string{"serve"}, `unknown command "serve"`},
		"too many words":               {[]string{"stdio", "now"}, `unknown command "now"`},
		"a simulator for everybody":    {[]string{"simulate", "--addr", "0.0.0.0:0"}, "not a loopback address"},
		"a simulator that stands":      {[]string{"simulate", "--speed", "0"}, "--speed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, err := command(t, home, "", tt.args...)
			require.Error(t, err)
			require.Contains(t, stderr, tt.want, stdout)
		})
	}
}

// The real service is asked only with --live and a yes. A simulator stands for it here.
func TestLiveAsksBeforeItSpends(t *testing.T) {
	t.Parallel()
	s := newService(t, 600)
	args := []string{"try", "--live", "--prompt", "Image 1 waves", "--reference", picture, "--resolution", "720P"}
	for _, input := range []string{"", "n\n", "\n", "yes please\n"} {
		stdout, stderr, err := command(t, s.env(t.TempDir()), input, args...)
		require.Error(t, err)
		require.Contains(t, stdout, "This buys a clip for 0.5 USD of real money. Buy it? [y/N]")
		require.Contains(t, stderr, "not confirmed; nothing was bought")
	}
	require.Zero(t, s.creates.Load())
	stdout, stderr, err := command(t, s.env(t.TempDir()), "y\n", args...)
	require.NoError(t, err, stderr)
	require.Contains(t, stdout, "billed         0.5 USD")
	require.EqualValues(t, 1, s.creates.Load())
}

func TestTryTakesAPictureWithoutAPrompt(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	_, stderr, err := command(t, []string{"HOME=" + home, "R2V_FILE_ROOTS=testdata"}, "", "try", "--reference", "media/baseline.jpg")
	require.Error(t, err, "a folder must be absolute")
	require.Contains(t, stderr, "R2V_FILE_ROOTS")
	folder, err := filepath.Abs("testdata")
	require.NoError(t, err)
	stdout, stderr, err := command(t, []string{"HOME=" + home, "R2V_FILE_ROOTS=" + folder}, "", "try", "--reference", "media/baseline.jpg")
	require.NoError(t, err, "%s %s", stdout, stderr)
	require.Contains(t, stdout, "saved          "+home)
}

func TestWithAKeyTryStillUsesTheSimulator(t *testing.T) {
	t.Parallel()
	s := newService(t, 600)
	stdout, stderr, err := command(t, s.env(t.TempDir()), "", "try")
	require.NoError(t, err, stderr)
	require.Contains(t, stdout, "--live uses your key and real money")
	require.Zero(t, s.creates.Load())
}

// What costs nothing neither uses up the budget of what does, nor stands in its ledger.
func TestTryKeepsAwayFromTheRealLedger(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	stdout, stderr, err := command(t, []string{
		"HOME=" + t.TempDir(), "R2V_DATA_DIR=" + data, "R2V_BUDGET_PER_DAY=0.01", "R2V_BUDGET_PER_TASK=0.01", "R2V_DATABASE_URL=postgres://nobody@127.0.0.1:9/r2v",
	}, "", "try", "--duration", "2")
	require.NoError(t, err, stderr)
	require.Contains(t, stdout, "saved          "+filepath.Join(data, "simulated", "videos")+string(filepath.Separator))
	left, err := os.ReadDir(data)
	require.NoError(t, err)
	require.Len(t, left, 1, "only the folder for what is simulated")
	stdout, _, err = command(t, []string{"R2V_DATA_DIR=" + filepath.Join(data, "simulated"), "DASHSCOPE_REGION=simulator"}, "", "tasks")
	require.NoError(t, err)
	require.Contains(t, stdout, "SUCCEEDED", "and it can be looked at")
}

func TestABadSettingStopsTheStart(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"stdio"}} {
		stdout, stderr, err := command(t, []string{"HOME=" + t.TempDir(), "DASHSCOPE_REGION=mars", "DASHSCOPE_API_KEY=" + canaryKey}, "", args...)
		require.Error(t, err)
		require.Empty(t, stdout)
		require.Contains(t, stderr, `DASHSCOPE_REGION: "mars" is not one of singapore, virginia, beijing, simulator`)
		require.NotContains(t, stderr, canaryKey)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	stdout, _, err := command(t, []string{"HOME=" + t.TempDir()}, "", "version")
	require.NoError(t, err)
	require.Regexp(t, `^r2v-mcp \d+\.\d+\.\d+\nMCP 2026-07-28, 2025-11-25, .*\ncatalogue of 20\d\d-\d\d-\d\d\n$`, stdout)
}

func TestFaultsAreListed(t *testing.T) {
	t.Parallel()
	stdout, _, err := command(t, []string{"HOME=" + t.TempDir()}, "", "simulate", "--faults")
	require.NoError(t, err)
	for _, name := range []string{"throttled", "drop-after", "html-502", "expired-link"} {
		require.Contains(t, stdout, "\n  "+name+" ")
	}
}
