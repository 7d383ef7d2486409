package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func read(t *testing.T, environ ...string) (*Config, error) {
	t.Helper()
	cfg, _, err := (&program{environ: append(environ, "HOME="+t.TempDir(), "LOCALAPPDATA="+t.TempDir())}).config(t.Context())
	return cfg, err
}

func TestDefaults(t *testing.T) {
	cfg, err := read(t)
	require.NoError(t, err)
	require.Equal(t, "singapore", cfg.Region)
	require.Equal(t, "https://dashscope-intl.aliyuncs.com/api/v1", cfg.BaseURL)
	require.Nil(t, cfg.budget)
	require.Equal(t, "50s", cfg.MaxWait.String())
	require.Equal(t, "15s", cfg.PollInterval.String())
	require.Empty(t, cfg.egressAllow())
}

func TestEmptyMeansNotSet(t *testing.T) {
	cfg, err := read(t, "DASHSCOPE_REGION=", "R2V_MAX_WAIT= ", "R2V_BUDGET_PER_TASK=", "DASHSCOPE_API_KEY=")
	require.NoError(t, err)
	require.Equal(t, "singapore", cfg.Region)
	require.Nil(t, cfg.budget)
}

func TestABadValueIsRefusedByItsName(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"DASHSCOPE_REGION=mars", `DASHSCOPE_REGION: "mars" is not one of singapore, virginia, beijing, simulator`},
		{"DASHSCOPE_API_KEY=${input:key}", "DASHSCOPE_API_KEY: it holds blanks or other characters, or is a placeholder"},
		{"DASHSCOPE_API_KEY=sk-1 sk-2", "DASHSCOPE_API_KEY: it holds blanks"},
		{"DASHSCOPE_HTTP_BASE_URL=http://gateway.example/api/v1", "DASHSCOPE_HTTP_BASE_URL: "},
		{"DASHSCOPE_HTTP_BASE_URL=dashscope", "DASHSCOPE_HTTP_BASE_URL: "},
		{"R2V_BUDGET_PER_TASK=-1", `R2V_BUDGET_PER_TASK: "-1" is no amount above 0`},
		{"R2V_BUDGET_PER_TASK=0", `R2V_BUDGET_PER_TASK: "0" is no amount`},
		{"R2V_BUDGET_PER_TASK=much", `R2V_BUDGET_PER_TASK: "much"`},
		{"R2V_BUDGET_PER_TASK=1e999999999", `R2V_BUDGET_PER_TASK: "1e999999999"`},
		{"R2V_MAX_WAIT=soon", "R2V_MAX_WAIT: "},
		{"R2V_MAX_WAIT=2h", "R2V_MAX_WAIT: 2h0m0s is not between 1s and 1h0m0s"},
		{"R2V_POLL_INTERVAL=1ms", "R2V_POLL_INTERVAL: 1ms is not between"},
		{"R2V_DUPLICATE_WINDOW=-1s", "R2V_DUPLICATE_WINDOW: -1s is not between"},
		{"DASHSCOPE_API_KEY=schlüssel", "DASHSCOPE_API_KEY: "},
		{"DASHSCOPE_WORKSPACE_ID=a b", "DASHSCOPE_WORKSPACE_ID: "},
		{"DASHSCOPE_HTTP_BASE_URL=https://gateway.example/", "does not end in /api/v1"},
		{"DASHSCOPE_REGION=singapore DASHSCOPE_HTTP_BASE_URL=https://dashscope.aliyuncs.com/api/v1", "DASHSCOPE_REGION: singapore is not where DASHSCOPE_HTTP_BASE_URL leads, which is beijing"},
		{"DASHSCOPE_REGION=beijing DASHSCOPE_HTTP_BASE_URL=https://ws-1.ap-southeast-1.maas.aliyuncs.com/api/v1", "which is singapore"},
		{"DASHSCOPE_REGION=simulator DASHSCOPE_HTTP_BASE_URL=https://gateway.example/api/v1", "simulator is on this machine, and https://gateway.example/api/v1 is not"},
		{"R2V_EGRESS_ALLOW=10.0.0.0/99", "R2V_EGRESS_ALLOW: "},
		{"R2V_DATA_DIR=data", `R2V_DATA_DIR: "data" is no absolute path`},
		{"R2V_SAVE_DIR=videos", `R2V_SAVE_DIR: "videos" is neither off nor an absolute path`},
		{"R2V_LOG_LEVEL=loud", `R2V_LOG_LEVEL: "loud" is not one of`},
		{"R2V_BUDJET_PER_TASK=1", "R2V_BUDJET_PER_TASK is not a setting; did you mean R2V_BUDGET_PER_TASK?"},
		{"R2V_BUDGET_PER_DAY=1", "R2V_BUDGET_PER_DAY is not a setting"},
		{"R2V_FROBNICATE_EVERYTHING=1", "R2V_FROBNICATE_EVERYTHING is not a setting of this version; the settings are DASHSCOPE_API_KEY"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			lines := []string{tt.line}
			if strings.HasPrefix(tt.line, "DASHSCOPE_REGION=") {
				lines = strings.Fields(tt.line)
			}
			_, err := read(t, lines...)
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "sk-1")
		})
	}
}

func TestAllBadValuesAreToldAtOnce(t *testing.T) {
	_, err := read(t, "DASHSCOPE_REGION=mars", "R2V_POLL_INTERVAL=1ms", "R2V_SAVE_DIR=x")
	for _, name := range []string{"DASHSCOPE_REGION", "R2V_POLL_INTERVAL", "R2V_SAVE_DIR"} {
		require.ErrorContains(t, err, name)
	}
}

func TestAddressTellsTheRegion(t *testing.T) {
	for base, region := range map[string]string{
		"https://dashscope.aliyuncs.com/api/v1":                     "beijing",
		"https://dashscope-us.aliyuncs.com/api/v1":                  "virginia",
		"https://ws-1.cn-beijing.maas.aliyuncs.com/api/v1":          "beijing",
		"https://WS-1.ap-southeast-1.maas.aliyuncs.com:443/api/v1/": "singapore",
		"https://gateway.example/api/v1":                            "singapore",
	} {
		cfg, err := read(t, "DASHSCOPE_HTTP_BASE_URL="+base)
		require.NoError(t, err)
		require.Equal(t, region, cfg.Region, base)
	}
}

func TestSimulatorMayBeReached(t *testing.T) {
	cfg, err := read(t, "DASHSCOPE_REGION=simulator")
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:8790/api/v1", cfg.BaseURL)
	require.Equal(t, []string{"127.0.0.1:8790"}, cfg.egressAllow())
	cfg, err = read(t, "DASHSCOPE_HTTP_BASE_URL=http://localhost:9/api/v1", "R2V_EGRESS_ALLOW=10.0.0.0/8,media.internal")
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.0/8", "media.internal", "localhost:9"}, cfg.egressAllow())
}

func TestPricesFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prices.json")
	text, err := os.ReadFile(filepath.Join("internal", "video", "catalogue.json"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	_, c, err := (&program{environ: []string{"R2V_PRICES_FILE=" + file}}).config(t.Context())
	require.NoError(t, err)
	require.Equal(t, "wan2.7-r2v", c.DefaultModel)

	require.NoError(t, os.WriteFile(file, text[:len(text)/2], 0o600))
	_, err = read(t, "R2V_PRICES_FILE="+file)
	require.ErrorContains(t, err, "R2V_PRICES_FILE: "+file)
	_, err = read(t, "R2V_PRICES_FILE="+file+"x")
	require.ErrorContains(t, err, "R2V_PRICES_FILE")
}

// A catalogue that only wants to see the tools may start the server with nothing at all in the environment.
func TestWithoutAHomeOnlySavingNeedsAFolder(t *testing.T) {
	for _, environ := range [][]string{nil, {"R2V_SAVE_DIR=off", "DASHSCOPE_API_KEY=sk-test"}, {"R2V_SAVE_DIR=" + t.TempDir(), "DASHSCOPE_API_KEY=sk-test"}} {
		_, _, err := (&program{environ: environ}).config(t.Context())
		require.NoError(t, err)
	}
	_, _, err := (&program{environ: []string{"DASHSCOPE_API_KEY=sk-test"}}).config(t.Context())
	require.ErrorContains(t, err, "R2V_SAVE_DIR: no folder for user data is known here")
}
