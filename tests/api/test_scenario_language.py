"""The language of scenarios: what is refused, and where; by the published schema, too, where that can know it."""

import json
import textwrap

import jsonschema_rs
import pytest
import yaml

from harness.server import ROOT

SCHEMA = jsonschema_rs.Draft202012Validator(json.loads((ROOT / "docs" / "scenario.schema.json").read_text()))
FILES = {path.name: path.read_text() for path in sorted((ROOT / "scripts" / "scenarios").glob("*.yaml"))}


def validate(api, source, **more):
    return api.post("/sim/v1/scenarios/validate", {"source": source or " ", "file": "t.yaml", **more}, expect=200)


def test_json_is_yaml_and_a_scenario_may_be_given_as_it_is(api):
    for text in FILES.values():
        document = yaml.safe_load(text)
        assert validate(api, json.dumps(document, indent=2))["valid"]
        assert api.post("/sim/v1/scenarios/validate", {"scenario": document}, expect=200)["valid"]


# what stands in the file, "line:column: field: message", whether the schema knows it, too
WRONG = [
    ("steps:\n  - at: 5s\n    termnate: {}", "3:5: steps[0].termnate: no such field", True),
    ("steps:\n  - {at: -5s, terminate: {}}", "2:10: steps[0].at: ", True),
    ("steps:\n  - {at: 30, terminate: {}}", "2:10: steps[0].at: must be a duration with a unit", True),
    ("steps:\n  - {at: 99999h, terminate: {}}", "2:10: steps[0].at: ", False),
    ("steps:\n  - terminate: {random: -1}", "2:25: steps[0].terminate.random: must be a whole number", True),
    ("steps:\n  - terminate: {random: 200%}", "2:25: steps[0].terminate.random: must be", True),
    ("steps:\n  - terminate: {state: walking}", "2:24: steps[0].terminate.state: instance has no state", False),
    ("steps:\n  - terminate: {colour: red}", "2:25: steps[0].terminate.colour: instance cannot be selected", False),
    ("steps:\n  - {do: instances.creat, body: {}}", '2:10: steps[0].do: there is no operation "instances.creat"', False),
    ("steps:\n  - {do: instances.list}", "2:10: steps[0].do: instances.list cannot be an action", False),
    ("steps:\n  - {do: calls.reset}", "2:10: steps[0].do: calls.reset cannot be an action", False),
    ("steps:\n  - {do: cloud.reset}", "2:10: steps[0].do: cloud.reset cannot be an action", False),
    ("steps:\n  - {do: recording.start}", "2:10: steps[0].do: recording.start cannot be an action", False),
    ("steps:\n  - {do: scenarios.run, body: {}}", "2:10: steps[0].do: scenarios.run cannot be an action", False),
    ("steps:\n  - {do: instances.stop}", "2:5: steps[0]: instances.stop needs an id or select", False),
    ("steps:\n  - do: instances.create\n    body:\n      count: 99999999", "4:14: steps[0].body.count: ", False),
    ("steps:\n  - create: {nmae: x}", "2:20: steps[0].create.nmae: no such field", False),
    ("steps:\n  - create: {name: A_B}", "2:20: steps[0].create.name: must be 1 to 253", False),
    ("steps:\n  - create: {addresses: [{type: internal, address: x}]}", "2:52: steps[0].create.addresses[0].address: ", False),
    ("steps:\n  - create: {addresses: [{type: internal, adress: x}]}", "2:51: steps[0].create.addresses[0].adress: no such field", False),
    ("steps:\n  - {do: routes.create, body: {}}", "2:31: steps[0].body.destination_cidr: is required", False),
    ("steps:\n  - {at: 5s, after: 5s, terminate: {}}", "contradicts", False),
    ("steps:\n  - {at: 30s, terminate: {}}\n  - {at: 10s, terminate: {}}", "3:5: steps[1]: contradicts the steps before it", False),
    ("steps:\n  - {every: 5m, terminate: {}}", "2:5: steps[0]: never ends", False),
    ("steps:\n  - {every: 0s, count: 2, terminate: {}}", "2:13: steps[0].every: must be at least 1ms", False),
    ("steps:\n  - {every: 5m, until: 1m, terminate: {}}", "contradicts itself", False),
    ("steps:\n  - {at: 5s}", "2:5: steps[0]: a step needs something to do", False),
    ("steps:\n  - {at: 5s, count: 2, terminate: {}}", "2:21: steps[0].count: goes with every and when only", False),
    ("steps:\n  - expect: {count: {state: running}, is: '< 0'}", "can never hold", False),
    ("steps:\n  - expect: {count: {state: running}, is: -1}", "must be a whole number", True),
    ("steps:\n  - {expect: {count: {}}, within: 1s, during: 1s}", "contradicts within", False),
    ("steps:\n  - {when: {count: {}}, count: 2, terminate: {}}", "only an event can be awaited more than once", False),
    ("steps:\n  - expect: {calls: {operation: 'instancs.*'}}", '2:33: steps[0].expect.calls.operation: no operation of the API', False),
    ("steps:\n  - expect: {calls: {callers: ccm}}", "2:22: steps[0].expect.calls.callers: no such field", True),
    ("steps:\n  - expect: {calls: {status: 9xx}}", "2:30: steps[0].expect.calls.status: must be statuses", True),
    ("steps:\n  - expect: {calls: {status: 99}}", "2:30: steps[0].expect.calls.status: must be statuses", True),
    ("steps:\n  - expect: {calls: {since: 5m}}", "2:29: steps[0].expect.calls.since: must be step or scenario", True),
    ("steps:\n  - expect: {calls: {}, max_per_minute: -1}", "2:41: steps[0].expect.max_per_minute: must be a number, 0 to 1000000", True),
    ("steps:\n  - expect: {calls: {}, max_per_minute: often}", "steps[0].expect.max_per_minute: must be a number", True),
    ("steps:\n  - expect: {calls: {}, is: '< 0'}", "can never hold", False),
    ("steps:\n  - expect: {calls: {}, within: 5s}", "2:25: steps[0].expect.within: no such field", True),
    ("steps:\n  - {create: {name: x}, save: x}\n  - expect: {calls: {caller: '${x}'}}", "3:30: steps[1].expect.calls.caller: must be known before", False),
    ("steps:\n  - expect: {calls: ccm}", "2:21: steps[0].expect.calls: must be a map", True),
    ("steps:\n  - {when: {calls: {}}, count: 2, terminate: {}}", "only an event can be awaited more than once", False),
    ("variables: {a: '${b}', b: '${a}'}\nsteps:\n  - terminate: x", "is made of itself", False),
    ("steps:\n  - terminate: {zone: '${zone}'}", '2:23: steps[0].terminate.zone: there is no variable "zone"', False),
    ("steps: &s\n  - *s", "nested more than 32 deep, or an alias", None),
    ("steps:\n  - {at: 5s, at: 6s}", "is there twice", None),
    ("steps: [", "did not find expected", None),
    ("steps: []", "1:8: steps: must be a list of 1 to 500 steps", True),
    ("[]", "1:1: must be a map with steps", True),
    ("", "is empty", None),
    ("steps: [{terminate: x}]\n---\nsteps: []", "a second document", None),
    ("steps: [{terminate: x}]\nwhen: now", "2:1: when: no such field", True),
    ("steps:\n  - {name: a, terminate: x}\n  - {name: a, stop: x}", "the step in line 2 has this name", False),
    ("steps:\n  - {terminate: x, stop: y}", "a second action", False),
    ("steps:\n  - {terminate: x, expect_error: nonsense}", "is no code of an error", False),
]


@pytest.mark.parametrize("text, told, in_schema", WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told_by_line_and_column(api, text, told, in_schema):
    verdict = validate(api, text)
    lines = [f"{e['line']}:{e['column']}: {e['field']}{': ' if e['field'] else ''}{e['message']}" for e in verdict["errors"]]
    assert not verdict["valid"] and any(told in line for line in lines), lines
    if in_schema:
        assert not SCHEMA.is_valid(yaml.safe_load(text))
    problem = api.refuse("POST", "/sim/v1/scenarios", {"source": text or " ", "file": "t.yaml"}, status=400, code="invalid_argument")
    assert problem["field"] == "source" and problem["detail"].startswith("t.yaml")


def test_everything_that_is_wrong_is_told_at_once(api):
    text = textwrap.dedent("""\
        steps:
          - {at: x, terminate: {}}
          - {stop: {random: 0}}
          - {do: nothing.at_all}
        """)
    assert [error["line"] for error in validate(api, text)["errors"]] == [2, 3, 4]


def test_variables_of_the_run_must_be_in_the_file(api):
    text = "variables: {n: 1}\nsteps:\n  - terminate: {random: '${n}'}"
    assert validate(api, text, variables={"n": 3})["valid"]
    assert "there is no variable" in validate(api, text, variables={"m": 3})["errors"][0]["message"]
    assert validate(api, text, variables={"n": "many"})["errors"][0]["line"] == 3
