"""docs/scenario.schema.json: takes what the server takes, and refuses what a schema can know to be wrong."""

import json

import jsonschema
import pytest
import yaml

from harness.server import ROOT

SCHEMA = json.loads((ROOT / "docs" / "scenario.schema.json").read_text())
FILES = sorted((ROOT / "scripts" / "scenarios").glob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

RIGHT = """
steps: [{at: 30s, terminate: {zone: mock-1a, random: 2}}]
---
{name: all of it, description: d, seed: 7, variables: {zone: mock-1b, n: 3, yes: true}, steps: [
  {name: first, after: 10s, do: instances.create, body: {name: web}, save: web},
  {every: 5m, count: 3, stop: {tags: {role: web}, random: 50%}, may_fail: true},
  {when: {event: {kind: instance, type: updated, state: "stopped,error"}}, timeout: 10m, start: "${web}"},
  {when: [{count: {state: running}, is: ">= 3"}], timeout: 1h},
  {when: {calls: {caller: "ccm*", operation: "instances.*", status: "429,5xx", since: scenario}, is: ">= 2"}, timeout: 1h},
  {expect: [{calls: {status: 503, project: default}, is: 0, max_per_minute: 0.5}], during: 1h},
  {repeat: 3, do: [{do: instances.update, id: "${web}", body: {tags: {a: b}}}, {reboot: {name: web}, may_fail: true}], expect: {count: {state: running}}, within: 60s},
  {fault: {match: {operations: ["*"]}, effect: {error: {status: 503}}}, keep: true},
  {latency: {transition: instance.pending, distribution: fixed, value: 5s}},
  {zone: {name: mock-1a, region: mock-1, state: unavailable}},
  {clock: freeze}, {clock: {advance: 5m}},
  {do: instances.stop, id: i-none, expect_error: not_found},
  {background: true, every: 1m, reboot: {random: 1, allow_none: true}}],
 on_failure: [{do: faults.clear}], cleanup: [{terminate: {allow_none: true}}]}
""".split("---\n")

WRONG = {
    "no steps": "name: x",
    "steps that are empty": "steps: []",
    "an unknown field of the file": "{steps: [{terminate: web}], stepz: 1}",
    "an unknown field of a step": "steps: [{terminate: web, aftr: 3s}]",
    "an unknown field of a selector": "steps: [{do: instances.stop, select: {zoen: a}}]",
    "a duration without a unit": "steps: [{after: 30, terminate: web}]",
    "a negative duration": "steps: [{after: -30s, terminate: web}]",
    "a negative count": "steps: [{every: 1s, count: -1, terminate: web}]",
    "no action": "steps: [{name: nothing}]",
    "two actions": "steps: [{stop: a, start: b}]",
    "an id beside a short form": "steps: [{stop: a, id: b}]",
    "within without expect": "steps: [{stop: a, within: 3s}]",
    "a comparison that is none": "steps: [{expect: {count: {state: running}, is: about 3}}]",
    "a condition that is none": "steps: [{expect: {state: running}}]",
    "a condition on calls that asks for what calls do not have": "steps: [{expect: {calls: {zone: a}}}]",
    "a status that is none": "steps: [{expect: {calls: {status: 5x}}}]",
    "a negative rate": "steps: [{expect: {calls: {}, max_per_minute: -1}}]",
    "a share of more than all": "steps: [{stop: {random: 101%}}]",
    "a variable that is a list": "{variables: {a: [1]}, steps: [{stop: a}]}",
}


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_scenarios_that_we_ship_follow_it(path):
    VALIDATOR.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("text", RIGHT)
def test_what_it_takes_the_server_takes(api, text):
    VALIDATOR.validate(yaml.safe_load(text))
    verdict = api.post("/sim/v1/scenarios/validate", {"source": text})
    assert verdict["valid"], verdict


@pytest.mark.parametrize("what", WRONG)
def test_what_it_refuses_the_server_refuses_by_line(api, what):
    text = WRONG[what]
    assert not VALIDATOR.is_valid(yaml.safe_load(text))
    verdict = api.post("/sim/v1/scenarios/validate", {"source": text, "file": "wrong.yaml"})
    assert not verdict["valid"] and verdict["errors"], verdict
