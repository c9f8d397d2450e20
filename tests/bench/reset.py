"""reset: a cloud whose seed file has 10,000 instances, back to its beginning."""

import json
import statistics
import time

from lib import CREATE, Api, Row, Server

INSTANCES, TARGET_MS, ROUNDS = 10000, 50, 15


def seeded(bench, db):
    directory = bench.path("reset")
    directory.mkdir()
    seed = directory / "seed.json"
    seed.write_text(json.dumps({"instances": [{"name": f"node-{n}", **CREATE} for n in range(INSTANCES)]}))
    server = Server(directory, db=db, args=["--seed-file", seed]).start()
    bench.processes.append(server.process)
    return server, Api(server)


def one(bench, db, where):
    server, api = seeded(bench, db)
    took = []
    for _ in range(ROUNDS):
        api("POST", "/v1/instances", {**CREATE, "count": 500})  # something that has to go
        began = time.perf_counter()
        api("POST", "/sim/v1/reset")
        took.append((time.perf_counter() - began) * 1e3)
    assert len(api("GET", f"/v1/instances?limit={INSTANCES}")["items"]) == INSTANCES
    assert "next_page_token" not in api("GET", f"/v1/instances?limit={INSTANCES}")
    server.stop()
    median = statistics.median(took)
    return Row("reset", f"a cloud of {INSTANCES:,} instances, {where}", f"{median:.0f} ms (max {max(took):.0f})", "", None,
               f"< {TARGET_MS} ms", median < TARGET_MS)


def reset(bench):
    """A reset to a seed file with 10,000 instances, over HTTP."""
    return [one(bench, ":memory:", "in memory"), one(bench, None, "in a file")]
