"""Scenarios over HTTP: steps in cloud time, what fails, what is left behind."""

import textwrap


def source(text):
    return textwrap.dedent(text)


def run(api, text, *, file="test.yaml", expect=201, **more):
    return api.post("/sim/v1/scenarios", {"source": source(text), "file": file, **more}, expect=expect)


def scenario(api, started):
    return api.get(f"/sim/v1/scenarios/{started['id']}")


def steps(document):
    return [step["state"] for step in document["steps"]]


def states(api):
    return sorted(item["state"] for item in api.get("/v1/instances")["items"])


def test_steps_happen_at_their_time_under_a_manual_clock(api):
    api.instance(count=3)
    started = run(api, """
        steps:
          - at: 30s
            terminate: {random: 1}
          - after: 10s
            stop: {random: 1}
        """)
    assert started["state"] == "running" and steps(started) == ["waiting", "pending"]
    api.advance("29s")
    assert states(api) == ["running", "running", "running"]
    api.advance("1s")
    assert states(api) == ["running", "running", "terminated"]
    api.advance("10s")
    assert states(api) == ["running", "stopped", "terminated"]
    ended = scenario(api, started)
    assert ended["state"] == "succeeded" and steps(ended) == ["succeeded", "succeeded"]


def test_one_advance_goes_through_all_steps_in_their_order(api):
    started = run(api, """
        steps:
          - create: {name: web, count: 2}
          - after: 1m
            terminate: {name: web-1}
          - after: 1m
            terminate: {name: web-2}
        """)
    api.advance("1h")
    ended = scenario(api, started)
    assert [step["ended_at"][11:19] for step in ended["steps"]] == ["00:00:00", "00:01:00", "00:02:00"]
    assert ended["ended_at"][11:19] == "00:02:00"


def test_a_selector_that_matches_nothing_fails_its_step_by_name_and_line(api):
    started = run(api, """\
        steps:
          - name: nobody home
            at: 5s
            terminate: {zone: mock-1b}
        """, file="empty.yaml")
    api.advance("5s")
    ended = scenario(api, started)
    assert ended["state"] == "failed"
    assert ended["state_reason"]["message"] == (
        'empty.yaml:2: step "nobody home": select: no instance matches the selector')
    assert ended["steps"][0]["error"]["code"] == "not_found"
