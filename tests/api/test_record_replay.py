"""What is recorded and replayed gives the same event log, byte for byte: on every clock."""

import json
import random
import threading
import time

import pytest

TYPE = {"Content-Type": "application/x-ndjson"}


def record(api):
    api.post("/sim/v1/recording", expect=200)


def recording(api):
    api.call("DELETE", "/sim/v1/recording", expect=200)
    response = api.request("GET", "/sim/v1/recording/file")
    assert response.status_code == 200
    return response.content


def replay(api, content):
    return api.call("POST", "/sim/v1/replay", expect=200, content=content, headers=TYPE)


def log(api):
    return api.request("GET", "/v1/events", params={"limit": 10000}).content


def digest(api):
    return api.get("/sim/v1/events/digest")


def some_calls(api, rng, count=120, advance=True):
    """A mixture of calls, also ones that are refused."""
    ids = []
    for n in range(count):
        what = rng.randrange(9)
        if what < 3 or not ids:
            body = {"count": rng.randint(1, 3), "tags": {"n": str(n), "text": "ä\"\\\n☃"}}
            ids += [i["id"] for i in api.post("/v1/instances", body)["items"]]
        elif what == 3:
            api.request("POST", f"/v1/instances/{rng.choice(ids)}/{rng.choice(['stop', 'start', 'reboot'])}")
        elif what == 4:
            api.request("DELETE", f"/v1/instances/{rng.choice(ids)}")
        elif what == 5:
            api.request("PATCH", f"/v1/instances/{rng.choice(ids)}", json={"tags": {"x": str(n)}},
                        headers={"If-Match": rng.choice(['"1"', "*"])})
        elif what == 6:
            api.request("POST", "/v1/instances", json={"name": "keyed"}, headers={"Idempotency-Key": f"k{rng.randrange(3)}"})
        elif what == 7:
            api.request("POST", "/v1/routes", json={"destination_cidr": f"10.{rng.randrange(200)}.0.0/16",
                                                    "next_hop": {"instance_id": rng.choice(ids)}})
        elif advance:
            api.advance(f"{rng.randint(1, 5000)}ms")
    api.post("/sim/v1/projects", {"name": "team"})
    api.post("/sim/v1/projects/team/tokens", {})
    api.call("POST", "/v1/instances", {}, headers={"X-Mockcloud-Project": "team"})
    api.missing("/v1/instances/none")
    api.request("DELETE", "/v1/instances/i-none")


def slow(api, mean, deviation):
    for transition in ("instance.pending", "instance.stopping", "instance.rebooting", "instance.terminating",
                       "instance.terminated", "route.pending"):
        api.put(f"/sim/v1/latencies/{transition}", {"distribution": "normal", "mean": mean, "stddev": deviation})


def test_a_replay_on_a_manual_clock_gives_the_same_event_log(start, connect, tmp_path, random_seed):
    api = connect(start())
    record(api)
    slow(api, "3s", "2s")
    some_calls(api, random.Random(random_seed))
    api.post("/sim/v1/clock/freeze")
    content, before = recording(api), log(api)
    (tmp_path / "two").mkdir()
    other = connect(start(directory=tmp_path / "two", db=":memory:"))
    answer = replay(other, content)
    assert "difference" not in answer and answer["applied"] > 100, answer
    assert log(other) == before and digest(other) == digest(api)
    other.reset()
    assert "difference" not in replay(other, content)
    assert log(other) == before


@pytest.mark.parametrize("clock", ["real", "scaled:200"])
def test_a_recording_of_a_clock_that_runs_gives_the_same_event_log(start, connect, tmp_path, random_seed, clock):
    """Its timers fire late and in batches as they come; in the log they are at their deadlines."""
    api = connect(start(clock=clock))
    slow(api, "30ms" if clock == "real" else "3s", "20ms" if clock == "real" else "2s")
    api.post("/v1/instances", {"count": 5})  # pending when the recording begins
    api.post("/sim/v1/clock/freeze")  # so that nothing happens between the two
    snapshot = api.save(tmp_path / "snapshot.db")
    record(api)
    api.post("/sim/v1/clock/resume")
    rng = random.Random(random_seed)
    some_calls(api, rng, advance=False)
    api.advance("500ms")
    api.patch("/sim/v1/clock", {"scale": 3})
    some_calls_again(api, rng)
    api.post("/sim/v1/clock/freeze")
    content, before = recording(api), log(api)
    (tmp_path / "two").mkdir()
    other = connect(start(directory=tmp_path / "two", seed=7))
    other.call("PUT", "/sim/v1/snapshot", expect=200, params={"clock": "stopped"}, content=snapshot.read_bytes(),
               headers={"Content-Type": "application/vnd.sqlite3"})
    answer = replay(other, content)
    assert "difference" not in answer, answer
    assert log(other) == before
    assert other.get("/sim/v1/clock")["frozen"]


def some_calls_again(api, rng):
    for _ in range(20):
        api.post("/v1/instances", {"count": rng.randint(1, 4)})


def test_eight_writers_at_once_are_recorded_in_the_order_of_the_log(start, connect, server, api, tmp_path):
    clients = [connect(server) for _ in range(8)]
    record(api)

    def write(n):
        for k in range(30):
            made = clients[n].instance(tags={"writer": str(n)})
            if k % 3 == 0:
                clients[n].delete(f"/v1/instances/{made['id']}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    content, before = recording(api), log(api)
    api.reset()
    assert "difference" not in replay(api, content)
    assert log(api) == before


@pytest.mark.parametrize("effect", [{"error": {"status": 503}}, {"exhausted": {"what": "quota"}}, {"stale_read": {"revisions": 2}},
                                    {"half_applied": {"reply": "error"}}], ids=lambda effect: next(iter(effect)))
@pytest.mark.parametrize("when", [{"every": 2}, {"probability": 0.4}], ids=lambda when: next(iter(when)))
def test_firings_of_faults_are_part_of_it(server, api, when, effect):
    rule = {"match": {"operations": ["instances.*"]}, "effect": effect, "when": when}
    record(api)
    rule = api.post("/sim/v1/faults", rule, expect=201)["id"]
    for _ in range(9):
        api.request("GET", "/v1/instances")
        api.request("POST", "/v1/instances", json={})
        api.request("GET", "/v1/instances")
        api.advance("1s")
    api.patch(f"/sim/v1/faults/{rule}", {"name": "other"})
    api.delete(f"/sim/v1/faults/{rule}")
    content, before = recording(api), log(api)
    assert b'"type":"fired"' in before
    api.reset()
    answer = replay(api, content)
    assert "difference" not in answer, answer
    assert log(api) == before


def test_a_call_that_outlived_its_project_is_refused_again(server, api, connect):
    record(api)
    api.post("/sim/v1/projects", {"name": "team"})
    rule = api.post("/sim/v1/faults", {"match": {"operations": ["instances.create"]},
                                       "effect": {"latency": {"distribution": "fixed", "value": "10s", "clock": "cloud"}}})
    team, answers = connect(server, project="team"), []
    waiting = threading.Thread(target=lambda: answers.append(team.request("POST", "/v1/instances", json={}).status_code))
    waiting.start()
    deadline = time.monotonic() + 20
    while api.get(f"/sim/v1/faults/{rule['id']}/stats")["fired"] == 0:
        assert time.monotonic() < deadline, "the call did not come"
    api.delete("/sim/v1/projects/team")
    while waiting.is_alive():  # it may begin to wait after an advance
        assert time.monotonic() < deadline, "the call did not end"
        api.advance("10s")
        waiting.join(0.1)
    content, before = recording(api), log(api)
    assert answers == [401] and b'"code":"unauthorized"' in content
    api.reset()
    assert "difference" not in replay(api, content)
    assert log(api) == before


def test_the_first_difference_is_named(api):
    record(api)
    api.instance(name="one")
    api.instance(name="two")
    api.instance(name="three")
    lines = recording(api).splitlines()
    api.reset()
    spoilt = b"\n".join([lines[0], lines[1], lines[2].replace(b"two", b"one"), lines[3]])
    answer = replay(api, spoilt)
    assert answer["difference"]["line"] == 3 and "already_exists" in answer["difference"]["message"], answer
    assert len(api.all_items("/v1/instances")) == 1


def test_a_cloud_that_is_elsewhere_is_refused_and_left_alone(api, start, connect, tmp_path):
    record(api)
    api.instance()
    content, before = recording(api), log(api)
    problem = {"status": 400, "code": "invalid_argument"}
    told = api.refuse("POST", "/sim/v1/replay", content=content, headers=TYPE, **problem)
    assert "revision" in told["detail"] and log(api) == before
    (tmp_path / "two").mkdir()
    other = connect(start(directory=tmp_path / "two", seed=2))
    assert "seed" in other.refuse("POST", "/sim/v1/replay", content=content, headers=TYPE, **problem)["detail"]


@pytest.mark.parametrize("content,words", [
    (b"", "empty"), (b"hello\n", "line 1"), (b"{}\n", "header"), (b'{"mockcloud_recording":99}\n', "header")])
def test_what_is_no_recording_is_refused_naming_the_line(api, content, words):
    before = log(api)
    told = api.refuse("POST", "/sim/v1/replay", content=content, headers=TYPE, status=400, code="invalid_argument")
    assert words in told["detail"] and log(api) == before


def test_a_bad_line_in_the_middle_is_named_and_the_cloud_goes_on(api):
    record(api)
    api.instance()
    header, line, _ = recording(api).splitlines()
    api.reset()
    for bad in (b"[]", b'{"time_ns":9223372036854775807,"method":"GET","path":"/v1/instances"}',
                b'{"time_ns":0,"method":"POST","path":"/v1/instances"}', line.replace(b'"path":"/v1/inst', b'"path":"/v9/inst')):
        told = api.refuse("POST", "/sim/v1/replay", content=b"\n".join([header, line, bad]), headers=TYPE,
                          status=400, code="invalid_argument")
        assert "line 3" in told["detail"], told
        api.instance()
        api.reset()


def test_a_server_that_stops_ends_a_replay(start, connect, tmp_path, api):
    content = of_a_long_advance(api, ahead=20)
    (tmp_path / "two").mkdir()
    server = start(directory=tmp_path / "two")
    other, told = connect(server, timeout=60), []
    beginning = other.get("/v1/zones")["revision"]
    thread = threading.Thread(target=lambda: told.append(other.refuse(
        "POST", "/sim/v1/replay", content=content, headers=TYPE, status=503, code="unavailable")))
    thread.start()
    watching, deadline = connect(server), time.monotonic() + 20
    while watching.get("/v1/zones")["revision"] == beginning:
        assert time.monotonic() < deadline
    assert server.stop() == 0
    thread.join(20)
    assert "stopped after line" in told[0]["detail"]


def of_a_long_advance(api, ahead=0):
    """A recording that takes longer to replay than anybody waits, with so many lines of much work ahead of that."""
    record(api)
    for _ in range(ahead):
        api.post("/v1/instances", {"count": 1000})
    api.instance(count=50)
    api.post("/sim/v1/chaos", {"rates": {"reboot": 1000, "terminate": 1000}, "limits": {"max_down": 50}}, expect=201)
    api.advance("1s")
    *lines, _ = recording(api).splitlines()
    return b"\n".join([*lines[:-1], lines[-1].replace(b"1s", b"8760h"), b""])


def test_a_server_that_stops_in_a_long_advance_of_a_replay_tells_no_difference(start, connect, tmp_path, api):
    content = of_a_long_advance(api)
    (tmp_path / "two").mkdir()
    server, told = start(directory=tmp_path / "two"), []
    other, watching = connect(server, timeout=60), connect(server)
    thread = threading.Thread(target=lambda: told.append(other.refuse(
        "POST", "/sim/v1/replay", content=content, headers=TYPE, status=503, code="unavailable")))
    thread.start()
    deadline = time.monotonic() + 20
    while watching.get("/sim/v1/clock")["now"] < "2026-01-01T01":
        assert time.monotonic() < deadline
    assert server.stop() == 0
    thread.join(20)
    assert "stopped after line" in told[0]["detail"]
    server.start()
    clock = connect(server).get("/sim/v1/clock")
    assert clock["now"] < "2026-06" and clock["frozen"]  # it stands where the replay came to


def test_start_stop_and_status(api):
    assert api.get("/sim/v1/recording") == {"state": "none", "lines": 0}
    api.refuse("GET", "/sim/v1/recording/file", status=409, code="illegal_transition")
    api.refuse("DELETE", "/sim/v1/recording", status=409, code="illegal_transition")
    record(api)
    api.refuse("POST", "/sim/v1/recording", status=409, code="illegal_transition")
    api.instance()
    assert api.get("/sim/v1/recording") == {"state": "recording", "lines": 2}
    lines = [json.loads(line) for line in recording(api).splitlines()]
    assert lines[0]["mockcloud_recording"] == 1 and lines[0]["seed"] == "1" and lines[-1]["end"]
    assert lines[1]["operation"] == "instances.create" and lines[1]["revision"] + 1 == lines[1]["result"]
    assert api.get("/sim/v1/recording") == {"state": "done", "lines": 3}


def test_a_reset_breaks_a_recording_off(api):
    record(api)
    api.instance()
    api.reset()
    assert api.get("/sim/v1/recording") == {"state": "broken", "lines": 2}
    record(api)
    assert api.get("/sim/v1/recording")["state"] == "recording"


def test_the_clock_stands_after_a_replay_and_goes_on_when_told(api):
    record(api)
    api.latency("instance.pending", "10s")
    api.instance()
    api.advance("3s")
    content = recording(api)
    api.reset()
    replay(api, content)
    assert api.get("/sim/v1/clock")["now"] == "2026-01-01T00:00:03.000Z"
    assert api.advance("7s")["fired"] == 1
