package provider_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/internal/contracttest"
	"mockcloud.dev/ccm-plugin/internal/fakecloud"
	"mockcloud.dev/ccm-plugin/provider"
)

// TestContractOnLocalServer runs what package contract runs against the real server.
func TestContractOnLocalServer(t *testing.T) {
	contracttest.Run(t, func(t *testing.T) contracttest.Backend {
		server := httptest.NewServer(fakecloud.New())
		t.Cleanup(server.CloseClientConnections)
		return contracttest.Backend{URL: server.URL, Token: "fake"}
	})
}

func TestALoadBalancerThatHasFailedIsRepairedWithItsAddress(t *testing.T) {
	fake := fakecloud.New()
	server := httptest.NewServer(fake)
	defer server.Close()
	p, err := provider.New(provider.Config{Endpoint: server.URL, Token: "fake", Cluster: "c", Cache: "none"})
	if err != nil {
		t.Fatal(err)
	}
	cloud, err := client.New(client.Config{Endpoint: server.URL, Token: "fake"})
	if err != nil {
		t.Fatal(err)
	}
	balancers, _ := p.LoadBalancer()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "1"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80, NodePort: 30080}}}}
	before, err := balancers.EnsureLoadBalancer(t.Context(), "", service, nil)
	if err != nil {
		t.Fatal(err)
	}
	fail := func() {
		all, _, err := cloud.LoadBalancers(t.Context(), client.Filter{})
		if err != nil || len(all) != 1 {
			t.Fatalf("%d load balancers, %v", len(all), err)
		}
		fake.Fail(all[0].Id)
	}

	fail()
	after, err := balancers.EnsureLoadBalancer(t.Context(), "", service, nil)
	if err != nil || len(after.Ingress) != 1 || after.Ingress[0].IP != before.Ingress[0].IP {
		t.Fatalf("%+v became %+v, %v", before, after, err)
	}

	if err := cloud.SetLatency(t.Context(), "load_balancer.updating", "10s"); err != nil {
		t.Fatal(err)
	}
	fail()
	if _, err := balancers.EnsureLoadBalancer(t.Context(), "", service, nil); err == nil || !strings.Contains(err.Error(), "provisioning-failed") {
		t.Fatalf("%v, want an error with the reason", err)
	}
	if _, err := cloud.AdvanceClock(t.Context(), "10s"); err != nil {
		t.Fatal(err)
	}
	if after, err = balancers.EnsureLoadBalancer(t.Context(), "", service, nil); err != nil || after.Ingress[0].IP != before.Ingress[0].IP {
		t.Fatalf("%+v became %+v, %v", before, after, err)
	}
}
