//go:build unix

package ledger_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// at is a ledger in a file.
func at(t *testing.T, path string) *ledger.Ledger {
	l := ledger.New(ledger.Options{Path: path, Window: window})
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// raw opens the file behind the ledger's back.
func raw(t *testing.T, path string) *sql.DB {
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func execute(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), statement)
	require.NoError(t, err)
}

// filled makes a ledger of a few tasks, and closes it.
func filled(t *testing.T, path string) {
	l := ledger.New(ledger.Options{Path: path})
	for i := range 50 {
		bought(t, l, order(fmt.Sprintf("%d%0500d", i, i), fmt.Sprint(i)), fmt.Sprint(i))
	}
	require.NoError(t, l.Close())
}

func TestReadingMakesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "ledger.db")
	l := at(t, path)
	ctx := t.Context()
	for name, err := range map[string]error{
		"List":        second(l.List(ctx, video.Filter{Limit: 1})),
		"Open":        last(l.Open(ctx)),
		"InDoubt":     last(l.InDoubt(ctx)),
		"ToSave":      last(l.ToSave(ctx, true, 1)),
		"NextDue":     last(l.NextDue(ctx, true)),
		"DueAt":       last(l.DueAt(ctx, "sweep")),
		"Days":        last(l.Days(ctx, time.Now())),
		"Known":       last(l.Known(ctx, []string{"theirs"})),
		"Interrupted": last(l.Interrupted(ctx)),
		"Budget":      last(l.Budget(ctx, "", "USD")),
	} {
		require.NoError(t, err, name)
	}
	_, err := l.Task(ctx, "theirs")
	require.ErrorIs(t, err, ledger.ErrNotFound)
	require.NoDirExists(t, filepath.Dir(path))
}

func TestTheFilesAreTheUsersOwn(t *testing.T) {
	before := syscall.Umask(0o022) // as most people have it
	defer syscall.Umask(before)
	folder := t.TempDir()
	l := at(t, filepath.Join(folder, "ledger.db"))
	bought(t, l, order("a", ""), "theirs")
	files, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, files, 3, "with -wal and -shm")
	for _, file := range files {
		info, err := file.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file.Name())
	}
}

func TestNamesOfAllKinds(t *testing.T) {
	for _, name := range []string{"a?b", "a#b", "100%", "%20", "a b", "señor 参考", "a&mode=memory", "a;b", "'q\"", "a:b"} {
		path := filepath.Join(t.TempDir(), name, name+".db")
		l := ledger.New(ledger.Options{Path: path})
		task := bought(t, l, order("a", ""), "theirs")
		require.NoError(t, l.Close())
		require.FileExists(t, path)
		again, err := at(t, path).Task(t.Context(), "theirs")
		require.NoError(t, err)
		require.Equal(t, task.ID, again.ID)
	}
}

// Permissions do not bind root: a folder below a regular file, and a folder at the file's place, bind everybody.
func TestAPlaceThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("text"), 0o600))
	for _, path := range []string{filepath.Join(file, "ledger.db"), filepath.Join(file, "below", "ledger.db"), t.TempDir()} {
		failure := refuses(t, at(t, path))
		require.Contains(t, failure.Message, path)
		require.Contains(t, failure.Advice, "R2V_DATA_DIR")
	}
	if os.Getuid() != 0 {
		folder := t.TempDir()
		require.NoError(t, os.Chmod(folder, 0o500))
		require.Contains(t, refuses(t, at(t, filepath.Join(folder, "ledger.db"))).Message, "may not be written")
	}
	require.Contains(t, refuses(t, at(t, "")).Message, "R2V_DATA_DIR")
}

func TestWhatIsNoLedgerIsNotTouched(t *testing.T) {
	foreign := func(t *testing.T, path string) {
		execute(t, raw(t, path), "CREATE TABLE notes (text TEXT)")
	}
	for name, make := range map[string]func(t *testing.T, path string){
		"text":             func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, []byte("my notes"), 0o600)) },
		"somebody else's":  foreign,
		"a damaged header": func(t *testing.T, path string) { filled(t, path); overwrite(t, path, 0, 16) },
		"damaged pages":    func(t *testing.T, path string) { filled(t, path); overwrite(t, path, 4096, 1<<30) },
		"half of it":       func(t *testing.T, path string) { filled(t, path); require.NoError(t, os.Truncate(path, 20_000)) },
		"a version of -1": func(t *testing.T, path string) {
			filled(t, path)
			execute(t, raw(t, path), "UPDATE r2v_ledger SET version = -1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			make(t, path)
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			l := ledger.New(ledger.Options{Path: path})
			failure := refuses(t, l)
			require.Contains(t, failure.Message, "no ledger")
			require.Contains(t, failure.Advice, "Nothing was overwritten")
			require.NoError(t, l.Close())
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(before, after), "it is as it was")
		})
	}
}

// overwrite destroys a part of a file.
func overwrite(t *testing.T, path string, from, to int) {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := from; i < min(to, len(text)); i++ {
		text[i] = 0xa5
	}
	require.NoError(t, os.WriteFile(path, text, 0o600))
}

func TestANewerLedgerIsRefusedByName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	filled(t, path)
	db := raw(t, path)
	execute(t, db, "UPDATE r2v_ledger SET version = version + 99")
	l := at(t, path)
	failure := refuses(t, l)
	require.Contains(t, failure.Message, "newer r2v-mcp: version 1")
	require.Contains(t, failure.Advice, "Update")
	var version, tasks int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT version, (SELECT count(*) FROM r2v_task) FROM r2v_ledger").Scan(&version, &tasks))
	require.Greater(t, version, 99)
	require.Equal(t, 50, tasks)
	execute(t, db, "UPDATE r2v_ledger SET version = version - 99")
	bought(t, l, order("as usual again", ""), "theirs")
}

func TestALedgerWithoutItsTablesIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	filled(t, path)
	execute(t, raw(t, path), "DROP TABLE r2v_task")
	require.Contains(t, refuses(t, at(t, path)).Message, "tables are gone")
}

func TestALockedLedgerIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := at(t, path)
	bought(t, l, order("a", "a"), "theirs")
	db := raw(t, path)
	execute(t, db, "BEGIN EXCLUSIVE")
	released := make(chan error, 1)
	time.AfterFunc(300*time.Millisecond, func() {
		_, err := db.ExecContext(context.Background(), "ROLLBACK")
		released <- err
	})
	bought(t, l, order("b", "b"), "another")
	require.NoError(t, <-released)
}
