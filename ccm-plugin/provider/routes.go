package provider

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cloudprovider "k8s.io/cloud-provider"

	"mockcloud.dev/ccm-plugin/cache"
	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
)

type routes struct {
	cloud  *cache.Cloud
	config Config
}

var _ cloudprovider.Routes = (*routes)(nil)

// ListRoutes lists our own routes. A route that is being deleted no longer counts.
func (r *routes) ListRoutes(ctx context.Context, clusterName string) ([]*cloudprovider.Route, error) {
	own, err := r.cloud.Routes(ctx, r.config.Network, ClusterTag, clusterID(r.config, clusterName))
	if err != nil {
		return nil, err
	}
	if len(own) == 0 {
		return nil, nil
	}
	instances, err := r.cloud.Instances(ctx)
	if err != nil {
		return nil, err
	}
	var found []*cloudprovider.Route
	for _, route := range own {
		if route.State == api.RouteStateDeleting || route.State == api.RouteStateDeleted {
			continue
		}
		translated, err := r.translate(ctx, route, instances)
		if err != nil {
			return nil, err
		}
		found = append(found, translated)
	}
	return found, nil
}

// translate reports Blackhole only when the next hop is terminated or gone, which the cloud itself has to confirm (or when it is
// stopped, if so configured): upstream deletes and re-creates a blackhole in every period.
func (r *routes) translate(ctx context.Context, route api.Route, instances map[string]api.Instance) (*cloudprovider.Route, error) {
	translated := &cloudprovider.Route{
		Name:                route.Name,
		DestinationCIDR:     canonical(route.DestinationCidr),
		EnableNodeAddresses: r.config.RouteNodeAddresses,
	}
	if route.NextHop.InstanceId == nil {
		return translated, nil // no node of ours: an empty TargetNode makes the controller remove it
	}
	id := *route.NextHop.InstanceId
	instance, known := instances[id]
	if !known || terminated(instance) {
		var err error
		instance, err = r.cloud.FreshInstance(ctx, id)
		if cache.IsNotFound(err) {
			translated.Blackhole = true
			return translated, nil
		}
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", route.Name, err)
		}
	}
	stopped := instance.State == api.InstanceStateStopped
	translated.Blackhole = terminated(instance) || (stopped && r.config.BlackholeOnStop)
	translated.TargetNode = types.NodeName(instance.Name)
	if r.config.RouteNodeAddresses {
		translated.TargetNodeAddresses = madeFor(route.Tags)
	}
	return translated, nil
}

// CreateRoute succeeds too if the very route is there already: a list may have been stale, an answer lost.
func (r *routes) CreateRoute(ctx context.Context, clusterName, nameHint string, route *cloudprovider.Route) error {
	instance, _, err := r.cloud.InstanceByName(ctx, string(route.TargetNode))
	if err != nil {
		return fmt.Errorf("route to %s: %w", route.TargetNode, err)
	}
	name := routeName(nameHint, route.DestinationCIDR)
	tags := api.Tags{ClusterTag: clusterID(r.config, clusterName)}
	if r.config.RouteNodeAddresses {
		for i, address := range route.TargetNodeAddresses {
			tags[fmt.Sprintf("%s%d-%s", addressTagPrefix, i, address.Type)] = address.Address
		}
	}
	created, err := r.cloud.API().CreateRoute(ctx, api.RouteCreate{
		Name:            &name,
		Network:         &r.config.Network,
		DestinationCidr: route.DestinationCIDR,
		NextHop:         api.NextHop{InstanceId: &instance.Id},
		Tags:            &tags,
	})
	if client.IsConflict(err) {
		return r.adopt(ctx, clusterName, route.DestinationCIDR, instance.Id, err)
	}
	if err != nil {
		return err
	}
	r.cloud.KeepRoute(created)
	return nil
}

// addressTagPrefix: of the tags that keep which addresses the node had when its route was made. Those of the instance would not do:
// a Node has others than its instance (the kubelet's Hostname), and the controller makes a route anew for every difference.
const addressTagPrefix = "mockcloud/node-address-"

func madeFor(tags api.Tags) []corev1.NodeAddress {
	var addresses []corev1.NodeAddress
	for key, address := range tags {
		rest, ours := strings.CutPrefix(key, addressTagPrefix)
		if _, kind, whole := strings.Cut(rest, "-"); ours && whole {
			addresses = append(addresses, corev1.NodeAddress{Type: corev1.NodeAddressType(kind), Address: address})
		}
	}
	return addresses
}

// adopt is for a destination that the cloud says is taken: success if by our own route to the same instance.
func (r *routes) adopt(ctx context.Context, clusterName, cidr, instanceID string, conflict error) error {
	filter := client.Filter{Network: r.config.Network, Tags: map[string]string{ClusterTag: clusterID(r.config, clusterName)}}
	own, err := r.cloud.FreshRoutes(ctx, filter)
	if err != nil {
		return err
	}
	for _, route := range own {
		if !sameCIDR(route.DestinationCidr, cidr) || route.State == api.RouteStateDeleting {
			continue
		}
		if hop := route.NextHop.InstanceId; hop != nil && *hop == instanceID {
			return nil
		}
		return fmt.Errorf("route %s to %s has another next hop: %w", route.Name, cidr, conflict)
	}
	return fmt.Errorf("%s is taken by a route that is not ours: %w", cidr, conflict)
}

// DeleteRoute succeeds too if there is no such route of ours any more.
func (r *routes) DeleteRoute(ctx context.Context, clusterName string, route *cloudprovider.Route) error {
	own, err := r.cloud.RoutesNamed(ctx, route.Name, r.config.Network, ClusterTag, clusterID(r.config, clusterName))
	if err != nil {
		return err
	}
	for _, candidate := range own {
		if !sameCIDR(candidate.DestinationCidr, route.DestinationCIDR) {
			continue
		}
		deleted, err := r.cloud.API().DeleteRoute(ctx, candidate.Id)
		switch {
		case client.IsNotFound(err) || (err == nil && deleted.State == api.RouteStateDeleted):
			r.cloud.ForgetRoute(candidate.Id)
		case err != nil:
			return err
		default:
			r.cloud.KeepRoute(deleted)
		}
	}
	return nil
}

// routeName is unique per node and CIDR: a dual-stack node has two routes and one hint.
func routeName(nameHint, cidr string) string {
	slug := strings.NewReplacer(".", "-", ":", "-", "/", "-").Replace(strings.ToLower(cidr))
	return strings.ToLower(nameHint) + "-" + strings.Trim(slug, "-")
}

// canonical is the form in which Kubernetes writes CIDRs; the controller compares the strings.
func canonical(cidr string) string {
	if prefix, err := netip.ParsePrefix(cidr); err == nil {
		return prefix.Masked().String()
	}
	return cidr
}

func sameCIDR(a, b string) bool { return canonical(a) == canonical(b) }

// clusterID is the value of ClusterTag. Without one (--allow-untagged-cloud) the cluster's name has to serve.
func clusterID(config Config, clusterName string) string {
	if config.Cluster != "" {
		return config.Cluster
	}
	return clusterName
}
