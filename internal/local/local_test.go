package local_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/local"
)

// home is a folder with a root for pictures in it, and a secret beside the root.
func home(t *testing.T) (root, outside string) {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	root, outside = filepath.Join(base, "open"), filepath.Join(base, "outside")
	for _, file := range []string{"open/a.png", "open/sub/clip one.mp4", "outside/secret.png"} {
		path := filepath.Join(base, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
	}
	return root, outside
}

func link(t *testing.T, to, at string) {
	t.Helper()
	require.NoError(t, os.Symlink(to, at))
}

// content is what Open's file holds.
func content(t *testing.T, f local.Folders, address string) string {
	t.Helper()
	file, err := f.Open(t.Context(), address)
	require.NoError(t, err, address)
	defer file.Close()
	b, err := io.ReadAll(file)
	require.NoError(t, err)
	return string(b)
}

// refused is why Open does not take an address.
func refused(t *testing.T, f local.Folders, address string) *local.Refused {
	t.Helper()
	began := time.Now()
	file, err := f.Open(t.Context(), address)
	require.Nil(t, file, address)
	var r *local.Refused
	require.ErrorAs(t, err, &r, address)
	require.Less(t, time.Since(began), 4*time.Second, "nothing is waited for") // the limit is five
	require.NotEmpty(t, r.Allowed)
	return r
}

func TestFilesInAllowedFoldersAreOpened(t *testing.T) {
	root, outside := home(t)
	base := filepath.Dir(root)
	link(t, "sub", filepath.Join(root, "relative"))
	link(t, filepath.Join(root, "sub"), filepath.Join(root, "absolute"))
	link(t, root, filepath.Join(base, "way"))
	link(t, filepath.Join(root, "sub"), filepath.Join(outside, "into"))
	link(t, "../open/a.png", filepath.Join(root, "out-and-in.png"))
	require.NoError(t, os.Link(filepath.Join(outside, "secret.png"), filepath.Join(root, "hard.png")))
	f := local.Folders{Roots: []string{filepath.Join(base, "gone"), root}, Home: base}
	for address, holds := range map[string]string{
		"a.png":                              "open/a.png",
		root + "/a.png":                      "open/a.png",
		"~/open/a.png":                       "open/a.png",
		"file://" + root + "/a.png":          "open/a.png",
		"sub/../a.png":                       "open/a.png",
		root + "/../open/a.png":              "open/a.png",
		base + "/way/a.png":                  "open/a.png", // by a link to the root, as /tmp is one on macOS
		outside + "/into/clip one.mp4":       "open/sub/clip one.mp4",
		"sub/clip one.mp4":                   "open/sub/clip one.mp4",
		"file:sub/clip%20one.mp4":            "open/sub/clip one.mp4",
		"relative/clip one.mp4":              "open/sub/clip one.mp4",
		"absolute/clip one.mp4":              "open/sub/clip one.mp4",
		root + "/absolute/clip one.mp4":      "open/sub/clip one.mp4",
		"out-and-in.png":                     "open/a.png",
		"'" + root + "/a.png'\n":             "open/a.png",
		`sub/clip\ one.mp4`:                  "open/sub/clip one.mp4",
		root + `/sub/clip\ one.mp4`:          "open/sub/clip one.mp4",
		`sub\clip one.mp4`:                   "open/sub/clip one.mp4",
		"sub/clip\u00a0one.mp4":              "open/sub/clip one.mp4",
		"hard.png":                           "outside/secret.png", // whoever may make a hard link in a root could have copied the file
		"sandbox:" + root + "/a.png":         "open/a.png",
		strings.ToUpper("file:") + "./a.png": "open/a.png",
	} {
		require.Equal(t, holds, content(t, f, address), address)
	}
	f.Roots = []string{filepath.Join(base, "way")}
	require.Equal(t, "open/a.png", content(t, f, "a.png"), "a root may be a link itself")
	require.Equal(t, "open/a.png", content(t, f, root+"/a.png"))
	require.Equal(t, "open/sub/clip one.mp4", content(t, f, "absolute/clip one.mp4"))
	f.Roots = []string{"/"}
	require.Equal(t, "open/a.png", content(t, f, root+"/a.png"))
}

func TestRelativePathIsTriedInEachRoot(t *testing.T) {
	root, outside := home(t)
	f := local.Folders{Roots: []string{outside, root}}
	require.Equal(t, "open/a.png", content(t, f, "a.png"))
	require.Equal(t, "outside/secret.png", content(t, f, "secret.png"))
	require.NoError(t, os.Mkdir(filepath.Join(outside, "a.png"), 0o700))
	require.Equal(t, "open/a.png", content(t, f, "a.png"), "a folder of that name is not what was meant")
	require.Contains(t, refused(t, f, "b.mp4").Wrong, "was not found in "+outside+", "+root)
}

func TestNamesThatLookTheSameAreFoundWhenThereIsOne(t *testing.T) {
	root, _ := home(t)
	f := local.Folders{Roots: []string{root}}
	write := func(name string) {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(name), 0o600))
	}
	write("Screenshot 2026-01-02 at 3.04.05\u202fPM.png")
	require.Equal(t, "Screenshot 2026-01-02 at 3.04.05\u202fPM.png", content(t, f, "Screenshot 2026-01-02 at 3.04.05 PM.png"))
	write("cafe\u0301.png") // as macOS writes it
	require.Equal(t, "cafe\u0301.png", content(t, f, "caf\u00e9.png"))
	require.NoError(t, os.Mkdir(filepath.Join(root, "e\u0301te\u0301"), 0o700))
	write("e\u0301te\u0301/a.png")
	require.Equal(t, "e\u0301te\u0301/a.png", content(t, f, root+"/\u00e9t\u00e9/a.png"))
	if runtime.GOOS == "linux" {
		write("two\u00a0words.png")
		write("two\u202fwords.png")
		require.Contains(t, refused(t, f, "two words.png").Wrong, "was not found", "which one is meant cannot be told")
		write(`back\ slash.png`)
		require.Equal(t, `back\ slash.png`, content(t, f, `back\ slash.png`), "the literal name goes first")
	}
}

// Whatever is or is not outside, the answer is the same to the letter.
func TestAnswersTellNothingOfWhatIsOutside(t *testing.T) {
	root, outside := home(t)
	link(t, outside, filepath.Join(root, "outdir"))
	link(t, filepath.Join(outside, "secret.png"), filepath.Join(root, "there.png"))
	link(t, filepath.Join(outside, "nothing.png"), filepath.Join(root, "gone1.png"))
	for _, f := range []local.Folders{{Roots: []string{root}}, {}, {None: "the client gave none"}} {
		for _, pair := range [][2]string{
			{outside + "/secret.png", outside + "/nothing.png"},
			{outside, outside + "x"},
			{outside + "/secret.png/x.png", outside + "/nothing.png/x.png"},
			{root + "/outdir/secret.png", root + "/outdir/nothing.png"},
			{"outdir/secret.png", "outdir/nothing.png"},
			{"there.png", "gone1.png"},
			{"../outside/secret.png", "../outside/nothing.png"},
			{"/home", "/homes"}, {"/dev/zero", "/dev/zilch"}, {"/mnt", "/mmt"},
		} {
			there, gone := refused(t, f, pair[0]), refused(t, f, pair[1])
			require.Equal(t, strings.ReplaceAll(there.Error(), `"`+pair[0]+`"`, ""), strings.ReplaceAll(gone.Error(), `"`+pair[1]+`"`, ""))
		}
	}
}

func TestRefusalsTeach(t *testing.T) {
	root, outside := home(t)
	for _, name := range []string{"holiday1.png", "holiday2.png", "holiday.jpeg", "holiday.txt", "id_rsa", "other.mp4"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte("x"), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(outside, "holiday.png"), []byte("x"), 0o600))
	one := local.Folders{Roots: []string{root}}

	r := refused(t, one, "holiday.png")
	require.Equal(t, `"holiday.png" was not found in `+root, r.Wrong)
	require.Equal(t, fmt.Sprintf("if the user means it, %q or %q or %q; files in %s; the operator of this server opens other folders with R2V_FILE_ROOTS",
		root+"/holiday.jpeg", root+"/holiday1.png", root+"/holiday2.png", root), r.Allowed)
	require.Contains(t, refused(t, one, "others.mp4").Allowed, "if the user means it, \""+root+"/other.mp4\";", "a path that can be given as it is")
	require.Contains(t, refused(t, one, "other.mp4?raw=true").Allowed, root+"/other.mp4")
	require.NotContains(t, refused(t, one, "otto.mp4").Allowed, "means it", "what only looks near is no hint")
	require.Contains(t, refused(t, one, "*.png").Wrong, "patterns are not expanded")
	require.NotContains(t, refused(t, one, "id_rsb").Allowed, "id_rsa", "only media are named")
	require.NotContains(t, refused(t, one, "nowhere/holiday.png").Allowed, "means it")

	r = refused(t, one, outside+"/holiday.pn")
	require.Contains(t, r.Wrong, "outside the folders")
	require.Contains(t, r.Allowed, root)
	require.Contains(t, r.Allowed, "R2V_FILE_ROOTS")
	require.NotContains(t, r.Allowed, "means it")

	r = refused(t, local.Folders{None: "the client gave none"}, "a.png")
	require.Contains(t, r.Wrong, "the client gave none")
	require.Contains(t, r.Allowed, "R2V_FILE_ROOTS")

	for _, path := range []string{
		"sandbox:/mnt/data/a.png", "/mnt/data/a.png", "file:///mnt/user-data/uploads/a.png", "/home/claude/a.png", "/tmp/outputs/a.png", "/content/a.png",
		"/home/user/a.png", "/workspace/a.png", "attachment:a.png", "file-service://1", "blob:1", "cid:1", "upload://1",
	} {
		for _, f := range []local.Folders{{}, one, {Roots: []string{"/tmp"}}} {
			r := refused(t, f, path)
			require.Contains(t, r.Wrong, "assistant's own sandbox", path)
			require.Contains(t, r.Allowed, "ask the user where the file is on their own computer, or for a public link")
		}
	}
}

func TestCallThatIsGivenUpOpensNothing(t *testing.T) {
	root, _ := home(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file, err := local.Folders{Roots: []string{root}}.Open(ctx, "a.png")
	require.ErrorIs(t, err, context.Canceled)
	require.Nil(t, file)
}

func TestOperatorsListOfFoldersIsChecked(t *testing.T) {
	root, outside := home(t)
	base := filepath.Dir(root)
	sep := string(os.PathListSeparator)
	for setting, want := range map[string][]string{
		"": nil, "off": nil, "OFF\n": nil, root: {root}, root + sep + outside: {root, outside}, root + "/" + sep + sep + " " + root: {root},
		"~/outside" + sep + root: {outside, root}, "~": {base},
	} {
		got, err := local.Roots(setting, base)
		require.NoError(t, err, setting)
		require.Equal(t, want, got, setting)
	}
	for _, bad := range []string{"pictures", "./open", base + "/gone", root + "/a.png", "~me/x", "off" + sep + root} {
		_, err := local.Roots(outside+sep+bad, base)
		require.Error(t, err, bad)
		first, _, _ := strings.Cut(bad, sep)
		require.ErrorContains(t, err, first)
	}
	_, err := local.Roots("~/x", "")
	require.ErrorContains(t, err, "no home folder")
	_, err = local.Roots(base+"/gone", base)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestWorkingFolderIsARoot(t *testing.T) {
	root, _ := home(t)
	t.Chdir(root)
	folder, why := local.WorkingFolder()
	require.Empty(t, why)
	require.Equal(t, "open/a.png", content(t, local.Folders{Roots: []string{folder}}, "a.png"))
	t.Chdir("/")
	folder, why = local.WorkingFolder()
	require.Empty(t, folder)
	require.Contains(t, why, "whole drive")
}
