package nodes

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/providerid"
)

// kubeletVersion is what the nodes say they run: the version of the control plane that this is tested with.
const kubeletVersion = "v1.37.2"

// defaultType is what an instance has whose type the cloud does not know.
var defaultType = api.InstanceType{Cpus: 2, MemoryMib: 4096, MaxPods: 110}

// newNode is the Node that a kubelet with --cloud-provider=external and --node-ip registers for an instance.
func newNode(instance api.Instance, size api.InstanceType, options Options, now time.Time) *corev1.Node {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:   instance.Name,
			Labels: nodeLabels(instance.Name, options.Labels),
			Annotations: map[string]string{
				"volumes.kubernetes.io/controller-managed-attach-detach": "true",
			},
		},
		Spec: corev1.NodeSpec{Taints: []corev1.Taint{{
			Key: cloudproviderapi.TaintExternalCloudProvider, Value: "true", Effect: corev1.TaintEffectNoSchedule,
		}}},
		Status: corev1.NodeStatus{
			Capacity:    capacity(size),
			Allocatable: capacity(size),
			Addresses:   addresses(instance),
			Conditions:  conditions(nil, now),
			NodeInfo: corev1.NodeSystemInfo{
				MachineID: instance.Id, SystemUUID: instance.Id, BootID: fmt.Sprintf("%s-%d", instance.Id, now.UnixNano()),
				KernelVersion: "mockcloud", OSImage: "mockcloud", ContainerRuntimeVersion: "mockcloud://1",
				KubeletVersion: kubeletVersion, OperatingSystem: "linux", Architecture: runtime.GOARCH,
			},
		},
	}
	if ips := nodeIPs(instance); len(ips) > 0 {
		node.Annotations[cloudproviderapi.AnnotationAlphaProvidedIPAddr] = strings.Join(ips, ",")
	}
	if options.ProviderID {
		node.Spec.ProviderID = providerid.Format(instance.Zone, instance.Id)
	}
	return node
}

func nodeLabels(name string, extra map[string]string) map[string]string {
	labels := map[string]string{
		corev1.LabelHostname:      name,
		corev1.LabelOSStable:      "linux",
		corev1.LabelArchStable:    runtime.GOARCH,
		"beta.kubernetes.io/os":   "linux",
		"beta.kubernetes.io/arch": runtime.GOARCH,
	}
	maps.Copy(labels, extra)
	return labels
}

func capacity(size api.InstanceType) corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(int64(size.Cpus), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(int64(size.MemoryMib)<<20, resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(int64(size.MaxPods), resource.DecimalSI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(100<<30, resource.BinarySI),
	}
}

// nodeIPs is what --node-ip would be given: the first internal address of each family, in the cloud's order.
func nodeIPs(instance api.Instance) []string {
	var ips []string
	var families []api.IPFamily
	for _, address := range instance.Addresses {
		if address.Type != api.InstanceAddressTypeInternal || address.Family == nil || slices.Contains(families, *address.Family) {
			continue
		}
		families = append(families, *address.Family)
		ips = append(ips, address.Address)
	}
	return ips
}

// addresses is what the kubelet reports until the cloud provider says more.
func addresses(instance api.Instance) []corev1.NodeAddress {
	var all []corev1.NodeAddress
	for _, ip := range nodeIPs(instance) {
		all = append(all, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	return append(all, corev1.NodeAddress{Type: corev1.NodeHostName, Address: instance.Name})
}

// conditions is what a healthy kubelet reports; those of others, such as NetworkUnavailable, are theirs.
func conditions(previous []corev1.NodeCondition, now time.Time) []corev1.NodeCondition {
	healthy := []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory",
			Message: "kubelet has sufficient memory available"},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure",
			Message: "kubelet has no disk pressure"},
		{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientPID",
			Message: "kubelet has sufficient PID available"},
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
			Message: "kubelet is posting ready status"},
	}
	for i := range healthy {
		healthy[i].LastHeartbeatTime = metav1.NewTime(now)
		healthy[i].LastTransitionTime = metav1.NewTime(now)
		for _, old := range previous {
			if old.Type == healthy[i].Type && old.Status == healthy[i].Status {
				healthy[i].LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	return healthy
}

func isReady(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(condition corev1.NodeCondition) bool {
		return condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue
	})
}
