package local_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/local"
)

func TestNothingElseIsOpened(t *testing.T) {
	root, outside := home(t)
	base := filepath.Dir(root)
	secret := filepath.Join(outside, "secret.png")
	link(t, secret, filepath.Join(root, "out.png"))
	link(t, "../outside/secret.png", filepath.Join(root, "out2.png"))
	link(t, outside, filepath.Join(root, "outdir"))
	link(t, "outdir", filepath.Join(root, "chain"))
	link(t, "loop", filepath.Join(root, "loop"))
	link(t, "/proc/self/environ", filepath.Join(root, "env.png"))
	link(t, "/dev/zero", filepath.Join(root, "zero.png"))
	link(t, "/proc/self/root", filepath.Join(root, "magic"))
	link(t, "/proc/self/cwd", filepath.Join(root, "cwd"))
	require.NoError(t, os.WriteFile(filepath.Join(root, "empty.png"), nil, 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(root, "fifo.mp4"), 0o600))
	socket, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(root, "s.png"))
	require.NoError(t, err)
	defer socket.Close()
	require.NoError(t, os.WriteFile(filepath.Join(base, "opened.png"), []byte("beside"), 0o600))
	require.NoError(t, os.Mkdir(root+"-two", 0o700))
	require.NoError(t, os.WriteFile(root+"-two/a.png", []byte("beside"), 0o600))
	const away = "outside the folders that may be read"
	f := local.Folders{Roots: []string{root}, Home: base}
	for address, wrong := range map[string]string{
		secret:                                            away,
		"../outside/secret.png":                           away,
		"sub/../../outside/secret.png":                    away,
		root + "/../outside/secret.png":                   away,
		root + "/sub/../../outside/secret.png":            away,
		"file://" + root + "/%2e%2e/outside/secret.png":   away,
		"file://" + root + "%2F..%2Foutside%2Fsecret.png": away,
		"file:%2e%2e/outside/secret.png":                  away,
		`..\outside\secret.png`:                           "not found",
		`sub\..\..\outside\secret.png`:                    "not found",
		`.\./outside/secret.png`:                          "not found",
		"~/outside/secret.png":                            away,
		"~/opened.png":                                    away,
		root + "-two/a.png":                               away,
		"../open-two/a.png":                               away,
		"~root/.bashrc":                                   "another user",
		"out.png":                                         away,
		root + "/out.png":                                 away,
		"out2.png":                                        away,
		"outdir/secret.png":                               away,
		"outdir/nothing.png":                              away,
		"chain/secret.png":                                away,
		"outdir/../secret.png":                            "not found",
		"loop":                                            "circle",
		"loop/a.png":                                      "circle",
		"env.png":                                         away,
		"zero.png":                                        away,
		"magic" + secret:                                  away,
		"cwd/local.go":                                    away,
		"/proc/self/environ":                              away,
		"/proc/self/fd/0":                                 away,
		"/proc/self/root" + root + "/../outside/x":        away,
		"/dev/zero":                                       away,
		"/dev/stdin":                                      away,
		"/dev/tty":                                        away,
		"/etc/passwd":                                     away,
		"/":                                               "names a folder",
		"fifo.mp4":                                        "FIFO",
		root + "/fifo.mp4":                                "FIFO",
		"s.png":                                           "socket",
		"empty.png":                                       "is empty",
		"sub":                                             "is a folder",
		root:                                              "is a folder",
		".":                                               "is a folder",
		"sub/":                                            "names a folder",
		"a.png/":                                          "names a folder",
		"a.png/b.png":                                     "not found",
		"a.png\x00.mp4":                                   "control characters",
		"file:a.png%00.mp4":                               "control characters",
		"\x1b]0;evil\x07a.png":                            "control characters",
		strings.Repeat("a", 300) + ".png":                 "file name too long",
		strings.Repeat("../", 200) + "etc/passwd":  away,
		strings.Repeat("a/", 2000) + "b.png":       "names 2000 folders",
		strings.Repeat("../", 1300) + "etc/passwd": "names 1301 folders",
		strings.Repeat("x", 5000):                  "which no path has",
		"$HOME/outside/secret.png":                 "not found",
		"%2e%2e/outside/secret.png":                "not found",
		"file://server" + secret:                   "another computer",
		`\\localhost` + secret:                     "another computer",
		"A.PNG/../../outside/secret.png":           away,
	} {
		r := refused(t, f, address)
		require.Contains(t, r.Error(), wrong, address)
		require.NotContains(t, r.Error(), "\x1b")
		require.Less(t, len([]rune(r.Wrong)), 400)
	}
	f.Roots = []string{"/"} // even an operator who opens all of it meets nothing that waits or never ends
	for address, wrong := range map[string]string{
		"/dev/zero": "a device", "/dev/null": "a device", "/proc/self/environ": "is empty", "/proc/kmsg": "is empty", root + "/fifo.mp4": "FIFO", root + "/zero.png": "a device",
	} {
		require.Contains(t, refused(t, f, address).Wrong, wrong, address)
	}
}

// A link is turned over between inside and outside while it is opened: what is read is never the secret.
func TestLinkThatIsSwappedDuringOpeningLeadsNowhere(t *testing.T) {
	root, outside := home(t)
	at, tmp := filepath.Join(root, "swap"), filepath.Join(root, "tmp")
	link(t, "sub", at)
	require.NoError(t, os.WriteFile(filepath.Join(outside, "clip one.mp4"), []byte("secret"), 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(root, "clip one.mp4"), 0o600))
	stop, swapped := make(chan struct{}), 0
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for {
			for _, to := range []string{outside, "sub", "../outside", ".", filepath.Join(root, "sub")} {
				select {
				case <-stop:
					return
				default:
				}
				if os.Symlink(to, tmp) == nil && os.Rename(tmp, at) == nil {
					swapped++
				}
			}
		}
	})
	opened, not := 0, 0
	f := local.Folders{Roots: []string{root}}
	for began := time.Now(); time.Since(began) < time.Second; {
		file, err := f.Open(t.Context(), "swap/clip one.mp4")
		if err != nil {
			not++
			continue
		}
		b, err := io.ReadAll(file)
		file.Close()
		require.NoError(t, err)
		require.Equal(t, "open/sub/clip one.mp4", string(b))
		opened++
	}
	close(stop)
	swapping.Wait()
	require.Positive(t, opened)
	require.Positive(t, not)
	t.Logf("opened %d, refused %d, swapped %d times", opened, not, swapped)
}
