"""Reset: back to what the server began with."""

import json
import threading

from test_snapshot import everything

SEED = {
    "zones": [{"name": "z1", "region": "r1"}],
    "instance_types": [{"name": "tiny", "cpus": 1, "memory_mib": 512}],
    "latencies": {"instance.pending": {"distribution": "uniform", "min": "1s", "max": "5s"}},
    "instances": [{"name": f"web-{n}", "zone": "z1", "type": "tiny"} for n in range(5)],
}


def spoil(api):
    """Changes something of everything."""
    api.post("/v1/instances", {"count": 5, "tags": {"a": "b"}})
    api.latency("instance.stopping", "1h")
    api.post("/sim/v1/projects", {"name": "team"})
    token = api.post("/sim/v1/projects/team/tokens", {})["token"]
    api.put("/sim/v1/zones/far", {"region": "far"})
    api.route("10.9.0.0/16", {"address": "10.0.0.1"})
    api.advance("2h")
    return token


def test_an_unseeded_cloud_goes_back_to_the_catalogue(api, server, connect):
    before = everything(api)
    token = spoil(api)
    answer = api.reset()
    assert everything(api) == before
    assert answer["epoch"] == 1 and answer["clock"]["now"] == "2026-01-01T00:00:00.000Z"
    connect(server, token=token).refuse("GET", "/v1/project", status=401, code="unauthorized")


def seeded(start, tmp_path, **kwargs):
    file = tmp_path / "seed.json"
    file.write_text(json.dumps(SEED))
    return start(args=["--seed-file", file], **kwargs)


def test_a_seeded_cloud_goes_back_to_its_seed(start, connect, tmp_path):
    api = connect(seeded(start, tmp_path))
    before = everything(api)
    assert len(before["instances"]) == 5
    for round in range(1, 4):
        spoil(api)
        assert api.reset()["epoch"] == round
        assert everything(api) == before


def test_the_same_calls_after_a_reset_give_the_same_ids_and_events(start, connect, tmp_path):
    api = connect(seeded(start, tmp_path))
    runs = []
    for _ in range(3):
        spoil(api)
        api.post("/v1/instances", {"count": 10})
        runs.append(api.events())
        api.reset()
    assert len(runs[0]) > 20 and runs[0] == runs[1] == runs[2]


def test_the_database_in_memory_is_reset_alike(start, connect, tmp_path):
    on_disk = connect(seeded(start, tmp_path))
    (tmp_path / "m").mkdir()
    in_memory = connect(seeded(start, tmp_path, directory=tmp_path / "m", db=":memory:"))
    for api in (on_disk, in_memory):
        spoil(api)
        api.reset()
        spoil(api)
    assert everything(on_disk) == everything(in_memory)


def test_after_a_restart_a_reset_still_goes_back_to_the_seed(start, connect, tmp_path):
    server = seeded(start, tmp_path)
    api = connect(server)
    before = everything(api)
    spoil(api)
    api.close()
    server.stop()
    server.start()
    api = connect(server)
    assert len(api.all_items("/v1/instances")) == 10
    api.reset()
    assert everything(api) == before


def test_a_configured_catalogue_is_part_of_the_beginning(start, connect, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"zones": [{"name": "only", "region": "r"}], "address_pools": {"internal_v4": "10.99.0.0/16"}}))
    api = connect(start(args=["--config", config]))
    before = everything(api)
    api.instance()
    api.reset()
    assert everything(api) == before
    assert api.instance()["addresses"][0]["address"].startswith("10.99.")


def test_a_frozen_or_hurried_clock_runs_again_as_it_did_at_the_start(start, connect):
    api = connect(start(clock="scaled:60"))
    api.post("/sim/v1/clock/freeze")
    api.reset()
    clock = api.get("/sim/v1/clock")
    assert clock["scale"] == 60 and not clock["frozen"]
    api.patch("/sim/v1/clock", {"scale": 10})
    api.post("/sim/v1/clock/advance", {"by": "24h"})
    late = api.get("/sim/v1/clock")["now"]
    api.reset()
    clock = api.get("/sim/v1/clock")
    assert clock["scale"] == 60 and clock["now"] < late


def test_streams_end_and_a_since_from_before_is_gone(api):
    api.post("/v1/instances", {"count": 10})
    newest = api.get("/v1/events")["revision"]
    with api.stream() as stream:
        assert "comment" in stream.frame()
        api.reset()
        assert stream.event() is None
    api.refuse("GET", "/v1/events", params={"since": newest}, status=410, code="revision_compacted")


def test_idempotency_keys_are_forgotten(api):
    first = api.post("/v1/instances", {"name": "one"}, headers={"Idempotency-Key": "k"})
    api.reset()
    api.instance(name="zero")
    again = api.post("/v1/instances", {"name": "one"}, headers={"Idempotency-Key": "k"})
    assert again["id"] != first["id"] and len(api.all_items("/v1/instances")) == 2


def test_faults_and_the_call_log_are_gone(api):
    rule = {"match": {"operations": ["instances.list"]}, "effect": {"error": {"status": 503}}}
    api.post("/sim/v1/faults", rule, expect=201)
    assert api.request("GET", "/v1/instances").status_code == 503
    api.reset()
    assert api.get("/v1/instances")["items"] == [] and api.get("/sim/v1/faults")["items"] == []
    operations = {c["operation"] for c in api.get("/sim/v1/calls/counters")["items"]}
    assert operations == {"cloud.reset", "instances.list", "faults.list"}


def test_resets_from_many_sides_at_once_leave_one_cloud(server, api, connect):
    before = everything(api)
    clients = [connect(server) for _ in range(4)]
    done = []

    def work(client):
        for _ in range(5):
            client.post("/v1/instances", {"count": 3})
            client.reset()
        done.append(client)

    threads = [threading.Thread(target=work, args=(c,)) for c in clients]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(done) == 4 and api.reset()["epoch"] == 21
    assert everything(api) == before


def test_a_body_that_is_not_empty_is_refused(api):
    api.refuse("POST", "/sim/v1/reset", {"now": True}, status=400, code="unknown_field")
    api.call("POST", "/sim/v1/reset", {}, expect=200)
