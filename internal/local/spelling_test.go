package local

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFormTellsPathsFromWebAddresses(t *testing.T) {
	for _, path := range []string{
		"/home/me/a.png", "~/a.png", "~", "./a.png", "../a.png", "pictures/a.png", "a.png", "a", "file:///p/a.png", "file:/p", "file://localhost/p", "file:a.png",
		"FILE:///p", `C:\p\a.png`, "C:/p/a.png", "c:", `\\server\share\a.png`, `pictures\a.png`, "sandbox:/mnt/data/a.png", "attachment:a.png", "attachment://1",
		"file-service://file-1", "blob:https://chat.example/1", "cid:1", "upload://1", "my clip.mp4", "Screenshot 2026-01-02 at 10:11:12.png", "10:30.mp4",
		"my clip: two.mp4", `"/home/me/a.png"`, "'a.png'", " a.png\n", "//tmp/a.png", "My. Pictures/a.png", ".hidden/a.png", "~me/a.png", "example.com",
	} {
		require.True(t, IsPath(path), path)
	}
	for _, other := range []string{
		"", " ", `""`, "http://media.example/a.png", "https://media.example/a b.png", "HTTPS://media.example/a.png", "oss://bucket/a.png", "data:image/png;base64,AAAA",
		"ftp://media.example/a", "s3://bucket/a", "gs://bucket/a", "media.example/a.png", "www.media.example:8080/a.png", "//media.example/a.png", "localhost:8080/a.png",
		`"https://media.example/a.png"`, "javascript:alert(1)", "mailto:me@example.com",
	} {
		require.False(t, IsPath(other), other)
	}
}

var (
	linux   = host{os: "linux"}
	mac     = host{os: "darwin"}
	wsl     = host{os: "linux", wsl: true}
	windows = host{os: "windows"}
)

func TestEverySpellingNamesTheSameFile(t *testing.T) {
	for _, c := range []struct {
		host  host
		given string
		path  string
	}{
		{linux, "/home/me/a.png", "/home/me/a.png"},
		{linux, "  \"/home/me/a.png\"\n", "/home/me/a.png"},
		{linux, "“/home/me/a.png”", "/home/me/a.png"},
		{linux, "~/a.png", "/home/me/a.png"},
		{linux, "file:///home/me/a.png", "/home/me/a.png"},
		{linux, "file:/home/me/a.png", "/home/me/a.png"},
		{linux, "File://LOCALHOST/home/me/a.png", "/home/me/a.png"},
		{linux, "file:///home/me/a%20b.png", "/home/me/a b.png"},
		{linux, "file:///home/me/%C3%A9.png", "/home/me/é.png"},
		{linux, "file://~/a.png", "/home/me/a.png"},
		{linux, "file:~/a.png", "/home/me/a.png"},
		{linux, "file:a.png", "a.png"},
		{linux, "file://./a.png", "a.png"},
		{linux, "/home/me/a%20b.png", "/home/me/a%20b.png"},
		{linux, "/home/me/x/../a.png", "/home/me/a.png"},
		{linux, "//home//me/./a.png", "/home/me/a.png"},
		{linux, "./pictures/a.png", "pictures/a.png"},
		{linux, "sandbox:/mnt/data/a.png", "/mnt/data/a.png"},
		{mac, "~/a.png", "/home/me/a.png"},
		{windows, `C:\Users\me\a.png`, `C:\Users\me\a.png`},
		{windows, `C:/Users/me/a.png`, `C:\Users\me\a.png`},
		{windows, `file:///C:/Users/me/a%20b.png`, `C:\Users\me\a b.png`},
		{windows, `file:///C|/Users/me/a.png`, `C:\Users\me\a.png`},
		{windows, `file:C:/Users/me/a.png`, `C:\Users\me\a.png`},
		{windows, `file://C:/Users/me/a.png`, `C:\Users\me\a.png`},
		{windows, `C:\Users\.\you\..\me\a.png`, `C:\Users\me\a.png`},
		{windows, `pictures/a.png`, `pictures\a.png`},
		{windows, `.\a.png`, `a.png`},
	} {
		t.Run(c.host.os+" "+c.given, func(t *testing.T) {
			n, err := Folders{Home: "/home/me"}.read(c.host, c.given)
			require.NoError(t, err)
			require.Equal(t, c.path, n.path)
			require.Equal(t, c.path[0] == '/' || hasDrive(c.path), n.absolute)
		})
	}
	n, err := Folders{Home: `C:\Users\me`}.read(windows, `~\a.png`)
	require.NoError(t, err)
	require.Equal(t, `C:\Users\me\a.png`, n.path)
}

func TestSpellingsThatCannotBeMeantAreRefusedWithTheReason(t *testing.T) {
	for _, c := range []struct {
		host           host
		given          string
		wrong, allowed string
	}{
		{linux, " ", "empty", "public link"},
		{linux, "a\x00.png", "control characters", ""},
		{linux, "file:///a%00.png", "control characters", ""},
		{linux, "a\nb.png", "control characters", ""},
		{linux, "a\xff.png", "UTF-8", ""},
		{linux, "file:///a%2", "hexadecimal", ""},
		{linux, strings.Repeat("a", 5000), "5000 characters", "base64"},
		{linux, "~you/a.png", "another user", "~/"},
		{linux, `~\a.png`, "another user", "~/"},
		{linux, "file://server/share/a.png", "another computer", "public link"},
		{linux, `\\server\share\a.png`, "another computer", "public link"},
		{linux, `C:\Users\me\a.png`, "this server runs on Linux", "as Linux spells it"},
		{mac, `C:/Users/me/a.png`, "this server runs on macOS", "as macOS spells it"},
		{linux, "file:///C:/Users/me/a.png", "this server runs on Linux", ""},
		{wsl, `C:\Users\me\a b.png`, "this server runs on Linux", "/mnt/c/Users/me/a b.png"},
		{linux, "pictures/", "names a folder", ""},
		{linux, "attachment:a.png", "assistant's own sandbox", "ask the user"},
		{linux, "upload://1", "assistant's own sandbox", "ask the user"},
		{windows, "/mnt/data/a.png", "assistant's own sandbox", "ask the user"},
		{windows, `\\server\share\a.png`, "another computer", ""},
		{windows, "//server/share/a.png", "another computer", ""},
		{windows, "file:////server/share/a.png", "another computer", ""},
		{windows, `\\?\C:\a.png`, "device path", ""},
		{windows, `\\.\PhysicalDrive0`, "device path", ""},
		{windows, "//./pipe/a", "device path", ""},
		{windows, `\Users\me\a.png`, "names no drive", `C:\`},
		{windows, "/Users/me/a.png", "names no drive", `C:\`},
		{windows, "C:a.png", "colon", ""},
		{windows, `C:\a.png:stream`, "colon", ""},
		{windows, `a.png::$DATA`, "colon", ""},
		{windows, `C:\pictures\`, "names a folder", ""},
		{windows, `C:\CON`, "device of Windows", ""},
		{windows, `nul`, "device of Windows", ""},
		{windows, `pictures\NUL.png`, "device of Windows", ""},
		{windows, `aux .png`, "device of Windows", ""},
		{windows, `com1\a.png`, "device of Windows", ""},
		{windows, `LPT³.mp4`, "device of Windows", ""},
		{windows, `CONOUT$`, "device of Windows", ""},
	} {
		t.Run(c.host.os+" "+shown(c.given), func(t *testing.T) {
			_, err := Folders{Home: "/home/me"}.read(c.host, c.given)
			var refused *Refused
			require.ErrorAs(t, err, &refused)
			require.Contains(t, refused.Wrong, c.wrong)
			require.Contains(t, refused.Allowed, c.allowed)
			require.NotEmpty(t, refused.Allowed)
		})
	}
	_, err := Folders{}.read(linux, "~/a.png")
	require.ErrorContains(t, err, "no home folder")
}

func TestWhatIsShownOfAPathIsShortAndHarmless(t *testing.T) {
	require.Equal(t, `C:\[31mé`, shown("C:\\\x1b[31m\u202eé\x07\n"))
	require.Len(t, []rune(shown(strings.Repeat("é", 10_000))), 200)
	require.Equal(t, strings.Repeat("a", 200), shown(strings.Repeat("a", 200)))
}

func TestFolderOfNowhereInParticularIsNoRoot(t *testing.T) {
	for _, c := range []struct {
		host   host
		folder string
		usable bool
	}{
		{linux, "/", false}, {mac, "/", false}, {windows, `C:\`, false}, {windows, `C:\Windows\System32`, false}, {windows, `c:\WINDOWS`, false},
		{windows, `C:\Program Files\Assistant\app`, false}, {linux, "/usr/bin", false}, {linux, "/etc", false}, {mac, "/Applications/Assistant.app/Contents", false},
		{wsl, "/mnt/c/Windows/System32", false}, {wsl, "/mnt/c/Users/me", true}, {linux, "/mnt/c/Windows/System32", true},
		{linux, "/home/me/work", true}, {linux, "/usrlocal", true}, {mac, "/Users/me", true}, {windows, `C:\Users\me`, true}, {windows, `D:\Windows2`, true},
	} {
		require.Equal(t, c.usable, unusable(c.host, c.folder) == "", c.folder)
	}
}

func TestAClientsFoldersAreRootsAsFarAsTheyAreHere(t *testing.T) {
	here := t.TempDir()
	roots, why := Usable([]string{"/", filepath.Join(here, "gone"), here})
	require.Equal(t, []string{here}, roots)
	require.Empty(t, why)
	roots, why = Usable([]string{"/"})
	require.Empty(t, roots)
	require.Equal(t, "the client's user works in /, which is a whole drive", why)
	_, why = Usable([]string{filepath.Join(here, "gone")})
	require.Contains(t, why, "is no folder on this computer")
}

func TestFileWithoutPermissionIsToldAsSuch(t *testing.T) {
	s := search{named: named{given: "a.png"}}
	require.Contains(t, s.cannot(&fs.PathError{Op: "open", Path: "a.png", Err: syscall.EACCES}).Wrong, `"a.png" may not be read by this server`)
	if os.Geteuid() <= 0 {
		return // root may read everything
	}
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "a.png"), []byte("x"), 0))
	_, err := Folders{Roots: []string{root}}.Open(t.Context(), "a.png")
	require.ErrorContains(t, err, "gives no permission")
}
