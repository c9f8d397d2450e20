package nodes

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
)

// ClusterTag marks the instances of one cluster, as in the provider.
const ClusterTag = "mockcloud/cluster"

const (
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 5 * time.Second
)

// Cloud is what is needed of the mock cloud; *client.Client is one.
type Cloud interface {
	Instances(ctx context.Context, filter client.Filter) ([]api.Instance, int64, error)
	Stream(ctx context.Context, since int64, opened func(), handle func(api.Event) error) error
}

// switches is the fleet as the follower sees it.
type switches interface {
	On(ctx context.Context, instance api.Instance)
	Off(id string)
	Forget(id string)
	Keep(ids map[string]bool)
}

// Follower turns what the cloud says about its instances into switches.
type Follower struct {
	cloud     Cloud
	switches  switches
	cluster   string // only instances with this ClusterTag; all if empty
	log       *slog.Logger
	revisions map[string]int64 // of the newest document of each instance that has been seen
	backoff   time.Duration    // after the first cut
	live      atomic.Bool
}

// NewFollower makes one that has not yet asked anything.
func NewFollower(cloud Cloud, switches switches, cluster string, log *slog.Logger) *Follower {
	return &Follower{
		cloud: cloud, switches: switches, cluster: cluster, log: log, revisions: map[string]int64{}, backoff: firstBackoff,
	}
}

// Live says whether the event stream is open at present.
func (f *Follower) Live() bool { return f.live.Load() }

// Run lists and follows until ctx ends. While the cloud cannot be reached the nodes live on, as machines do whose
// cloud has lost its API.
func (f *Follower) Run(ctx context.Context) {
	backoff := f.backoff
	for ctx.Err() == nil {
		opened, err := f.follow(ctx)
		f.live.Store(false)
		if ctx.Err() != nil {
			return
		}
		if opened {
			backoff = f.backoff
		}
		f.log.Warn("event stream of the cloud is cut", "error", err, "retry", backoff.String())
		select {
		case <-ctx.Done():
		case <-time.After(max(backoff, client.RetryAfter(err))):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// follow lists, then applies events until the stream ends. After a cut everything is listed again: the cloud may have been
// reset meanwhile, and then an old revision means nothing.
func (f *Follower) follow(ctx context.Context) (opened bool, err error) {
	var filter client.Filter
	if f.cluster != "" {
		filter.Tags = map[string]string{ClusterTag: f.cluster}
	}
	all, since, err := f.cloud.Instances(ctx, filter)
	if err != nil {
		return false, err
	}
	ids := make(map[string]bool, len(all))
	clear(f.revisions)
	for _, instance := range all {
		ids[instance.Id] = true
		f.apply(ctx, instance)
	}
	f.switches.Keep(ids)
	err = f.cloud.Stream(ctx, since, func() {
		opened = true
		f.live.Store(true)
		f.log.Info("following the cloud", "instances", len(all), "revision", since)
	}, func(event api.Event) error { return f.event(ctx, event) })
	return opened, err
}

func (f *Follower) event(ctx context.Context, event api.Event) error {
	if event.Kind != api.ResourceKindInstance {
		return nil
	}
	if event.Type == api.EventTypeDeleted {
		delete(f.revisions, event.Id)
		f.switches.Forget(event.Id)
		return nil
	}
	var instance api.Instance
	if err := json.Unmarshal(event.Document, &instance); err != nil {
		return fmt.Errorf("instance %s: %w", event.Id, err)
	}
	if isReboot(event) && instance.Revision > f.revisions[instance.Id] {
		f.switches.Off(instance.Id)
	}
	f.apply(ctx, instance)
	return nil
}

// isReboot: one that takes no time is never seen in state rebooting.
func isReboot(event api.Event) bool {
	return event.Cause.Operation != nil && *event.Cause.Operation == "instances.reboot"
}

// apply switches as the document says, unless a newer one has been seen: list and stream overlap.
func (f *Follower) apply(ctx context.Context, instance api.Instance) {
	if instance.Revision < f.revisions[instance.Id] {
		return
	}
	f.revisions[instance.Id] = instance.Revision
	switch {
	case !f.ours(instance) || instance.State == api.InstanceStateTerminated:
		f.switches.Forget(instance.Id)
	case instance.State == api.InstanceStateRunning:
		f.switches.On(ctx, instance)
	default:
		f.switches.Off(instance.Id)
	}
}

func (f *Follower) ours(instance api.Instance) bool {
	return instance.Backend == api.InstanceBackendVirtualNode &&
		(f.cluster == "" || instance.Tags[ClusterTag] == f.cluster)
}
