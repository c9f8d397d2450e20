package nodes

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"mockcloud.dev/ccm-plugin/client/api"
)

const patience = 10 * time.Second

// quick makes heartbeats that a test can wait for.
func quick() Options {
	return Options{LeaseDuration: time.Second, RenewInterval: 5 * time.Millisecond, StatusInterval: time.Hour, Registrations: 4}
}

type fixture struct {
	*testing.T
	kube  *fake.Clientset
	fleet *Fleet
	ctx   context.Context
	stop  func() // ends the fleet and waits for it
}

func start(t *testing.T, options Options) *fixture {
	t.Helper()
	return startWith(t, options, fake.NewClientset())
}

// startWith takes a clientset whose reactors are set: they cannot be while it is in use.
func startWith(t *testing.T, options Options, kube *fake.Clientset) *fixture {
	t.Helper()
	f := &fixture{T: t, kube: kube}
	types := func(context.Context) ([]api.InstanceType, error) {
		return []api.InstanceType{{Name: "large", Cpus: 8, MemoryMib: 16384, MaxPods: 200}}, nil
	}
	fleet, err := NewFleet(f.kube, types, options, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var cancel context.CancelFunc
	f.ctx, cancel = context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { fleet.Run(f.ctx) })
	f.fleet, f.stop = fleet, func() { cancel(); run.Wait() }
	t.Cleanup(f.stop)
	return f
}

func (f *fixture) until(what string, ok func() bool) {
	f.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func (f *fixture) node(name string) *corev1.Node {
	node, err := f.kube.CoreV1().Nodes().Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	return node
}

// renewed is when the lease was renewed last; zero if there is none.
func (f *fixture) renewed(name string) time.Time {
	lease, err := f.kube.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return time.Time{}
	}
	return lease.Spec.RenewTime.Time
}

func (f *fixture) beating(name string) {
	f.Helper()
	since := f.renewed(name)
	f.until("the lease of "+name+" is renewed", func() bool { return f.renewed(name).After(since) })
}

// setReady is what the node lifecycle controller does.
func (f *fixture) setReady(name string, status corev1.ConditionStatus) {
	f.Helper()
	node := f.node(name)
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			node.Status.Conditions[i].Status = status
		}
	}
	if _, err := f.kube.CoreV1().Nodes().UpdateStatus(context.Background(), node, metav1.UpdateOptions{}); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) deleteNode(name string) {
	f.Helper()
	if err := f.kube.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
		f.Fatal(err)
	}
}

// settled waits until a kubelet that was switched off has ended.
func (f *fixture) settled(id string) {
	f.fleet.mutex.Lock()
	ended := f.fleet.running[id].ended
	f.fleet.mutex.Unlock()
	<-ended
}

// actions counts what was asked of the API server.
func (f *fixture) actions(verb, resource string) (count int) {
	for _, action := range f.kube.Actions() {
		if action.Matches(verb, resource) {
			count++
		}
	}
	return count
}

func instance(id, name string) api.Instance {
	v4, v6 := api.IPFamilyIpv4, api.IPFamilyIpv6
	return api.Instance{
		Id: id, Name: name, Zone: "mock-1a", Type: "large", Backend: api.InstanceBackendVirtualNode,
		State: api.InstanceStateRunning, Revision: 1,
		Addresses: []api.InstanceAddress{
			{Type: api.InstanceAddressTypeExternal, Family: &v4, Address: "203.0.113.9"},
			{Type: api.InstanceAddressTypeInternal, Family: &v4, Address: "10.0.0.9"},
			{Type: api.InstanceAddressTypeInternal, Family: &v4, Address: "10.0.0.10"},
			{Type: api.InstanceAddressTypeInternal, Family: &v6, Address: "fd00::9"},
			{Type: api.InstanceAddressTypeInternalDns, Address: "a.internal"},
		},
	}
}

func TestARunningInstanceIsRegisteredAsAKubeletWithAnExternalCloudWould(t *testing.T) {
	f := start(t, quick())
	f.fleet.On(f.ctx, instance("i-1", "a"))
	f.beating("a")
	node := f.node("a")
	if node.Spec.ProviderID != "" {
		t.Errorf("provider id %q: it is for the CCM to set", node.Spec.ProviderID)
	}
	if want := (corev1.Taint{Key: cloudproviderapi.TaintExternalCloudProvider, Value: "true", Effect: "NoSchedule"}); len(
		node.Spec.Taints) != 1 || node.Spec.Taints[0] != want {
		t.Errorf("taints: %v", node.Spec.Taints)
	}
	if got := node.Annotations[cloudproviderapi.AnnotationAlphaProvidedIPAddr]; got != "10.0.0.9,fd00::9" {
		t.Errorf("provided-node-ip: %q", got)
	}
	if got := node.Labels[corev1.LabelHostname]; got != "a" {
		t.Errorf("hostname label: %q", got)
	}
	want := []corev1.NodeAddress{{Type: "InternalIP", Address: "10.0.0.9"}, {Type: "InternalIP", Address: "fd00::9"},
		{Type: "Hostname", Address: "a"}}
	if !slices.Equal(node.Status.Addresses, want) {
		t.Errorf("addresses: %v", node.Status.Addresses)
	}
	if cpu, pods := node.Status.Capacity.Cpu().Value(), node.Status.Capacity.Pods().Value(); cpu != 8 || pods != 200 {
		t.Errorf("capacity: %d CPUs, %d pods", cpu, pods)
	}
	if len(node.Spec.PodCIDRs) > 0 {
		t.Errorf("pod CIDRs are the node IPAM's: %v", node.Spec.PodCIDRs)
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeNetworkUnavailable {
			t.Error("NetworkUnavailable is the route controller's")
		}
	}
	lease, err := f.kube.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(f.ctx, "a", metav1.GetOptions{})
	if err != nil || *lease.Spec.HolderIdentity != "a" || *lease.Spec.LeaseDurationSeconds != 1 ||
		lease.OwnerReferences[0].Name != "a" {
		t.Errorf("lease: %v, %v", lease, err)
	}
}

func TestProviderIDAndLabelsAreSetWhenAskedFor(t *testing.T) {
	options := quick()
	options.ProviderID, options.Labels = true, map[string]string{"pool": "x"}
	f := start(t, options)
	f.fleet.On(f.ctx, instance("i-1", "a"))
	f.beating("a")
	if node := f.node("a"); node.Spec.ProviderID != "mockcloud://mock-1a/i-1" || node.Labels["pool"] != "x" {
		t.Errorf("provider id %q, labels %v", node.Spec.ProviderID, node.Labels)
	}
}

func TestAnInstanceWithoutInternalAddressHasOnlyItsHostname(t *testing.T) {
	f := start(t, quick())
	bare := instance("i-1", "a")
	bare.Addresses, bare.Type = nil, "unheard-of"
	f.fleet.On(f.ctx, bare)
	f.beating("a")
	node := f.node("a")
	if _, has := node.Annotations[cloudproviderapi.AnnotationAlphaProvidedIPAddr]; has || len(node.Status.Addresses) != 1 {
		t.Errorf("annotations %v, addresses %v", node.Annotations, node.Status.Addresses)
	}
	if node.Status.Capacity.Cpu().Value() != int64(defaultType.Cpus) {
		t.Errorf("capacity of an unknown type: %v", node.Status.Capacity)
	}
}

func TestNoHeartbeatAfterSwitchOffHoweverEarlyAndTheNodeIsLeftAlone(t *testing.T) {
	kube := fake.NewClientset()
	// What is told of the nodes is not needed; the fake ends the process when more than 100 changes of them are not read yet.
	kube.PrependWatchReactor("nodes", kubetesting.DefaultWatchReactor(watch.NewFake(), nil))
	f := startWith(t, quick(), kube)
	for round := range 200 {
		one := instance("i-1", "a")
		f.fleet.On(f.ctx, one)
		time.Sleep(time.Duration(round%20) * 100 * time.Microsecond) // in any moment of the registration, not to wait for it
		f.fleet.Off("i-1")
		f.settled("i-1")
		before := len(f.kube.Actions())
		time.Sleep(2 * time.Millisecond)
		for _, action := range f.kube.Actions()[before:] {
			if action.GetVerb() != "watch" && action.GetVerb() != "list" {
				t.Fatalf("round %d: %s %s after the switch-off", round, action.GetVerb(), action.GetResource().Resource)
			}
		}
		if round%50 == 0 {
			_ = f.kube.CoreV1().Nodes().Delete(f.ctx, "a", metav1.DeleteOptions{})
			f.kube.ClearActions()
		}
	}
	if f.actions("delete", "nodes") > 0 || f.node("a") == nil || f.fleet.Count() != 0 {
		t.Error("the Node is not left alone, or the count is wrong")
	}
}

func TestANodeThatWasTakenOverKeepsWhatIsNotTheKubeletsAndBecomesReady(t *testing.T) {
	f := start(t, quick())
	f.fleet.On(f.ctx, instance("i-1", "a"))
	f.beating("a")
	f.fleet.Off("i-1")
	f.settled("i-1")
	node := f.node("a")
	node.Spec.Taints, node.Spec.ProviderID = nil, "mockcloud://mock-1a/i-1" // the CCM has been here
	node.Status.Addresses = []corev1.NodeAddress{{Type: "ExternalIP", Address: "203.0.113.9"}}
	node.Status.Conditions = append(node.Status.Conditions,
		corev1.NodeCondition{Type: corev1.NodeNetworkUnavailable, Status: "False", Reason: "RouteCreated"})
	if _, err := f.kube.CoreV1().Nodes().Update(f.ctx, node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.setReady("a", corev1.ConditionUnknown)

	f.fleet.On(f.ctx, instance("i-1", "a"))
	f.until("the node is ready again", func() bool { return isReady(f.node("a")) })
	f.beating("a")
	node = f.node("a")
	if len(node.Spec.Taints) != 0 || node.Spec.ProviderID == "" {
		t.Errorf("taints %v, provider id %q", node.Spec.Taints, node.Spec.ProviderID)
	}
	if len(node.Status.Addresses) != 1 || node.Status.Addresses[0].Type != "ExternalIP" {
		t.Errorf("the provider's addresses are gone: %v", node.Status.Addresses)
	}
	if !slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Reason == "RouteCreated" }) {
		t.Errorf("NetworkUnavailable is gone: %v", node.Status.Conditions)
	}
}

func TestANodeThatTheCCMDeletedIsRegisteredAnewAtTheNextStartAndNotBefore(t *testing.T) {
	f := start(t, quick())
	f.fleet.On(f.ctx, instance("i-1", "a"))
	f.beating("a")
	f.deleteNode("a")
	_ = f.kube.CoordinationV1().Leases(corev1.NamespaceNodeLease).Delete(f.ctx, "a", metav1.DeleteOptions{}) // garbage collection
	tried := f.actions("get", "nodes")
	f.until("the kubelet has looked for its node", func() bool { return f.actions("get", "nodes") > tried+3 })
	if f.node("a") != nil || !f.renewed("a").IsZero() {
		t.Fatal("a kubelet that runs does not register again, nor has it a lease without its Node")
	}
	f.fleet.Off("i-1")
	f.fleet.On(f.ctx, instance("i-1", "a"))
	f.until("the node is back", func() bool { return f.node("a") != nil })
	if len(f.node("a").Spec.Taints) != 1 {
		t.Error("it is not tainted as a new node")
	}
	f.beating("a")
}

func TestARunningKubeletReportsAtOnceWhenItsNodeIsCalledUnready(t *testing.T) {
	f := start(t, quick())
	f.fleet.On(f.ctx, instance("i-1", "a"))
	f.beating("a")
	f.setReady("a", corev1.ConditionUnknown)
	f.until("the node is ready again", func() bool { return isReady(f.node("a")) })
}

func TestRegistrationIsTriedUntilTheAPIServerAccepts(t *testing.T) {
	kube := fake.NewClientset()
	var mutex sync.Mutex
	refusals := 3
	kube.PrependReactor("create", "nodes", func(kubetesting.Action) (bool, kruntime.Object, error) {
		mutex.Lock()
		defer mutex.Unlock()
		if refusals--; refusals >= 0 {
			return true, nil, errors.New("not now")
		}
		return false, nil, nil
	})
	f := startWith(t, quick(), kube)
	f.fleet.On(f.ctx, instance("i-1", "a"))
	f.beating("a")
}

func TestALeaseThatSomebodyElseChangedIsTakenBack(t *testing.T) {
	kube := fake.NewClientset()
	var mutex sync.Mutex
	conflicts := 2
	kube.PrependReactor("update", "leases", func(kubetesting.Action) (bool, kruntime.Object, error) {
		mutex.Lock()
		defer mutex.Unlock()
		if conflicts--; conflicts >= 0 {
			return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "leases"}, "a", errors.New("changed"))
		}
		return false, nil, nil
	})
	f := startWith(t, quick(), kube)
	f.fleet.On(f.ctx, instance("i-1", "a"))
	f.until("the lease is there", func() bool { return !f.renewed("a").IsZero() })
	f.beating("a")
	f.beating("a")
}

func TestKeepForgetsTheOthersAndTheEndEndsAll(t *testing.T) {
	f := start(t, quick())
	names := sets.New("a", "b", "c")
	for name := range names {
		f.fleet.On(f.ctx, instance("i-"+name, name))
		f.fleet.On(f.ctx, instance("i-"+name, name)) // a second time changes nothing
	}
	for name := range names {
		f.beating(name)
	}
	f.fleet.Keep(map[string]bool{"i-a": true})
	if f.fleet.Count() != 1 {
		t.Errorf("%d are on, want 1", f.fleet.Count())
	}
	f.beating("a")
	f.stop()
	last := f.renewed("a")
	time.Sleep(20 * time.Millisecond)
	if f.fleet.Count() != 0 || f.renewed("a") != last {
		t.Error("the end does not end all")
	}
}
