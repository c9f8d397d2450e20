// Package interruption is a controller beside upstream's: what the cloud has announced to do to an instance (a spot or preemption
// notice, maintenance, a rebalance recommendation) becomes a taint and an Event of its Node, and the taint goes when the notice does.
//
// It lives on the copy of the cloud that the provider keeps anyway and never calls the cloud. It only ever adds and removes its own
// taint: to drain the node is the business of others.
package interruption

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/providerid"
)

// Name is what --controllers takes.
const Name = "node-interruption"

const (
	workers      = 4
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = 30 * time.Second
	byInstance   = "mockcloud-instance" // the index of the Nodes
)

// Cloud is what is needed of the provider's cache; *cache.Cloud is one.
type Cloud interface {
	// OnInstance has changed called for each instance that is there and whenever one may have changed.
	OnInstance(changed func(api.Instance))
	// KnownInstance makes no call; what it does not know may exist.
	KnownInstance(id, name string) (instance api.Instance, known bool)
}

// Controller brings Nodes in line with the notices of their instances.
type Controller struct {
	cloud    Cloud
	client   kubernetes.Interface
	recorder record.EventRecorder
	lister   corelisters.NodeLister
	index    toolscache.Indexer
	synced   toolscache.InformerSynced
	queue    workqueue.TypedRateLimitingInterface[string] // names of Nodes
}

// New must come before the informer is started.
func New(cloud Cloud, client kubernetes.Interface, recorder record.EventRecorder, nodes coreinformers.NodeInformer) (*Controller, error) {
	informer := nodes.Informer()
	if err := informer.AddIndexers(toolscache.Indexers{byInstance: instanceKeys}); err != nil {
		return nil, fmt.Errorf("%s: %w", Name, err)
	}
	c := &Controller{
		cloud: cloud, client: client, recorder: recorder,
		lister: nodes.Lister(), index: informer.GetIndexer(), synced: informer.HasSynced,
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstBackoff, maxBackoff),
			workqueue.TypedRateLimitingQueueConfig[string]{Name: Name}),
	}
	_, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    c.enqueue,
		UpdateFunc: func(_, node any) { c.enqueue(node) },
	})
	return c, err
}

// Run works until ctx ends.
func (c *Controller) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	defer c.queue.ShutDown()
	if !toolscache.WaitForNamedCacheSync(Name, ctx.Done(), c.synced) {
		return
	}
	c.cloud.OnInstance(c.instanceChanged)
	for range workers {
		group.Go(func() {
			for c.work(ctx) {
			}
		})
	}
	<-ctx.Done()
}

func (c *Controller) enqueue(object any) {
	if node, isNode := object.(*corev1.Node); isNode {
		c.queue.Add(node.Name)
	}
}

// instanceChanged finds the Nodes of an instance; there may be none yet.
func (c *Controller) instanceChanged(instance api.Instance) {
	for _, key := range []string{keyOf(instance.Id, ""), keyOf("", instance.Name)} {
		nodes, err := c.index.ByIndex(byInstance, key)
		if err != nil {
			utilruntime.HandleError(err) // no such index: our own mistake
		}
		for _, node := range nodes {
			c.enqueue(node)
		}
	}
}

// instanceKeys is the index: a Node's instance, by id or by name. One of another cloud has none.
func instanceKeys(object any) ([]string, error) {
	node, isNode := object.(*corev1.Node)
	if !isNode {
		return nil, nil
	}
	id, err := providerid.Of(node.Name, node.Spec.ProviderID)
	if err != nil {
		return nil, nil //nolint:nilerr // an indexer that fails panics
	}
	return []string{keyOf(id.InstanceID, id.Name)}, nil
}

func keyOf(id, name string) string { return id + "/" + name }

func (c *Controller) work(ctx context.Context) bool {
	name, done := c.queue.Get()
	if done {
		return false
	}
	defer c.queue.Done(name)
	err := c.sync(ctx, name)
	if err == nil {
		c.queue.Forget(name)
		return true
	}
	if !apierrors.IsConflict(err) && !errors.Is(err, context.Canceled) { // others write Nodes too
		utilruntime.HandleError(fmt.Errorf("%s: node %s: %w", Name, name, err))
	}
	c.queue.AddRateLimited(name)
	return true
}

// sync does nothing where nothing is known, or where the instance is on its way out: that Node's end is upstream's, and until then
// it stays as unattractive as it is.
func (c *Controller) sync(ctx context.Context, name string) error {
	node, err := c.lister.Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	instance, known := c.instanceOf(node)
	if !known || instance.State == api.InstanceStateTerminating || instance.State == api.InstanceStateTerminated {
		return nil
	}
	open := openNotices(instance)
	if err := c.mark(ctx, node, open); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	c.tell(node, instance, open)
	return nil
}

func (c *Controller) instanceOf(node *corev1.Node) (api.Instance, bool) {
	id, err := providerid.Of(node.Name, node.Spec.ProviderID)
	if err != nil {
		return api.Instance{}, false
	}
	return c.cloud.KnownInstance(id.InstanceID, id.Name)
}

// mark writes taint and annotation in one patch, if they differ. The patch holds for the Node as we have seen it only: a list of
// taints is replaced as a whole, and others write there too.
func (c *Controller) mark(ctx context.Context, node *corev1.Node, open []api.Notice) error {
	taints := wantedTaints(node.Spec.Taints, open)
	if slices.Equal(taints, node.Spec.Taints) && node.Annotations[AnnotationNotices] == ids(open) {
		return nil
	}
	var annotation any // null removes it
	if len(open) > 0 {
		annotation = ids(open)
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"resourceVersion": node.ResourceVersion,
			"annotations":     map[string]any{AnnotationNotices: annotation},
		},
		"spec": map[string]any{"taints": taints},
	})
	if err != nil {
		return err
	}
	_, err = c.client.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err == nil {
		klog.V(2).Infof("node %s: %d open interruption notices (%s)", node.Name, len(open), ids(open))
	}
	return err
}

// tell records an Event for each notice that the annotation did not have yet, so once, whoever restarts.
func (c *Controller) tell(node *corev1.Node, instance api.Instance, open []api.Notice) {
	known := told(node)
	for _, notice := range open {
		if !slices.Contains(known, notice.Id) {
			c.recorder.Event(node, eventType(notice), EventReason, message(instance, notice))
		}
	}
}
