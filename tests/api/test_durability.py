"""What survives: kill -9, a full disk, a stalled reader."""

import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from harness.server import binary


def test_deadlines_survive_a_kill(server, api, connect):
    api.latency("instance.pending", "10s")
    api.latency("load_balancer.provisioning", "20s")
    api.latency("route.pending", "30s")
    api.latency("target.initial", "40s")
    made = [("/v1/instances", api.instance()), ("/v1/load-balancers", api.load_balancer()),
            ("/v1/routes", api.route("10.1.0.0/16", {"address": "10.0.0.1"})),
            ("/v1/target-pools", api.pool(targets=[{"address": "192.0.2.1"}]))]
    server.kill()
    server.start()
    api = connect(server)
    for path, item in made:
        assert api.get(f"{path}/{item['id']}") == item and "transition_at" in item
    assert api.get("/sim/v1/clock")["next_deadline"] == made[0][1]["transition_at"]
    assert api.advance("40s")["fired"] == 4
    assert api.get(f"/v1/instances/{made[0][1]['id']}")["state"] == "running"


def test_a_deadline_that_passed_while_the_server_was_down_fires_after_the_start(start, connect):
    server = start(clock="real")
    api = connect(server)
    api.latency("instance.pending", "200ms")
    made = api.instance()
    server.kill()
    until = time.monotonic() + 0.25
    while time.monotonic() < until:  # the thing waited for is the deadline itself
        time.sleep(0.01)
    server.start()
    api = connect(server)
    deadline = time.monotonic() + 10
    while api.get(f"/v1/instances/{made['id']}")["state"] == "pending":
        assert time.monotonic() < deadline


def test_revisions_and_ids_go_on_after_a_kill_and_never_repeat(server, api, connect):
    ids, revisions = set(), []
    for _ in range(5):
        made = connect(server).post("/v1/instances", {"count": 20})["items"]
        assert not ids & {i["id"] for i in made}
        ids |= {i["id"] for i in made}
        server.kill()
        server.start()
    events = connect(server).events()
    revisions = [e["revision"] for e in events]
    assert revisions == list(range(revisions[0], revisions[0] + len(revisions)))


def test_a_manual_clock_survives_a_kill(server, api, connect):
    api.advance("1h")
    server.kill()
    server.start()
    assert connect(server).get("/sim/v1/clock")["now"] == "2026-01-01T01:00:00.000Z"


def sanitized():
    """A sanitizer keeps freed memory, so that its figures say nothing."""
    return any(kind in binary() for kind in ("asan", "tsan"))


def limit_files(size):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    return limit


def fill(api):
    """Creates until the storage is full; returns what was acknowledged and the refusal."""
    made = []
    for _ in range(2000):
        response = api.request("POST", "/v1/instances", json={"count": 20})
        if response.status_code != 201:
            return made, response
        made += response.json()["items"]
    raise AssertionError("the storage never became full")


def check_full(api, made, refusal):
    assert refusal.status_code == 507 and refusal.json()["code"] == "insufficient_storage"
    assert len(made) > 0
    assert {i["id"] for i in api.all_items("/v1/instances")} == {i["id"] for i in made}
    assert api.get("/healthz")["status"] == "ok"
    ready = api.request("GET", "/readyz")
    assert ready.status_code == 503 and ready.json()["status"] == "unavailable"


def test_a_full_disk_refuses_changes_and_loses_nothing(start, connect):
    """The limit on file sizes stands in for a full disk: writing beyond it fails."""
    server = start(preexec=limit_files(3 << 20))
    api = connect(server)
    made, refusal = fill(api)
    check_full(api, made, refusal)
    server.kill()
    server.preexec = None
    server.start()
    api = connect(server)
    kept = {i["id"] for i in api.all_items("/v1/instances")}
    assert {i["id"] for i in made} == kept
    api.instance()


@pytest.fixture
def small_disk():
    """A file system of 8 MiB; needs the right to mount."""
    directory = Path(tempfile.mkdtemp(prefix="mockcloud-disk-"))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(directory)], capture_output=True)
    if done.returncode != 0:
        directory.rmdir()
        pytest.skip(f"no right to mount a small file system: {done.stderr.decode().strip()}")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)
    directory.rmdir()


def test_changes_go_on_once_a_full_disk_has_room_again(small_disk, start, connect):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (4 << 20))
    server = start(directory=small_disk)
    api = connect(server)
    made, refusal = fill(api)
    check_full(api, made, refusal)
    ballast.unlink()
    deadline = time.monotonic() + 10
    while (response := api.request("POST", "/v1/instances", json={})).status_code != 201:
        assert response.status_code == 507 and time.monotonic() < deadline
    assert api.request("GET", "/readyz").status_code == 200
    assert len(api.all_items("/v1/instances")) == len(made) + 1
    api.close()
    assert server.stop() == 0


def test_a_reader_that_stalls_leaves_the_log_bounded(server, api):
    """It asked for a long list and reads nothing: its answer is in memory, no snapshot is held for it."""
    for _ in range(5):
        api.post("/v1/instances", {"count": 2000})
    stalled = []
    for _ in range(20):
        s = socket.create_connection(("127.0.0.1", server.port))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(f"GET /v1/instances?limit=10000 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                  f"Authorization: Bearer {server.token}\r\n\r\n".encode())
        assert s.recv(100, socket.MSG_PEEK)  # it has begun to answer
        stalled.append(s)
    # Write far more than one checkpoint's worth.
    made = api.instance()
    written = 0
    while written < 32 << 20:
        changed = api.post("/v1/instances", {"count": 500, "tags": {f"k{n}": "v" * 200 for n in range(5)}})
        written += sum(len(str(i)) for i in changed["items"])
    log = Path(server.db + "-wal").stat().st_size
    assert log < 16 << 20, f"{written >> 20} MiB were written and the log has {log >> 20} MiB"
    assert api.get(f"/v1/instances/{made['id']}") == made
    for s in stalled:
        s.close()


def test_a_stalled_watcher_neither_holds_the_log_nor_memory(server, api):
    watchers = []
    for _ in range(20):
        s = socket.create_connection(("127.0.0.1", server.port))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(f"GET /v1/events?since=0 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                  f"Authorization: Bearer {server.token}\r\nAccept: text/event-stream\r\n\r\n".encode())
        assert s.recv(100, socket.MSG_PEEK)
        watchers.append(s)
    before = server.memory_kib()
    for _ in range(40):
        api.post("/v1/instances", {"count": 500})
    assert Path(server.db + "-wal").stat().st_size < 24 << 20
    # The recent events are kept once for all watchers, not once for each.
    grown = server.memory_kib() - before
    assert sanitized() or grown < 100 << 10, f"{grown >> 10} MiB for 20 stalled watchers"
    for s in watchers:
        s.close()


def test_a_copy_of_the_files_taken_after_a_kill_is_whole(server, api, tmp_path):
    import sqlite3
    for _ in range(10):
        api.post("/v1/instances", {"count": 100})
    server.kill()
    for suffix in ("", "-wal"):
        shutil.copy(server.db + suffix, tmp_path / f"copy.db{suffix}")
    db = sqlite3.connect(tmp_path / "copy.db")
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("SELECT count(*) FROM instance").fetchone() == (1000,)
    db.close()
