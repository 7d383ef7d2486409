package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
}

func (p *program) simulateCommand() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use: "simulate", Short: "Run a DashScope on this machine that makes playable clips and charges nothing", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.simulate(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.addr, "addr", simulatorAddr, "`host:port` to listen on, loopback only")
	cmd.Flags().Float64Var(&f.speed, "speed", 1, "60 makes a minute a second")
	cmd.Flags().StringVar(&f.key, "key", "", "the only API `key` that is accepted; without it any is")
	cmd.Flags().BoolVar(&f.faults, "faults", false, "list what can be made to go wrong, and stop")
	return cmd
}

func (p *program) simulate(ctx context.Context, f simulateFlags) error {
	if f.faults {
		_, err := io.WriteString(p.stdout, faultsHelp())
		return err
	}
	if !(f.speed > 0) {
		return fmt.Errorf("--speed: %v is not above 0", f.speed)
	}
	sim, err := startSimulator(ctx, f.addr, simulator.Options{Speed: f.speed, APIKey: f.key})
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "simulated DashScope on %s, until interrupted; nothing is charged\n\n"+
		"DASHSCOPE_REGION=simulator\nDASHSCOPE_HTTP_BASE_URL=%s\nDASHSCOPE_API_KEY=%s\n", sim.base, sim.base, orElse(f.key, "anything"))
	<-ctx.Done()
	return sim.close()
}

type runningSimulator struct {
	base   string // the address that a client needs, ending in /api/v1
	server *http.Server
	served chan error
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
	s := &runningSimulator{
		base:   "http://" + listener.Addr().String() + "/api/v1",
		server: &http.Server{Handler: simulator.New(o), ReadHeaderTimeout: 10 * time.Second},
		served: make(chan error, 1),
	}
	go func() { s.served <- s.server.Serve(listener) }()
	return s, nil
}

func (s *runningSimulator) close() error {
	err := s.server.Close()
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		return served
	}
	return err
}

// faultsHelp lists what can be made to go wrong.
func faultsHelp() string {
	var b strings.Builder
	b.WriteString("Faults are ordered by a mark in the prompt, such as [[fault:throttled]] or [[fault:503 x2]], or with POST /control/faults:\n\n")
	for _, f := range simulator.Faults() {
		fmt.Fprintf(&b, "  %-24s %-8s %s\n", f.Name, f.On, f.Description)
	}
	return b.String()
}
