package main

import (
	"context"

	"r2v-mcp/internal/local"
	"r2v-mcp/internal/tracker"
	"r2v-mcp/internal/upload"
)

// clientRoots asks the client of a call for the folders that its user works in: see [serve.ClientRoots].
type clientRoots func(ctx context.Context) (folders []string, declared bool, err error)

// folders are those whose files a model may name: the operator's, else the client's, else the one that the program was started in.
func (c *Config) folders(roots clientRoots) func(context.Context) local.Folders {
	return func(ctx context.Context) local.Folders {
		if c.FileRoots != "" {
			return local.Folders{Roots: c.fileRoots, Home: c.home, None: "R2V_FILE_ROOTS is off"}
		}
		folders, declared, err := roots(ctx)
		switch {
		case err != nil:
			return local.Folders{Home: c.home, None: "the client did not say which folders its user works in"}
		case declared && len(folders) > 0: // many clients declare roots and have none
			usable, why := local.Usable(folders)
			return local.Folders{Roots: usable, Home: c.home, None: why}
		}
		working, why := local.WorkingFolder()
		if working == "" {
			return local.Folders{Home: c.home, None: why}
		}
		return local.Folders{Roots: []string{working}, Home: c.home}
	}
}

// newUploads brings files with the same provider that buys the clips.
func newUploads(t *tracker.Tracker) *upload.Uploads {
	return &upload.Uploads{Provider: t.Provider, Ledger: t.Ledger, Logger: t.Logger}
}
