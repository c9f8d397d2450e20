// Package nodes is the kubelets of a mock cloud's virtual instances: for each running instance a Node that is registered,
// and kept alive, as a kubelet with --cloud-provider=external would. See README.md for what it does and why not with kwok.
package nodes

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"mockcloud.dev/ccm-plugin/client/api"
)

// Options is how the nodes behave. All durations must be positive.
type Options struct {
	LeaseDuration  time.Duration // of the node leases; upstream's kubelet: 40 s
	RenewInterval  time.Duration // between two renewals; upstream: a quarter of the lease
	StatusInterval time.Duration // between two reports of an unchanged status; upstream: 5 min
	Registrations  int64         // that many nodes register at the same time
	ProviderID     bool          // register with spec.providerID set
	Labels         map[string]string
}

// heartbeatsAtOnce bounds what an API server that is too slow has to work on at the same time.
const heartbeatsAtOnce = 32

// typesPause is how long a failure to read the types is not repeated, for all the nodes that come meanwhile.
const typesPause = 5 * time.Second

// Types looks up instance types; all of them, because they are few.
type Types func(ctx context.Context) ([]api.InstanceType, error)

// Fleet runs one kubelet for each instance that is switched on.
type Fleet struct {
	options       Options
	log           *slog.Logger
	types         Types
	nodes         coreclient.NodeInterface
	leases        coordinationclient.LeaseInterface
	lister        corelisters.NodeLister
	informer      cache.SharedIndexInformer
	registrations *semaphore.Weighted
	heartbeats    *semaphore.Weighted

	mutex   sync.Mutex
	running map[string]*power   // by instance id
	byName  map[string]*kubelet // the one of that node name that was switched on last

	typesMutex sync.Mutex
	sizes      map[string]api.InstanceType
	typesAgain time.Time // when to ask again after a failure
	count      atomic.Int64
}

// power is the switch of one instance.
type power struct {
	kubelet *kubelet // nil while off
	cancel  context.CancelFunc
	ended   chan struct{} // closed when the kubelet that was last switched off, or is on, has ended
}

// NewFleet makes a fleet without nodes.
func NewFleet(kube kubernetes.Interface, types Types, options Options, log *slog.Logger) (*Fleet, error) {
	factory := informers.NewSharedInformerFactoryWithOptions(kube, 0, informers.WithTransform(slim))
	informer := factory.Core().V1().Nodes()
	fleet := &Fleet{
		options: options, log: log, types: types,
		nodes:         kube.CoreV1().Nodes(),
		leases:        kube.CoordinationV1().Leases(corev1.NamespaceNodeLease),
		lister:        informer.Lister(),
		informer:      informer.Informer(),
		registrations: semaphore.NewWeighted(options.Registrations),
		heartbeats:    semaphore.NewWeighted(heartbeatsAtOnce),
		running:       map[string]*power{},
		byName:        map[string]*kubelet{},
		sizes:         map[string]api.InstanceType{},
	}
	_, err := fleet.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    fleet.observe,
		UpdateFunc: func(_, node any) { fleet.observe(node) },
	})
	return fleet, err
}

// slim keeps of a Node what is read here: thousands are held.
func slim(object any) (any, error) {
	if node, ok := object.(*corev1.Node); ok {
		return &corev1.Node{
			ObjectMeta: *node.ObjectMeta.DeepCopy(),
			Status:     corev1.NodeStatus{Conditions: node.Status.Conditions},
		}, nil
	}
	return object, nil
}

// Run watches the nodes until ctx ends, then ends all kubelets and waits for them.
func (f *Fleet) Run(ctx context.Context) {
	f.informer.RunWithContext(ctx)
	f.mutex.Lock()
	defer f.mutex.Unlock()
	for _, p := range f.running {
		f.off(p)
		<-p.ended
	}
}

// observe makes a kubelet report at once when somebody else, such as the node lifecycle controller, changed its readiness.
func (f *Fleet) observe(object any) {
	node, ok := object.(*corev1.Node)
	if !ok || isReady(node) {
		return
	}
	f.mutex.Lock()
	k := f.byName[node.Name]
	f.mutex.Unlock()
	if k == nil {
		return
	}
	select {
	case k.poke <- struct{}{}:
	default: // it knows already
	}
}

// On switches the instance's kubelet on; one that is on stays as it is.
func (f *Fleet) On(ctx context.Context, instance api.Instance) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	p := f.running[instance.Id]
	if p == nil {
		p = &power{ended: make(chan struct{})}
		close(p.ended)
		f.running[instance.Id] = p
	}
	if p.kubelet != nil {
		return
	}
	before, ended := p.ended, make(chan struct{})
	ctx, p.cancel = context.WithCancel(ctx)
	p.kubelet, p.ended = newKubelet(f, instance), ended
	f.byName[instance.Name] = p.kubelet
	f.count.Add(1)
	k := p.kubelet
	go func() {
		defer close(ended)
		<-before // never two of one instance
		k.run(ctx)
	}()
}

// Off switches it off: from now on no renewal is sent. Its Node is left alone.
func (f *Fleet) Off(id string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if p := f.running[id]; p != nil {
		f.off(p)
	}
}

func (f *Fleet) off(p *power) {
	if p.kubelet == nil {
		return
	}
	p.cancel()
	f.count.Add(-1)
	if name := p.kubelet.instance.Name; f.byName[name] == p.kubelet {
		delete(f.byName, name)
	}
	p.kubelet.log.Info("switched off")
	p.kubelet = nil
}

// Forget is Off for an instance that will not come back.
func (f *Fleet) Forget(id string) {
	f.Off(id)
	f.mutex.Lock()
	defer f.mutex.Unlock()
	delete(f.running, id)
}

// Keep forgets every instance that is not in ids.
func (f *Fleet) Keep(ids map[string]bool) {
	f.mutex.Lock()
	var gone []string
	for id := range f.running {
		if !ids[id] {
			gone = append(gone, id)
		}
	}
	f.mutex.Unlock()
	for _, id := range gone {
		f.Forget(id)
	}
}

// Count says how many are on.
func (f *Fleet) Count() int64 { return f.count.Load() }

// typeOf asks the cloud for the types when it meets an unknown one.
func (f *Fleet) typeOf(ctx context.Context, name string) api.InstanceType {
	f.typesMutex.Lock()
	defer f.typesMutex.Unlock()
	if size, known := f.sizes[name]; known {
		return size
	}
	if time.Now().Before(f.typesAgain) {
		return defaultType
	}
	all, err := f.types(ctx)
	if err != nil {
		f.typesAgain = time.Now().Add(typesPause)
		f.log.Warn("instance types not read: a small one is assumed", "type", name, "error", err)
		return defaultType
	}
	for _, size := range all {
		f.sizes[size.Name] = size
	}
	if _, known := f.sizes[name]; !known {
		f.sizes[name] = defaultType
	}
	return f.sizes[name]
}
