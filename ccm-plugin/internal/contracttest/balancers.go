package contracttest

import (
	"context"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/provider"
	"mockcloud.dev/ccm-plugin/testserver"
)

var balancerCases = []testCase{
	{name: "a service becomes a load balancer with a pool of its nodes", run: makesBalancer},
	{name: "a repeat writes nothing", run: repeatWritesNothing},
	{name: "every option of a service reaches the cloud and a repeat writes nothing", run: everyOption},
	{name: "SV7 a load balancer that is not ready yet is a RetryError", run: notReadyIsRetried},
	{name: "B12 a create whose answer is lost leaves exactly one of everything", run: lostAnswers},
	{name: "a restart in the middle adopts what is there", run: restartAdopts},
	{name: "SV9 it exists until the last part is gone", run: existsUntilAllGone},
	{name: "B2 an interrupted deletion is finished by the next", run: deletionIsFinished},
	{name: "B10 deleting what never was succeeds", run: deletingNothing},
	{name: "a deletion that takes time is an error until it is done", run: slowDeletion},
	{name: "update changes the targets and nothing else", run: updateTargets},
	{name: "B16 a node without instance does not keep the others out", run: badNodes},
	{name: "B7 a stale instance of the same name is no target", run: staleInstance},
	{name: "B3 a target is not dropped because the cloud fails", run: failureKeepsTargets},
	{name: "B13 a load balancer that somebody deleted is made again", run: deletedOutOfBand},
	{name: "B14 load balancers of others are neither seen nor touched", run: foreignBalancer},
	{name: "changed ports, ranges and affinity are followed", run: followsChanges},
	{name: "SV21 externalTrafficPolicy Local is checked on its own port", run: localHealthCheck},
	{name: "SV23 an unsupported protocol is an error and makes nothing", run: refusesSCTP},
	{name: "SV24 a port without node port is an error that says so", run: refusesNoNodePort},
	{name: "a wrong annotation is an error that names it", run: refusesBadAnnotations},
	{name: "a reserved address of the user is used and stays", run: usersAddress},
	{name: "a free address that is asked for is reserved for the service's life", run: askedAddress},
	{name: "an address that is written in another way is the same address", run: otherwiseWritten},
	{name: "an address that is reserved for one service is not used by another", run: reservedForAnother},
	{name: "dual-stack has an address of each family", run: dualStackBalancer},
	{name: "what cannot be changed is replaced", run: replacesOnSchemeChange},
	{name: "an address that was reserved under another scheme is reserved anew", run: schemeOfReserved},
	{name: "a wish that cannot be had costs nobody the load balancer that works", run: keepsWhatWorks},
	{name: "B19 a throttled create waits as long as the cloud asks", run: throttled},
	{name: "the service and the nodes handed in are not changed", run: serviceIsNotChanged},
	{name: "names and addresses of the status are the cloud's", run: statusForms},
}

func makesBalancer(h *harness) {
	nodes := h.nodes(2)
	s := service("web", func(s *corev1.Service) {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Protocol: corev1.ProtocolUDP, Port: 53, NodePort: 30053})
	})
	status := h.ensure(s, nodes)
	balancer, pool := h.onlyBalancer(), h.onlyPool()
	if len(status.Ingress) != 1 || status.Ingress[0].IP != balancer.Addresses[0].Address {
		h.Fatalf("status %+v, the cloud has %+v", status, balancer.Addresses)
	}
	name := h.balancers().GetLoadBalancerName(h.ctx(), "kubernetes", s)
	wantTags := api.Tags{"mockcloud/cluster": Cluster, "mockcloud/service": "shop/web"}
	if balancer.Name != name || pool.Name != name || !reflect.DeepEqual(balancer.Tags, wantTags) || !reflect.DeepEqual(pool.Tags, wantTags) {
		h.Fatalf("names %q, %q (want %q), tags %v, %v (want %v)", balancer.Name, pool.Name, name, balancer.Tags, pool.Tags, wantTags)
	}
	var listeners []string
	for _, l := range balancer.Listeners {
		if l.TargetPoolId != pool.Id {
			h.Fatalf("listener of pool %s, want %s", l.TargetPoolId, pool.Id)
		}
		listeners = append(listeners, string(l.Protocol))
	}
	slices.Sort(listeners)
	if !slices.Equal(listeners, []string{"TCP", "UDP"}) || len(h.targets()) != 2 {
		h.Fatalf("listeners %v, targets %v", listeners, h.targets())
	}
	h.wantGet(s, true)
}

func repeatWritesNothing(h *harness) {
	nodes := h.nodes(2)
	s := service("web")
	first := h.ensure(s, nodes)
	h.wantNoWrites(func() {
		if again := h.ensure(s, []*corev1.Node{nodes[1], nodes[0]}); !reflect.DeepEqual(first, again) {
			h.Fatalf("status %+v, then %+v", first, again)
		}
		h.must(h.balancers().UpdateLoadBalancer(h.ctx(), "kubernetes", s, nodes))
	})
}

func everyOption(h *harness) {
	nodes := h.nodes(1)
	s := service("web", func(s *corev1.Service) {
		s.Spec.LoadBalancerSourceRanges = []string{"192.0.2.0/24", " 10.0.0.0/8"}
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr(int32(77))}}
		s.Annotations[provider.AnnotationScheme] = "internal"
		s.Annotations[provider.AnnotationIdleTimeout] = "300"
		s.Annotations[provider.AnnotationProxyProtocol] = "v2"
		s.Annotations[provider.AnnotationIPMode] = "Proxy"
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Protocol: corev1.ProtocolUDP, Port: 80, NodePort: 30081})
	})
	status := h.ensure(s, nodes)
	if mode := status.Ingress[0].IPMode; mode == nil || *mode != corev1.LoadBalancerIPModeProxy {
		h.Fatalf("ip mode %v", mode)
	}
	balancer := h.onlyBalancer()
	slices.Sort(balancer.SourceRanges)
	if balancer.Scheme != api.SchemeInternal || !slices.Equal(balancer.SourceRanges, []string{"10.0.0.0/8", "192.0.2.0/24"}) {
		h.Fatalf("scheme %s, source ranges %v", balancer.Scheme, balancer.SourceRanges)
	}
	for _, l := range balancer.Listeners {
		wantProxy := map[api.Protocol]api.ProxyProtocol{api.ProtocolTCP: api.ProxyProtocolV2, api.ProtocolUDP: api.ProxyProtocolNone}
		if *l.IdleTimeoutSeconds != 300 || *l.ProxyProtocol != wantProxy[l.Protocol] ||
			*l.SessionAffinity != api.SessionAffinityClientIp || *l.SessionAffinityTimeoutSeconds != 77 {
			h.Fatalf("listener %+v", l)
		}
	}
	h.wantNoWrites(func() { h.ensure(s, nodes) })
}

func notReadyIsRetried(h *harness) {
	h.latency("load_balancer.provisioning", "30s")
	h.latency("load_balancer.updating", "10s")
	nodes := h.nodes(1)
	s := service("web")
	for range 3 {
		status, err := h.balancers().EnsureLoadBalancer(h.ctx(), "kubernetes", s, nodes)
		if status != nil {
			h.Fatalf("status %+v of a load balancer that is provisioning", status)
		}
		h.wantRetry(err)
	}
	id := h.onlyBalancer().Id
	h.advance("30s")
	h.ensure(s, nodes)
	s.Spec.Ports[0].Port = 81
	_, err := h.balancers().EnsureLoadBalancer(h.ctx(), "kubernetes", s, nodes)
	h.wantRetry(err)
	h.advance("10s")
	h.ensure(s, nodes)
	if got := h.onlyBalancer(); got.Id != id || got.Listeners[0].Port != 81 {
		h.Fatalf("load balancer %+v, want %s with port 81", got, id)
	}
}

func lostAnswers(h *harness) {
	nodes := h.nodes(1)
	s := service("web")
	for _, fault := range []testserver.Fault{
		{Method: "POST", Path: "/v1/target-pools", Commit: true, Status: 500, Times: 1},
		{Method: "POST", Path: "/v1/load-balancers", Commit: true, Status: 504, NotProblem: true, Times: 1},
	} {
		h.proxy.Inject(fault)
		if _, err := h.balancers().EnsureLoadBalancer(h.ctx(), "kubernetes", s, nodes); err == nil {
			h.Fatalf("no error although the answer was lost: %+v", fault)
		}
	}
	before := h.onlyBalancer()
	h.ensure(s, nodes)
	h.wantParts(1, 1, 0)
	if after := h.onlyBalancer(); after.Id != before.Id || after.Addresses[0] != before.Addresses[0] {
		h.Fatalf("the load balancer changed from %+v to %+v", before, after)
	}
}

func restartAdopts(h *harness) {
	nodes := h.nodes(2)
	s := service("web")
	h.proxy.Inject(testserver.Fault{Method: "POST", Path: "/v1/load-balancers", Status: 503, Times: 1})
	if _, err := h.balancers().EnsureLoadBalancer(h.ctx(), "kubernetes", s, nodes); err == nil {
		h.Fatal("no error although the load balancer could not be made")
	}
	h.wantParts(0, 1, 0)
	h.provider = h.newProvider(provider.Config{Cache: h.mode})
	h.ensure(s, nodes)
	h.wantParts(1, 1, 0)
	h.provider = h.newProvider(provider.Config{Cache: h.mode})
	h.wantNoWrites(func() { h.ensure(s, nodes) })
}

func existsUntilAllGone(h *harness) {
	s := service("web", func(s *corev1.Service) { s.Spec.LoadBalancerIP = h.freeAddress(api.IPFamilyIpv4) })
	h.wantGet(s, false)
	h.ensure(s, h.nodes(1))
	h.wantParts(1, 1, 1)
	for _, path := range []string{"/v1/target-pools", "/v1/addresses"} {
		clear := h.proxy.Inject(testserver.Fault{Method: "DELETE", Path: path, Status: 500})
		if err := h.balancers().EnsureLoadBalancerDeleted(h.ctx(), "kubernetes", s); err == nil {
			h.Fatalf("no error although %s could not be deleted", path)
		}
		h.wantGet(s, true)
		clear()
	}
	h.wantParts(0, 0, 1)
	h.delete(s)
	h.wantParts(0, 0, 0)
	h.wantGet(s, false)
}

// freeAddress is an address of the cloud's pool that nobody has.
func (h *harness) freeAddress(family api.IPFamily) string {
	h.Helper()
	address, err := h.cloud.CreateAddress(h.ctx(), api.AddressCreate{Family: &family})
	h.must(err)
	h.must(h.cloud.DeleteAddress(h.ctx(), address.Id))
	return address.Address
}

func deletionIsFinished(h *harness) {
	nodes := h.nodes(1)
	s := service("web")
	h.ensure(s, nodes)
	h.proxy.Inject(testserver.Fault{Method: "DELETE", Path: "/v1/load-balancers", Commit: true, Drop: true, Times: 1})
	if err := h.balancers().EnsureLoadBalancerDeleted(h.ctx(), "kubernetes", s); err == nil {
		h.Fatal("no error although the answer was lost")
	}
	h.wantParts(0, 1, 0)
	h.provider = h.newProvider(provider.Config{Cache: h.mode})
	h.wantGet(s, true)
	h.delete(s)
	h.wantParts(0, 0, 0)
}

func deletingNothing(h *harness) {
	s := service("web")
	h.delete(s)
	h.ensure(s, h.nodes(1))
	h.delete(s)
	h.delete(s)
	h.wantGet(s, false)
	h.wantParts(0, 0, 0)
}

func slowDeletion(h *harness) {
	h.latency("load_balancer.deleting", "30s")
	s := service("web")
	h.ensure(s, h.nodes(1))
	for range 2 {
		if err := h.balancers().EnsureLoadBalancerDeleted(h.ctx(), "kubernetes", s); err == nil {
			h.Fatal("no error although it is still being deleted")
		}
		h.wantGet(s, true)
	}
	h.advance("30s")
	h.delete(s)
	h.wantGet(s, false)
	h.wantParts(0, 0, 0)
}

func updateTargets(h *harness) {
	nodes := h.nodes(3)
	s := service("web")
	h.ensure(s, nodes[:2])
	before := h.onlyBalancer()
	changed := service("web", func(s *corev1.Service) { s.Spec.Ports[0].Port = 9999 })
	h.proxy.Reset()
	h.must(h.balancers().UpdateLoadBalancer(h.ctx(), "kubernetes", changed, nodes))
	if writes := h.writes(); len(writes) != 1 || !strings.HasPrefix(writes[0], "PATCH /v1/target-pools/") {
		h.Fatalf("writes %v, want one PATCH of the pool", writes)
	}
	if len(h.targets()) != 3 || !reflect.DeepEqual(h.onlyBalancer().Listeners, before.Listeners) {
		h.Fatalf("targets %v, listeners %+v", h.targets(), h.onlyBalancer().Listeners)
	}
	h.must(h.balancers().UpdateLoadBalancer(h.ctx(), "kubernetes", s, nil))
	if len(h.targets()) != 0 {
		h.Fatalf("targets %v after an update to none", h.targets())
	}
	if err := h.balancers().UpdateLoadBalancer(h.ctx(), "kubernetes", service("absent"), nodes); err == nil {
		h.Fatal("an update of what does not exist succeeds")
	}
}

func badNodes(h *harness) {
	nodes := h.nodes(2)
	gone := h.instance("gone")
	h.terminate(gone)
	h.wantExists(nodeOf(gone), false) // with the cache: the event is in
	mixed := []*corev1.Node{
		nodeNamed("uninitialised", ""), nodes[0], nodeNamed("foreign", "aws:///x/i-1"), nodeOf(gone),
		nodeNamed("unknown", "mockcloud://zone-a/i-0123456789abcdef0"), nodes[1], nodes[1],
	}
	s := service("web")
	h.ensure(s, mixed)
	if got := h.targets(); len(got) != 2 {
		h.Fatalf("targets %v, want the two good nodes", got)
	}
	h.must(h.balancers().UpdateLoadBalancer(h.ctx(), "kubernetes", s, mixed[:2]))
	if got := h.targets(); len(got) != 1 {
		h.Fatalf("targets %v, want the one good node", got)
	}
}

func staleInstance(h *harness) {
	old := h.instance("a")
	s := service("web")
	h.ensure(s, []*corev1.Node{nodeOf(old)})
	h.terminate(old)
	replacement := h.instance("a")
	h.eventually("only the new instance is a target", func() (bool, string) {
		h.must(h.balancers().UpdateLoadBalancer(h.ctx(), "kubernetes", s, []*corev1.Node{nodeOf(old), nodeOf(replacement)}))
		got := h.targets()
		return slices.Equal(got, []string{replacement.Id}), strings.Join(got, ", ")
	})
}

func failureKeepsTargets(h *harness) {
	nodes := h.nodes(2)
	s := service("web")
	h.ensure(s, nodes)
	unknown := nodeNamed("unknown", "mockcloud://zone-a/i-0123456789abcdef0")
	clear := h.proxy.Inject(testserver.Fault{Method: "GET", Path: "/v1/instances", Status: 500})
	err := h.balancers().UpdateLoadBalancer(h.ctx(), "kubernetes", s, append(nodes, unknown))
	clear()
	if err == nil {
		h.Fatal("no error although an instance could not be looked up")
	}
	if len(h.targets()) != 2 {
		h.Fatalf("targets %v", h.targets())
	}
}

func deletedOutOfBand(h *harness) {
	nodes := h.nodes(1)
	s := service("web")
	h.ensure(s, nodes)
	old := h.onlyBalancer()
	_, err := h.cloud.DeleteLoadBalancer(h.ctx(), old.Id)
	h.must(err)
	h.must(h.cloud.DeleteTargetPool(h.ctx(), h.onlyPool().Id))
	h.ensure(s, nodes)
	h.wantParts(1, 1, 0)
	if h.onlyBalancer().Id == old.Id {
		h.Fatal("it is the deleted one")
	}
	h.wantNoWrites(func() { h.ensure(s, nodes) })
}

func foreignBalancer(h *harness) {
	s := service("web")
	name := h.balancers().GetLoadBalancerName(h.ctx(), "kubernetes", s)
	for _, tags := range []api.Tags{{}, {"mockcloud/cluster": "another"}} {
		pool, err := h.cloud.CreateTargetPool(h.ctx(), api.TargetPoolCreate{Name: &name, Tags: &tags})
		h.must(err)
		balancer, err := h.cloud.CreateLoadBalancer(h.ctx(), api.LoadBalancerCreate{Name: &name, Tags: &tags})
		h.must(err)
		h.wantGet(s, false)
		h.delete(s)
		if status, err := h.balancers().EnsureLoadBalancer(h.ctx(), "kubernetes", s, nil); err == nil {
			h.Fatalf("took somebody else's load balancer for its own: %+v", status)
		}
		if got := h.onlyBalancer(); got.Revision != balancer.Revision {
			h.Fatalf("somebody else's load balancer changed: %+v", got)
		}
		if got := h.onlyPool(); got.Revision != pool.Revision {
			h.Fatalf("somebody else's pool changed: %+v", got)
		}
		_, err = h.cloud.DeleteLoadBalancer(h.ctx(), balancer.Id)
		h.must(err)
		h.must(h.cloud.DeleteTargetPool(h.ctx(), pool.Id))
	}
}

func followsChanges(h *harness) {
	nodes := h.nodes(1)
	s := service("web")
	h.ensure(s, nodes)
	before := h.onlyBalancer()
	if !slices.Equal(before.SourceRanges, []string{"0.0.0.0/0"}) {
		h.Fatalf("source ranges %v, want everybody", before.SourceRanges)
	}
	for _, change := range []func(*corev1.Service){
		func(s *corev1.Service) { s.Spec.Ports[0].Port = 8080 },
		func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 31000 },
		func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = []string{"192.0.2.0/24"} },
		func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP },
		func(s *corev1.Service) { s.Annotations[provider.AnnotationIdleTimeout] = "30" },
	} {
		change(s)
		h.proxy.Reset()
		h.ensure(s, nodes)
		if writes := h.writes(); len(writes) != 1 || writes[0] != "PATCH /v1/load-balancers/"+before.Id {
			h.Fatalf("writes %v, want one PATCH of the load balancer", writes)
		}
	}
	after := h.onlyBalancer()
	listener := after.Listeners[0]
	if listener.Port != 8080 || listener.TargetPort != 31000 || *listener.SessionAffinity != api.SessionAffinityClientIp ||
		*listener.IdleTimeoutSeconds != 30 || !slices.Equal(after.SourceRanges, []string{"192.0.2.0/24"}) ||
		after.Addresses[0] != before.Addresses[0] {
		h.Fatalf("%+v", after)
	}
}

func localHealthCheck(h *harness) {
	nodes := h.nodes(1)
	s := service("web")
	h.ensure(s, nodes)
	if check := h.onlyPool().HealthCheck; check.Protocol != api.HealthCheckProtocolTCP {
		h.Fatalf("health check %+v", check)
	}
	s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	s.Spec.HealthCheckNodePort = 32000
	h.ensure(s, nodes)
	if check := h.onlyPool().HealthCheck; check.Protocol != api.HealthCheckProtocolHTTP || *check.Port != 32000 || *check.Path != "/healthz" {
		h.Fatalf("health check %+v", check)
	}
	h.wantNoWrites(func() { h.ensure(s, nodes) })
}

func refusesSCTP(h *harness) {
	h.refuses(service("web", func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolSCTP }), "SCTP")
}

func refusesNoNodePort(h *harness) {
	h.refuses(service("web", func(s *corev1.Service) {
		s.Spec.AllocateLoadBalancerNodePorts = ptr(false)
		s.Spec.Ports[0].NodePort = 0
	}), "allocateNodePorts")
}

func refusesBadAnnotations(h *harness) {
	for annotation, value := range map[string]string{
		provider.AnnotationScheme: "private", provider.AnnotationIPMode: "vip", provider.AnnotationIdleTimeout: "0",
		provider.AnnotationProxyProtocol: "v3", provider.AnnotationAddresses: "no-such-address", provider.AnnotationHostname: "Web_1",
		corev1.AnnotationLoadBalancerSourceRangesKey: "banana",
	} {
		want := annotation
		if annotation == provider.AnnotationAddresses {
			want = value
		}
		s := service("web", func(s *corev1.Service) { s.Annotations[annotation] = value })
		_, err := h.balancers().EnsureLoadBalancer(h.ctx(), "kubernetes", s, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			h.Errorf("%s=%s: %v, want an error with %q", annotation, value, err, want)
		}
		h.delete(s)
	}
	h.wantParts(0, 0, 0)
}

func (h *harness) refuses(s *corev1.Service, naming string) {
	h.Helper()
	_, err := h.balancers().EnsureLoadBalancer(h.ctx(), "kubernetes", s, nil)
	if err == nil || !strings.Contains(err.Error(), naming) {
		h.Fatalf("%v, want an error with %q", err, naming)
	}
	h.wantParts(0, 0, 0)
	h.wantGet(s, false)
}

// ensureAt ensures the load balancer of a Service, whose first address must be this.
func (h *harness) ensureAt(s *corev1.Service, address string) {
	h.Helper()
	if got := h.ensure(s, nil).Ingress[0].IP; got != address {
		h.Fatalf("address %s, want %s", got, address)
	}
}

func usersAddress(h *harness) {
	address, err := h.cloud.CreateAddress(h.ctx(), api.AddressCreate{Name: ptr("mine")})
	h.must(err)
	for _, mutate := range []func(*corev1.Service){
		func(s *corev1.Service) { s.Spec.LoadBalancerIP = address.Address },
		func(s *corev1.Service) { s.Annotations[provider.AnnotationAddresses] = "mine" },
	} {
		s := service("web", mutate)
		h.ensureAt(s, address.Address)
		h.wantNoWrites(func() { h.ensure(s, nil) })
		h.delete(s)
		h.wantParts(0, 0, 1)
	}
}

func askedAddress(h *harness) {
	literal := h.freeAddress(api.IPFamilyIpv4)
	s := service("web", func(s *corev1.Service) { s.Spec.LoadBalancerIP = literal })
	h.ensureAt(s, literal)
	h.wantNoWrites(func() { h.ensure(s, nil) })
	h.wantParts(1, 1, 1)

	other := h.freeAddress(api.IPFamilyIpv4)
	s.Spec.LoadBalancerIP = other
	_, err := h.balancers().EnsureLoadBalancer(h.ctx(), "kubernetes", s, nil)
	h.wantRetry(err) // the address cannot be changed: the load balancer is replaced
	h.ensureAt(s, other)
	h.ensure(s, nil)
	h.wantParts(1, 1, 1)
	h.delete(s)
	h.wantParts(0, 0, 0)
}

func otherwiseWritten(h *harness) {
	literal := h.freeAddress(api.IPFamilyIpv6)
	s := service("web", func(s *corev1.Service) {
		s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
		s.Spec.LoadBalancerIP = strings.ToUpper(literal)
	})
	if s.Spec.LoadBalancerIP == literal {
		h.Fatalf("%s is not written in another way", literal)
	}
	if got := h.ensure(s, nil).Ingress[0].IP; !strings.EqualFold(got, literal) {
		h.Fatalf("address %s, want %s", got, literal)
	}
	h.wantNoWrites(func() { h.ensure(s, nil) })
	s.Spec.LoadBalancerIP = literal
	h.wantNoWrites(func() { h.ensure(s, nil) })
	h.delete(s)
	h.wantParts(0, 0, 0)
}

// The first one could not end while the second has its address.
func reservedForAnother(h *harness) {
	literal := h.freeAddress(api.IPFamilyIpv4)
	first := service("first", func(s *corev1.Service) { s.Spec.LoadBalancerIP = literal })
	second := service("second", func(s *corev1.Service) { s.Spec.LoadBalancerIP = literal })
	h.ensure(first, nil)
	_, err := h.cloud.DeleteLoadBalancer(h.ctx(), h.onlyBalancer().Id) // the address is in use by none
	h.must(err)
	if _, err := h.balancers().EnsureLoadBalancer(h.ctx(), "kubernetes", second, nil); err == nil || !strings.Contains(err.Error(), "shop/first") {
		h.Fatalf("%v, want an error that names the other service", err)
	}
	h.delete(first)
	h.ensureAt(second, literal)
	h.delete(second)
	h.wantParts(0, 0, 0)
}

func schemeOfReserved(h *harness) {
	literal := h.freeAddress(api.IPFamilyIpv4)
	s := service("web", func(s *corev1.Service) {
		s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol} // one asked for, the other any
		s.Spec.LoadBalancerIP = literal
	})
	h.ensure(s, nil)
	s.Annotations[provider.AnnotationScheme] = "internal"
	_, err := h.balancers().EnsureLoadBalancer(h.ctx(), "kubernetes", s, nil)
	h.wantRetry(err)
	h.ensureAt(s, literal)
	if balancer := h.onlyBalancer(); balancer.Scheme != api.SchemeInternal {
		h.Fatalf("%+v", balancer)
	}
	h.wantNoWrites(func() { h.ensure(s, nil) })
	h.wantParts(1, 1, 2)
	h.delete(s)
	h.wantParts(0, 0, 0)
}

func keepsWhatWorks(h *harness) {
	s := service("web")
	h.ensure(s, nil)
	old := h.onlyBalancer()
	_, err := h.cloud.CreateAddress(h.ctx(), api.AddressCreate{Name: ptr("internal"), Scheme: ptr(api.SchemeInternal)})
	h.must(err)
	taken, err := h.cloud.CreateAddress(h.ctx(), api.AddressCreate{Name: ptr("taken")})
	h.must(err)
	other, err := h.cloud.CreateLoadBalancer(h.ctx(), api.LoadBalancerCreate{Name: ptr("other"), AddressIds: &[]string{taken.Id}})
	h.must(err)
	for _, wish := range []struct{ annotation, value, want string }{
		{provider.AnnotationAddresses, "internal", "internal"},
		{provider.AnnotationAddresses, "taken", other.Id},
		{provider.AnnotationHostname, "no name", "no name"},
		{provider.AnnotationHostname, "Web.Example", "Web.Example"},
		{provider.AnnotationHostname, "192.0.2.1", "192.0.2.1"},
	} {
		impossible := service("web", func(s *corev1.Service) { s.Annotations[wish.annotation] = wish.value })
		for range 2 {
			_, err := h.balancers().EnsureLoadBalancer(h.ctx(), "kubernetes", impossible, nil)
			if err == nil || !strings.Contains(err.Error(), wish.want) {
				h.Errorf("%s: %v, want an error with %q", wish.value, err, wish.want)
			}
		}
		if got, err := h.cloud.LoadBalancer(h.ctx(), old.Id); err != nil || got.State != api.LoadBalancerStateActive {
			h.Fatalf("%s=%s: %+v, %v", wish.annotation, wish.value, got, err)
		}
	}
	h.wantNoWrites(func() { h.ensure(s, nil) })
}

func dualStackBalancer(h *harness) {
	s := service("web", func(s *corev1.Service) {
		s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}
	})
	status := h.ensure(s, nil)
	if len(status.Ingress) != 2 || !strings.Contains(status.Ingress[0].IP, ":") || strings.Contains(status.Ingress[1].IP, ":") {
		h.Fatalf("status %+v, want IPv6, then IPv4", status)
	}
	balancer := h.onlyBalancer()
	slices.Sort(balancer.SourceRanges)
	if !slices.Equal(balancer.SourceRanges, []string{"0.0.0.0/0", "::/0"}) {
		h.Fatalf("source ranges %v", balancer.SourceRanges)
	}
	h.wantNoWrites(func() { h.ensure(s, nil) })
	h.delete(s)

	literal := h.freeAddress(api.IPFamilyIpv4)
	s.Spec.LoadBalancerIP = literal
	status = h.ensure(s, nil)
	if len(status.Ingress) != 2 || status.Ingress[1].IP != literal {
		h.Fatalf("status %+v, want an IPv6 address and %s", status, literal)
	}
	h.wantNoWrites(func() { h.ensure(s, nil) })
	h.delete(s)
	h.wantParts(0, 0, 0)
}

func replacesOnSchemeChange(h *harness) {
	nodes := h.nodes(1)
	s := service("web")
	h.ensure(s, nodes)
	old := h.onlyBalancer()
	s.Annotations[provider.AnnotationScheme] = "internal"
	_, err := h.balancers().EnsureLoadBalancer(h.ctx(), "kubernetes", s, nodes)
	h.wantRetry(err)
	h.ensure(s, nodes)
	if got := h.onlyBalancer(); got.Id == old.Id || got.Scheme != api.SchemeInternal {
		h.Fatalf("%+v", got)
	}
	h.wantParts(1, 1, 0)
}

func throttled(h *harness) {
	nodes := h.nodes(1)
	s := service("web")
	h.proxy.Inject(testserver.Fault{Method: "POST", Path: "/v1/load-balancers", Status: 429, RetryAfter: "1", Times: 1})
	ctx, cancel := context.WithTimeout(h.ctx(), eventPatience)
	defer cancel()
	if _, err := h.balancers().EnsureLoadBalancer(ctx, "kubernetes", s, nodes); err != nil {
		h.Fatalf("a throttle of one second was not waited out: %v", err)
	}
	if got := h.proxy.Count("POST", "/v1/load-balancers"); got != 2 {
		h.Fatalf("%d creates, want the throttled one and the repeat", got)
	}
	h.proxy.Reset()
	h.proxy.Inject(testserver.Fault{Method: "POST", Path: "/v1/load-balancers", Status: 429, RetryAfter: "600"})
	for range 5 {
		if _, err := h.balancers().EnsureLoadBalancer(ctx, "kubernetes", service("other"), nodes); err == nil {
			h.Fatal("no error although throttled")
		}
	}
	if got := h.proxy.Count("POST", "/v1/load-balancers"); got != 1 {
		h.Fatalf("%d creates while the cloud asks to wait for ten minutes, want 1", got)
	}
}

func serviceIsNotChanged(h *harness) {
	nodes := h.nodes(2)
	s := service("web")
	before, nodesBefore := s.DeepCopy(), nodes[0].DeepCopy()
	h.ensure(s, nodes)
	h.must(h.balancers().UpdateLoadBalancer(h.ctx(), "kubernetes", s, nodes[:1]))
	h.wantGet(s, true)
	h.delete(s)
	if !reflect.DeepEqual(s, before) || !reflect.DeepEqual(nodes[0], nodesBefore) {
		h.Fatalf("changed to %+v, %+v", s, nodes[0])
	}
}

func statusForms(h *harness) {
	s := service("web", func(s *corev1.Service) { s.Annotations[provider.AnnotationHostname] = "web.example.com" })
	status := h.ensure(s, nil)
	if len(status.Ingress) != 1 || status.Ingress[0].Hostname != "web.example.com" || status.Ingress[0].IP != "" {
		h.Fatalf("status %+v, want the hostname alone", status)
	}
	h.delete(s)
	left, _, err := h.cloud.LoadBalancers(h.ctx(), client.Filter{})
	h.must(err)
	if len(left) != 0 {
		h.Fatalf("left behind: %+v", left)
	}
}
