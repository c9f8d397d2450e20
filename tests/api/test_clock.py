"""The clock of the cloud: read, advanced, frozen, scaled."""

import time
from datetime import datetime

import pytest


def seconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_a_manual_clock_starts_at_its_epoch_and_stands(api):
    clock = api.get("/sim/v1/clock")
    assert clock["now"] == "2026-01-01T00:00:00.000Z" and clock["mode"] == "manual" and clock["scale"] == 0
    api.instance()
    assert api.get("/sim/v1/clock")["now"] == clock["now"]


def test_answers_that_succeed_carry_cloud_time_also_to_a_tenant(server, api, connect):
    token = api.post("/sim/v1/projects/default/tokens", {"scope": "cloud"})["token"]
    tenant = connect(server, token=token)
    tenant.refuse("GET", "/sim/v1/clock", status=403, code="forbidden")
    api.advance("90s")
    for method, path in (("GET", "/v1/instances"), ("GET", "/v1/zones/mock-1a"), ("POST", "/v1/instances")):
        answer = tenant.request(method, path, json={} if method == "POST" else None)
        assert answer.headers["x-mockcloud-time"] == "2026-01-01T00:01:30.000Z"
    assert "x-mockcloud-time" not in tenant.request("GET", "/v1/instances/i-0").headers


@pytest.mark.parametrize("by,now", [
    ("90s", "2026-01-01T00:01:30.000Z"), ("1h30m", "2026-01-01T01:30:00.000Z"), ("1ms", "2026-01-01T00:00:00.001Z"),
    ("0s", "2026-01-01T00:00:00.000Z"), ("1.5s", "2026-01-01T00:00:01.500Z"), ("24h", "2026-01-02T00:00:00.000Z"),
])
def test_the_clock_advances_by_a_duration(api, by, now):
    assert api.advance(by)["clock"]["now"] == now
    assert api.get("/sim/v1/clock")["now"] == now


def test_the_clock_advances_to_a_time_and_not_back(api):
    answer = api.post("/sim/v1/clock/advance", {"to": "2026-02-03T04:05:06.789Z"}, expect=200)
    assert answer["clock"]["now"] == "2026-02-03T04:05:06.789Z"
    api.refuse("POST", "/sim/v1/clock/advance", {"to": "2026-02-03T04:05:06.788Z"}, status=400,
               code="invalid_argument", field="to")


@pytest.mark.parametrize("body,field", [
    ({}, None), ({"by": "1s", "to": "2026-01-02T00:00:00Z"}, None), ({"by": "-1s"}, "by"), ({"by": "soon"}, "by"),
    ({"by": 5}, "by"), ({"by": ""}, "by"), ({"to": "tomorrow"}, "to"), ({"to": "2026-13-01T00:00:00Z"}, "to"),
])
def test_a_bad_advance_is_refused_by_field(api, body, field):
    api.refuse("POST", "/sim/v1/clock/advance", body, status=400, code="invalid_argument", field=field)


def test_who_advances_to_the_next_deadline_sees_it_happen(api):
    api.latency("instance.pending", "1500us")
    made = api.instance()
    deadline = api.get("/sim/v1/clock")["next_deadline"]
    assert deadline == "2026-01-01T00:00:00.002Z"  # times are told in milliseconds
    assert api.post("/sim/v1/clock/advance", {"to": deadline}, expect=200)["fired"] == 1
    assert api.get(f"/v1/instances/{made['id']}")["state"] == "running"


def test_what_becomes_due_is_applied_in_order_of_its_deadline(api):
    api.latency("instance.pending", "3s")
    slow = api.instance(name="slow")
    api.latency("instance.pending", "1s")
    fast = api.instance(name="fast")
    assert api.get("/sim/v1/clock")["next_deadline"] == "2026-01-01T00:00:01.000Z"
    since = api.events()[-1]["revision"]
    assert api.advance("1h")["fired"] == 2
    events = api.events(since=since, kind="instance")
    assert [(e["id"], e["time"]) for e in events] == [
        (fast["id"], "2026-01-01T00:00:01.000Z"), (slow["id"], "2026-01-01T00:00:03.000Z")]
    assert "next_deadline" not in api.get("/sim/v1/clock")


def test_a_chain_of_transitions_within_one_advance_is_applied_in_full(api):
    api.latency("instance.terminating", "1s")
    api.latency("instance.terminated", "1s")
    made = api.instance()
    api.delete(f"/v1/instances/{made['id']}")
    assert api.advance("2s")["fired"] == 2
    api.missing(f"/v1/instances/{made['id']}")


def test_a_thousand_deadlines_are_applied_in_one_advance(api):
    api.latency("instance.pending", "1s")
    api.post("/v1/instances", {"count": 1000})
    assert api.advance("1s")["fired"] == 1000
    assert len(api.get("/v1/instances", params={"state": "running"})["items"]) == 1000


@pytest.mark.parametrize("scale", [-1, "fast", 1000001, None])
def test_a_bad_scale_is_refused_by_field(api, scale):
    api.refuse("PATCH", "/sim/v1/clock", {"scale": scale}, status=400, code="invalid_argument", field="scale")


def test_a_scaled_clock_runs_that_much_faster(start, connect):
    api = connect(start(clock="scaled:1000"))
    def look():
        """When it was asked, what it said, and when that had come."""
        asked = time.monotonic()
        clock = api.get("/sim/v1/clock")
        assert clock["mode"] == "scaled" and clock["scale"] == 1000
        return asked, seconds(clock["now"]), time.monotonic()

    first = look()
    while (last := look())[0] - first[2] < 0.2:
        pass
    least, most = last[0] - first[2], last[2] - first[0]
    assert 0.99 * 1000 * least < last[1] - first[1] < 1.01 * 1000 * most


def test_a_frozen_clock_stands_and_goes_on_at_the_speed_it_had(start, connect):
    api = connect(start(clock="scaled:1000"))
    frozen = api.post("/sim/v1/clock/freeze", expect=200)
    assert frozen["frozen"] and frozen["scale"] == 0
    assert api.get("/sim/v1/clock")["now"] == frozen["now"]
    resumed = api.post("/sim/v1/clock/resume", expect=200)
    assert not resumed["frozen"] and resumed["scale"] == 1000
    deadline = time.monotonic() + 10
    while api.get("/sim/v1/clock")["now"] == frozen["now"]:
        assert time.monotonic() < deadline


def test_timers_fire_by_themselves_on_a_running_clock(start, connect):
    api = connect(start(clock="scaled:100"))
    api.latency("instance.pending", "10s")  # 100 ms
    with api.stream() as stream:
        made = api.instance()
        assert made["state"] == "pending"
        last = stream.until(lambda e: e["id"] == made["id"] and e["document"]["state"] == "running")[-1]
    assert last["cause"]["type"] == "timer"
    late = seconds(last["time"]) - seconds(made["transition_at"])
    assert 0 <= late < 10


def test_a_new_speed_counts_for_waiting_timers(start, connect):
    api = connect(start(clock="real"))
    api.latency("instance.pending", "1h")
    with api.stream() as stream:
        made = api.instance()
        assert api.patch("/sim/v1/clock", {"scale": 1000000})["scale"] == 1000000
        stream.until(lambda e: e["id"] == made["id"] and e["document"]["state"] == "running")


def test_a_cloud_that_cannot_keep_up_with_its_clock_goes_slower_and_still_answers(start, connect):
    api = connect(start(), timeout=60)
    api.instance(count=50)
    api.post("/sim/v1/chaos", {"rates": {"reboot": 100, "terminate": 100}, "limits": {"max_down": 50}}, expect=201)
    api.patch("/sim/v1/clock", {"scale": 1000000})  # 55,000 strikes a second
    for n in range(20):
        asked, before = time.monotonic(), seconds(api.get("/sim/v1/clock")["now"])
        api.instance(name=f"new-{n}")
        now = seconds(api.get("/sim/v1/clock")["now"])
        assert 0 < now - before < 1000000 * (time.monotonic() - asked)
    api.post("/sim/v1/clock/freeze", expect=200)


@pytest.mark.parametrize("flag", ["manual", "real"])
def test_a_clock_that_was_given_a_speed_goes_on_when_the_server_starts_again_with_the_same_flags(start, connect, flag):
    server = start(clock=flag)
    assert connect(server).patch("/sim/v1/clock", {"scale": 60})["mode"] == "scaled"
    assert server.stop() == 0
    api = connect(server.start())
    clock = api.get("/sim/v1/clock")
    assert clock["mode"] == "scaled" and clock["scale"] == 60
    api.reset()
    assert api.get("/sim/v1/clock")["mode"] == flag


def test_a_running_clock_can_be_advanced_too(start, connect):
    api = connect(start(clock="real"))
    api.latency("instance.pending", "1h")
    made = api.instance()
    assert api.advance("1h")["fired"] == 1
    assert api.get(f"/v1/instances/{made['id']}")["state"] == "running"


def test_a_real_clock_shows_the_time_of_day(start, connect):
    api = connect(start(clock="real"))
    before = time.time()
    now = seconds(api.get("/sim/v1/clock")["now"])
    assert before - 1 < now < time.time() + 1


def test_the_same_seed_and_changes_give_the_same_events_byte_for_byte(start, connect, tmp_path):
    logs = []
    for run, seed in enumerate((7, 7, 8)):
        directory = tmp_path / str(run)
        directory.mkdir()
        api = connect(start(directory=directory, seed=seed))
        api.put("/sim/v1/latencies/instance.pending", {"distribution": "lognormal", "mean": "5s", "stddev": "2s"})
        made = api.instance(name="a")
        api.post("/v1/instances", {"count": 5})
        api.advance("3s")
        pool = api.pool(targets=[{"instance_id": made["id"]}])
        api.load_balancer(listeners=[{"protocol": "TCP", "port": 80, "target_pool_id": pool["id"], "target_port": 1}])
        api.route("10.1.0.0/16", {"instance_id": made["id"]})
        api.advance("1h")
        api.delete(f"/v1/instances/{made['id']}")
        api.advance("1h")
        logs.append(api.request("GET", "/v1/events", params={"limit": 10000}).content)
    assert len(logs[0]) > 1000
    assert logs[0] == logs[1]
    assert logs[0] != logs[2]
