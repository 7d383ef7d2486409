package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/auth"
)

// makeToken runs the command with an environment of which nothing else is good.
func makeToken(t *testing.T, file string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	environ := []string{"DASHSCOPE_REGION=mars", "R2V_NO_SUCH_SETTING=1", "R2V_BUDGET_PER_DAY=much"}
	if file != "" {
		environ = append(environ, "R2V_TOKENS_FILE= "+file+" ")
	}
	cmd := (&program{environ: environ, stdout: &out, stderr: &errs}).tokenCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

var oneToken = regexp.MustCompile(`^r2v_[a-z2-7]{32}\n$`)

func TestATokenIsMadeWithoutAnyOtherSetting(t *testing.T) {
	t.Parallel()
	stdout, stderr, err := makeToken(t, "", "alice")
	require.NoError(t, err)
	require.Regexp(t, oneToken, stdout)
	require.Contains(t, stderr, "Add this line to the file that R2V_TOKENS_FILE names")
	require.Regexp(t, `(?m)^alice sha256:[0-9a-f]{64}$`, stderr)
	require.NotContains(t, stderr, strings.TrimSpace(stdout))
	_, stderr, err = makeToken(t, "", "prometheus", "--metrics")
	require.NoError(t, err)
	require.Regexp(t, `(?m)^prometheus sha256:[0-9a-f]{64} metrics$`, stderr)
}

func TestATokenIsAddedToTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	people := map[string]auth.Person{}
	for _, args := range [][]string{{"alice"}, {"bob.b"}, {"alice"}, {"prometheus", "--metrics"}} {
		stdout, stderr, err := makeToken(t, file, args...)
		require.NoError(t, err)
		require.Regexp(t, oneToken, stdout)
		require.Contains(t, stderr, "was added to "+file)
		people[strings.TrimSpace(stdout)] = auth.Person{Name: args[0], Reader: len(args) == 2}
	}
	require.Len(t, people, 4)
	if runtime.GOOS != "windows" {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	tokens, err := auth.OpenTokens(file, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	for token, want := range people {
		p, err := tokens.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, want, p)
		require.NotContains(t, string(text), token)
	}
}

func TestATokenThatCannotBeKeptIsNotShown(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(broken, []byte("alice is here\n"), 0o600))
	for file, want := range map[string]string{
		broken:                        "line 1",
		filepath.Join(broken, "x"):    "R2V_TOKENS_FILE: ",
		t.TempDir():                   "R2V_TOKENS_FILE: ",
		filepath.Join("no", "folder"): "no token was made",
	} {
		stdout, _, err := makeToken(t, file, "bob")
		require.ErrorContains(t, err, want)
		require.Empty(t, stdout)
	}
	text, err := os.ReadFile(broken)
	require.NoError(t, err)
	require.Equal(t, "alice is here\n", string(text))
}

func TestBadNamesOfTokensAreRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	for _, args := range [][]string{{""}, {"a b"}, {"alice@example.com"}, {"a/b"}, {".a"}, {"älice"}, {"a\n"}, {strings.Repeat("a", 65)}, {"r2v_abcdefghij"}, {"R2V_x"}} {
		stdout, stderr, err := makeToken(t, file, args...)
		require.ErrorContains(t, err, "1 to 64 letters, digits, dots, hyphens and underscores", args)
		require.Empty(t, stdout+stderr)
	}
	for _, args := range [][]string{{}, {"alice", "bob"}} {
		_, _, err := makeToken(t, file, args...)
		require.ErrorContains(t, err, "r2v-mcp token alice")
	}
	require.NoFileExists(t, file)
}
