"""Zones, regions, instance types and latencies."""

import pytest


def test_a_new_cloud_has_three_zones_of_one_region_and_three_types(api):
    zones = api.get("/v1/zones")["items"]
    assert [z["name"] for z in zones] == ["mock-1a", "mock-1b", "mock-1c"]
    assert all(z["state"] == "available" and z["region"] == "mock-1" for z in zones)
    assert api.get("/v1/regions")["items"] == [{"name": "mock-1", "zones": ["mock-1a", "mock-1b", "mock-1c"]}]
    assert [t["name"] for t in api.get("/v1/instance-types")["items"]] == ["small", "medium", "large"]


def test_zones_and_types_are_got_by_name(api):
    for path in ("/v1/zones", "/v1/instance-types"):
        for item in api.get(path)["items"]:
            assert api.get(f"{path}/{item['name']}") == item
        api.missing(f"{path}/no-such")


def test_a_zone_is_made_changed_and_deleted(api):
    made = api.put("/sim/v1/zones/far-1a", {"region": "far-1"})
    assert made["state"] == "available"
    assert "far-1a" in [z["name"] for z in api.get("/v1/zones")["items"]]
    assert {"name": "far-1", "zones": ["far-1a"]} in api.get("/v1/regions")["items"]
    assert api.instance(zone="far-1a")["region"] == "far-1"
    changed = api.put("/sim/v1/zones/far-1a", {"region": "far-1", "state": "unavailable"})
    assert changed["state"] == "unavailable" and changed["revision"] > made["revision"]


def test_an_unavailable_zone_takes_no_new_instances_and_starts_none(api):
    made = api.instance(zone="mock-1b")
    api.post(f"/v1/instances/{made['id']}/stop", expect=202)
    api.put("/sim/v1/zones/mock-1b", {"region": "mock-1", "state": "unavailable"})
    problem = api.refuse("POST", "/v1/instances", {"zone": "mock-1b"}, status=409, code="zone_unavailable")
    assert "mock-1b" in problem["detail"]
    api.refuse("POST", f"/v1/instances/{made['id']}/start", status=409, code="zone_unavailable")
    api.put("/sim/v1/zones/mock-1b", {"region": "mock-1", "state": "available"})
    api.post(f"/v1/instances/{made['id']}/start", expect=202)


def test_a_zone_with_instances_refuses_deletion_until_they_are_gone(api):
    made = api.instance(zone="mock-1c")
    api.refuse("DELETE", "/sim/v1/zones/mock-1c", status=409, code="in_use")
    api.delete(f"/v1/instances/{made['id']}")
    api.advance("2m")
    api.delete("/sim/v1/zones/mock-1c", expect=204)
    api.missing("/v1/zones/mock-1c")
    api.refuse("DELETE", "/sim/v1/zones/mock-1c", status=404, code="not_found")


@pytest.mark.parametrize("field,value", [("zone", "nowhere"), ("type", "huge")])
def test_an_instance_in_an_unknown_zone_or_of_an_unknown_type_is_refused_by_field(api, field, value):
    api.refuse("POST", "/v1/instances", {field: value}, status=400, code="invalid_argument", field=field)


def test_an_instance_type_is_made_changed_and_deleted(api):
    made = api.put("/sim/v1/instance-types/gpu", {"cpus": 8, "memory_mib": 65536})
    assert (made["cpus"], made["memory_mib"], made["max_pods"]) == (8, 65536, 110)
    assert api.put("/sim/v1/instance-types/gpu", {"cpus": 8, "memory_mib": 65536, "max_pods": 20})["max_pods"] == 20
    instance = api.instance(type="gpu")
    api.refuse("DELETE", "/sim/v1/instance-types/gpu", status=409, code="in_use")
    api.delete(f"/v1/instances/{instance['id']}")
    api.advance("2m")
    api.delete("/sim/v1/instance-types/gpu", expect=204)
    api.missing("/v1/instance-types/gpu")


@pytest.mark.parametrize("body,field", [
    ({"cpus": 0, "memory_mib": 1}, "cpus"), ({"cpus": 1}, "memory_mib"), ({"cpus": "1", "memory_mib": 1}, "cpus"),
    ({"cpus": 1, "memory_mib": 1, "max_pods": -1}, "max_pods"), ({"cpus": 1.5, "memory_mib": 1}, "cpus"),
])
def test_a_bad_instance_type_is_refused_by_field(api, body, field):
    api.refuse("PUT", "/sim/v1/instance-types/x", body, status=400, code="invalid_argument", field=field)


TRANSITIONS = [
    "instance.pending", "instance.stopping", "instance.rebooting", "instance.terminating", "instance.terminated",
    "load_balancer.provisioning", "load_balancer.updating", "load_balancer.deleting", "target.initial",
    "target.draining", "route.pending", "route.deleting",
]


@pytest.mark.parametrize("transition", TRANSITIONS)
def test_every_transition_has_a_latency_that_can_be_set_listed_and_removed(api, transition):
    made = api.latency(transition, "1.5s")
    assert (made["transition"], made["distribution"], made["value"]) == (transition, "fixed", "1.5s")
    assert made in api.get("/sim/v1/latencies")["items"]
    api.delete(f"/sim/v1/latencies/{transition}", expect=204)
    assert transition not in [item["transition"] for item in api.get("/sim/v1/latencies")["items"]]
    assert api.instance()["state"] == "running"


@pytest.mark.parametrize("body", [
    {"distribution": "uniform", "min": "1s", "max": "3s"},
    {"distribution": "normal", "mean": "10s", "stddev": "2s"},
    {"distribution": "lognormal", "mean": "10s", "stddev": "2s"},
])
def test_a_drawn_latency_differs_between_instances_and_stays_in_its_bounds(api, body):
    made = api.put("/sim/v1/latencies/instance.pending", body)
    assert {k: made[k] for k in body} == body
    times = [i.get("transition_at") for i in api.post("/v1/instances", {"count": 200}, expect=201)["items"]]
    drawn = [float(t[17:23]) + 60 * float(t[14:16]) for t in times if t]
    assert len(set(drawn)) > 20
    if body["distribution"] == "uniform":
        assert 1.0 <= min(drawn) and max(drawn) <= 3.0
    else:
        assert 9.0 < sum(drawn) / len(drawn) < 11.0


@pytest.mark.parametrize("body,field", [
    ({"distribution": "fixed"}, "value"),
    ({"distribution": "fixed", "value": "-1s"}, "value"),
    ({"distribution": "fixed", "value": "soon"}, "value"),
    ({"distribution": "fixed", "value": "8761h"}, "value"),
    ({"distribution": "fixed", "value": 5}, "value"),
    ({"distribution": "uniform", "min": "1s"}, "max"),
    ({"distribution": "uniform", "min": "3s", "max": "1s"}, None),
    ({"distribution": "normal", "mean": "1s"}, "stddev"),
    ({"distribution": "gaussian", "value": "1s"}, "distribution"),
    ({}, "distribution"),
])
def test_a_bad_latency_is_refused_by_field(api, body, field):
    api.refuse("PUT", "/sim/v1/latencies/instance.pending", body, status=400, code="invalid_argument", field=field)


def test_an_unknown_transition_is_refused(api):
    response = api.request("PUT", "/sim/v1/latencies/instance.flying", json={"distribution": "fixed", "value": "1s"})
    assert response.status_code in (400, 404)


def test_a_latency_counts_from_then_on_only(api):
    api.latency("instance.pending", "10s")
    early = api.instance()
    api.latency("instance.pending", "1h")
    api.advance("10s")
    assert api.get(f"/v1/instances/{early['id']}")["state"] == "running"
