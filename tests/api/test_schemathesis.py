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
# be there for a while, as a terminated instance is, and the quotas of a project always are).
CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "unsupported_method", "ignored_auth",
    "missing_required_header", "ensure_resource_availability",
]


def test_no_request_that_schemathesis_can_think_of_breaks_the_contract(server, full, random_seed, tmp_path):
    program = Path(sys.executable).parent / "schemathesis"
    report = tmp_path / "report.json"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
                   "MOCKCLOUD_ADDRESS": server.address, "MOCKCLOUD_TOKEN": server.token}
    done = subprocess.run([
        program, "run", ROOT / "api" / "openapi.json", "--url", server.address,
        "--header", f"Authorization: Bearer {server.token}", "--checks", ",".join(CHECKS),
        "--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "50" if full else "4",
        "--seed", str(random_seed), "--request-timeout", "90", "--generation-database", "none",
        "--suppress-health-check", "all", "--warnings", "off", "--no-color",
        "--report", "json", "--report-json-path", report,
    ], capture_output=True, text=True, cwd=tmp_path, timeout=900, env=environment)
    told = done.stdout[-8000:] + done.stderr[-2000:]
    assert done.returncode == 0, told
    tested, whole = map(int, re.search(r"Selected: (\d+)/(\d+)", done.stdout).groups())
    cases = int(re.search(r"(\d+) generated", done.stdout).group(1))
    print(f"{cases} requests to {tested} operations")
    assert tested == whole == len(OPERATIONS) and cases > 500
    assert json.loads(report.read_text())
