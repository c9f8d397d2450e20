package contracttest

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	cloudprovider "k8s.io/cloud-provider"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/provider"
	"mockcloud.dev/ccm-plugin/testserver"
)

var routeCases = []testCase{
	{name: "a route is made, listed and deleted, each as often as wanted", run: routeLife},
	{name: "a dual-stack node has two routes", run: dualStackRoutes},
	{name: "B15 a create whose answer was lost succeeds the next time", run: routeLostAnswer},
	{name: "a destination taken by somebody else is an error", run: routeTaken},
	{name: "routes of others are neither listed nor deleted", run: foreignRoutes},
	{name: "a blackhole is a terminated or forgotten next hop and nothing else", run: blackholes},
	{name: "with blackholeOnStop a stopped next hop is one too", run: blackholeOnStop},
	{name: "RT8 a list that fails is an error", run: routeListFails},
	{name: "a route to a node without instance is an error", run: routeToNobody},
	{name: "a route that is being deleted is no longer listed", run: routeBeingDeleted},
	{name: "with routeNodeAddresses routes carry the addresses that their node had", run: routeAddresses},
}

func routeTo(node, cidr string) *cloudprovider.Route {
	return &cloudprovider.Route{TargetNode: types.NodeName(node), DestinationCIDR: cidr}
}

func (h *harness) list() []*cloudprovider.Route {
	h.Helper()
	routes, err := h.routes().ListRoutes(h.ctx(), "kubernetes")
	h.must(err)
	slices.SortFunc(routes, func(a, b *cloudprovider.Route) int { return compare(a.DestinationCIDR, b.DestinationCIDR) })
	return routes
}

func compare(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func (h *harness) createRoute(node, cidr string) {
	h.Helper()
	h.must(h.routes().CreateRoute(h.ctx(), "kubernetes", "uid-of-"+node, routeTo(node, cidr)))
}

func (h *harness) wantRoutes(want ...string) []*cloudprovider.Route {
	h.Helper()
	var routes []*cloudprovider.Route
	h.eventually(fmt.Sprintf("routes %v", want), func() (bool, string) {
		routes = h.list()
		var got []string
		for _, route := range routes {
			got = append(got, fmt.Sprintf("%s>%s", route.DestinationCIDR, route.TargetNode))
		}
		return slices.Equal(got, want), fmt.Sprint(got)
	})
	return routes
}

func routeLife(h *harness) {
	h.instance("a")
	if routes := h.list(); len(routes) != 0 {
		h.Fatalf("routes in an empty cloud: %v", routes)
	}
	h.createRoute("a", "10.128.1.0/24")
	h.createRoute("a", "10.128.1.0/24")
	routes := h.wantRoutes("10.128.1.0/24>a")
	if routes[0].Blackhole || routes[0].EnableNodeAddresses {
		h.Fatalf("%+v", routes[0])
	}
	for range 3 {
		h.must(h.routes().DeleteRoute(h.ctx(), "kubernetes", routes[0]))
	}
	h.wantRoutes()
}

func dualStackRoutes(h *harness) {
	h.instance("a")
	h.createRoute("a", "10.128.1.0/24")
	h.createRoute("a", "fd00:10:1::/64")
	h.wantRoutes("10.128.1.0/24>a", "fd00:10:1::/64>a")
}

func routeLostAnswer(h *harness) {
	h.instance("a")
	h.proxy.Inject(testserver.Fault{Method: "POST", Path: "/v1/routes", Commit: true, Status: 504, NotProblem: true, Times: 1})
	if err := h.routes().CreateRoute(h.ctx(), "kubernetes", "uid", routeTo("a", "10.128.1.0/24")); err == nil {
		h.Fatal("no error although the answer was lost")
	}
	h.must(h.routes().CreateRoute(h.ctx(), "kubernetes", "uid", routeTo("a", "10.128.1.0/24")))
	h.wantRoutes("10.128.1.0/24>a")
}

func routeTaken(h *harness) {
	h.instance("a")
	h.instance("b")
	h.foreignRoute("10.128.1.0/24", api.Tags{})
	h.createRoute("a", "10.128.2.0/24")
	for _, cidr := range []string{"10.128.1.0/24", "10.128.2.0/24"} {
		if err := h.routes().CreateRoute(h.ctx(), "kubernetes", "uid-b", routeTo("b", cidr)); err == nil {
			h.Fatalf("no error although %s is taken", cidr)
		}
	}
}

func (h *harness) foreignRoute(cidr string, tags api.Tags) api.Route {
	h.Helper()
	hop := "192.0.2.1"
	route, err := h.cloud.CreateRoute(h.ctx(), api.RouteCreate{DestinationCidr: cidr, NextHop: api.NextHop{Address: &hop}, Tags: &tags})
	h.must(err)
	return route
}

func foreignRoutes(h *harness) {
	h.instance("a")
	others := []api.Route{
		h.foreignRoute("10.128.1.0/24", api.Tags{}),
		h.foreignRoute("10.128.2.0/24", api.Tags{"mockcloud/cluster": "another"}),
	}
	h.createRoute("a", "10.128.3.0/24")
	h.wantRoutes("10.128.3.0/24>a")
	for _, other := range others {
		h.must(h.routes().DeleteRoute(h.ctx(), "kubernetes", &cloudprovider.Route{Name: other.Name, DestinationCIDR: other.DestinationCidr}))
		if _, err := h.cloud.Route(h.ctx(), other.Id); err != nil {
			h.Fatalf("somebody else's route %s: %v", other.Id, err)
		}
	}
}

func blackholes(h *harness) {
	instance := h.instance("a")
	h.createRoute("a", "10.128.1.0/24")
	_, err := h.cloud.StopInstance(h.ctx(), instance.Id)
	h.must(err)
	h.wantShutdown(nodeOf(instance), true) // with the cache: the event is in
	if routes := h.wantRoutes("10.128.1.0/24>a"); routes[0].Blackhole {
		h.Fatal("the route to a stopped instance is reported as a blackhole")
	}
	h.terminate(instance)
	h.eventually("a blackhole", func() (bool, string) {
		routes := h.list()
		return len(routes) == 1 && routes[0].Blackhole, fmt.Sprintf("%+v", *routes[0])
	})
	h.advance("2m")
	h.wantExists(nodeOf(instance), false)
	h.eventually("a blackhole without target", func() (bool, string) {
		routes := h.list()
		return len(routes) == 1 && routes[0].Blackhole && routes[0].TargetNode == "", fmt.Sprintf("%+v", *routes[0])
	})
	h.must(h.routes().DeleteRoute(h.ctx(), "kubernetes", h.list()[0]))
	h.wantRoutes()
}

func blackholeOnStop(h *harness) {
	h.provider = h.newProvider(provider.Config{Cache: h.mode, BlackholeOnStop: true})
	instance := h.instance("a")
	h.createRoute("a", "10.128.1.0/24")
	if routes := h.wantRoutes("10.128.1.0/24>a"); routes[0].Blackhole {
		h.Fatal("a blackhole although the instance runs")
	}
	_, err := h.cloud.StopInstance(h.ctx(), instance.Id)
	h.must(err)
	h.eventually("a blackhole", func() (bool, string) {
		routes := h.list()
		return len(routes) == 1 && routes[0].Blackhole, fmt.Sprintf("%+v", *routes[0])
	})
}

func routeListFails(h *harness) {
	h.instance("a")
	h.createRoute("a", "10.128.1.0/24")
	h.wantRoutes("10.128.1.0/24>a")
	for _, fault := range failures {
		fault.Path = "/v1/"
		clear := h.proxy.Inject(fault)
		h.proxy.CutStreams()
		h.eventually("an error", func() (bool, string) {
			routes, err := h.routes().ListRoutes(h.ctx(), "kubernetes")
			if err == nil && len(routes) != 1 {
				h.Fatalf("cloud answers %+v: %d routes without an error", fault, len(routes))
			}
			return err != nil, "a list"
		})
		clear()
	}
	h.wantRoutes("10.128.1.0/24>a")
}

func routeToNobody(h *harness) {
	if err := h.routes().CreateRoute(h.ctx(), "kubernetes", "uid", routeTo("nobody", "10.128.1.0/24")); err == nil {
		h.Fatal("no error although no instance has that name")
	}
	gone := h.instance("gone")
	h.terminate(gone)
	h.wantExists(nodeNamed("gone", ""), false)
	if err := h.routes().CreateRoute(h.ctx(), "kubernetes", "uid", routeTo("gone", "10.128.1.0/24")); err == nil {
		h.Fatal("no error although the instance is terminated")
	}
	all, _, err := h.cloud.Routes(h.ctx(), client.Filter{})
	h.must(err)
	if len(all) != 0 {
		h.Fatalf("made %+v", all)
	}
}

func routeBeingDeleted(h *harness) {
	h.latency("route.deleting", "30s")
	h.instance("a")
	h.createRoute("a", "10.128.1.0/24")
	h.must(h.routes().DeleteRoute(h.ctx(), "kubernetes", h.wantRoutes("10.128.1.0/24>a")[0]))
	h.wantRoutes()
	h.createRoute("a", "10.128.1.0/24") // it has given up its destination
	h.wantRoutes("10.128.1.0/24>a")
	h.advance("30s")
	h.wantRoutes("10.128.1.0/24>a")
}

func routeAddresses(h *harness) {
	h.provider = h.newProvider(provider.Config{Cache: h.mode, RouteNodeAddresses: true})
	h.instance("a")
	route := routeTo("a", "10.128.1.0/24")
	route.TargetNodeAddresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "a"},
		{Type: corev1.NodeInternalIP, Address: "10.0.0.7"}, {Type: corev1.NodeInternalIP, Address: "fd00::7"}}
	h.must(h.routes().CreateRoute(h.ctx(), "kubernetes", "uid", route))
	got := h.wantRoutes("10.128.1.0/24>a")[0]
	slices.SortFunc(got.TargetNodeAddresses, func(a, b corev1.NodeAddress) int { return strings.Compare(a.Address, b.Address) })
	slices.SortFunc(route.TargetNodeAddresses, func(a, b corev1.NodeAddress) int { return strings.Compare(a.Address, b.Address) })
	if !got.EnableNodeAddresses || !slices.Equal(got.TargetNodeAddresses, route.TargetNodeAddresses) {
		h.Fatalf("%+v", got)
	}
}
