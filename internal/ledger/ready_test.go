//go:build unix

package ledger_test

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/postgrestest"
	"r2v-mcp/internal/video"
)

func adviceOf(t *testing.T, err error) string {
	t.Helper()
	known, ok := errors.AsType[*video.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "LedgerUnavailable", known.Code)
	return known.Message + ". " + known.Advice
}

func TestALedgerThatCannotBeMadeIsNotReady(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	path := filepath.Join(file, "data", "ledger.db") // nobody can make a folder in a file, not even root
	err := at(t, path).Ready(t.Context())
	require.Contains(t, adviceOf(t, err), path)
	require.Contains(t, adviceOf(t, err), "R2V_DATA_DIR")
	require.NotErrorIs(t, err, ledger.ErrDown)

	path = filepath.Join(t.TempDir(), "data", "ledger.db")
	l := at(t, path)
	require.NoError(t, l.Ready(t.Context()))
	require.FileExists(t, path)
	require.NoError(t, os.RemoveAll(filepath.Dir(path)))
	require.NoError(t, os.WriteFile(filepath.Dir(path), nil, 0o600))
	require.Error(t, l.Ready(t.Context()), "it is looked at again")
}

func TestWhatIsWrongWithADatabaseIsToldWithWhatToDo(t *testing.T) {
	good := postgrestest.Database(t)
	changed := func(change func(u *url.URL)) string {
		u, err := url.Parse(good)
		require.NoError(t, err)
		change(u)
		return u.String()
	}
	for name, tt := range map[string]struct {
		address string
		want    []string
		down    bool
	}{
		"no database of that name": {changed(func(u *url.URL) { u.Path = "/nowhere" }), []string{"there is no database of that name", "check R2V_DATABASE_URL"}, false},
		"no TLS":                   {changed(func(u *url.URL) { u.RawQuery = "" }), []string{"it speaks no TLS", "?sslmode=disable", "sslmode=require", "R2V_DATABASE_URL"}, false},
		"no address":               {"postgres://u:canary@[", []string{"Correct R2V_DATABASE_URL"}, false},
		"nobody there":             {"postgres://u:canary@127.0.0.1:1/r2v?sslmode=disable", []string{"it could not be reached", "check R2V_DATABASE_URL"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := ledger.New(ledger.Options{DatabaseURL: tt.address})
			t.Cleanup(func() { require.NoError(t, l.Close()) })
			err := l.Ready(t.Context())
			for _, want := range tt.want {
				require.Contains(t, adviceOf(t, err), want)
			}
			require.NotContains(t, adviceOf(t, err), "canary")
			require.Equal(t, tt.down, errors.Is(err, ledger.ErrDown))
		})
	}
}

func TestADatabaseThatComesUpLaterIsReadyThen(t *testing.T) {
	server := postgrestest.Start(t)
	l := ledger.New(ledger.Options{DatabaseURL: server.URL()})
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	server.Stop(t)
	require.ErrorIs(t, l.Ready(t.Context()), ledger.ErrDown)
	server.StartAgain(t)
	require.NoError(t, l.Ready(t.Context()))
}
