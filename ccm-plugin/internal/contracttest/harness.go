// Package contracttest calls the provider through cloudprovider's interfaces, without a controller. The same cases run against the
// fake cloud (package provider) and against the real server (package contract), each with and without the cache.
package contracttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cloudprovider "k8s.io/cloud-provider"
	cloudapi "k8s.io/cloud-provider/api"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/provider"
	"mockcloud.dev/ccm-plugin/providerid"
	"mockcloud.dev/ccm-plugin/testserver"
)

// Backend is an empty cloud with a manual clock.
type Backend struct {
	URL   string
	Token string // scope sim
}

// Cluster is the cluster id of the provider under test.
const Cluster = "cluster-1"

// Bounds for what ends by itself; wide enough for a machine that is busy with something else.
const (
	eventPatience = 30 * time.Second
	callPatience  = 15 * time.Second
)

// Run runs every case in both cache modes, each on a cloud of its own.
func Run(t *testing.T, newBackend func(t *testing.T) Backend) {
	count := 0
	for _, mode := range []string{"none", "watch"} {
		for _, suite := range [][]testCase{instanceCases, balancerCases, routeCases, cacheCases} {
			for _, c := range suite {
				if c.mode != "" && c.mode != mode {
					continue
				}
				count++
				t.Run(mode+"/"+c.name, func(t *testing.T) {
					t.Parallel()
					c.run(newHarness(t, newBackend(t), provider.Config{Cache: mode}))
				})
			}
		}
	}
	t.Logf("%d cases", count)
	if count == 0 {
		t.Fatal("no case ran")
	}
}

type testCase struct {
	name string
	mode string // empty: both
	run  func(h *harness)
}

// harness is one provider, a proxy between it and the cloud, and a client that goes past the proxy.
type harness struct {
	*testing.T
	cloud    *client.Client
	proxy    *testserver.Proxy
	backend  Backend
	mode     string
	provider cloudprovider.Interface
}

func newHarness(t *testing.T, backend Backend, config provider.Config) *harness {
	t.Helper()
	direct, err := client.New(client.Config{Endpoint: backend.URL, Token: backend.Token})
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{T: t, cloud: direct, backend: backend, mode: config.Cache, proxy: testserver.NewProxy(t, backend.URL)}
	h.provider = h.newProvider(config)
	return h
}

// newProvider starts another provider on the same cloud, as a restart of the controller does.
func (h *harness) newProvider(config provider.Config) cloudprovider.Interface {
	h.Helper()
	config.Endpoint, config.Token = h.proxy.URL, h.backend.Token
	if config.Cluster == "" {
		config.Cluster = Cluster
	}
	config.Network = "default"
	config.RequestTimeout.Duration = callPatience
	config.RetryInterval.Duration = 700 * time.Millisecond
	config.DeleteWait.Duration = 300 * time.Millisecond
	p, err := provider.New(config)
	if err != nil {
		h.Fatal(err)
	}
	stop := make(chan struct{})
	h.Cleanup(func() { close(stop) })
	p.Initialize(nil, stop)
	return p
}

func (h *harness) ctx() context.Context { return h.Context() }

func (h *harness) instancesV2() cloudprovider.InstancesV2 {
	v2, supported := h.provider.InstancesV2()
	if !supported {
		h.Fatal("InstancesV2 is not supported")
	}
	return v2
}

func (h *harness) balancers() cloudprovider.LoadBalancer {
	b, supported := h.provider.LoadBalancer()
	if !supported {
		h.Fatal("LoadBalancer is not supported")
	}
	return b
}

func (h *harness) routes() cloudprovider.Routes {
	r, supported := h.provider.Routes()
	if !supported {
		h.Fatal("Routes is not supported")
	}
	return r
}

func (h *harness) instance(name string) api.Instance {
	h.Helper()
	return h.instanceWith(api.InstanceCreate{Name: &name})
}

func (h *harness) instanceWith(body api.InstanceCreate) api.Instance {
	h.Helper()
	instance, err := h.cloud.CreateInstance(h.ctx(), body)
	h.must(err)
	return instance
}

func (h *harness) terminate(instance api.Instance) {
	h.Helper()
	_, err := h.cloud.TerminateInstance(h.ctx(), instance.Id)
	h.must(err)
}

func (h *harness) advance(by string) {
	h.Helper()
	_, err := h.cloud.AdvanceClock(h.ctx(), by)
	h.must(err)
}

func (h *harness) latency(transition, value string) {
	h.Helper()
	h.must(h.cloud.SetLatency(h.ctx(), transition, value))
}

func (h *harness) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *harness) eventually(what string, ok func() (bool, string)) {
	h.Helper()
	testserver.Eventually(h, eventPatience, what, ok)
}

// wantExists waits for the answer: with the cache, an event may still be on its way.
func (h *harness) wantExists(node *corev1.Node, want bool) {
	h.Helper()
	h.eventually(fmt.Sprintf("InstanceExists(%s) = %v", node.Name, want), func() (bool, string) {
		got, err := h.instancesV2().InstanceExists(h.ctx(), node)
		return got == want && err == nil, fmt.Sprintf("%v, %v", got, err)
	})
}

func (h *harness) wantShutdown(node *corev1.Node, want bool) {
	h.Helper()
	h.eventually(fmt.Sprintf("InstanceShutdown(%s) = %v", node.Name, want), func() (bool, string) {
		got, err := h.instancesV2().InstanceShutdown(h.ctx(), node)
		return got == want && err == nil, fmt.Sprintf("%v, %v", got, err)
	})
}

func nodeOf(instance api.Instance) *corev1.Node {
	return nodeNamed(instance.Name, providerid.Format(instance.Zone, instance.Id))
}

func nodeNamed(name, providerID string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: providerID}}
}

func (h *harness) nodes(count int) []*corev1.Node {
	h.Helper()
	var nodes []*corev1.Node
	for i := range count {
		nodes = append(nodes, nodeOf(h.instance(fmt.Sprintf("node-%d", i+1))))
	}
	return nodes
}

// service has one TCP port; mutate makes it what a case needs.
func service(name string, mutate ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", UID: types.UID("0000-" + name), Annotations: map[string]string{}},
		Spec: corev1.ServiceSpec{
			Type:       corev1.ServiceTypeLoadBalancer,
			IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Ports:      []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, NodePort: 30080}},
		},
	}
	for _, change := range mutate {
		change(s)
	}
	return s
}

func (h *harness) ensure(s *corev1.Service, nodes []*corev1.Node) *corev1.LoadBalancerStatus {
	h.Helper()
	status, err := h.balancers().EnsureLoadBalancer(h.ctx(), "kubernetes", s, nodes)
	h.must(err)
	if status == nil {
		h.Fatal("nil status without an error")
	}
	return status
}

func (h *harness) delete(s *corev1.Service) {
	h.Helper()
	h.must(h.balancers().EnsureLoadBalancerDeleted(h.ctx(), "kubernetes", s))
}

func (h *harness) wantGet(s *corev1.Service, want bool) {
	h.Helper()
	status, got, err := h.balancers().GetLoadBalancer(h.ctx(), "kubernetes", s)
	h.must(err)
	if got != want || (want && status == nil) {
		h.Fatalf("GetLoadBalancer: %v, exists %v; want %v", status, got, want)
	}
}

func (h *harness) wantRetry(err error) {
	h.Helper()
	var retry *cloudapi.RetryError
	if !errors.As(err, &retry) {
		h.Fatalf("got %v, want a RetryError", err)
	}
	if retry.RetryAfter() != 700*time.Millisecond {
		h.Fatalf("retry after %s, want the configured 700ms", retry.RetryAfter())
	}
}

func (h *harness) onlyBalancer() api.LoadBalancer {
	h.Helper()
	all, _, err := h.cloud.LoadBalancers(h.ctx(), client.Filter{})
	h.must(err)
	if len(all) != 1 {
		h.Fatalf("%d load balancers, want 1", len(all))
	}
	return all[0]
}

func (h *harness) onlyPool() api.TargetPool {
	h.Helper()
	all, _, err := h.cloud.TargetPools(h.ctx(), client.Filter{})
	h.must(err)
	if len(all) != 1 {
		h.Fatalf("%d target pools, want 1", len(all))
	}
	return all[0]
}

// wantParts counts load balancers, pools and reserved addresses.
func (h *harness) wantParts(balancers, pools, addresses int) {
	h.Helper()
	b, _, err := h.cloud.LoadBalancers(h.ctx(), client.Filter{})
	h.must(err)
	p, _, err := h.cloud.TargetPools(h.ctx(), client.Filter{})
	h.must(err)
	a, _, err := h.cloud.Addresses(h.ctx(), client.Filter{})
	h.must(err)
	if len(b) != balancers || len(p) != pools || len(a) != addresses {
		h.Fatalf("%d load balancers, %d pools, %d addresses; want %d, %d, %d", len(b), len(p), len(a), balancers, pools, addresses)
	}
}

func (h *harness) targets() []string {
	h.Helper()
	ids := []string{}
	for _, target := range h.onlyPool().Targets {
		ids = append(ids, *target.InstanceId)
	}
	return ids
}

// writes lists what the provider has changed since the last reset.
func (h *harness) writes() []string {
	var writes []string
	for _, call := range h.proxy.Calls() {
		if !call.Read() {
			writes = append(writes, call.Method+" "+call.Path)
		}
	}
	return writes
}

func (h *harness) wantNoWrites(do func()) {
	h.Helper()
	h.proxy.Reset()
	do()
	if writes := h.writes(); len(writes) > 0 {
		h.Fatalf("it writes: %s", strings.Join(writes, ", "))
	}
	if h.mode == "none" && len(h.proxy.Calls()) == 0 {
		h.Fatal("it did not even read") // the check would prove nothing
	}
}

func ptr[T any](value T) *T { return &value }
