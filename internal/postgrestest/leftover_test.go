package postgrestest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ending says, in a child process, how its test binary is to end.
const ending = "POSTGRESTEST_ENDING"

func TestNothingIsLeftWhenTheTestBinaryIsGone(t *testing.T) {
	if how := os.Getenv(ending); how != "" {
		endAs(t, how)
		return
	}
	t.Parallel()
	if _, err := programs(); err != nil {
		giveUp(t, err)
	}
	for how, state := range map[string]string{"panics": "exit status 2", "is killed": "signal: killed"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			child := exec.Command(os.Args[0], "-test.run=^"+strings.Split(t.Name(), "/")[0]+"$")
			child.Env = append(os.Environ(), ending+"="+how, "R2V_TEST_POSTGRES_URL=")
			out, err := child.StdoutPipe()
			require.NoError(t, err)
			in, err := child.StdinPipe()
			require.NoError(t, err)
			defer in.Close()
			require.NoError(t, child.Start())
			defer child.Process.Kill()

			var folder, watcher, postmaster string
			line, err := bufio.NewReader(out).ReadString('\n')
			require.NoError(t, err)
			_, err = fmt.Sscan(line, &folder, &watcher, &postmaster)
			require.NoError(t, err, line)
			if how == "is killed" {
				require.DirExists(t, folder)
				require.True(t, lives(t, watcher))
				require.True(t, lives(t, postmaster))
				require.NoError(t, child.Process.Kill())
			}
			child.Wait()
			require.Equal(t, state, child.ProcessState.String())
			require.Eventually(t, func() bool {
				_, err := os.Stat(folder)
				return os.IsNotExist(err) && !lives(t, watcher) && !lives(t, postmaster)
			}, 10*time.Second, 20*time.Millisecond)
		})
	}
}

// endAs tells the parent, on stdout, what is there while this process lives, and ends.
func endAs(t *testing.T, how string) {
	Database(t)
	server, err := shared()
	require.NoError(t, err)
	pid, err := os.ReadFile(filepath.Join(server.folder, "data", "postmaster.pid"))
	require.NoError(t, err)
	fmt.Fprintln(os.Stdout,
		server.folder, server.watcher.Process.Pid, strings.Fields(string(pid))[0])
	if how == "panics" {
		panic("as asked")
	}
	io.Copy(io.Discard, os.Stdin)
}

// lives reports whether there is such a process. One that waits to be buried does not live.
func lives(t *testing.T, pid string) bool {
	out, err := exec.Command("ps", "-o", "stat=", "-p", pid).Output()
	if err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		return false
	}
	return !strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}
