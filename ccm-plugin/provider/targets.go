package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"mockcloud.dev/ccm-plugin/cache"
	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/providerid"
)

// ensurePool makes the target pool or brings it in line.
func (l *loadBalancers) ensurePool(ctx context.Context, p parts, w wanted, service *corev1.Service,
	nodes []*corev1.Node) (api.TargetPool, error) {
	pool, err := p.freshPool(ctx)
	if cache.IsNotFound(err) {
		return l.withTargets(ctx, service, nodes, func(targets []string) (api.TargetPool, error) {
			return p.createPool(ctx, w.check, references(targets))
		})
	}
	if err != nil {
		return pool, err
	}
	return l.withTargets(ctx, service, nodes, func(targets []string) (api.TargetPool, error) {
		body := api.TargetPoolUpdate{Tags: p.tagsPatch(pool.Tags)}
		if !sameCheck(pool.HealthCheck, w.check) {
			body.HealthCheck = &w.check
		}
		if !slices.Equal(present(pool), targets) {
			references := references(targets)
			body.Targets = &references
		}
		if body == (api.TargetPoolUpdate{}) {
			return pool, nil
		}
		return p.updatePool(ctx, pool.Id, body)
	})
}

// setTargets changes only the targets.
func (l *loadBalancers) setTargets(ctx context.Context, p parts, pool api.TargetPool, service *corev1.Service,
	nodes []*corev1.Node) error {
	_, err := l.withTargets(ctx, service, nodes, func(targets []string) (api.TargetPool, error) {
		if slices.Equal(present(pool), targets) {
			return pool, nil
		}
		references := references(targets)
		return p.updatePool(ctx, pool.Id, api.TargetPoolUpdate{Targets: &references})
	})
	return err
}

// withTargets writes with the instances of the nodes. If the cloud refuses the request, one of them may have gone meanwhile: one
// bad node must not keep all others from being balanced, so it is tried once more with what the cloud itself says.
func (l *loadBalancers) withTargets(ctx context.Context, service *corev1.Service, nodes []*corev1.Node,
	write func(targets []string) (api.TargetPool, error)) (api.TargetPool, error) {
	targets, err := l.targets(ctx, service, nodes, false)
	if err != nil {
		return api.TargetPool{}, err
	}
	pool, err := write(targets)
	if !client.IsInvalid(err) && !client.IsConflict(err) {
		return pool, err
	}
	confirmed, freshErr := l.targets(ctx, service, nodes, true)
	if freshErr != nil || slices.Equal(confirmed, targets) {
		return pool, err
	}
	return write(confirmed)
}

// targets returns the ids of the nodes' instances, in order. Nodes without one are left out with a warning; an error is only
// that the cloud could not be asked: to drop a good target for that would be worse than to wait.
func (l *loadBalancers) targets(ctx context.Context, service *corev1.Service, nodes []*corev1.Node, fresh bool) ([]string, error) {
	known, err := l.knownInstances(ctx, fresh)
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	var skipped []string
	for _, node := range nodes {
		id, problem, err := l.target(ctx, node, known, fresh)
		if err != nil {
			return nil, err
		}
		if problem != "" {
			skipped = append(skipped, node.Name+" ("+problem+")")
			continue
		}
		ids[id] = true
	}
	if len(skipped) > 0 {
		message := fmt.Sprintf("%d of %d nodes get no traffic: %s", len(skipped), len(nodes), shorten(skipped))
		klog.Warningf("service %s/%s: %s", service.Namespace, service.Name, message)
		l.warn(service, "NodesWithoutInstance", message)
	}
	return slices.Sorted(maps.Keys(ids)), nil
}

func (l *loadBalancers) knownInstances(ctx context.Context, fresh bool) (map[string]api.Instance, error) {
	if !fresh {
		return l.cloud.Instances(ctx)
	}
	instances, _, err := l.cloud.API().Instances(ctx, client.Filter{})
	known := map[string]api.Instance{}
	for _, instance := range instances {
		known[instance.Id] = instance
	}
	return known, err
}

// target finds a node's instance by its provider id, or says what the problem with the node is. A node that has no provider id
// yet comes back as soon as it has: the service controller watches for that.
func (l *loadBalancers) target(ctx context.Context, node *corev1.Node, known map[string]api.Instance, fresh bool) (
	id, problem string, err error) {
	if node.Spec.ProviderID == "" {
		return "", "not initialised, no provider id", nil
	}
	parsed, err := providerid.Parse(node.Spec.ProviderID)
	if err != nil {
		return "", err.Error(), nil
	}
	var instance api.Instance
	if parsed.Name != "" && fresh {
		instance, err = l.cloud.FreshInstanceByName(ctx, parsed.Name)
	} else if parsed.Name != "" {
		instance, _, err = l.cloud.InstanceByName(ctx, parsed.Name)
	} else if listed, there := known[parsed.InstanceID]; there {
		instance = listed
	} else {
		instance, err = l.cloud.FreshInstance(ctx, parsed.InstanceID)
	}
	switch {
	case cache.IsNotFound(err):
		return "", "its instance does not exist", nil
	case err != nil:
		return "", "", err
	case terminated(instance) || instance.State == api.InstanceStateTerminating:
		return "", "its instance is " + string(instance.State), nil
	}
	return instance.Id, "", nil
}

// present returns the instances in the pool, in order, without those that are on their way out.
func present(pool api.TargetPool) []string {
	var ids []string
	for _, target := range pool.Targets {
		if target.InstanceId != nil && target.Health != api.TargetHealthDraining {
			ids = append(ids, *target.InstanceId)
		}
	}
	slices.Sort(ids)
	return ids
}

func references(ids []string) []api.TargetRef {
	targets := []api.TargetRef{}
	for _, id := range ids {
		targets = append(targets, api.TargetRef{InstanceId: &id})
	}
	return targets
}

func shorten(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
