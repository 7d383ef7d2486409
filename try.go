package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/spf13/cobra"

	"r2v-mcp/internal/simulator"
	"r2v-mcp/internal/video"
)

type tryFlags struct {
	prompt, model, resolution string
	references                []string
	duration                  int
	live                      bool
}

func (p *program) tryCommand() *cobra.Command {
	var f tryFlags
	cmd := &cobra.Command{
		Use: "try", Short: "Make one clip as an assistant would: estimate, create, follow, save; simulated unless --live", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.try(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.prompt, "prompt", "", "what happens; references are Video 1, Image 1 (wan2.7) or character1 (wan2.6)")
	cmd.Flags().StringArrayVar(&f.references, "reference", nil, "`address` of an image or video; again for more")
	cmd.Flags().StringVar(&f.model, "model", "", "the model; without it the server's default")
	cmd.Flags().StringVar(&f.resolution, "resolution", "720P", "720P or 1080P")
	cmd.Flags().IntVar(&f.duration, "duration", 5, "length of the clip in seconds")
	cmd.Flags().BoolVar(&f.live, "live", false, "use the real service; asks before it spends")
	return cmd
}

// simulatedSpeed makes a minute a second.
const simulatedSpeed = 60

// trial is one run of the main job.
type trial struct {
	*program
	client *client.Client
	env    []string
	live   bool
}

func (p *program) try(ctx context.Context, f tryFlags) (err error) {
	t := &trial{program: p, live: f.live, env: p.environ}
	if t.live {
		if len(f.references) == 0 || f.prompt == "" {
			return errors.New("--live needs --prompt and at least one --reference that the service can read")
		}
		if !t.hasKey() {
			return errors.New("--live needs a key in " + t.keyName())
		}
	} else {
		sim, err := t.simulated(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = sim.close() }()
		if err := f.sample(sim.base); err != nil {
			return err
		}
	}
	if err := t.connect(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.client.Close()) }()
	return t.run(ctx, f.arguments())
}

// sample fills in a reference and a prompt that the simulator knows, where none were given.
func (f *tryFlags) sample(base string) error {
	c, err := video.BuiltIn()
	if err != nil {
		return err
	}
	if len(f.references) == 0 {
		f.references = []string{strings.TrimSuffix(base, "/api/v1") + "/samples/dancer-4s.mp4"}
	}
	if f.prompt == "" {
		f.prompt = f.subject(c) + " dances through a field of sunflowers at dawn"
	}
	return nil
}

// subject is what a prompt must call the first reference.
func (f *tryFlags) subject(c *video.Catalogue) string {
	m := c.Model(f.model)
	if m == nil {
		m = c.Model(c.DefaultModel)
	}
	ending := strings.TrimPrefix(strings.ToLower(path.Ext(f.references[0])), ".")
	switch {
	case m.Alias == video.AliasCharacter:
		return "character1"
	case slices.Contains(m.Media["image"].Formats, ending):
		return "Image 1"
	}
	return "Video 1"
}

func (f *tryFlags) arguments() map[string]any {
	var refs []map[string]any
	for _, address := range f.references {
		ref := map[string]any{"url": address}
		if strings.HasSuffix(address, "/samples/dancer-4s.mp4") {
			ref["duration_seconds"] = 4
		}
		refs = append(refs, ref)
	}
	return map[string]any{
		"model": f.model, "resolution": f.resolution, "duration": f.duration, "prompt": f.prompt, "references": refs,
	}
}

// simulated starts a simulator and points the server at it, whatever the environment says.
func (t *trial) simulated(ctx context.Context) (*runningSimulator, error) {
	const key = "sk-simulated"
	o := simulator.Options{Provider: t.provider(), Speed: simulatedSpeed, APIKey: key}
	sim, err := startSimulator(ctx, net.JoinHostPort("127.0.0.1", "0"), o)
	if err != nil {
		return nil, err
	}
	t.env = append(append(apart(t.env), sim.environment(key)...), "R2V_POLL_INTERVAL=500ms", "R2V_LOG_LEVEL=warn")
	if t.hasKey() {
		fmt.Fprintln(t.stdout, "Using the built-in simulator, where a minute takes a second; --live uses your key and real money.")
	} else {
		fmt.Fprintln(t.stdout, "No "+t.keyName()+" is set: using the built-in simulator, where a minute takes a second. Nothing is charged.")
	}
	return sim, nil
}

// apart is an environment without what is for real tasks: the key, the ledger and the budgets. Clips that cost nothing have a
// ledger of their own.
func apart(environ []string) []string {
	var out []string
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(name, "DASHSCOPE_"), strings.HasPrefix(name, "EVOLINK_"), strings.HasPrefix(name, "R2V_BUDGET_"), name == "R2V_DATABASE_URL":
		case name == "R2V_DATA_DIR" && strings.TrimSpace(value) != "":
			out = append(out, name+"="+filepath.Join(strings.TrimSpace(value), simulatedDir))
		default:
			out = append(out, line)
		}
	}
	return out
}

func (t *trial) hasKey() bool {
	return slices.ContainsFunc(t.environ, func(line string) bool {
		return strings.HasPrefix(line, t.keyName()+"=") && !strings.HasSuffix(line, "=")
	})
}

// provider is whom the server will buy from. What it is not, the server will say.
func (p *program) provider() string {
	if p.setting("R2V_PROVIDER") == simulator.EvoLink {
		return simulator.EvoLink
	}
	return simulator.DashScope
}

func (p *program) keyName() string {
	if p.provider() == simulator.EvoLink {
		return "EVOLINK_API_KEY"
	}
	return "DASHSCOPE_API_KEY"
}

// connect starts the server as an assistant does: a second process of this program, over stdio.
func (t *trial) connect(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	exactly := func(ctx context.Context, command string, env, args []string) (*exec.Cmd, error) {
		// Killing the server could kill a purchase half way: it ends by itself when its stdin is closed.
		cmd := exec.CommandContext(context.WithoutCancel(ctx), command, args...)
		cmd.Env, cmd.Stderr = env, t.stderr
		return cmd, nil
	}
	t.client = client.NewClient(transport.NewStdioWithOptions(self, t.env, []string{"stdio"}, transport.WithCommandFunc(exactly)))
	if err := t.client.Start(ctx); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	return t.greet(ctx)
}

func (t *trial) greet(ctx context.Context) error {
	var hello mcp.InitializeRequest
	hello.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	hello.Params.ClientInfo = mcp.Implementation{Name: "r2v-mcp try", Version: version}
	if _, err := t.client.Initialize(ctx, hello); err != nil {
		return errors.Join(fmt.Errorf("the server did not answer; its own words are above: %w", err), t.client.Close())
	}
	return nil
}
