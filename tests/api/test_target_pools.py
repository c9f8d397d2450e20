"""Target pools: targets and their health."""

import pytest


def health(pool):
    return {t.get("instance_id") or t["address"]: t["health"] for t in pool["targets"]}


def test_a_pool_has_its_defaults(api):
    made = api.pool()
    assert made["name"] == made["id"] and made["targets"] == []
    check = api.pool(health_check={"protocol": "HTTP"})["health_check"]
    assert check == {"protocol": "HTTP", "port": 0, "path": "/", "interval_seconds": 10, "timeout_seconds": 5,
                     "healthy_threshold": 2, "unhealthy_threshold": 2}


def test_a_target_is_initial_first_and_healthy_in_time(api):
    api.latency("target.initial", "10s")
    made = api.pool(targets=[{"address": "192.0.2.10"}])
    assert health(made) == {"192.0.2.10": "initial"}
    assert made["transition_at"] == "2026-01-01T00:00:10.000Z"
    api.advance("10s")
    got = api.get(f"/v1/target-pools/{made['id']}")
    assert health(got) == {"192.0.2.10": "healthy"} and "transition_at" not in got


def test_a_target_follows_its_instance(api):
    instance = api.instance()
    made = api.pool(targets=[{"instance_id": instance["id"]}])
    path = f"/v1/target-pools/{made['id']}"
    assert health(api.get(path)) == {instance["id"]: "healthy"}
    api.post(f"/v1/instances/{instance['id']}/stop", expect=202)
    assert health(api.get(path)) == {instance["id"]: "unhealthy"}
    api.post(f"/v1/instances/{instance['id']}/start", expect=202)
    assert health(api.get(path)) == {instance["id"]: "healthy"}
    api.delete(f"/v1/instances/{instance['id']}")
    assert health(api.get(path)) == {instance["id"]: "unhealthy"}


def test_a_removed_target_drains_first(api):
    api.latency("target.draining", "30s")
    made = api.pool(targets=[{"address": "192.0.2.10"}, {"address": "192.0.2.11"}])
    path = f"/v1/target-pools/{made['id']}"
    left = api.delete(path + "/targets/192.0.2.10", expect=200)
    assert health(left) == {"192.0.2.10": "draining", "192.0.2.11": "healthy"}
    api.advance("30s")
    assert health(api.get(path)) == {"192.0.2.11": "healthy"}


def test_without_latency_a_removed_target_is_gone_at_once(api):
    instance = api.instance()
    made = api.pool(targets=[{"address": "192.0.2.10"}, {"instance_id": instance["id"]}])
    path = f"/v1/target-pools/{made['id']}"
    assert health(api.delete(path + f"/targets/{instance['id']}", expect=200)) == {"192.0.2.10": "healthy"}
    api.refuse("DELETE", path + f"/targets/{instance['id']}", status=404, code="not_found")


def test_adding_targets_leaves_those_already_there_as_they_are(api):
    made = api.pool(targets=[{"address": "192.0.2.10"}])
    path = f"/v1/target-pools/{made['id']}/targets"
    api.latency("target.initial", "10s")
    added = api.post(path, {"targets": [{"address": "192.0.2.10"}, {"address": "192.0.2.11"}]}, expect=200)
    assert health(added) == {"192.0.2.10": "healthy", "192.0.2.11": "initial"}


def test_replacing_targets_keeps_the_health_of_those_that_stay(api):
    made = api.pool(targets=[{"address": "192.0.2.10"}, {"address": "192.0.2.11"}])
    api.latency("target.initial", "10s")
    path = f"/v1/target-pools/{made['id']}"
    patched = api.patch(path, {"targets": [{"address": "192.0.2.11"}, {"address": "192.0.2.12"}]})
    assert health(patched) == {"192.0.2.11": "healthy", "192.0.2.12": "initial"}


def test_a_draining_target_that_is_added_again_comes_back(api):
    api.latency("target.draining", "30s")
    made = api.pool(targets=[{"address": "192.0.2.10"}])
    path = f"/v1/target-pools/{made['id']}"
    api.delete(path + "/targets/192.0.2.10", expect=200)
    api.post(path + "/targets", {"targets": [{"address": "192.0.2.10"}]}, expect=200)
    api.advance("1m")
    assert health(api.get(path)) == {"192.0.2.10": "healthy"}


def test_an_unknown_instance_is_refused_as_a_target_by_field(api):
    api.refuse("POST", "/v1/target-pools", {"targets": [{"instance_id": "i-0123456789abcdef0"}]},
               status=400, code="invalid_argument", field="targets[0].instance_id")


@pytest.mark.parametrize("target", [
    {}, {"address": "192.0.2.1", "instance_id": "i-0123456789abcdef0"}, {"address": "not-an-ip"},
    {"address": "192.0.2.0/24"}, {"address": ""}, {"address": 7}, None, "192.0.2.1",
])
def test_a_malformed_target_is_refused(api, target):
    problem = api.refuse("POST", "/v1/target-pools", {"targets": [target]}, status=400, code="invalid_argument")
    assert problem["field"].startswith("targets[0]")


def test_a_target_given_twice_is_refused(api):
    twice = [{"address": "192.0.2.10"}, {"address": "192.0.2.10"}]
    response = api.request("POST", "/v1/target-pools", json={"targets": twice})
    assert response.status_code in (400, 409) and response.json()["field"].startswith("targets[1]")


def test_a_target_fails_its_health_check_until_it_is_healed(api):
    instance = api.instance()
    other = {"address": "2001:db8::1"}
    made = api.pool(targets=[{"instance_id": instance["id"]}, other], health_check={"protocol": "TCP"})
    path = f"/v1/target-pools/{made['id']}"
    for key in (instance["id"], "2001:DB8:0::1"):
        failed = api.post(f"/sim{path}/targets/{key}/fail")
        again = api.post(f"/sim{path}/targets/{key}/fail")
        assert again["revision"] == failed["revision"]
    assert {t["health_reason"] for t in again["targets"]} == {"health-check-failed"}
    assert health(api.post(f"/sim{path}/targets/2001:db8::1/heal"))["2001:db8::1"] == "healthy"
    assert health(api.get(path))[instance["id"]] == "unhealthy"
    api.post(f"/v1/instances/{instance['id']}/stop", expect=202)
    stopped = api.post(f"/sim{path}/targets/{instance['id']}/heal")  # it is no check that fails
    assert health(stopped)[instance["id"]] == "unhealthy"
    for verb in ("fail", "heal"):
        api.refuse("POST", f"/sim{path}/targets/192.0.2.99/{verb}", status=404, code="not_found")


def test_a_thousand_targets_fit_into_a_pool(api):
    targets = [{"address": f"192.0.{n // 250}.{n % 250 + 1}"} for n in range(1000)]
    made = api.pool(targets=targets)
    assert [t["address"] for t in made["targets"]] == [t["address"] for t in targets]


def test_a_patch_of_the_health_check_replaces_what_it_names(api):
    made = api.pool(health_check={"protocol": "HTTP", "port": 80, "path": "/up"})
    patched = api.patch(f"/v1/target-pools/{made['id']}", {"health_check": {"protocol": "TCP", "port": 81}})
    assert (patched["health_check"]["protocol"], patched["health_check"]["port"]) == ("TCP", 81)


def test_pools_are_listed_by_name_and_tag_and_deleted(api):
    first = api.pool(name="a", tags={"k": "1"})
    second = api.pool(name="b", tags={"k": "2"})
    assert [p["id"] for p in api.get("/v1/target-pools")["items"]] == [first["id"], second["id"]]
    assert [p["id"] for p in api.get("/v1/target-pools", params={"name": "b"})["items"]] == [second["id"]]
    assert [p["id"] for p in api.get("/v1/target-pools", params={"tag.k": "1"})["items"]] == [first["id"]]
    api.refuse("POST", "/v1/target-pools", {"name": "a"}, status=409, code="already_exists", field="name")
    api.delete(f"/v1/target-pools/{first['id']}", expect=204)
    api.missing(f"/v1/target-pools/{first['id']}")
