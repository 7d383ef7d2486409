package auth_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/auth"
)

func open(t *testing.T, path string) (*auth.Tokens, *clock, *journal) {
	t.Helper()
	var j journal
	tokens, err := auth.OpenTokens(path, logTo(&j))
	require.NoError(t, err)
	c := &clock{}
	tokens.SetClock(c.now)
	return tokens, c, &j
}

func knows(t *testing.T, v auth.Verifier, token string) bool {
	t.Helper()
	_, err := v.Verify(t.Context(), token)
	if err != nil {
		require.ErrorIs(t, err, auth.ErrUnknown)
	}
	return err == nil
}

func TestAFileOfTokens(t *testing.T) {
	t.Parallel()
	tokens, _, _ := open(t, fileOf(t, "\ufeff# people", "", "alice "+hashed(alices), "  alice\tsha256:"+strings.ToUpper(hashed(alices2)[7:])+"  ",
		"#bob "+hashed(bobs), "prometheus "+hashed(scrapes)+" metrics\r"))
	for token, want := range map[string]auth.Person{
		alices: {Name: "alice"}, alices2: {Name: "alice"}, scrapes: {Name: "prometheus", Reader: true},
	} {
		p, err := tokens.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, want, p)
	}
	for _, token := range []string{bobs, nobodys, "", alices + " ", alices[:20], hashed(alices), "Bearer " + alices, strings.Repeat("a", 1<<20)} {
		require.False(t, knows(t, tokens, token), "%.40s", token)
	}
}

func TestATokenHas20CharactersAtLeast(t *testing.T) {
	t.Parallel()
	short, enough := strings.Repeat("x", 19), strings.Repeat("x", 20)
	tokens, _, _ := open(t, fileOf(t, "short "+hashed(short), "enough "+hashed(enough), "nothing "+hashed("")))
	require.False(t, knows(t, tokens, short))
	require.False(t, knows(t, tokens, ""))
	require.True(t, knows(t, tokens, enough))
}

func TestABadFileStopsTheStartAndIsNotRepeated(t *testing.T) {
	t.Parallel()
	const secret = "r2v_thisisasecretthatnobodymaysee00"
	for name, tt := range map[string]struct{ lines, want string }{
		"nothing":                {"", "no token in it"},
		"only comments":          {"# alice\n\n", "no token in it"},
		"a name alone":           {"alice", "line 1: a line is NAME"},
		"a token alone":          {"# x\n" + secret, "line 2: its first word is no name"},
		"an odd token alone":     {nobodys, "line 1: a line is NAME"},
		"a token for its hash":   {"alice " + secret, "line 1 (alice): a line is NAME"},
		"a hash of another":      {"alice sha512:" + strings.Repeat("a", 64), "line 1 (alice)"},
		"no word before it":      {"alice " + strings.Repeat("a", 64), "line 1 (alice)"},
		"a short hash":           {"alice sha256:" + strings.Repeat("a", 63), "line 1 (alice)"},
		"a long hash":            {"alice sha256:" + strings.Repeat("a", 65), "line 1 (alice)"},
		"a hash that is none":    {"alice sha256:" + strings.Repeat("g", 64), "line 1 (alice)"},
		"an unknown word":        {"alice " + hashed(alices) + " admin", "line 1 (alice): what follows the hash"},
		"two words":              {"alice " + hashed(alices) + " metrics " + secret, "line 1 (alice): what follows the hash"},
		"a name with an @":       {"alice@example.com " + hashed(alices), "line 1: its first word is no name"},
		"a name with a slash":    {"a/b " + hashed(alices), "line 1: its first word is no name"},
		"a name with a hyphen":   {"-a " + hashed(alices), "line 1: its first word is no name"},
		"a name of 65":           {strings.Repeat("a", 65) + " " + hashed(alices), "line 1: its first word is no name"},
		"a name of elsewhere":    {"älice " + hashed(alices), "line 1: its first word is no name"},
		"one token twice":        {"alice " + hashed(alices) + "\n\nbob " + hashed(alices), "line 3 (bob): the token of line 1 again"},
		"one line twice":         {"alice " + hashed(alices) + "\nalice " + hashed(alices), "line 2 (alice): the token of line 1 again"},
		"more than a megabyte":   {strings.Repeat("#\n", 1<<19) + "alice " + hashed(alices), "more than a megabyte"},
		"bytes that are no text": {"\x00\x01\x02 " + hashed(alices), "line 1: its first word is no name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := fileOf(t, tt.lines)
			_, err := auth.OpenTokens(path, logTo(&journal{}))
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, tt.want)
			for _, hidden := range []string{secret, nobodys, hashed(alices)[7:], strings.Repeat("a", 63)} {
				require.NotContains(t, err.Error(), hidden)
			}
		})
	}
}

func TestAFileThatCannotBeReadStopsTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := auth.OpenTokens(filepath.Join(dir, "none"), logTo(&journal{}))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = auth.OpenTokens(dir, logTo(&journal{}))
	require.ErrorContains(t, err, "no regular file")
}

func TestAFileThatOthersMayWriteToIsRefused(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("it has no such bits")
	}
	path := fileOf(t, "alice "+hashed(alices))
	for _, mode := range []os.FileMode{0o620, 0o602, 0o666, 0o660} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := auth.OpenTokens(path, logTo(&journal{}))
		require.ErrorContains(t, err, "chmod go-w", mode)
		require.ErrorContains(t, auth.AppendLine(path, "bob "+hashed(bobs)), "chmod go-w", mode)
	}
	for _, mode := range []os.FileMode{0o600, 0o400, 0o644, 0o444} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := auth.OpenTokens(path, logTo(&journal{}))
		require.NoError(t, err, mode)
	}
}

func TestAChangedFileIsReadWithinASecond(t *testing.T) {
	t.Parallel()
	path := fileOf(t, "alice "+hashed(alices))
	tokens, clock, _ := open(t, path)
	rewrite(t, path, "alice "+hashed(alices2))
	require.True(t, knows(t, tokens, alices), "it is looked at once a second at most")
	clock.pass(time.Second)
	require.False(t, knows(t, tokens, alices), "it was withdrawn")
	require.True(t, knows(t, tokens, alices2))

	clock.pass(time.Hour)
	require.True(t, knows(t, tokens, alices2))
	info, err := os.Stat(path)
	require.NoError(t, err)
	other := path + ".new" // of the same size and time: only its place on the disk tells
	rewrite(t, other, "alice "+hashed(alices))
	require.NoError(t, os.Chtimes(other, info.ModTime(), info.ModTime()))
	require.NoError(t, os.Rename(other, path))
	clock.pass(time.Second)
	require.True(t, knows(t, tokens, alices))
	require.False(t, knows(t, tokens, alices2))
}

// Two changes within one tick of a disk's clock look like one.
func TestAChangeRightAfterAnotherIsSeen(t *testing.T) {
	t.Parallel()
	path := fileOf(t, "alice "+hashed(alices))
	tokens, clock, _ := open(t, path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	rewrite(t, path, "alice "+hashed(alices2))
	require.NoError(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	clock.pass(time.Second)
	require.True(t, knows(t, tokens, alices2))
}

func TestABrokenFileIsLoggedAndReadAgainWhenItIsMended(t *testing.T) {
	t.Parallel()
	path := fileOf(t, "alice "+hashed(alices))
	tokens, clock, journal := open(t, path)
	rewrite(t, path, "alice "+hashed(alices), "bob "+hashed(bobs)[:40])
	for range 5 {
		clock.pass(time.Second)
		require.True(t, knows(t, tokens, alices))
	}
	require.Equal(t, 1, journal.lines(), journal)
	require.True(t, journal.has("line 2 (bob)"), journal)
	rewrite(t, path, "bob "+hashed(bobs))
	clock.pass(time.Second)
	require.True(t, knows(t, tokens, bobs))
	require.False(t, knows(t, tokens, alices))
	require.Equal(t, 2, journal.lines(), journal)
	if runtime.GOOS != "windows" {
		require.NoError(t, os.Chmod(path, 0o666))
		rewrite(t, path, "bob "+hashed(bobs), "mallory "+hashed(nobodys))
		clock.pass(time.Second)
		require.False(t, knows(t, tokens, nobodys), "anybody could have written it")
		require.True(t, knows(t, tokens, bobs))
		require.Equal(t, 3, journal.lines(), journal)
		clock.pass(time.Hour)
		require.False(t, knows(t, tokens, nobodys))
		require.NoError(t, os.Chmod(path, 0o600))
		clock.pass(time.Second)
		require.True(t, knows(t, tokens, nobodys), "its mode was mended")
	}
}

func TestWithoutFileOrLinesNobodyIsLetIn(t *testing.T) {
	t.Parallel()
	path := fileOf(t, "alice "+hashed(alices))
	for name, empty := range map[string]func(){
		"gone":        func() { require.NoError(t, os.Remove(path)) },
		"empty":       func() { rewrite(t, path) },
		"all remarks": func() { rewrite(t, path, "# alice "+hashed(alices)) },
	} {
		rewrite(t, path, "alice "+hashed(alices))
		tokens, clock, journal := open(t, path)
		empty()
		for range 3 {
			clock.pass(time.Second)
			require.False(t, knows(t, tokens, alices), name)
		}
		require.Equal(t, 1, journal.lines(), journal)
		rewrite(t, path, "alice "+hashed(alices))
		clock.pass(time.Second)
		require.True(t, knows(t, tokens, alices), name)
	}
}

// Whatever happens to the file, a token that is in each version always works, and one that is in none never does.
func TestTheFileChangesUnderLoad(t *testing.T) {
	t.Parallel()
	path := fileOf(t, "alice "+hashed(alices))
	tokens, clock, _ := open(t, path)
	var ended atomic.Bool
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for !ended.Load() {
				if _, err := tokens.Verify(t.Context(), alices); err != nil {
					t.Error("alice was in every version:", err)
					return
				}
				if _, err := tokens.Verify(t.Context(), nobodys); err == nil {
					t.Error("nobody was in no version")
					return
				}
			}
		})
	}
	for n := range 200 {
		next := path + ".next"
		switch n % 3 {
		case 0:
			rewrite(t, next, "alice "+hashed(alices))
		case 1:
			rewrite(t, next, "alice "+hashed(alices), fmt.Sprintf("bob%d %s", n, hashed(fmt.Sprint(bobs, n))))
		case 2:
			rewrite(t, next, "alice "+hashed(alices), "bob sha256:half")
		}
		require.NoError(t, os.Rename(next, path))
		clock.pass(time.Second)
		require.True(t, knows(t, tokens, alices)) // who asks waits, so that no look lasts for long by this clock
	}
	rewrite(t, path+".next", "alice "+hashed(alices), "bob "+hashed(bobs))
	require.NoError(t, os.Rename(path+".next", path))
	require.Eventually(t, func() bool { clock.pass(time.Second); return knows(t, tokens, bobs) }, 5*time.Second, time.Millisecond)
	ended.Store(true)
	callers.Wait()
}

func TestAMadeTokenIsKnownByItsLine(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, reader := range []bool{false, true} {
		token, line, err := auth.NewToken("alice", reader)
		require.NoError(t, err)
		require.Regexp(t, `^r2v_[a-z2-7]{32}$`, token)
		require.NotContains(t, line, token)
		require.False(t, seen[token])
		seen[token] = true
		tokens, _, _ := open(t, fileOf(t, line))
		p, err := tokens.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, auth.Person{Name: "alice", Reader: reader}, p)
	}
}

func TestALineIsAddedToAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, auth.AppendLine(path, "alice "+hashed(alices)))
	if runtime.GOOS != "windows" {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
	}
	require.NoError(t, os.WriteFile(path, []byte("# no line end"), 0o600))
	require.NoError(t, auth.AppendLine(path, "alice "+hashed(alices)))
	require.NoError(t, auth.AppendLine(path, "bob "+hashed(bobs)))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "# no line end\nalice "+hashed(alices)+"\nbob "+hashed(bobs)+"\n", string(text))

	require.ErrorContains(t, auth.AppendLine(path, "carol "+hashed(bobs)), "again")
	require.NoError(t, os.WriteFile(path, []byte("alice\n"), 0o600))
	require.ErrorContains(t, auth.AppendLine(path, "bob "+hashed(bobs)), "line 1", "the server would not read it")
	require.Error(t, auth.AppendLine(filepath.Join(t.TempDir(), "no", "folder"), "bob "+hashed(bobs)))
}

func TestManyAddLinesAtOnce(t *testing.T) {
	t.Parallel()
	path := fileOf(t, "alice "+hashed(alices))
	var all sync.WaitGroup
	made := make([]string, 20)
	for n := range made {
		all.Go(func() {
			token, line, err := auth.NewToken(fmt.Sprintf("p%d", n), false)
			if err == nil {
				err = auth.AppendLine(path, line)
			}
			if err != nil {
				t.Error(err)
			}
			made[n] = token
		})
	}
	all.Wait()
	tokens, _, _ := open(t, path)
	for _, token := range append(made, alices) {
		require.True(t, knows(t, tokens, token))
	}
}
