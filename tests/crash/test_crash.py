"""kill -9 at random moments of a write load: every acknowledged write is found, and nothing is half done.

KILLS (default 20) says how often; SEED replays the choice of operations and moments (the interleaving of
threads is the machine's).
"""

import http.client
import json
import os
import random
import threading
import time

import pytest
from harness.server import Server

KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("SEED") or int.from_bytes(os.urandom(4), "big"))
KILLS_PER_DATABASE = 20  # then a new one, so that comparing it all stays quick
WRITERS = 6
KINDS = {"i": "instance", "lb": "load_balancer", "tp": "target_pool", "rt": "route", "addr": "address"}
FAMILY = {"i": "/v1/instances/", "lb": "/v1/load-balancers/", "tp": "/v1/target-pools/", "rt": "/v1/routes/",
          "addr": "/v1/addresses/"}


class Http:
    """One keep-alive connection; raises OSError or HTTPException when the server dies under it."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self.headers = {"Authorization": "Bearer " + server.token, "Content-Type": "application/json"}

    def __call__(self, method, path, body=None):
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        raw = answer.read()
        return answer.status, json.loads(raw) if raw else None

    def close(self):
        self.connection.close()


class Writer(threading.Thread):
    """Changes resources of its own, noting each acknowledged document, until the server is gone."""

    def __init__(self, server, number, rng, known, started):
        super().__init__(daemon=True)
        self.server, self.number, self.rng, self.known, self.started = server, number, rng, known, started
        self.acknowledged = 0
        self.in_flight = None  # id that the unanswered request is about
        self.unexpected = None

    def run(self):
        http_ = Http(self.server)
        try:
            while True:
                self.step(http_)
                self.acknowledged += 1
                self.started.set()
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            pass  # killed
        except Exception as problem:  # told by the test itself
            self.unexpected = problem
            self.started.set()
        finally:
            http_.close()

    def step(self, call):
        mine = [id_ for id_, (owner, doc) in list(self.known.items())
                if owner == self.number and doc is not None]
        if len(mine) < 5 or self.rng.random() < 0.5:
            self.create(call)
        else:
            self.change(call, self.rng.choice(mine))

    def note(self, document):
        self.known[document["id"]] = (self.number, document)

    def create(self, call):
        self.in_flight = "new"
        tags = {"writer": str(self.number)}
        kind = self.rng.choice(["i", "i", "i", "tp", "addr", "lb", "rt"])
        if kind == "rt":
            block = self.rng.getrandbits(22)
            body = {"destination_cidr": f"10.{128 + (block >> 16)}.{block >> 8 & 255}.{block & 255}/32",
                    "next_hop": {"address": "10.0.0.1"}, "tags": tags}
        elif kind == "lb":
            body = {"source_ranges": ["192.0.2.0/24"], "tags": tags}
        else:
            body = {"tags": tags}
        status, document = call("POST", FAMILY[kind][:-1], body)
        if status == 409 and kind == "rt":
            return
        assert status == 201, (status, document)
        self.note(document)

    def change(self, call, id_):
        self.in_flight = id_
        path = FAMILY[id_.split("-")[0]] + id_
        if self.rng.random() < 0.7:
            status, document = call("PATCH", path, {"tags": {"n": str(self.rng.random())}})
            state = self.known[id_][1].get("state")
            if status == 409 and state in ("terminated", "provisioning"):
                return
            assert status == 200, (status, document)
            self.note(document)
            return
        status, document = call("DELETE", path)
        assert status in (202, 204), (status, document)
        if status == 204 or document["state"] == "deleted":
            self.known[id_] = (self.number, None)  # gone
        else:
            self.note(document)


def check_known(found, known, in_flight):
    """Every acknowledged document is there as it was acknowledged, or as the unanswered request left it."""
    for id_, (owner, document) in list(known.items()):
        now = found.get(id_)
        if document is None:
            assert now is None, f"{id_} was deleted and is there again: {now}"
            del known[id_]
        elif id_ in in_flight:
            known[id_] = (owner, now)
        else:
            assert now is not None, f"{id_} was acknowledged and is lost"
            assert now == document, f"{id_}: acknowledged {document}, found {now}"


def read_events(call, since, last_documents):
    """Follows the log: revisions without gaps; returns the newest."""
    while True:
        status, page = call("GET", f"/v1/events?since={since}&limit=10000")
        assert status == 200, page
        for event in page["items"]:
            assert event["revision"] == since + 1, f"gap after {since}: {event['revision']}"
            since = event["revision"]
            document = event["document"]
            if event["kind"] == "clock":
                continue
            assert document["revision"] == since
            key = (event["kind"], event["id"])
            if event["type"] == "deleted":
                assert last_documents.pop(key, None) is not None, f"{key} deleted but never created"
            else:
                assert (event["type"] == "created") == (key not in last_documents), event
                last_documents[key] = document
        if not page["items"]:
            assert since == page["revision"]
            return since


def listed(call, path):
    items, token = [], ""
    while token is not None:
        status, page = call("GET", f"{path}?limit=10000{token}")
        assert status == 200, page
        items += page["items"]
        token = "&page_token=" + page["next_page_token"] if "next_page_token" in page else None
    return items


def everything(call):
    """{id: document} of all kinds, as the lists show them."""
    return {item["id"]: item for path in FAMILY.values() for item in listed(call, path[:-1])}


def check_whole(found, last_documents):
    """What the lists show is what the log says; addresses are nobody's twice; who waits has a deadline."""
    logged = {id_: document for (kind, id_), document in last_documents.items() if kind in KINDS.values()}
    assert found == logged
    held = {}
    for item in found.values():
        if item.get("state") in ("pending", "provisioning", "terminating", "terminated"):
            assert "transition_at" in item, item
        if item.get("state") == "terminated":
            continue
        for address in item.get("addresses", [item] if "family" in item else []):
            if "family" in address and "address_id" not in address:
                assert held.setdefault(address["address"], item["id"]) == item["id"], address


def cycle(server, rng, known):
    """Writes until some random moment, then kills. Returns acknowledged writes and ids in flight."""
    started = threading.Event()
    writers = [Writer(server, n, random.Random(rng.getrandbits(64)), known, started) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    assert started.wait(20), "no write was acknowledged"
    time.sleep(rng.uniform(0, 0.15))  # the random moment
    server.kill()
    for writer in writers:
        writer.join(20)
        assert writer.unexpected is None, writer.unexpected
    return sum(writer.acknowledged for writer in writers), {writer.in_flight for writer in writers}


@pytest.fixture
def server(tmp_path):
    """Not started yet; ended whatever becomes of the test."""
    server = Server(tmp_path, args=["--events-kept", "10000000"])
    yield server
    server.kill()


def set_latencies(call):
    for transition in ("instance.pending", "load_balancer.provisioning"):
        status, _ = call("PUT", "/sim/v1/latencies/" + transition,
                         {"distribution": "uniform", "min": "1s", "max": "60s"})
        assert status == 200


def advance(call, by):
    status, answer = call("POST", "/sim/v1/clock/advance", {"by": by})
    assert status == 200, answer
    return answer


def settle(known, last_documents):
    """What is known moves on with the timers that have fired, as the log tells it."""
    for id_, (owner, document) in list(known.items()):
        if document is not None:
            known[id_] = (owner, last_documents.get((KINDS[id_.split("-")[0]], id_)))


def crash_one_database(directory, kills, rng):
    """Kills and restarts a server on one database that often; returns acknowledged writes and documents compared."""
    directory.mkdir()
    server = Server(directory, args=["--events-kept", "10000000", "--log-level", "warn"])
    known, last_documents, in_flight = {}, {}, set()
    revision = total = compared = 0
    try:
        for number in range(kills + 1):
            server.start()
            call = Http(server)
            if number == 0:
                set_latencies(call)
            found = everything(call)
            check_known(found, known, in_flight)
            revision = read_events(call, revision, last_documents)
            check_whole(found, last_documents)
            compared += len(found)
            if number == kills:
                break
            advance(call, f"{rng.randrange(10)}s")  # some of what waits becomes due between two crashes
            revision = read_events(call, revision, last_documents)
            settle(known, last_documents)
            call.close()
            acknowledged, in_flight = cycle(server, rng, known)
            total += acknowledged

        # Every deadline fires, and nothing is left to wait for.
        assert "next_deadline" not in advance(call, "1h")["clock"]
        read_events(call, revision, last_documents)
        found = everything(call)
        assert {item["state"] for id_, item in found.items() if id_.startswith("i-")} <= {"running"}
        check_whole(found, last_documents)
        call.close()
        assert server.stop() == 0
        server.log_entries()
    finally:
        server.kill()
    return total, compared


def test_a_killed_server_has_every_acknowledged_write_and_no_half_of_any(tmp_path):
    print(f"\n{KILLS} kills; replay with KILLS={KILLS} SEED={SEED}")
    rng = random.Random(SEED)
    total = compared = done = 0
    while done < KILLS:
        kills = min(KILLS_PER_DATABASE, KILLS - done)
        acknowledged, documents = crash_one_database(tmp_path / str(done), kills, rng)
        done, total, compared = done + kills, total + acknowledged, compared + documents
    print(f"{done} kills, {total} acknowledged writes, {compared} documents compared")
    assert done == KILLS > 0 and total > KILLS and compared > 0
