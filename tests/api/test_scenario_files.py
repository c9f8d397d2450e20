"""The ten scenarios of scripts/scenarios, each run, its effect asserted, and everything as before at its end."""

import httpx
import pytest

from harness.server import ROOT

FOLDER = ROOT / "scripts" / "scenarios"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def run(api, name, **variables):
    body = {"source": (FOLDER / f"{name}.yaml").read_text(), "file": f"{name}.yaml", "seed": 7}
    return api.post("/sim/v1/scenarios", {**body, "variables": variables}, expect=201)


def document(api, started):
    return api.get(f"/sim/v1/scenarios/{started['id']}")


def succeeded(api, started, within="3h"):
    api.advance(within)
    ended = document(api, started)
    assert ended["state"] == "succeeded" and "cleanup_error" not in ended, ended.get("state_reason", ended)
    assert api.get("/sim/v1/faults")["items"] == []
    return ended


def states(api, **filters):
    query = "&".join(f"{key}={value}" for key, value in filters.items())
    return [item["state"] for item in api.get(f"/v1/instances?{query}")["items"]]


def test_there_are_ten_and_all_are_valid(api):
    assert len(NAMES) == 10
    for name in NAMES:
        verdict = api.post("/sim/v1/scenarios/validate", {"source": (FOLDER / f"{name}.yaml").read_text()})
        assert verdict["valid"] and verdict["name"] == name, verdict


def test_spot_storm(api):
    api.instance(count=20, lifecycle="spot")
    api.instance(count=5)
    started = run(api, "spot-storm")
    assert any(item.get("notices") for item in api.get("/v1/instances?lifecycle=spot")["items"])
    succeeded(api, started)
    assert states(api, lifecycle="spot").count("running") < 20
    assert states(api, lifecycle="on-demand") == ["running"] * 5


def test_a_spot_storm_ends_even_if_the_first_wave_took_all_there_was(api):
    api.instance(lifecycle="spot")
    succeeded(api, run(api, "spot-storm"))
    assert states(api, lifecycle="spot") == []


def test_az_outage(api):
    for zone in ("mock-1a", "mock-1b"):
        api.instance(count=3, zone=zone)
    started = run(api, "az-outage")
    api.advance("1m")
    assert states(api, zone="mock-1a") == ["stopped"] * 3 and states(api, zone="mock-1b") == ["running"] * 3
    api.refuse("POST", "/v1/instances", {"zone": "mock-1a"}, status=409, code="zone_unavailable")
    succeeded(api, started)
    assert states(api) == ["running"] * 6


def test_rolling_maintenance(api):
    for zone in ("mock-1a", "mock-1b", "mock-1c"):
        api.instance(count=2, zone=zone)
    api.latency("instance.rebooting", "1m")
    started = run(api, "rolling-maintenance")
    api.advance("5m")
    assert states(api, zone="mock-1a") == ["rebooting"] * 2 and states(api, zone="mock-1b") == ["running"] * 2
    api.advance("10m")
    assert states(api, zone="mock-1a") == ["running"] * 2 and states(api, zone="mock-1b") == ["rebooting"] * 2
    succeeded(api, started)
    assert states(api) == ["running"] * 6


def test_api_brown_out(api):
    started = run(api, "api-brown-out", share=0.5)
    codes = [api.request("GET", "/v1/instances").status_code for _ in range(40)]
    assert {200, 503} == set(codes)
    succeeded(api, started)
    assert [api.request("GET", "/v1/instances").status_code for _ in range(10)] == [200] * 10


def test_throttling_ramp(api):
    started = run(api, "throttling-ramp")

    def allowed():
        return [api.request("GET", "/v1/instances").status_code for _ in range(60)].count(200)

    ramp = [allowed()]
    for _ in range(2):
        api.advance("2m")
        ramp.append(allowed())
    assert ramp == [40, 10, 1]
    succeeded(api, started)
    assert allowed() == 60


def test_capacity_drought(api):
    started = run(api, "capacity-drought")
    api.refuse("POST", "/v1/instances", {"zone": "mock-1a"}, status=503, code="insufficient_capacity")
    api.instance(zone="mock-1b")
    succeeded(api, started)
    api.instance(zone="mock-1a")


def test_flapping_targets(api):
    web = api.instance(count=3, tags={"role": "web"})["items"]
    pool = api.post("/v1/target-pools", {"targets": [{"instance_id": item["id"]} for item in web]})
    api.latency("instance.stopping", "5s")
    started = run(api, "flapping-targets")
    api.advance("30s")
    health = [target["health"] for target in api.get(f"/v1/target-pools/{pool['id']}")["targets"]]
    assert sorted(health) == ["healthy", "healthy", "unhealthy"]
    ended = succeeded(api, started)
    assert [step["fired"] for step in ended["steps"]] == [4, 4, 1]
    assert states(api) == ["running"] * 3


def test_lost_replies(api):
    started = run(api, "lost-replies")
    api.post("/v1/load-balancers", {"name": "answered"}, expect=201)
    with pytest.raises(httpx.RemoteProtocolError):
        api.post("/v1/load-balancers", {"name": "lost"})
    assert {item["name"] for item in api.get("/v1/load-balancers")["items"]} == {"answered", "lost"}
    succeeded(api, started)
    for name in ("one", "two"):
        api.post("/v1/load-balancers", {"name": name}, expect=201)


def test_stale_lists(api):
    api.advance("1m")
    started = run(api, "stale-lists")
    made = api.instance(name="young")
    assert states(api) == []
    api.missing(f"/v1/instances/{made['id']}")
    api.advance("31s")
    assert states(api) == ["running"]
    succeeded(api, started)
    api.instance(name="younger")
    assert len(states(api)) == 2


def test_slow_lb(api):
    started = run(api, "slow-lb")
    balancer = api.post("/v1/load-balancers", {}, expect=201)
    api.advance("4m59s")
    assert api.get(f"/v1/load-balancers/{balancer['id']}")["state"] == "provisioning"
    api.advance("1s")
    assert api.get(f"/v1/load-balancers/{balancer['id']}")["state"] == "active"
    succeeded(api, started)
    assert api.get("/sim/v1/latencies")["items"] == []
    assert api.post("/v1/load-balancers", {}, expect=201)["state"] == "active"
