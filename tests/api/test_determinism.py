"""The same seed and the same requests give the same events, byte for byte, on a file and in memory, also across kills."""

import hashlib
import random

STEPS = 120


def story(draw, api, kill=lambda: None):
    """Requests that depend on the draws and on what was answered, and on nothing else; killed at half way."""
    for transition, (low, high) in {"instance.pending": (0, 30), "instance.stopping": (1, 9), "route.pending": (0, 5),
                                    "target.initial": (0, 20)}.items():
        api.put(f"/sim/v1/latencies/{transition}", {"distribution": "uniform", "min": f"{low}s", "max": f"{high}s"})
    pool = api.pool()["id"]
    instances = [api.instance()["id"]]
    for step in range(STEPS):
        one = draw.choice(instances)
        match draw.randrange(8):
            case 0 | 1:
                answer = api.request("POST", "/v1/instances", json={"count": draw.randrange(1, 4)})
                instances += [i["id"] for i in answer.json()["items"]]
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
        if step == STEPS // 2:
            api = kill() or api
    api.advance("1h")


def events_of(start, connect, seed, directory, *, killed=False, **kwargs):
    directory.mkdir()
    server = start(directory=directory, seed=7, **kwargs)

    def kill():
        server.kill()
        server.start()
        return connect(server)
    story(random.Random(seed), connect(server), kill if killed else lambda: None)
    return connect(server).request("GET", "/v1/events", params={"limit": 10000}).content


def test_the_same_requests_give_the_same_events_on_a_file_in_memory_and_across_a_kill(
        start, connect, tmp_path, random_seed):
    on_file = events_of(start, connect, random_seed, tmp_path / "file")
    assert on_file.count(b'"transition_at"') > 50
    digest = hashlib.sha256(on_file).hexdigest()
    in_memory = events_of(start, connect, random_seed, tmp_path / "memory", db=":memory:")
    assert hashlib.sha256(in_memory).hexdigest() == digest
    killed = events_of(start, connect, random_seed, tmp_path / "killed", killed=True)
    assert hashlib.sha256(killed).hexdigest() == digest


def test_another_seed_of_the_server_gives_other_ids(start, connect, tmp_path):
    (tmp_path / "one").mkdir(), (tmp_path / "two").mkdir()
    first = connect(start(directory=tmp_path / "one", seed=1)).instance()
    second = connect(start(directory=tmp_path / "two", seed=2)).instance()
    assert first["id"] != second["id"]
