"""A disk that fails while the server serves: changes are refused, reads go on, and all is well once it is."""

import errno
import mmap
import os
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest

from harness.server import binary

SOURCE = Path(__file__).parent / "harness" / "failing_disk.c"
REFUSALS = {
    errno.ENOSPC: (507, "insufficient_storage"), errno.EDQUOT: (507, "insufficient_storage"),
    errno.EROFS: (507, "insufficient_storage"), errno.EIO: (500, "internal"),
}


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory):
    """The shared object that fails the disk."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    target = tmp_path_factory.mktemp("disk") / "failing_disk.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(target), str(SOURCE), "-ldl"], check=True)
    return target


class Disk:
    def __init__(self, path):
        path.write_bytes(bytes(mmap.PAGESIZE))
        with open(path, "r+b") as file:
            self.order = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def fails(self, reason):
        self.order[:4] = struct.pack("=i", reason)

    def heals(self):
        self.fails(0)


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path / "order")


@pytest.fixture
def begin(start, preloaded, tmp_path, disk):
    """A server on that disk; a sanitizer's run time has to come first."""
    def _begin(**kwargs):
        env = {"LD_PRELOAD": str(preloaded), "FAILING_DISK": str(tmp_path / "order")}
        if "san" in binary():
            env["ASAN_OPTIONS"] = "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")
        return start(env=env, **kwargs)
    return _begin


def recovered(api, server, seconds=15, **body):
    """The first change that is accepted again; until then each is refused as before."""
    deadline = time.monotonic() + seconds
    while (response := api.request("POST", "/v1/instances", json=body)).status_code != 201:
        assert response.status_code in (500, 507) and time.monotonic() < deadline
    assert server.running
    return response.json()


@pytest.mark.parametrize("reason", REFUSALS, ids=errno.errorcode.get)
def test_while_the_disk_fails_changes_are_refused_reads_go_on_and_it_recovers_by_itself(begin, connect, disk, reason):
    server = begin()
    api = connect(server)
    instance = api.instance(name="before")
    route = api.route("10.9.0.0/24", {"instance_id": instance["id"]})
    before = api.events()
    status, code = REFUSALS[reason]
    disk.fails(reason)
    path = f"/v1/instances/{instance['id']}"
    for method, where, body in [
            ("POST", "/v1/instances", {}), ("PATCH", path, {"tags": {"a": "1"}}), ("POST", f"{path}/stop", None),
            ("DELETE", path, None), ("DELETE", f"/v1/routes/{route['id']}", None), ("POST", "/v1/target-pools", {}),
            ("PUT", "/sim/v1/latencies/instance.pending", {"distribution": "fixed", "value": "1s"}),
            ("POST", "/sim/v1/clock/advance", {"by": "1h"}), ("POST", "/sim/v1/projects", {"name": "blue"})]:
        api.refuse(method, where, body, status=status, code=code)
    assert api.get(path) == instance and api.get(f"/v1/routes/{route['id']}") == route
    assert [i["id"] for i in api.get("/v1/instances")["items"]] == [instance["id"]]
    assert api.events() == before
    assert api.get("/sim/v1/clock")["now"] == "2026-01-01T00:00:00.000Z"
    assert api.get("/healthz")["status"] == "ok"
    assert api.request("GET", "/readyz").status_code == 503
    disk.heals()
    after = recovered(api, server, name="after")
    assert api.request("GET", "/readyz").status_code == 200
    assert after["revision"] == before[-1]["revision"] + 1
    assert {i["name"] for i in api.get("/v1/instances")["items"]} == {"before", "after"}
    assert api.post(f"{path}/stop", expect=202)["state"] == "stopped"


def test_a_key_that_was_refused_for_storage_makes_one_instance_later(begin, connect, disk):
    server = begin()
    api = connect(server)
    key = {"Idempotency-Key": "once"}
    disk.fails(errno.ENOSPC)
    api.refuse("POST", "/v1/instances", {}, status=507, code="insufficient_storage", headers=key)
    disk.heals()
    recovered(api, server)
    first = api.post("/v1/instances", {}, headers=key)
    assert api.post("/v1/instances", {}, headers=key) == first
    assert len(api.get("/v1/instances")["items"]) == 2


def test_a_deadline_that_the_disk_withheld_fires_once_when_it_is_back_and_streams_go_on(begin, connect, disk):
    server = begin(clock="real")
    api = connect(server)
    api.latency("instance.pending", "2s")
    instance = api.instance()
    disk.fails(errno.EROFS)
    while api.get("/sim/v1/clock")["now"] >= instance["transition_at"]:  # this deadline may have come first
        disk.heals()
        instance = recovered(api, server)
        disk.fails(errno.EROFS)
    with api.stream(since=instance["revision"]) as stream:
        deadline = time.monotonic() + 15
        while api.request("GET", "/readyz").status_code != 503:  # the deadline came and could not be written
            assert time.monotonic() < deadline
        assert api.get(f"/v1/instances/{instance['id']}") == instance
        disk.heals()
        event = stream.event()
    assert event["id"] == instance["id"] and event["document"]["state"] == "running"
    assert event["revision"] == instance["revision"] + 1
    told = [e["document"]["state"] for e in api.events(kind="instance") if e["id"] == instance["id"]]
    assert told == ["pending", "running"]


def test_killed_while_the_disk_fails_it_starts_with_what_was_acknowledged(begin, connect, disk):
    server = begin()
    api = connect(server)
    made = api.post("/v1/instances", {"count": 20})["items"]
    disk.fails(errno.EIO)
    for _ in range(5):
        api.refuse("POST", "/v1/instances", {}, status=500, code="internal")
    api.close()
    server.kill()
    disk.heals()
    server.start()
    api = connect(server)
    assert {i["id"] for i in api.all_items("/v1/instances")} == {i["id"] for i in made}
    api.instance()


def test_stopped_while_the_disk_fails_it_ends_and_starts_again(begin, connect, disk):
    server = begin()
    api = connect(server)
    made = api.instance()
    disk.fails(errno.EROFS)
    api.refuse("POST", "/v1/instances", {}, status=507, code="insufficient_storage")
    api.close()
    assert server.stop() == 0
    disk.heals()
    server.start()
    assert connect(server).get(f"/v1/instances/{made['id']}") == made
