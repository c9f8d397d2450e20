package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cloudprovider "k8s.io/cloud-provider"
	servicehelpers "k8s.io/cloud-provider/service/helpers"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/testserver"
)

const namespace = "default"

func createNamed(name string) api.InstanceCreate { return api.InstanceCreate{Name: &name} }

// shop is a Service and what the cloud has of it.
type shop struct {
	*testing.T
	name   string
	uid    types.UID
	lbName string
}

func newShop(t *testing.T, name string, change ...func(*corev1.Service)) *shop {
	t.Helper()
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer,
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}},
	}
	for _, c := range change {
		c(service)
	}
	created, err := env.kube.CoreV1().Services(namespace).Create(t.Context(), service, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{T: t, name: name, uid: created.UID, lbName: cloudprovider.DefaultLoadBalancerName(created)}
	t.Cleanup(s.close)
	return s
}

// close deletes the Service and checks that nothing of it is left in the cloud.
func (s *shop) close() {
	err := env.kube.CoreV1().Services(namespace).Delete(context.Background(), s.name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		s.Errorf("deleting service %s: %v", s.name, err)
	}
	s.deleted()
}

func (s *shop) remove() {
	s.Helper()
	if err := env.kube.CoreV1().Services(namespace).Delete(s.Context(), s.name, metav1.DeleteOptions{}); err != nil {
		s.Fatal(err)
	}
}

// deleted waits for the Service to go; then the cloud must not have any part of it.
func (s *shop) deleted() {
	s.Helper()
	testserver.Eventually(s, 3*patience, "service "+s.name+" deleted", func() (bool, string) {
		_, err := env.kube.CoreV1().Services(namespace).Get(context.Background(), s.name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), fmt.Sprintf("%v; left in the cloud: %s", err, s.parts())
	})
	if parts := s.parts(); parts != "" {
		s.Errorf("the service is deleted, in the cloud there are still %s", parts)
	}
}

// parts names what the cloud has of the Service.
func (s *shop) parts() string {
	s.Helper()
	filter := client.Filter{Tags: map[string]string{"mockcloud/cluster": clusterID, "mockcloud/service": namespace + "/" + s.name}}
	balancers, _, errB := env.cloud.LoadBalancers(context.Background(), filter)
	pools, _, errP := env.cloud.TargetPools(context.Background(), filter)
	addresses, _, errA := env.cloud.Addresses(context.Background(), filter)
	if errB != nil || errP != nil || errA != nil {
		s.Fatal(errB, errP, errA)
	}
	var parts []string
	for _, b := range balancers {
		parts = append(parts, fmt.Sprintf("load balancer %s (%s)", b.Id, b.State))
	}
	for _, p := range pools {
		parts = append(parts, "pool "+p.Id)
	}
	for _, a := range addresses {
		parts = append(parts, "address "+a.Id)
	}
	return strings.Join(parts, ", ")
}

func (s *shop) service() *corev1.Service {
	s.Helper()
	service, err := env.kube.CoreV1().Services(namespace).Get(s.Context(), s.name, metav1.GetOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return service
}

func (s *shop) change(patch string) *corev1.Service {
	s.Helper()
	service, err := env.kube.CoreV1().Services(namespace).Patch(s.Context(), s.name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return service
}

// open waits for the address in the status and returns the load balancer behind it.
func (s *shop) open() api.LoadBalancer {
	s.Helper()
	testserver.Eventually(s, patience, "service "+s.name+" has an address", func() (bool, string) {
		service := s.service()
		return len(service.Status.LoadBalancer.Ingress) > 0, fmt.Sprintf("%+v; in the cloud: %s; events: %s", service.Status.LoadBalancer,
			s.parts(), strings.Join(eventReasons(s.T, s.uid), ", "))
	})
	balancer := s.balancer()
	if balancer == nil {
		s.Fatalf("service %s has an address, the cloud no load balancer", s.name)
	}
	return *balancer
}

func (s *shop) balancer() *api.LoadBalancer {
	s.Helper()
	balancers, _, err := env.cloud.LoadBalancers(s.Context(), client.Filter{Name: s.lbName})
	if err != nil {
		s.Fatal(err)
	}
	if len(balancers) == 0 {
		return nil
	}
	return &balancers[0]
}

func (s *shop) targets() []string {
	s.Helper()
	pools, _, err := env.cloud.TargetPools(s.Context(), client.Filter{Name: s.lbName})
	if err != nil || len(pools) != 1 {
		s.Fatalf("%d pools, %v", len(pools), err)
	}
	var ids []string
	for _, target := range pools[0].Targets {
		ids = append(ids, *target.InstanceId)
	}
	slices.Sort(ids)
	return ids
}

func (s *shop) wantTargets(machines ...*machine) {
	s.Helper()
	var want []string
	for _, m := range machines {
		want = append(want, m.instance.Id)
	}
	slices.Sort(want)
	testserver.Eventually(s, patience, fmt.Sprintf("targets %v", want), func() (bool, string) {
		got := s.targets()
		return slices.Equal(got, want), fmt.Sprint(got)
	})
}

func (s *shop) hasFinalizer() bool { return servicehelpers.HasLBFinalizer(s.service()) }

// passed waits until the service controller has worked off everything before: it has one worker.
func passed(t *testing.T) {
	t.Helper()
	s := newShop(t, "sentinel-"+strings.ToLower(strings.NewReplacer("_", "-", "/", "-").Replace(t.Name()))[:20])
	s.open()
	s.remove()
	s.deleted()
}

func TestSV1_OnlyServicesOfTypeLoadBalancerWithoutAClassGetALoadBalancer(t *testing.T) {
	class := "example.com/other"
	shops := []*shop{
		newShop(t, "sv1-clusterip", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP }),
		newShop(t, "sv1-nodeport", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeNodePort }),
		newShop(t, "sv1-class", func(s *corev1.Service) { s.Spec.LoadBalancerClass = &class }),
	}
	mine := newShop(t, "sv1")
	mine.open()
	passed(t)
	for _, s := range shops {
		if parts := s.parts(); parts != "" || s.hasFinalizer() {
			t.Errorf("%s: in the cloud %q, finalizer %v", s.name, parts, s.hasFinalizer())
		}
	}
}

func TestSV3_TheFinalizerPrecedesTheLoadBalancer(t *testing.T) {
	clear := env.proxy.Inject(testserver.Fault{Method: "POST", Path: "/v1/target-pools", Status: 500})
	defer clear()
	s := newShop(t, "sv3")
	wantEvent(t, s.uid, "SyncLoadBalancerFailed")
	if parts := s.parts(); parts != "" || !s.hasFinalizer() {
		t.Fatalf("in the cloud %q, finalizer %v", parts, s.hasFinalizer())
	}
	throughStatus := slices.ContainsFunc(s.service().ManagedFields, func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Subresource == "status" && entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.GetRawString(), "f:finalizers")
	})
	if !throughStatus {
		t.Errorf("the finalizer was not patched through the status subresource: %+v", s.service().ManagedFields)
	}
	clear()
	s.open()
}

func TestSV4_TheStatusIsTheCloudsAndIsPatchedOnlyOnChange(t *testing.T) {
	s := newShop(t, "sv4")
	balancer := s.open()
	if ingress := s.service().Status.LoadBalancer.Ingress; len(ingress) != 1 || ingress[0].IP != balancer.Addresses[0].Address {
		t.Fatalf("status %+v, the cloud says %+v", ingress, balancer.Addresses)
	}
	env.proxy.Reset()
	version := s.change(`{"metadata":{"annotations":{"example.com/touched":"1"}}}`).ResourceVersion
	passed(t)
	if env.proxy.Count("GET", "/v1/load-balancers") < 2 {
		t.Fatal("the change was not synchronised, this has proved nothing")
	}
	if now := s.service().ResourceVersion; now != version {
		t.Fatalf("the service was written again: version %s, then %s", version, now)
	}
}

func TestSV6_EventsSayWhatHappens(t *testing.T) {
	good := newShop(t, "sv6")
	good.open()
	wantEvent(t, good.uid, "EnsuringLoadBalancer")
	wantEvent(t, good.uid, "EnsuredLoadBalancer")
	bad := newShop(t, "sv6-sctp", func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolSCTP })
	wantEvent(t, bad.uid, "SyncLoadBalancerFailed")
	if parts := bad.parts(); parts != "" {
		t.Fatalf("an unsupported service has %s", parts)
	}
}

func TestSV7_WhileTheLoadBalancerIsProvisionedTheServiceIsTriedAgainAtTheProvidersPace(t *testing.T) {
	setLatency(t, "load_balancer.provisioning", "3s")
	s := newShop(t, "sv7")
	s.open()
	if slices.Contains(eventReasons(t, s.uid), "SyncLoadBalancerFailed") {
		t.Log("observed: upstream records SyncLoadBalancerFailed for a RetryError too")
	}
	if created := createdNamed(env.proxy.Calls(), "/v1/load-balancers"); created == 0 {
		t.Fatal("no create was seen")
	}
}

func createdNamed(calls []testserver.Call, path string) int {
	count := 0
	for _, call := range calls {
		if call.Method == "POST" && call.Path == path {
			count++
		}
	}
	return count
}

func setLatency(t *testing.T, transition, value string) {
	t.Helper()
	if err := env.cloud.SetLatency(t.Context(), transition, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.cloud.SetLatency(context.Background(), transition, "0s"); err != nil {
			t.Error(err)
		}
	})
}

func TestSV9_AnInterruptedCleanUpLeavesNothing(t *testing.T) {
	s := newShop(t, "sv9")
	s.open()
	clear := env.proxy.Inject(testserver.Fault{Method: "DELETE", Path: "/v1/target-pools", Status: 500, Times: 2})
	defer clear()
	s.remove()
	testserver.Eventually(t, patience, "the load balancer is gone, the pool left", func() (bool, string) {
		parts := s.parts()
		return strings.HasPrefix(parts, "pool"), parts
	})
	if !s.hasFinalizer() {
		t.Fatal("the finalizer is gone although the pool is left")
	}
	s.deleted()
}

func TestSV10_AFailingCleanUpKeepsTheFinalizerAndIsTriedAgain(t *testing.T) {
	s := newShop(t, "sv10")
	s.open()
	for _, fault := range []testserver.Fault{
		{Method: "GET", Path: "/v1/load-balancers", Query: "name=" + s.lbName, Status: 500, Times: 1},
		{Method: "DELETE", Path: "/v1/load-balancers/", Status: 500, Times: 1},
	} {
		env.proxy.Inject(fault)
	}
	env.proxy.Reset()
	s.remove()
	testserver.Eventually(t, 2*patience, "both failures were met", func() (bool, string) {
		failed := 0
		for _, call := range env.proxy.Calls() {
			if call.Status == 500 {
				failed++
			}
		}
		if failed < 2 && !s.hasFinalizer() {
			t.Fatal("the finalizer went although the clean-up failed")
		}
		return failed == 2, fmt.Sprintf("%d failures", failed)
	})
	s.deleted()
}

func TestSV11_AServiceThatNoLongerWantsALoadBalancerLosesItAndTheFinalizer(t *testing.T) {
	s := newShop(t, "sv11")
	s.open()
	s.change(`{"spec":{"type":"ClusterIP"}}`)
	testserver.Eventually(t, patience, "nothing in the cloud, no finalizer, no address", func() (bool, string) {
		service := s.service()
		parts := s.parts()
		return parts == "" && !servicehelpers.HasLBFinalizer(service) && len(service.Status.LoadBalancer.Ingress) == 0,
			fmt.Sprintf("cloud %q, finalizers %v, status %+v", parts, service.Finalizers, service.Status.LoadBalancer)
	})
}

func TestSV15_OnlyNodesThatComeGoOrAreExcludedChangeTargets(t *testing.T) {
	first, second := newMachine(t, "sv15-1"), newMachine(t, "sv15-2")
	first.initialised()
	second.initialised()
	s := newShop(t, "sv15")
	s.open()
	s.wantTargets(first, second)

	env.proxy.Reset()
	for range 2 {
		first.ready(corev1.ConditionFalse)
		first.eventually("not ready", func(node *corev1.Node) bool { return condition(node, corev1.NodeReady).Status != corev1.ConditionTrue })
		observe(t, 2, first.stays())
		first.ready(corev1.ConditionTrue)
	}
	second.patch(`{"spec":{"taints":[{"key":"ToBeDeletedByClusterAutoscaler","value":"1","effect":"NoSchedule"}]}}`)
	second.patch(`{"spec":{"unschedulable":true}}`)
	observe(t, 4, second.stays())
	passed(t) // the workers are idle
	for _, call := range env.proxy.Calls() {
		if call.Method == "PATCH" {
			t.Errorf("unexpected: %+v", call)
		}
	}

	second.patch(`{"spec":{"taints":null,"unschedulable":false}}`)
	env.proxy.Reset()
	second.patch(`{"metadata":{"labels":{"node.kubernetes.io/exclude-from-external-load-balancers":""}}}`)
	s.wantTargets(first)
	second.patch(`{"metadata":{"labels":{"node.kubernetes.io/exclude-from-external-load-balancers":null}}}`)
	s.wantTargets(first, second)
	third := newMachine(t, "sv15-3")
	third.initialised()
	s.wantTargets(first, second, third)
	third.scrap()
	s.wantTargets(first, second)
	if patches := env.proxy.Count("PATCH", "/v1/target-pools"); patches != 4 {
		t.Errorf("%d changes of the pool, want one for each of the four", patches)
	}
}

func TestB1_ACCMKilledInTheMiddleOfADeletionLeavesNoOrphans(t *testing.T) {
	newMachine(t, "b1").initialised()
	s := newShop(t, "b1")
	s.open()
	// The load balancer is gone, the pool is not, and the CCM dies while it waits for the answer.
	clear := env.proxy.Inject(testserver.Fault{Method: "DELETE", Path: "/v1/target-pools", Drop: true})
	env.proxy.Reset()
	s.remove()
	testserver.Eventually(t, patience, "the load balancer is gone, the pool left and asked for", func() (bool, string) {
		parts, asked := s.parts(), env.proxy.Count("DELETE", "/v1/target-pools")
		return strings.HasPrefix(parts, "pool") && asked > 0, fmt.Sprintf("%s, asked %d times", parts, asked)
	})
	env.ccm.kill()
	clear()
	if parts := s.parts(); !strings.HasPrefix(parts, "pool") {
		t.Fatalf("in the cloud: %s; the case is about a pool that is left", parts)
	}
	env.ccm.restart(t)
	s.deleted()

	// It dies while the load balancer is being deleted.
	setLatency(t, "load_balancer.deleting", "10s") // long enough to be seen meanwhile
	again := newShop(t, "b1-again")
	again.open()
	again.remove()
	testserver.Eventually(t, patience, "the load balancer is being deleted", func() (bool, string) {
		balancer := again.balancer()
		return balancer != nil && balancer.State == api.LoadBalancerStateDeleting, again.parts()
	})
	env.ccm.restart(t)
	again.deleted()
}

func TestB12_ACCMKilledInTheMiddleOfACreationMakesExactlyOneLoadBalancer(t *testing.T) {
	setLatency(t, "load_balancer.provisioning", "6s")
	s := newShop(t, "b12")
	testserver.Eventually(t, patience, "the load balancer is provisioned", func() (bool, string) {
		return s.balancer() != nil, s.parts()
	})
	before := s.balancer()
	env.ccm.restart(t)
	after := s.open()
	if after.Id != before.Id || after.Addresses[0].Address != before.Addresses[0].Address {
		t.Fatalf("%+v became %+v", before, after)
	}
	if parts := s.parts(); strings.Count(parts, "load balancer") != 1 || strings.Count(parts, "pool") != 1 {
		t.Fatalf("in the cloud: %s", parts)
	}
}

func TestB13_ALoadBalancerDeletedBehindTheCCMsBackIsMadeAgainOnTheNextSyncAndOnce(t *testing.T) {
	s := newShop(t, "b13")
	old := s.open()
	if _, err := env.cloud.DeleteLoadBalancer(t.Context(), old.Id); err != nil {
		t.Fatal(err)
	}
	env.proxy.Reset()
	observe(t, 4, func() (bool, string) { return s.balancer() == nil, "upstream repaired it by itself" })
	s.change(`{"metadata":{"annotations":{"example.com/touched":"1"}}}`)
	testserver.Eventually(t, patience, "a new load balancer in the status", func() (bool, string) {
		balancer, ingress := s.balancer(), s.service().Status.LoadBalancer.Ingress
		return balancer != nil && len(ingress) == 1 && ingress[0].IP == balancer.Addresses[0].Address, s.parts()
	})
	passed(t)
	writes := 0
	for _, call := range env.proxy.Calls() {
		if call.Method == "POST" && call.Path == "/v1/load-balancers" {
			writes++
		}
	}
	if writes != 2 { // this one and the sentinel's
		t.Fatalf("%d creates, want one and the sentinel's", writes)
	}
}

func TestB16_ANodeWithoutInstanceDoesNotKeepTheOthersOut(t *testing.T) {
	good := newMachine(t, "b16-good")
	good.initialised()
	gone := newMachine(t, "b16-gone")
	gone.initialised()
	gone.terminate() // still Ready, so its Node stays
	s := newShop(t, "b16")
	s.open()
	s.wantTargets(good)
	wantEvent(t, s.uid, "NodesWithoutInstance")
}

// What somebody else's finalizer keeps is being deleted for a long time. Upstream then wants to add its own, the API server refuses, and
// so on until it is gone: that must not make a load balancer that nobody would delete.
func TestB11_AServiceThatIsBeingDeletedGetsNoFinalizerAndNoLoadBalancer(t *testing.T) {
	const foreign = "example.com/keep"
	env.ccm.kill()
	s := newShop(t, "b11", func(service *corev1.Service) { service.Finalizers = []string{foreign} })
	release := func() {
		_, err := env.kube.CoreV1().Services(namespace).Patch(context.Background(), s.name, types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	}
	t.Cleanup(release) // before the Service's own, which waits for its end
	s.remove()
	env.proxy.Reset()
	env.ccm.restart(t)
	wantEvent(t, s.uid, "SyncLoadBalancerFailed")
	service := s.service()
	parts := s.parts()
	release()
	if service.DeletionTimestamp == nil || !slices.Equal(service.Finalizers, []string{foreign}) {
		t.Errorf("deleted %v, finalizers %v", service.DeletionTimestamp, service.Finalizers)
	}
	if parts != "" {
		t.Errorf("in the cloud: %s", parts)
	}
	s.deleted()
	if made := env.proxy.Count("POST", "/v1/load-balancers"); made != 0 {
		t.Errorf("%d load balancers made", made)
	}
}
