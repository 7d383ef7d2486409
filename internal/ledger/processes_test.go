package ledger_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/ledger"
	"r2v-mcp/internal/postgrestest"
	"r2v-mcp/internal/video"
)

// child says in the environment that this test binary is one of several processes on a ledger.
const child = "LEDGER_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		os.Exit(m.Run())
	}
	if err := serve(os.Stdin, os.Stdout); err != nil {
		panic(err)
	}
}

// job is what a child is to do: to claim keys on a ledger that it opens.
type job struct {
	Path, DatabaseURL, Budget string
	Keys                      []string
}

// result is how many of the keys a child has claimed, how many the budget refused, and what else went wrong.
type result struct {
	Claimed []string
	Refused int
	Failure string
}

func serve(in io.Reader, out io.Writer) error {
	jobs, results := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var j job
		if err := jobs.Decode(&j); err != nil {
			return nil //nolint:nilerr // the parent is done, or gone
		}
		if err := results.Encode(do(j)); err != nil {
			return err
		}
	}
}

func do(j job) (r result) {
	o := ledger.Options{Path: j.Path, DatabaseURL: j.DatabaseURL, Zone: time.UTC}
	if j.Budget != "" {
		budget := amount(j.Budget)
		o.BudgetPerDay = &budget
	}
	l := ledger.New(o)
	defer l.Close()
	for _, key := range j.Keys {
		_, claimed, err := l.Claim(context.Background(), order(key, key))
		for range 5 { // SQLite is not fair: on a busy machine somebody waits in vain, is told so, and asks again
			if !errors.Is(err, ledger.ErrDown) {
				break
			}
			_, claimed, err = l.Claim(context.Background(), order(key, key))
		}
		switch {
		case err != nil && code(err) == "DayBudgetExceeded":
			r.Refused++
		case err != nil:
			r.Failure = err.Error()
		case claimed:
			r.Claimed = append(r.Claimed, key)
		}
	}
	return r
}

// process is a child that waits for jobs.
type process struct {
	jobs    *json.Encoder
	results *json.Decoder
}

// processes starts children, which end with the test.
func processes(t *testing.T, n int) []process {
	var all []process
	for range n {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), child+"=1")
		command.Stderr = os.Stderr
		in, err := command.StdinPipe()
		require.NoError(t, err)
		out, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		t.Cleanup(func() {
			in.Close()
			require.NoError(t, command.Wait())
		})
		all = append(all, process{json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out))})
	}
	return all
}

// together has all processes do a job at once.
func together(t *testing.T, all []process, jobs func(i int) job) []result {
	for i, p := range all {
		require.NoError(t, p.jobs.Encode(jobs(i)))
	}
	results := make([]result, len(all))
	for i, p := range all {
		require.NoError(t, p.results.Decode(&results[i]))
		require.Empty(t, results[i].Failure)
	}
	return results
}

func onBoth(t *testing.T, test func(t *testing.T, open opener)) {
	t.Run("SQLite", func(t *testing.T) { test(t, onSQLite) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, onPostgreSQL(postgrestest.Database(t))) })
}

func TestManyProcessesStartAtOnceOnNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, open opener) {
		all := processes(t, 8)
		for range 10 {
			l := open(t, ledger.Options{})
			for i, r := range together(t, all, func(i int) job {
				return job{Path: l.Path, DatabaseURL: l.DatabaseURL, Keys: []string{strconv.Itoa(i)}}
			}) {
				require.Equal(t, []string{strconv.Itoa(i)}, r.Claimed)
			}
			require.Len(t, pages(t, l, video.Filter{Limit: 100}, nil), 8)
			require.NoError(t, l.Close())
		}
	})
}

func TestManyProcessesClaimTheSameKeysOnABudget(t *testing.T) {
	onBoth(t, func(t *testing.T, open opener) {
		l := open(t, ledger.Options{})
		defer l.Close()
		all := processes(t, 4)
		keys := make([]string, 200)
		for i := range keys {
			keys[i] = strconv.Itoa(i)
		}
		claims := map[string]int{}
		for _, r := range together(t, all, func(int) job {
			return job{Path: l.Path, DatabaseURL: l.DatabaseURL, Keys: keys, Budget: "40"} // a hundred clips of 0.4
		}) {
			require.Positive(t, r.Refused)
			for _, key := range r.Claimed {
				claims[key]++
			}
		}
		require.Len(t, claims, 100)
		for key, n := range claims {
			require.Equal(t, 1, n, key)
		}
		require.Equal(t, "0", left(t, perDay(t, l, "40", time.UTC), "USD"))
		require.Len(t, pages(t, l, video.Filter{Limit: 1000}, nil), 100)
	})
}

func TestADatabaseThatIsStricterByDefaultSpendsNothingTwice(t *testing.T) {
	for _, level := range []string{"repeatable read", "serializable"} {
		address, err := url.Parse(postgrestest.Database(t))
		require.NoError(t, err)
		q := address.Query()
		q.Set("default_transaction_isolation", level)
		address.RawQuery = q.Encode()
		l := perDay(t, ledger.New(ledger.Options{DatabaseURL: address.String()}), "1", time.UTC)
		var granted atomic.Int32
		var wait sync.WaitGroup
		for i := range 20 {
			wait.Go(func() {
				_, claimed, err := l.Claim(t.Context(), order(strconv.Itoa(i), ""))
				if claimed && err == nil {
					granted.Add(1)
				} else if code(err) != "DayBudgetExceeded" {
					t.Errorf("%s: %v", level, err)
				}
			})
		}
		wait.Wait()
		require.EqualValues(t, 2, granted.Load(), level)
	}
}

func TestADatabaseThatIsGoneForAWhile(t *testing.T) {
	server := postgrestest.Start(t)
	l := ledger.New(ledger.Options{DatabaseURL: server.URL()})
	defer l.Close()
	var committed []string
	var wait sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	claimed, refused := make(chan bool, 1), make(chan bool, 1)
	tell := func(news chan bool) {
		select {
		case news <- true:
		default:
		}
	}
	wait.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			task, ok, err := l.Claim(t.Context(), order(strconv.Itoa(i), strconv.Itoa(i)))
			switch {
			case ok && err == nil:
				committed = append(committed, task.ID)
				tell(claimed)
			case code(err) != "LedgerUnavailable":
				t.Errorf("claim %d: %v", i, err)
			default:
				tell(refused)
			}
		}
	})
	<-claimed
	server.Stop(t)
	<-refused
	refuses(t, l)
	_, err := l.Open(t.Context())
	require.Equal(t, "LedgerUnavailable", code(err))
	server.StartAgain(t)
	for len(claimed) > 0 {
		<-claimed
	}
	<-claimed // nobody has opened it by hand
	stop()
	wait.Wait()
	for _, id := range committed {
		_, err := l.Task(t.Context(), id)
		require.NoError(t, err, "what was committed is there")
	}
}
