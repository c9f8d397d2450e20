"""schemathesis against the OpenAPI document: its examples, its edges, random and chained requests."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from harness.contract import OPERATIONS
from harness.server import ROOT

# Those that apply: the rest judge what the API does not have (TLS, cookies) or take what it allows for a mistake
# (positive_data_acceptance: a valid body may still name a zone that does not exist; use_after_free: what was deleted may
# be there for a while, as a terminated instance is, and the quotas of a project always are; ensure_resource_availability:
# on a clock that was made fast, what was made with a `ttl` is gone by the next call, and chaos takes what it likes).
CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "unsupported_method", "ignored_auth",
    "missing_required_header",
]


REPLACES = "^/sim/v1/(reset|snapshot|recording|replay)"  # the cloud as a whole, which ends a recording
OUTSIDE = "^/sim/v1/clusters"  # what an engine reports cannot be replayed


def schemathesis(server, directory, seed, examples, *arguments):
    """Runs it with up to so many examples for each operation in each phase."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
                   "MOCKCLOUD_ADDRESS": server.address, "MOCKCLOUD_TOKEN": server.token}
    done = subprocess.run([
        Path(sys.executable).parent / "schemathesis", "run", ROOT / "api" / "openapi.json", "--url", server.address,
        "--header", f"Authorization: Bearer {server.token}", "--checks", ",".join(CHECKS), "--max-examples", str(examples),
        "--seed", str(seed), "--request-timeout", "90", "--generation-database", "none",
        "--suppress-health-check", "all", "--warnings", "off", "--no-color", *arguments,
    ], capture_output=True, text=True, cwd=directory, timeout=900, env=environment)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def test_no_request_that_schemathesis_can_think_of_breaks_the_contract(server, full, random_seed, tmp_path):
    report = tmp_path / "report.json"
    told = schemathesis(server, tmp_path, random_seed, 50 if full else 4, "--phases", "examples,coverage,fuzzing,stateful",
                        "--report", "json", "--report-json-path", report)
    tested, whole = map(int, re.search(r"Selected: (\d+)/(\d+)", told).groups())
    cases = int(re.search(r"(\d+) generated", told).group(1))
    print(f"{cases} requests to {tested} operations")
    assert tested == whole == len(OPERATIONS) and cases > 500
    assert json.loads(report.read_text())


def test_whatever_schemathesis_has_done_is_replayed_to_the_same_events(start, connect, full, random_seed, tmp_path):
    server = start(args=("--events-kept", "2000000"))  # all that chaos may do when the clock is advanced
    api = connect(server, timeout=300)
    api.post("/sim/v1/recording", expect=200)
    schemathesis(server, tmp_path, random_seed, 50 if full else 4, "--phases", "examples,fuzzing,stateful",
                 "--exclude-path-regex", f"{REPLACES}|{OUTSIDE}")
    api.post("/sim/v1/clock/freeze")
    api.call("DELETE", "/sim/v1/recording", expect=200)
    recording, digest = api.request("GET", "/sim/v1/recording/file").content, api.get("/sim/v1/events/digest")
    print(f"{recording.count(bytes([10]))} lines, {digest['count']} events")
    assert digest["count"] > 20
    api.reset()
    answer = api.call("POST", "/sim/v1/replay", expect=200, content=recording, headers={"Content-Type": "application/x-ndjson"})
    assert "difference" not in answer, answer
    assert api.get("/sim/v1/events/digest") == digest
