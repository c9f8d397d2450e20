// Package bugs orders the misfortunes behind bugs that cloud-controller-managers had in the wild, with fault rules of the cloud and
// nothing else, and shows what the provider makes of them. Each test is named after its class, B1 to B20. Where the cloud
// lies in a way that no provider can see through, the test says what comes of it: such are the bugs that a
// controller has to be built against.
package bugs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/cloud-provider/node/helpers"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/provider"
	"mockcloud.dev/ccm-plugin/providerid"
	"mockcloud.dev/ccm-plugin/testserver"
)

// Bounds for what ends by itself; wide enough for a machine that is busy with something else.
const (
	patience     = 30 * time.Second
	callPatience = 15 * time.Second
)

// world is a cloud on a manual clock, and a provider on it. The tests themselves ask the cloud as "tests", so rules can tell them from
// the provider.
type world struct {
	*testing.T
	mode     string
	server   *testserver.Server
	cloud    *client.Client
	provider *provider.Provider
}

// inBothModes runs the case without a cache and with one, each on a cloud of its own.
func inBothModes(t *testing.T, run func(w *world)) {
	for _, mode := range []string{"none", "watch"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			run(newWorld(t, mode))
		})
	}
}

func newWorld(t *testing.T, mode string) *world {
	t.Helper()
	w := &world{T: t, mode: mode, server: testserver.Start(t, testserver.Options{})}
	w.cloud = w.server.Client
	w.restart()
	return w
}

// restart begins with another provider on the same cloud, as the next controller would.
func (w *world) restart() {
	w.Helper()
	w.restartWith(func(*provider.Config) {})
}

func (w *world) restartWith(change func(*provider.Config)) {
	w.Helper()
	config := provider.Config{Endpoint: w.server.URL, Token: w.server.Token, Cluster: "bugs", Network: "default", Cache: w.mode}
	config.RequestTimeout.Duration = callPatience
	config.RetryInterval.Duration = 500 * time.Millisecond
	config.DeleteWait.Duration = 300 * time.Millisecond
	change(&config)
	p, err := provider.New(config)
	w.must(err)
	stop := make(chan struct{})
	w.Cleanup(func() { close(stop) })
	p.Initialize(nil, stop)
	w.provider = p
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// object saves the line that a fault's JSON would otherwise take.
type object map[string]any

// fault adds a rule for the provider's calls; the function removes it again.
func (w *world) fault(operations []string, effect object, more ...object) (remove func()) {
	w.Helper()
	match := object{"operations": operations}
	rule := object{"match": match, "effect": effect}
	for _, extra := range more {
		for key, value := range extra {
			if key == "when" {
				rule[key] = value
			} else {
				match[key] = value
			}
		}
	}
	id := w.sim(http.MethodPost, "/sim/v1/faults", rule)["id"].(string)
	return func() { w.sim(http.MethodDelete, "/sim/v1/faults/"+id, nil) }
}

var providersOnly = object{"caller": object{"user_agent": "mockcloud-ccm*"}}

func times(n int) object { return object{"when": object{"times": n}} }

func (w *world) sim(method, path string, body any) map[string]any {
	w.Helper()
	var payload bytes.Buffer
	if body != nil {
		w.must(json.NewEncoder(&payload).Encode(body))
	}
	request, err := http.NewRequestWithContext(context.Background(), method, w.server.URL+path, &payload)
	w.must(err)
	request.Header.Set("Authorization", "Bearer "+w.server.Token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	w.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	w.must(err)
	if response.StatusCode >= 300 {
		w.Fatalf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
	answer := map[string]any{}
	if len(text) > 0 {
		w.must(json.Unmarshal(text, &answer))
	}
	return answer
}

func (w *world) instance(name string) api.Instance {
	w.Helper()
	instance, err := w.cloud.CreateInstance(w.Context(), api.InstanceCreate{Name: &name})
	w.must(err)
	return instance
}

func (w *world) terminate(instance api.Instance) {
	w.Helper()
	_, err := w.cloud.TerminateInstance(w.Context(), instance.Id)
	w.must(err)
}

func (w *world) advance(by string) {
	w.Helper()
	_, err := w.cloud.AdvanceClock(w.Context(), by)
	w.must(err)
}

func (w *world) instances() cloudprovider.InstancesV2 {
	v2, _ := w.provider.InstancesV2()
	return v2
}

func (w *world) eventually(what string, ok func() (bool, string)) {
	w.Helper()
	testserver.Eventually(w, patience, what, ok)
}

// exists waits until the provider says so: with the cache an event may still be on its way.
func (w *world) exists(node *corev1.Node, want bool) {
	w.Helper()
	w.eventually(fmt.Sprintf("InstanceExists(%s) = %v", node.Name, want), func() (bool, string) {
		got, err := w.instances().InstanceExists(w.Context(), node)
		return got == want && err == nil, fmt.Sprintf("%v, %v", got, err)
	})
}

func nodeOf(instance api.Instance) *corev1.Node {
	return nodeNamed(instance.Name, providerid.Format(instance.Zone, instance.Id))
}

func nodeNamed(name, providerID string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)},
		Spec: corev1.NodeSpec{ProviderID: providerID}}
}

// --- the classes ---

func TestB3_NoFailureOfTheCloudMakesAnInstanceAbsent(t *testing.T) {
	effects := map[string]object{
		"500":       {"error": object{"status": 500}},
		"503":       {"error": object{"status": 503, "retry_after": "1s"}},
		"throttled": {"throttle": object{"rate": 1, "burst": 1, "clock": "real"}},
		"hang":      {"hang": object{"at_most": "20s"}},
		"reset":     {"reset": object{}},
		"truncated": {"truncate": object{"bytes": 10}},
	}
	for name, effect := range effects {
		t.Run(name, func(t *testing.T) {
			inBothModes(t, func(w *world) {
				present, gone := w.instance("present"), w.instance("gone")
				w.exists(nodeOf(present), true)
				w.terminate(gone)
				w.exists(nodeOf(gone), false)
				remove := w.fault([]string{"instances.*"}, effect, providersOnly)
				asked := 0
				for range 4 {
					ctx, cancel := context.WithTimeout(w.Context(), 700*time.Millisecond)
					for _, node := range []*corev1.Node{nodeOf(present), nodeNamed("present", "")} {
						if exists, err := w.instances().InstanceExists(ctx, node); !exists && err == nil {
							w.Fatalf("%s: absent without an error", name)
						}
						asked++
					}
					cancel()
				}
				if asked == 0 {
					w.Fatal("nothing was asked")
				}
				remove()
				w.exists(nodeOf(present), true)
			})
		})
	}
}

// The lifecycle controller deletes a node whose instance "does not exist", however young it is. An eventually consistent cloud says
// that of every new one; a provider that asks directly believes it. The cache has seen it in the event stream and knows better.
func TestB4_ANewInstanceThatIsNotSeenYetCostsItsNodeUnlessTheCacheKnowsBetter(t *testing.T) {
	inBothModes(t, func(w *world) {
		w.exists(nodeOf(w.instance("old")), true)
		w.advance("1m")
		w.fault([]string{"instances.*"}, object{"hide_new": object{"for": "20s"}})
		young := nodeOf(w.instance("young"))
		w.exists(young, w.mode == "watch")
		if w.mode == "none" {
			if _, err := w.instances().InstanceMetadata(w.Context(), young); !errors.Is(err, cloudprovider.InstanceNotFound) {
				w.Fatalf("metadata: %v, want InstanceNotFound", err)
			}
		}
		w.advance("20s")
		w.exists(young, true)
	})
}

// "Not found" has to arrive as false, and as nothing else: an error keeps the node of a dead instance for ever. And a failure
// that only looks like one (a 404 of something in between) must not arrive as false.
func TestB5_NotFoundIsFalseAndAFailureIsNotNotFound(t *testing.T) {
	inBothModes(t, func(w *world) {
		gone := w.instance("gone")
		w.exists(nodeOf(gone), true)
		w.terminate(gone)
		w.advance("2m") // the cloud has forgotten it
		w.exists(nodeOf(gone), false)
		remove := w.fault([]string{"instances.get"}, object{"error": object{"status": 503}}, providersOnly)
		if exists, err := w.instances().InstanceExists(w.Context(), nodeOf(gone)); err == nil {
			w.Fatalf("exists %v without an error while the cloud cannot be asked", exists)
		}
		remove()
		w.exists(nodeOf(gone), false)
	})
}

func TestB6_ATerminatedInstanceThatLingersIsAbsentAndAStoppedOneIsNot(t *testing.T) {
	inBothModes(t, func(w *world) {
		w.fault([]string{"instance.terminated"}, object{"stuck_transition": object{}})
		lingering, stopped := w.instance("lingering"), w.instance("stopped")
		w.exists(nodeOf(lingering), true)
		w.terminate(lingering)
		w.fault([]string{"*"}, object{"zone_outage": object{"zone": stopped.Zone}})
		w.advance("24h")
		seen, err := w.cloud.Instance(w.Context(), lingering.Id)
		w.must(err)
		if seen.State != api.InstanceStateTerminated {
			w.Fatalf("it is %s: the case is about one that lingers", seen.State)
		}
		w.exists(nodeOf(lingering), false)
		w.exists(nodeOf(stopped), true)
		w.eventually("shut down", func() (bool, string) {
			down, err := w.instances().InstanceShutdown(w.Context(), nodeOf(stopped))
			return down && err == nil, fmt.Sprintf("%v, %v", down, err)
		})
	})
}

// A stale answer shows the dead as living; when it has caught up, it does not any more.
func TestB6_AStaleAnswerKeepsATerminatedInstanceAliveForAsLongAsItLags(t *testing.T) {
	w := newWorld(t, "none")
	w.fault([]string{"instances.*"}, object{"stale_read": object{"lag": "30s"}}, providersOnly)
	doomed := w.instance("doomed")
	w.advance("1m")
	w.terminate(doomed)
	w.exists(nodeOf(doomed), true)
	w.advance("30s")
	w.exists(nodeOf(doomed), false)
}

// The provider id of a node never changes. While lists lag, a lookup by name finds the instance that had the name before.
func TestB7_AStaleListGivesANewNodeTheProviderIDOfTheOldInstance(t *testing.T) {
	w := newWorld(t, "none")
	old := w.instance("node-1")
	w.advance("1m")
	remove := w.fault([]string{"instances.list"}, object{"stale_read": object{"lag": "30s"}}, providersOnly)
	w.terminate(old)
	replacement := w.instance("node-1")
	data, err := w.instances().InstanceMetadata(w.Context(), nodeNamed("node-1", ""))
	w.must(err)
	if data.ProviderID != providerid.Format(old.Zone, old.Id) {
		w.Fatalf("provider id %s: the case is about that of the old instance", data.ProviderID)
	}
	w.exists(nodeNamed("node-1", data.ProviderID), false) // a node with that id is doomed
	remove()
	data, err = w.instances().InstanceMetadata(w.Context(), nodeNamed("node-1", ""))
	w.must(err)
	if data.ProviderID != providerid.Format(replacement.Zone, replacement.Id) {
		w.Fatalf("provider id %s, want that of the new instance", data.ProviderID)
	}
}

// The provider id of a node never changes, so what no provider could read again must not become one.
func TestB7_AnIDThatNobodyCouldReadDoesNotBecomeAProviderID(t *testing.T) {
	inBothModes(t, func(w *world) {
		instance := w.instance("node-1")
		remove := w.fault([]string{"instances.*"}, object{"wrong_answer": object{"what": "malformed_ids"}}, providersOnly)
		w.restart()
		data, err := w.instances().InstanceMetadata(w.Context(), nodeNamed("node-1", ""))
		if err == nil {
			_, err = providerid.Parse(data.ProviderID)
			w.Fatalf("the node would have %s for good: %v", data.ProviderID, err)
		}
		remove()
		w.restart()
		data, err = w.instances().InstanceMetadata(w.Context(), nodeNamed("node-1", ""))
		w.must(err)
		if data.ProviderID != providerid.Format(instance.Zone, instance.Id) {
			w.Fatalf("provider id %s", data.ProviderID)
		}
	})
}

func (w *world) routes() cloudprovider.Routes {
	routes, _ := w.provider.Routes()
	return routes
}

// The controller creates what a stale list does not show. The cloud refuses the second one; that has to end as success, not in a storm.
func TestB15_ARouteThatAStaleListDoesNotShowIsCreatedOnce(t *testing.T) {
	w := newWorld(t, "none")
	w.instance("node-1")
	route := &cloudprovider.Route{TargetNode: "node-1", DestinationCIDR: "10.1.0.0/24"}
	w.must(w.routes().CreateRoute(w.Context(), "kubernetes", "uid-1", route))
	w.fault([]string{"routes.list"}, object{"stale_read": object{"revisions": 1}}, providersOnly, times(1))
	listed, err := w.routes().ListRoutes(w.Context(), "kubernetes")
	w.must(err)
	if len(listed) != 0 {
		w.Fatalf("%d routes: the case is about a list that does not show it", len(listed))
	}
	w.must(w.routes().CreateRoute(w.Context(), "kubernetes", "uid-1", route))
	w.wantRoutes(1)
}

// As long as even the list that is to settle the matter is stale, it is an error each time, never a second route.
func TestB15_WhileListsStayStaleItIsAnErrorAndNeverASecondRoute(t *testing.T) {
	w := newWorld(t, "none")
	w.instance("node-1")
	route := &cloudprovider.Route{TargetNode: "node-1", DestinationCIDR: "10.1.0.0/24"}
	remove := w.fault([]string{"routes.list"}, object{"hide_new": object{"for": "1h"}}, providersOnly)
	w.must(w.routes().CreateRoute(w.Context(), "kubernetes", "uid-1", route))
	for range 3 {
		if err := w.routes().CreateRoute(w.Context(), "kubernetes", "uid-1", route); err == nil {
			w.Fatal("the conflict was taken for success without having seen whose route it is")
		}
	}
	w.wantRoutes(1)
	remove()
	w.must(w.routes().CreateRoute(w.Context(), "kubernetes", "uid-1", route))
}

func (w *world) wantRoutes(want int) {
	w.Helper()
	all, _, err := w.cloud.Routes(w.Context(), client.Filter{})
	w.must(err)
	if len(all) != want {
		w.Fatalf("%d routes, want %d", len(all), want)
	}
}

func TestB16_OneNodeThatTheCloudDoesNotShowDoesNotKeepALoadBalancerFromItsOthers(t *testing.T) {
	w := newWorld(t, "none")
	var nodes []*corev1.Node
	var good []string
	for i := range 3 {
		instance := w.instance(fmt.Sprintf("node-%d", i))
		nodes = append(nodes, nodeOf(instance))
		if i != 1 {
			good = append(good, instance.Id)
		}
	}
	w.fault([]string{"instances.*"}, object{"hide_new": object{"for": "1h"}}, providersOnly,
		object{"resource": object{"name": "node-1"}})
	nodes = append(nodes, nodeNamed("uninitialised", ""))
	_, err := w.ensure(nodes...)
	w.must(err)
	pools, _, err := w.cloud.TargetPools(w.Context(), client.Filter{})
	w.must(err)
	if len(pools) != 1 {
		w.Fatalf("%d target pools", len(pools))
	}
	seen := map[string]bool{}
	for _, target := range pools[0].Targets {
		seen[*target.InstanceId] = true
	}
	for _, id := range good {
		if !seen[id] {
			w.Errorf("%s is no target", id)
		}
	}
}

// The copy has not heard yet that one of them has gone: what the cloud itself says decides, whoever has given the nodes their ids.
func TestB16_ANodeWhoseEndIsStillOnItsWayDoesNotKeepALoadBalancerFromItsOthers(t *testing.T) {
	for _, form := range []string{"mockcloud", "kind"} {
		t.Run(form, func(t *testing.T) {
			w := newWorld(t, "watch")
			good, doomed := w.instance("good"), w.instance("doomed")
			w.live()
			w.fault([]string{"*"}, object{"stream_lag": object{"by": "1h"}}, providersOnly)
			w.terminate(doomed)
			nodes := []*corev1.Node{nodeOf(good), nodeOf(doomed)}
			if form == "kind" {
				nodes = []*corev1.Node{nodeNamed("good", "kind://docker/c/good"), nodeNamed("doomed", "kind://docker/c/doomed")}
			}
			_, err := w.ensure(nodes...)
			w.must(err)
			if _, pool := w.only(); len(pool.Targets) != 1 || *pool.Targets[0].InstanceId != good.Id {
				w.Fatalf("targets %+v, want %s alone", pool.Targets, good.Id)
			}
		})
	}
}

// live waits until the copy answers.
func (w *world) live() {
	w.Helper()
	w.eventually("the copy answers", func() (bool, string) { return w.provider.Cloud().Live(), "it does not" })
}

// The kubelet's --node-ip has to be among the cloud's addresses, or upstream leaves the node tainted.
func TestB17_ANodeIPThatTheCloudDoesNotGiveKeepsTheNodeFromInitialising(t *testing.T) {
	for _, what := range []string{"addresses_wrong", "addresses_missing"} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, "none")
			instance := w.instance("node-1")
			node := nodeOf(instance)
			ip := instance.Addresses[0].Address
			remove := w.fault([]string{"instances.*"}, object{"wrong_answer": object{"what": what}}, providersOnly)
			data, err := w.instances().InstanceMetadata(w.Context(), node)
			w.must(err)
			if _, err := helpers.GetNodeAddressesFromNodeIP(ip, data.NodeAddresses); err == nil {
				w.Fatalf("%s was found in %v", ip, data.NodeAddresses)
			}
			remove()
			data, err = w.instances().InstanceMetadata(w.Context(), node)
			w.must(err)
			if _, err := helpers.GetNodeAddressesFromNodeIP(ip, data.NodeAddresses); err != nil {
				w.Fatal(err)
			}
		})
	}
}
