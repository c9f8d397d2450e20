package e2e

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"mockcloud.dev/ccm-plugin/client"
	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/testserver"
)

func routesTo(t *testing.T, instance api.Instance) []api.Route {
	t.Helper()
	all, _, err := env.cloud.Routes(t.Context(), client.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var routes []api.Route
	for _, route := range all {
		if hop := route.NextHop.InstanceId; hop != nil && *hop == instance.Id {
			routes = append(routes, route)
		}
	}
	return routes
}

func networkReady(node *corev1.Node) bool {
	c := condition(node, corev1.NodeNetworkUnavailable)
	return c.Status == corev1.ConditionFalse && c.Reason == "RouteCreated"
}

func TestRT2_EveryNodeHasOneRoutePerPodCIDR(t *testing.T) {
	for _, name := range []string{"rt2-1", "rt2-2"} {
		m := newMachine(t, name)
		node := m.eventually("network ready", networkReady)
		routes := routesTo(t, m.instance)
		if len(routes) != 1 || len(node.Spec.PodCIDRs) != 1 {
			t.Fatalf("routes %+v, pod CIDRs %v", routes, node.Spec.PodCIDRs)
		}
		route := routes[0]
		if route.DestinationCidr != node.Spec.PodCIDRs[0] || !strings.HasPrefix(route.Name, string(node.UID)) ||
			route.Tags["mockcloud/cluster"] != clusterID {
			t.Fatalf("route %+v of node %s with UID %s", route, describe(node), node.UID)
		}
	}
}

func TestRT3_TheNetworkIsAvailableOnlyOnceTheRouteIsThere(t *testing.T) {
	clear := env.proxy.Inject(testserver.Fault{Method: "POST", Path: "/v1/routes", Status: 403})
	defer clear()
	m := newMachine(t, "rt3")
	node := m.eventually("NetworkUnavailable True/NoRouteCreated", func(node *corev1.Node) bool {
		c := condition(node, corev1.NodeNetworkUnavailable)
		return c.Status == corev1.ConditionTrue && c.Reason == "NoRouteCreated"
	})
	wantEvent(t, node.UID, "FailedToCreateRoute")
	clear()
	m.eventually("NetworkUnavailable False/RouteCreated", networkReady)
}

// addRoute makes a route as if it were of this cluster, unless tags say otherwise.
func addRoute(t *testing.T, cidr string, hop api.NextHop, tags api.Tags) string {
	t.Helper()
	if tags == nil {
		tags = api.Tags{"mockcloud/cluster": clusterID}
	}
	route, err := env.cloud.CreateRoute(t.Context(), api.RouteCreate{DestinationCidr: cidr, NextHop: hop, Tags: &tags})
	if err != nil {
		t.Fatal(err)
	}
	return route.Id
}

// caughtUp waits until the CCM's copy has all that is in the cloud now: it deletes a stray route that came last.
func caughtUp(t *testing.T) {
	t.Helper()
	address := "192.0.2.7"
	id := addRoute(t, "10.240.0.0/24", api.NextHop{Address: &address}, nil)
	testserver.Eventually(t, patience, "the last stray route is deleted", func() (bool, string) { return routeGone(t, id), "it is there" })
}

func routeGone(t *testing.T, id string) bool {
	t.Helper()
	_, err := env.cloud.Route(t.Context(), id)
	if err != nil && !client.IsNotFound(err) {
		t.Fatal(err)
	}
	return err != nil
}

func TestRT5_StrayRoutesInTheClusterCIDRAreDeletedAndOthersNeverTouched(t *testing.T) {
	m := newMachine(t, "rt5")
	m.eventually("network ready", networkReady)
	stranger := newInstance(t, createNamed("rt5-stranger"))
	doomed := newInstance(t, createNamed("rt5-doomed"))
	hop := func(id string) api.NextHop { return api.NextHop{InstanceId: &id} }
	address := "192.0.2.7"

	kept := map[string]string{
		"outside the cluster CIDR":  addRoute(t, "10.64.0.0/24", hop(stranger.Id), nil),
		"of another cluster":        addRoute(t, "10.200.0.0/24", hop(stranger.Id), api.Tags{"mockcloud/cluster": "another"}),
		"of nobody":                 addRoute(t, "10.201.0.0/24", api.NextHop{Address: &address}, api.Tags{}),
		"of the node's own podCIDR": routesTo(t, m.instance)[0].Id,
	}
	stray := map[string]string{
		"to an instance that is no node": addRoute(t, "10.210.0.0/24", hop(stranger.Id), nil),
		"to the node, another CIDR":      addRoute(t, "10.211.0.0/24", hop(m.instance.Id), nil),
		"to no instance":                 addRoute(t, "10.212.0.0/24", api.NextHop{Address: &address}, nil),
		"to a terminated instance":       addRoute(t, "10.213.0.0/24", hop(doomed.Id), nil),
	}
	if _, err := env.cloud.TerminateInstance(t.Context(), doomed.Id); err != nil {
		t.Fatal(err)
	}
	for what, id := range stray {
		testserver.Eventually(t, patience, "the route "+what+" is deleted", func() (bool, string) { return routeGone(t, id), "it is there" })
	}
	for i := range 3 { // three more rounds of the controller, seen by a stray route that goes
		id := addRoute(t, fmt.Sprintf("10.22%d.0.0/24", i), hop(stranger.Id), nil)
		testserver.Eventually(t, patience, "a further stray route is deleted", func() (bool, string) { return routeGone(t, id), "it is there" })
	}
	for what, id := range kept {
		if routeGone(t, id) {
			t.Errorf("the route %s was deleted", what)
		} else if what != "of the node's own podCIDR" {
			if _, err := env.cloud.DeleteRoute(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestRT6_AStoppedInstanceKeepsItsRoute(t *testing.T) {
	m := newMachine(t, "rt6")
	m.eventually("network ready", networkReady)
	before := routesTo(t, m.instance)[0]
	m.stop()
	stranger := newInstance(t, createNamed("rt6-stranger"))
	for i := range 2 {
		id := addRoute(t, fmt.Sprintf("10.23%d.0.0/24", i), api.NextHop{InstanceId: &stranger.Id}, nil)
		testserver.Eventually(t, patience, "a stray route is deleted", func() (bool, string) { return routeGone(t, id), "it is there" })
	}
	if after := routesTo(t, m.instance); len(after) != 1 || after[0].Id != before.Id {
		t.Fatalf("routes %+v, want %s", after, before.Id)
	}
}
