package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"r2v-mcp/internal/video"
)

func (p *program) trackCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use: "track", Short: "Follow every open task of the ledger to its end and save its clip", Args: cobra.NoArgs,
		Long: "Follow every open task of the ledger until none is open and every finished clip is saved, beside any server that runs.\n" +
			"It ends with 0 when all is well, with 2 when a task failed, was lost or could not be saved, and with 1 when it could not run\n" +
			"or was interrupted.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch {
				return p.watch(cmd.Context())
			}
			return p.track(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "run until a signal comes, and log: for a service manager")
	return cmd
}

// watch follows whatever is and becomes open until ctx ends.
func (p *program) watch(ctx context.Context) error {
	cfg, catalogue, err := p.config(ctx)
	if err != nil {
		return err
	}
	l, err := newLife(cfg, catalogue, p.logTo(cfg.level), nil)
	if err != nil {
		return err
	}
	if !l.hasKey {
		_, err := l.tasks.Provider.Look(ctx, "")
		return advised(err)
	}
	defer l.close()
	l.toolbox(cfg, catalogue) // in whose words ends are told
	l.logger.InfoContext(ctx, "following the ledger's tasks", "ledger", cfg.ledgerName())
	l.tasks.Run(ctx)
	l.logger.InfoContext(context.WithoutCancel(ctx), "asked to stop")
	return nil
}

func (p *program) track(ctx context.Context) error {
	cfg, catalogue, err := p.config(ctx)
	if err != nil {
		return err
	}
	v := newView(p.stdout)
	logger := p.logTo(max(cfg.level, slog.LevelWarn)) // the rest is shown
	if v.bar != nil {
		logger = slog.New(slog.DiscardHandler) // its lines would tear the bar
	}
	l, err := newLife(cfg, catalogue, logger, nil)
	if err != nil {
		return err
	}
	l.toolbox(cfg, catalogue) // in whose words ends are told
	f := &following{follower: l.tasks, view: v, patience: max(4*cfg.PollInterval, 3*time.Second)}
	if err := f.begin(ctx); err != nil {
		return errors.Join(advised(err), l.tasks.Ledger.Close())
	}
	if f.open() > 0 && !l.hasKey {
		_, err := l.tasks.Provider.Look(ctx, "")
		return errors.Join(fmt.Errorf("%d of the ledger's tasks are open, and cannot be followed: %w", f.open(), advised(err)), l.tasks.Ledger.Close())
	}
	stop := l.follow(ctx)
	err = f.run(ctx)
	if ctx.Err() != nil { // at once: what is being saved goes on with the next process
		return err
	}
	stop()
	l.close()
	return err
}

// interval is how often the ledger is looked at.
const interval = 250 * time.Millisecond

// run shows how tasks go on until there is nothing more to wait for.
func (f *following) run(ctx context.Context) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for f.open() > 0 {
		select {
		case <-ctx.Done():
			f.view.clear()
			return f.interrupted()
		case <-tick.C:
		}
		err := f.look(ctx)
		if err == nil {
			err = f.shutOut()
		}
		if err != nil && ctx.Err() == nil {
			f.view.clear()
			return advised(err)
		}
		f.show()
	}
	f.view.clear()
	return f.outcome()
}

// interrupted says what is still open.
func (f *following) interrupted() error {
	text := "interrupted; still open:"
	for _, t := range f.tasks {
		if f.unfinished(t) {
			text += "\n" + t.ID + "  " + f.state(t)
			if t.ProviderTaskID != "" { // else the service may never have heard of it
				text += ", forgotten by the service at " + t.ExpiresAt().Local().Format(time.DateTime)
			}
		}
	}
	return errors.New(text + "\nA server, or r2v-mcp track, goes on with them.")
}

// outcome is nil when all that was followed is well, or else says what is not and what to do about it.
func (f *following) outcome() error {
	saved, text := 0, ""
	for _, t := range f.tasks {
		if words := f.lost(t); words != "" {
			text += "\n" + t.ID + "  " + plain(words)
		} else if t.SavedTo != "" {
			saved++
		}
	}
	if text == "" {
		f.view.line(fmt.Sprintf("Nothing is open; %d saved now.", saved))
		return nil
	}
	return exit{2, errors.New("not all is well:" + text)}
}

// lost says what went wrong with a task that is not followed any more, and what to do; nothing when it went well.
func (f *following) lost(t *followed) string {
	console := "look at the bill in " + f.follower.Provider.Words().Console + " before you buy it again"
	switch {
	case t.elsewhere:
		return "is " + string(t.Status) + " at another service or region than this: run track with the settings that it was bought with"
	case t.Status == video.Failed && t.Failure != nil:
		return "FAILED: " + strings.TrimSuffix(failed(t.Failure), ".") + ". " + orElse(t.Failure.Advice, "Nothing was charged.")
	case t.Status == video.Failed:
		return "FAILED. Nothing was charged."
	case t.Status == video.Unknown:
		return "was lost: nobody knows what became of it; " + console
	case t.Status.Open():
		return "is still " + string(t.Status) + " for all that is known, and older than the service remembers; " + console
	case t.Linkless():
		return "is made and paid for, but the service has sent no link yet: run track again, before " + t.ExpiresAt().Local().Format(time.DateTime)
	case t.Status == video.Succeeded && t.SavedTo == "" && f.follower.Saver != nil:
		return "is made and paid for, but could not be saved: " + orElse(t.SaveError, "nobody did") + ". Mend that and run track again, before its link dies at " +
			t.VideoURLExpiresAt().Local().Format(time.DateTime) + "; r2v-mcp tasks --json shows the link"
	}
	return ""
}
