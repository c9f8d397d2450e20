package nodes

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cloudproviderapi "k8s.io/cloud-provider/api"

	"mockcloud.dev/ccm-plugin/client/api"
)

// As in k8s.io/kubernetes/pkg/kubelet: how fast registration is tried again, and how much renewals are spread.
const (
	firstRetry  = 100 * time.Millisecond
	maxRetry    = 7 * time.Second
	renewJitter = 0.04
)

const (
	requestTimeout = 10 * time.Second
	// Reports on demand are at least this far apart, as kubelet's --node-status-update-frequency, or a lease if that is shorter.
	maxPokePause = 10 * time.Second
)

// kubelet is the life of one node while its instance runs: it registers, then renews the lease and reports. Nothing survives
// its end, as nothing of a machine that loses its power does: the next one starts as a kubelet after a boot.
type kubelet struct {
	fleet    *Fleet
	instance api.Instance
	log      *slog.Logger

	poke  chan struct{} // the Node object is not as last reported
	lease *coordinationv1.Lease
}

func newKubelet(fleet *Fleet, instance api.Instance) *kubelet {
	return &kubelet{
		fleet: fleet, instance: instance, poke: make(chan struct{}, 1),
		log: fleet.log.With("node", instance.Name, "instance", instance.Id),
	}
}

// run lasts until ctx ends.
func (k *kubelet) run(ctx context.Context) {
	if !k.register(ctx) {
		return
	}
	renew := time.NewTimer(0)
	report := time.NewTimer(jitter(k.fleet.options.StatusInterval))
	defer renew.Stop()
	defer report.Stop()
	poke := k.poke
	pause := time.NewTimer(0) // when it fires, pokes count again
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-renew.C:
			k.try(ctx, "lease not renewed", k.renew)
			renew.Reset(jitter(k.fleet.options.RenewInterval))
		case <-report.C:
			k.try(ctx, "status not reported", k.report)
			report.Reset(jitter(k.fleet.options.StatusInterval))
		case <-poke:
			k.try(ctx, "status not reported", k.report)
			poke = nil
			pause.Reset(min(maxPokePause, k.fleet.options.LeaseDuration))
		case <-pause.C:
			poke = k.poke
		}
	}
}

func (k *kubelet) try(ctx context.Context, failed string, do func(context.Context) error) {
	if err := do(ctx); err != nil && ctx.Err() == nil {
		k.log.Warn(failed, "error", err)
	}
}

// register tries until there is a Node of that name; false if ctx ended first.
func (k *kubelet) register(ctx context.Context) bool {
	for delay := firstRetry; ; delay = min(2*delay, maxRetry) {
		err := k.registerOnce(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() == nil {
			k.log.Warn("node not registered", "error", err, "retry", delay.String())
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(delay):
		}
	}
}

// registerOnce creates the Node; one that is there already is taken over, as a kubelet does after a restart: its taints,
// provider id and addresses stay as they are.
func (k *kubelet) registerOnce(ctx context.Context) error {
	if err := k.fleet.registrations.Acquire(ctx, 1); err != nil {
		return err
	}
	defer k.fleet.registrations.Release(1)
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	size := k.fleet.typeOf(ctx, k.instance.Type)
	node := newNode(k.instance, size, k.fleet.options, time.Now())
	_, err := k.fleet.nodes.Create(ctx, node, metav1.CreateOptions{})
	if err == nil {
		k.log.Info("node registered")
		return nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if err := k.takeOver(ctx, node); err != nil {
		return err
	}
	k.log.Info("node taken over")
	return nil
}

// takeOver brings labels, the annotation of the node's addresses, and the status of an existing Node up to date.
func (k *kubelet) takeOver(ctx context.Context, node *corev1.Node) error {
	existing, err := k.fleet.nodes.Get(ctx, node.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	annotations := map[string]any{cloudproviderapi.AnnotationAlphaProvidedIPAddr: nil}
	for key, value := range node.Annotations {
		annotations[key] = value
	}
	err = k.patch(ctx, map[string]any{"metadata": map[string]any{"labels": node.Labels, "annotations": annotations}})
	if err != nil {
		return err
	}
	status := map[string]any{
		"capacity": node.Status.Capacity, "allocatable": node.Status.Allocatable, "nodeInfo": node.Status.NodeInfo,
		"conditions": conditions(existing.Status.Conditions, time.Now()),
	}
	if len(existing.Status.Addresses) == 0 {
		status["addresses"] = node.Status.Addresses
	}
	return k.patch(ctx, map[string]any{"status": status}, "status")
}

// report sends the conditions: the kubelet's heartbeat in the Node itself.
func (k *kubelet) report(ctx context.Context) error {
	if err := k.fleet.heartbeats.Acquire(ctx, 1); err != nil {
		return err
	}
	defer k.fleet.heartbeats.Release(1)
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var previous []corev1.NodeCondition
	if node, err := k.fleet.lister.Get(k.instance.Name); err == nil {
		previous = node.Status.Conditions
	}
	err := k.patch(ctx, map[string]any{"status": map[string]any{"conditions": conditions(previous, time.Now())}}, "status")
	if apierrors.IsNotFound(err) {
		return nil // deleted: a kubelet registers at its start and never again
	}
	return err
}

func (k *kubelet) patch(ctx context.Context, change map[string]any, subresources ...string) error {
	body, err := json.Marshal(change)
	if err != nil {
		return err
	}
	_, err = k.fleet.nodes.Patch(ctx, k.instance.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, subresources...)
	return err
}

// renew renews the lease with one write: from what the last one answered or, if that was lost or is out of date, blindly. So
// an API server that is too slow never gets more requests than one that is fast.
func (k *kubelet) renew(ctx context.Context) error {
	if err := k.fleet.heartbeats.Acquire(ctx, 1); err != nil {
		return err
	}
	defer k.fleet.heartbeats.Release(1)
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	now := metav1.NewMicroTime(time.Now())
	var err error
	if last := k.lease; last != nil {
		next := last.DeepCopy()
		next.Spec.RenewTime = &now
		k.lease, err = keep(k.fleet.leases.Update(ctx, next, metav1.UpdateOptions{}))
	} else {
		k.lease, err = keep(k.patchLease(ctx, now))
	}
	if apierrors.IsNotFound(err) {
		k.lease, err = k.createLease(ctx)
	} else if apierrors.IsConflict(err) {
		k.lease, err = keep(k.patchLease(ctx, now))
	}
	return err
}

// keep forgets what came with an error: generated clients answer an empty object then.
func keep(lease *coordinationv1.Lease, err error) (*coordinationv1.Lease, error) {
	if err != nil {
		return nil, err
	}
	return lease, nil
}

func (k *kubelet) leaseSpec(now metav1.MicroTime) coordinationv1.LeaseSpec {
	seconds := int32((k.fleet.options.LeaseDuration + time.Second - 1) / time.Second)
	return coordinationv1.LeaseSpec{HolderIdentity: &k.instance.Name, LeaseDurationSeconds: &seconds, RenewTime: &now}
}

func (k *kubelet) patchLease(ctx context.Context, now metav1.MicroTime) (*coordinationv1.Lease, error) {
	body, err := json.Marshal(map[string]any{"spec": k.leaseSpec(now)})
	if err != nil {
		return nil, err
	}
	return k.fleet.leases.Patch(ctx, k.instance.Name, types.MergePatchType, body, metav1.PatchOptions{})
}

// createLease makes the lease, owned by the Node as it is now, so that it goes with it.
func (k *kubelet) createLease(ctx context.Context) (*coordinationv1.Lease, error) {
	node, err := k.fleet.nodes.Get(ctx, k.instance.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil // no lease without its Node
	} else if err != nil {
		return nil, err
	}
	return keep(k.fleet.leases.Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name: k.instance.Name, Namespace: corev1.NamespaceNodeLease,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}},
		},
		Spec: k.leaseSpec(metav1.NewMicroTime(time.Now())),
	}, metav1.CreateOptions{}))
}

// jitter spreads what would otherwise stay in step for ever.
func jitter(interval time.Duration) time.Duration {
	return interval + time.Duration(rand.Float64()*renewJitter*float64(interval))
}
