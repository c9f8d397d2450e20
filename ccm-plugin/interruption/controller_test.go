package interruption

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"

	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/testserver"
)

const patience = 10 * time.Second

// cloud is a copy of a cloud, as package cache keeps one.
type cloud struct {
	mu        sync.Mutex
	cut       bool
	instances map[string]api.Instance
	changed   func(api.Instance)
}

func (c *cloud) OnInstance(changed func(api.Instance)) {
	c.mu.Lock()
	c.changed = changed
	c.mu.Unlock()
	for _, instance := range c.all() {
		changed(instance)
	}
}

func (c *cloud) all() []api.Instance {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []api.Instance
	for _, instance := range c.instances {
		all = append(all, instance)
	}
	return all
}

func (c *cloud) KnownInstance(id, name string) (api.Instance, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, instance := range c.instances {
		if !c.cut && (instance.Id == id || (id == "" && instance.Name == name)) {
			return instance, true
		}
	}
	return api.Instance{}, false
}

func (c *cloud) put(instance api.Instance) {
	c.mu.Lock()
	c.instances[instance.Id] = instance
	changed := c.changed
	c.mu.Unlock()
	if changed != nil {
		changed(instance)
	}
}

// world is a cluster, a cloud and the controller between them.
type world struct {
	*testing.T
	cloud *cloud
	kube  *fake.Clientset
	stop  func()

	controller *Controller

	mu      sync.Mutex
	events  []string
	patched int
}

func newWorld(t *testing.T, nodes ...runtime.Object) *world {
	w := &world{T: t, cloud: &cloud{instances: map[string]api.Instance{}}, kube: fake.NewClientset(nodes...)}
	w.kube.PrependReactor("patch", "nodes", w.patch)
	return w
}

// patch is what the fake lacks: a patch of a Node that has changed meanwhile is a conflict.
func (w *world) patch(action kubetesting.Action) (bool, runtime.Object, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	patch := action.(kubetesting.PatchAction)
	object, err := w.kube.Tracker().Get(action.GetResource(), "", patch.GetName())
	if err != nil {
		return true, nil, err
	}
	var seen corev1.Node
	if err := json.Unmarshal(patch.GetPatch(), &seen); err != nil {
		return true, nil, err
	}
	old := object.(*corev1.Node)
	if seen.ResourceVersion != old.ResourceVersion {
		return true, nil, apierrors.NewConflict(action.GetResource().GroupResource(), old.Name, fmt.Errorf("%s, not %s",
			old.ResourceVersion, seen.ResourceVersion))
	}
	before, err := json.Marshal(old)
	if err != nil {
		return true, nil, err
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch.GetPatch(), corev1.Node{})
	if err != nil {
		return true, nil, err
	}
	node := &corev1.Node{}
	if err := json.Unmarshal(after, node); err != nil {
		return true, nil, err
	}
	w.patched++
	return true, node, w.store(node)
}

// store is a write under the lock.
func (w *world) store(node *corev1.Node) error {
	version, _ := strconv.Atoi(node.ResourceVersion)
	node.ResourceVersion = strconv.Itoa(version + 1)
	return w.kube.Tracker().Update(corev1.SchemeGroupVersion.WithResource("nodes"), node, "")
}

// start runs a controller until the test or the next stop ends it.
func (w *world) start() {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	factory := informers.NewSharedInformerFactory(w.kube, 0)
	recorder := record.NewFakeRecorder(100)
	c, err := New(w.cloud, w.kube, recorder, factory.Core().V1().Nodes())
	if err != nil {
		w.Fatal(err)
	}
	w.controller = c
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	var group sync.WaitGroup
	group.Go(func() { c.Run(ctx) })
	group.Go(func() {
		for {
			select {
			case event := <-recorder.Events:
				w.mu.Lock()
				w.events = append(w.events, event)
				w.mu.Unlock()
			case <-ctx.Done():
				return
			}
		}
	})
	w.stop = func() {
		cancel()
		group.Wait()
		factory.Shutdown()
	}
	w.Cleanup(func() { w.stop() })
}

func (w *world) node(name string) *corev1.Node {
	w.Helper()
	node, err := w.kube.CoreV1().Nodes().Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return node
}

func (w *world) eventually(what string, ok func() (bool, string)) {
	w.Helper()
	testserver.Eventually(w, patience, what, ok)
}

func (w *world) wantTaints(name string, want ...corev1.Taint) {
	w.Helper()
	w.eventually(fmt.Sprintf("%s has the taints %v", name, want), func() (bool, string) {
		got := w.node(name).Spec.Taints
		return slices.Equal(got, want), fmt.Sprint(got)
	})
}

// wantEvents waits for as many events, each with its text.
func (w *world) wantEvents(texts ...string) {
	w.Helper()
	w.eventually(fmt.Sprintf("the events %q", texts), func() (bool, string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		ok := len(w.events) == len(texts)
		for i := 0; ok && i < len(texts); i++ {
			ok = strings.Contains(w.events[i], EventReason) && strings.Contains(w.events[i], texts[i])
		}
		return ok, strings.Join(w.events, "; ")
	})
}

// wantSettled goes through these nodes once more and wants so many patches to have been written in all.
func (w *world) wantSettled(patches int, nodes ...string) {
	w.Helper()
	for _, name := range nodes {
		w.eventually(name+" is settled", func() (bool, string) {
			err := w.controller.sync(w.Context(), name)
			return err == nil, fmt.Sprint(err)
		})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.patched != patches {
		w.Fatalf("%d patches, want %d", w.patched, patches)
	}
}

func nodeNamed(name, providerID string, taints ...corev1.Taint) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: "1"},
		Spec: corev1.NodeSpec{ProviderID: providerID, Taints: taints}}
}

func instanceOf(id, name string, notices ...api.Notice) api.Instance {
	return api.Instance{Id: id, Name: name, State: api.InstanceStateRunning, Notices: &notices}
}

const id = "mockcloud://mock-1a/i-1"

var (
	busy    = corev1.Taint{Key: "example.com/busy", Effect: corev1.TaintEffectNoExecute}
	spotted = ours("spot", corev1.TaintEffectNoSchedule)
)

func TestANoticeBecomesATaintAndOneEventAndItsWithdrawalRemovesTheTaint(t *testing.T) {
	w := newWorld(t, nodeNamed("a", id, busy))
	w.cloud.put(instanceOf("i-1", "a"))
	w.start()
	w.cloud.put(instanceOf("i-1", "a", spot))
	w.wantTaints("a", busy, spotted)
	w.wantEvents("Warning InterruptionNotice the cloud has given instance i-1 notice: spot, terminate, deadline 2026-01-01T00:02:00Z")
	w.cloud.put(instanceOf("i-1", "a", in(api.NoticeStateCanceled, spot)))
	w.wantTaints("a", busy)
	if _, there := w.node("a").Annotations[AnnotationNotices]; there {
		t.Errorf("annotations %v", w.node("a").Annotations)
	}
	again := spot
	again.Id = "n-again"
	w.cloud.put(instanceOf("i-1", "a", in(api.NoticeStateCanceled, spot), again))
	w.wantTaints("a", busy, spotted)
	w.wantEvents("spot", "spot")
}

func TestAnotherKindTakesTheTaintOverAndGivesItBack(t *testing.T) {
	w := newWorld(t, nodeNamed("a", id))
	w.cloud.put(instanceOf("i-1", "a", rebalance))
	w.start()
	w.wantTaints("a", ours("rebalance", corev1.TaintEffectPreferNoSchedule))
	w.cloud.put(instanceOf("i-1", "a", rebalance, spot))
	w.wantTaints("a", spotted)
	w.cloud.put(instanceOf("i-1", "a", rebalance, in(api.NoticeStateCanceled, spot)))
	w.wantTaints("a", ours("rebalance", corev1.TaintEffectPreferNoSchedule))
	w.wantEvents("Normal InterruptionNotice", "spot")
}

func TestANodeIsFoundByItsProviderIDByKindsAndByName(t *testing.T) {
	w := newWorld(t, nodeNamed("a", id), nodeNamed("b", "kind://docker/mock/other"), nodeNamed("c", ""),
		nodeNamed("d", "aws:///eu-west-1a/i-1"), nodeNamed("other-name", "mockcloud://mock-1a/i-4"))
	w.start()
	w.cloud.put(instanceOf("i-1", "x", spot))
	w.cloud.put(instanceOf("i-2", "other", spot))
	w.cloud.put(instanceOf("i-3", "c", spot))
	w.cloud.put(instanceOf("i-4", "d", spot))
	for _, name := range []string{"a", "b", "c", "other-name"} {
		w.wantTaints(name, spotted)
	}
	w.wantTaints("d") // a node of another cloud, whatever it is called
	w.wantSettled(4, "a", "b", "c", "d", "other-name")
}

func TestAnInstanceWithoutNodeIsNoErrorAndANodeThatComesLaterIsTainted(t *testing.T) {
	w := newWorld(t)
	w.cloud.put(instanceOf("i-1", "a", spot))
	w.start()
	w.wantSettled(0, "a")
	if _, err := w.kube.CoreV1().Nodes().Create(t.Context(), nodeNamed("a", id), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.wantTaints("a", spotted)
}

func TestANodeThatGoesMeanwhileIsNoError(t *testing.T) {
	w := newWorld(t, nodeNamed("a", id))
	var tried atomic.Int32
	w.kube.PrependReactor("patch", "nodes", func(action kubetesting.Action) (bool, runtime.Object, error) {
		tried.Add(1)
		return true, nil, apierrors.NewNotFound(action.GetResource().GroupResource(), "a")
	})
	w.cloud.put(instanceOf("i-1", "a", spot))
	w.start()
	w.wantSettled(0, "a")
	if tried.Load() == 0 {
		t.Error("nothing was tried, this has proved nothing")
	}
	w.wantEvents()
}

func TestARestartFindsItsTaintAndWritesNothing(t *testing.T) {
	w := newWorld(t, nodeNamed("a", id, busy))
	w.cloud.put(instanceOf("i-1", "a", spot, rebalance))
	w.start()
	w.wantTaints("a", busy, spotted)
	w.wantEvents("spot", "rebalance")
	w.stop()
	w.start()
	w.wantSettled(1, "a")
	w.wantEvents("spot", "rebalance")
}

func TestARestartRemovesTheTaintOfANoticeThatWasWithdrawnMeanwhile(t *testing.T) {
	w := newWorld(t, nodeNamed("a", id, spotted, busy))
	w.cloud.put(instanceOf("i-1", "a"))
	w.start()
	w.wantTaints("a", busy)
}

func TestWhatIsNotKnownOrOnItsWayOutKeepsItsTaint(t *testing.T) {
	w := newWorld(t, nodeNamed("a", id, spotted), nodeNamed("b", "mockcloud://mock-1a/i-2", spotted),
		nodeNamed("c", "mockcloud://mock-1a/i-3", spotted))
	for id, state := range map[string]api.InstanceState{"i-2": api.InstanceStateTerminating, "i-3": api.InstanceStateTerminated} {
		instance := instanceOf(id, "", in(api.NoticeStateCompleted, spot))
		instance.State = state
		w.cloud.put(instance)
	}
	w.start()
	w.wantSettled(0, "a", "b", "c")
}

func TestWhileTheCopyIsCutNothingChanges(t *testing.T) {
	w := newWorld(t, nodeNamed("a", id))
	w.cloud.put(instanceOf("i-1", "a", spot))
	w.start()
	w.wantTaints("a", spotted)
	w.cloud.mu.Lock()
	w.cloud.cut = true
	w.cloud.mu.Unlock()
	w.cloud.put(instanceOf("i-1", "a"))
	w.wantSettled(1, "a")
	w.wantTaints("a", spotted)
	w.cloud.mu.Lock()
	w.cloud.cut = false
	w.cloud.mu.Unlock()
	w.cloud.put(instanceOf("i-1", "a"))
	w.wantTaints("a")
}

func TestAConflictIsTriedAgainAndATaintThatSomebodyRemovedComesBack(t *testing.T) {
	w := newWorld(t, nodeNamed("a", id))
	var once sync.Once
	w.kube.PrependReactor("patch", "nodes", func(kubetesting.Action) (bool, runtime.Object, error) {
		once.Do(func() { // somebody writes between the look and the patch
			w.mu.Lock()
			defer w.mu.Unlock()
			if err := w.store(nodeNamed("a", id, busy)); err != nil {
				t.Error(err)
			}
		})
		return false, nil, nil
	})
	w.cloud.put(instanceOf("i-1", "a", spot))
	w.start()
	w.wantTaints("a", busy, spotted)
	w.mu.Lock()
	node := w.node("a")
	node.Spec.Taints = nil
	err := w.store(node)
	w.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	w.wantTaints("a", spotted)
	w.wantEvents("spot")
}
