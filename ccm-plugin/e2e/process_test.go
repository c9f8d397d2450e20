package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/testserver"
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
	for _, test := range []struct{ path, want string }{
		{"/healthz", "ok"}, // first: the SLIs count what was asked
		{"/metrics", "cloud_node_lifecycle_controller_monitor_nodes_duration_seconds"},
		{"/metrics/slis", "kubernetes_healthcheck"},
		{"/configz", "cloudcontrollermanager"},
	} {
		status, body, err := env.ccm.get(test.path)
		if err != nil || status != http.StatusOK || !strings.Contains(body, test.want) {
			t.Errorf("%s: %d, %v; want %q in %.200q", test.path, status, err, test.want, body)
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

// quiet waits until the cache follows the event stream again (an earlier test may have cut it) and all workers are idle; without
// cache the CCM goes on reading, and only the writes end.
func quiet(t *testing.T) {
	t.Helper()
	testserver.Eventually(t, 2*patience, "three monitor cycles without a call", func() (bool, string) {
		env.proxy.Reset()
		observe(t, 3, func() (bool, string) { return true, "" })
		calls := slices.DeleteFunc(env.proxy.Calls(), func(c testserver.Call) bool { return cacheMode() == "none" && c.Read() })
		return len(calls) == 0, fmt.Sprintf("%+v", calls)
	})
	env.proxy.Reset()
}

func TestAnIdleCCMIsSilentAndWithoutCacheOnlyReads(t *testing.T) {
	m := newMachine(t, "idle")
	m.eventually("network ready", networkReady)
	newShop(t, "idle").open()
	quiet(t)
	began := time.Now()
	observe(t, 12, m.stays())
	t.Logf("%d calls in %s, with a route list and a node status update every second", len(env.proxy.Calls()),
		time.Since(began).Round(time.Second))
	for _, call := range env.proxy.Calls() {
		if cacheMode() == "watch" || !call.Read() {
			t.Errorf("%+v", call)
		}
	}
}

// The number of nodes in the scale test; make bench takes 1000.
const scaleEnv = "MOCKCLOUD_E2E_NODES"

func TestScale_NodesInitialiseWithAtMostATenthOfAReadEach(t *testing.T) {
	count := 100
	if value := os.Getenv(scaleEnv); value != "" {
		var err error
		if count, err = strconv.Atoi(value); err != nil || count < 1 {
			t.Fatalf("%s=%q is no number of nodes", scaleEnv, value)
		}
	}
	s := newShop(t, "scale")
	s.open()
	quiet(t)
	name := "scale"
	instances, err := env.cloud.CreateInstances(t.Context(), api.InstanceCreate{Name: &name}, count)
	if err != nil || len(instances) != count {
		t.Fatalf("%d instances, %v", len(instances), err)
	}
	caughtUp(t)
	began := time.Now()
	var machines []*machine
	for _, instance := range instances {
		machines = append(machines, machineOf(t, instance))
	}
	registered := time.Since(began)
	testserver.Eventually(t, time.Duration(count)*time.Second/4+time.Minute, "all nodes initialised, with routes", func() (bool, string) {
		nodes, err := env.kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		initialised, routed := 0, 0
		for i := range nodes.Items {
			if nodes.Items[i].Spec.ProviderID != "" && !tainted(&nodes.Items[i], cloudproviderapi.TaintExternalCloudProvider) {
				initialised++
			}
			if networkReady(&nodes.Items[i]) {
				routed++
			}
		}
		return initialised == count && routed == count, fmt.Sprintf("%d initialised, %d with routes", initialised, routed)
	})
	took := time.Since(began)
	s.wantTargets(machines...)
	reads, writes := 0, map[string]int{}
	var slowest testserver.Call
	for _, call := range env.proxy.Calls() {
		if call.Took > slowest.Took {
			slowest = call
		}
		if call.Read() {
			reads++
			t.Logf("read: %+v", call)
		} else {
			collection, _, _ := strings.Cut(strings.TrimPrefix(call.Path, "/v1/"), "/")
			writes[call.Method+" "+collection]++
		}
	}
	t.Logf("%d nodes: registered after %s, initialised and routed after %s; %d reads (%.3f per node), writes %v, "+
		"the slowest %s %s in %s", count, registered.Round(time.Millisecond), took.Round(time.Millisecond), reads, float64(reads)/float64(count), writes,
		slowest.Method, slowest.Path, slowest.Took.Round(time.Millisecond))
	if cacheMode() == "watch" && float64(reads) > 0.1*float64(count) {
		t.Errorf("%d reads for %d nodes, want at most %d", reads, count, count/10)
	}
	if writes["POST routes"] != count {
		t.Errorf("%d routes created for %d nodes", writes["POST routes"], count)
	}
}
