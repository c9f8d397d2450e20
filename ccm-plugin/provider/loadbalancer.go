package provider

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"
	cloudapi "k8s.io/cloud-provider/api"
	"k8s.io/klog/v2"
	"k8s.io/utils/keymutex"

	"mockcloud.dev/ccm-plugin/cache"
	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
)

// loadBalancers makes of every Service up to three kinds of parts, all named after the Service's UID and tagged as ours: one
// target pool (all ports share it, a listener has its own target port), reserved addresses where specific ones are asked for, and the
// load balancer. They are made in this order and deleted in the reverse one, so that whatever is interrupted is
// found by its name and finished by the next attempt.
type loadBalancers struct {
	cloud  *cache.Cloud
	config Config
	warn   func(service *corev1.Service, reason, message string)
	// Ensure and Update run at the same time for one Service: upstream has a worker for each.
	locks keymutex.KeyMutex
}

var _ cloudprovider.LoadBalancer = (*loadBalancers)(nil)

func newLoadBalancers(cloud *cache.Cloud, config Config, warn func(*corev1.Service, string, string)) *loadBalancers {
	return &loadBalancers{cloud: cloud, config: config, warn: warn, locks: keymutex.NewHashed(64)}
}

func (l *loadBalancers) GetLoadBalancerName(_ context.Context, _ string, service *corev1.Service) string {
	return cloudprovider.DefaultLoadBalancerName(service)
}

// GetLoadBalancer reports exists until the last part is gone: upstream asks it before a clean-up, and where it says
// no, nobody ever deletes the rest.
func (l *loadBalancers) GetLoadBalancer(ctx context.Context, clusterName string, service *corev1.Service) (
	*corev1.LoadBalancerStatus, bool, error) {
	p := l.parts(clusterName, service)
	balancer, err := p.balancer(ctx)
	if err == nil {
		w, err := want(service)
		if err != nil {
			w = wanted{} // what exists can be reported, and deleted, even if the Service has become nonsense
		}
		return w.status(balancer), true, nil
	}
	if !cache.IsNotFound(err) {
		return nil, false, err
	}
	left, err := p.anythingLeft(ctx)
	if err != nil || !left {
		return nil, false, err
	}
	return &corev1.LoadBalancerStatus{}, true, nil
}

// EnsureLoadBalancer makes what is missing, changes what differs, and writes nothing where nothing does.
func (l *loadBalancers) EnsureLoadBalancer(ctx context.Context, clusterName string, service *corev1.Service,
	nodes []*corev1.Node) (*corev1.LoadBalancerStatus, error) {
	w, err := want(service)
	if err != nil {
		return nil, err
	}
	p := l.parts(clusterName, service)
	defer l.lock(p.name)()
	balancer, err := l.ensure(ctx, p, w, service, nodes)
	if err != nil {
		return nil, pace(err)
	}
	if balancer.State != api.LoadBalancerStateActive {
		return nil, l.later("load balancer %s is %s", p.name, balancer.State)
	}
	return w.status(balancer), nil
}

func (l *loadBalancers) ensure(ctx context.Context, p parts, w wanted, service *corev1.Service, nodes []*corev1.Node) (
	api.LoadBalancer, error) {
	pool, err := l.ensurePool(ctx, p, w, service, nodes)
	if err != nil {
		return api.LoadBalancer{}, err
	}
	balancer, err := p.balancer(ctx)
	missing := cache.IsNotFound(err)
	if err != nil && !missing {
		return api.LoadBalancer{}, err
	}
	addressIDs, err := p.ensureAddresses(ctx, w, balancer.Id)
	if err != nil {
		return api.LoadBalancer{}, err
	}
	if missing {
		return p.createBalancer(ctx, w, pool.Id, addressIDs)
	}
	return l.fit(ctx, p, w, balancer, pool.Id, addressIDs)
}

// fit brings an existing load balancer in line. One that differs in what cannot be changed makes room for a new one; one that
// has failed is repaired by an update, at the pace of upstream's back-off.
func (l *loadBalancers) fit(ctx context.Context, p parts, w wanted, balancer api.LoadBalancer, poolID string,
	addressIDs []string) (api.LoadBalancer, error) {
	if balancer.State == api.LoadBalancerStateDeleting || balancer.State == api.LoadBalancerStateProvisioning {
		return balancer, nil
	}
	if !w.fits(balancer, addressIDs) {
		if _, err := l.cloud.API().DeleteLoadBalancer(ctx, balancer.Id); err != nil && !client.IsNotFound(err) {
			return balancer, err
		}
		return balancer, l.later("load balancer %s is replaced: its scheme, hostname or addresses cannot be changed", p.name)
	}
	updated, err := p.updateBalancer(ctx, w, balancer, poolID)
	if err == nil && balancer.State == api.LoadBalancerStateError && updated.State != api.LoadBalancerStateActive {
		err = fmt.Errorf("load balancer %s has failed (%s), its repair is under way", p.name, reason(balancer))
	}
	return updated, err
}

// UpdateLoadBalancer changes the targets, nothing else.
func (l *loadBalancers) UpdateLoadBalancer(ctx context.Context, clusterName string, service *corev1.Service,
	nodes []*corev1.Node) error {
	p := l.parts(clusterName, service)
	defer l.lock(p.name)()
	pool, fresh, err := p.pool(ctx)
	if err != nil {
		return err
	}
	err = l.setTargets(ctx, p, pool, service, nodes)
	if client.IsNotFound(err) && !fresh {
		l.cloud.ForgetTargetPool(pool.Id)
		if pool, err = p.freshPool(ctx); err == nil {
			err = l.setTargets(ctx, p, pool, service, nodes)
		}
	}
	return pace(err)
}

// EnsureLoadBalancerDeleted deletes the parts in order, whichever of them are left.
func (l *loadBalancers) EnsureLoadBalancerDeleted(ctx context.Context, clusterName string, service *corev1.Service) error {
	p := l.parts(clusterName, service)
	defer l.lock(p.name)()
	if err := l.deleteBalancer(ctx, p); err != nil {
		return err
	}
	if err := p.deletePool(ctx); err != nil {
		return err
	}
	return p.deleteAddresses(ctx)
}

// deleteBalancer returns once it is gone, or after DeleteWait with an error: the pool cannot go before.
func (l *loadBalancers) deleteBalancer(ctx context.Context, p parts) error {
	deadline := time.Now().Add(l.config.DeleteWait.Duration)
	for {
		balancer, err := p.balancer(ctx)
		if cache.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if balancer.State != api.LoadBalancerStateDeleting {
			deleted, err := l.cloud.API().DeleteLoadBalancer(ctx, balancer.Id)
			if err != nil && !client.IsNotFound(err) {
				return err
			}
			if err != nil || deleted.State == api.LoadBalancerStateDeleted {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("load balancer %s is still being deleted", p.name)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func (l *loadBalancers) parts(clusterName string, service *corev1.Service) parts {
	return parts{
		cloud: l.cloud,
		name:  cloudprovider.DefaultLoadBalancerName(service),
		tags: api.Tags{
			ClusterTag: clusterID(l.config, clusterName),
			ServiceTag: service.Namespace + "/" + service.Name,
		},
	}
}

func (l *loadBalancers) lock(name string) (unlock func()) {
	l.locks.LockKey(name)
	return func() {
		if err := l.locks.UnlockKey(name); err != nil {
			klog.Errorf("unlocking %s: %v", name, err)
		}
	}
}

// later is the error that makes the service controller come back without taking it for a failure.
func (l *loadBalancers) later(format string, arguments ...any) error {
	return cloudapi.NewRetryError(fmt.Sprintf(format, arguments...), l.config.RetryInterval.Duration)
}

// pace honours a Retry-After longer than the client was willing to wait.
func pace(err error) error {
	if wait := client.RetryAfter(err); wait > 0 {
		return cloudapi.NewRetryError(err.Error(), wait)
	}
	return err
}

func reason(balancer api.LoadBalancer) string {
	if balancer.StateReason == nil {
		return "no reason given"
	}
	return balancer.StateReason.Code + ": " + balancer.StateReason.Message
}
