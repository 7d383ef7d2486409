package clips_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/clips"
	"r2v-mcp/internal/egress"
)

// These are the only keys that the server knows. They are looked for in every text.
const (
	keyID     = "CANARYID0001"
	keySecret = "canary/secret+0001"
)

// s3 is a real S3 server, whose buckets are folders.
type s3 struct {
	address string // host and port
	root    string
	life    io.Closer // held, or the collector would close it
}

var errNoS3 = errors.New("no S3 server for this test: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0, or set R2V_TEST_S3_SERVER to the program")

// watch runs a server until nobody holds the other end of the shell's stdin, however that came about.
const watch = `dir=$1; shift; "$@" >"$dir/log" 2>&1 & cat >/dev/null; kill $! && wait $!; rm -rf "$dir"`

// shared is one server for all tests of the process.
var shared = sync.OnceValues(func() (s3, error) {
	program := cmp.Or(os.Getenv("R2V_TEST_S3_SERVER"), "versitygw")
	program, err := exec.LookPath(program)
	if err != nil {
		return s3{}, errNoS3
	}
	dir, err := os.MkdirTemp("", "r2v-s3-")
	if err != nil {
		return s3{}, err
	}
	s := s3{root: filepath.Join(dir, "buckets")}
	if err := errors.Join(os.Mkdir(s.root, 0o700), os.Mkdir(filepath.Join(dir, "side"), 0o700)); err != nil {
		return s3{}, err
	}
	socket := filepath.Join(dir, "s") // a port that was looked for would be anybody's until the server has it
	server := exec.Command("sh", "-c", watch, "sh", dir, program, "--port", socket, "--quiet", "--keep-alive", "posix", "--sidecar", filepath.Join(dir, "side"), s.root)
	server.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+keyID, "ROOT_SECRET_ACCESS_KEY="+keySecret)
	if s.life, err = server.StdinPipe(); err != nil {
		return s3{}, err
	}
	if err := server.Start(); err != nil {
		return s3{}, err
	}
	s.address, err = forward(socket)
	return s, errors.Join(err, answers(s.address, filepath.Join(dir, "log")))
})

// forward leads connections on to a socket, from a port of its own.
func forward(socket string) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("unix", socket)
				if err != nil {
					return
				}
				defer out.Close()
				go func() { io.Copy(out, in); out.Close() }()
				io.Copy(in, out)
			}()
		}
	}()
	return l.Addr().String(), nil
}

// answers waits until a server answers.
func answers(address, log string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			return resp.Body.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			said, _ := os.ReadFile(log)
			return fmt.Errorf("the S3 server does not answer: %s", said)
		}
	}
}

func startS3(tb testing.TB) s3 {
	tb.Helper()
	s, err := shared()
	if errors.Is(err, errNoS3) && os.Getenv("CI") == "" {
		tb.Skip(err)
	}
	require.NoError(tb, err)
	return s
}

// bucket makes an empty bucket on the real server, and whoever saves there.
func (s s3) bucket(tb testing.TB, source http.RoundTripper) *clips.Bucket {
	tb.Helper()
	name := "b-" + strings.ToLower(rand.Text())
	require.NoError(tb, os.Mkdir(filepath.Join(s.root, name), 0o700))
	return bucketAt(tb, "s3://"+name+"/team/clips?endpoint=http://"+s.address, source)
}

func bucketAt(tb testing.TB, address string, source http.RoundTripper) *clips.Bucket {
	tb.Helper()
	place, err := clips.ParseBucket(address)
	require.NoError(tb, err)
	storage, err := egress.NewClient(egress.Settings{Allow: []string{place.Host()}})
	require.NoError(tb, err)
	b := &clips.Bucket{
		Place: place, Keys: clips.Keys{ID: keyID, Secret: keySecret}, Storage: storage,
		Client: &http.Client{Transport: source}, Spool: filepath.Join(tb.TempDir(), "spool"),
	}
	return b.Hurry(time.Millisecond, 2*time.Second)
}

// object is what the server has of a clip, on its disk.
func (s s3) object(b *clips.Bucket, name string) string {
	return filepath.Join(s.root, b.Place.Bucket, "team", "clips", name+".mp4")
}

// objects are the names of all that the server has of a bucket.
func (s s3) objects(tb testing.TB, b *clips.Bucket) []string {
	tb.Helper()
	list := []string{}
	root := filepath.Join(s.root, b.Place.Bucket)
	require.NoError(tb, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(root, path)
			list = append(list, name)
		}
		return err
	}))
	return list
}

// source gives the same clip to everybody who asks, and counts them.
type source struct {
	content []byte
	mu      sync.Mutex
	asked   int
}

func (s *source) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	return all(bytes.Clone(s.content)).RoundTrip(r)
}

func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

const resultLink = "https://results.example/a.mp4?Signature=secret"
