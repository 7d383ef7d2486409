package auth_test

import (
	"context"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/auth"
)

// troubles are ways in which a file that can be read is not in order. Each writes lines and spoils them.
func troubles() map[string]func(*testing.T, string, ...string) {
	all := map[string]func(*testing.T, string, ...string){
		"a bad line before": func(t *testing.T, path string, lines ...string) {
			t.Helper()
			rewrite(t, path, append([]string{"dave REVOKED"}, lines...)...)
		},
		"a bad line behind": func(t *testing.T, path string, lines ...string) {
			t.Helper()
			rewrite(t, path, append(lines, "dave sha256:"+strings.Repeat("a", 30))...)
		},
	}
	if runtime.GOOS != "windows" { // which has no such bits
		all["others may write"] = func(t *testing.T, path string, lines ...string) {
			t.Helper()
			rewrite(t, path, lines...)
			require.NoError(t, os.Chmod(path, 0o664))
		}
	}
	return all
}

func TestAWithdrawnTokenOpensNothingThoughItsFileIsNotInOrder(t *testing.T) {
	t.Parallel()
	alice, bob, reader := "alice "+hashed(alices), "bob "+hashed(bobs), "prometheus "+hashed(scrapes)+" metrics"
	for name, tt := range map[string]struct {
		lines []string
		left  string // who is still let in
	}{
		"nobody withdrawn":      {[]string{alice, bob, reader}, "alice bob prometheus"},
		"written otherwise":     {[]string{"\ufeff# people", reader + "\r", "", "bob\tsha256:" + strings.ToUpper(hashed(bobs)[7:]), alice}, "alice bob prometheus"},
		"the line deleted":      {[]string{alice, reader}, "alice prometheus"},
		"the hash struck out":   {[]string{alice, "bob REVOKED", reader}, "alice prometheus"},
		"a word behind":         {[]string{alice, bob + " REVOKED", reader}, "alice prometheus"},
		"a remark made of it":   {[]string{alice, "#" + bob, "# " + bob, reader}, "alice prometheus"},
		"a mark put before":     {[]string{alice, "-" + bob, reader}, "alice prometheus"},
		"given to another":      {[]string{alice, "mallory " + hashed(bobs), reader}, "alice prometheus"},
		"made a reader's":       {[]string{alice, bob + " metrics", reader}, "alice prometheus"},
		"a reader made more":    {[]string{alice, bob, "prometheus " + hashed(scrapes)}, "alice bob"},
		"another of the name":   {[]string{alice, "bob " + hashed(nobodys), reader}, "alice prometheus"},
		"somebody new":          {[]string{alice, bob, reader, "mallory " + hashed(nobodys), "alice " + hashed(alices2)}, "alice bob prometheus"},
		"nobody left":           {nil, ""},
		"nothing but new names": {[]string{"mallory " + hashed(nobodys)}, ""},
	} {
		for trouble, spoil := range troubles() {
			t.Run(name+", "+trouble, func(t *testing.T) {
				t.Parallel()
				path := fileOf(t, alice, bob, reader)
				tokens, clock, _ := open(t, path)
				spoil(t, path, tt.lines...)
				for range 2 {
					clock.pass(time.Second)
					require.Equal(t, tt.left, whoIsIn(t, tokens))
					require.ErrorContains(t, tokens.Ready(), path)
				}
				clock.pass(time.Hour)
				require.Equal(t, tt.left, whoIsIn(t, tokens), "it can still be read")
			})
		}
	}
}

// whoIsIn lists the people that are let in, and fails when somebody is whom no file in order has named.
func whoIsIn(t *testing.T, tokens *auth.Tokens) string {
	t.Helper()
	var in []string
	for _, token := range []string{alices, bobs, scrapes} {
		if p, err := tokens.Verify(t.Context(), token); err == nil {
			require.Equal(t, token == scrapes, p.Reader)
			in = append(in, p.Name)
		}
	}
	require.False(t, knows(t, tokens, nobodys), "nothing new is taken")
	require.False(t, knows(t, tokens, alices2), "nothing new is taken")
	return strings.Join(in, " ")
}

// Others may have written it: a line that has come back there is as good as a new one.
func TestAWithdrawnTokenComesBackOnlyWithAFileInOrder(t *testing.T) {
	t.Parallel()
	path := fileOf(t, "alice "+hashed(alices), "bob "+hashed(bobs))
	tokens, clock, _ := open(t, path)
	rewrite(t, path, "alice "+hashed(alices), "?")
	clock.pass(time.Second)
	require.Equal(t, "alice", whoIsIn(t, tokens))
	rewrite(t, path, "alice "+hashed(alices), "bob "+hashed(bobs), "?")
	clock.pass(time.Second)
	require.Equal(t, "alice", whoIsIn(t, tokens))
	rewrite(t, path, "alice "+hashed(alices), "bob "+hashed(bobs))
	clock.pass(time.Second)
	require.Equal(t, "alice bob", whoIsIn(t, tokens))
	require.NoError(t, tokens.Ready())
}

// A mark at the megabyte's end could be cut off, and the line be read as if it were whole.
func TestALineThatIsCutOffIsNone(t *testing.T) {
	t.Parallel()
	path := fileOf(t, "alice "+hashed(alices), "bob "+hashed(bobs))
	tokens, clock, _ := open(t, path)
	before := "alice " + hashed(alices) + "\n"
	behind := "bob " + hashed(bobs)
	fill := strings.Repeat("#", 1<<20+1-len(before)-len(behind)-1) + "\n"
	require.NoError(t, os.WriteFile(path, []byte(before+fill+behind+" REVOKED\n"), 0o600))
	clock.pass(time.Second)
	require.Equal(t, "alice", whoIsIn(t, tokens))
	require.ErrorContains(t, tokens.Ready(), "more than a megabyte")
}

func TestAFileThatCannotBeReadLetsPeopleInForAMinuteMore(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*testing.T, string){
		"a folder": func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Mkdir(path, 0o700)) },
		"a link to itself": func(t *testing.T, path string) {
			t.Helper()
			if err := os.Symlink(path, path); err != nil {
				t.Skip(err)
			}
		},
		"not allowed": func(t *testing.T, path string) {
			t.Helper()
			rewrite(t, path, "alice "+hashed(alices), "bob "+hashed(bobs))
			require.NoError(t, os.Chmod(path, 0))
			if f, err := os.Open(path); err == nil {
				_ = f.Close()
				t.Skip("who runs the test may read everything")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := fileOf(t, "alice "+hashed(alices), "bob "+hashed(bobs))
			tokens, clock, journal := open(t, path)
			require.NoError(t, os.Remove(path))
			spoil(t, path)
			clock.pass(time.Hour) // nobody asked meanwhile: the minute begins with the first who does
			require.Equal(t, "alice bob", whoIsIn(t, tokens))
			require.ErrorContains(t, tokens.Ready(), path)
			clock.pass(55 * time.Second)
			require.Equal(t, "alice bob", whoIsIn(t, tokens))
			require.Equal(t, 1, journal.lines(), journal)
			clock.pass(5 * time.Second)
			require.Empty(t, whoIsIn(t, tokens))
			require.ErrorContains(t, tokens.Ready(), path)
			require.Equal(t, 2, journal.lines(), journal)

			require.NoError(t, os.Remove(path))
			rewrite(t, path, "alice "+hashed(alices))
			clock.pass(time.Second)
			require.Equal(t, "alice", whoIsIn(t, tokens))
			require.NoError(t, tokens.Ready())
		})
	}
}

// Each time that it cannot be read has its own minute.
func TestTheMinuteBeginsAgainWhenTheFileWasReadMeanwhile(t *testing.T) {
	t.Parallel()
	path := fileOf(t, "alice "+hashed(alices))
	tokens, clock, _ := open(t, path)
	for _, between := range []string{"", "?"} { // in order, and not
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.Mkdir(path, 0o700))
		clock.pass(time.Second)
		require.Equal(t, "alice", whoIsIn(t, tokens))
		clock.pass(50 * time.Second)
		require.Equal(t, "alice", whoIsIn(t, tokens))
		require.NoError(t, os.Remove(path))
		rewrite(t, path, "alice "+hashed(alices), between)
		clock.pass(time.Second)
		require.Equal(t, "alice", whoIsIn(t, tokens))
	}
}

func TestTheLogSaysOnceAMinuteWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(*testing.T, string)
		want  []string
	}{
		"a bad line": {func(t *testing.T, path string) {
			t.Helper()
			rewrite(t, path, "alice "+hashed(alices), "bob REVOKED")
		}, []string{"line 2 (bob)", "a line is NAME sha256:HASH", "mend it", "tokens=1"}},
		"others may write": {func(t *testing.T, path string) {
			t.Helper()
			if runtime.GOOS == "windows" {
				t.Skip("it has no such bits")
			}
			require.NoError(t, os.Chmod(path, 0o664))
		}, []string{"mode 0664", "chmod go-w", "tokens=1"}},
		"a folder": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		}, []string{"no regular file", "may read", "tokens=0"}},
		"gone":  {func(t *testing.T, path string) { t.Helper(); require.NoError(t, os.Remove(path)) }, []string{"is gone", "until it is back"}},
		"empty": {func(t *testing.T, path string) { t.Helper(); rewrite(t, path) }, []string{"no token", "r2v-mcp token NAME makes one"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := fileOf(t, "alice "+hashed(alices))
			tokens, clock, journal := open(t, path)
			require.NoError(t, tokens.Ready())
			tt.spoil(t, path)
			clock.pass(time.Second)
			require.Error(t, tokens.Ready(), "it looks for itself")
			clock.pass(time.Minute)
			require.ErrorContains(t, tokens.Ready(), path)
			lines := journal.lines()
			require.Equal(t, 2, lines, journal)
			for range 6 {
				clock.pass(9 * time.Second)
				_ = knows(t, tokens, alices)
			}
			require.Equal(t, lines, journal.lines(), journal)
			clock.pass(9 * time.Second)
			_ = knows(t, tokens, alices)
			require.Equal(t, lines+1, journal.lines(), journal)
			last := journal.String()[strings.LastIndex(strings.TrimSpace(journal.String()), "\n")+1:]
			for _, want := range append(tt.want, path) {
				require.Contains(t, last, want)
			}
			for _, hidden := range []string{alices, hashed(alices)[7:]} {
				require.NotContains(t, journal.String()+tokens.Ready().Error(), hidden)
			}
		})
	}
}

func TestAWithdrawnTokenOpensNothingWhoeverAsksAtOnce(t *testing.T) {
	t.Parallel()
	path := fileOf(t, "alice "+hashed(alices))
	synctest.Test(t, func(t *testing.T) { // in which nobody's patience ends while the disk is at work
		tokens, clock, _ := open(t, path)
		for range 100 {
			rewrite(t, path, "alice "+hashed(alices), "bob "+hashed(bobs))
			clock.pass(time.Second)
			require.True(t, knows(t, tokens, bobs))
			rewrite(t, path, "alice "+hashed(alices))
			clock.pass(time.Second)
			var in atomic.Int64
			var asking sync.WaitGroup
			for range 8 {
				asking.Go(func() {
					if _, err := tokens.Verify(t.Context(), bobs); err == nil {
						in.Add(1)
					}
				})
			}
			asking.Wait()
			require.Zero(t, in.Load(), "who asks while another reads the file is not let in by what was read before")
		}
	})
}

func TestADiskThatHangsHoldsUpNobodyForLongAndLetsNobodyInAfterAMinute(t *testing.T) {
	t.Parallel()
	path := fileOf(t, "alice "+hashed(alices))
	synctest.Test(t, func(t *testing.T) {
		tokens, _, log := open(t, path)
		time.Sleep(time.Hour)
		answers := make(chan struct{})
		tokens.SetStat(func(path string) (fs.FileInfo, error) {
			<-answers
			return os.Stat(path)
		})
		go func() { _, _ = tokens.Verify(t.Context(), alices) }()
		synctest.Wait()
		hung, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = tokens.Verify(hung, alices)
		began := time.Now()
		require.False(t, knows(t, tokens, "short"))
		require.Zero(t, time.Since(began), "who has gone, and what is no token, waits for nothing")
		for range 20 {
			require.True(t, knows(t, tokens, alices))
		}
		require.Equal(t, time.Second, time.Since(began), "all of them together")
		time.Sleep(58 * time.Second)
		require.True(t, knows(t, tokens, alices))
		time.Sleep(time.Second)
		for range 20 {
			require.False(t, knows(t, tokens, alices), "somebody may have been deleted a minute ago")
		}
		require.Equal(t, 1, log.lines())
		require.True(t, log.has("does not answer: nobody is let in until it does"))
		close(answers)
		synctest.Wait()
		require.True(t, knows(t, tokens, alices))
	})
}
