"""The same seed and the same requests give the same events, byte for byte, on a file and in memory, also across kills,
stops and restores."""

import itertools
import json
import random

STEPS = 200
BREAKS = 4
RULES = [  # of the writer alone: what the others match between two firings is lost with a kill
    ("instance.*", {"stuck_transition": {"for": "1m"}}), ("instance.pending", {"failed_transition": {}}),
    ("instances.create", {"exhausted": {"what": "capacity"}}), ("target.initial", {"stuck_transition": {"for": "20s"}}),
]
WHEN = [{"every": 3}, {"probability": 0.4}, {"after": 2, "first": 5}, {"times": 2}]
CHAOS = {"for": "20m", "rates": {"stop": 100, "terminate": 30, "interrupt": 60, "reboot": 60, "zone_outage": 5, "target_failure": 30}}
SCENARIOS = [
    [{"every": "7s", "count": 4, "background": True, "create": {"name": "s-${scenario}-${firing}"}},
     {"after": "20s", "terminate": {"random": "30%", "allow_none": True}}],
    [{"when": {"event": {"kind": "instance", "state": "terminated"}}, "count": 2, "timeout": "10m", "create": {}, "save": "x"},
     {"after": "5s", "stop": "${x}", "may_fail": True},
     {"expect": {"count": {"state": "stopped"}, "is": ">= 1"}, "within": "1m"}],
    [{"after": "10s", "may_fail": True, "do": [{"create": {}}, {"terminate": {"name": "nobody"}}]}],
]


def story(draw, api, interrupt=lambda: None):
    """Requests that depend on the draws and on what was answered, and on nothing else; interrupted now and then."""
    for transition, (low, high) in {"instance.pending": (0, 30), "instance.stopping": (1, 9), "route.pending": (0, 5),
                                    "target.initial": (0, 20)}.items():
        api.put(f"/sim/v1/latencies/{transition}", {"distribution": "uniform", "min": f"{low}s", "max": f"{high}s"})
    pool = api.pool()["id"]
    instances = [api.instance()["id"]]
    for step in range(STEPS):
        one = draw.choice(instances)
        match draw.randrange(11):
            case 0 | 1:
                answer = api.request("POST", "/v1/instances", json={"count": draw.randrange(1, 4)})
                instances += [i["id"] for i in answer.json().get("items", [])]
            case 2:
                api.request("POST", f"/v1/instances/{one}/{draw.choice(['start', 'stop', 'reboot'])}")
            case 3:
                api.request("DELETE", f"/v1/instances/{one}")
            case 4:
                api.request("POST", "/v1/routes", json={"destination_cidr": f"10.{draw.randrange(64, 128)}.0.0/16",
                                                        "next_hop": {"instance_id": one}})
            case 5:
                api.request("POST", f"/v1/target-pools/{pool}/targets", json={"targets": [{"instance_id": one}]})
            case 6:
                api.request("POST", f"/sim/v1/instances/{one}/interrupt",
                            json={"kind": "spot", "notice": f"{draw.randrange(5, 60)}s"})
            case 7:
                api.advance(f"{draw.randrange(1, 40)}s")
            case 8:
                operation, effect = draw.choice(RULES)
                api.request("POST", "/sim/v1/faults", json={
                    "match": {"operations": [operation]}, "when": {**draw.choice(WHEN), "until": "10m"}, "effect": effect})
            case 9:
                api.request("POST", "/sim/v1/chaos", json={**CHAOS, "dry_run": draw.random() < 0.3})
            case 10:
                api.request("POST", "/sim/v1/scenarios", json={
                    "scenario": {"name": f"story-{step}", "steps": draw.choice(SCENARIOS)}})
        if step % (STEPS // BREAKS) == STEPS // BREAKS // 2:
            api = interrupt() or api
    api.advance("1h")


def events_of(start, connect, seed, directory, *, how=None, **kwargs):
    directory.mkdir()
    server = start(directory=directory, seed=7, **kwargs)

    def interrupt():
        if how == "restored":
            api = connect(server)
            file = api.save(directory / "snapshot.db")
            api.request("POST", "/v1/instances", json={"count": 5})
            api.advance("1h")
            api.restore(file)
            return
        server.kill() if how == "killed" else server.stop()
        server.start()
        return connect(server)
    story(random.Random(seed), connect(server), interrupt if how else lambda: None)
    return connect(server).request("GET", "/v1/events", params={"limit": 10000}).content


def first_difference(one, other):
    pairs = itertools.zip_longest(json.loads(one)["items"], json.loads(other)["items"])
    return next((pair for pair in pairs if pair[0] != pair[1]), None)


def test_the_same_requests_give_the_same_events_on_a_file_in_memory_and_across_kills_stops_and_restores(
        start, connect, tmp_path, random_seed):
    on_file = events_of(start, connect, random_seed, tmp_path / "file")
    assert on_file.count(b'"transition_at"') > 50
    for how, db in (("memory", ":memory:"), ("killed", None), ("stopped", None), ("restored", None)):
        other = events_of(start, connect, random_seed, tmp_path / how, how=None if db else how, db=db)
        assert first_difference(on_file, other) is None, how
        assert other == on_file, how


def test_another_seed_of_the_server_gives_other_ids(start, connect, tmp_path):
    (tmp_path / "one").mkdir(), (tmp_path / "two").mkdir()
    first = connect(start(directory=tmp_path / "one", seed=1)).instance()
    second = connect(start(directory=tmp_path / "two", seed=2)).instance()
    assert first["id"] != second["id"]
