package tools_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image/color"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// threeFiles are a clip, a picture and a voice in a folder.
func threeFiles(t *testing.T) (folder string, references []any) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "private-folder")
	require.NoError(t, os.Mkdir(folder, 0o700))
	for name, content := range map[string][]byte{"dancer.mp4": aClip(t, "3.24"), "hat one.png": aPicture(t, 300, 300, color.White), "voice.wav": aVoice(2)} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), content, 0o600))
	}
	return folder, []any{"dancer.mp4", arguments{"url": filepath.Join(folder, "hat one.png"), "voice_url": "voice.wav"}}
}

// aVoice is a silent WAV of so many seconds.
func aVoice(seconds int) []byte {
	const rate = 8000
	size := uint32(seconds * rate * 2)
	out := binary.LittleEndian.AppendUint32([]byte("RIFF"), 36+size)
	out = append(out, "WAVEfmt "...)
	for _, field := range []any{uint32(16), uint16(1), uint16(1), uint32(rate), uint32(rate * 2), uint16(2), uint16(16)} {
		out, _ = binary.Append(out, binary.LittleEndian, field)
	}
	out = binary.LittleEndian.AppendUint32(append(out, "data"...), size)
	return append(out, make([]byte, size)...)
}

func TestLocalFilesAreUploadedOnce(t *testing.T) {
	folder, references := threeFiles(t)
	w := looking(t, options{}, folder)
	request := wan27(arguments{"prompt": "Video 1 wears the hat of Image 1", "references": references, "resolution": "720P", "duration": 5})
	estimate := w.answer("estimate_cost", request)
	require.Empty(t, estimate["problems"])
	require.Empty(t, estimate["warnings"])
	require.Zero(t, w.count("upload"), "an estimate sends nothing")
	task := w.answer("get_task", arguments{"task_id": w.answer("generate_r2v", request)["task_id"], "wait_seconds": 30})
	require.Equal(t, "SUCCEEDED", task["status"])
	require.Equal(t, path(estimate, "cost", "high"), path(task, "cost", "billed"))
	require.Equal(t, 3, w.count("upload"))

	var body struct {
		Input struct {
			Media []struct {
				Type, URL string
				Voice     string `json:"reference_voice"`
			}
		}
	}
	require.Len(t, w.bodies(), 1)
	require.NoError(t, json.Unmarshal([]byte(w.bodies()[0]), &body))
	media := body.Input.Media
	require.Len(t, media, 2)
	for _, address := range []string{media[0].URL, media[1].URL, media[1].Voice} {
		require.True(t, strings.HasPrefix(address, "oss://dashscope-instant/"), address)
		require.NotContains(t, address, filepath.Base(folder), "folders of the user's are nobody's business")
	}

	again := w.answer("generate_r2v", request)
	require.Equal(t, true, again["replayed"])
	request["idempotency_key"] = "another"
	require.Equal(t, false, w.answer("generate_r2v", request)["replayed"])
	require.Equal(t, 3, w.count("upload"), "the same content is sent once")
	require.Equal(t, 2, w.created())

	require.NoError(t, os.WriteFile(filepath.Join(folder, "dancer.mp4"), aClip(t, "4"), 0o600))
	changed := w.answer("generate_r2v", wan27(arguments{"prompt": "Video 1 wears the hat of Image 1", "references": references, "resolution": "720P", "duration": 5}))
	require.Equal(t, false, changed["replayed"], "another content is another request, whatever its path")
	require.Equal(t, 4, w.count("upload"))
}

func TestALocalFileWhoseLengthNothingTellsCanBeUsed(t *testing.T) {
	folder, _ := threeFiles(t)
	freeFormat := bytes.Repeat(append([]byte{0xff, 0xfb, 0x00, 0xc0}, make([]byte, 100)...), 50)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "voice.mp3"), freeFormat, 0o600))
	w := looking(t, options{}, folder)
	answer := w.answer("generate_r2v", wan27(arguments{"prompt": "Image 1 sings", "references": []any{arguments{"url": "hat one.png", "voice_url": "voice.mp3"}}}))
	require.Contains(t, fmt.Sprint(answer["warnings"]), "references[0].voice_url: it is not fully checked, since the file does not tell its length")
	require.Equal(t, 2, w.count("upload"))
}

func TestLocalFilesOnWan26AreRefusedWithAWayOut(t *testing.T) {
	folder, _ := threeFiles(t)
	w := looking(t, options{}, folder)
	text := w.refusal("generate_r2v", arguments{"model": "wan2.6-r2v", "prompt": "character1 dances", "references": refs("dancer.mp4")})
	require.Contains(t, text, `"dancer.mp4" is a file on this machine, and wan2.6-r2v takes none`)
	require.Contains(t, text, "or another model: files are uploaded to wan2.7-r2v, wan2.7-r2v-2026-06-12")
	gone := w.refusal("generate_r2v", arguments{"model": "wan2.6-r2v", "prompt": "character1 dances", "references": refs("gone.mp4")})
	require.Contains(t, gone, "wan2.6-r2v takes none", "and not first where files may be read, which would not help")
	require.NotContains(t, gone, "not found")
}

func TestFilesOutsideTheFoldersAreRefused(t *testing.T) {
	folder, _ := threeFiles(t)
	other, _ := threeFiles(t)
	require.NoError(t, os.Symlink(filepath.Join(other, "dancer.mp4"), filepath.Join(folder, "link.mp4")))
	w := looking(t, options{}, folder)
	for _, address := range []string{filepath.Join(other, "dancer.mp4"), "../" + filepath.Base(other) + "/dancer.mp4", "link.mp4", "file://" + other + "/dancer.mp4"} {
		text := w.refusal("generate_r2v", wan27(arguments{"prompt": "Video 1 dances", "references": refs(address)}))
		require.Contains(t, text, "R2V_FILE_ROOTS", address)
		require.Contains(t, text, folder, "it says what is allowed")
	}
	sandbox := w.refusal("generate_r2v", wan27(arguments{"prompt": "Video 1 dances", "references": refs("/mnt/user-data/uploads/dancer.mp4")}))
	require.Contains(t, sandbox, "sandbox")
	nowhere := looking(t, options{})
	require.Contains(t, nowhere.refusal("generate_r2v", wan27(arguments{"prompt": "Video 1 dances", "references": refs("dancer.mp4")})), "R2V_FILE_ROOTS")
}

func TestWhereUploadsAreNotDocumentedSmallPicturesGoInsideTheRequest(t *testing.T) {
	folder, references := threeFiles(t)
	w := looking(t, options{region: "singapore"}, folder)
	answer := w.answer("generate_r2v", wan27(arguments{"prompt": "Image 1 waves", "references": refs("hat one.png")}))
	require.Empty(t, answer["warnings"])
	require.Contains(t, w.bodies()[0], `"url":"data:image/png;base64,iVBOR`)
	require.Zero(t, w.count("upload"))
	answer = w.answer("generate_r2v", wan27(arguments{"prompt": "Video 1 waves to Image 1", "references": references}))
	require.Contains(t, fmt.Sprint(answer["warnings"]), "documents for beijing alone")
	require.Equal(t, 2, w.count("upload"), "the clip and the voice")
}

func TestARefusedUploadBuysNothing(t *testing.T) {
	folder, references := threeFiles(t)
	w := looking(t, options{refuse: "/uploads"}, folder)
	text := w.refusal("generate_r2v", wan27(arguments{"prompt": "Video 1 wears the hat of Image 1", "references": references}))
	require.Contains(t, text, "The local files are not at the service.")
	require.Contains(t, text, "AccessDenied")
	require.Contains(t, text, "charged: no")
}

func TestALocalFileThatIsGoneDoesNotHideWhatItBought(t *testing.T) {
	folder, references := threeFiles(t)
	w := looking(t, options{}, folder)
	request := wan27(arguments{"prompt": "Video 1 wears the hat of Image 1", "references": references, "idempotency_key": "k"})
	bought := w.answer("generate_r2v", request)
	require.NoError(t, os.Remove(filepath.Join(folder, "dancer.mp4")))
	again := w.answer("generate_r2v", request)
	require.Equal(t, bought["task_id"], again["task_id"])
	require.Equal(t, true, again["replayed"])
	require.Contains(t, fmt.Sprint(again["warnings"]), `now it would be refused: references[0].url: "dancer.mp4" was not found`)
	require.Contains(t, fmt.Sprint(again["warnings"]), "the task is known by its idempotency_key")

	delete(request, "idempotency_key")
	text, isError := w.call("generate_r2v", request)
	require.True(t, isError)
	require.Contains(t, text, fmt.Sprintf("was bought before: %s (", bought["task_id"]), "without a key the likely ones are named")
	require.Contains(t, text, "buy nothing again. Otherwise: ")
	request["prompt"], request["idempotency_key"] = "Video 1 eats the hat of Image 1", "k"
	text, isError = w.call("generate_r2v", request)
	require.True(t, isError)
	require.Contains(t, text, "was another request", "what is another request is not taken for it")
	require.Equal(t, 1, w.created())
}

// A key is not taken for another request because a guard is in the way: the files that can be read tell them apart.
func TestAReplayIsOfTheSameFiles(t *testing.T) {
	folder, _ := threeFiles(t)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "bob.mp4"), aClip(t, "6"), 0o600))
	w := looking(t, options{}, folder)
	f := newFiles(t)
	hat, _ := f.put(t, "hat.png", aPicture(t, 300, 300, color.White))
	bought := w.answer("generate_r2v", wan27(arguments{"prompt": "Video 1 wears the hat", "idempotency_key": "k", "references": refs("dancer.mp4", hat)}))
	require.Equal(t, bought["task_id"], w.answer("generate_r2v", wan27(arguments{"prompt": "Video 1 wears the hat", "idempotency_key": "k", "references": refs("dancer.mp4", hat), "max_cost": 0.01}))["task_id"])
	for name, other := range map[string][]any{
		"another file":                       {"bob.mp4", hat},
		"another address beside a lost file": {"gone.mp4", hat + "?other"},
		"a voice beside a lost file":         {"gone.mp4", arguments{"url": hat, "voice_url": "voice.wav"}},
		"another kind beside a lost file":    {"gone.mp4", arguments{"url": hat, "type": "first_frame"}},
		"a web address for a file":           {f.URL + "/gone.mp4", hat},
	} {
		text, isError := w.call("generate_r2v", wan27(arguments{"prompt": "Video 1 wears the hat", "idempotency_key": "k", "references": other, "max_cost": 0.01}))
		require.True(t, isError, "%s: %s", name, text)
	}
	require.Equal(t, 1, w.created())
}

func TestAFileThatWasSwappedIsAnotherRequest(t *testing.T) {
	folder := t.TempDir()
	w := looking(t, options{}, folder)
	path := filepath.Join(folder, "hat.png")
	red, blue := aPicture(t, 300, 300, color.NRGBA{255, 0, 0, 255}), aPicture(t, 300, 300, color.NRGBA{0, 0, 255, 255})
	for len(red) < len(blue) {
		red = append(red, 0)
	}
	require.Len(t, red, len(blue))
	request := wan27(arguments{"prompt": "Image 1 waves", "references": refs("hat.png")})
	require.NoError(t, os.WriteFile(path, red, 0o600))
	before, err := os.Stat(path)
	require.NoError(t, err)
	first := w.answer("generate_r2v", request)
	require.NoError(t, os.WriteFile(path, blue, 0o600))
	require.NoError(t, os.Chtimes(path, before.ModTime(), before.ModTime()))
	second := w.answer("generate_r2v", request)
	require.NotEqual(t, first["task_id"], second["task_id"], "although its name, size and time are the same")
	require.Equal(t, 2, w.count("upload"))
}

// refusing answers one path with a refusal, and hands everything else on.
func refusingPath(path string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path != "" && strings.Contains(r.URL.Path, path) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"code":"AccessDenied","message":"Access denied.","request_id":"r"}`))
			return
		}
		next.ServeHTTP(w, r)
	})
}
