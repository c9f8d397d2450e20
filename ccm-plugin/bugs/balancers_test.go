package bugs

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cloudprovider "k8s.io/cloud-provider"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/provider"
)

func webService() *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop", UID: "0000-web"},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, NodePort: 30080}}}}
}

func (w *world) balancers() cloudprovider.LoadBalancer {
	balancers, _ := w.provider.LoadBalancer()
	return balancers
}

func (w *world) ensure(nodes ...*corev1.Node) (*corev1.LoadBalancerStatus, error) {
	return w.balancers().EnsureLoadBalancer(w.Context(), "kubernetes", webService(), nodes)
}

func (w *world) delete() error {
	return w.balancers().EnsureLoadBalancerDeleted(w.Context(), "kubernetes", webService())
}

func (w *world) shown() bool {
	w.Helper()
	_, exists, err := w.balancers().GetLoadBalancer(w.Context(), "kubernetes", webService())
	w.must(err)
	return exists
}

// parts counts what there is in truth.
func (w *world) parts() (balancers, pools int) {
	w.Helper()
	b, _, err := w.cloud.LoadBalancers(w.Context(), client.Filter{})
	w.must(err)
	p, _, err := w.cloud.TargetPools(w.Context(), client.Filter{})
	w.must(err)
	return len(b), len(p)
}

func (w *world) wantParts(balancers, pools int) {
	w.Helper()
	if b, p := w.parts(); b != balancers || p != pools {
		w.Fatalf("%d load balancers and %d pools, want %d and %d", b, p, balancers, pools)
	}
}

// A part cannot be deleted at first. Until all of them are gone the balancer has to be shown, or the finalizer goes and the rest leaks;
// the provider that goes on may be another one: the first was killed.
func TestB1_B2_APartialDeleteIsShownAndFinishedByTheNextController(t *testing.T) {
	inBothModes(t, func(w *world) {
		_, err := w.ensure(nodeOf(w.instance("node-1")))
		w.must(err)
		w.wantParts(1, 1)
		remove := w.fault([]string{"target_pools.delete"}, object{"error": object{"status": 500}}, providersOnly)
		if err := w.delete(); err == nil {
			w.Fatal("deleted without an error while a part is left")
		}
		w.wantParts(0, 1)
		if !w.shown() {
			w.Fatal("what is half deleted is not shown: the rest would leak")
		}
		remove()
		w.restart()
		if !w.shown() {
			w.Fatal("the next controller does not see what is left")
		}
		w.must(w.delete())
		w.wantParts(0, 0)
		if w.shown() {
			w.Fatal("shown after the last part has gone")
		}
	})
}

// A balancer that takes for ever to go is shown all that time.
func TestB2_ABalancerThatIsStuckInDeletingIsShownUntilItIsGone(t *testing.T) {
	inBothModes(t, func(w *world) {
		_, err := w.ensure(nodeOf(w.instance("node-1")))
		w.must(err)
		remove := w.fault([]string{"load_balancer.deleting"}, object{"stuck_transition": object{}})
		for range 2 {
			if err := w.delete(); err == nil {
				w.Fatal("deleted without an error while it is there")
			}
			if !w.shown() {
				w.Fatal("not shown while it is there")
			}
		}
		remove()
		w.must(w.delete())
		w.wantParts(0, 0)
	})
}

// One whose making has failed is the Service's all the same: it is repaired, with its address, as soon as the cloud can.
func TestABalancerThatHasFailedIsRepaired(t *testing.T) {
	inBothModes(t, func(w *world) {
		node := nodeOf(w.instance("node-1"))
		remove := w.fault([]string{"load_balancer.*"}, object{"failed_transition": object{"code": "broken"}})
		for range 2 {
			if _, err := w.ensure(node); err == nil {
				w.Fatal("ensured although it fails")
			}
		}
		failed, _ := w.only()
		remove()
		w.eventually("repaired", func() (bool, string) {
			_, err := w.ensure(node)
			return err == nil, fmt.Sprint(err)
		})
		if repaired, _ := w.only(); repaired.Id != failed.Id || repaired.State != api.LoadBalancerStateActive {
			w.Fatalf("%+v became %+v", failed, repaired)
		}
	})
}

// The cloud has made it and the answer is lost: asked again, there is one, with the address that it had.
func TestB12_AnAnswerThatIsLostAfterTheCommitLeavesOneBalancerWithItsAddress(t *testing.T) {
	replies := map[string]object{
		"error":   {"reply": "error"},
		"drop":    {"reply": "drop"},
		"silence": {"reply": "silence", "at_most": "1m"},
	}
	for name, half := range replies {
		t.Run(name, func(t *testing.T) {
			inBothModes(t, func(w *world) {
				node := nodeOf(w.instance("node-1"))
				if name == "silence" {
					w.restartWith(func(c *provider.Config) { c.RequestTimeout.Duration = 4 * time.Second })
				}
				w.fault([]string{"load_balancers.create"}, object{"half_applied": half}, providersOnly, times(1))
				if _, err := w.ensure(node); err == nil && name != "drop" { // net/http repeats what has an Idempotency-Key
					w.Fatal("ensured although the answer was lost")
				}
				w.wantParts(1, 1)
				made, _, err := w.cloud.LoadBalancers(w.Context(), client.Filter{})
				w.must(err)
				w.eventually("ensured", func() (bool, string) {
					status, err := w.ensure(node)
					if err != nil {
						return false, err.Error()
					}
					return status.Ingress[0].IP == made[0].Addresses[0].Address, fmt.Sprint(status.Ingress)
				})
				w.wantParts(1, 1)
			})
		})
	}
}

// 429 with Retry-After: whoever asks the provider meanwhile is told to wait, and the cloud is not asked.
func TestB19_UnderThrottlingTheCloudIsNotAskedBeforeItsRetryAfter(t *testing.T) {
	inBothModes(t, func(w *world) {
		node := nodeOf(w.instance("node-1"))
		w.fault([]string{"load_balancers.*", "target_pools.*"}, object{"error": object{"status": 429, "retry_after": "1h"}},
			providersOnly)
		for range 20 {
			if _, err := w.ensure(node); err == nil {
				w.Fatal("ensured although the cloud refuses everything")
			}
		}
		id := w.sim(http.MethodGet, "/sim/v1/faults", nil)["items"].([]any)[0].(map[string]any)["id"].(string)
		fired := w.sim(http.MethodGet, "/sim/v1/faults/"+id+"/stats", nil)["fired"].(float64)
		if asked := int(fired); asked == 0 || asked > 4 {
			w.Fatalf("the cloud was asked %d times", asked)
		}
		w.wantParts(0, 0)
	})
}

// Lists that lag still show what is deleted: deleting it once more is no error, and nothing comes back.
func TestB20_WhatIsDeletedAndStillListedIsDeletedAgainWithoutHarm(t *testing.T) {
	w := newWorld(t, "none")
	_, err := w.ensure(nodeOf(w.instance("node-1")))
	w.must(err)
	w.advance("1m")
	w.fault([]string{"load_balancers.*", "target_pools.*"}, object{"stale_read": object{"lag": "30s"}}, providersOnly)
	w.must(w.delete())
	w.wantParts(0, 0)
	if !w.shown() {
		w.Fatal("the case is about a list that still shows it")
	}
	if err := w.delete(); err != nil {
		w.Logf("while lists lag: %v", err)
	}
	w.wantParts(0, 0)
	w.advance("30s")
	w.must(w.delete())
	if w.shown() {
		w.Fatal("it has come back")
	}
	w.wantParts(0, 0)
}
