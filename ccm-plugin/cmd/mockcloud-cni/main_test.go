package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// node records what is called on it; `-C` succeeds for rules that were added.
type node struct {
	calls []string
	rules map[string]bool
}

func (n *node) exec(_ context.Context, program string, arguments ...string) ([]byte, error) {
	line := program + " " + strings.Join(arguments, " ")
	if before, rule, check := strings.Cut(line, " -C "); check {
		if !n.rules[before+rule] {
			return nil, errors.New("exit status 1")
		}
		return nil, nil
	}
	if before, rule, add := strings.Cut(line, " -A "); add {
		n.rules[before+rule] = true
	}
	n.calls = append(n.calls, line)
	return nil, nil
}

func testAPI(t *testing.T, answer string, status int) *kube {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/nodes/worker" || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("unexpected request %s %s", r.URL, r.Header)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &kube{base: server.URL, token: token, http: server.Client()}
}

func testOptions(t *testing.T, arguments ...string) options {
	o, err := parse(append([]string{"--node", "worker", "--cluster-cidr", "10.244.0.0/16,fd00:10::/56"}, arguments...),
		func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestANodeWithPodCIDRsGetsConfigurationFallbackRoutesAndMasquerading(t *testing.T) {
	n := &node{rules: map[string]bool{}}
	h := &host{root: t.TempDir(), exec: n.exec}
	api := testAPI(t, `{"spec":{"podCIDRs":["10.244.1.0/24","fd00:10:0:1::/64"]}}`, 200)
	o := testOptions(t, "--metadata-via", "127.0.0.1")
	state, err := converge(context.Background(), o, api, h)
	if err != nil || state != "10.244.1.0/24,fd00:10:0:1::/64" {
		t.Fatalf("%q, %v", state, err)
	}
	content, err := os.ReadFile(filepath.Join(h.root, configuration))
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Plugins []struct {
			Type string
			IPAM struct{ Ranges [][]struct{ Subnet string } }
		}
	}
	if err := json.Unmarshal(content, &list); err != nil {
		t.Fatal(err)
	}
	if list.Plugins[0].Type != "ptp" || list.Plugins[0].IPAM.Ranges[1][0].Subnet != "fd00:10:0:1::/64" {
		t.Errorf("configuration: %s", content)
	}
	calls := strings.Join(n.calls, "\n")
	for _, wanted := range []string{
		"ip -4 route replace unreachable 10.244.0.0/16",
		"ip -6 route replace unreachable fd00:10::/56",
		"ip -4 route replace 169.254.169.254/32 via 127.0.0.1",
		"iptables -w -t nat -A MOCKCLOUD-MASQ -d 10.244.0.0/16 -j RETURN",
		"iptables -w -t nat -A POSTROUTING -s 10.244.1.0/24 -m comment --comment pods of this node -j MOCKCLOUD-MASQ",
		"ip6tables -w -t nat -A MOCKCLOUD-MASQ -j MASQUERADE",
	} {
		if !strings.Contains(calls, wanted) {
			t.Errorf("%q was not called, but\n%s", wanted, calls)
		}
	}
}

func TestASecondLookAddsNoRuleAndWritesNothing(t *testing.T) {
	n := &node{rules: map[string]bool{}}
	h := &host{root: t.TempDir(), exec: n.exec}
	api := testAPI(t, `{"spec":{"podCIDR":"10.244.1.0/24"}}`, 200)
	o := testOptions(t)
	path := filepath.Join(h.root, configuration)
	if _, err := converge(context.Background(), o, api, h); err != nil {
		t.Fatal(err)
	}
	old := time.Unix(1, 0)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	n.calls = nil
	if _, err := converge(context.Background(), o, api, h); err != nil {
		t.Fatal(err)
	}
	for _, call := range n.calls {
		if strings.HasPrefix(call, "iptables") {
			t.Errorf("called again: %s", call)
		}
	}
	if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("the configuration was written again: %v %v", info, err)
	}
}

func TestWithoutPodCIDRNothingIsConfigured(t *testing.T) {
	for answer, status := range map[string]int{`{"spec":{}}`: 200, `{}`: 403, `nonsense`: 200} {
		n := &node{rules: map[string]bool{}}
		h := &host{root: t.TempDir(), exec: n.exec}
		if _, err := converge(context.Background(), testOptions(t), testAPI(t, answer, status), h); err == nil {
			t.Errorf("%q: no error", answer)
		}
		if _, err := os.Stat(filepath.Join(h.root, configuration)); err == nil || len(n.calls) > 0 {
			t.Errorf("%q: configured all the same: %v", answer, n.calls)
		}
	}
}

func TestWithoutAClusterCIDRThePodNetworkIsLeftAlone(t *testing.T) {
	n := &node{rules: map[string]bool{}}
	h := &host{root: t.TempDir(), exec: n.exec}
	o, err := parse([]string{"--node=worker", "--metadata-via=127.0.0.1"}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := converge(context.Background(), o, nil, h); err != nil {
		t.Fatal(err)
	}
	if len(n.calls) != 1 || !strings.Contains(n.calls[0], metadataAddress) {
		t.Errorf("called: %v", n.calls)
	}
}

func TestWrongFlagsAreNamed(t *testing.T) {
	for flags, named := range map[string]string{
		"--cluster-cidr=10.0.0.0/8":                          "--node",
		"--node=n --cluster-cidr=nonsense":                   "--cluster-cidr",
		"--node=n --cluster-cidr=10.0.0.0/8 --period=1ms":    "--period",
		"--node=n --cluster-cidr=10.0.0.0/8 --period=nobody": "period",
	} {
		_, err := parse(strings.Fields(flags), func(string) string { return "" })
		if err == nil || !strings.Contains(err.Error(), named) {
			t.Errorf("%s: %v", flags, err)
		}
	}
}

func TestMasqueradeSparesThePodsOfTheSameFamily(t *testing.T) {
	rules := masqueradeRules(netip.MustParsePrefix("10.244.1.0/24"),
		[]netip.Prefix{netip.MustParsePrefix("10.244.0.0/16"), netip.MustParsePrefix("fd00::/56")})
	if len(rules) != 3 || rules[0][2] != "10.244.0.0/16" {
		t.Errorf("%v", rules)
	}
}
