package e2e

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/providerid"
	"mockcloud.dev/ccm-plugin/testserver"
)

func TestCN1_OneUpdateInitialisesANodeAndKeepsItsOtherTaints(t *testing.T) {
	watcher, err := env.kube.CoreV1().Nodes().Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=cn1"})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	m := newMachine(t, "cn1", func(node *corev1.Node) {
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: "example.com/mine", Effect: corev1.TaintEffectNoSchedule})
	})
	var first *corev1.Node
	for event := range watcher.ResultChan() {
		node, isNode := event.Object.(*corev1.Node)
		if !isNode || event.Type == watch.Deleted {
			t.Fatalf("%s %+v", event.Type, event.Object)
		}
		if node.Spec.ProviderID != "" || !tainted(node, cloudproviderapi.TaintExternalCloudProvider) {
			first = node
			break
		}
	}
	if first == nil {
		t.Fatal("the watch ended before the node was initialised")
	}
	if want := providerid.Format(m.instance.Zone, m.instance.Id); first.Spec.ProviderID != want {
		t.Errorf("provider id %q, want %q", first.Spec.ProviderID, want)
	}
	if tainted(first, cloudproviderapi.TaintExternalCloudProvider) || !tainted(first, "example.com/mine") {
		t.Errorf("taints %v", first.Spec.Taints)
	}
	for label, want := range map[string]string{
		corev1.LabelInstanceTypeStable: m.instance.Type, corev1.LabelInstanceType: m.instance.Type,
		corev1.LabelTopologyZone: m.instance.Zone, corev1.LabelFailureDomainBetaZone: m.instance.Zone,
		corev1.LabelTopologyRegion: m.instance.Region, corev1.LabelFailureDomainBetaRegion: m.instance.Region,
	} {
		if got := first.Labels[label]; got != want || got == "" {
			t.Errorf("label %s=%q, want %q", label, got, want)
		}
	}
}

func TestCN2_AFailureKeepsTheTaintAndHealsByItself(t *testing.T) {
	// Before the instance is there: the CCM's cache would know it from the stream, and ask nobody.
	clear := env.proxy.Inject(testserver.Fault{Path: "/v1/", Status: 503})
	defer clear()
	env.proxy.CutStreams()
	name := "cn2"
	m := machineOf(t, newInstance(t, api.InstanceCreate{Name: &name}))
	observe(t, 4, func() (bool, string) {
		node := m.node()
		return node != nil && tainted(node, cloudproviderapi.TaintExternalCloudProvider), describe(node)
	})
	clear()
	m.initialised()
}

func TestCN4_AProviderIDThatIsSetIsNeverOverwritten(t *testing.T) {
	const id = "kind://docker/kind/cn4"
	m := newMachine(t, "cn4", func(node *corev1.Node) { node.Spec.ProviderID = id })
	node := m.eventually("initialised", func(node *corev1.Node) bool {
		return !tainted(node, cloudproviderapi.TaintExternalCloudProvider)
	})
	if node.Spec.ProviderID != id || node.Labels[corev1.LabelTopologyZone] != m.instance.Zone {
		t.Fatalf("%s", describe(node))
	}
}

func TestCN6_TagsBecomeLabelsButNotKubernetesOwn(t *testing.T) {
	name := "cn6"
	instance := newInstance(t, api.InstanceCreate{Name: &name, Tags: &api.Tags{
		"label.mockcloud.dev/team": "red", "label.mockcloud.dev/example.kubernetes.io/x": "no", "label.mockcloud.dev/taken": "cloud",
	}})
	m := machineOf(t, instance, func(node *corev1.Node) { node.Labels["taken"] = "mine" })
	node := m.initialised()
	_, forbidden := node.Labels["example.kubernetes.io/x"]
	if node.Labels["team"] != "red" || node.Labels["taken"] != "mine" || forbidden {
		t.Fatalf("labels %v", node.Labels)
	}
}

func TestCN7_AddressesAreSetAndTheKubeletsHostnameIsKept(t *testing.T) {
	name := "cn7"
	instance := newInstance(t, api.InstanceCreate{Name: &name, Addresses: &[]api.InstanceAddress{
		{Type: api.InstanceAddressTypeInternal, Address: "10.1.2.3"},
		{Type: api.InstanceAddressTypeExternal, Address: "198.51.100.23"},
	}})
	m := machineOf(t, instance)
	want := []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: "10.1.2.3"}, {Type: corev1.NodeExternalIP, Address: "198.51.100.23"},
		{Type: corev1.NodeHostName, Address: name},
	}
	m.eventually("addresses of the cloud and the kubelet's hostname", func(node *corev1.Node) bool {
		return slices.Equal(node.Status.Addresses, want)
	})
}

func TestCN8_ANodeIPThatTheCloudDoesNotHaveBlocksInitialisation(t *testing.T) {
	m := newMachine(t, "cn8", func(node *corev1.Node) {
		node.Annotations = map[string]string{cloudproviderapi.AnnotationAlphaProvidedIPAddr: "192.0.2.99"}
	})
	observe(t, 4, func() (bool, string) {
		node := m.node()
		return node != nil && tainted(node, cloudproviderapi.TaintExternalCloudProvider), describe(node)
	})
	var internal string
	for _, address := range m.instance.Addresses {
		if address.Type == api.InstanceAddressTypeInternal {
			internal = address.Address
		}
	}
	if internal == "" || strings.Contains(internal, ":") {
		t.Fatalf("the instance has no internal IPv4 address: %+v", m.instance.Addresses)
	}
	m.patch(`{"metadata":{"annotations":{"` + cloudproviderapi.AnnotationAlphaProvidedIPAddr + `":"` + internal + `"}}}`)
	m.initialised()
}
