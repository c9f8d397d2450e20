package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mockcloud.dev/ccm-plugin/client/api"
)

func serve(t *testing.T, handler http.HandlerFunc, change ...func(*Config)) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	config := Config{Endpoint: server.URL, Token: "secret", Timeout: 3 * time.Second, MaxWait: 100 * time.Millisecond}
	for _, c := range change {
		c(&config)
	}
	client, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func answer(w http.ResponseWriter, status int, media, body string) {
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

const problemJSON = "application/problem+json"

func TestErrorsAreTyped(t *testing.T) {
	const document = `{"type":"about:blank","title":"t","status":404,"code":"not_found","detail":"no such thing","field":"id","request_id":"r"}`
	for _, test := range []struct {
		name        string
		status      int
		media, body string
		is          func(error) bool
		want        bool
	}{
		{"the cloud's 404", 404, problemJSON, document, IsNotFound, true},
		{"with a charset", 404, problemJSON + "; charset=utf-8", document, IsNotFound, true},
		{"a proxy's 404", 404, "text/html", "<html>", IsNotFound, false},
		{"a 404 that is cut", 404, problemJSON, `{"type":`, IsNotFound, false},
		{"a path that the cloud does not have", 404, problemJSON, `{"code":"no_such_path"}`, IsNotFound, false},
		{"a 500", 500, problemJSON, document, IsNotFound, false},
		{"a 409", 409, problemJSON, document, IsConflict, true},
		{"a 410", 410, problemJSON, document, IsGone, true},
		{"a 429", 429, problemJSON, document, IsThrottled, true},
		{"a 400", 400, problemJSON, document, IsInvalid, true},
		{"a 422", 422, problemJSON, document, IsInvalid, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, test.status, test.media, test.body) })
			_, err := c.Instance(t.Context(), "i-1")
			if got := test.is(fmt.Errorf("wrapped: %w", err)); got != test.want {
				t.Fatalf("%v: %v, want %v", err, got, test.want)
			}
			var problem *Problem
			if !errors.As(err, &problem) || problem.Status != test.status || problem.Operation != "instances.get" {
				t.Fatalf("%#v", err)
			}
		})
	}
}

func TestOnlyTheCallOfOneResourceByItsIDCanSayNotFound(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 404, problemJSON, `{"code":"not_found"}`) })
	ctx, name := t.Context(), "a"
	for operation, call := range map[string]func() error{
		"instances.list":        func() error { _, _, err := c.Instances(ctx, Filter{}); return err },
		"load_balancers.list":   func() error { _, _, err := c.LoadBalancers(ctx, Filter{Name: name}); return err },
		"target_pools.list":     func() error { _, _, err := c.TargetPools(ctx, Filter{}); return err },
		"addresses.list":        func() error { _, _, err := c.Addresses(ctx, Filter{}); return err },
		"routes.list":           func() error { _, _, err := c.Routes(ctx, Filter{}); return err },
		"load_balancers.create": func() error { _, err := c.CreateLoadBalancer(ctx, api.LoadBalancerCreate{Name: &name}); return err },
		"events.list":           func() error { return c.Stream(ctx, 0, nil, nil) },
		"an empty id":           func() error { _, err := c.Instance(ctx, ""); return err },
	} {
		if err := call(); err == nil || IsNotFound(err) {
			t.Errorf("%s: %v, want an error that is not IsNotFound", operation, err)
		}
	}
	for operation, call := range map[string]func() error{
		"instances.get":         func() error { _, err := c.Instance(ctx, "i-1"); return err },
		"load_balancers.delete": func() error { _, err := c.DeleteLoadBalancer(ctx, "lb-1"); return err },
		"target_pools.update":   func() error { _, err := c.UpdateTargetPool(ctx, "tp-1", api.TargetPoolUpdate{}); return err },
		"addresses.delete":      func() error { return c.DeleteAddress(ctx, "ip-1") },
		"routes.delete":         func() error { _, err := c.DeleteRoute(ctx, "rt-1"); return err },
	} {
		if err := call(); !IsNotFound(err) {
			t.Errorf("%s: %v, want IsNotFound", operation, err)
		}
	}
}

func TestAnswersThatAreNoAnswersAreErrors(t *testing.T) {
	for _, body := range []string{"", "{}", "null", "<html>", `{"items":null}`, `{"items":`, `[]`} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, "application/json", body) })
		if instances, _, err := c.Instances(t.Context(), Filter{Name: "a"}); err == nil {
			t.Errorf("list %q: %v without an error", body, instances)
		}
		if instance, err := c.Instance(t.Context(), "i-1"); err == nil {
			t.Errorf("get %q: %v without an error", body, instance)
		}
	}
}

func TestHeadersOfEveryCall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	var seen atomic.Pointer[http.Header]
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(&r.Header)
		answer(w, 200, "application/json", `{"items":[],"revision":1}`)
	}, func(config *Config) {
		config.Token, config.TokenFile, config.UserAgent, config.Project = "", file, "tester/1", "p"
	})
	if _, _, err := c.Routes(t.Context(), Filter{}); err == nil || !strings.Contains(err.Error(), "token") {
		t.Fatalf("without the file: %v", err)
	}
	for _, token := range []string{"first", "rotated"} {
		if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Routes(t.Context(), Filter{}); err != nil {
			t.Fatal(err)
		}
		header := *seen.Load()
		if header.Get("Authorization") != "Bearer "+token || header.Get("User-Agent") != "tester/1" || header.Get("X-Mockcloud-Project") != "p" {
			t.Fatalf("headers %v", header)
		}
	}
}

func TestRetryAfterIsHonouredInBounds(t *testing.T) {
	for _, test := range []struct {
		name       string
		status     int
		retryAfter string
		refusals   int
		wantCalls  int
		wantOK     bool
	}{
		{"a short wait is waited", 429, "0.02", 1, 2, true},
		{"503 too", 503, "0.02", 2, 3, true},
		{"at most three attempts", 503, "0.01", 9, 3, false},
		{"no Retry-After, no repeat", 503, "", 9, 1, false},
		{"too long a wait is the caller's", 503, "3600", 9, 1, false},
		{"nonsense counts as none", 429, "soon", 9, 1, false},
		{"500 is not repeated", 500, "0.01", 9, 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var calls atomic.Int32
			bodies := make(chan string, 10)
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				bodies <- string(body) + r.Header.Get("Idempotency-Key")
				if int(calls.Add(1)) <= test.refusals {
					if test.retryAfter != "" {
						w.Header().Set("Retry-After", test.retryAfter)
					}
					answer(w, test.status, problemJSON, `{"code":"throttled"}`)
					return
				}
				answer(w, 201, "application/json", `{"id":"rt-1"}`)
			})
			hop := "192.0.2.1"
			_, err := c.CreateRoute(t.Context(), api.RouteCreate{DestinationCidr: "10.0.0.0/24", NextHop: api.NextHop{Address: &hop}})
			if (err == nil) != test.wantOK || int(calls.Load()) != test.wantCalls {
				t.Fatalf("%d calls, %v", calls.Load(), err)
			}
			first := <-bodies
			for range test.wantCalls - 1 {
				if again := <-bodies; again != first || !strings.Contains(first, "10.0.0.0/24") {
					t.Fatalf("repeated %q as %q", first, again)
				}
			}
		})
	}
}

func TestAThrottleHoldsBackOtherCallsOfItsKindOnly(t *testing.T) {
	var routes, instances atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/routes") {
			routes.Add(1)
			w.Header().Set("Retry-After", "60")
			answer(w, 429, problemJSON, `{"code":"throttled"}`)
			return
		}
		instances.Add(1)
		answer(w, 200, "application/json", `{"items":[],"revision":1}`)
	})
	for i := range 5 {
		_, _, err := c.Routes(t.Context(), Filter{})
		if i == 0 && RetryAfter(err) != time.Minute {
			t.Fatalf("first: %v", err)
		}
		if wait := RetryAfter(err); !IsThrottled(err) || (i > 0 && (wait > time.Minute || wait < 50*time.Second)) {
			t.Fatalf("later: %v, wait %s", err, wait)
		}
		if _, _, err := c.Instances(t.Context(), Filter{}); err != nil {
			t.Fatal(err)
		}
	}
	if routes.Load() != 1 || instances.Load() != 5 {
		t.Fatalf("%d calls for routes, want 1; %d for instances, want 5", routes.Load(), instances.Load())
	}
}

func TestACallEndsWithItsTimeout(t *testing.T) {
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		func(config *Config) { config.Timeout = 50 * time.Millisecond })
	if _, err := c.Instance(t.Context(), "i-1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v", err)
	}
}

func TestListsAreWholeAndFiltered(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if query.Get("name") != "n" || query.Get("tag.mockcloud/cluster") != "a b&c" || query.Get("network") != "net" {
			t.Errorf("query %q", r.URL.RawQuery)
		}
		switch query.Get("page_token") {
		case "":
			answer(w, 200, "application/json", `{"items":[{"id":"1"},{"id":"2"}],"revision":7,"next_page_token":"x"}`)
		case "x":
			answer(w, 200, "application/json", `{"items":[{"id":"3"}],"revision":9}`)
		}
	})
	routes, revision, err := c.Routes(t.Context(), Filter{Name: "n", Network: "net", Tags: map[string]string{"mockcloud/cluster": "a b&c"}})
	if err != nil || len(routes) != 3 || routes[2].Id != "3" || revision != 7 {
		t.Fatalf("%d routes at %d, %v", len(routes), revision, err)
	}
}

func TestAStreamDeliversEventsInOrderAndSaysWhyItEnds(t *testing.T) {
	event := func(revision int) string {
		return fmt.Sprintf("id: %d\nevent: instance.updated\ndata: {\"revision\":%d,\"kind\":\"instance\",\ndata: \"id\":\"i-1\",\"type\":\"updated\",\"document\":{}}\n\n",
			revision, revision)
	}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "text/event-stream" {
			t.Errorf("accepts %q", r.Header.Get("Accept"))
		}
		if r.URL.Query().Get("since") == "1" {
			answer(w, 410, problemJSON, `{"code":"gone"}`)
			return
		}
		answer(w, 200, "text/event-stream", ": hello\n\n"+event(6)+": ping\n\n"+event(7)+"id: 8\ndata: {\"cut")
	})
	var seen []int64
	opened := false
	err := c.Stream(t.Context(), 5, func() { opened = true }, func(e api.Event) error {
		seen = append(seen, e.Revision)
		return nil
	})
	if err != io.EOF || !opened || len(seen) != 2 || seen[0] != 6 || seen[1] != 7 {
		t.Fatalf("opened %v, events %v, %v", opened, seen, err)
	}
	if err := c.Stream(t.Context(), 1, nil, nil); !IsGone(err) {
		t.Fatalf("too old: %v", err)
	}
	stop := errors.New("enough")
	if err := c.Stream(t.Context(), 5, nil, func(api.Event) error { return stop }); !errors.Is(err, stop) {
		t.Fatalf("stopped by the reader: %v", err)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	for _, test := range []struct {
		config Config
		want   string
	}{
		{Config{Endpoint: ""}, "endpoint"},
		{Config{Endpoint: "127.0.0.1:9080"}, "endpoint"},
		{Config{Endpoint: "ftp://x"}, "endpoint"},
		{Config{Endpoint: "http://"}, "endpoint"},
		{Config{Endpoint: "http://x", Token: "a", TokenFile: "b"}, "tokenFile"},
	} {
		if _, err := New(test.config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v", test.config, err)
		}
	}
}

func TestRetryAfterForms(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, "-3": 0, "0": 0, "x": 0, "99999999": 0,
		"Thu, 01 Jan 2026 00:00:30 GMT": 30 * time.Second, "Wed, 31 Dec 2025 00:00:00 GMT": 0,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

// TestGeneratedCodeIsUpToDate generates the client anew and compares: the OpenAPI document is the contract.
func TestGeneratedCodeIsUpToDate(t *testing.T) {
	committed, err := os.ReadFile("api/api.gen.go")
	if err != nil {
		t.Fatal(err)
	}
	generate := exec.CommandContext(t.Context(), "go", "tool", "oapi-codegen", "-config", "stdout.yaml", "../../../api/openapi.json")
	generate.Dir = "api"
	settings, err := os.ReadFile("api/oapi-codegen.yaml")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "api.gen.go")
	adapted := strings.Replace(string(settings), "output: api.gen.go", "output: "+elsewhere, 1)
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte(adapted), 0o600); err != nil {
		t.Fatal(err)
	}
	generate.Args[4] = config
	if output, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	generated, err := os.ReadFile(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	if string(generated) != string(committed) {
		t.Fatal("client/api/api.gen.go is not what ../api/openapi.json makes: run go generate ./client/...")
	}
}
