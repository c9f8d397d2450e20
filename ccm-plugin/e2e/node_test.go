package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/testserver"
)

// A bound for waits that end when the thing happens; wide enough for a machine that is busy with something else.
const patience = 60 * time.Second

// powerPlant renews the leases of the nodes that have power, as their kubelets would.
type powerPlant struct {
	kube   kubernetes.Interface
	cancel context.CancelFunc
	done   chan struct{}

	mu sync.Mutex
	on map[string]*coordinationv1.Lease
}

func startPowerPlant(kube kubernetes.Interface) *powerPlant {
	ctx, cancel := context.WithCancel(context.Background())
	p := &powerPlant{kube: kube, cancel: cancel, done: make(chan struct{}), on: map[string]*coordinationv1.Lease{}}
	go func() {
		defer close(p.done)
		for {
			p.renew(ctx)
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	}()
	return p
}

func (p *powerPlant) stop() {
	p.cancel()
	<-p.done
}

// renew renews all leases, some at a time. Where it fails, a lease was deleted or the control plane is busy: the next round
// tries again.
func (p *powerPlant) renew(ctx context.Context) {
	p.mu.Lock()
	due := maps.Clone(p.on)
	p.mu.Unlock()
	var group sync.WaitGroup
	slots := make(chan struct{}, 8)
	for name, lease := range due {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			renewed := p.renewOne(ctx, name, lease)
			p.mu.Lock()
			defer p.mu.Unlock()
			if _, on := p.on[name]; on {
				p.on[name] = renewed
			}
		})
	}
	group.Wait()
}

// renewOne returns the lease as it is now, nil if that is not known.
func (p *powerPlant) renewOne(ctx context.Context, name string, lease *coordinationv1.Lease) *coordinationv1.Lease {
	leases := p.kube.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	now := metav1.NowMicro()
	if lease != nil {
		lease.Spec.RenewTime = &now
		if updated, err := leases.Update(ctx, lease, metav1.UpdateOptions{}); err == nil {
			return updated
		}
		return nil
	}
	seconds := int32(4)
	lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: corev1.NamespaceNodeLease},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &now}}
	if created, err := leases.Create(ctx, lease, metav1.CreateOptions{}); err == nil {
		return created
	}
	if existing, err := leases.Get(ctx, name, metav1.GetOptions{}); err == nil {
		return p.renewOne(ctx, name, existing)
	}
	return nil
}

func (p *powerPlant) set(name string, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on {
		p.on[name] = nil
	} else {
		delete(p.on, name)
	}
}

// machine is an instance and its node.
type machine struct {
	*testing.T
	name     string
	instance api.Instance
}

// newMachine makes the instance and registers its Node as a kubelet with --cloud-provider=external would.
func newMachine(t *testing.T, name string, change ...func(*corev1.Node)) *machine {
	t.Helper()
	return machineOf(t, newInstance(t, api.InstanceCreate{Name: &name}), change...)
}

func newInstance(t *testing.T, body api.InstanceCreate) api.Instance {
	t.Helper()
	instance, err := env.cloud.CreateInstance(t.Context(), body)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := env.cloud.TerminateInstance(context.Background(), instance.Id); err != nil && !client.IsNotFound(err) && !client.IsConflict(err) {
			t.Errorf("terminating %s: %v", instance.Name, err)
		}
	})
	return instance
}

func machineOf(t *testing.T, instance api.Instance, change ...func(*corev1.Node)) *machine {
	t.Helper()
	m := &machine{T: t, name: instance.Name, instance: instance}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: m.name, Labels: map[string]string{corev1.LabelHostname: m.name}},
		Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: cloudproviderapi.TaintExternalCloudProvider, Value: "true",
			Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: m.name}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: metav1.Now()}},
		},
	}
	for _, c := range change {
		c(node)
	}
	env.power.set(m.name, true)
	if _, err := env.kube.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.scrap)
	return m
}

func (m *machine) scrap() {
	env.power.set(m.name, false)
	err := env.kube.CoreV1().Nodes().Delete(context.Background(), m.name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		m.Errorf("deleting node %s: %v", m.name, err)
	}
}

// node is nil when there is none.
func (m *machine) node() *corev1.Node {
	m.Helper()
	node, err := env.kube.CoreV1().Nodes().Get(m.Context(), m.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		m.Fatal(err)
	}
	return node
}

func (m *machine) eventually(what string, ok func(*corev1.Node) bool) *corev1.Node {
	m.Helper()
	var node *corev1.Node
	testserver.Eventually(m, patience, fmt.Sprintf("node %s: %s", m.name, what), func() (bool, string) {
		node = m.node()
		return node != nil && ok(node), describe(node)
	})
	return node
}

func (m *machine) initialised() *corev1.Node {
	m.Helper()
	return m.eventually("initialised", func(node *corev1.Node) bool {
		return node.Spec.ProviderID != "" && !tainted(node, cloudproviderapi.TaintExternalCloudProvider)
	})
}

func (m *machine) gone() {
	m.Helper()
	testserver.Eventually(m, patience, "node "+m.name+" deleted", func() (bool, string) {
		node := m.node()
		return node == nil, describe(node)
	})
}

func (m *machine) stays() func() (bool, string) {
	uid := m.node().UID
	return func() (bool, string) {
		node := m.node()
		return node != nil && node.UID == uid, describe(node)
	}
}

// unplug ends the heartbeats: kube-controller-manager will notice.
func (m *machine) unplug() { env.power.set(m.name, false) }

// ready reports the Ready condition, as the kubelet does; one that is not ready has no power.
func (m *machine) ready(status corev1.ConditionStatus) {
	m.Helper()
	env.power.set(m.name, status == corev1.ConditionTrue)
	now := metav1.Now()
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: status, Reason: "Test", LastHeartbeatTime: now, LastTransitionTime: now}}}})
	if err != nil {
		m.Fatal(err)
	}
	_, err = env.kube.CoreV1().Nodes().Patch(m.Context(), m.name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		m.Fatal(err)
	}
}

func (m *machine) patch(patch string) {
	m.Helper()
	_, err := env.kube.CoreV1().Nodes().Patch(m.Context(), m.name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		m.Fatal(err)
	}
}

func (m *machine) terminate() {
	m.Helper()
	if _, err := env.cloud.TerminateInstance(m.Context(), m.instance.Id); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) stop() {
	m.Helper()
	if _, err := env.cloud.StopInstance(m.Context(), m.instance.Id); err != nil {
		m.Fatal(err)
	}
}

func (m *machine) start() {
	m.Helper()
	if _, err := env.cloud.StartInstance(m.Context(), m.instance.Id); err != nil {
		m.Fatal(err)
	}
}

func tainted(node *corev1.Node, key string) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool { return taint.Key == key })
}

func condition(node *corev1.Node, kind corev1.NodeConditionType) corev1.NodeCondition {
	for _, c := range node.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return corev1.NodeCondition{}
}

func describe(node *corev1.Node) string {
	if node == nil {
		return "no node"
	}
	var taints []string
	for _, taint := range node.Spec.Taints {
		taints = append(taints, taint.Key)
	}
	return fmt.Sprintf("provider id %q, taints [%s], ready %s, addresses %v, pod CIDRs %v, labels %v", node.Spec.ProviderID,
		strings.Join(taints, " "), condition(node, corev1.NodeReady).Status, node.Status.Addresses, node.Spec.PodCIDRs, node.Labels)
}

// wantEvent waits for an event with that reason about the object.
func wantEvent(t *testing.T, uid types.UID, reason string) {
	t.Helper()
	testserver.Eventually(t, patience, fmt.Sprintf("event %s about %s", reason, uid), func() (bool, string) {
		reasons := eventReasons(t, uid)
		return slices.Contains(reasons, reason), strings.Join(reasons, ", ")
	})
}

func eventReasons(t *testing.T, uid types.UID) []string {
	t.Helper()
	list, err := env.kube.CoreV1().Events("").List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(uid)})
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	for _, event := range list.Items {
		reasons = append(reasons, event.Reason)
	}
	return reasons
}
