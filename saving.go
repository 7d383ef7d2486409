package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"r2v-mcp/internal/clips"
	"r2v-mcp/internal/egress"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/video"
)

// SaveConfig is what the environment decides about clips that are saved to S3-like storage.
type SaveConfig struct {
	SaveURL         string `env:"R2V_SAVE_URL" desc:"s3://bucket/prefix?endpoint=https://host&region=name: saves clips there instead of in R2V_SAVE_DIR" shown:"none"`
	AccessKeyID     string `env:"AWS_ACCESS_KEY_ID" desc:"who may write there and read" shown:"none"`
	SecretAccessKey string `env:"AWS_SECRET_ACCESS_KEY" desc:"the secret of AWS_ACCESS_KEY_ID" shown:"none"`
	SessionToken    string `env:"AWS_SESSION_TOKEN" desc:"for credentials that end" shown:"none"`

	place clips.Place // SaveURL
}

// verifySave checks where clips are to go.
func (c *Config) verifySave(bad func(name, format string, args ...any)) {
	if c.SaveURL == "" {
		return
	}
	var err error
	if c.place, err = clips.ParseBucket(c.SaveURL, c.EgressAllow...); err != nil {
		bad("R2V_SAVE_URL", "%v", err)
	}
	if err := c.keys().Check(); err != nil {
		bad("R2V_SAVE_URL", "%v", err)
	}
}

func (c *Config) keys() clips.Keys {
	return clips.Keys{ID: c.AccessKeyID, Secret: c.SecretAccessKey, Session: c.SessionToken}
}

// store is where clips are kept.
type store interface {
	tracker.Saver
	Open(ctx context.Context, savedTo string) (io.ReadSeekCloser, time.Time, error)
}

// store is the one that the settings name, nil for none; clips come through the door.
func (c *Config) store(door *http.Client) (store, error) {
	switch {
	case c.SaveURL != "":
		storage, err := egress.NewClient(egress.Settings{Allow: append(c.EgressAllow, c.place.Host()), Proxy: c.EgressProxy, UserAgent: userAgent})
		if err != nil {
			return nil, fmt.Errorf("R2V_SAVE_URL: %w", err)
		}
		return &clips.Bucket{Place: c.place, Keys: c.keys(), Storage: storage, Client: door, Spool: filepath.Join(c.DataDir, "spool")}, nil
	case c.SaveDir != "off" && c.SaveDir != "":
		return clips.Folder{Dir: c.SaveDir, Client: door}, nil
	}
	return nil, nil //nolint:nilnil // nothing is saved
}

// clip opens the saved clip of a task.
func (l *life) clip(ctx context.Context, task *video.Task) (io.ReadSeekCloser, time.Time, error) {
	return l.store.Open(ctx, task.SavedTo)
}

// link gives an address of a saved clip: one of the storage that is signed, or of this server, if it is known under one. An error that is
// [fs.ErrNotExist] says that its file is gone; whether an object is, nobody asks the storage each time.
func (l *life) link(base string) func(context.Context, *video.Task) (string, time.Time, error) {
	return func(ctx context.Context, task *video.Task) (string, time.Time, error) {
		if task.SavedTo == "" {
			return "", time.Time{}, nil
		}
		switch kept := l.store.(type) {
		case *clips.Bucket:
			if base != "" || strings.HasPrefix(task.SavedTo, "s3://") {
				return kept.Link(ctx, task.SavedTo)
			}
		case clips.Folder:
			err := kept.Look(task.SavedTo)
			if errors.Is(err, fs.ErrNotExist) || base != "" && err != nil { // here a file of another folder is as good
				return "", time.Time{}, err
			}
			if base != "" {
				return base + "/clips/" + task.ID + ".mp4", time.Time{}, nil
			}
		}
		return "", time.Time{}, nil
	}
}

// base is the address of this server for links in answers, empty where clients are on this machine or it is not known.
func (c *Config) base(listens net.Addr) string {
	at, ok := listens.(*net.TCPAddr)
	switch {
	case c.PublicURL != "":
		return c.PublicURL
	case !c.guarded() || !ok || at.IP.IsUnspecified():
		return ""
	}
	return c.scheme() + "://" + at.String()
}

// scheme is how this process itself is spoken to.
func (c *Config) scheme() string {
	if c.TLSCert != "" {
		return "https"
	}
	return "http"
}
