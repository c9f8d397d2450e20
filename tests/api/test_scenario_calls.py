"""Scenarios that wait for calls of the API, and that bound them. Nothing else changes while these calls are made."""

import textwrap
import time

import pytest


def run(api, text, **more):
    return api.post("/sim/v1/scenarios", {"source": textwrap.dedent(text), "file": "calls.yaml", **more}, expect=201)


def look(api, started):
    return api.get(f"/sim/v1/scenarios/{started['id']}")


def ended(api, started, within=20):
    """A look happens before the answer of the call leaves for its client; it may still be under way when that asks."""
    deadline = time.monotonic() + within
    while (document := look(api, started))["state"] == "running":
        assert time.monotonic() < deadline, document
    return document


def call(api, agent, path="/v1/zones", status=200):
    assert api.request("GET", path, headers={"User-Agent": agent}).status_code == status


def test_a_step_waits_for_calls_though_nothing_changes(api):
    started = run(api, """
        steps:
          - when: {calls: {caller: ccm, operation: zones.*}, is: ">= 3"}
            create: {name: called}
        """)
    for agent in ("ccm/1", "ccm/2 (linux)", "other"):
        call(api, agent)
    call(api, "ccm/1", "/v1/routes")
    assert look(api, started)["state"] == "running"
    call(api, "ccm/1")
    assert ended(api, started)["state"] == "succeeded"
    assert [i["name"] for i in api.get("/v1/instances")["items"]] == ["called"]


@pytest.mark.parametrize("agents, state", [(["ccm"], "succeeded"), (["other"], "failed"), ([], "failed")])
def test_calls_are_expected_within_a_deadline_of_cloud_time(api, agents, state):
    started = run(api, "steps: [{name: it calls, expect: {calls: {caller: ccm, operation: zones.list}}, within: 1m}]")
    for agent in agents:
        call(api, agent)
    api.advance("1m")
    document = ended(api, started)
    assert document["state"] == state
    if state == "failed":
        message = "0 calls of zones.list by ccm since the step began, expected >= 1"
        assert document["steps"][0]["error"] == {"code": "precondition_failed", "message": message}
        assert document["state_reason"]["message"] == f'calls.yaml:1: step "it calls": calls: {message}'


def test_more_calls_than_allowed_fail_the_step_at_once(api):
    started = run(api, """
        steps:
          - name: it does not hammer
            expect: {calls: {caller: ccm, status: 404}, is: "<= 2"}
            during: 10m
        """)
    for _ in range(2):
        call(api, "ccm", "/v1/instances/i-none", 404)
        call(api, "ccm")
    api.advance("9m")
    assert look(api, started)["state"] == "running"
    call(api, "ccm", "/v1/instances/i-none", 404)
    document = ended(api, started)
    assert document["state"] == "failed" and document["steps"][0]["name"] == "it does not hammer"
    assert document["steps"][0]["error"]["message"] == \
        "3 calls of any operation by ccm with status 404 since the step began, expected <= 2"


def test_a_bound_that_holds_to_the_end_succeeds(api):
    started = run(api, "steps: [{expect: {calls: {caller: ccm}, is: '<= 2', max_per_minute: 2}, during: 10m}]")
    call(api, "ccm")
    call(api, "ccm")
    api.advance("10m")
    assert look(api, started)["state"] == "succeeded"


def test_calls_per_minute_are_counted_in_real_time_and_less_than_a_minute_is_one(api):
    started = run(api, "steps: [{expect: {calls: {caller: ccm}, is: '>= 0', max_per_minute: 4.5}, during: 1000h}]")
    for _ in range(4):
        call(api, "ccm")
    api.advance("999h")
    assert look(api, started)["state"] == "running"
    call(api, "ccm")
    assert ended(api, started)["steps"][0]["error"]["message"] == \
        "5 calls of any operation by ccm since the step began: 5 per minute, at most 4.5 allowed"


def test_calls_count_from_the_step_or_from_the_start(api):
    call(api, "ccm")  # before either
    started = run(api, """
        steps:
          - after: 1m
            expect: {calls: {caller: ccm, since: scenario}, is: 1}
          - expect: {calls: {caller: ccm}, is: 0}
          - expect: [{calls: {caller: ccm}, is: 1}, {calls: {caller: ccm, since: scenario}, is: 2}]
            within: 1m
        """)
    call(api, "ccm")
    api.advance("1m")
    assert [step["state"] for step in look(api, started)["steps"]] == ["succeeded", "succeeded", "checking"]
    call(api, "ccm")
    assert ended(api, started)["state"] == "succeeded"


def test_calls_are_those_of_the_scenarios_project_or_of_the_one_it_names(api, connect, server):
    team = api.post("/sim/v1/projects", {"name": "team"}, expect=201)
    token = api.post(f"/sim/v1/projects/{team['name']}/tokens", {"scope": "cloud"}, expect=201)["token"]
    other = connect(server, token=token)
    own = run(api, "steps: [{expect: {calls: {caller: ccm, operation: zones.list}}, within: 1m}]")
    named = run(api, "steps: [{expect: {calls: {caller: ccm, operation: zones.list, project: team}}, within: 1m}]")
    call(other, "ccm")
    assert ended(api, named)["state"] == "succeeded" and look(api, own)["state"] == "running"
    missing = run(api, "steps: [{expect: {calls: {project: nobody}}, within: 1m}]")
    assert missing["state"] == "failed" and "project nobody does not exist" in missing["state_reason"]["message"]


def test_an_upper_bound_does_not_hold_over_a_new_beginning_of_the_counters(api):
    bound = run(api, "steps: [{name: few, expect: {calls: {caller: ccm}, is: '<= 5'}, during: 1h}]")
    least = run(api, "steps: [{name: some, expect: {calls: {caller: ccm}, is: '>= 2'}, within: 1h}]")
    call(api, "ccm")
    api.delete("/sim/v1/calls/counters")
    call(api, "ccm")
    document = ended(api, bound)
    assert document["state"] == "failed" and "counting began anew" in document["steps"][0]["error"]["message"]
    call(api, "ccm")
    assert ended(api, least)["state"] == "succeeded"


def test_a_scenario_goes_on_waiting_for_calls_after_a_restart(start, connect, tmp_path):
    first = start(db=tmp_path / "cloud.db")
    started = run(connect(first), "steps: [{expect: {calls: {caller: ccm}, is: '>= 2'}, within: 1h}]")
    call(connect(first), "ccm")
    first.stop()
    api = connect(start(db=tmp_path / "cloud.db"))
    call(api, "ccm")
    assert look(api, started)["state"] == "running"
    call(api, "ccm")
    assert ended(api, started)["state"] == "succeeded"


def test_without_a_call_log_the_step_says_so(start, connect):
    api = connect(start(args=["--calls-kept", "0"]))
    document = run(api, "steps: [{expect: {calls: {}}}]")
    assert "no call log is kept (serve --calls-kept 0)" in document["state_reason"]["message"]


def test_many_callers_at_once_are_all_counted(api, connect, server):
    import concurrent.futures
    started = run(api, "steps: [{expect: {calls: {caller: ccm}, is: 200}, within: 1h}]")
    clients = [connect(server) for _ in range(8)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: [call(clients[n], "ccm") for _ in range(25)], range(8)))
    assert ended(api, started)["state"] == "succeeded"
