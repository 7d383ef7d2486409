package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/simulator"
)

// simulatorAddr is where the simulator listens, and where the region "simulator" looks for it.
const simulatorAddr = "127.0.0.1:8790"

type simulateFlags struct {
	addr   string
	speed  float64
	key    string
	faults bool

	provider        string
	callbacksInside bool
}

func (p *program) simulateCommand() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use: "simulate", Short: "Run a DashScope or an EvoLink on this machine that makes playable clips and charges nothing", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.simulate(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.provider, "provider", orElse(p.setting("R2V_PROVIDER"), simulator.DashScope), "whose API it speaks: dashscope or evolink")
	cmd.Flags().BoolVar(&f.callbacksInside, "callbacks-inside", false, "evolink: call back internal addresses too, for a server on this machine")
	cmd.Flags().StringVar(&f.addr, "addr", simulatorAddr, "`host:port` to listen on, loopback only")
	cmd.Flags().Float64Var(&f.speed, "speed", 1, "60 makes a minute a second")
	cmd.Flags().StringVar(&f.key, "key", "", "the only API `key` that is accepted; without it any is")
	cmd.Flags().BoolVar(&f.faults, "faults", false, "list what can be made to go wrong, and stop")
	return cmd
}

func (p *program) simulate(ctx context.Context, f simulateFlags) error {
	if f.provider != simulator.DashScope && f.provider != simulator.EvoLink {
		return fmt.Errorf("--provider: %q is not one of dashscope, evolink", f.provider)
	}
	if f.faults {
		_, err := io.WriteString(p.stdout, faultsHelp(f.provider))
		return err
	}
	if !(f.speed > 0) {
		return fmt.Errorf("--speed: %v is not above 0", f.speed)
	}
	o := simulator.Options{Provider: f.provider, Speed: f.speed, APIKey: f.key}
	if f.callbacksInside {
		var err error
		if o.CallbackClient, err = egress.NewClient(egress.Settings{Allow: insideAddresses()}); err != nil {
			return err
		}
	}
	sim, err := startSimulator(ctx, f.addr, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "simulated %s on %s, until interrupted; nothing is charged\n\n%s\n",
		serviceName(f.provider), sim.base, strings.Join(sim.environment(orElse(f.key, "anything")), "\n"))
	<-ctx.Done()
	return sim.close()
}

// setting is what the environment says, empty where it says nothing.
func (p *program) setting(name string) string {
	for _, line := range slices.Backward(p.environ) { // the last one counts, as for every program
		if key, value, _ := strings.Cut(line, "="); key == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func serviceName(provider string) string {
	if provider == simulator.EvoLink {
		return "EvoLink"
	}
	return "DashScope"
}

func insideAddresses() []string {
	return []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"}
}

type runningSimulator struct {
	provider string
	base     string // the address that a client needs, which of a DashScope ends in /api/v1
	service  *simulator.Server
	server   *http.Server
	served   chan error
}

// environment are the variables that point the program at it.
func (s *runningSimulator) environment(key string) []string {
	if s.provider == simulator.EvoLink {
		return []string{"R2V_PROVIDER=evolink", "DASHSCOPE_REGION=simulator", "EVOLINK_BASE_URL=" + s.base, "EVOLINK_API_KEY=" + key}
	}
	return []string{"DASHSCOPE_REGION=simulator", "DASHSCOPE_HTTP_BASE_URL=" + s.base, "DASHSCOPE_API_KEY=" + key}
}

// startSimulator listens on loopback; the simulator has no protection that would suit any other place.
func startSimulator(ctx context.Context, addr string, o simulator.Options) (*runningSimulator, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--addr: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--addr: %s is not a loopback address; use 127.0.0.1, [::1] or localhost", addr)
	}
	o.Client, err = egress.NewClient(egress.Settings{Allow: []string{"127.0.0.0/8", "::1/128"}}) // what is served beside it is read as well
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--addr: %w", err)
	}
	service := simulator.New(o)
	s := &runningSimulator{
		provider: o.Provider,
		base:     "http://" + listener.Addr().String(),
		service:  service,
		server:   &http.Server{Handler: service, ReadHeaderTimeout: 10 * time.Second},
		served:   make(chan error, 1),
	}
	if o.Provider != simulator.EvoLink {
		s.base += "/api/v1"
	}
	go func() { s.served <- s.server.Serve(listener) }()
	return s, nil
}

func (s *runningSimulator) close() error {
	err := s.server.Close()
	s.service.Close()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		return served
	}
	return err
}

// faultsHelp lists what can be made to go wrong.
func faultsHelp(provider string) string {
	var b strings.Builder
	b.WriteString("Faults are ordered by a mark in the prompt, such as [[fault:throttled]] or [[fault:503 x2]], or with POST /control/faults:\n\n")
	for _, f := range simulator.FaultsOf(provider) {
		fmt.Fprintf(&b, "  %-24s %-8s %s\n", f.Name, f.On, f.Description)
	}
	return b.String()
}
