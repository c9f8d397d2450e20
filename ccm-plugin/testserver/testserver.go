// Package testserver starts a real mock cloud for a test: a server on a free port, a typed client, and an end with the test.
// It also has a proxy that injects faults in front of any cloud. See the examples in example_test.go.
package testserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mockcloud.dev/ccm-plugin/client"
)

// BinaryEnv names the server's binary; the default is build/mockcloud of this repository, then mockcloud on the PATH.
const BinaryEnv = "MOCKCLOUD_BIN"

const startPatience = 20 * time.Second

// Options of a server; the zero value is a manual clock and an empty cloud.
type Options struct {
	Clock string // real, scaled:N or manual (default)
	Args  []string
}

// Server is a running mock cloud of the test's own; it ends with the test.
type Server struct {
	URL       string
	Token     string // scope sim, project default
	TokenFile string
	Client    *client.Client // with that token

	process *exec.Cmd
	log     *tail
}

// Binary is where the server's program is expected.
func Binary() string {
	if path := os.Getenv(BinaryEnv); path != "" {
		return path
	}
	_, here, _, _ := runtime.Caller(0)
	built := filepath.Join(filepath.Dir(here), "..", "..", "build", "mockcloud")
	if _, err := os.Stat(built); err != nil {
		if installed, err := exec.LookPath("mockcloud"); err == nil {
			return installed
		}
	}
	return built
}

// Start runs `mockcloud serve` on a free port, waits until it listens, and ends it with the test. A missing binary fails the
// test: what these tests are about is the real server.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	s, err := Launch(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Launch is Start for a server that several tests share; the caller stops it.
func Launch(options Options) (*Server, error) {
	if _, err := os.Stat(Binary()); err != nil {
		return nil, fmt.Errorf("the mockcloud server is missing: %w (build it with make, or set %s)", err, BinaryEnv)
	}
	directory, err := os.MkdirTemp("", "mockcloud-test-")
	if err != nil {
		return nil, err
	}
	if options.Clock == "" {
		options.Clock = "manual"
	}
	s := &Server{TokenFile: filepath.Join(directory, "token"), log: &tail{}}
	arguments := append([]string{"serve", "--db", ":memory:", "--listen", "127.0.0.1:0", "--clock", options.Clock,
		"--seed", "1", "--token-file", s.TokenFile, "--log-format", "json"}, options.Args...)
	if !slices.Contains(arguments, "--metadata-listen") {
		arguments = append(arguments, "--metadata-listen", "none")
	}
	s.process = exec.Command(Binary(), arguments...)
	s.process.SysProcAttr = ChildAttributes()
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) start() error {
	stderr, err := s.process.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.process.Start(); err != nil {
		return err
	}
	listening := make(chan string, 1)
	go s.read(stderr, listening)
	select {
	case s.URL = <-listening:
	case <-time.After(startPatience):
	}
	if s.URL == "" {
		return fmt.Errorf("mockcloud does not listen; its log:\n%s", s.log)
	}
	token, err := os.ReadFile(s.TokenFile)
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	s.Token = strings.TrimSpace(string(token))
	s.Client, err = client.New(client.Config{Endpoint: s.URL, Token: s.Token})
	return err
}

// read follows the server's log; the address is sent once, empty if the server ends without one.
func (s *Server) read(stderr io.Reader, listening chan<- string) {
	defer close(listening)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s.log.add(lines.Text())
		var entry struct {
			Msg     string `json:"msg"`
			Address string `json:"address"`
		}
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "listening" {
			listening <- entry.Address
		}
	}
}

// Stop asks the server to end; that it does so cleanly is part of every test.
func (s *Server) Stop() error {
	defer os.RemoveAll(filepath.Dir(s.TokenFile))
	if s.process.Process == nil {
		return nil
	}
	_ = s.process.Process.Signal(syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- s.process.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("mockcloud ended with %w; its log:\n%s", err, s.log)
		}
		return nil
	case <-time.After(startPatience):
		_ = s.process.Process.Kill()
		return fmt.Errorf("mockcloud did not end within %s of SIGTERM; its log:\n%s", startPatience, s.log)
	}
}

// NewProject makes a project with a token of its own, so that tests can share a server.
func (s *Server) NewProject(t testing.TB, name string) *client.Client {
	t.Helper()
	token, err := s.Client.CreateProject(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	project, err := client.New(client.Config{Endpoint: s.URL, Token: token.Token})
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// tail keeps the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

func (l *tail) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines = append(l.lines, line); len(l.lines) > 200 {
		l.lines = l.lines[1:]
	}
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// Eventually polls until ok, and fails the test with what it last saw when the deadline passes.
func Eventually(t testing.TB, within time.Duration, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		done, seen := ok()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s; last seen: %s", within, what, fmt.Sprint(seen))
		}
		time.Sleep(25 * time.Millisecond)
	}
}
