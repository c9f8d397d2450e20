// Package metadata drives the metadata service with the clouds' own client libraries, unmodified.
package metadata

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// from is a client whose connections come from the address.
func from(address string) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}
}

const patience = 20 * time.Second

// server is a mock cloud on a manual clock.
type server struct {
	t             *testing.T
	api, metadata string
	token         string
}

func start(t *testing.T, args ...string) *server {
	t.Helper()
	binary := os.Getenv("MOCKCLOUD_BIN")
	if binary == "" {
		binary = "../../build/mockcloud"
	}
	tokenFile := filepath.Join(t.TempDir(), "token")
	command := exec.Command(binary, append([]string{"serve", "--db", ":memory:", "--listen", "127.0.0.1:0",
		"--metadata-listen", "127.0.0.1:0", "--clock", "manual", "--seed", "1", "--log-format", "json",
		"--token-file", tokenFile}, args...)...)
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt)
		if err := command.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	s := &server{t: t}
	listening := make(chan struct{})
	go s.read(bufio.NewScanner(stderr), listening)
	select {
	case <-listening:
	case <-time.After(patience):
		t.Fatal("the server does not listen")
	}
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	s.token = strings.TrimSpace(string(token))
	return s
}

func (s *server) read(lines *bufio.Scanner, listening chan struct{}) {
	for lines.Scan() {
		var line struct{ Msg, Address string }
		_ = json.Unmarshal(lines.Bytes(), &line)
		switch line.Msg {
		case "metadata service listening":
			s.metadata = line.Address
		case "listening":
			s.api = line.Address
			close(listening)
		}
	}
}

// call sends a request to the native API and returns the document.
func (s *server) call(method, path string, body any) map[string]any {
	s.t.Helper()
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body)
	}
	request, err := http.NewRequest(method, s.api+path, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	document := map[string]any{}
	_ = json.NewDecoder(response.Body).Decode(&document)
	if response.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %d %v", method, path, response.StatusCode, document)
	}
	return document
}

// instance makes a spot instance with the address, from which it will ask.
func (s *server) instance(name, address string) string {
	s.t.Helper()
	return s.call("POST", "/v1/instances", map[string]any{
		"name": name, "lifecycle": "spot", "tags": map[string]string{"role": "web"},
		"addresses": []map[string]string{{"type": "internal", "address": address}},
	})["id"].(string)
}

func (s *server) interrupt(id string, body map[string]string) {
	s.t.Helper()
	s.call("POST", fmt.Sprintf("/sim/v1/instances/%s/interrupt", id), body)
}

func (s *server) advance(by string) {
	s.t.Helper()
	s.call("POST", "/sim/v1/clock/advance", map[string]string{"by": by})
}
