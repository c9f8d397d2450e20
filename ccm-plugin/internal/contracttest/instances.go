package contracttest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"

	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/providerid"
	"mockcloud.dev/ccm-plugin/testserver"
)

var instanceCases = []testCase{
	{name: "every state but terminated exists and only stopped is shut down", run: everyState},
	{name: "an instance that the cloud has forgotten does not exist", run: forgottenInstance},
	{name: "B5 an id that the cloud never had does not exist and is no error", run: unknownInstance},
	{name: "B8 a foreign or malformed provider id is an error and never absence", run: foreignProviderID},
	{name: "a node without provider id is found by name", run: foundByName},
	{name: "a kind node is found by the name in its provider id", run: foundByKindName},
	{name: "B7 a new instance of the same name does not bring an old provider id back", run: newInstanceOfOldName},
	{name: "B3 no failure of the cloud makes an instance absent", run: failuresAreNoAbsence},
	{name: "B3 no failure of the cloud makes an instance absent by name", run: failuresAreNoAbsenceByName},
	{name: "metadata carries everything, addresses in the cloud's order", run: metadata},
	{name: "metadata of a dual-stack instance has both families", run: dualStackMetadata},
	{name: "CN9 metadata is never nil without an error", run: metadataNeverNil},
	{name: "tags that make no valid label are left out", run: invalidLabels},
	{name: "the node handed in is not changed", run: nodeIsNotChanged},
}

func everyState(h *harness) {
	for _, transition := range []string{"pending", "stopping", "rebooting", "terminating"} {
		h.latency("instance."+transition, "10s")
	}
	instance := h.instance("a")
	node := nodeOf(instance)
	check := func(state api.InstanceState, exists, shutdown bool) {
		h.Helper()
		got, err := h.cloud.Instance(h.ctx(), instance.Id)
		h.must(err)
		if got.State != state {
			h.Fatalf("the instance is %s, the case is about %s", got.State, state)
		}
		h.wantShutdown(node, shutdown)
		h.wantExists(node, exists)
	}
	act := func(verb func() (api.Instance, error)) {
		h.Helper()
		_, err := verb()
		h.must(err)
	}
	check(api.InstanceStatePending, true, false)
	h.advance("10s")
	check(api.InstanceStateRunning, true, false)
	act(func() (api.Instance, error) { return h.cloud.RebootInstance(h.ctx(), instance.Id) })
	check(api.InstanceStateRebooting, true, false)
	h.advance("10s")
	act(func() (api.Instance, error) { return h.cloud.StopInstance(h.ctx(), instance.Id) })
	check(api.InstanceStateStopping, true, false)
	h.advance("10s")
	check(api.InstanceStateStopped, true, true)
	act(func() (api.Instance, error) { return h.cloud.TerminateInstance(h.ctx(), instance.Id) })
	check(api.InstanceStateTerminating, true, false)
	h.advance("10s")
	check(api.InstanceStateTerminated, false, false)
}

func forgottenInstance(h *harness) {
	instance := h.instance("a")
	h.wantExists(nodeOf(instance), true)
	h.terminate(instance)
	h.advance("2m")
	h.wantExists(nodeOf(instance), false)
	h.eventually("InstanceShutdown of a forgotten instance is InstanceNotFound", func() (bool, string) {
		_, err := h.instancesV2().InstanceShutdown(h.ctx(), nodeOf(instance))
		return errors.Is(err, cloudprovider.InstanceNotFound), fmt.Sprint(err)
	})
}

func unknownInstance(h *harness) {
	h.instance("other")
	for _, node := range []*corev1.Node{
		nodeNamed("a", "mockcloud://zone-a/i-0123456789abcdef0"),
		nodeNamed("a", ""),
		nodeNamed("a", "kind://docker/kind/a"),
	} {
		if exists, err := h.instancesV2().InstanceExists(h.ctx(), node); exists || err != nil {
			h.Errorf("%q: %v, %v; want false, nil", node.Spec.ProviderID, exists, err)
		}
	}
}

func foreignProviderID(h *harness) {
	h.instance("a")
	for _, id := range []string{"aws:///eu-west-1a/i-0123", "mockcloud://", "mockcloud://zone-a/../x", "kind://docker/a", "i-0123"} {
		if exists, err := h.instancesV2().InstanceExists(h.ctx(), nodeNamed("a", id)); err == nil {
			h.Errorf("%q: exists %v without an error", id, exists)
		}
		if data, err := h.instancesV2().InstanceMetadata(h.ctx(), nodeNamed("a", id)); err == nil {
			h.Errorf("%q: metadata %v without an error", id, data)
		}
	}
}

func foundByName(h *harness) {
	instance := h.instance("a")
	node := nodeNamed("a", "")
	h.wantExists(node, true)
	data, err := h.instancesV2().InstanceMetadata(h.ctx(), node)
	h.must(err)
	if want := providerid.Format(instance.Zone, instance.Id); data.ProviderID != want {
		h.Fatalf("provider id %q, want %q", data.ProviderID, want)
	}
	h.terminate(instance)
	h.wantExists(node, false)
}

func foundByKindName(h *harness) {
	instance := h.instance("kind-worker")
	node := nodeNamed("kind-worker", "kind://docker/kind/kind-worker")
	h.wantExists(node, true)
	_, err := h.cloud.StopInstance(h.ctx(), instance.Id)
	h.must(err)
	h.wantShutdown(node, true)
	h.terminate(instance)
	h.wantExists(node, false)
}

func newInstanceOfOldName(h *harness) {
	old := h.instance("a")
	h.terminate(old)
	replacement := h.instance("a")
	h.wantExists(nodeOf(old), false)
	h.wantExists(nodeOf(replacement), true)
	h.wantExists(nodeNamed("a", ""), true)
}

var failures = []testserver.Fault{
	{Status: 500}, {Status: 503}, {Status: 502, NotProblem: true}, {Status: 429}, {Status: 401}, {Status: 403}, {Status: 400},
	{Status: 404}, {Status: 404, NotProblem: true}, {Drop: true}, {Status: 200, NotProblem: true},
}

func failuresAreNoAbsence(h *harness) {
	present, gone := h.instance("present"), h.instance("gone")
	h.wantExists(nodeOf(present), true)
	h.terminate(gone)
	h.wantExists(nodeOf(gone), false) // with the cache: the event is in
	h.expectFailuresToBeErrors(nodeOf(gone))
	if h.mode == "none" {
		h.expectFailuresToBeErrors(nodeOf(present))
	}
}

func failuresAreNoAbsenceByName(h *harness) {
	h.instance("present")
	h.expectFailuresToBeErrors(nodeNamed("absent", ""))
	if h.mode == "none" {
		h.expectFailuresToBeErrors(nodeNamed("present", ""))
	}
}

func (h *harness) expectFailuresToBeErrors(node *corev1.Node) {
	h.Helper()
	for _, fault := range failures {
		fault.Path = "/v1/instances"
		clear := h.proxy.Inject(fault)
		exists, err := h.instancesV2().InstanceExists(h.ctx(), node)
		clear()
		if err == nil {
			h.Errorf("%s, cloud answers %+v: exists %v without an error", node.Name, fault, exists)
		}
	}
}

func metadata(h *harness) {
	instance := h.instanceWith(api.InstanceCreate{
		Name: ptr("a"),
		Tags: &api.Tags{"label.mockcloud.dev/team": "red", "label.mockcloud.dev/example.com/role": "db", "other": "x"},
		Addresses: &[]api.InstanceAddress{
			{Type: api.InstanceAddressTypeHostname, Address: "a.local"},
			{Type: api.InstanceAddressTypeExternal, Address: "198.51.100.7"},
			{Type: api.InstanceAddressTypeInternal, Address: "10.0.0.7"},
			{Type: api.InstanceAddressTypeInternalDns, Address: "a.internal"},
			{Type: api.InstanceAddressTypeExternalDns, Address: "a.example.com"},
		},
	})
	got, err := h.instancesV2().InstanceMetadata(h.ctx(), nodeOf(instance))
	h.must(err)
	want := &cloudprovider.InstanceMetadata{
		ProviderID:   "mockcloud://" + instance.Zone + "/" + instance.Id,
		InstanceType: instance.Type,
		Zone:         instance.Zone,
		Region:       instance.Region,
		NodeAddresses: []corev1.NodeAddress{
			{Type: corev1.NodeHostName, Address: "a.local"},
			{Type: corev1.NodeExternalIP, Address: "198.51.100.7"},
			{Type: corev1.NodeInternalIP, Address: "10.0.0.7"},
			{Type: corev1.NodeInternalDNS, Address: "a.internal"},
			{Type: corev1.NodeExternalDNS, Address: "a.example.com"},
		},
		AdditionalLabels: map[string]string{"team": "red", "example.com/role": "db"},
	}
	if !reflect.DeepEqual(got, want) {
		h.Fatalf("got  %+v\nwant %+v", got, want)
	}
	if got.Zone == "" || got.Region == "" || got.InstanceType == "" {
		h.Fatalf("zone, region or type is empty: %+v", got)
	}
}

func dualStackMetadata(h *harness) {
	instance := h.instanceWith(api.InstanceCreate{Name: ptr("a"), Addresses: &[]api.InstanceAddress{
		{Type: api.InstanceAddressTypeInternal, Address: "10.0.0.7"},
		{Type: api.InstanceAddressTypeInternal, Address: "fd00::7"},
	}})
	got, err := h.instancesV2().InstanceMetadata(h.ctx(), nodeOf(instance))
	h.must(err)
	want := []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.7"}, {Type: corev1.NodeInternalIP, Address: "fd00::7"}}
	if !slices.Equal(got.NodeAddresses, want) {
		h.Fatalf("got %v, want %v", got.NodeAddresses, want)
	}
}

func metadataNeverNil(h *harness) {
	gone := h.instance("gone")
	h.terminate(gone)
	for _, node := range []*corev1.Node{nodeOf(gone), nodeNamed("absent", ""), nodeNamed("x", "mockcloud://zone-a/i-0123456789abcdef0"),
		nodeNamed("x", "nonsense"), nodeNamed("", "")} {
		h.eventually("an error for "+node.Spec.ProviderID, func() (bool, string) {
			data, err := h.instancesV2().InstanceMetadata(h.ctx(), node)
			if data == nil && err == nil {
				h.Fatalf("%q %q: nil, nil", node.Name, node.Spec.ProviderID)
			}
			return err != nil, "metadata without an error"
		})
	}
}

func invalidLabels(h *harness) {
	instance := h.instanceWith(api.InstanceCreate{Name: ptr("a"), Tags: &api.Tags{
		"label.mockcloud.dev/good":      "yes",
		"label.mockcloud.dev/bad value": "x",
		"label.mockcloud.dev/spaces":    "not a label value",
		"label.mockcloud.dev/":          "x",
	}})
	got, err := h.instancesV2().InstanceMetadata(h.ctx(), nodeOf(instance))
	h.must(err)
	if want := map[string]string{"good": "yes"}; !reflect.DeepEqual(got.AdditionalLabels, want) {
		h.Fatalf("labels %v, want %v", got.AdditionalLabels, want)
	}
}

func nodeIsNotChanged(h *harness) {
	node := nodeOf(h.instance("a"))
	before := node.DeepCopy()
	_, err := h.instancesV2().InstanceMetadata(h.ctx(), node)
	h.must(err)
	h.wantExists(node, true)
	h.wantShutdown(node, false)
	if !reflect.DeepEqual(node, before) {
		h.Fatalf("changed to %+v", node)
	}
}
