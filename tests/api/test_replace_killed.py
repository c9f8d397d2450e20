"""kill -9 at any moment of a restore or a reset leaves the old cloud or the new one, whole."""

import random
import threading

from harness.client import Client
from harness.server import Server

KILLS = 12


def names(api):
    return {i["name"] for i in api.all_items("/v1/instances")}


def beginning(tmp_path):
    """A server with 1,000 instances named old-…, and a snapshot of another 1,000 named new-…."""
    server = Server(tmp_path, args=["--log-level", "warn"]).start()
    api = Client(server)
    api.post("/v1/instances", {"name": "new", "count": 1000})
    snapshot = api.save(tmp_path / "new.snapshot")
    new = names(api)
    api.reset()
    api.post("/v1/instances", {"name": "old", "count": 1000})
    return server, snapshot, names(api), new


def kill_during(server, action, delay):
    def act():
        try:
            action(Client(server))
        except Exception:  # the server is gone
            pass

    thread = threading.Thread(target=act)
    thread.start()
    thread.join(delay)
    server.kill()
    thread.join()


def check(server, one_of):
    server.start()
    api = Client(server)
    found = names(api)
    assert found in one_of, f"{len(found)} instances, neither the old cloud nor the new"
    revisions = [e["revision"] for e in api.events()]
    assert revisions == list(range(1, len(revisions) + 1))
    assert not list(server.directory.glob("cloud.db.scratch-*[!0-9]"))
    return found


def run(tmp_path, random_seed, action, becomes):
    rng = random.Random(random_seed)
    server, snapshot, old, new = beginning(tmp_path)
    outcomes = {"old": 0, "new": 0}
    try:
        for _ in range(KILLS):
            kill_during(server, lambda api: action(api, snapshot), rng.uniform(0.001, 0.12))
            found = check(server, (old, new if becomes == "new" else set()))
            outcomes["old" if found == old else "new"] += 1
            api = Client(server)
            api.reset()
            api.post("/v1/instances", {"name": "old", "count": 1000})
    finally:
        server.kill()
    print(f"{KILLS} kills: {outcomes}")


def test_a_kill_during_a_restore_leaves_the_old_cloud_or_the_new(tmp_path, random_seed):
    run(tmp_path, random_seed, lambda api, snapshot: api.restore(snapshot), "new")


def test_a_kill_during_a_reset_leaves_the_old_cloud_or_the_beginning(tmp_path, random_seed):
    run(tmp_path, random_seed, lambda api, _: api.reset(), "empty")
