"""`mockcloud serve --record FILE` and `--replay FILE`: from the first change to the last, on every clock."""

import json
import os
import random
import signal
import stat
import subprocess
import threading
import time

import pytest

from harness.server import StartFailed, binary, run_serve
from test_record_replay import digest, log, of_a_long_advance, slow, some_calls

SEED_FILE = {"latencies": {"instance.pending": {"distribution": "fixed", "value": "5s"}},
             "instances": [{"name": "web", "zone": "mock-1a"}, {"name": "db", "zone": "mock-1b"}]}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def replayed(start, directory, path, **more):
    """Another server, which is told nothing of seed and clock."""
    directory.mkdir()
    server = start(directory=directory, clock=None, seed=None, args=["--replay", path, *more.pop("args", [])], **more)
    return server


@pytest.fixture
def seed_file(tmp_path):
    path = tmp_path / "cloud.json"
    path.write_text(json.dumps(SEED_FILE))
    return path


@pytest.mark.parametrize("clock", ["manual", "real", "scaled:100"])
@pytest.mark.parametrize("db", [None, ":memory:"], ids=["file", "memory"])
def test_what_was_recorded_from_the_start_is_replayed_to_the_same_event_log(start, connect, tmp_path, seed_file, random_seed, clock, db):
    path = tmp_path / "run.jsonl"
    server = start(clock=clock, seed=7, db=db, args=["--record", path, "--seed-file", seed_file])
    api = connect(server)
    slow(api, "300ms", "200ms")
    some_calls(api, random.Random(random_seed), count=60)
    api.post("/sim/v1/clock/freeze", {})
    before = log(api)
    assert server.stop() == 0
    assert "end" in lines(path)[-1] and stat.S_IMODE(os.stat(path).st_mode) == 0o600
    other = connect(replayed(start, tmp_path / "two", path, args=["--seed-file", seed_file]))
    assert log(other) == before and len(before) > 10000
    assert other.get("/sim/v1/clock")["frozen"]


def test_the_server_goes_on_serving_after_the_replay_and_after_a_restart(start, connect, tmp_path):
    path = tmp_path / "run.jsonl"
    server = start(args=["--record", path])
    connect(server).instance(name="one")
    server.stop()
    second = replayed(start, tmp_path / "two", path)
    api = connect(second)
    assert api.instance(name="two")["state"] == "running"
    api.advance("1m")
    before = log(api)
    second.stop()
    second.command = [word for n, word in enumerate(second.command) if "--replay" not in second.command[max(0, n - 1):n + 1]]
    api = connect(second.start())
    assert log(api) == before
    api.reset()
    assert api.all_items("/v1/instances") == []


def test_an_unfrozen_clock_runs_on_from_the_moment_in_which_the_cloud_was_made(start, connect, tmp_path):
    path = tmp_path / "run.jsonl"
    api = connect(start(clock="real", args=["--record", path]))
    clock = api.get("/sim/v1/clock")
    assert not clock["frozen"] and clock["mode"] == "real"
    first = api.get("/v1/events")["items"][0]["time"]
    assert lines(path)[0]["clock"] == {"mode": 0, "scale": 1, "frozen": False}
    assert api.reset()["clock"]["frozen"] is False and api.get("/sim/v1/clock")["now"] >= first


def test_after_a_kill_it_is_good_up_to_the_last_change_that_was_answered(start, connect, tmp_path, random_seed):
    path = tmp_path / "run.jsonl"
    server = start(args=["--record", path])
    api = connect(server)
    some_calls(api, random.Random(random_seed), count=40)
    before = log(api)
    server.kill()
    assert "end" not in lines(path)[-1]
    for n, rest in enumerate(("", '{"time_ns":1767', '{"time_ns":17672256000000000')):
        cut = tmp_path / f"cut{n}.jsonl"
        cut.write_text(path.read_text() + rest)
        assert log(connect(replayed(start, tmp_path / f"two{n}", cut))) == before


def test_the_recording_is_read_over_http_while_it_goes_on_and_stopping_it_there_is_its_end(start, connect, tmp_path):
    path = tmp_path / "run.jsonl"
    server = start(args=["--record", path])
    api = connect(server)
    api.instance()
    assert api.get("/sim/v1/recording") == {"state": "recording", "lines": 2}
    assert api.request("GET", "/sim/v1/recording/file").content == path.read_bytes()
    api.refuse("POST", "/sim/v1/recording", status=409, code="illegal_transition")
    api.call("DELETE", "/sim/v1/recording", expect=200)
    ended = path.read_bytes()
    api.instance()
    assert server.stop() == 0 and path.read_bytes() == ended


def test_what_is_there_is_not_overwritten(start, tmp_path):
    path, empty = tmp_path / "run.jsonl", tmp_path / "empty"
    path.write_text("mine\n")
    with pytest.raises(StartFailed) as failed:
        start(args=["--record", path])
    assert failed.value.code == 2 and f"--record: {path} is there already" in failed.value.log
    assert path.read_text() == "mine\n" and not (tmp_path / "cloud.db").exists()
    empty.touch()
    start(args=["--record", empty]).stop()
    assert lines(empty)[0]["mockcloud_recording"] == 1


def test_a_recording_that_cannot_be_written_leaves_no_database(start, tmp_path):
    with pytest.raises(StartFailed) as failed:
        start(args=["--record", tmp_path / "nowhere" / "run.jsonl"])
    assert failed.value.code == 1 and "--record" in failed.value.log and "nowhere" in failed.value.log
    assert sorted(p.name for p in tmp_path.iterdir()) == ["token"]


def test_recording_and_replaying_are_not_done_at_once(tmp_path):
    done = run_serve("--db", ":memory:", "--record", tmp_path / "a", "--replay", tmp_path / "b")
    assert done.returncode == 2 and "not together with --replay" in done.stderr


def test_a_database_that_is_not_new_is_recorded_on_and_not_replayed_on(start, connect, tmp_path):
    first = start()
    connect(first).instance(name="old")
    first.stop()
    first.command += ["--record", str(tmp_path / "run.jsonl")]
    api = connect(first.start())
    assert any("is not new" in entry["msg"] for entry in first.log_entries())
    api.instance(name="new")
    first.stop()
    assert [line.get("operation") for line in lines(tmp_path / "run.jsonl")] == [None, "instances.create", None]
    with pytest.raises(StartFailed) as failed:
        start(args=["--replay", tmp_path / "run.jsonl"])
    assert failed.value.code == 2 and "--replay: needs a new database, and" in failed.value.log


def test_an_advance_that_a_stop_cuts_short_is_recorded_as_far_as_it_came(start, connect, tmp_path):
    kept = ["--events-kept", "10000000"]
    server = start(args=["--record", tmp_path / "run.jsonl", *kept])
    api, told = connect(server, timeout=60), []
    api.instance(count=50)
    api.post("/sim/v1/chaos", {"rates": {"reboot": 1000}, "limits": {"max_down": 50}}, expect=201)
    thread = threading.Thread(target=lambda: told.append(
        api.refuse("POST", "/sim/v1/clock/advance", {"by": "8760h"}, status=503, code="unavailable")))
    thread.start()
    watching, deadline = connect(server), time.monotonic() + 60
    while watching.get("/sim/v1/clock")["now"] < "2026-01-01T01":
        assert time.monotonic() < deadline
    assert server.stop() == 0
    thread.join(20)
    came_to = told[0]["detail"].split()[-1]
    again = connect(start(db=server.db, args=kept))
    assert again.get("/sim/v1/clock")["now"] == came_to < "2026-06"
    assert json.loads(lines(tmp_path / "run.jsonl")[-2]["body"]) == {"to": came_to}
    other = connect(replayed(start, tmp_path / "two", tmp_path / "run.jsonl", args=kept))
    assert digest(other) == digest(again)


@pytest.fixture
def recorded(start, connect, tmp_path, seed_file):
    path = tmp_path / "run.jsonl"
    server = start(seed=7, args=["--record", path, "--seed-file", seed_file])
    for n in range(3):
        connect(server).instance(name=f"node-{n}")
    server.stop()
    return path


def spoil(path, line, what):
    content = path.read_text().splitlines(keepends=True)
    content[line - 1] = what(content[line - 1])
    path.write_text("".join(content))


MISFITS = {
    "no such file": (lambda path: path.unlink(), [], 2, "cannot be read"),
    "empty": (lambda path: path.write_text(""), [], 2, "the recording is empty"),
    "no recording": (lambda path: path.write_text("hello\n"), [], 2, "line 1 of the recording: is not a JSON object"),
    "another version": (lambda path: spoil(path, 1, lambda s: s.replace('"mockcloud_recording":1', '"mockcloud_recording":9')),
                        [], 2, "line 1 of the recording: is not the header"),
    "a bad line": (lambda path: spoil(path, 3, lambda s: "[]\n"), [], 2, "line 3 of the recording: is not a JSON object"),
    "another end": (lambda path: spoil(path, 3, lambda s: s.replace("node-1", "node-0")), [], 1,
                    "line 3 of the recording, at revision"),
    "another seed": (None, ["--seed", "8"], 2, "was recorded with the seed 7"),
    "another clock": (None, ["--clock", "real"], 2, "was recorded with a manual clock"),
}


@pytest.mark.parametrize("what", MISFITS)
def test_a_recording_that_does_not_fit_is_refused_by_file_and_line_and_leaves_no_database(start, tmp_path, recorded, seed_file, what):
    change, flags, code, told = MISFITS[what]
    if change:
        change(recorded)
    with pytest.raises(StartFailed) as failed:
        replayed(start, tmp_path / "two", recorded, args=["--seed-file", seed_file, *flags])
    assert failed.value.code == code and told in failed.value.log and str(recorded) in failed.value.log, failed.value.log
    assert failed.value.log.count("mockcloud serve: ") == 1
    assert sorted(p.name for p in (tmp_path / "two").iterdir()) == ["token"]


def test_another_beginning_is_refused(start, tmp_path, recorded, seed_file):
    with pytest.raises(StartFailed) as failed:
        replayed(start, tmp_path / "two", recorded)
    assert "begin with the same seed file and configuration" in failed.value.log and str(recorded) in failed.value.log
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"address_pools": {"internal_v4": "10.99.0.0/16"}}))
    with pytest.raises(StartFailed) as failed:
        replayed(start, tmp_path / "three", recorded, args=["--seed-file", seed_file, "--config", config])
    assert "10.99.0.0/16" in failed.value.log


def test_a_signal_ends_a_replay_and_leaves_nothing(start, connect, tmp_path):
    path, db = tmp_path / "run.jsonl", tmp_path / "two.db"
    server = start(args=["--record", path])
    api = connect(server)
    for _ in range(20):
        api.post("/v1/instances", {"count": 1000})
    server.stop()
    with subprocess.Popen([binary(), "serve", "--listen", "127.0.0.1:0", "--db", db, "--replay", path],
                          stderr=subprocess.PIPE, text=True) as process:
        said = process.stderr.readline()
        while "replaying" not in said:
            said = process.stderr.readline()
            assert said, "it ended before it replayed"
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        assert process.wait(20) == 1
    assert "--replay" in said and "stopped after line" in said
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("two.db") and p.suffix != ".lock"] == []


def test_a_signal_ends_a_replay_in_the_middle_of_a_long_advance(tmp_path, api):
    path, db = tmp_path / "run.jsonl", tmp_path / "two.db"
    path.write_bytes(of_a_long_advance(api))
    with subprocess.Popen([binary(), "serve", "--listen", "127.0.0.1:0", "--db", db, "--replay", path],
                          stderr=subprocess.PIPE, text=True) as process:
        try:
            while "instances.terminate" not in (said := process.stderr.readline()):
                assert said, "it ended before it advanced"
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=60)[1]
        finally:
            process.kill()
    assert process.returncode == 1 and "--replay" in said and "stopped after line" in said
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("two.db")] == []
