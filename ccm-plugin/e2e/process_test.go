package e2e

import (
	"crypto/tls"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestCP3_WithoutAClusterIDItRefusesToStart(t *testing.T) {
	for want, environment := range map[string]string{
		"no cluster id": "MOCKCLOUD_TOKEN=x",
		"token":         "MOCKCLOUD_CLUSTER=c",
	} {
		command := exec.Command(env.ccm.binary, append(withoutCloudConfig(), "--secure-port=0")...)
		command.Env = []string{"MOCKCLOUD_URL=" + env.proxy.URL, environment, "PATH=/usr/bin:/bin"}
		output, err := command.CombinedOutput()
		if err == nil || !strings.Contains(string(output), want) {
			t.Errorf("%s: %v\n%s", environment, err, output)
		}
	}
}

func withoutCloudConfig() []string {
	var arguments []string
	for _, argument := range env.ccm.arguments {
		if !strings.HasPrefix(argument, "--cloud-config") && !strings.HasPrefix(argument, "--secure-port") {
			arguments = append(arguments, argument)
		}
	}
	return arguments
}

func TestCP7_HealthMetricsAndConfigurationAreServedToThoseWhoMay(t *testing.T) {
	for path, want := range map[string]string{
		"/healthz":      "ok",
		"/metrics":      "cloud_node_lifecycle_controller_monitor_nodes_duration_seconds",
		"/metrics/slis": "kubernetes_healthcheck",
		"/configz":      "cloudcontrollermanager",
	} {
		status, body, err := env.ccm.get(path)
		if err != nil || status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, %v; want %q in %.200q", path, status, err, want, body)
		}
	}
	stranger := env.ccm.client(&tls.Config{InsecureSkipVerify: true}) //nolint:gosec // its certificate is self-signed
	for path, want := range map[string]int{"/healthz": http.StatusOK, "/metrics": http.StatusForbidden, "/configz": http.StatusForbidden} {
		response, err := stranger.Get(env.ccm.url + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s without credentials: %d, want %d", path, response.StatusCode, want)
		}
	}
}

func TestTheCacheMakesAnIdleCCMSilent(t *testing.T) {
	if strings.Contains(readFile(t, env.directory+"/cloud-config.yaml"), "cache: none") {
		t.Log("without the cache every question asks the cloud: only the writes are checked")
	}
	m := newMachine(t, "idle")
	m.eventually("network ready", networkReady)
	newShop(t, "idle").open()
	passed(t)
	env.proxy.Reset()
	began := time.Now()
	observe(t, 12, m.stays())
	calls := env.proxy.Calls()
	t.Logf("%d calls in %s, a route list every second and a node status update every second among what was asked", len(calls),
		time.Since(began).Round(time.Second))
	for _, call := range calls {
		if !call.Read() {
			t.Errorf("it writes: %+v", call)
		}
		if call.Read() && strings.Contains(readFile(t, env.directory+"/cloud-config.yaml"), "cache: watch") {
			t.Errorf("it reads: %+v", call)
		}
	}
}
