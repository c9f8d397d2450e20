"""Chaos: misfortunes at random times, within limits, brought back, the same for the same seed."""

import pytest


def start(api, **body):
    return api.post("/sim/v1/chaos", body, expect=201)


def chaos(api, started):
    return api.get(f"/sim/v1/chaos/{started['id']}")


def alive(api):
    return api.get("/v1/instances?state=pending,running,stopping,stopped,rebooting&limit=10000")["items"]


def events(api):
    found, since = [], 0
    while page := api.get(f"/v1/events?since={since}&limit=1000")["items"]:
        found += page
        since = page[-1]["revision"]
    return found


def test_rates_are_kept_on_average(api):
    api.instance(count=50)
    started = start(api, rates={"reboot": 10, "stop": 5}, seed=1)
    api.advance("100h")
    done = chaos(api, started)["done"]
    assert 850 < done["reboot"] < 1150 and 400 < done["stop"] < 600


def test_what_it_ends_is_replaced_and_what_it_stops_comes_back(api):
    api.instance(count=20, lifecycle="spot", tags={"role": "web"})
    api.instance(count=20, tags={"role": "web"})
    first = {item["id"] for item in alive(api)}
    started = start(api, profile="spot-heavy", seed=7, rates={"stop": 20})
    api.advance("24h")
    done = chaos(api, started)["done"]
    assert done["interrupt"] > 100 and done["terminate"] > 20 and done["stop"] > 100
    stopped = api.post(f"/sim/v1/chaos/{started['id']}/stop")
    assert stopped["state"] == "stopped" and stopped["down"] == 0
    api.advance("10m")
    now = alive(api)
    assert {item["state"] for item in now} == {"running"} and len(now) >= 40
    assert len([item for item in now if item["lifecycle"] == "spot"]) >= 20
    assert all(item["tags"] == {"role": "web"} for item in now) and not first & {item["id"] for item in now if item["lifecycle"] == "spot"}


def test_the_limits_are_never_passed(api):
    for zone in ("mock-1a", "mock-1b"):
        api.instance(count=10, zone=zone)
    api.instance(count=5, zone="mock-1c", tags={"role": "db"})
    limits = {"max_down": 4, "max_down_per_zone": 3, "protect": {"role": "db"}}
    started = start(api, rates={"stop": 500, "terminate": 100}, seed=3, limits=limits)
    for _ in range(40):
        api.advance("3m")
        down = [item for item in api.get("/v1/instances?state=stopped,terminated")["items"] if item["state"] == "stopped"]
        assert chaos(api, started)["down"] <= 4 and len(down) <= 4
        assert all([item["zone"] for item in down].count(zone) <= 3 for zone in ("mock-1a", "mock-1b"))
    document = chaos(api, started)
    assert document["skipped"]["stop"] > 10 and document["done"]["stop"] > 10
    assert len(api.get("/v1/instances?tag.role=db&state=running")["items"]) == 5


def test_a_least_number_is_left_alone(api):
    api.instance(count=6)
    started = start(api, rates={"terminate": 100}, respawn=False, seed=1, limits={"min_running": 4, "max_down": 0})
    api.advance("10h")
    assert len(alive(api)) == 4 and chaos(api, started)["done"]["terminate"] == 2


@pytest.mark.parametrize("limits, goes", [
    ({"max_down": 0}, True), ({"max_down": 4}, True), ({"max_down": 3}, False),
    ({"max_down": 0, "max_down_per_zone": 3}, False), ({"max_down": 0, "min_running": 1}, False),
    ({"max_down": 0, "protect": {"role": "web"}}, False),
])
def test_a_zone_goes_down_if_the_limits_allow_all_of_it(api, limits, goes):
    for zone in ("mock-1b", "mock-1c"):
        api.put(f"/sim/v1/zones/{zone}", {"region": "mock-1", "state": "unavailable"})
    api.instance(count=4, zone="mock-1a", tags={"role": "web"})
    started = start(api, rates={"zone_outage": 1000}, seed=1, limits=limits)
    api.advance("25s")
    document = chaos(api, started)
    assert {item["state"] for item in alive(api)} == {"stopped" if goes else "running"}
    assert ("done" if goes else "skipped") in document and sum(document["done" if goes else "skipped"].values()) > 0
    assert len(api.get("/sim/v1/faults")["items"]) == document["done"].get("zone_outage", 0)
    api.post(f"/sim/v1/chaos/{started['id']}/stop")
    assert {item["state"] for item in alive(api)} == {"running"}


def test_who_is_in_a_zone_that_is_down_is_down(api):
    api.instance(count=3, zone="mock-1a")
    api.instance(count=30, zone="mock-1b")
    for zone in ("mock-1b", "mock-1c"):
        api.put(f"/sim/v1/zones/{zone}", {"region": "mock-1", "state": "unavailable"})
    started = start(api, rates={"zone_outage": 20, "reboot": 60}, seed=1, limits={"max_down": 3}, min_down="10m", max_down="10m")
    api.advance("30m")
    document = chaos(api, started)
    assert document["done"]["zone_outage"] > 0 and document["skipped"]["reboot"] > 0
    api.advance("12h")
    assert chaos(api, started)["done"]["reboot"] > 0


def slow(api):
    for transition in ("pending", "rebooting", "stopping", "terminating"):
        api.latency(f"instance.{transition}", "40s")


def running_over_time(api, started):
    """How many ran, every ten seconds for twenty minutes."""
    for _ in range(120):
        api.advance("10s")
        yield len([item for item in api.get("/v1/instances?limit=1000")["items"] if item["state"] == "running"])
    assert sum(chaos(api, started)["done"].values()) > 3 < sum(chaos(api, started)["skipped"].values())


@pytest.mark.parametrize("action", ["terminate", "stop", "reboot", "interrupt"])
def test_who_is_not_yet_back_is_down(api, action):
    slow(api)
    api.instance(count=12, lifecycle="spot")
    api.advance("1m")
    started = start(api, rates={action: 600}, seed=1, limits={"max_down": 3}, min_down="10s", max_down="20s")
    assert min(running_over_time(api, started)) >= 9


def healths(api, pool):
    return [(item["health"], item.get("health_reason")) for item in api.get(f"/v1/target-pools/{pool['id']}")["targets"]]


def test_targets_fail_their_health_checks_for_a_while(api):
    spared = api.instance(tags={"role": "db"})
    ids = [item["id"] for item in api.instance(count=3)["items"]]
    pool = api.pool(targets=[{"instance_id": id_} for id_ in [spared["id"], *ids]] + [{"address": "192.0.2.1"}])
    since = api.get("/v1/zones?limit=1")["revision"]
    started = start(api, rates={"target_failure": 30}, seed=1, min_down="1m", max_down="5m", limits={"protect": {"role": None}})
    api.advance("4h")
    told = [event for event in events(api) if event["revision"] > since]
    seen = [target for event in told if event["kind"] == "target_pool" for target in event["document"]["targets"]]
    failed = {target.get("instance_id") or target["address"] for target in seen if target.get("health_reason") == "health-check-failed"}
    assert failed == {*ids, "192.0.2.1"} and {item["state"] for item in alive(api)} == {"running"}
    last = [event["document"]["last"] for event in told if event["kind"] == "chaos" and "last" in event["document"]]
    assert {item["target"] for item in last if item["outcome"] == "done"} == failed
    assert {item["target_pool_id"] for item in last if item["outcome"] == "done"} == {pool["id"]}
    assert 60 < chaos(api, started)["done"]["target_failure"] < 150
    api.post(f"/sim/v1/chaos/{started['id']}/stop")
    assert healths(api, pool) == 5 * [("healthy", None)]


def test_without_target_pools_no_target_fails(api):
    started = start(api, rates={"target_failure": 60}, seed=1)
    api.pool()
    api.advance("1h")
    assert not chaos(api, started)["done"] and chaos(api, started)["skipped"]["target_failure"] > 0


def with_some_stopping(api):
    slow(api)
    api.instance(count=5)
    api.advance("1m")
    started = start(api, rates={"stop": 600}, seed=1, min_down="1s", max_down="2s")
    api.advance("30s")
    assert "stopping" in {item["state"] for item in alive(api)}
    return started


def test_what_is_still_stopping_comes_back_too(api):
    started = with_some_stopping(api)
    stopped = api.post(f"/sim/v1/chaos/{started['id']}/stop")
    assert stopped["down"] > 0
    api.advance("5m")
    assert {item["state"] for item in alive(api)} == {"running"} and chaos(api, started)["down"] == 0


@pytest.mark.parametrize("stop_first", [True, False])
def test_deleted_chaos_brings_back_what_is_still_stopping_and_is_gone_then(api, stop_first):
    started = with_some_stopping(api)
    if stop_first:
        api.post(f"/sim/v1/chaos/{started['id']}/stop")
    api.delete(f"/sim/v1/chaos/{started['id']}", expect=204)
    assert chaos(api, started)["state"] == "deleting" and chaos(api, started)["down"] > 0
    api.delete(f"/sim/v1/chaos/{started['id']}", expect=204)
    api.advance("5m")
    assert {item["state"] for item in alive(api)} == {"running"}
    api.missing(f"/sim/v1/chaos/{started['id']}")


def test_chaos_with_nothing_down_is_deleted_at_once(api):
    started = start(api, profile="calm")
    api.delete(f"/sim/v1/chaos/{started['id']}", expect=204)
    api.missing(f"/sim/v1/chaos/{started['id']}")
    start(api, profile="calm")


def test_what_is_brought_back_waits_for_its_zone(api):
    slow(api)
    api.instance(count=4, zone="mock-1a")
    api.advance("1m")
    started = start(api, rates={"stop": 600}, seed=1, min_down="1h", max_down="1h")
    api.advance("2m")
    rule = api.post("/sim/v1/faults", {"match": {"operations": ["*"]}, "effect": {"zone_outage": {"zone": "mock-1a", "instances": "keep"}}}, expect=201)
    api.post(f"/sim/v1/chaos/{started['id']}/stop")
    api.advance("1h")
    assert {item["state"] for item in alive(api)} == {"stopped"} and chaos(api, started)["down"] == 4
    api.delete(f"/sim/v1/faults/{rule['id']}")
    api.advance("10m")
    assert {item["state"] for item in alive(api)} == {"running"} and chaos(api, started)["down"] == 0


@pytest.mark.parametrize("respawn", [True, False])
def test_who_has_notice_is_not_counted_on(api, respawn):
    slow(api)
    api.instance(count=12, lifecycle="spot")
    api.advance("1m")
    started = start(api, rates={"interrupt": 600}, respawn=respawn, seed=1, limits={"min_running": 8, "max_down": 0})
    assert min(running_over_time(api, started)) >= 8


def test_the_tag_of_chaos_protects(api):
    spared = api.instance(count=3, tags={"chaos.mockcloud.dev/protected": ""})["items"]
    api.instance(count=3)
    start(api, rates={"terminate": 500}, respawn=False, seed=1, limits={"max_down": 0})
    api.advance("10h")
    assert {item["id"] for item in alive(api)} == {item["id"] for item in spared}


@pytest.mark.parametrize("value, spared", [("db", 2), (None, 5), ("", 0)])
def test_a_protected_key_without_value_means_any_value(api, value, spared):
    api.instance(count=2, tags={"role": "db"})
    api.instance(count=3, tags={"role": "web"})
    api.instance(count=4, tags={"other": "db"})
    started = start(api, rates={"terminate": 500}, respawn=False, seed=1, limits={"max_down": 0, "protect": {"role": value}})
    assert chaos(api, started)["limits"]["protect"] == {"role": value}
    api.advance("10h")
    assert len(alive(api)) == spared and {item["tags"].get("role") for item in alive(api)} <= {"db", "web"}


def test_one_runs_in_a_project_at_a_time(api, connect):
    started = start(api, profile="calm")
    api.refuse("POST", "/sim/v1/chaos", {"profile": "calm"}, status=409, code="already_exists")
    api.post("/sim/v1/projects", {"name": "team"}, expect=201)
    start(connect(api.server, project="team"), profile="calm")
    api.post(f"/sim/v1/chaos/{started['id']}/stop")
    start(api, profile="calm")


def test_it_goes_on_after_a_restart_as_without_one(start, connect, tmp_path):
    logs = []
    for killed in (False, True):
        (tmp_path / str(killed)).mkdir()
        server = start(seed=5, directory=tmp_path / str(killed))
        api = connect(server)
        slow(api)
        api.instance(count=12, lifecycle="spot")
        api.post("/sim/v1/chaos", {"profile": "mayhem", "seed": 7}, expect=201)
        api.advance("3h")
        if killed:
            server.kill()
            server.start()
            api = connect(server)
        api.advance("3h")
        logs.append(events(api))
    assert len(logs[0]) > 200 and logs[0] == logs[1]


def test_a_dry_run_tells_and_does_nothing(api):
    api.instance(count=10)
    before = api.get("/v1/instances")["items"]
    started = start(api, profile="mayhem", dry_run=True, seed=2, limits={"max_down": 2})
    api.advance("5h")
    document = chaos(api, started)
    assert sum(document["done"].values()) > 50 and document["last"]["outcome"] in ("dry-run", "skipped")
    assert document["down"] > 0 and sum(document["skipped"].values()) > 0  # the limits hold for the plan
    assert api.get("/v1/instances")["items"] == before and api.get("/sim/v1/faults")["items"] == []
    told = [event["document"]["last"] for event in events(api) if event["kind"] == "chaos" and "last" in event["document"]]
    assert {"action", "instance_id"} <= set(told[0]) and len({item["number"] for item in told}) > 50


def test_the_same_seed_gives_the_same_events(start, connect, tmp_path):
    logs = []
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        api = connect(start(seed=5, directory=tmp_path / run))
        api.instance(count=30, lifecycle="spot")
        api.post("/sim/v1/chaos", {"profile": "mayhem", "seed": 7}, expect=201)
        api.advance("12h")
        logs.append(events(api))
    assert len(logs[0]) > 500 and logs[0] == logs[1]


def test_it_ends_by_itself_and_takes_its_faults_along(api):
    started = start(api, profile="bad-api", rates={"slow_api": 100, "zone_outage": 20}, seed=4, **{"for": "2h"})
    api.advance("1h")
    assert api.get("/sim/v1/faults")["items"]
    api.advance("2h")
    assert chaos(api, started)["state"] == "stopped" and api.get("/sim/v1/faults")["items"] == []
    assert {zone["state"] for zone in api.get("/v1/zones")["items"]} == {"available"}


@pytest.mark.parametrize("body, field", [
    ({}, "rates"), ({"profile": "nice"}, "profile"), ({"rates": {"sing": 1}}, "rates.sing"),
    ({"rates": {"stop": -1}}, "rates.stop"), ({"rates": {"stop": 1e9}}, "rates.stop"),
    ({"profile": "calm", "limits": {"max_down": -1}}, "limits.max_down"),
    ({"profile": "calm", "limits": {"protect": {"role": 1}}}, "limits.protect.role"),
    ({"profile": "calm", "limits": {"protect": {"": None}}}, "limits.protect."),
    ({"profile": "calm", "min_down": "1h"}, "min_down"), ({"profile": "calm", "for": "0s"}, "for"),
])
def test_what_makes_no_sense_is_refused_by_field(api, body, field):
    api.refuse("POST", "/sim/v1/chaos", body, status=400, code="invalid_argument", field=field)
