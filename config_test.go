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
	require.Nil(t, cfg.perTask)
	require.Nil(t, cfg.perDay)
	require.Equal(t, "50s", cfg.MaxWait.String())
	require.Equal(t, "15s", cfg.PollInterval.String())
	require.Empty(t, cfg.egressAllow())
}

func TestEmptyMeansNotSet(t *testing.T) {
	cfg, err := read(t, "DASHSCOPE_REGION=", "R2V_MAX_WAIT= ", "R2V_BUDGET_PER_TASK=", "R2V_BUDGET_PER_DAY= ", "R2V_DATABASE_URL=", "DASHSCOPE_API_KEY=")
	require.NoError(t, err)
	require.Equal(t, "singapore", cfg.Region)
	require.Nil(t, cfg.perTask)
	require.Nil(t, cfg.perDay)
}

func TestABadValueIsRefusedByItsName(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"DASHSCOPE_REGION=mars", `DASHSCOPE_REGION: "mars" is not one of singapore, virginia, beijing, simulator`},
		{"DASHSCOPE_API_KEY=${input:key}", "DASHSCOPE_API_KEY: it holds blanks or other characters, or is a placeholder"},
		{"DASHSCOPE_API_KEY=sk-1 sk-2", "DASHSCOPE_API_KEY: it holds blanks"},
		{"DASHSCOPE_HTTP_BASE_URL=http://gateway.example/api/v1", "DASHSCOPE_HTTP_BASE_URL: "},
		{"DASHSCOPE_HTTP_BASE_URL=dashscope", "DASHSCOPE_HTTP_BASE_URL: "},
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
		{"R2V_BUDGET_PER_DAYS=1", "R2V_BUDGET_PER_DAYS is not a setting; did you mean R2V_BUDGET_PER_DAY?"},
		{"R2V_DATABASE_URL=mysql://r2v@db/r2v", "R2V_DATABASE_URL: it does not begin with postgres://"},
		{"R2V_FROBNICATE_EVERYTHING=1", "R2V_FROBNICATE_EVERYTHING is not a setting of this version; the settings are R2V_PROVIDER, DASHSCOPE_API_KEY"},
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

func TestABudgetThatNobodyCanMeanIsRefused(t *testing.T) {
	for _, name := range []string{"R2V_BUDGET_PER_TASK", "R2V_BUDGET_PER_DAY"} {
		for _, amount := range []string{"-1", "0", "-0", "0.00", "1e30", "1e999999999", "1e-999999999", "0.0000000001", "NaN", "Inf", "1,5", "1.5.0", "$5", "much", "0x10"} {
			_, err := read(t, name+"="+amount)
			require.ErrorContains(t, err, name+`: "`+amount+`" is no amount above 0 and up to a billion, such as 2.50`)
		}
		for _, amount := range []string{"1", "2.50", "0.000000001", "1000000000", " 3 ", "1e2", "5 USD", "5 usd"} {
			_, err := read(t, name+"="+amount)
			require.NoError(t, err, amount)
		}
	}
	cfg, err := read(t, "R2V_BUDGET_PER_TASK=0.75", "R2V_BUDGET_PER_DAY=20")
	require.NoError(t, err)
	require.Equal(t, "0.75", cfg.perTask.String())
	require.Equal(t, "20", cfg.perDay.String())
}

func TestADatabaseAddressIsNeverRepeated(t *testing.T) {
	for _, address := range []string{
		"mysql://r2v:geheim@db/r2v", "r2v:geheim@db/r2v", "host=db password=geheim", "postgres//r2v:geheim@db",
		"postgres://r2v:geheim@db:port/r2v", "postgres://r2v:ge%heim@db/r2v", "postgres://r2v:geheim@[db/r2v", "postgres://r2v:geheim\x7f@db/r2v",
	} {
		_, err := read(t, "R2V_DATABASE_URL="+address)
		require.ErrorContains(t, err, "R2V_DATABASE_URL: it ", address)
		require.NotContains(t, err.Error(), "heim")
	}
	for _, address := range []string{"postgres://r2v:geheim@db:5432/r2v?sslmode=disable", "postgresql:///r2v?host=/run/postgresql"} {
		cfg, err := read(t, "R2V_DATABASE_URL="+address)
		require.NoError(t, err)
		require.Equal(t, address, cfg.Database)
	}
}

// What costs nothing must not stand between what was paid for, nor use its budget up.
func TestTheSimulatorHasADataFolderOfItsOwn(t *testing.T) {
	real, err := read(t)
	require.NoError(t, err)
	simulated, err := read(t, "DASHSCOPE_REGION=simulator")
	require.NoError(t, err)
	require.Equal(t, "r2v-mcp", filepath.Base(real.DataDir))
	require.Equal(t, filepath.Join("r2v-mcp", "simulated", "ledger.db"), lastOf(simulated.ledgerPath(), 3))
	require.Equal(t, filepath.Join("r2v-mcp", "simulated", "videos"), lastOf(simulated.SaveDir, 3))
	chosen := t.TempDir()
	for _, region := range []string{"simulator", "beijing"} {
		cfg, err := read(t, "DASHSCOPE_REGION="+region, "R2V_DATA_DIR="+chosen)
		require.NoError(t, err)
		require.Equal(t, chosen, cfg.DataDir, "who names a folder gets it")
	}
}

func lastOf(path string, n int) string {
	parts := strings.Split(path, string(filepath.Separator))
	return filepath.Join(parts[len(parts)-n:]...)
}

func TestWhatIsForTestsDoesNotStopTheStart(t *testing.T) {
	_, err := read(t, "R2V_TEST_POSTGRES_URL=postgres://localhost/postgres")
	require.NoError(t, err)
	_, err = read(t, "R2V_TESTS=1")
	require.ErrorContains(t, err, "R2V_TESTS is not a setting")
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

	require.NoError(t, os.WriteFile(file, []byte(`{"prices": [{"region": "evolink", "model": "wan2.7-r2v", "resolution": "720P", "per_second": "6.5"}]}`), 0o600))
	_, c, err = (&program{environ: []string{"R2V_PRICES_FILE=" + file}}).config(t.Context())
	require.NoError(t, err)
	require.Equal(t, "0.6", c.Price("beijing", c.Model("wan2.7-r2v"), "720P", nil).PerSecond.String(), "what a file of prices does not name stays")
	require.Equal(t, "6.5", c.For("evolink").Price("evolink", c.For("evolink").Model("wan2.7-r2v"), "720P", nil).PerSecond.String())

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

// One number for dollars and for credits would be a budget of sixty-eight times as much, or as little.
func TestABudgetMayNameTheOneCurrencyThatItIsIn(t *testing.T) {
	_, err := read(t, "R2V_BUDGET_PER_DAY=20 USD", "R2V_PROVIDER=evolink")
	require.ErrorContains(t, err, "R2V_BUDGET_PER_DAY: it is in USD, and this account pays in credits")
	_, err = read(t, "R2V_BUDGET_PER_PERSON=600 credits", "R2V_BUDGET_PER_TASK=60", "R2V_PROVIDER=evolink")
	require.NoError(t, err)
	_, err = read(t, "R2V_BUDGET_PER_TASK=2 USD", "DASHSCOPE_REGION=beijing")
	require.ErrorContains(t, err, "R2V_BUDGET_PER_TASK: it is in USD, and this account pays in CNY")
}

func TestTheProviderIsChosenByName(t *testing.T) {
	for _, tt := range []struct{ lines, want string }{
		{"R2V_PROVIDER=evolnk", `R2V_PROVIDER: "evolnk" is not one of dashscope, evolink`},
		{"R2V_PROVIDER=evolink DASHSCOPE_REGION=simulater", `DASHSCOPE_REGION: "simulater" is not one of`},
		{"R2V_PROVIDER=evolink EVOLINK_BASE_URL=http://relay.example", "EVOLINK_BASE_URL: "},
		{"R2V_PROVIDER=evolink EVOLINK_BASE_URL=https://relay.example DASHSCOPE_REGION=simulator", "simulator is on this machine"},
		{"R2V_PROVIDER=evolink EVOLINK_API_KEY=${KEY}", "EVOLINK_API_KEY: it holds blanks"},
	} {
		_, err := read(t, strings.Fields(tt.lines)...)
		require.ErrorContains(t, err, tt.want, tt.lines)
	}
	cfg, err := read(t, "R2V_PROVIDER=evolink", "DASHSCOPE_REGION=beijing", "DASHSCOPE_API_KEY=sk-1", "DASHSCOPE_HTTP_BASE_URL=https://dashscope.aliyuncs.com/api/v1")
	require.NoError(t, err, "settings of both may be there")
	require.Equal(t, []string{"evolink", "https://api.evolink.ai", ""}, []string{cfg.Region, cfg.BaseURL, cfg.APIKey})
	dashscope, err := read(t, "DASHSCOPE_HTTP_BASE_URL=https://gateway.example/api/v1")
	require.NoError(t, err)
	relay, err := read(t, "R2V_PROVIDER=evolink", "EVOLINK_BASE_URL=https://gateway.example")
	require.NoError(t, err)
	require.NotEqual(t, dashscope.upstream(), relay.upstream(), "behind one gateway each judges its own tasks")
}
