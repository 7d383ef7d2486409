package clips

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/cenkalti/backoff/v5"
)

const (
	// markBytes and markLength are what a clip of ours says of itself: an object that has as many bytes as it says is whole.
	markBytes  = "X-Amz-Meta-R2v-Bytes"
	markLength = "X-Amz-Meta-R2v-Milliseconds"

	// emptySum is the SHA-256 of nothing, which requests without a body are signed with.
	emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

	attempts    = 4
	idleTimeout = 30 * time.Second
)

// request is one call of the storage.
type request struct {
	method string
	url    *url.URL
	header http.Header
	file   *os.File // the body; nil for none
	size   int64    // of it
}

// ask sends a request. An answer that is no success is a [*refusal], none at all an [*unreachable].
func (b *Bucket) ask(ctx context.Context, r request) (*http.Response, error) {
	sending, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(sending, r.method, r.url.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	if r.header != nil {
		req.Header = r.header.Clone()
	}
	still := func() {}
	if r.file != nil {
		still = b.attach(req, r, cancel)
	}
	if err := b.sign(req); err != nil {
		cancel(nil)
		return nil, fmt.Errorf("the request to %s could not be signed", b.host())
	}
	client := *b.Storage
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // which would be signed for another host
	resp, err := client.Do(req)
	still()
	if err != nil {
		err = withoutURL(err)
		if cause := context.Cause(sending); cause != nil && ctx.Err() == nil {
			err = cause
		}
		cancel(nil)
		return nil, &unreachable{b.host(), err}
	}
	resp.Body = &lastBody{resp.Body, cancel}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, readRefusal(resp)
	}
	return resp, nil
}

// lastBody is an answer's body, with whose end the request ends.
type lastBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (l *lastBody) Close() error {
	defer l.cancel(nil)
	return l.ReadCloser.Close()
}

// attach sends a file along, and ends the request when it stands still. What it returns is called when that no longer matters.
func (b *Bucket) attach(req *http.Request, r request, cancel context.CancelCauseFunc) (still func()) {
	idle := b.idle
	if idle == 0 {
		idle = idleTimeout
	}
	timer := time.AfterFunc(idle, func() { cancel(errStill) })
	req.GetBody = func() (io.ReadCloser, error) {
		return io.NopCloser(&moving{io.NewSectionReader(r.file, 0, r.size), timer, idle}), nil
	}
	req.Body, _ = req.GetBody()
	req.ContentLength = r.size
	return func() { timer.Stop() }
}

// moving is a body that tells a timer that it is being read.
type moving struct {
	io.Reader
	timer *time.Timer
	idle  time.Duration
}

func (m *moving) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.timer.Reset(m.idle)
	return n, err
}

func (b *Bucket) credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: b.Keys.ID, SecretAccessKey: b.Keys.Secret, SessionToken: b.Keys.Session}
}

// plainPath is S3's own way: its paths are signed as they are sent.
func plainPath(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }

func (b *Bucket) sign(req *http.Request) error {
	sum := req.Header.Get("X-Amz-Content-Sha256")
	if sum == "" {
		sum = emptySum
		req.Header.Set("X-Amz-Content-Sha256", sum)
	}
	return v4.NewSigner().SignHTTP(req.Context(), b.credentials(), req, sum, "s3", b.Place.Region, time.Now(), plainPath)
}

// presign signs a request that somebody else makes.
func (b *Bucket) presign(ctx context.Context, u *url.URL, from time.Time, life time.Duration) (string, error) {
	query := url.Values{"X-Amz-Expires": {strconv.Itoa(int(life.Seconds()))}, "response-content-type": {"video/mp4"}}
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	address, _, err := v4.NewSigner().PresignHTTP(ctx, b.credentials(), req, "UNSIGNED-PAYLOAD", "s3", b.Place.Region, from, plainPath)
	return address, err
}

// again repeats what may pass.
func again[T any](ctx context.Context, pause time.Duration, try func() (T, error)) (T, error) {
	if pause == 0 {
		pause = 500 * time.Millisecond
	}
	return backoff.Retry(ctx, func() (T, error) {
		got, err := try()
		if err != nil && (!passing(err) || ctx.Err() != nil) {
			err = backoff.Permanent(err)
		}
		return got, err
	},
		backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: pause, RandomizationFactor: 0.5, Multiplier: 3, MaxInterval: 10 * pause}),
		backoff.WithMaxTries(attempts),
	)
}

// object is what the storage says of a clip.
type object struct {
	found    bool
	size     int64
	tag      string
	modified time.Time
	marked   bool          // it is whole, by what we said of it when we saved it
	length   time.Duration // if so
}

// look asks what there is of a clip: by HEAD, or by GET of its first byte, whose refusals say more.
func (b *Bucket) look(ctx context.Context, method, file string) (object, error) {
	header := http.Header{}
	if method == http.MethodGet {
		header.Set("Range", "bytes=0-0")
	}
	return again(ctx, b.pause, func() (object, error) {
		resp, err := b.ask(ctx, request{method: method, url: b.Place.object(file), header: header})
		if is(err, codeEmpty) {
			return object{found: true}, nil
		}
		if err != nil {
			return object{}, err
		}
		defer resp.Body.Close()
		return readObject(resp)
	})
}

func readObject(resp *http.Response) (object, error) {
	o := object{found: true, size: resp.ContentLength, tag: resp.Header.Get("ETag")}
	if resp.StatusCode == http.StatusPartialContent {
		_, total, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
		var err error
		if o.size, err = strconv.ParseInt(total, 10, 64); err != nil {
			o.size = -1
		}
	}
	if o.size < 0 {
		return object{}, fmt.Errorf("%s does not say how large the clip is that it has", resp.Request.URL.Host)
	}
	o.modified, _ = http.ParseTime(resp.Header.Get("Last-Modified"))
	bytes, err := strconv.ParseInt(resp.Header.Get(markBytes), 10, 64)
	length, bad := strconv.ParseUint(resp.Header.Get(markLength), 10, 31)
	if o.marked = err == nil && bad == nil && bytes == o.size; o.marked {
		o.length = time.Duration(length) * time.Millisecond
	}
	return o, nil
}
