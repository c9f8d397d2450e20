package provider

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/klog/v2"

	"mockcloud.dev/ccm-plugin/cache"
	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/providerid"
)

// LabelTagPrefix: an instance's tag label.mockcloud.dev/KEY=VALUE becomes the Node's label KEY=VALUE at its initialisation.
const LabelTagPrefix = "label.mockcloud.dev/"

type instances struct {
	cloud *cache.Cloud
}

var _ cloudprovider.InstancesV2 = (*instances)(nil)

// InstanceExists is false only if the cloud itself says, in a direct answer, that the instance is terminated or unknown:
// the Node is deleted on that answer.
func (i *instances) InstanceExists(ctx context.Context, node *corev1.Node) (bool, error) {
	instance, fresh, err := i.lookup(ctx, node)
	if !fresh && (err != nil || terminated(instance)) {
		instance, err = i.freshLookup(ctx, node)
	}
	if cache.IsNotFound(err) || (err == nil && terminated(instance)) {
		klog.V(2).Infof("node %s: its instance does not exist: state %q, %v", node.Name, instance.State, err)
		return false, nil
	}
	return err == nil, err
}

// InstanceShutdown is true for a stopped instance alone: one that is stopping, rebooting or terminating may still run.
func (i *instances) InstanceShutdown(ctx context.Context, node *corev1.Node) (bool, error) {
	instance, _, err := i.lookup(ctx, node)
	if err != nil {
		return false, asUpstream(node, err)
	}
	return instance.State == api.InstanceStateStopped, nil
}

// InstanceMetadata never returns nil without an error: the node controller would dereference it.
func (i *instances) InstanceMetadata(ctx context.Context, node *corev1.Node) (*cloudprovider.InstanceMetadata, error) {
	instance, _, err := i.lookup(ctx, node)
	if err != nil {
		return nil, asUpstream(node, err)
	}
	if terminated(instance) {
		return nil, fmt.Errorf("node %s: instance %s is terminated: %w", node.Name, instance.Id, cloudprovider.InstanceNotFound)
	}
	id := providerid.Format(instance.Zone, instance.Id)
	if _, err := providerid.Parse(id); err != nil { // the node would have it for good
		return nil, fmt.Errorf("node %s: the cloud's answer makes no provider id: %w", node.Name, err)
	}
	return &cloudprovider.InstanceMetadata{
		ProviderID:       id,
		InstanceType:     instance.Type,
		NodeAddresses:    nodeAddresses(instance.Addresses),
		Zone:             instance.Zone,
		Region:           instance.Region,
		AdditionalLabels: additionalLabels(instance),
	}, nil
}

// lookup finds the node's instance; fresh says that the answer, an error too, needs no confirmation by the cloud.
func (i *instances) lookup(ctx context.Context, node *corev1.Node) (instance api.Instance, fresh bool, err error) {
	id, err := identify(node)
	switch {
	case err != nil:
		return api.Instance{}, true, err
	case id.InstanceID != "":
		return i.cloud.Instance(ctx, id.InstanceID)
	}
	return i.cloud.InstanceByName(ctx, id.Name)
}

func (i *instances) freshLookup(ctx context.Context, node *corev1.Node) (api.Instance, error) {
	id, err := identify(node)
	switch {
	case err != nil:
		return api.Instance{}, err
	case id.InstanceID != "":
		return i.cloud.FreshInstance(ctx, id.InstanceID)
	}
	return i.cloud.FreshInstanceByName(ctx, id.Name)
}

func identify(node *corev1.Node) (providerid.ID, error) {
	id, err := providerid.Of(node.Name, node.Spec.ProviderID)
	if err != nil {
		return id, fmt.Errorf("node %s: %w", node.Name, err)
	}
	return id, nil
}

func terminated(instance api.Instance) bool { return instance.State == api.InstanceStateTerminated }

func asUpstream(node *corev1.Node, err error) error {
	if cache.IsNotFound(err) {
		return fmt.Errorf("node %s: %w (%w)", node.Name, cloudprovider.InstanceNotFound, err)
	}
	return fmt.Errorf("node %s: %w", node.Name, err)
}

var addressTypes = map[api.InstanceAddressType]corev1.NodeAddressType{
	api.InstanceAddressTypeInternal:    corev1.NodeInternalIP,
	api.InstanceAddressTypeExternal:    corev1.NodeExternalIP,
	api.InstanceAddressTypeInternalDns: corev1.NodeInternalDNS,
	api.InstanceAddressTypeExternalDns: corev1.NodeExternalDNS,
	api.InstanceAddressTypeHostname:    corev1.NodeHostName,
}

// nodeAddresses keeps the cloud's order: the first address of a family is the node's.
func nodeAddresses(addresses []api.InstanceAddress) []corev1.NodeAddress {
	var translated []corev1.NodeAddress
	for _, address := range addresses {
		if kind, known := addressTypes[address.Type]; known {
			translated = append(translated, corev1.NodeAddress{Type: kind, Address: address.Address})
		}
	}
	return translated
}

// additionalLabels takes the tags meant as labels. An invalid one is left out: it would keep the node from initialising.
func additionalLabels(instance api.Instance) map[string]string {
	labels := map[string]string{}
	for tag, value := range instance.Tags {
		key, meant := strings.CutPrefix(tag, LabelTagPrefix)
		if !meant {
			continue
		}
		problems := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...)
		if len(problems) > 0 {
			klog.Warningf("instance %s: tag %s=%q makes no label: %s", instance.Id, tag, value, strings.Join(problems, "; "))
			continue
		}
		labels[key] = value
	}
	return labels
}
