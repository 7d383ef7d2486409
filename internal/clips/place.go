package clips

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Place is where in S3-compatible storage clips are kept: see [ParseBucket].
type Place struct {
	Bucket string
	Prefix string // without slashes at its ends, empty for none
	Region string
	Base   *url.URL // of the bucket: where requests go, which the names of objects follow
}

// example is how a setting looks that is right.
const example = "it looks like s3://bucket/prefix?endpoint=https://s3.example.com&region=eu-central-1"

// Names as https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html has them; of prefixes only what every
// server and every reader of addresses takes for the same.
var (
	bucketName = lazily(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixName = lazily(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`)
	regionName = lazily(`^[a-z0-9][a-z0-9-]{0,31}$`)
	queryName  = lazily(`^[a-z_-]{1,32}$`)
)

// ParseBucket reads the address of a place for clips, such as s3://bucket/prefix?endpoint=https://host:9000&region=name&path_style=true.
// Without an endpoint it is Amazon's of the region, which is then to be given; the bucket is part of the host there. An endpoint of
// one's own has the region us-east-1 and the bucket in the path when nothing else is said. It is https; plain http is for loopback and for what
// the operator has opened, given as in [egress.Settings].Allow. Errors say what to write instead, and repeat nothing that may be secret.
func ParseBucket(address string, opened ...string) (Place, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "s3" || u.Opaque != "" || u.Fragment != "" {
		return Place{}, errors.New("it cannot be read: " + example)
	}
	if u.User != nil {
		return Place{}, errSecrets
	}
	place := Place{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	switch {
	case !bucketName().MatchString(place.Bucket), strings.Contains(place.Bucket, ".."):
		return Place{}, errors.New("the bucket's name is not 3 to 63 lower-case letters, digits, dots and hyphens: " + example)
	case place.Prefix != "" && !prefixName().MatchString(place.Prefix), len(place.Prefix) > 500:
		return Place{}, errors.New("the prefix may have letters, digits, dots, hyphens and underscores, in parts divided by single slashes, of which none begins with a dot: " + example)
	}
	query, err := readQuery(u.RawQuery)
	if err != nil {
		return Place{}, err
	}
	if err := place.locate(query, opened); err != nil {
		return Place{}, err
	}
	return place, nil
}

var errSecrets = errors.New("it holds credentials, which end up in logs: write it without them, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")

// readQuery reads the part behind the question mark. A name that may be something else than a mistyped one is not repeated.
func readQuery(raw string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("what follows the question mark cannot be read: " + example)
	}
	query, known := map[string]string{}, []string{"endpoint", "region", "path_style"}
	for name, given := range values {
		switch {
		case slices.Contains(known, name) && len(given) == 1:
			query[name] = given[0]
		case slices.Contains(known, name):
			return nil, fmt.Errorf("%s is given %d times: give it once", name, len(given))
		case queryName().MatchString(name):
			return nil, fmt.Errorf("it has no %q; there are endpoint, region and path_style", name)
		default:
			return nil, errors.New("it has a name behind the question mark that is none of endpoint, region and path_style")
		}
	}
	return query, nil
}

// locate finds out where requests for the bucket go.
func (p *Place) locate(query map[string]string, opened []string) error {
	p.Region = query["region"]
	endpoint, given := query["endpoint"]
	if p.Region != "" && !regionName().MatchString(p.Region) {
		return errors.New("the region is no name such as eu-central-1, us-east-1 or auto")
	}
	switch {
	case !given && p.Region == "":
		return errors.New("it says neither the endpoint nor the region: add ?region=… for Amazon S3, or ?endpoint=https://… for another storage")
	case !given:
		p.Base = &url.URL{Scheme: "https", Host: amazon(p.Region)}
	default:
		if p.Region == "" {
			p.Region = "us-east-1" // which servers that have none take
		}
		var err error
		if p.Base, err = parseEndpoint(endpoint, opened); err != nil {
			return err
		}
	}
	inPath, err := pathStyle(query, given || strings.Contains(p.Bucket, ".")) // whose dots no certificate for *.s3… covers
	if err != nil {
		return err
	}
	if _, err := netip.ParseAddr(p.Base.Hostname()); err == nil && !inPath {
		return errors.New("path_style=false makes the bucket a part of the host's name, and the endpoint is a number: leave it out")
	}
	if inPath {
		p.Base.Path = "/" + p.Bucket
	} else {
		p.Base.Host = p.Bucket + "." + p.Base.Host
	}
	return nil
}

// amazon is where Amazon S3 is in a region (https://docs.aws.amazon.com/general/latest/gr/s3.html).
func amazon(region string) string {
	host := "s3." + region + ".amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		host += ".cn"
	}
	return host
}

func pathStyle(query map[string]string, usual bool) (bool, error) {
	switch style, given := query["path_style"]; {
	case !given:
		return usual, nil
	case style == "true", style == "false":
		return style == "true", nil
	}
	return false, errors.New("path_style is true (https://host/bucket) or false (https://bucket.host)")
}

// parseEndpoint reads the endpoint, without the port that its scheme has anyhow.
func parseEndpoint(endpoint string, opened []string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err == nil && u.User != nil:
		return nil, errSecrets
	case err != nil || u.Hostname() == "" || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("the endpoint cannot be read; it looks like https://s3.example.com or https://host:9000")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the endpoint has more than a scheme, a host and a port: the bucket stands in front, as s3://bucket/prefix")
	case u.Scheme == "http" && !mayBePlain(u, opened):
		return nil, errors.New("the endpoint is plain http, which shows clips to the network: use https, or name its host in R2V_EGRESS_ALLOW if that network is yours")
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == map[string]string{"http": "80", "https": "443"}[u.Scheme] { // which is left out of what is signed
		port = ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" {
		host += ":" + port
	}
	return &url.URL{Scheme: u.Scheme, Host: host}, nil
}

// mayBePlain tells whether an endpoint may do without TLS.
func mayBePlain(u *url.URL, opened []string) bool {
	host := strings.ToLower(u.Hostname())
	addr, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && addr.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(opened, func(entry string) bool {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if prefix, bad := netip.ParsePrefix(entry); bad == nil {
			return err == nil && prefix.Contains(addr)
		}
		return entry == host || entry == strings.ToLower(u.Host)
	})
}

// Host is the host and the port that requests go to, as [egress.Settings].Allow wants it.
func (p Place) Host() string {
	port := p.Base.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[p.Base.Scheme]
	}
	return net.JoinHostPort(p.Base.Hostname(), port)
}

// String is where clips are, without how to get there: s3://bucket/prefix.
func (p Place) String() string {
	if p.Prefix == "" {
		return "s3://" + p.Bucket
	}
	return "s3://" + p.Bucket + "/" + p.Prefix
}

// clipName is the name of a clip's file; everything else would have to be escaped, which servers do in different ways.
var clipName = lazily(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}\.mp4$`)

// object is the address of a clip.
func (p Place) object(file string) *url.URL {
	u := *p.Base
	if p.Prefix != "" {
		u.Path += "/" + p.Prefix
	}
	u.Path += "/" + file
	return &u
}

// file is the name of a clip that was saved here.
func (p Place) file(savedTo string) (string, error) {
	file, ours := strings.CutPrefix(savedTo, p.String()+"/")
	if !ours || !clipName().MatchString(file) {
		return "", fmt.Errorf("the clip is not in %s: it was saved when R2V_SAVE_URL or R2V_SAVE_DIR was another, and is not read from there", p)
	}
	return file, nil
}
