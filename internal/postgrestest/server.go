package postgrestest

import (
	"bufio"
	"context"
	"crypto/rand"
	_ "embed" // the watcher's text
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

//go:embed watcher.sh
var watcher string

// Server is a PostgreSQL server of one test, which may stop it. Its methods are for one goroutine at a time, the test's.
type Server struct {
	folder  string
	url     string
	watcher *exec.Cmd
	orders  io.WriteCloser // its end, also by the end of this process, ends the server
	answers *bufio.Reader
}

// Start starts a server with its own data and port, which is stopped and removed at the test's end. It writes to disk before
// it reports a commit, as a server in production does. Without PostgreSQL's programs on this machine it skips the test, or
// fails it where CI is set: R2V_TEST_POSTGRES_URL is no help, since that server is not ours to stop.
func Start(tb testing.TB) *Server {
	tb.Helper()
	server, err := launch("")
	if err != nil {
		giveUp(tb, err)
	}
	tb.Cleanup(func() {
		if err := server.close(); err != nil {
			tb.Errorf("the end of the test's PostgreSQL: %v", err)
		}
	})
	return server
}

// URL returns the postgres:// address of the server's one database, empty when the server is new, with all rights. It stays
// the same over restarts.
func (s *Server) URL() string { return s.url }

// Restart stops the server as a crash would and starts it again, on the same port and with the same data. It returns when
// the server has recovered and takes connections.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	s.Stop(tb)
	s.StartAgain(tb)
}

// Stop ends the server at once, as a crash would: connections break, and what was not committed is lost.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	s.must(tb, "stop")
}

// StartAgain starts a server after Stop. It returns when the server has recovered and takes connections.
func (s *Server) StartAgain(tb testing.TB) {
	tb.Helper()
	s.must(tb, "start")
}

func (s *Server) must(tb testing.TB, order string) {
	tb.Helper()
	if err := s.do(order); err != nil {
		tb.Fatalf("the test's PostgreSQL: %v", err)
	}
}

// launch makes a server and starts it. The options are added to those that all have.
func launch(options string) (*Server, error) {
	programs, err := programs()
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	password := rand.Text() // everybody on this machine can reach the port
	s := &Server{url: (&url.URL{
		Scheme: "postgres", User: url.UserPassword("tester", password),
		Host: net.JoinHostPort("127.0.0.1", port), Path: "/postgres", RawQuery: "sslmode=disable",
	}).String()}
	all := "-p " + port + " -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200 " + options
	if err := s.watch(programs, all); err != nil {
		return nil, err
	}
	err = s.do("create\n" + password)
	if err == nil {
		err = s.do("start")
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// watch starts the watcher in a new folder. What PostgreSQL does, it does as the watcher's child, so that there is no moment
// at which the end of this process leaves anything behind.
func (s *Server) watch(programs, options string) error {
	folder, attributes, err := quarters()
	if err != nil {
		return err
	}
	s.folder = folder
	s.watcher = exec.CommandContext(context.Background(), "sh", "-c", watcher, "watcher.sh", programs, options, folder)
	s.watcher.Dir = folder
	s.watcher.SysProcAttr = attributes
	if s.orders, err = s.watcher.StdinPipe(); err != nil {
		return err
	}
	answers, err := s.watcher.StdoutPipe()
	if err != nil {
		return err
	}
	s.answers = bufio.NewReader(answers)
	if err := s.watcher.Start(); err != nil {
		return errors.Join(err, os.RemoveAll(folder))
	}
	return nil
}

// do has the watcher do something. The error holds PostgreSQL's own words.
func (s *Server) do(order string) error {
	if _, err := fmt.Fprintln(s.orders, order); err != nil {
		return err
	}
	answer, err := s.answers.ReadString('\n')
	if err != nil {
		return fmt.Errorf("its watcher is gone: %w", err)
	}
	if answer == "done\n" {
		return nil
	}
	verb, _, _ := strings.Cut(order, "\n") // a password may follow
	log, err := os.ReadFile(filepath.Join(s.folder, "log"))
	return errors.Join(fmt.Errorf("%s failed: %s", verb, log), err)
}

// close ends the server and waits until nothing is left of it.
func (s *Server) close() error {
	return errors.Join(s.orders.Close(), s.watcher.Wait())
}

// freePort returns a loopback port that nobody uses. It lies below those that systems hand to outgoing connections, one of
// which might otherwise sit on it while the server is stopped.
func freePort() (string, error) {
	const lowest, count, attempts = 20000, 12000, 20
	for range attempts {
		offset, err := rand.Int(rand.Reader, big.NewInt(count))
		if err != nil {
			return "", err
		}
		port := strconv.Itoa(lowest + int(offset.Int64()))
		var config net.ListenConfig
		listener, err := config.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			return port, listener.Close()
		}
	}
	return "", errors.New("no free port on 127.0.0.1")
}
