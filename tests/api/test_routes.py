"""Routes: states, uniqueness, blackholes."""

import pytest


def test_without_latency_a_route_to_an_address_is_active_at_once(api):
    made = api.route("10.128.1.0/24", {"address": "10.0.0.1"}, name="pods-1", tags={"a": "b"})
    got = api.get(f"/v1/routes/{made['id']}")
    assert got["state"] == "active" and got["network"] == "default"
    assert (got["name"], got["destination_cidr"], got["next_hop"], got["tags"]) == (
        "pods-1", "10.128.1.0/24", {"address": "10.0.0.1"}, {"a": "b"})


def test_pending_and_deleting_take_their_times(api):
    api.latency("route.pending", "10s")
    api.latency("route.deleting", "20s")
    made = api.route("10.128.1.0/24", {"address": "10.0.0.1"})
    path = f"/v1/routes/{made['id']}"
    assert made["state"] == "pending" and made["transition_at"] == "2026-01-01T00:00:10.000Z"
    api.advance("10s")
    assert api.get(path)["state"] == "active"
    assert api.delete(path, expect=202)["state"] == "deleting"
    assert api.delete(path, expect=202)["state"] == "deleting"
    api.advance("20s")
    api.missing(path)


def test_without_latency_a_deleted_route_is_gone(api):
    made = api.route("10.128.1.0/24", {"address": "10.0.0.1"})
    assert api.delete(f"/v1/routes/{made['id']}", expect=202)["state"] == "deleted"
    api.missing(f"/v1/routes/{made['id']}")


def test_a_route_is_a_blackhole_while_its_instance_does_not_run(api):
    api.latency("instance.pending", "10s")
    instance = api.instance()
    made = api.route("10.128.1.0/24", {"instance_id": instance["id"]})
    path = f"/v1/routes/{made['id']}"
    assert made["state"] == "blackhole"
    api.advance("10s")
    assert api.get(path)["state"] == "active"
    api.post(f"/v1/instances/{instance['id']}/stop", expect=202)
    assert api.get(path)["state"] == "blackhole"
    api.post(f"/v1/instances/{instance['id']}/start", expect=202)
    api.advance("10s")
    assert api.get(path)["state"] == "active"


def test_a_dangling_next_hop_stays_as_a_blackhole_and_never_cascades(api):
    instance = api.instance()
    made = api.route("10.128.1.0/24", {"instance_id": instance["id"]})
    api.delete(f"/v1/instances/{instance['id']}")
    api.advance("61s")
    api.missing(f"/v1/instances/{instance['id']}")
    got = api.get(f"/v1/routes/{made['id']}")
    assert got["state"] == "blackhole" and got["next_hop"] == {"instance_id": instance["id"]}


def test_a_destination_is_unique_within_its_network(api):
    api.route("10.128.1.0/24", {"address": "10.0.0.1"}, network="one")
    api.refuse("POST", "/v1/routes",
               {"destination_cidr": "10.128.1.0/24", "next_hop": {"address": "10.0.0.2"}, "network": "one"},
               status=409, code="already_exists", field="destination_cidr")
    api.route("10.128.1.0/24", {"address": "10.0.0.1"}, network="two")
    api.route("10.128.1.0/25", {"address": "10.0.0.1"}, network="one")


def test_a_destination_is_free_again_after_its_route_is_gone(api):
    made = api.route("10.128.1.0/24", {"address": "10.0.0.1"})
    api.delete(f"/v1/routes/{made['id']}")
    api.route("10.128.1.0/24", {"address": "10.0.0.1"})


def test_a_new_next_hop_decides_the_state(api):
    stopped = api.instance()
    api.post(f"/v1/instances/{stopped['id']}/stop", expect=202)
    made = api.route("10.128.1.0/24", {"address": "10.0.0.1"})
    path = f"/v1/routes/{made['id']}"
    assert api.patch(path, {"next_hop": {"instance_id": stopped["id"]}})["state"] == "blackhole"
    assert api.patch(path, {"next_hop": {"address": "2001:db8::1"}})["state"] == "active"


@pytest.mark.parametrize("cidr", [
    "10.128.1.1/24", "10.128.1.0/33", "10.128.1.0", "10.128.1.0/", "/24", "", "10.128.1.0/-1", "10.128.1.0/024",
    "fd00::1/64", "fd00::/129", "banana", "10.128.1/24", "10.128.1.0/24 ", "999.0.0.0/8",
])
def test_a_bad_cidr_is_refused_by_field(api, cidr):
    api.refuse("POST", "/v1/routes", {"destination_cidr": cidr, "next_hop": {"address": "10.0.0.1"}},
               status=400, code="invalid_argument", field="destination_cidr")


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "10.128.1.7/32", "fd00::/64", "::/0"])
def test_a_good_cidr_is_kept(api, cidr):
    assert api.route(cidr, {"address": "10.0.0.1"})["destination_cidr"] == cidr


@pytest.mark.parametrize("hop", [{}, {"address": "nonsense"}, {"address": "10.0.0.1", "instance_id": "i-1"}, None, 7,
                                 {"instance_id": "i-0123456789abcdef0"}, {"address": ""}])
def test_a_bad_next_hop_is_refused_by_field(api, hop):
    problem = api.refuse("POST", "/v1/routes", {"destination_cidr": "10.128.1.0/24", "next_hop": hop},
                         status=400, code="invalid_argument")
    assert problem["field"].startswith("next_hop")


def test_routes_are_listed_by_network_state_name_and_tag(api):
    stopped = api.instance()
    api.post(f"/v1/instances/{stopped['id']}/stop", expect=202)
    one = api.route("10.1.0.0/16", {"address": "10.0.0.1"}, name="one", network="a", tags={"k": "1"})
    two = api.route("10.2.0.0/16", {"instance_id": stopped["id"]}, name="two", network="b")

    def ids(**params):
        return [r["id"] for r in api.get("/v1/routes", params=params)["items"]]

    assert ids() == [one["id"], two["id"]]
    assert ids(network="b") == [two["id"]]
    assert ids(state="blackhole") == [two["id"]]
    assert ids(state="active,blackhole") == [one["id"], two["id"]]
    assert ids(name="one") == [one["id"]] and ids(**{"tag.k": "1"}) == [one["id"]]
    api.refuse("POST", "/v1/routes",
               {"name": "one", "destination_cidr": "10.3.0.0/16", "next_hop": {"address": "10.0.0.1"}},
               status=409, code="already_exists", field="name")


def test_when_an_instance_stops_each_of_its_routes_gets_an_event(api):
    instance = api.instance()
    routes = {api.route(f"10.{n}.0.0/16", {"instance_id": instance["id"]})["id"] for n in range(5)}
    since = api.events()[-1]["revision"]
    api.post(f"/v1/instances/{instance['id']}/stop", expect=202)
    changed = api.events(since=since, kind="route")
    assert {e["id"] for e in changed} == routes
    assert all(e["document"]["state"] == "blackhole" for e in changed)
