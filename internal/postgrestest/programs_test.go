package postgrestest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// install puts empty programs into a folder.
func install(t *testing.T, folder string, programs ...string) string {
	require.NoError(t, os.MkdirAll(folder, 0o755))
	for _, program := range programs {
		require.NoError(t, os.WriteFile(filepath.Join(folder, program), []byte("#!/bin/sh\n"), 0o755))
	}
	return folder
}

func TestTheNewestCompleteVersionIsTaken(t *testing.T) {
	all := []string{"initdb", "pg_ctl", "postgres"}
	root := t.TempDir()
	debian := filepath.Join(root, "*", "bin")
	homebrew := filepath.Join(root, "homebrew", "postgresql*", "bin")
	install(t, filepath.Join(root, "homebrew", "postgresql@18", "bin"), all...)

	for _, step := range []struct {
		installed string
		programs  []string
		newest    string
	}{
		{"9.6", all, "9.6"},
		{"15", all, "15"},
		{"9.5", all, "15"},
		{"17", []string{"pg_ctl", "postgres"}, "15"}, // clients and a part of a server
		{"17", all, "17"},
	} {
		install(t, filepath.Join(root, step.installed, "bin"), step.programs...)
		folder, err := newest(debian, homebrew)
		require.NoError(t, err)
		require.Equal(t, filepath.Join(root, step.newest, "bin"), folder)
	}

	folder, err := newest(filepath.Join(root, "none", "*"), homebrew)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "homebrew", "postgresql@18", "bin"), folder)
	_, err = newest(filepath.Join(root, "none", "*"))
	require.ErrorIs(t, err, errNone)
}

func TestWhatIsInPATHGoesFirst(t *testing.T) {
	if !supported {
		t.Skip("servers are not started here")
	}
	real := install(t, filepath.Join(t.TempDir(), "real"), "initdb", "pg_ctl", "postgres")
	real, err := filepath.EvalSymlinks(real)
	require.NoError(t, err)
	linked := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(real, "initdb"), filepath.Join(linked, "initdb")))
	t.Setenv("PATH", linked)
	folder, err := programs()
	require.NoError(t, err)
	require.Equal(t, real, folder)
}
