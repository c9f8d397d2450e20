package bugs

import (
	"net/http"
	"net/url"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
)

const callLog = "/sim/v1/calls/counters"

// calls counts the provider's calls of these operations, by the cloud's own log.
func (w *world) calls(operations string) int {
	w.Helper()
	query := url.Values{"caller": {"mockcloud-ccm*"}, "operation": {operations}}
	return int(w.sim(http.MethodGet, callLog+"?"+query.Encode(), nil)["total"].(float64))
}

func (w *world) forgetCalls() { w.sim(http.MethodDelete, callLog, nil) }

// A node of another cloud must not be taken for one whose instance is gone, or it is deleted: not even while our cloud says "not found" to
// whatever it is asked. It need not be asked at all.
func TestB8_ANodeOfAnotherCloudIsAnErrorAndNeverAbsent(t *testing.T) {
	inBothModes(t, func(w *world) {
		own := w.instance("node-1")
		w.exists(nodeOf(own), true)
		w.fault([]string{"instances.get"}, object{"error": object{"status": 404}}, providersOnly)
		w.forgetCalls()
		for _, id := range []string{"aws:///eu-west-1a/i-0123", "openstack:///" + own.Id, "MOCKCLOUD://" + own.Zone + "/" + own.Id, own.Id} {
			node := nodeNamed("node-1", id)
			if exists, err := w.instances().InstanceExists(w.Context(), node); err == nil {
				w.Errorf("%s: exists %v without an error", id, exists)
			}
			if down, err := w.instances().InstanceShutdown(w.Context(), node); err == nil {
				w.Errorf("%s: shut down %v without an error", id, down)
			}
			if data, err := w.instances().InstanceMetadata(w.Context(), node); err == nil {
				w.Errorf("%s: metadata %+v without an error", id, data)
			}
		}
		if asked := w.calls("instances.get"); asked != 0 {
			w.Errorf("our cloud was asked %d times about instances of another", asked)
		}
	})
}

// Upstream keeps the finalizer for as long as Get fails: "not found" has to arrive as exists=false and no error. Where the cloud could
// not be asked it has to be an error all the same, or the finalizer goes and the balancer stays. A list that is answered 404 is such a
// failure: there is always a list.
func TestB10_NotFoundIsNoErrorOfGetAndAFailureIsNotNotFound(t *testing.T) {
	inBothModes(t, func(w *world) {
		w.absent()
		w.must(w.delete())

		_, err := w.ensure(nodeOf(w.instance("node-1")))
		w.must(err)
		for _, status := range []int{404, 500} {
			remove := w.fault([]string{"load_balancers.list", "target_pools.list"}, object{"error": object{"status": status}}, providersOnly)
			if _, exists, err := w.balancers().GetLoadBalancer(w.Context(), "kubernetes", webService()); err == nil {
				w.Fatalf("exists %v without an error while lists are answered %d", exists, status)
			}
			if err := w.delete(); err == nil {
				w.Fatalf("deleted while lists are answered %d", status)
			}
			remove()
			w.wantParts(1, 1)
		}
		// It goes between the look and the deletion.
		w.fault([]string{"load_balancers.delete", "target_pools.delete"}, object{"half_applied": object{"reply": "error", "status": 404}},
			providersOnly)
		w.must(w.delete())
		w.wantParts(0, 0)
		w.absent()
	})
}

func (w *world) absent() {
	w.Helper()
	if w.shown() {
		w.Fatal("what does not exist is shown")
	}
}

// Somebody deletes the balancer, then its pool as well. The next ensure makes what is missing, once: those after it write nothing.
func TestB13_ALoadBalancerThatSomebodyDeletedIsMadeAgainOnce(t *testing.T) {
	inBothModes(t, func(w *world) {
		node := nodeOf(w.instance("node-1"))
		for _, poolToo := range []bool{false, true} {
			_, err := w.ensure(node)
			w.must(err)
			old, pool := w.only()
			_, err = w.cloud.DeleteLoadBalancer(w.Context(), old.Id)
			w.must(err)
			if poolToo {
				w.must(w.cloud.DeleteTargetPool(w.Context(), pool.Id))
			}
			w.forgetCalls()
			for range 4 {
				status, err := w.ensure(node)
				w.must(err)
				if made, _ := w.only(); made.Id == old.Id || status.Ingress[0].IP != made.Addresses[0].Address {
					w.Fatalf("status %+v of %+v", status, made)
				}
			}
			if made := w.calls("load_balancers.create"); made != 1 {
				w.Fatalf("made %d times, want once", made)
			}
			if changes := w.calls("*.update") + w.calls("*.delete"); changes != 0 {
				w.Fatalf("%d changes of what was as it should be", changes)
			}
		}
	})
}

func (w *world) only() (api.LoadBalancer, api.TargetPool) {
	w.Helper()
	w.wantParts(1, 1)
	balancers, _, err := w.cloud.LoadBalancers(w.Context(), client.Filter{})
	w.must(err)
	pools, _, err := w.cloud.TargetPools(w.Context(), client.Filter{})
	w.must(err)
	return balancers[0], pools[0]
}

// foreign makes a balancer with a listener, and a pool with the instance as its target, that are not the provider's.
func (w *world) foreign(name string, tags api.Tags, target api.Instance) (api.LoadBalancer, api.TargetPool) {
	w.Helper()
	pool, err := w.cloud.CreateTargetPool(w.Context(), api.TargetPoolCreate{Name: &name, Tags: &tags,
		Targets: &[]api.TargetRef{{InstanceId: &target.Id}}})
	w.must(err)
	balancer, err := w.cloud.CreateLoadBalancer(w.Context(), api.LoadBalancerCreate{Name: &name, Tags: &tags,
		Listeners: &[]api.Listener{{Port: 80, Protocol: api.ProtocolTCP, TargetPoolId: pool.Id, TargetPort: 30080}}})
	w.must(err)
	return balancer, pool
}

func (w *world) wantUntouched(balancer api.LoadBalancer, pool api.TargetPool) {
	w.Helper()
	b, err := w.cloud.LoadBalancer(w.Context(), balancer.Id)
	w.must(err)
	p, err := w.cloud.TargetPool(w.Context(), pool.Id)
	w.must(err)
	if b.Revision != balancer.Revision || p.Revision != pool.Revision {
		w.Fatalf("%s became %+v, its pool %+v", balancer.Name, b, p)
	}
}

// Balancers of others have the same instances, the same ports, and even the name that ours would have.
func TestB14_ListenersAndTargetsOfOthersAreNotTouched(t *testing.T) {
	inBothModes(t, func(w *world) {
		first, second := w.instance("node-1"), w.instance("node-2")
		other := api.Tags{"mockcloud/cluster": "another", "mockcloud/service": "shop/web"}
		balancer, pool := w.foreign("by-hand", api.Tags{}, first)
		neighbour, neighbours := w.foreign("neighbour", other, first)
		_, err := w.ensure(nodeOf(first))
		w.must(err)
		w.must(w.balancers().UpdateLoadBalancer(w.Context(), "kubernetes", webService(), []*corev1.Node{nodeOf(second)}))
		w.wantParts(3, 3)
		w.must(w.delete())
		w.wantParts(2, 2)
		w.wantUntouched(balancer, pool)
		w.wantUntouched(neighbour, neighbours)

		namesake, namesakes := w.foreign(w.balancers().GetLoadBalancerName(w.Context(), "kubernetes", webService()), other, first)
		w.absent()
		if status, err := w.ensure(nodeOf(second)); err == nil {
			w.Fatalf("took somebody else's for its own: %+v", status)
		}
		w.must(w.delete())
		w.wantParts(3, 3)
		w.wantUntouched(namesake, namesakes)
	})
}
