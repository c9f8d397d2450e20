package bugs

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	routecontroller "k8s.io/cloud-provider/controllers/route"
	servicecontroller "k8s.io/cloud-provider/controllers/service"
	"k8s.io/component-base/featuregate"
	controllersmetrics "k8s.io/component-base/metrics/prometheus/controllers"
	_ "k8s.io/controller-manager/pkg/features/register" // the route controller asks for a gate

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/provider"
)

// controller runs one of upstream's on the provider, until the test ends; what is Kubernetes' is kept by a fake clientset.
func (w *world) controller(kube kubernetes.Interface, begin func(informers.SharedInformerFactory) (run func(context.Context), err error)) {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	factory := informers.NewSharedInformerFactory(kube, 0)
	run, err := begin(factory)
	w.must(err)
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(ctx)
	}()
	w.Cleanup(func() {
		cancel()
		<-ended
		factory.Shutdown()
	})
}

func (w *world) serviceController() kubernetes.Interface {
	w.Helper()
	kube := fake.NewClientset()
	w.controller(kube, func(factory informers.SharedInformerFactory) (func(context.Context), error) {
		controller, err := servicecontroller.New(w.provider, kube, factory.Core().V1().Services(), factory.Core().V1().Nodes(),
			"kubernetes", featuregate.NewFeatureGate())
		return func(ctx context.Context) {
			controller.Run(ctx, 1, controllersmetrics.NewControllerManagerMetrics("bugs"))
		}, err
	})
	return kube
}

func (w *world) addNode(kube kubernetes.Interface, name string) {
	w.Helper()
	_, err := kube.CoreV1().Nodes().Create(w.Context(), nodeOf(w.instance(name)), metav1.CreateOptions{})
	w.must(err)
}

func (w *world) openService(kube kubernetes.Interface, name string) {
	w.Helper()
	service := webService()
	service.Name, service.UID = name, types.UID("uid-"+name)
	services := kube.CoreV1().Services(service.Namespace)
	_, err := services.Create(w.Context(), service, metav1.CreateOptions{})
	w.must(err)
	w.eventually(name+" has an address", func() (bool, string) {
		seen, err := services.Get(w.Context(), name, metav1.GetOptions{})
		return err == nil && len(seen.Status.LoadBalancer.Ingress) == 1, fmt.Sprint(err)
	})
}

func (w *world) flap(kube kubernetes.Interface, name string, ready corev1.ConditionStatus) {
	w.Helper()
	node, err := kube.CoreV1().Nodes().Get(w.Context(), name, metav1.GetOptions{})
	w.must(err)
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
	_, err = kube.CoreV1().Nodes().UpdateStatus(w.Context(), node, metav1.UpdateOptions{})
	w.must(err)
}

// wantTargets waits until each of the pools has so many targets.
func (w *world) wantTargets(pools, targets int) {
	w.Helper()
	w.eventually(fmt.Sprintf("%d pools of %d targets", pools, targets), func() (bool, string) {
		all, _, err := w.cloud.TargetPools(w.Context(), client.Filter{})
		var seen []int
		for _, pool := range all {
			seen = append(seen, len(pool.Targets))
		}
		return err == nil && slices.Equal(seen, slices.Repeat([]int{targets}, pools)), fmt.Sprintf("%v, %v", seen, err)
	})
}

// N nodes flap, M balancers have them as targets: that costs no call. A node more costs one change of each pool, and the same calls
// whether nodes have flapped before or not.
func TestB9_NodesThatFlapCostNoCallsAndANodeMoreCostsOneChangeOfEachPool(t *testing.T) {
	const nodes, balancers = 6, 4
	inBothModes(t, func(w *world) {
		kube := w.serviceController()
		// Services first: upstream's workers race for one that is new while nodes are synced.
		for i := range balancers {
			w.openService(kube, fmt.Sprintf("web-%d", i))
		}
		for i := range nodes {
			w.addNode(kube, fmt.Sprintf("node-%d", i))
		}
		w.wantTargets(balancers, nodes)
		there := nodes
		cost := func(flaps int) int {
			w.forgetCalls()
			for i := range flaps * nodes {
				status := []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown}[i/nodes%3]
				w.flap(kube, fmt.Sprintf("node-%d", i%nodes), status)
			}
			if changes := w.calls("*.update"); changes != 0 {
				w.Fatalf("%d changes by nodes that flap", changes)
			}
			w.addNode(kube, fmt.Sprintf("node-%d", there))
			there++
			w.wantTargets(balancers, there)
			w.eventually("one change of each pool", func() (bool, string) { // a call is logged after its answer
				changes := w.calls("target_pools.update")
				return changes == balancers, fmt.Sprintf("%d changes of %d pools", changes, balancers)
			})
			return w.calls("target_pools.*") + w.calls("load_balancers.*")
		}
		cost(0) // what the first nodes and services have set going has ended after this
		quiet := cost(0)
		if flapped := cost(5); flapped != quiet {
			w.Fatalf("a node more costs %d calls after flapping, %d without", flapped, quiet)
		}
	})
}

// routeController runs upstream's route controller, with many short periods.
func (w *world) routeController(kube kubernetes.Interface) {
	w.Helper()
	_, cidr, err := net.ParseCIDR("10.128.0.0/9")
	w.must(err)
	w.controller(kube, func(factory informers.SharedInformerFactory) (func(context.Context), error) {
		controller, err := routecontroller.New(w.routes(), kube, factory.Core().V1().Nodes(), "kubernetes", []*net.IPNet{cidr})
		return func(ctx context.Context) {
			controller.Run(ctx, 50*time.Millisecond, controllersmetrics.NewControllerManagerMetrics("bugs"))
		}, err
	})
}

// A kubelet adds the node's name to the addresses that the cloud gives, and upstream leaves out some of those: none of that is a change.
func TestRT6_ARouteIsMadeAnewWhenItsNodesAddressesChangeAndOnlyThen(t *testing.T) {
	w := newWorld(t, "none")
	w.restartWith(func(c *provider.Config) { c.RouteNodeAddresses = true })
	instance := w.instance("node-1")
	node := nodeOf(instance)
	node.Spec.PodCIDRs = []string{"10.128.1.0/24"}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: instance.Addresses[0].Address},
		{Type: corev1.NodeHostName, Address: "node-1"}}
	kube := fake.NewClientset(node)
	w.routeController(kube)
	rounds := func() {
		w.Helper()
		before := w.calls("routes.list")
		w.eventually("five more rounds", func() (bool, string) {
			now := w.calls("routes.list")
			return now >= before+5, fmt.Sprintf("%d lists after %d", now, before)
		})
	}
	rounds()
	w.wantRoutes(1)
	if made, deleted := w.calls("routes.create"), w.calls("routes.delete"); made != 1 || deleted != 0 {
		w.Fatalf("made %d times and deleted %d times although nothing changes", made, deleted)
	}
	node.Status.Addresses[0].Address = "10.0.0.99"
	_, err := kube.CoreV1().Nodes().UpdateStatus(w.Context(), node, metav1.UpdateOptions{})
	w.must(err)
	w.eventually("made anew", func() (bool, string) {
		made := w.calls("routes.create")
		return made == 2, fmt.Sprintf("made %d times", made)
	})
	rounds()
	w.wantRoutes(1)
	if made, deleted := w.calls("routes.create"), w.calls("routes.delete"); made != 2 || deleted != 1 {
		w.Fatalf("made %d times and deleted %d times for one change", made, deleted)
	}
}
