"""`mockcloud scenario` as a CI job runs it: exit codes, JUnit and JSON reports, errors by line."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

GOOD = """\
name: drill
steps:
  - {name: a web server, do: instances.create, body: {name: web}}
  - {name: it stops, after: 30s, stop: web}
  - {name: nothing runs, expect: {count: {state: running}, is: 0}, within: 1m}
"""
BAD = GOOD.replace("is: 0", "is: 3")


@pytest.fixture
def file(tmp_path):
    def write(text, name="drill.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path
    return write


def test_a_scenario_that_succeeds_is_exit_0_and_a_report_without_failures(cli, file, tmp_path):
    junit, report = tmp_path / "junit.xml", tmp_path / "report.json"
    cli("scenario", "run", file(GOOD), "--advance", "--report", junit, "--report", report)
    cases = list(ElementTree.parse(junit).getroot().iter("testcase"))
    assert [case.get("name") for case in cases] == ["a web server", "it stops", "nothing runs"]
    assert not any(len(case) for case in cases)
    assert float(cases[1].get("time")) >= 0 and cases[1].get("line") == "4"
    assert json.loads(report.read_text())["state"] == "succeeded"


def test_the_clock_is_moved_to_times_between_two_milliseconds(cli, file):
    cli("scenario", "run", file(GOOD.replace("30s", "1500us")), "--advance")
    assert cli.json("clock", "get")["now"] < "2026-01-01T00:00:01"


def test_a_clock_that_runs_is_moved_on_too(cli, file):
    cli("clock", "scale", "1")
    cli("scenario", "run", file(GOOD), "--advance")


def test_a_scenario_that_fails_is_exit_1_and_names_the_step_in_the_report(cli, file, tmp_path):
    junit = tmp_path / "junit.xml"
    done = cli.run("scenario", "run", file(BAD), "--advance", "--report", junit, code="refused")
    assert "nothing runs" in done.stderr
    root = ElementTree.parse(junit).getroot()
    failed = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert [case.get("name") for case in failed] == ["nothing runs"]
    assert failed[0].find("failure").get("message")
    assert next(root.iter("testsuite")).get("failures") == "1"


def test_the_report_says_how_many_calls_there_were_and_how_many_were_expected(cli, file, tmp_path):
    junit = tmp_path / "junit.xml"
    steps = "{name: it polls, expect: {calls: {caller: ccm, operation: 'instances.*'}, is: '>= 2'}, within: 5m}"
    cli.run("scenario", "run", file(f"steps: [{steps}]\n"), "--advance", "--report", junit, code="refused")
    failure = next(ElementTree.parse(junit).getroot().iter("failure"))
    assert "0 calls of instances.* by ccm since the step began, expected >= 2" in failure.get("message")
    own = steps.replace("caller: ccm", "caller: 'mockcloud*'")
    started = cli.json("scenario", "run", file(f"steps: [{own}]\n"))
    cli("ls")
    cli("ls")
    cli("scenario", "run", file("steps: [{stop: {allow_none: true}}]\n"), "--wait")
    assert cli.json("scenario", "get", started["id"])["state"] == "succeeded"


def test_the_scenarios_that_we_ship_are_valid(bare, root):
    bare("scenario", "validate", *sorted((root / "scripts" / "scenarios").glob("*.yaml")))


WRONG = {
    "4:5: steps[0].aftr: no such field": "name: drill\nsteps:\n  - stop: web\n    aftr: 30s\n",
    "2:12: steps[0].after: ": "steps:\n  - after: 30\n    stop: web\n",
    "3:9: steps[0].at: contradicts after": "steps:\n  - after: 3s\n    at: 5s\n    stop: web\n",
    "2:33: steps[0].expect.calls.operation: no operation": "steps:\n  - expect: {calls: {operation: 'instance.*'}}\n",
    "2:30: steps[0].expect.calls.status: must be": "steps:\n  - expect: {calls: {status: 5x}}\n",
    "2:6: variables.a: is made of itself": "variables:\n  a: x${b}\n  b: y${a}\nsteps: [{stop: web}]\n",
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_wrong_is_told_by_file_line_and_column(bare, file, message):
    path = file(WRONG[message])
    done = bare.run("scenario", "validate", path, code="usage")
    assert f"{path}:{message}" in done.stdout + done.stderr


def test_a_variable_is_given_on_the_command_line(cli, file):
    path = file("variables: {what: one}\nsteps: [{do: instances.create, body: {name: '${what}'}}]\n")
    cli("scenario", "run", path, "--var", "what=other", "--wait")
    assert cli.lines("ls", "-o", "name") == ["other"]
