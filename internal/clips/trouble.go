package clips

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"r2v-mcp/internal/egress"
)

// The codes of S3's refusals that are treated apart (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
const (
	codeNoKey   = "NoSuchKey"
	codeDenied  = "AccessDenied"
	codeExists  = "PreconditionFailed"
	codeUnknown = "NotImplemented"
	codeEmpty   = "InvalidRange"
)

// refusal is an answer of the storage that is no success.
type refusal struct {
	status int
	code   string // empty when it gives none
}

func (r *refusal) Error() string {
	return fmt.Sprintf("HTTP %d%s", r.status, strings.TrimRight(" "+r.code, " "))
}

// unreachable is a request without an answer.
type unreachable struct {
	host string
	err  error
}

func (u *unreachable) Error() string { return fmt.Sprintf("%s gives no answer: %v", u.host, u.err) }
func (u *unreachable) Unwrap() error { return u.err }

var errStill = errors.New("it has stopped taking the clip")

// mostRefusal bounds what is read of a refusal in bytes. The code stands at its beginning.
const mostRefusal = 8 << 10

// codeForm is what is believed of a refusal: one word. Its other texts may repeat what was sent, keys among it.
var codeForm = lazily(`<Error\b[^>]*>(?s:.*?)<Code>([A-Za-z][A-Za-z0-9.]{1,60})</Code>`)

// readRefusal reads the code of a refusal. An answer to HEAD has none, and so have those of whatever stands before the storage.
func readRefusal(resp *http.Response) *refusal {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, mostRefusal))
	r := &refusal{status: resp.StatusCode}
	if found := codeForm().FindSubmatch(text); found != nil {
		r.code = string(found[1])
	}
	if r.code == "" && resp.Request.Method != http.MethodPut { // what a status means that comes alone
		r.code = map[int]string{http.StatusNotFound: codeNoKey, http.StatusRequestedRangeNotSatisfiable: codeEmpty}[r.status]
	}
	switch r.status {
	case http.StatusPreconditionFailed:
		r.code = cmp.Or(r.code, codeExists)
	case http.StatusNotImplemented:
		r.code = cmp.Or(r.code, codeUnknown)
	case http.StatusForbidden:
		r.code = cmp.Or(r.code, codeDenied)
	}
	return r
}

// is reports whether the storage has refused with a code.
func is(err error, code string) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.code == code
}

// passing tells whether the same request may do better a little later.
func passing(err error) bool {
	if u, ok := errors.AsType[*unreachable](err); ok {
		_, refused := errors.AsType[*egress.Refused](u.err)
		_, mistrusted := errors.AsType[*tls.CertificateVerificationError](u.err)
		return !refused && !mistrusted && !errors.Is(u.err, context.Canceled) && !errors.Is(u.err, context.DeadlineExceeded)
	}
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return false
	}
	switch r.code {
	case "RequestTimeout", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody": // lost or spoilt on the way
		return true
	}
	switch r.status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return true
	}
	return r.status >= 500 && r.status != http.StatusNotImplemented && r.status != http.StatusInsufficientStorage
}

func (b *Bucket) host() string { return b.Place.Base.Host }

// explain says in plain words why the storage cannot be used, and what can be done about it. Another error stays as it is.
func (b *Bucket) explain(err error) error {
	if u, ok := errors.AsType[*unreachable](err); ok {
		_, mistrusted := errors.AsType[*tls.CertificateVerificationError](u.err)
		switch {
		case errors.Is(err, context.Canceled):
			return err
		case mistrusted:
			return fmt.Errorf("%w: give it a certificate that this machine trusts, or correct the endpoint in R2V_SAVE_URL", err)
		}
		return fmt.Errorf("%w: see that the storage runs and can be reached from here, or correct the endpoint in R2V_SAVE_URL", err)
	}
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return err
	}
	text, ok := advice()[r.code]
	switch {
	case ok:
	case r.status/100 == 3:
		text = "$host sends requests for this bucket elsewhere: correct the endpoint and the region in R2V_SAVE_URL"
	case r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable:
		text = "$host has too much to do: it is tried again"
	case r.status == http.StatusInsufficientStorage:
		text = advice()["QuotaExceeded"]
	case r.status >= 500:
		text = "$host has trouble of its own: look at its log; it is tried again"
	case r.status == http.StatusNotFound || r.status == http.StatusMethodNotAllowed:
		text = "$host does not answer as S3 storage does: correct the endpoint in R2V_SAVE_URL"
	default:
		text = "$host does not take the request: look for its code in the storage's documentation"
	}
	text = strings.NewReplacer("$host", b.host(), "$bucket", b.Place.Bucket, "$place", b.Place.String(), "$region", b.Place.Region).Replace(text)
	said, rest, _ := strings.Cut(text, ": ")
	return fmt.Errorf("%s (%w): %s", said, err, rest)
}

// advice is what a code means and what is to be done about it.
func advice() map[string]string {
	const (
		region  = "the storage has the bucket $bucket in another region than $region: correct the region in R2V_SAVE_URL"
		ended   = "$host does not take AWS_SESSION_TOKEN, or no longer: get new credentials, and set it with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
		unknown = "$host does not know AWS_ACCESS_KEY_ID: correct it, or the endpoint in R2V_SAVE_URL"
		full    = "$host has no room left: delete what is not needed there, or raise the limit"
	)
	return map[string]string{
		codeNoKey:               "the clip is not at $place: it was deleted, or nobody has saved it there",
		codeDenied:              "AWS_ACCESS_KEY_ID may not do this in $place: allow it s3:PutObject and s3:GetObject there, or correct R2V_SAVE_URL",
		"AllAccessDisabled":     "the bucket $bucket is closed: open it, or name another one in R2V_SAVE_URL",
		"NoSuchBucket":          "there is no bucket $bucket at $host: make it, or correct R2V_SAVE_URL",
		"InvalidBucketName":     "$host takes no bucket of the name $bucket: correct R2V_SAVE_URL",
		"SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY is not the secret of AWS_ACCESS_KEY_ID: correct it; if it is right, the region in R2V_SAVE_URL is not, or something between here and $host changes requests",
		"InvalidAccessKeyId":    unknown, "XAdminUserNotFound": unknown, // the latter is versitygw's
		"RequestTimeTooSkewed": "the clocks of this machine and of $host are more than 15 minutes apart: set the one that is wrong",
		"ExpiredToken":         ended, "InvalidToken": ended, "TokenRefreshRequired": ended,
		"AuthorizationHeaderMalformed": region, "PermanentRedirect": region, "TemporaryRedirect": region, "IllegalLocationConstraintException": region,
		"QuotaExceeded": full, "XMinioStorageFull": full, "InsufficientCapacity": full,
	}
}
