package clips_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/clips"
)

func TestAPlaceIsReadFromItsAddress(t *testing.T) {
	for address, want := range map[string]struct{ base, region, host, place string }{
		"s3://clips?region=eu-central-1":                                      {"https://clips.s3.eu-central-1.amazonaws.com", "eu-central-1", "clips.s3.eu-central-1.amazonaws.com:443", "s3://clips"},
		"s3://clips/a/b/?region=cn-north-1":                                   {"https://clips.s3.cn-north-1.amazonaws.com.cn", "cn-north-1", "clips.s3.cn-north-1.amazonaws.com.cn:443", "s3://clips/a/b"},
		"s3://my.clips?region=us-east-1":                                      {"https://s3.us-east-1.amazonaws.com/my.clips", "us-east-1", "s3.us-east-1.amazonaws.com:443", "s3://my.clips"},
		"s3://clips?region=us-east-1&path_style=true":                         {"https://s3.us-east-1.amazonaws.com/clips", "us-east-1", "s3.us-east-1.amazonaws.com:443", "s3://clips"},
		"s3://clips/p?endpoint=https://S3.Example.com:443/":                   {"https://s3.example.com/clips", "us-east-1", "s3.example.com:443", "s3://clips/p"},
		"s3://clips/p?endpoint=https://s3.example.com:9000&region=auto":       {"https://s3.example.com:9000/clips", "auto", "s3.example.com:9000", "s3://clips/p"},
		"s3://clips/p?endpoint=https%3A%2F%2Fs3.example.com&path_style=false": {"https://clips.s3.example.com", "us-east-1", "clips.s3.example.com:443", "s3://clips/p"},
		"s3://clips?endpoint=http://127.0.0.1:9000":                           {"http://127.0.0.1:9000/clips", "us-east-1", "127.0.0.1:9000", "s3://clips"},
		"s3://clips?endpoint=http://[::1]:80":                                 {"http://[::1]/clips", "us-east-1", "[::1]:80", "s3://clips"},
		"s3://clips?endpoint=http://localhost:9000":                           {"http://localhost:9000/clips", "us-east-1", "localhost:9000", "s3://clips"},
		"s3://clips?endpoint=http://minio:9000":                               {"http://minio:9000/clips", "us-east-1", "minio:9000", "s3://clips"},
		"s3://clips?endpoint=http://10.1.2.3:9000":                            {"http://10.1.2.3:9000/clips", "us-east-1", "10.1.2.3:9000", "s3://clips"},
	} {
		place, err := clips.ParseBucket(address, "minio:9000", "10.0.0.0/8")
		require.NoError(t, err, address)
		require.Equal(t, want.base, place.Base.String(), address)
		require.Equal(t, want.region, place.Region, address)
		require.Equal(t, want.host, place.Host(), address)
		require.Equal(t, want.place, place.String(), address)
	}
}

func TestAnAddressThatIsNoPlaceIsExplained(t *testing.T) {
	for address, want := range map[string]string{
		"":                     "it looks like s3://bucket/prefix?endpoint=",
		"clips":                "it looks like s3://",
		"https://canary/x":     "it looks like s3://",
		"s3://canary:canary/x": "it cannot be read",
		"s3://ID:canary@clips": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
		"s3://clips?endpoint=https://ID:canary@s3.example.com":  "it holds credentials",
		"s3://Canary?region=us-east-1":                          "lower-case letters",
		"s3://ab?region=us-east-1":                              "3 to 63",
		"s3://a..b?region=us-east-1":                            "the bucket's name",
		"s3://clips/a//b?region=us-east-1":                      "single slashes",
		"s3://clips/../b?region=us-east-1":                      "none begins with a dot",
		"s3://clips/a%20canary?region=us-east-1":                "the prefix may have",
		"s3://clips":                                            "neither the endpoint nor the region",
		"s3://clips?region=canary canary":                       "the region is no name",
		"s3://clips?regoin=us-east-1":                           `it has no "regoin"; there are endpoint, region and path_style`,
		"s3://clips?CANARY0001=canary":                          "none of endpoint, region and path_style",
		"s3://clips?region=us-east-1&region=canary":             "given 2 times",
		"s3://clips?region=us-east-1&path_style=yes":            "path_style is true",
		"s3://clips?endpoint=s3.example.com":                    "it looks like https://s3.example.com",
		"s3://clips?endpoint=ftp://s3.example.com":              "the endpoint cannot be read",
		"s3://clips?endpoint=https://s3.example.com/clips":      "more than a scheme, a host and a port",
		"s3://clips?endpoint=http://s3.example.com":             "R2V_EGRESS_ALLOW",
		"s3://clips?endpoint=http://192.168.1.1:9000":           "R2V_EGRESS_ALLOW",
		"s3://clips?endpoint=http://minio:9001":                 "R2V_EGRESS_ALLOW",
		"s3://clips?endpoint=https://10.0.0.1&path_style=false": "the endpoint is a number",
		"s3://clips#canary":                                     "it cannot be read",
	} {
		place, err := clips.ParseBucket(address, "minio:9000", "10.0.0.0/8")
		require.ErrorContains(t, err, want, address)
		require.NotContains(t, err.Error(), "canary", address)
		require.NotContains(t, err.Error(), "CANARY", address)
		require.Zero(t, place, address)
	}
}
