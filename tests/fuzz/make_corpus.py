#!/usr/bin/env python3
"""Writes seeds for the fuzz targets of api/ from openapi.json: every path, every query, every example."""

import json
import re
from pathlib import Path

here = Path(__file__).parent
document = json.loads((here / "../../api/openapi.json").read_text())


def write(target, name, content):
    directory = here / "corpus" / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(content)


def resolve(node):
    while "$ref" in node:
        at = document
        for part in node["$ref"][2:].split("/"):
            at = at[part]
        node = at
    return node


def query_of(operation, shared):
    parts = []
    for parameter in map(resolve, shared + operation.get("parameters", [])):
        if parameter["in"] == "query":
            name = parameter["name"].replace("KEY", "a")
            parts.append(f"{name}={parameter.get('example', parameter['schema'].get('default', 1))}")
    return "&".join(parts)


bodies = 0
for path, item in document["paths"].items():
    for method, operation in item.items():
        if method == "parameters":
            continue
        name = re.sub(r"\W+", "-", operation["operationId"])
        write("fuzz_route", name, f"{method.upper()} {re.sub('{.*?}', 'i-01%20', path)}".encode())
        query = query_of(operation, item.get("parameters", []))
        if query:
            write("fuzz_query", name, b"\x00" + query.encode())
        content = resolve(operation.get("requestBody", {})).get("content", {})
        for media in content.values():
            examples = [resolve(e).get("value") for e in media.get("examples", {}).values()]
            examples += [media["example"]] if "example" in media else []
            for number, example in enumerate(examples):
                # the target counts operations with a body in the order of its own table
                write("fuzz_body", f"{name}-{number}", bytes([bodies % 256]) + json.dumps(example).encode())
            bodies += 1

METADATA = [
    "/", "/latest/meta-data/", "/latest/dynamic/instance-identity/document", "/latest/meta-data/spot/instance-action",
    "/2021-03-23/meta-data/network/interfaces/macs/", "/instance/web/latest", "/project/default/instance/web/latest/",
    "/computeMetadata/v1/?recursive=true&alt=json", "/computeMetadata/v1/instance/preempted?wait_for_change=true"
    "&timeout_sec=1&last_etag=0", "/metadata/instance?api-version=2021-02-01",
    "/metadata/instance/compute/name?api-version=2021-02-01&format=text",
    "/metadata/scheduledevents?api-version=2020-07-01",
]
for number, target in enumerate(METADATA):
    write("fuzz_metadata", f"get-{number:02}", b"\x00" + target.encode())
write("fuzz_metadata", "put-token", b"\x02/latest/api/token")
write("fuzz_metadata", "post-start", b"\x01/metadata/scheduledevents?api-version=2020-07-01\x00"
      + b'{"StartRequests":[{"EventId":"150F24FA-37A1-800F-843B-FA029F3057B5"}]}')

for path in sorted((here / "../../scripts/scenarios").glob("*.yaml")):
    write("fuzz_scenario", path.stem, path.read_bytes())
# the examples of docs/API.md: a configuration has odd first bytes, a seed file even ones
for number, text in enumerate(re.findall(r"```json\n(.*?)```", (here / "../../docs/API.md").read_text(), re.S)):
    for first in (b"\0", b"\1"):
        write("fuzz_files", f"{number}-{first[0]}", first + text.encode())
