"""Snapshots: consistent while changes go on, restored as a whole or not at all."""

import shutil
import socket
import sqlite3
import threading
from pathlib import Path

import pytest

TYPE = {"Content-Type": "application/vnd.sqlite3"}


def everything(api):
    """All that a client can see of the cloud, its events included."""
    kinds = ("instances", "load-balancers", "target-pools", "addresses", "routes", "zones", "instance-types")
    lists = {kind: api.all_items(f"/v1/{kind}") for kind in kinds}
    return {**lists, "clock": api.get("/sim/v1/clock"), "events": api.events(), "projects": api.get("/sim/v1/projects")["items"]}


def some_cloud(api):
    api.latency("instance.pending", "10s")
    one = api.instance(name="one", tags={"a": "b"})
    api.route("10.1.0.0/16", {"instance_id": one["id"]})
    pool = api.pool(targets=[{"instance_id": one["id"]}])
    api.load_balancer(listeners=[{"protocol": "TCP", "port": 80, "target_pool_id": pool["id"], "target_port": 80}])
    return one


def test_what_is_restored_is_what_was_saved(api, tmp_path):
    some_cloud(api)
    api.advance("3s")
    before = everything(api)
    file = api.save(tmp_path / "snapshot.db")
    api.advance("1h")
    api.post("/v1/instances", {"count": 50})
    api.post("/sim/v1/projects", {"name": "other"})
    answer = api.restore(file)
    assert everything(api) == before
    assert answer["epoch"] == 1 and answer["revision"] == before["events"][-1]["revision"]
    assert answer["clock"] == before["clock"]


def test_deadlines_of_a_restored_cloud_fire(api, tmp_path):
    one = some_cloud(api)
    file = api.save(tmp_path / "snapshot.db")
    api.advance("10s")
    assert api.get(f"/v1/instances/{one['id']}")["state"] == "running"
    api.restore(file)
    assert api.get(f"/v1/instances/{one['id']}")["state"] == "pending"
    assert api.advance("10s")["fired"] > 0
    assert api.get(f"/v1/instances/{one['id']}")["state"] == "running"


def test_the_same_changes_after_a_restore_give_the_same_events(api, tmp_path):
    some_cloud(api)
    file = api.save(tmp_path / "snapshot.db")
    runs = []
    for _ in range(3):
        api.post("/v1/instances", {"count": 20, "tags": {"run": "x"}})
        api.advance("1m")
        runs.append(api.events())
        api.restore(file)
    assert runs[0] == runs[1] == runs[2]


def test_a_snapshot_moves_to_another_server(start, connect, tmp_path):
    api = connect(start())
    some_cloud(api)
    before = everything(api)
    file = api.save(tmp_path / "snapshot.db")
    (tmp_path / "two").mkdir()
    other = start(directory=tmp_path / "two", seed=99)
    two = connect(other)
    assert two.restore(file)["seed"] == "1"
    assert everything(two) == before
    assert two.instance()["id"] == api.instance()["id"]
    two.close()
    other.stop()  # and it is the database of that server from now on
    other.command[other.command.index("--seed") + 1] = "1"
    other.start()
    assert len(connect(other).all_items("/v1/instances")) == len(before["instances"]) + 1


def test_a_snapshot_is_a_database_that_can_be_served(start, connect, tmp_path):
    api = connect(start())
    some_cloud(api)
    before = everything(api)
    (tmp_path / "two").mkdir()
    api.save(tmp_path / "two" / "cloud.db")
    assert everything(connect(start(directory=tmp_path / "two"))) == before


def test_tokens_of_projects_are_restored_and_the_server_s_own_stays(api, connect, server, tmp_path):
    api.post("/sim/v1/projects", {"name": "old"})
    token = api.post("/sim/v1/projects/old/tokens", {})["token"]
    file = api.save(tmp_path / "snapshot.db")
    api.post("/sim/v1/projects", {"name": "new"})
    later = api.post("/sim/v1/projects/new/tokens", {})["token"]
    api.delete("/sim/v1/projects/old")
    api.restore(file)
    assert connect(server, token=token).get("/v1/project")["name"] == "old"
    connect(server, token=later).refuse("GET", "/v1/project", status=401, code="unauthorized")


def test_fault_rules_are_restored_and_work(api, tmp_path):
    rule = {"match": {"operations": ["instances.list"]}, "effect": {"error": {"status": 503}}}
    made = api.post("/sim/v1/faults", rule, expect=201)
    file = api.save(tmp_path / "snapshot.db")
    api.delete(f"/sim/v1/faults/{made['id']}")
    api.get("/v1/instances")
    api.restore(file)
    assert api.request("GET", "/v1/instances").status_code == 503


# -- while writing goes on ------------------------------------------------------------------------

class Writers:
    """Eight of them, each making pairs of instances: a consistent copy has whole pairs."""

    def __init__(self, connect, server):
        self.stop = threading.Event()
        self.made = [0] * 8
        self.failures = []
        clients = [connect(server) for _ in self.made]
        self.threads = [threading.Thread(target=self._write, args=(n, api)) for n, api in enumerate(clients)]

    def _write(self, n, api):
        try:
            while not self.stop.is_set():
                api.post("/v1/instances", {"count": 2, "tags": {"writer": str(n)}})
                self.made[n] += 1
        except Exception as e:  # told by the main thread
            self.failures.append(e)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        for t in self.threads:
            t.join()
        assert not self.failures, self.failures


def test_snapshots_are_consistent_while_eight_writers_write(server, api, connect, tmp_path):
    sizes = []
    with Writers(connect, server) as writers:
        for n in range(10):
            db = sqlite3.connect(api.save(tmp_path / f"{n}.db"))
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            counts = [c for _, c in db.execute("SELECT value, count(*) FROM tag WHERE key = 'writer' GROUP BY value")]
            first, last, events = db.execute("SELECT min(revision), max(revision), count(*) FROM event").fetchone()
            assert all(c % 2 == 0 for c in counts) and events == last - first + 1
            assert db.execute("SELECT max(revision) FROM instance").fetchone()[0] == last or not counts
            sizes.append(sum(counts))
            db.close()
    print(f"{len(sizes)} snapshots of {sizes} instances while {sum(writers.made)} pairs were made")
    assert sizes[-1] > 0


def test_restores_among_eight_writers_leave_a_whole_cloud(server, api, connect, tmp_path):
    api.post("/v1/instances", {"count": 100})
    file = api.save(tmp_path / "snapshot.db")
    with Writers(connect, server):
        for _ in range(5):
            api.restore(file)
    items = api.all_items("/v1/instances")
    assert len(items) >= 100 and len(items) % 2 == 0
    revisions = [e["revision"] for e in api.events()]
    assert revisions == list(range(1, len(revisions) + 1))
    assert len({a["address"] for i in items for a in i["addresses"] if a["type"] == "internal"}) == len(items)


# -- what clients keep from before ----------------------------------------------------------------

def test_streams_end_and_their_last_event_is_not_taken_for_one_of_the_new_cloud(api, tmp_path):
    some_cloud(api)
    file = api.save(tmp_path / "snapshot.db")
    with api.stream(since=0) as stream:
        last = stream.take(5)[-1]["revision"]
        api.restore(file)
        while stream.event() is not None:
            pass
    problem = {"status": 410, "code": "revision_compacted", "field": "Last-Event-ID"}
    assert api.get("/v1/events")["revision"] >= last  # it could be one of the new cloud
    for old in (f"{last}", f"{last}-0"):
        with api.stream(last_event_id=old) as stream:
            assert stream.response.status_code == 410
        api.refuse("GET", "/v1/events", headers={"Accept": "text/event-stream", "Last-Event-ID": old}, **problem)
    with api.stream(since=0) as stream:
        event = stream.event()
        assert event["revision"] == 1 and stream.epoch == "1"
    with api.stream(last_event_id="1-1") as stream:
        assert stream.event()["revision"] == 2
    api.restore(file)
    api.refuse("GET", "/v1/events", headers={"Accept": "text/event-stream", "Last-Event-ID": "1-1"}, **problem)


def test_parked_streams_end_too(api, tmp_path):
    file = api.save(tmp_path / "snapshot.db")
    with api.stream() as stream:
        assert "comment" in stream.frame()
        api.restore(file)
        assert stream.event() is None


def test_a_since_that_the_restored_cloud_has_not_reached_is_gone(api, tmp_path):
    file = api.save(tmp_path / "snapshot.db")
    api.post("/v1/instances", {"count": 10})
    newest = api.get("/v1/events")["revision"]
    api.restore(file)
    for headers in ({}, {"Accept": "text/event-stream"}):
        api.refuse("GET", "/v1/events", params={"since": newest}, headers=headers,
                   status=410, code="revision_compacted", field="since")


def test_an_etag_from_before_matches_nothing_afterwards(api, tmp_path):
    one = api.instance(name="one")
    path = f"/v1/instances/{one['id']}"
    old = api.request("GET", path).headers["etag"]
    file = api.save(tmp_path / "snapshot.db")
    api.restore(file)
    new = api.request("GET", path).headers["etag"]
    assert old == f'"{one["revision"]}"' and new == f'"{one["revision"]}-1"'
    assert api.request("GET", path, headers={"If-None-Match": new}).status_code == 304
    assert api.request("GET", path, headers={"If-None-Match": old}).status_code == 200
    assert api.request("PATCH", path, json={"tags": {"a": "1"}}, headers={"If-Match": new}).status_code == 200
    api.restore(file)
    api.refuse("PATCH", path, {"tags": {"a": "2"}}, headers={"If-Match": new},
               status=412, code="precondition_failed", field="If-Match")


# -- files that cannot be taken -------------------------------------------------------------------

def damaged(file):
    data = bytearray(file.read_bytes())
    for page in range(2, len(data) // 4096, 3):
        data[page * 4096:page * 4096 + 512] = b"\x5a" * 512
    file.write_bytes(data)


def altered(sql):
    def alter(file):
        db = sqlite3.connect(file)
        db.executescript(sql)
        db.close()
    return alter


BAD = {
    "text": (lambda file: file.write_text("no database"), "not a database"),
    "empty": (lambda file: file.write_bytes(b""), "not a database"),
    "truncated": (lambda file: file.write_bytes(file.read_bytes()[:20000]), "the snapshot"),
    "damaged": (damaged, "the snapshot"),
    "foreign": (altered("PRAGMA application_id = 7"), "another program"),
    "newer": (altered("PRAGMA user_version = 99"), "newer mockcloud"),
    "without a table": (altered("DROP TABLE route"), "route"),
    "with a damaged record": (altered("UPDATE instance SET record = x'ffff'"), "damaged"),
    "without projects": (altered("DELETE FROM project"), "default project"),
    "with a trigger": (altered("CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM instance; END"), "trigger"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_one_clear_error_and_changes_nothing(api, server, tmp_path, kind):
    some_cloud(api)
    before = everything(api)
    file = api.save(tmp_path / "bad.db")
    spoil, words = BAD[kind]
    spoil(file)
    with api.stream() as stream:
        problem = api.refuse("PUT", "/sim/v1/snapshot", content=file.read_bytes(), headers=TYPE,
                             status=400, code="invalid_argument")
        assert words in problem["detail"] and str(server.directory) not in problem["detail"], problem
        assert everything(api) == before
        made = api.instance()
        assert stream.event()["revision"] == made["revision"]  # it was not ended either
    assert not list(tmp_path.glob("cloud.db.scratch-*-wal"))


def test_a_file_of_schema_version_1_is_restored(api, tmp_path):
    """One that the server of that time wrote."""
    file = tmp_path / "old.db"
    db = sqlite3.connect(file)
    db.executescript((Path(__file__).parent / "data" / "version-1.sql").read_text())
    db.close()
    answer = api.restore(file)
    assert answer["seed"] == "7" and answer["clock"]["now"] == "2026-01-01T00:00:04.000Z"
    assert [(i["name"], i["state"]) for i in api.all_items("/v1/instances")] == [("web-1", "pending"), ("web-2", "terminated")]
    assert api.events()[-1]["document"]["name"] == "web-2"
    assert api.advance("1h")["fired"] == 2
    assert [(i["name"], i["state"]) for i in api.all_items("/v1/instances")] == [("web-1", "running")]


def test_other_media_types_and_longer_uploads_are_refused(start, connect, tmp_path):
    api = connect(start(args=["--max-upload", "65536"]))
    file = api.save(tmp_path / "snapshot.db")
    api.refuse("PUT", "/sim/v1/snapshot", {}, status=415, code="unsupported_media_type", field="Content-Type")
    api.refuse("PUT", "/sim/v1/snapshot", content=file.read_bytes(), headers=TYPE, status=413, code="too_large")


def test_only_the_hand_of_god_may_copy_or_replace_the_cloud(api, server, connect):
    api.post("/sim/v1/projects", {"name": "team"})
    tenant = connect(server, token=api.post("/sim/v1/projects/team/tokens", {})["token"])
    tenant.refuse("GET", "/sim/v1/snapshot", status=403, code="forbidden")
    tenant.refuse("PUT", "/sim/v1/snapshot", content=b"x", headers=TYPE, status=403, code="forbidden")
    tenant.refuse("POST", "/sim/v1/reset", status=403, code="forbidden")


def test_nothing_is_left_beside_the_database(api, server, tmp_path):
    file = api.save(tmp_path / "snapshot.db")
    api.restore(file)
    api.refuse("PUT", "/sim/v1/snapshot", content=b"no", headers=TYPE, status=400, code="invalid_argument")
    api.reset()
    api.close()
    server.stop()
    assert {p.name for p in tmp_path.iterdir()} == {"cloud.db", "token", "snapshot.db"}


def test_an_upload_that_breaks_off_changes_nothing(api, server, tmp_path):
    one = some_cloud(api)
    s = socket.create_connection(("127.0.0.1", server.port))
    s.sendall(f"PUT /sim/v1/snapshot HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
              "Content-Type: application/vnd.sqlite3\r\nContent-Length: 100000\r\n\r\nSQLite format 3".encode())
    s.close()
    assert api.get(f"/v1/instances/{one['id']}") == one


def test_a_slow_downloader_holds_no_snapshot_of_the_live_database(api, server, tmp_path):
    api.post("/v1/instances", {"count": 2000})
    s = socket.create_connection(("127.0.0.1", server.port))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.sendall(f"GET /sim/v1/snapshot HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
              f"Authorization: Bearer {server.token}\r\n\r\n".encode())
    assert s.recv(1000, socket.MSG_PEEK)
    for _ in range(30):
        api.post("/v1/instances", {"count": 500, "tags": {"k": "v" * 200}})
    assert Path(server.db + "-wal").stat().st_size < 40 << 20
    s.close()


def test_a_restored_cloud_survives_a_kill(api, server, connect, tmp_path):
    some_cloud(api)
    before = everything(api)
    file = api.save(tmp_path / "snapshot.db")
    shutil.copy(file, tmp_path / "copy.db")
    api.post("/v1/instances", {"count": 100})
    api.restore(file)
    server.kill()
    server.start()
    after = connect(server)
    assert everything(after) == before
    after.restore(tmp_path / "copy.db")
    assert connect(server).request("GET", "/v1/zones/mock-1a").headers["etag"] == '"2-2"'  # the epoch too
