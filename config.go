package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"
	"github.com/shopspring/decimal"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/local"
	"r2v-mcp/internal/video"
)

// Config is all that the environment decides, read once and checked.
type Config struct {
	Provider        string        `env:"R2V_PROVIDER, default=dashscope" desc:"who makes the clips: dashscope, or evolink, a relay to the same models"`
	APIKey          string        `env:"DASHSCOPE_API_KEY" desc:"the Model Studio key; without it only estimates work"`
	Region          string        `env:"DASHSCOPE_REGION, default=singapore" desc:"the key's region: singapore, virginia, beijing; simulator for the built-in one"`
	BaseURL         string        `env:"DASHSCOPE_HTTP_BASE_URL" desc:"full base ending in /api/v1, for workspace hosts and gateways" shown:"by region"`
	Workspace       string        `env:"DASHSCOPE_WORKSPACE_ID" desc:"sent as X-DashScope-WorkSpace"`
	DataDir         string        `env:"R2V_DATA_DIR" desc:"what the program keeps" shown:"the user's data folder + /r2v-mcp"`
	SaveDir         string        `env:"R2V_SAVE_DIR" desc:"where clips are saved; off saves none" shown:"videos in R2V_DATA_DIR"`
	Database        string        `env:"R2V_DATABASE_URL" desc:"postgres://… for several machines; must be kept secret" shown:"SQLite in R2V_DATA_DIR"`
	BudgetPerTask   string        `env:"R2V_BUDGET_PER_TASK" desc:"refuse a clip that may cost more, in the account's currency; with its name, as in 20 USD, no other is taken" shown:"none"`
	BudgetPerDay    string        `env:"R2V_BUDGET_PER_DAY" desc:"refuse a clip that may cost more than a day has left, from this process's own midnight, with what all processes of the ledger spend" shown:"none"`
	DuplicateWindow time.Duration `env:"R2V_DUPLICATE_WINDOW, default=10m" desc:"the same request within it is not bought again"`
	MaxWait         time.Duration `env:"R2V_MAX_WAIT, default=50s" desc:"how long get_task (wait_seconds) and generate_r2v (at most 40 s) hold a call"`
	PollInterval    time.Duration `env:"R2V_POLL_INTERVAL, default=15s" desc:"how often an open task is looked at upstream"`
	EgressAllow     []string      `env:"R2V_EGRESS_ALLOW" desc:"CIDR prefixes or hosts that may be reached although not public, separated by commas" shown:"none"`
	EgressProxy     string        `env:"R2V_EGRESS_PROXY" desc:"http://, https:// or socks5:// proxy to foreign addresses; the usual proxy variables are not read" shown:"none"`
	FileRoots       string        `env:"R2V_FILE_ROOTS" desc:"folders whose files may be references, separated as in PATH; off for none" shown:"the client's roots, else the working folder"`
	PricesFile      string        `env:"R2V_PRICES_FILE" desc:"prices to use instead, or a whole catalogue of models and prices" shown:"built in"`
	LogLevel        string        `env:"R2V_LOG_LEVEL, default=info" desc:"debug, info, warn or error; logs go to stderr"`

	EvoLinkConfig
	HTTPConfig
	SaveConfig
	CallbackConfig

	perTask, perDay *decimal.Decimal // the budgets, nil for none
	fileRoots       []string         // FileRoots
	home            string           // the user's folder, empty where nobody is at home
	level           slog.Level       // LogLevel
}

// simulatedDir is where the simulator's tasks and clips are, below the folder for real ones.
const simulatedDir = "simulated"

// config reads the environment and the catalogue that it names. It refuses what it does not understand and names the
// variable: a budget with a spelling mistake in its name must not pass for no budget.
func (p *program) config(ctx context.Context) (*Config, *video.Catalogue, error) {
	env := map[string]string{}
	for _, line := range p.environ {
		if key, value, _ := strings.Cut(line, "="); strings.TrimSpace(value) != "" {
			if runtime.GOOS == "windows" {
				key = strings.ToUpper(key)
			}
			env[key] = strings.TrimSpace(value) // clients pass "" for what their user left open
		}
	}
	if err := refuseUnknown(env); err != nil {
		return nil, nil, err
	}
	cfg := &Config{}
	if err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: cfg, Lookuper: envconfig.MapLookuper(env)}); err != nil {
		return nil, nil, byVariable(err)
	}
	catalogue, err := cfg.catalogue()
	if err != nil {
		return nil, nil, err
	}
	cfg.fill(env)
	if part := catalogue.For(cfg.Provider); part != nil {
		catalogue = part
	} else if slices.Contains(providers(), cfg.Provider) {
		return nil, nil, fmt.Errorf("R2V_PRICES_FILE: %s has no model of %s", cfg.PricesFile, cfg.Provider)
	}
	return cfg, catalogue, cfg.verify(catalogue)
}

// catalogue is the built-in one, with the operator's prices where they give some, or the operator's own.
func (c *Config) catalogue() (*video.Catalogue, error) {
	if c.PricesFile == "" {
		return video.BuiltIn()
	}
	data, err := os.ReadFile(c.PricesFile)
	if err != nil {
		return nil, fmt.Errorf("R2V_PRICES_FILE: %w", err)
	}
	catalogue, err := video.ParseOperators(data)
	if err != nil {
		return nil, fmt.Errorf("R2V_PRICES_FILE: %s: %w", c.PricesFile, err)
	}
	return catalogue, nil
}

// fill works out the settings that depend on others. Where no folder for user data is known, SaveDir stays empty: a server
// that only lists its tools needs none.
func (c *Config) fill(env map[string]string) {
	if c.Provider == viaEvoLink {
		c.fillEvoLink()
	} else {
		c.fillDashScope(env)
	}
	if c.home = env["HOME"]; runtime.GOOS == "windows" {
		c.home = env["USERPROFILE"]
	}
	if c.DataDir == "" {
		if c.DataDir = userDataDir(env); c.DataDir != "" && c.isSimulated() {
			c.DataDir = filepath.Join(c.DataDir, simulatedDir) // its clips cost nothing, and no budget
		}
	}
	if c.SaveDir == "" && c.DataDir != "" {
		c.SaveDir = filepath.Join(c.DataDir, "videos")
	}
}

// ledgerPath is the file of the ledger, empty where no folder for user data is known.
func (c *Config) ledgerPath() string {
	if c.DataDir == "" {
		return ""
	}
	return filepath.Join(c.DataDir, "ledger.db")
}

// ledgerName says where the ledger is, without a password.
func (c *Config) ledgerName() string {
	if c.Database != "" {
		return "PostgreSQL"
	}
	return c.ledgerPath()
}

// serviceHost is the host of the service without its port.
func (c *Config) serviceHost() string {
	u, err := url.Parse(c.BaseURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// account tells the accounts of a service apart without telling the key: 64 bits of its hash.
func (c *Config) account() string {
	sum := sha256.Sum256([]byte("r2v-mcp account\n" + c.Workspace + "\n" + c.APIKey))
	return hex.EncodeToString(sum[:8])
}

func (c *Config) verify(catalogue *video.Catalogue) error {
	var errs []error
	bad := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf(name+": "+format, args...))
	}
	c.verifyProvider(catalogue, bad)
	c.verifyReach(bad)
	c.verifyHTTP(bad)
	c.verifySave(bad)
	c.verifyCallbacks(bad)
	currency := ""
	if region := catalogue.Region(c.Region); region != nil {
		currency = region.Currency
	}
	for name, b := range map[string]struct {
		text string
		into **decimal.Decimal
	}{"R2V_BUDGET_PER_TASK": {c.BudgetPerTask, &c.perTask}, "R2V_BUDGET_PER_DAY": {c.BudgetPerDay, &c.perDay}, "R2V_BUDGET_PER_PERSON": {c.BudgetPerPerson, &c.perPerson}} {
		if err := amount(b.text, currency, b.into); err != nil {
			bad(name, "%v", err)
		}
	}
	if c.Database != "" && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		bad("R2V_DATABASE_URL", "it does not begin with postgres://")
	} else if _, err := url.Parse(c.Database); err != nil { // whose words would repeat the password
		bad("R2V_DATABASE_URL", "it cannot be read; it looks like postgres://user:password@host:5432/database")
	}
	within := func(name string, d, low, high time.Duration) {
		if d < low || d > high {
			bad(name, "%s is not between %s and %s", d, low, high)
		}
	}
	within("R2V_DUPLICATE_WINDOW", c.DuplicateWindow, 0, 24*time.Hour)
	within("R2V_MAX_WAIT", c.MaxWait, time.Second, time.Hour)
	within("R2V_POLL_INTERVAL", c.PollInterval, 100*time.Millisecond, 10*time.Minute)
	switch {
	case c.DataDir != "" && !filepath.IsAbs(c.DataDir):
		bad("R2V_DATA_DIR", "%q is no absolute path", c.DataDir)
	case c.SaveDir == "" && c.APIKey != "":
		bad("R2V_SAVE_DIR", "no folder for user data is known here: set it or R2V_DATA_DIR to an absolute path, or to off")
	case c.SaveDir != "" && c.SaveDir != "off" && !filepath.IsAbs(c.SaveDir):
		bad("R2V_SAVE_DIR", "%q is neither off nor an absolute path", c.SaveDir)
	}
	if err := c.level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		bad("R2V_LOG_LEVEL", "%q is not one of debug, info, warn, error", c.LogLevel)
	}
	return errors.Join(errs...)
}

// verifyReach checks which addresses and files may be reached.
func (c *Config) verifyReach(bad func(name, format string, args ...any)) {
	if _, err := egress.NewClient(egress.Settings{Allow: c.egressAllow()}); err != nil {
		bad("R2V_EGRESS_ALLOW", "%v", err)
	}
	if _, err := egress.NewClient(egress.Settings{Proxy: c.EgressProxy}); err != nil {
		bad("R2V_EGRESS_PROXY", "%v", err)
	}
	var err error
	if c.fileRoots, err = local.Roots(c.FileRoots, c.home); err != nil {
		bad("R2V_FILE_ROOTS", "%v", err)
	}
}

// amount reads an amount of money in the account's currency, which may be named after it; nothing for an empty text.
func amount(text, currency string, into **decimal.Decimal) error {
	if text == "" {
		return nil
	}
	if number, named, found := strings.Cut(text, " "); found {
		if named = strings.TrimSpace(named); !strings.EqualFold(named, currency) {
			return fmt.Errorf("it is in %s, and this account pays in %s", named, currency)
		}
		text = number
	}
	d, err := decimal.NewFromString(text)
	const digits = 9 // of exponent: more is nobody's budget, and costs memory to add
	if err != nil || !d.IsPositive() || d.Exponent() > digits || d.Exponent() < -digits || d.GreaterThan(decimal.New(1, digits)) {
		return fmt.Errorf("%q is no amount above 0 and up to a billion, such as 2.50", text)
	}
	*into = &d
	return nil
}

// egressAllow is what may be reached although it is not public: the operator's list, and a service on this machine.
func (c *Config) egressAllow() []string {
	u, err := url.Parse(c.BaseURL)
	if err != nil {
		return c.EgressAllow
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback()) {
		return append(slices.Clone(c.EgressAllow), u.Host)
	}
	return c.EgressAllow
}

// userDataDir is where the operating system wants a user's data, empty where nobody is at home. os has only folders for
// settings and for caches, and the usual library reads a file at every start.
func userDataDir(env map[string]string) string {
	below := func(home string, inside ...string) string {
		if !filepath.IsAbs(home) {
			return ""
		}
		return filepath.Join(append([]string{home}, inside...)...)
	}
	switch runtime.GOOS {
	case "windows":
		return below(env["LOCALAPPDATA"], "r2v-mcp")
	case "darwin":
		return below(env["HOME"], "Library", "Application Support", "r2v-mcp")
	}
	if dir := below(env["XDG_DATA_HOME"], "r2v-mcp"); dir != "" {
		return dir
	}
	return below(env["HOME"], ".local", "share", "r2v-mcp")
}
