// Package cache answers reads about the cloud: directly, or out of a copy that one list and the event stream keep current.
//
// The copy may say what exists and how it is; that something does NOT exist is never taken from it. Methods named Fresh… ask
// the cloud itself. While the stream is cut every read is a direct one.
package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
)

// ErrNotFound: the cloud itself lists nothing of that name.
var ErrNotFound = errors.New("the cloud has none of that name")

// IsNotFound is true only when the cloud itself said so, for a lookup by id (404) or by name (an empty list).
func IsNotFound(err error) bool { return errors.Is(err, ErrNotFound) || client.IsNotFound(err) }

// How long a first reader waits for the lists before it asks the cloud directly.
const firstSyncPatience = 10 * time.Second

const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 10 * time.Second
)

// Cloud is safe for concurrent use.
type Cloud struct {
	api   *client.Client
	watch bool

	instances *table[api.Instance]
	routes    *table[api.Route]
	pools     *table[api.TargetPool]

	watchers   []func(api.Instance)
	watchersMu sync.Mutex

	started   atomic.Bool   // Run has begun
	live      atomic.Bool   // the lists are in and the stream is open
	resume    int64         // Run's own: lists were older than the stream, which has to begin here
	tried     chan struct{} // closed when the first synchronisation has succeeded or failed
	triedOnce sync.Once
}

// New makes a cache that reads through until Run has synchronised it; with watch false it always reads through and keeps nothing.
func New(cloud *client.Client, watch bool) *Cloud {
	return &Cloud{
		api:   cloud,
		watch: watch,
		instances: newTable(watch, func(d api.Instance) (string, string, int64) {
			return d.Id, d.Name, d.Revision
		}),
		routes: newTable(watch, func(d api.Route) (string, string, int64) {
			return d.Id, d.Name, d.Revision
		}),
		pools: newTable(watch, func(d api.TargetPool) (string, string, int64) {
			return d.Id, d.Name, d.Revision
		}),
		tried: make(chan struct{}),
	}
}

// API is the client underneath, for writes; give their answers to the Keep… methods.
func (c *Cloud) API() *client.Client { return c.api }

// Live says whether reads are answered from the copy at present.
func (c *Cloud) Live() bool { return c.live.Load() }

// Watches says whether Run keeps a copy at all.
func (c *Cloud) Watches() bool { return c.watch }

// OnInstance has changed called, now and after each synchronisation, for every instance of the copy, and for one whenever an event
// has told of it. changed must be quick, and has to expect that nothing has changed.
func (c *Cloud) OnInstance(changed func(api.Instance)) {
	c.watchersMu.Lock()
	c.watchers = append(c.watchers, changed)
	c.watchersMu.Unlock()
	if c.Live() {
		tell(c.instances.all(), changed)
	}
}

func (c *Cloud) tellWatchers(instances ...api.Instance) {
	c.watchersMu.Lock()
	watchers := c.watchers
	c.watchersMu.Unlock()
	tell(instances, watchers...)
}

func tell(instances []api.Instance, watchers ...func(api.Instance)) {
	for _, changed := range watchers {
		for _, instance := range instances {
			changed(instance)
		}
	}
}

// Run keeps the copy current until ctx ends; it returns at once without watch. After a cut everything is listed again:
// the cloud may have been reset or restored meanwhile, and then no revision of ours means anything.
func (c *Cloud) Run(ctx context.Context) {
	if !c.watch {
		return
	}
	c.started.Store(true)
	backoff := firstBackoff
	for ctx.Err() == nil {
		opened, err := c.follow(ctx)
		c.live.Store(false)
		c.forget()
		c.triedOnce.Do(func() { close(c.tried) })
		if ctx.Err() != nil {
			return
		}
		if opened {
			backoff = firstBackoff
		}
		klog.Warningf("event stream of the cloud is cut, reading directly; next try in %s: %v", backoff, err)
		select {
		case <-ctx.Done():
		case <-time.After(max(backoff, client.RetryAfter(err))):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// follow lists everything and applies events until the stream is cut. The stream comes first: it ends when the cloud is replaced, so
// lists that are in before its end are of one cloud and complete with its events.
func (c *Cloud) follow(ctx context.Context) (opened bool, err error) {
	since := c.resume
	if c.resume = 0; since == 0 {
		if since, err = c.api.Revision(ctx); err != nil {
			return false, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err = c.api.Stream(ctx, since, func() {
		oldest, err := c.relist(ctx)
		if err == nil && oldest < since {
			c.resume = oldest
			err = fmt.Errorf("the lists show revision %d, the events begin after %d", oldest, since)
		}
		if err != nil {
			cancel(err)
			return
		}
		opened = true
		c.live.Store(true)
		c.triedOnce.Do(func() { close(c.tried) })
		klog.V(2).Infof("following the events of the cloud after revision %d", since)
		c.tellWatchers(c.instances.all()...)
	}, c.apply)
	return opened, err
}

func (c *Cloud) forget() {
	c.instances.clear()
	c.routes.clear()
	c.pools.clear()
}

// relist fills the tables and returns the revision after which events complete them.
func (c *Cloud) relist(ctx context.Context) (int64, error) {
	c.forget()
	instances, since, err := c.api.Instances(ctx, client.Filter{})
	if err != nil {
		return 0, err
	}
	c.instances.replace(instances, since)
	routes, revision, err := c.api.Routes(ctx, client.Filter{})
	if err != nil {
		return 0, err
	}
	c.routes.replace(routes, revision)
	since = min(since, revision)
	pools, revision, err := c.api.TargetPools(ctx, client.Filter{})
	if err != nil {
		return 0, err
	}
	c.pools.replace(pools, revision)
	return min(since, revision), nil
}

func (c *Cloud) apply(event api.Event) error {
	switch event.Kind {
	case api.ResourceKindInstance:
		err := applyTo(c.instances, event)
		if instance, known := c.instances.get(event.Id); known {
			c.tellWatchers(instance)
		}
		return err
	case api.ResourceKindRoute:
		return applyTo(c.routes, event)
	case api.ResourceKindTargetPool:
		return applyTo(c.pools, event)
	}
	return nil
}

func applyTo[T any](t *table[T], event api.Event) error {
	if event.Type == api.EventTypeDeleted {
		t.remove(event.Id, event.Revision)
		return nil
	}
	var document T
	if err := json.Unmarshal(event.Document, &document); err != nil {
		return fmt.Errorf("document of %s %s at revision %d: %w", event.Kind, event.Id, event.Revision, err)
	}
	t.put(document)
	return nil
}

// usable says whether the copy may answer; the first readers wait for it a while instead of all asking the cloud.
func (c *Cloud) usable(ctx context.Context) bool {
	if c.started.Load() {
		select {
		case <-c.tried:
		case <-ctx.Done():
		case <-time.After(firstSyncPatience):
		}
	}
	return c.live.Load()
}

// KnownInstance answers out of the copy alone and never calls: by id or, if there is none, by name. What is not known may exist.
func (c *Cloud) KnownInstance(id, name string) (instance api.Instance, known bool) {
	if !c.Live() {
		return api.Instance{}, false
	}
	if id != "" {
		return c.instances.get(id)
	}
	instance, err := theOneAlive(name, c.instances.named(name))
	return instance, err == nil
}

// Instance looks up by id. fresh says that the answer, an absence too, comes from the cloud itself.
func (c *Cloud) Instance(ctx context.Context, id string) (instance api.Instance, fresh bool, err error) {
	if c.usable(ctx) {
		if instance, known := c.instances.get(id); known {
			return instance, false, nil
		}
	}
	instance, err = c.FreshInstance(ctx, id)
	return instance, true, err
}

// FreshInstance asks the cloud itself.
func (c *Cloud) FreshInstance(ctx context.Context, id string) (api.Instance, error) {
	instance, err := c.api.Instance(ctx, id)
	if err == nil {
		c.instances.put(instance)
	}
	return instance, err
}

// InstanceByName looks for the instance of that name that is not terminated.
func (c *Cloud) InstanceByName(ctx context.Context, name string) (instance api.Instance, fresh bool, err error) {
	if c.usable(ctx) {
		if instance, err := theOneAlive(name, c.instances.named(name)); err == nil {
			return instance, false, nil
		}
	}
	instance, err = c.FreshInstanceByName(ctx, name)
	return instance, true, err
}

// FreshInstanceByName asks the cloud itself; ErrNotFound if it lists none.
func (c *Cloud) FreshInstanceByName(ctx context.Context, name string) (api.Instance, error) {
	instances, _, err := c.api.Instances(ctx, client.Filter{Name: name})
	if err != nil {
		return api.Instance{}, err
	}
	instance, err := theOneAlive(name, instances)
	if err == nil {
		c.instances.put(instance)
	}
	return instance, err
}

func theOneAlive(name string, instances []api.Instance) (api.Instance, error) {
	var found []api.Instance
	for _, instance := range instances {
		if instance.Name == name && instance.State != api.InstanceStateTerminated {
			found = append(found, instance)
		}
	}
	switch len(found) {
	case 0:
		return api.Instance{}, fmt.Errorf("instance %q: %w", name, ErrNotFound)
	case 1:
		return found[0], nil
	}
	return api.Instance{}, fmt.Errorf("instance %q: %d instances have that name (%s, %s, …)",
		name, len(found), found[0].Id, found[1].Id)
}

// Instances returns all of them by id, terminated ones included.
func (c *Cloud) Instances(ctx context.Context) (map[string]api.Instance, error) {
	var instances []api.Instance
	if c.usable(ctx) {
		instances = c.instances.all()
	} else {
		var err error
		if instances, _, err = c.api.Instances(ctx, client.Filter{}); err != nil {
			return nil, err
		}
	}
	byID := make(map[string]api.Instance, len(instances))
	for _, instance := range instances {
		byID[instance.Id] = instance
	}
	return byID, nil
}

// Routes returns those of one network that carry the tag.
func (c *Cloud) Routes(ctx context.Context, network, key, value string) ([]api.Route, error) {
	if !c.usable(ctx) {
		return c.FreshRoutes(ctx, client.Filter{Network: network, Tags: map[string]string{key: value}})
	}
	var found []api.Route
	for _, route := range c.routes.all() {
		if has(route.Tags, key, value) && route.Network == network {
			found = append(found, route)
		}
	}
	return found, nil
}

// RoutesNamed returns those of Routes that have the name.
func (c *Cloud) RoutesNamed(ctx context.Context, name, network, key, value string) ([]api.Route, error) {
	if !c.usable(ctx) {
		return c.FreshRoutes(ctx, client.Filter{Name: name, Network: network, Tags: map[string]string{key: value}})
	}
	var found []api.Route
	for _, route := range c.routes.named(name) {
		if has(route.Tags, key, value) && route.Network == network {
			found = append(found, route)
		}
	}
	return found, nil
}

// FreshRoutes asks the cloud itself.
func (c *Cloud) FreshRoutes(ctx context.Context, filter client.Filter) ([]api.Route, error) {
	routes, _, err := c.api.Routes(ctx, filter)
	for _, route := range routes {
		c.routes.put(route)
	}
	return routes, err
}

// FreshLoadBalancer asks the cloud itself for the one of that name and tag; ErrNotFound if it lists none. One that is being deleted has
// given up its name: it counts only if there is no other. Load balancers are looked at only when a Service changes, so no
// copy of them is kept.
func (c *Cloud) FreshLoadBalancer(ctx context.Context, name, key, value string) (api.LoadBalancer, error) {
	balancers, _, err := c.api.LoadBalancers(ctx, client.Filter{Name: name, Tags: map[string]string{key: value}})
	if err != nil {
		return api.LoadBalancer{}, err
	}
	var leaving *api.LoadBalancer
	for _, balancer := range balancers {
		switch {
		case balancer.Name != name || !has(balancer.Tags, key, value) || balancer.State == api.LoadBalancerStateDeleted:
		case balancer.State == api.LoadBalancerStateDeleting:
			leaving = &balancer
		default:
			return balancer, nil
		}
	}
	if leaving != nil {
		return *leaving, nil
	}
	return api.LoadBalancer{}, fmt.Errorf("load balancer %q: %w", name, ErrNotFound)
}

// has says whether the tag is there with that value. Servers filter too, but what is not ours must never be taken for it.
func has(tags api.Tags, key, value string) bool {
	got, tagged := tags[key]
	return tagged && got == value
}

// TargetPool looks for the pool of that name and tag. fresh says that the answer comes from the cloud itself.
func (c *Cloud) TargetPool(ctx context.Context, name, key, value string) (pool api.TargetPool, fresh bool, err error) {
	if c.usable(ctx) {
		if pools := c.pools.named(name); len(pools) == 1 && has(pools[0].Tags, key, value) {
			return pools[0], false, nil
		}
	}
	pool, err = c.FreshTargetPool(ctx, name, key, value)
	return pool, true, err
}

// FreshTargetPool asks the cloud itself; ErrNotFound if it lists none.
func (c *Cloud) FreshTargetPool(ctx context.Context, name, key, value string) (api.TargetPool, error) {
	pools, _, err := c.api.TargetPools(ctx, client.Filter{Name: name, Tags: map[string]string{key: value}})
	if err != nil {
		return api.TargetPool{}, err
	}
	for _, pool := range pools {
		if pool.Name == name && has(pool.Tags, key, value) {
			c.pools.put(pool)
			return pool, nil
		}
	}
	return api.TargetPool{}, fmt.Errorf("target pool %q: %w", name, ErrNotFound)
}

// KeepRoute and KeepTargetPool take the answers to our own writes.
func (c *Cloud) KeepRoute(route api.Route) { c.routes.put(route) }

func (c *Cloud) KeepTargetPool(pool api.TargetPool) { c.pools.put(pool) }

// ForgetRoute and ForgetTargetPool are told that the cloud no longer has it.
func (c *Cloud) ForgetRoute(id string) { c.routes.remove(id, 0) }

func (c *Cloud) ForgetTargetPool(id string) { c.pools.remove(id, 0) }
