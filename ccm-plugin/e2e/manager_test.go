package e2e

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"mockcloud.dev/ccm-plugin/testserver"
)

// Everything that can be made to happen sooner; but a leader lease of 8 s, since one of 4 s was lost on a busy machine.
var fastProfile = []string{
	"--node-monitor-period=500ms", "--node-status-update-frequency=1s", "--route-reconciliation-period=1s",
	"--min-resync-period=30s", "--leader-elect-lease-duration=8s", "--leader-elect-renew-deadline=6s",
	"--leader-elect-retry-period=500ms", "--kube-api-qps=200", "--kube-api-burst=400",
}

// manager is the CCM process; it can be killed and started again.
type manager struct {
	binary    string
	arguments []string
	url       string
	http      *http.Client
	logPath   string
	process   *exec.Cmd
	ended     chan struct{}
}

func newManager(e *environment, binary, kubeconfig string) (*manager, error) {
	config := fmt.Sprintf("endpoint: %s\ntokenFile: %s\ncluster: %s\ncache: %s\nrequestTimeout: 2s\nretryInterval: 500ms\ndeleteWait: 1s\n",
		e.proxy.URL, e.server.TokenFile, clusterID, cacheMode())
	path := filepath.Join(e.directory, "cloud-config.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	m := &manager{binary: binary, url: fmt.Sprintf("https://127.0.0.1:%d", port), logPath: filepath.Join(e.directory, "ccm.log")}
	m.arguments = append([]string{
		"--cloud-provider=mockcloud", "--cloud-config=" + path, "--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(port), "--cert-dir=" + filepath.Join(e.directory, "certs"),
		"--cluster-cidr=" + clusterCIDR, "--allocate-node-cidrs", "--configure-cloud-routes", "--leader-elect", "--v=2",
	}, fastProfile...)
	// The admin's client certificate; the CCM's own certificate is self-signed.
	admin := rest.CopyConfig(e.admin)
	admin.Insecure, admin.CAData, admin.CAFile = true, nil, ""
	settings, err := rest.TLSConfigFor(admin)
	if err != nil {
		return nil, err
	}
	m.http = m.client(settings)
	return m, nil
}

func (m *manager) client(settings *tls.Config) *http.Client {
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: settings}}
}

func cacheMode() string {
	if mode := os.Getenv(cacheEnv); mode != "" {
		return mode
	}
	return "watch"
}

// start returns once it is the leader and its controllers run.
func (m *manager) start() error {
	log, err := os.OpenFile(m.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	m.process = exec.Command(m.binary, m.arguments...)
	m.process.Stdout, m.process.Stderr = log, log
	m.process.SysProcAttr = testserver.ChildAttributes()
	if err := m.process.Start(); err != nil {
		return err
	}
	m.ended = make(chan struct{})
	go func(process *exec.Cmd, ended chan struct{}) {
		_ = process.Wait()
		close(ended)
	}(m.process, m.ended)
	for deadline := time.Now().Add(60 * time.Second); ; {
		if count, err := m.metric("cloud_node_lifecycle_controller_monitor_nodes_duration_seconds_count"); err == nil && count > 0 {
			return nil
		}
		select {
		case <-m.ended:
			return fmt.Errorf("mockcloud-ccm ended; the end of its log:\n%s", m.log())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("mockcloud-ccm does not run its controllers; the end of its log:\n%s", m.log())
		}
	}
}

// kill is a SIGKILL: nothing is released, nothing finished.
func (m *manager) kill() {
	if m.process == nil {
		return
	}
	_ = m.process.Process.Kill()
	<-m.ended
	m.process = nil
}

func (m *manager) restart(t *testing.T) {
	t.Helper()
	m.kill()
	if err := m.start(); err != nil {
		t.Fatal(err)
	}
}

func (m *manager) log() string {
	content, err := os.ReadFile(m.logPath)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

func (m *manager) get(path string) (int, string, error) {
	response, err := m.http.Get(m.url + path)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

var errNoSeries = errors.New("no such series")

// metric sums the series of that name that have all the labels; an error if there is none.
func (m *manager) metric(name string, labels ...string) (float64, error) {
	status, body, err := m.get("/metrics")
	if err != nil || status != http.StatusOK {
		return 0, fmt.Errorf("/metrics: %d, %w", status, err)
	}
	sum, found := 0.0, false
	for line := range strings.Lines(body) {
		series, value, isSeries := strings.Cut(strings.TrimSpace(line), " ")
		bare, _, _ := strings.Cut(series, "{")
		if !isSeries || bare != name || !containsAll(series, labels) {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+number, true
	}
	if !found {
		return 0, fmt.Errorf("%w: %s%v", errNoSeries, name, labels)
	}
	return sum, nil
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// counter is metric for counters that appear with their first increment; it asks until there is an answer.
func (m *manager) counter(t *testing.T, name string, labels ...string) (value float64) {
	t.Helper()
	testserver.Eventually(t, patience, "the metrics of the CCM", func() (bool, string) {
		var err error
		value, err = m.metric(name, labels...)
		return err == nil || errors.Is(err, errNoSeries), fmt.Sprint(err)
	})
	return value
}

const (
	monitorCycles = "cloud_node_lifecycle_controller_monitor_nodes_duration_seconds_count"
	cloudCalls    = "cloud_node_lifecycle_controller_cloud_provider_calls_total"
)

// observe checks that something holds, again and again, until the lifecycle controller has gone through its loop that many times.
func observe(t *testing.T, cycles int, holds func() (bool, string)) {
	t.Helper()
	before := env.ccm.counter(t, monitorCycles)
	checks := 0
	testserver.Eventually(t, 60*time.Second, fmt.Sprintf("%d monitor cycles", cycles), func() (bool, string) {
		if ok, seen := holds(); !ok {
			t.Fatalf("it did not hold for %d monitor cycles: %s", cycles, seen)
		}
		checks++
		now, err := env.ccm.metric(monitorCycles)
		return err == nil && now >= before+float64(cycles), fmt.Sprintf("%v cycles, %v", now-before, err)
	})
	t.Logf("held over %d monitor cycles, checked %d times", cycles, checks)
}

// observeFailing is observe until so many questions of the lifecycle controller have failed, too: it may take its time to see what it
// has to ask for.
func observeFailing(t *testing.T, cycles, failures int, holds func() (bool, string)) {
	t.Helper()
	failed := func() float64 { return env.ccm.counter(t, cloudCalls, `operation="instance_exists"`, `result="error"`) }
	before := failed()
	observe(t, cycles, holds)
	testserver.Eventually(t, patience, fmt.Sprintf("%d failed calls", failures), func() (bool, string) {
		now := failed()
		if now < before+float64(failures) {
			observe(t, 1, holds)
			return false, fmt.Sprint(now - before)
		}
		return true, ""
	})
}

// unasked waits until the lifecycle controller asks for no node any more: it does not have those any longer that it has deleted. It deletes
// by name, so the next one of that name would go as well.
func unasked(t *testing.T) {
	t.Helper()
	testserver.Eventually(t, patience, "two monitor cycles without a question", func() (bool, string) {
		before := env.ccm.counter(t, cloudCalls, `operation="instance_exists"`)
		observe(t, 2, func() (bool, string) { return true, "" })
		asked := env.ccm.counter(t, cloudCalls, `operation="instance_exists"`) - before
		return asked == 0, fmt.Sprintf("%v questions", asked)
	})
}
