package ledger_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/video"
)

// uploads is which files need not be sent again.
func uploads() map[string]func(t *testing.T, l *ledger.Ledger) {
	const model, sum, url = "wan2.7-r2v", "9f86d081", "oss://dashscope-instant/a.png"
	find := func(t *testing.T, l *ledger.Ledger) string {
		t.Helper()
		found, err := l.Uploaded(t.Context(), model, sum)
		require.NoError(t, err)
		return found
	}
	return map[string]func(t *testing.T, l *ledger.Ledger){
		"an uploaded file is known until an hour before it is gone": func(t *testing.T, l *ledger.Ledger) {
			require.Empty(t, find(t, l))
			require.NoError(t, l.KeepUpload(t.Context(), model, sum, url, time.Now().Add(47*time.Hour)))
			require.Equal(t, url, find(t, beside(t, l, nil)))
			pass(46*time.Hour - time.Second)
			require.Equal(t, url, find(t, l))
			pass(time.Second)
			require.Empty(t, find(t, l))
		},
		"an upload is for one content, one model, one account of one service": func(t *testing.T, l *ledger.Ledger) {
			require.NoError(t, l.KeepUpload(t.Context(), model, sum, url, time.Now().Add(47*time.Hour)))
			for _, other := range [][2]string{{"wan2.7-r2v-2026-06-12", sum}, {model, "2c26b46b"}} {
				found, err := l.Uploaded(t.Context(), other[0], other[1])
				require.NoError(t, err)
				require.Empty(t, found)
			}
			require.Empty(t, find(t, beside(t, l, func(o *ledger.Options) { o.Account = "another" })))
			require.Empty(t, find(t, beside(t, l, func(o *ledger.Options) { o.Upstream = "elsewhere" })))
		},
		"a file that was sent again is known by its new address": func(t *testing.T, l *ledger.Ledger) {
			require.NoError(t, l.KeepUpload(t.Context(), model, sum, url, time.Now().Add(time.Minute)))
			require.Empty(t, find(t, l))
			require.NoError(t, l.KeepUpload(t.Context(), model, sum, url+"2", time.Now().Add(47*time.Hour)))
			require.Equal(t, url+"2", find(t, l))
		},
		"a file of which a task has failed is sent again": func(t *testing.T, l *ledger.Ledger) {
			require.NoError(t, l.KeepUpload(t.Context(), model, sum, url, time.Now().Add(47*time.Hour)))
			o := order("Image 1 waves", "k")
			o.Request.References = []video.Reference{{URL: url, Kind: video.Image}}
			task, _, err := l.Claim(t.Context(), o)
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), task, &video.Error{Charged: video.NotCharged, Failure: video.Failure{Code: "Throttling.RateQuota"}})
			require.NoError(t, err)
			require.Equal(t, url, find(t, l), "nobody has tried to read it")
			task, _, err = l.Claim(t.Context(), o)
			require.NoError(t, err)
			require.Equal(t, url, find(t, l))
			_, err = l.NotBought(t.Context(), task, &video.Error{Charged: video.NotCharged, Failure: video.Failure{Code: "InvalidURL"}})
			require.NoError(t, err)
			require.Empty(t, find(t, l))
			again := "oss://dashscope-instant/b.png"
			require.NoError(t, l.KeepUpload(t.Context(), model, sum, again, time.Now().Add(47*time.Hour)))
			require.Equal(t, again, find(t, l))
			o.Request.References[0].URL = again
			task, _, err = l.Claim(t.Context(), o) // with its key, which bought nothing
			require.NoError(t, err)
			_, err = l.NotBought(t.Context(), task, &video.Error{Charged: video.NotCharged, Failure: video.Failure{Code: "InvalidURL"}})
			require.NoError(t, err)
			require.Empty(t, find(t, l))
		},
		"an upload of before the clock was set back is not trusted": func(t *testing.T, l *ledger.Ledger) {
			require.NoError(t, l.KeepUpload(t.Context(), model, sum, url, time.Now().Add(49*time.Hour)))
			require.Empty(t, find(t, l))
		},
		"dead uploads go with the next one": func(t *testing.T, l *ledger.Ledger) {
			for i := range 10 {
				require.NoError(t, l.KeepUpload(t.Context(), model, strconv.Itoa(i), url, time.Now().Add(47*time.Hour)))
			}
			pass(47 * time.Hour)
			require.NoError(t, l.KeepUpload(t.Context(), model, sum, url, time.Now().Add(47*time.Hour)))
			db := behind(t, l)
			defer db.Close()
			var kept int
			require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM r2v_upload").Scan(&kept))
			require.Equal(t, 1, kept)
		},
	}
}

// behind opens a ledger's database without the ledger.
func behind(t *testing.T, l *ledger.Ledger) *sql.DB {
	t.Helper()
	driver, source := "sqlite", l.Path
	if l.DatabaseURL != "" {
		driver, source = "postgres", l.DatabaseURL
	}
	db, err := sql.Open(driver, source)
	require.NoError(t, err)
	return db
}

// first is a ledger as the first release makes it: by its one migration, with a task.
func first(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	if l.DatabaseURL == "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(l.Path), 0o700))
	}
	db := behind(t, l)
	defer db.Close()
	tables, err := os.ReadFile("migrations/001.sql")
	require.NoError(t, err)
	for _, text := range []string{
		"CREATE TABLE r2v_ledger (version BIGINT NOT NULL)", "INSERT INTO r2v_ledger VALUES (1)", string(tables),
		`INSERT INTO r2v_task VALUES ('r2v-old', '', 'k', 'f', '', '', 'theirs', 0, 'wan2.7-r2v', '{"model":"wan2.7-r2v","prompt":"old","references":null}',
			'PENDING', '0.3', '0.4', '0.1', 'USD', '', 400000000, 946684800000000, 946684800000000, 0, 0, 0, '', '', '', '', '', '', 946684860000000, 2)`,
	} {
		_, err := db.ExecContext(t.Context(), text)
		require.NoError(t, err)
	}
}

// Whoever updates keeps every task, also when several of their processes start at once.
func TestALedgerOfTheFirstReleaseIsTakenOver(t *testing.T) {
	onBoth(t, func(t *testing.T, open opener) {
		all := processes(t, 4)
		for range 5 {
			l := open(t, ledger.Options{})
			first(t, l)
			for i, r := range together(t, all, func(i int) job {
				return job{Path: l.Path, DatabaseURL: l.DatabaseURL, Keys: []string{strconv.Itoa(i)}}
			}) {
				require.Equal(t, []string{strconv.Itoa(i)}, r.Claimed)
			}
			old, err := l.Task(t.Context(), "theirs")
			require.NoError(t, err)
			require.Equal(t, "r2v-old", old.ID)
			require.Equal(t, "old", old.Request.Prompt)
			require.Equal(t, "0.4", old.Estimate.High.String())
			require.Equal(t, video.Pending, old.Status)
			require.True(t, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Equal(old.CreatedAt))
			require.Len(t, pages(t, l, video.Filter{Limit: 100}, nil), 5)
			require.NoError(t, l.KeepUpload(t.Context(), "wan2.7-r2v", "9f86d081", "oss://a", time.Now().Add(47*time.Hour)))
			url, err := l.Uploaded(t.Context(), "wan2.7-r2v", "9f86d081")
			require.NoError(t, err)
			require.Equal(t, "oss://a", url)
			require.NoError(t, l.Close())
		}
	})
}
