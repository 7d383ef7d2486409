package main_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// abandoned makes a task with a server that is then killed, and returns the task's id.
func abandoned(t *testing.T, env []string, prompt string) string {
	t.Helper()
	p := greeted(t, append(slices.Clone(env), "R2V_POLL_INTERVAL=1m")...) // its looks are not what is tested
	made := p.ask("generate_r2v", waving(prompt)).answer
	require.NotEmpty(t, made.ProviderTaskID)
	p.kill()
	return made.TaskID
}

func TestTrackSavesTheClipOfAClosedAssistant(t *testing.T) {
	t.Parallel()
	s := newService(t, 120)
	home := t.TempDir()
	id := abandoned(t, s.env(home), "goodbye")
	stdout, stderr, err := command(t, s.env(home), "", "track")
	require.Zero(t, exitOf(t, err), stderr)
	path := filepath.Join(home, "clips", id+".mp4")
	requireClip(t, path)
	require.Regexp(t, `(?m)^`+id+`  (PENDING|RUNNING)$`, stdout, "a line for each change")
	require.True(t, strings.HasSuffix(stdout, "\n"+id+"  saved to "+path+"\nNothing is open; 1 saved now.\n"), stdout)
	require.NotContains(t, stdout, "\r", "no bar")

	stdout, stderr, err = command(t, s.env(home), "", "track")
	require.NoError(t, err, stderr)
	require.Equal(t, "Nothing is open; 0 saved now.\n", stdout)
	require.EqualValues(t, 1, s.creates.Load())
}

func TestTrackSavesWhatWasMadeWhileNothingWasSaved(t *testing.T) {
	t.Parallel()
	s := newService(t, 600)
	home := t.TempDir()
	id := abandoned(t, s.env(home), "goodbye")
	stdout, stderr, err := command(t, append(s.env(home), "R2V_SAVE_DIR=off"), "", "track")
	require.NoError(t, err, stderr)
	require.Contains(t, stdout, id+"  SUCCEEDED\nNothing is open; 0 saved now.\n", "nothing is waited for that nobody will do")
	stdout, stderr, err = command(t, s.env(home), "", "track")
	require.NoError(t, err, stderr)
	require.Contains(t, stdout, "Nothing is open; 1 saved now.\n")
	requireClip(t, filepath.Join(home, "clips", id+".mp4"))
}

func TestTrackDoesNotWaitForAClipThatAnotherServiceMade(t *testing.T) {
	t.Parallel()
	s := newService(t, 600)
	home := t.TempDir()
	id := abandoned(t, s.env(home), "goodbye")
	stdout, stderr, err := command(t, append(s.env(home), "R2V_SAVE_DIR=off"), "", "track")
	require.NoError(t, err, stderr)
	require.Contains(t, stdout, id+"  SUCCEEDED\n")
	_, stderr, err = command(t, append(s.env(home), "DASHSCOPE_HTTP_BASE_URL=http://127.0.0.1:9/api/v1"), "", "track")
	require.Equal(t, 2, exitOf(t, err), stderr)
	require.Contains(t, stderr, id+"  is SUCCEEDED at another service or region than this: run track with the settings that it was bought with")
}

func TestTrackSaysWhatIsNotWell(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		prompt string
		env    func(home string) []string
		code   int
		want   []string
	}{
		"a task that fails": {
			"[[fault:fail-data-inspection]]", func(string) []string { return nil }, 2,
			[]string{"not all is well:\nr2v-mcp: r2v-", "FAILED: DataInspectionFailed: "},
		},
		"a clip that cannot be saved": {
			"", func(home string) []string { return []string{"R2V_SAVE_DIR=" + filepath.Join(home, "file", "clips")} }, 2,
			[]string{"is made and paid for, but could not be saved: ", "not a directory", "run track again, before its link dies at "},
		},
		"a key that is refused": {
			"", func(string) []string { return []string{"DASHSCOPE_API_KEY=sk-wrong"} }, 1,
			[]string{"InvalidApiKey"},
		},
		"no key": {
			"", func(string) []string { return []string{"DASHSCOPE_API_KEY="} }, 1,
			[]string{"1 of the ledger's tasks are open, and cannot be followed: NoAPIKey: DASHSCOPE_API_KEY is not set", "get-api-key"},
		},
		"another service": {
			"", func(string) []string { return []string{"DASHSCOPE_HTTP_BASE_URL=http://127.0.0.1:9/api/v1"} }, 2,
			[]string{"is PENDING at another service or region than this: run track with the settings that it was bought with"},
		},
		"a bad setting": {
			"", func(string) []string { return []string{"R2V_BUDGET_PER_DAY=-1"} }, 1, []string{`R2V_BUDGET_PER_DAY: "-1" is no amount`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, 600)
			home := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(home, "file"), nil, 0o600))
			abandoned(t, s.env(home), tt.prompt)
			stdout, stderr, err := command(t, append(s.env(home), tt.env(home)...), "", "track")
			require.Equal(t, tt.code, exitOf(t, err), "%s%s", stdout, stderr)
			for _, want := range tt.want {
				require.Contains(t, stderr, want)
			}
			require.NotContains(t, stdout+stderr, canaryKey)
		})
	}
}

func TestTrackWithoutAKeyHasNothingToSayWhenNothingIsOpen(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	stdout, stderr, err := command(t, []string{"HOME=" + home}, "", "track")
	require.NoError(t, err, stderr)
	require.Equal(t, "Nothing is open; 0 saved now.\n", stdout)
	left, err := os.ReadDir(home)
	require.NoError(t, err)
	require.Empty(t, left, "no ledger is made")
}

func TestASignalEndsTrackAtOnceAndItSaysWhatIsOpen(t *testing.T) {
	t.Parallel()
	s := newService(t, 1)
	home := t.TempDir()
	id := abandoned(t, s.env(home), "slowly")
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		r := until(t, s.env(home), id+"  ", "track")
		require.NoError(t, r.cmd.Process.Signal(signal))
		code, text := r.ended(t)
		require.Equal(t, 1, code)
		require.Regexp(t, `interrupted; still open:\nr2v-mcp: `+id+`  (PENDING|RUNNING), forgotten by the service at 20`, text)
	}
}

func TestTrackOfADoubtSaysHowLongItIsLookedFor(t *testing.T) {
	t.Parallel()
	s := newService(t, 600)
	home := t.TempDir()
	p := greeted(t, s.env(home)...)
	id := p.ask("generate_r2v", waving("[[fault:503]]")).answer.TaskID
	p.kill()
	r := until(t, s.env(home), id+"  in doubt: the service is searched for it, until ", "track")
	require.NoError(t, r.cmd.Process.Signal(os.Interrupt))
	code, text := r.ended(t)
	require.Equal(t, 1, code)
	require.Regexp(t, `interrupted; still open:\nr2v-mcp: `+id+`  in doubt: the service is searched for it, until \d\d:\d\d\nr2v-mcp: A server, or r2v-mcp track, goes on with them.\n$`, text)
}

func TestWatchFollowsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	s := newService(t, 600)
	home := t.TempDir()
	id := abandoned(t, s.env(home), "goodbye")
	r := until(t, s.env(home), "msg=saved task="+id, "track", "--watch")
	requireClip(t, filepath.Join(home, "clips", id+".mp4"))
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGTERM))
	code, text := r.ended(t)
	require.Zero(t, code, text)
	for line := range strings.Lines(text) {
		require.True(t, strings.HasPrefix(line, "time="), "every line is a log line: %s", line)
	}
	require.NotContains(t, text, canaryKey)

	_, stderr, err := command(t, []string{"HOME=" + home}, "", "track", "--watch")
	require.Equal(t, 1, exitOf(t, err))
	require.Contains(t, stderr, "DASHSCOPE_API_KEY is not set")
}
