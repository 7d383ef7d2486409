package clips_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/clips"
)

// keyless fails when a text holds a key, or a part of one that is signed.
func keyless(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		require.NotContains(t, text, keySecret)
		require.NotContains(t, text, keyID)
		require.NotContains(t, text, "canary")
		require.NotContains(t, text, "Signature=")
	}
}

func TestWhatIsWrongWithTheKeysOrTheBucketIsToldInPlainWords(t *testing.T) {
	server := startS3(t)
	for what, tt := range map[string]struct {
		spoil func(b *clips.Bucket)
		want  []string
	}{
		"a wrong secret":  {func(b *clips.Bucket) { b.Keys.Secret = "canary-of-another" }, []string{"AWS_SECRET_ACCESS_KEY is not the secret of AWS_ACCESS_KEY_ID", "SignatureDoesNotMatch"}},
		"an unknown key":  {func(b *clips.Bucket) { b.Keys.ID = "CANARYID-canary" }, []string{"does not know AWS_ACCESS_KEY_ID", "correct it"}},
		"no such bucket":  {func(b *clips.Bucket) { b.Place.Base.Path = "/b-missing"; b.Place.Bucket = "b-missing" }, []string{"there is no bucket b-missing at 127.0.0.1", "make it, or correct R2V_SAVE_URL"}},
		"a wrong region":  {func(b *clips.Bucket) { b.Place.Region = "eu-central-1" }, []string{"in another region than eu-central-1", "correct the region in R2V_SAVE_URL"}},
		"no secret":       {func(b *clips.Bucket) { b.Keys.Secret = "" }, []string{"needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"}},
		"a key's newline": {func(b *clips.Bucket) { b.Keys.Secret += "\n" }, []string{"AWS_SECRET_ACCESS_KEY holds a space or a line end"}},
		"a spool that is a file": {func(b *clips.Bucket) {
			if os.WriteFile(b.Spool, nil, 0o600) != nil {
				panic("no spool")
			}
		}, []string{"is no folder", "R2V_SAVE_DIR"}},
	} {
		t.Run(what, func(t *testing.T) {
			from := &source{content: wholeClip(t)}
			b := server.bucket(t, from)
			tt.spoil(b)
			_, err := b.Save(t.Context(), "r2v-x", resultLink)
			for _, want := range tt.want {
				require.ErrorContains(t, err, want)
			}
			keyless(t, err.Error())
			if early := b.Check(t.Context()); what != "a spool that is a file" { // which is this machine's
				require.EqualError(t, early, err.Error(), "it is told before anything is bought")
			}
			require.Zero(t, from.count(), "what cannot be saved is not downloaded")
			require.Empty(t, server.objects(t, server.bucket(t, from)))
		})
	}
}

func TestAClipOfTheSameSizeThatSaysNothingOfItselfIsLeftAlone(t *testing.T) {
	server, content := startS3(t), wholeClip(t)
	b := server.bucket(t, &source{content: content})
	path := server.object(b, "r2v-x")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("x"), len(content)), 0o600))
	got, err := b.Save(t.Context(), "r2v-x", resultLink)
	require.NoError(t, err)
	require.Equal(t, 2500*time.Millisecond, got.Length)
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotEqual(t, content, kept)
	require.Empty(t, names(t, b.Spool))
}

// fetched is what anybody gets for an address, without any credentials.
func fetched(t *testing.T, address string) (int, http.Header, []byte) {
	t.Helper()
	resp, err := http.Get(address)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header, body
}

func TestALinkOpensOneClipAndNothingElse(t *testing.T) {
	server, content := startS3(t), wholeClip(t)
	b := server.bucket(t, &source{content: content})
	got, err := b.Save(t.Context(), "r2v-x", resultLink)
	require.NoError(t, err)
	_, err = b.Save(t.Context(), "r2v-y", resultLink)
	require.NoError(t, err)
	link, expires, err := b.Link(t.Context(), got.Path)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(12*time.Hour), expires, 2*time.Second)
	require.NotContains(t, link, keySecret)

	status, header, body := fetched(t, link)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "video/mp4", header.Get("Content-Type"))
	require.Equal(t, content, body)

	u, err := url.Parse(link)
	require.NoError(t, err)
	for what, tamper := range map[string]func(u *url.URL, q url.Values){
		"another clip":        func(u *url.URL, _ url.Values) { u.Path = strings.Replace(u.Path, "r2v-x", "r2v-y", 1) },
		"a longer life":       func(_ *url.URL, q url.Values) { q.Set("X-Amz-Expires", "604800") },
		"another type":        func(_ *url.URL, q url.Values) { q.Set("response-content-type", "text/html") },
		"another day":         func(_ *url.URL, q url.Values) { q.Set("X-Amz-Date", "20260101T000000Z") },
		"no signature":        func(_ *url.URL, q url.Values) { q.Del("X-Amz-Signature") },
		"the list of clips":   func(u *url.URL, _ url.Values) { u.Path = "/" + b.Place.Bucket },
		"no query at all":     func(_ *url.URL, q url.Values) { clear(q) },
		"an added parameter":  func(_ *url.URL, q url.Values) { q.Set("response-content-disposition", "attachment") },
		"a changed signature": func(_ *url.URL, q url.Values) { q.Set("X-Amz-Signature", strings.Repeat("0", 64)) },
	} {
		t.Run(what, func(t *testing.T) {
			other, q := *u, u.Query()
			tamper(&other, q)
			other.RawQuery = q.Encode()
			status, _, body := fetched(t, other.String())
			require.Contains(t, []int{http.StatusForbidden, http.StatusBadRequest}, status, "%s", body)
		})
	}
}

func TestALinkOfKeysThatEndIsShort(t *testing.T) {
	b := bucketAt(t, "s3://clips/team?region=eu-central-1", nil)
	b.Keys.Session = "session-token"
	link, expires, err := b.Link(t.Context(), "s3://clips/team/r2v-x.mp4")
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Hour), expires, 2*time.Second)
	u, err := url.Parse(link)
	require.NoError(t, err)
	require.Equal(t, "clips.s3.eu-central-1.amazonaws.com", u.Host)
	require.Equal(t, "3600", u.Query().Get("X-Amz-Expires"))
	require.Equal(t, "session-token", u.Query().Get("X-Amz-Security-Token"))

	for _, path := range []string{"", "s3://clips/r2v-x.mp4", "s3://clips/team/", "s3://other/team/r2v-x.mp4", "/home/r2v-x.mp4", "s3://clips/team/../r2v-x.mp4", "s3://clips/team/r2v-x.mp4?a=b"} {
		_, _, err := b.Link(t.Context(), path)
		require.ErrorContains(t, err, "the clip is not in s3://clips/team", path)
	}
}

func TestAClipThatIsReplacedWhileItIsReadIsNotMixed(t *testing.T) {
	server, content := startS3(t), wholeClip(t)
	b := server.bucket(t, &source{content: content})
	got, err := b.Save(t.Context(), "r2v-x", resultLink)
	require.NoError(t, err)
	clip, _, err := b.Open(t.Context(), got.Path)
	require.NoError(t, err)
	defer clip.Close()
	_, err = io.ReadFull(clip, make([]byte, 100))
	require.NoError(t, err)

	another := bytes.Clone(content)
	require.NoError(t, os.WriteFile(server.object(b, "r2v-x"), another[:len(another)-1], 0o600)) // behind the server's back
	other := *b
	other.Client = &http.Client{Transport: &source{content: append(bytes.Clone(content), 0, 0, 0, 8, 'f', 'r', 'e', 'e')}}
	_, err = other.Save(t.Context(), "r2v-x", resultLink)
	require.NoError(t, err)
	_, err = clip.Seek(200, io.SeekStart)
	require.NoError(t, err)
	_, err = clip.Read(make([]byte, 100))
	require.ErrorContains(t, err, "the clip was replaced while it was read")
}

func TestKeysShowNothingHoweverTheyArePrinted(t *testing.T) {
	b := bucketAt(t, "s3://clips?region=eu-central-1", nil)
	b.Keys.Session = "canary-session"
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("settings", "keys", b.Keys, "pointer", &b.Keys, "group", struct{ Keys clips.Keys }{b.Keys})
	}
	encoded, err := json.Marshal(map[string]any{"keys": b.Keys})
	require.NoError(t, err)
	texts := []string{log.String(), string(encoded)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, b.Keys), fmt.Sprintf(verb, &b.Keys), fmt.Sprintf(verb, *b), fmt.Sprintf(verb, struct{ K clips.Keys }{b.Keys}))
	}
	keyless(t, texts...)
}
