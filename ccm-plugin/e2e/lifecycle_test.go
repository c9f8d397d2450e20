package e2e

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"mockcloud.dev/ccm-plugin/testserver"
)

func TestLC1_AReadyNodeOfATerminatedInstanceStaysAndTheCloudIsNotAsked(t *testing.T) {
	m := newMachine(t, "lc1")
	m.initialised()
	asked := env.ccm.counter(t, cloudCalls, `operation="instance_exists"`)
	m.terminate()
	observe(t, 8, m.stays())
	if now := env.ccm.counter(t, cloudCalls, `operation="instance_exists"`); now != asked {
		t.Fatalf("InstanceExists was called %v times for ready nodes", now-asked)
	}
}

func TestLC2_NotReadyNodeOfATerminatedInstanceIsDeleted(t *testing.T) {
	m := newMachine(t, "lc2")
	node := m.initialised()
	m.terminate()
	m.unplug() // kube-controller-manager has to notice
	began := time.Now()
	m.gone()
	t.Logf("terminated, without heartbeats and deleted within %s", time.Since(began).Round(100*time.Millisecond))
	wantEvent(t, node.UID, "DeletingNode")
}

func TestLC2_ANodeThatNeverReportedReadyIsDeletedToo(t *testing.T) {
	m := newMachine(t, "lc2-absent", func(node *corev1.Node) { node.Status.Conditions = nil })
	env.power.set(m.name, false)
	m.initialised()
	m.terminate()
	m.gone()
}

func TestLC3_AnErrorNeverDeletesANode(t *testing.T) {
	m := newMachine(t, "lc3")
	m.initialised()
	clear := env.proxy.Inject(testserver.Fault{Path: "/v1/instances", Status: 500})
	defer clear()
	m.terminate()
	m.ready(corev1.ConditionFalse)
	observeFailing(t, 6, 3, m.stays())
	clear()
	m.gone()
}

// LC4's legacy interface is not offered; what it did by name, InstancesV2 does for a node without provider id.
func TestLC4_ANodeWithoutProviderIDIsLookedUpByNameAndDeletedWhenNoneHasIt(t *testing.T) {
	clear := env.proxy.Inject(testserver.Fault{Method: "GET", Path: "/v1/instances", Query: "name=lc4", Status: 500})
	defer clear()
	m := newMachine(t, "lc4", func(node *corev1.Node) {
		node.Annotations = map[string]string{cloudproviderapi.AnnotationAlphaProvidedIPAddr: "192.0.2.99"} // never initialised
	})
	m.ready(corev1.ConditionFalse)
	observe(t, 4, m.stays()) // its instance is there
	m.terminate()
	observe(t, 4, m.stays()) // and now it cannot be asked for
	if id := m.node().Spec.ProviderID; id != "" {
		t.Fatalf("provider id %q: the case is about a node without", id)
	}
	clear()
	m.gone()
}

func TestLC5_AStoppedInstanceTaintsItsNode(t *testing.T) {
	m := newMachine(t, "lc5")
	m.initialised()
	m.stop()
	m.ready(corev1.ConditionFalse)
	node := m.eventually("shutdown taint", func(node *corev1.Node) bool { return tainted(node, cloudproviderapi.TaintNodeShutdown) })
	for _, taint := range node.Spec.Taints {
		if taint.Key == cloudproviderapi.TaintNodeShutdown && taint.Effect != corev1.TaintEffectNoSchedule {
			t.Fatalf("taint %+v", taint)
		}
	}
}

func TestLC6_AStoppedInstanceIsNotAMissingOne(t *testing.T) {
	m := newMachine(t, "lc6")
	m.initialised()
	m.stop()
	m.unplug()
	m.eventually("shutdown taint", func(node *corev1.Node) bool { return tainted(node, cloudproviderapi.TaintNodeShutdown) })
	observe(t, 8, m.stays())
}

func TestLC7_TheShutdownTaintGoesOnlyOnceTheNodeIsReady(t *testing.T) {
	m := newMachine(t, "lc7")
	m.initialised()
	m.stop()
	m.ready(corev1.ConditionFalse)
	m.eventually("shutdown taint", func(node *corev1.Node) bool { return tainted(node, cloudproviderapi.TaintNodeShutdown) })
	m.start()
	observe(t, 4, func() (bool, string) {
		node := m.node()
		return node != nil && tainted(node, cloudproviderapi.TaintNodeShutdown), describe(node)
	})
	m.ready(corev1.ConditionTrue)
	m.eventually("no shutdown taint", func(node *corev1.Node) bool { return !tainted(node, cloudproviderapi.TaintNodeShutdown) })
}

func TestLC9_ANewInstanceOfTheSameNameDoesNotSaveTheOldNode(t *testing.T) {
	m := newMachine(t, "lc9")
	m.initialised()
	m.terminate()
	replacement := newInstance(t, createNamed("lc9"))
	m.ready(corev1.ConditionFalse)
	m.gone()
	unasked(t)
	machineOf(t, replacement).initialised()
}

func TestB3_NoNodeIsDeletedWhileTheCloudFailsOrIsSilent(t *testing.T) {
	var machines []*machine
	for _, name := range []string{"b3-1", "b3-2", "b3-3", "b3-gone"} {
		m := newMachine(t, name)
		m.initialised()
		machines = append(machines, m)
	}
	gone := machines[3]
	clear := func() {}
	defer func() { clear() }()
	for _, fault := range []testserver.Fault{{Status: 500}, {Status: 404, NotProblem: true}, {Drop: true}, {Delay: time.Minute}} {
		fault.Path = "/v1/"
		last := clear
		clear = env.proxy.Inject(fault)
		last() // only now: in between the cloud would say that one is gone
		env.proxy.CutStreams()
		for _, m := range machines {
			m.ready(corev1.ConditionFalse)
		}
		if fault.Status == 500 {
			gone.terminate()
		}
		cycles := 4
		if fault.Delay > 0 {
			cycles = 1 // every call takes its whole time-out
		}
		observeFailing(t, cycles, 1, func() (bool, string) {
			for _, m := range machines {
				if node := m.node(); node == nil {
					return false, m.name + " is deleted"
				}
			}
			return true, ""
		})
	}
	clear()
	gone.gone()
	for _, m := range machines[:3] {
		if m.node() == nil {
			t.Fatalf("%s is deleted although its instance runs", m.name)
		}
	}
}

// The Node of a terminated instance stays for as long as the CCM may not delete it, which an event says each time; it goes as soon
// as the right is there, without a restart.
func TestB18_WithoutTheRightToDeleteNodesOneStaysAndAnEventSaysSo(t *testing.T) {
	m := newMachine(t, "b18")
	node := m.initialised()
	restore := withoutVerb(t, "nodes", "delete")
	m.terminate()
	m.ready(corev1.ConditionFalse)
	wantEvent(t, node.UID, "DeletingNodeFailed")
	observe(t, 4, m.stays())
	restore()
	m.gone()
}

// withoutVerb takes a right from the CCM's role, and returns once the API server knows; it is given back by the function, or at the end
// of the test.
func withoutVerb(t *testing.T, resource, verb string) (restore func()) {
	t.Helper()
	const role = "mockcloud-ccm"
	roles := env.kube.RbacV1().ClusterRoles()
	edit := func(change func(verbs []string) []string) {
		t.Helper()
		present, err := roles.Get(context.Background(), role, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i, rule := range present.Rules {
			if slices.Contains(rule.Resources, resource) {
				present.Rules[i].Verbs = change(rule.Verbs)
			}
		}
		if _, err := roles.Update(context.Background(), present, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	edit(func(verbs []string) []string {
		return slices.DeleteFunc(verbs, func(v string) bool { return v == verb })
	})
	testserver.Eventually(t, patience, "the CCM may not "+verb+" "+resource, func() (bool, string) {
		return !ccmMay(t, resource, verb), "it may"
	})
	restore = sync.OnceFunc(func() { edit(func(verbs []string) []string { return append(verbs, verb) }) })
	t.Cleanup(restore)
	return restore
}

func ccmMay(t *testing.T, resource, verb string) bool {
	t.Helper()
	review, err := env.kube.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: "system:serviceaccount:kube-system:mockcloud-ccm",
			ResourceAttributes: &authorizationv1.ResourceAttributes{Resource: resource, Verb: verb}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}
