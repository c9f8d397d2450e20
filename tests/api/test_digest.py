"""One hash of the event log: the same for the same run, wherever the database lies."""

import hashlib
import json

import pytest


def digest(api, **params):
    return api.get("/sim/v1/events/digest", params=params)


def a_run(api):
    api.put("/sim/v1/latencies/instance.pending", {"distribution": "lognormal", "mean": "20s", "stddev": "5s"})
    made = api.post("/v1/instances", {"count": 700})["items"]
    api.advance("30s")
    for one in made[:50]:
        api.delete(f"/v1/instances/{one['id']}")
    api.advance("1h")


def test_the_digest_is_the_sha_256_of_the_events_as_they_are_sent(api):
    a_run(api)
    text = api.request("GET", "/v1/events", params={"limit": 10000}).text
    events = json.loads(text)["items"]
    whole = hashlib.sha256()
    for event in events:
        line = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
        assert line in text
        whole.update(line.encode() + b"\n")
    answer = digest(api)
    assert answer == {"since": 0, "revision": events[-1]["revision"], "count": len(events), "sha256": whole.hexdigest()}


def test_twenty_runs_in_memory_and_in_a_file_have_the_same_digest(start, connect, tmp_path):
    on_disk = connect(start(directory=tmp_path))
    (tmp_path / "m").mkdir()
    in_memory = connect(start(directory=tmp_path / "m", db=":memory:"))
    seen = set()
    for _ in range(10):
        for api in (on_disk, in_memory):
            a_run(api)
            seen.add(digest(api)["sha256"])
            api.reset()
    assert len(seen) == 1


def test_another_seed_another_digest(start, connect, tmp_path):
    seen = set()
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        api = connect(start(directory=tmp_path / str(seed), seed=seed))
        a_run(api)
        seen.add(digest(api)["sha256"])
    assert len(seen) == 2


def test_a_part_of_the_log_has_a_digest_of_its_own(api):
    a_run(api)
    newest = digest(api)["revision"]
    part = digest(api, since=10, until=500)
    assert (part["since"], part["revision"], part["count"]) == (10, 500, 490)
    api.instance()
    assert digest(api, since=10, until=500) == part and digest(api)["revision"] > newest
    nothing = digest(api, since=5, until=5)
    assert nothing["count"] == 0 and nothing["sha256"] == hashlib.sha256().hexdigest()


def test_events_that_are_gone_have_no_digest(start, connect):
    api = connect(start(args=["--events-kept", "10"]))
    api.post("/v1/instances", {"count": 100})
    api.instance()
    api.refuse("GET", "/sim/v1/events/digest", status=410, code="revision_compacted")
    assert digest(api, since=api.get("/v1/zones")["revision"] - 5)["count"] == 5


@pytest.mark.parametrize("name", ["since", "until"])
def test_bad_bounds_are_refused_by_name(api, name):
    api.refuse("GET", "/sim/v1/events/digest", params={name: "-1"}, status=400, code="invalid_argument", field=name)
