package contracttest

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/provider"
	"mockcloud.dev/ccm-plugin/testserver"
)

var cacheCases = []testCase{
	{name: "nodes initialise and idle without reads of their own", mode: "watch", run: fewReads},
	{name: "absence is confirmed by exactly one direct get", mode: "watch", run: absenceIsConfirmed},
	{name: "a cut stream means direct reads, then the cache again", mode: "watch", run: cutStream},
	{name: "a cloud that cannot stream is read directly", mode: "watch", run: noStream},
	{name: "whoever watches instances is told of those there, of changes, and of all again after a cut, without a call", mode: "watch",
		run: instancesAreTold},
	{name: "without cache every question asks the cloud", mode: "none", run: everyQuestionAsks},
}

func (h *harness) reads(path string) int { return h.proxy.Count("GET", path) }

// settle waits until the cache answers, seen by a question that makes no call.
func (h *harness) settle(node *corev1.Node) {
	h.Helper()
	h.eventually("the cache answers", func() (bool, string) {
		before := h.reads("/v1/instances")
		_, err := h.instancesV2().InstanceExists(h.ctx(), node)
		after := h.reads("/v1/instances")
		return err == nil && before == after, fmt.Sprintf("%d reads, %v", after-before, err)
	})
}

func fewReads(h *harness) {
	const count = 200
	instances, err := h.cloud.CreateInstances(h.ctx(), api.InstanceCreate{Name: ptr("node")}, count)
	h.must(err)
	if len(instances) != count {
		h.Fatalf("%d instances, want %d", len(instances), count)
	}
	for _, instance := range instances { // a question makes its own instance known, and no other
		h.settle(nodeOf(instance))
	}
	h.proxy.Reset()
	for _, instance := range instances {
		_, err := h.instancesV2().InstanceMetadata(h.ctx(), nodeNamed(instance.Name, ""))
		h.must(err)
		h.wantExists(nodeOf(instance), true)
		h.wantShutdown(nodeOf(instance), false)
	}
	for i := range 10 {
		h.createRoute(instances[i].Name, fmt.Sprintf("10.128.%d.0/24", i))
	}
	for range 10 {
		if got := len(h.list()); got != 10 {
			h.Fatalf("%d routes", got)
		}
	}
	if reads := h.reads("/v1/"); reads != 0 {
		h.Fatalf("%d reads for %d nodes and 10 route lists, want none", reads, count)
	}
}

func absenceIsConfirmed(h *harness) {
	present, gone := h.instance("present"), h.instance("gone")
	h.settle(nodeOf(present))
	h.terminate(gone)
	h.wantExists(nodeOf(gone), false)
	h.proxy.Reset()
	h.wantExists(nodeOf(gone), false)
	if got := h.reads("/v1/instances/" + gone.Id); got != 1 || len(h.proxy.Calls()) != 1 {
		h.Fatalf("calls %+v, want one get of %s", h.proxy.Calls(), gone.Id)
	}
	// The cloud says otherwise than the cache: the cloud is right.
	h.proxy.Reset()
	clear := h.proxy.Inject(testserver.Fault{Path: "/v1/instances/" + gone.Id, Status: 500})
	if exists, err := h.instancesV2().InstanceExists(h.ctx(), nodeOf(gone)); err == nil {
		h.Fatalf("exists %v although absence could not be confirmed", exists)
	}
	clear()
}

func cutStream(h *harness) {
	first := h.instance("first")
	h.settle(nodeOf(first))
	clear := h.proxy.Inject(testserver.Fault{Path: "/v1/events", Status: 503})
	h.proxy.CutStreams()
	second := h.instance("second")
	h.terminate(first)
	h.wantExists(nodeOf(first), false)
	h.wantExists(nodeOf(second), true)
	h.wantShutdown(nodeOf(second), false)
	_, err := h.cloud.StopInstance(h.ctx(), second.Id)
	h.must(err)
	h.wantShutdown(nodeOf(second), true)
	clear()
	h.settle(nodeOf(second))
	_, err = h.cloud.StartInstance(h.ctx(), second.Id)
	h.must(err)
	h.wantShutdown(nodeOf(second), false)
}

func noStream(h *harness) {
	h.proxy.Inject(testserver.Fault{Path: "/v1/events", Status: 410})
	h.proxy.CutStreams()
	instance := h.instance("a")
	h.wantExists(nodeOf(instance), true)
	h.wantExists(nodeNamed("a", ""), true)
	h.createRoute("a", "10.128.1.0/24")
	h.wantRoutes("10.128.1.0/24>a")
	h.ensure(service("web"), []*corev1.Node{nodeOf(instance)})
	h.terminate(instance)
	h.wantExists(nodeOf(instance), false)
}

func instancesAreTold(h *harness) {
	first, second := h.instance("first"), h.instance("second")
	h.settle(nodeOf(second))
	h.proxy.Reset()
	cloud := h.provider.(*provider.Provider).Cloud()
	told := make(chan string, 1000)
	cloud.OnInstance(func(instance api.Instance) { told <- instance.Id })
	state := func(instance api.Instance, want api.InstanceState) {
		h.Helper()
		h.eventually(fmt.Sprintf("told that %s is %s", instance.Name, want), func() (bool, string) {
			for {
				select {
				case id := <-told:
					if known, ok := cloud.KnownInstance("", instance.Name); id == instance.Id && ok && known.State == want {
						return true, ""
					}
				default:
					return false, "not told"
				}
			}
		})
	}
	state(first, api.InstanceStateRunning)
	_, err := h.cloud.StopInstance(h.ctx(), first.Id)
	h.must(err)
	state(first, api.InstanceStateStopped)
	if _, known := cloud.KnownInstance("i-none", "first"); known {
		h.Fatal("an id that nobody has is known")
	}
	if calls := h.proxy.Calls(); len(calls) != 0 {
		h.Fatalf("it called: %+v", calls)
	}
	clear := h.proxy.Inject(testserver.Fault{Path: "/v1/events", Status: 503})
	h.proxy.CutStreams()
	h.eventually("nothing is known while the stream is cut", func() (bool, string) {
		_, known := cloud.KnownInstance(second.Id, "")
		return !known, "known"
	})
	clear()
	state(second, api.InstanceStateRunning)
}

func everyQuestionAsks(h *harness) {
	instance := h.instance("a")
	h.proxy.Reset()
	for i := range 3 {
		_, err := h.instancesV2().InstanceExists(h.ctx(), nodeOf(instance))
		h.must(err)
		if got := len(h.proxy.Calls()); got != i+1 {
			h.Fatalf("%d calls after %d questions", got, i+1)
		}
	}
}
