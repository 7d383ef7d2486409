package simulator_test

import (
	"bytes"
	"encoding/base64"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
)

const filesPath = "/api/v1/files/upload/"

// stream uploads a form; fields come in pairs, and a file's name ends its field's as in "file=a.mp4".
func (c *client) stream(fields ...string) reply {
	c.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for i := 0; i < len(fields); i += 2 {
		field, name, isFile := strings.Cut(fields[i], "=")
		if !isFile {
			require.NoError(c.t, form.WriteField(field, fields[i+1]))
			continue
		}
		part, err := form.CreateFormFile(field, name)
		require.NoError(c.t, err)
		_, err = part.Write([]byte(fields[i+1]))
		require.NoError(c.t, err)
	}
	require.NoError(c.t, form.Close())
	return c.send(http.MethodPost, filesPath+"stream", body.Bytes(), headers{"Content-Type": form.FormDataContentType()})
}

func aFilm() string { return string(films()["index last"].content) } // of 2.5 s

func TestFilesComeToTheRelayInThreeWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := relay(t, simulator.Options{Client: &http.Client{Transport: new(internet)}})
		gif, err := base64.StdEncoding.DecodeString(onePixel[len("data:image/gif;base64,"):])
		require.NoError(t, err)
		for name, at := range map[string]struct {
			answer                   reply
			file, original, kind, in string
			content                  []byte
		}{
			"base64 as a data URI": {c.post(filesPath+"base64", object{"base64_data": onePixel, "file_name": "a.gif", "upload_path": "x"}), "a.gif", "a.gif", "image/gif", "x", gif},
			"bare base64":          {c.post(filesPath+"base64", object{"base64_data": base64.StdEncoding.EncodeToString(gif), "file_name": "../b.gif"}), "b.gif", "../b.gif", "image/gif", "", gif},
			"a stream":             {c.stream("upload_path", "y", "file=clip 1.mp4", aFilm()), "clip 1.mp4", "clip 1.mp4", "video/mp4", "y", []byte(aFilm())},
			"a stream with a name": {c.stream("file=clip.mp4", aFilm(), "fileName", "d.mp4", "uploadPath", "z"), "d.mp4", "d.mp4", "video/mp4", "z", []byte(aFilm())},
			"an address":           {c.post(filesPath+"url", object{"file_url": "https://a.test/dancer.mp4"}), "dancer.mp4", "dancer.mp4", "video/mp4", "", []byte(aFilm())},
		} {
			require.Equal(t, 200, at.answer.status, "%s: %s", name, at.answer.body)
			require.Equal(t, true, at.answer.at("success"))
			require.Equal(t, 200., at.answer.at("code"))
			data := at.answer.at("data").(object)
			require.Equal(t, []any{at.file, at.original, at.kind, at.in, float64(len(at.content))},
				[]any{data["file_name"], data["original_name"], data["mime_type"], data["upload_path"], data["file_size"]}, name)
			require.Equal(t, "2000-01-01T08:00:00+08:00", data["upload_time"])
			require.Equal(t, "2000-01-04T08:00:00+08:00", data["expires_at"])
			for _, link := range []string{data["file_url"].(string), data["download_url"].(string)} {
				require.Equal(t, at.content, c.read(link).body)
			}
		}
		link := c.stream("file=a.mp4", aFilm()).at("data", "file_url").(string)
		time.Sleep(72 * time.Hour)
		require.Equal(t, 404, c.read(link).status)
	})
}

func TestAnUploadedClipIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(internet)
		c := relay(t, simulator.Options{Client: &http.Client{Transport: n}})
		good := c.ordered(flash(set("video_urls", array{c.stream("file=a-9s.mp4", aFilm()).at("data", "file_url")})))
		bad := c.ordered(flash(set("video_urls", array{c.stream("file=a-9s.mp4", "no film").at("data", "file_url")})))
		small := c.ordered(relay27(set("video_urls", nil), set("image_urls", array{c.post(filesPath+"base64", object{"base64_data": onePixel}).at("data", "file_url")})))
		time.Sleep(10 * time.Minute)
		require.Equal(t, 25.5, c.look(good).at("usage", "credits_used"))
		require.Equal(t, "invalid_parameters", c.look(bad).at("error", "code"))
		require.Equal(t, "image_processing_error", c.look(small).at("error", "code"), "GIF is taken as a file and not as a reference")
		require.Zero(t, n.visits.Load(), "what is here is not downloaded")
	})
}

func TestFilesThatTheRelayRefuses(t *testing.T) {
	c := relay(t, simulator.Options{Client: &http.Client{Transport: new(internet)}})
	film := base64.StdEncoding.EncodeToString([]byte(aFilm()))
	for name, answer := range map[string]reply{
		"a film as base64":       c.post(filesPath+"base64", object{"base64_data": film}),
		"no base64":              c.post(filesPath+"base64", object{"base64_data": "???"}),
		"nothing":                c.post(filesPath+"base64", object{}),
		"no JSON":                c.send("POST", filesPath+"base64", []byte("x"), nil),
		"no address":             c.post(filesPath+"url", object{"file_url": "ftp://a.test/a"}),
		"an address without one": c.post(filesPath+"url", object{"file_url": "https://a.test/gone.mp4"}),
		"no form":                c.post(filesPath+"stream", object{}),
		"no file":                c.stream("upload_path", "x"),
		"an empty file":          c.stream("file=a.mp4", ""),
		"two files":              c.stream("file=a.mp4", "x", "file=b.mp4", "y"),
	} {
		require.Equal(t, 400, answer.status, name)
		require.Equal(t, []any{false, 400.}, []any{answer.at("success"), answer.at("code")}, name)
		require.NotEmpty(t, answer.at("msg"), name)
		require.NotContains(t, answer.json(), "data")
	}
	c.post("/control/faults", object{"fault": "upload-refused"})
	answer := c.stream("file=a.mp4", aFilm())
	require.Equal(t, 200, answer.status)
	require.JSONEq(t, `{"success":false,"code":400,"msg":"File upload failed"}`, string(answer.body))
	require.Equal(t, true, c.stream("file=a.mp4", aFilm()).at("success"))
}
