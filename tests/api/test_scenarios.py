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


def failed(api, started, message):
    ended = scenario(api, started)
    assert ended["state"] == "failed" and message in ended["state_reason"]["message"], ended
    return ended


def succeeded(api, started):
    ended = scenario(api, started)
    assert ended["state"] == "succeeded", ended
    return ended


def events(api):
    return api.get("/v1/events?since=0&limit=1000")["items"]


# -- when ---------------------------------------------------------------------------------------------

def test_an_event_sets_off_a_step_at_once_as_often_as_it_says(api):
    for item in api.instance(count=3, tags={"role": "web"})["items"]:
        last = item
    started = run(api, """
        steps:
          - when: {event: {kind: instance, state: terminated, where: {tags.role: web}}}
            count: 2
            create: {name: "replacement-${firing}"}
            save: made
        """)
    for item in api.get("/v1/instances")["items"][:2]:
        assert scenario(api, started)["state"] == "running"
        api.post(f"/v1/instances/{item['id']}/terminate")
    ended = succeeded(api, started)
    assert ended["steps"][0]["fired"] == 2
    names = {item["name"] for item in api.get("/v1/instances?state=running")["items"]}
    assert names == {last["name"], "replacement-1", "replacement-2"}
    assert ended["variables"]["made"] == api.get("/v1/instances?name=replacement-2")["items"][0]["id"]


def test_a_condition_that_does_not_come_in_time_fails_the_step(api):
    started = run(api, "steps: [{when: {count: {state: running}, is: '>= 1'}, timeout: 1m, terminate: {}}]")
    api.advance("59s")
    assert scenario(api, started)["state"] == "running"
    api.advance("1s")
    failed(api, started, "0 of instance match, expected >= 1")


def test_a_step_that_sets_itself_off_for_ever_is_stopped(api):
    api.instance(name="one")
    started = run(api, """
        steps:
          - when: {event: {kind: instance, type: updated}}
            count: 1000000
            do: instances.reboot
            id: ${event}
        """)
    api.post(f"/v1/instances/{api.get('/v1/instances')['items'][0]['id']}/reboot")
    failed(api, started, "it sets itself off for ever")


# -- expectations -------------------------------------------------------------------------------------

def test_what_is_expected_within_a_time_may_come_until_then(api):
    text = "steps: [{expect: {count: {state: running}, is: 2}, within: 1m}]"
    late, early = run(api, text), run(api, text)
    api.instance()
    assert scenario(api, early)["steps"][0]["state"] == "checking"
    api.advance("30s")
    api.instance()
    assert succeeded(api, early)["steps"][0]["ended_at"][11:19] == succeeded(api, late)["steps"][0]["ended_at"][11:19] == "00:00:30"
    third = run(api, "steps: [{expect: {count: {state: running}, is: 3}, within: 1m}]")
    api.advance("1m")
    failed(api, third, "2 of instance match, expected == 3")


def test_what_is_expected_all_the_time_fails_at_the_first_moment_that_it_is_not_so(api):
    item = api.instance()
    text = "steps: [{expect: {count: {state: stopped}, is: 0}, during: 1m}]"
    kept = run(api, text)
    api.advance("1m")
    succeeded(api, kept)
    broken = run(api, text)
    api.advance("10s")
    api.post(f"/v1/instances/{item['id']}/stop")
    assert failed(api, broken, "1 of instance match")["ended_at"][11:19] == "00:01:10"


# -- failing and leaving ------------------------------------------------------------------------------

def test_a_failed_step_is_undone_as_a_whole_and_the_rest_is_put_back(api):
    api.put("/sim/v1/latencies/instance.pending", {"distribution": "fixed", "value": "1s"})
    started = run(api, """
        steps:
          - do:
              - latency: {transition: instance.pending, distribution: fixed, value: 9s}
              - latency: {transition: instance.stopping, distribution: fixed, value: 9s}
              - fault: {name: mine, match: {operations: ["*.list"]}, effect: {reorder: {}}}
              - zone: {name: mock-1b, state: unavailable}
          - name: breaks
            at: 10s
            do:
              - create: {name: undone}
              - terminate: {name: nobody}
        on_failure:
          - create: {name: told}
        cleanup:
          - terminate: {name: nobody}
          - create: {name: tidy}
        """)
    assert len(api.get("/sim/v1/latencies")["items"]) == 2 and api.get("/sim/v1/faults")["items"][0]["name"] == "mine"
    assert api.get("/v1/zones/mock-1b")["state"] == "unavailable"
    api.advance("10s")
    ended = failed(api, started, 'test.yaml:8: step "breaks": select: no instance matches the selector')
    assert ended["cleanup_error"] == "no instance matches the selector"
    assert {item["name"] for item in api.get("/v1/instances")["items"]} == {"told", "tidy"}
    assert [(item["transition"], item["value"]) for item in api.get("/sim/v1/latencies")["items"]] == [("instance.pending", "1s")]
    assert api.get("/sim/v1/faults")["items"] == [] and api.get("/v1/zones/mock-1b")["state"] == "available"


def test_what_is_to_be_kept_is(api):
    run(api, """
        steps:
          - do:
              - {latency: {transition: instance.pending, distribution: fixed, value: 9s}, keep: true}
              - {create: {name: gone}, keep: false}
              - {create: {name: stays}}
        """)
    assert len(api.get("/sim/v1/latencies")["items"]) == 1
    assert {item["name"] for item in api.get("/v1/instances")["items"] if item["state"] != "terminated"} == {"stays"}


def test_a_project_that_a_scenario_made_goes_with_it_and_its_own_cannot_be_deleted(api, connect):
    run(api, "steps: [{do: projects.create, body: {name: made}}, {do: projects.create, body: {name: kept}, keep: true}]")
    assert {item["name"] for item in api.get("/sim/v1/projects")["items"]} == {"default", "kept"}
    other = connect(api.server, project="kept")
    started = run(other, "steps: [{after: 1s, do: projects.delete, id: kept}]")
    api.advance("1s")
    ended = scenario(other, started)
    assert ended["state"] == "failed" and "cannot delete its own project" in ended["state_reason"]["message"]


def test_errors_that_may_or_must_be_are_none(api):
    api.instance(name="taken")
    started = run(api, """
        steps:
          - {create: {name: taken}, expect_error: already_exists}
          - {do: instances.stop, id: i-00000000000000000, may_fail: true}
          - {stop: {zone: mock-1c}, allow_none: true}
        """)
    assert steps(succeeded(api, started)) == ["succeeded"] * 3
    failed(api, run(api, "steps: [{create: {name: other}, expect_error: already_exists}]"), "was expected")
    assert [item["name"] for item in api.get("/v1/instances")["items"]] == ["taken"]


def test_stopping_cleans_up(api):
    started = run(api, "steps: [{fault: {match: {operations: ['*']}, effect: {reset: {}}}}, {after: 1h, stop: {}}]\ncleanup: [{create: {name: tidy}}]")
    assert api.get("/sim/v1/faults")["items"]
    stopped = api.post(f"/sim/v1/scenarios/{started['id']}/stop")
    assert stopped["state"] == "stopped" and steps(stopped) == ["succeeded", "skipped"]
    assert api.get("/sim/v1/faults")["items"] == [] and len(api.get("/v1/instances")["items"]) == 1
    api.delete(f"/sim/v1/scenarios/{started['id']}")
    api.missing(f"/sim/v1/scenarios/{started['id']}")


# -- the rest -----------------------------------------------------------------------------------------

def test_every_repeat_background_and_variables(api):
    started = run(api, """
        variables: {size: large, n: 2}
        steps:
          - {every: 1m, background: true, reboot: {random: 1}, allow_none: true}
          - {every: 10s, count: "${n}", repeat: 3, create: {name: "w-${firing}-${index}", type: "${size}"}}
          - {after: 5m, expect: {count: {type: large}, is: 6}}
        """)
    api.advance("10m")
    ended = succeeded(api, started)
    assert [step["fired"] for step in ended["steps"]] == [5, 2, 1]
    assert {item["name"] for item in api.get("/v1/instances")["items"]} == {f"w-{f}-{i}" for f in (1, 2) for i in (1, 2, 3)}


def test_the_clock_moves_after_the_step(api):
    started = run(api, "steps: [{clock: {advance: 1h}}, {after: 30m, create: {}}]")
    api.get("/sim/v1/clock")
    assert api.advance("0s")["clock"]["now"] == "2026-01-01T01:00:00.000Z"
    assert succeeded(api, started)["ended_at"][11:19] == "00:30:00"


def test_it_goes_on_after_a_restart(start, connect):
    server = start()
    api = connect(server)
    api.instance(name="one")
    text = "steps: [{at: 1m, stop: {}}, {when: {event: {kind: instance, state: running}}, terminate: {state: running}}]"
    started = run(api, text)
    server.kill()
    server.start()
    api = connect(server)
    api.advance("1m")
    server.kill()
    server.start()
    api = connect(server)
    api.post(f"/v1/instances/{api.get('/v1/instances')['items'][0]['id']}/start")
    assert states(api) == ["terminated"] and succeeded(api, started)


def test_the_same_seed_gives_the_same_event_log(start, connect, tmp_path):
    logs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        api = connect(start(seed=3, directory=tmp_path / name))
        api.instance(count=20)
        run(api, "steps: [{every: 1m, count: 10, do: [{reboot: {random: 30%}}, {stop: {random: 1}}, {start: {random: 1}}]}]", seed=11)
        api.advance("1h")
        logs.append(events(api))
    assert len(logs[0]) > 80 and logs[0] == logs[1]
    api = connect(start(seed=3, directory=tmp_path))
    api.instance(count=20)
    run(api, "steps: [{every: 1m, count: 10, do: [{reboot: {random: 30%}}, {stop: {random: 1}}, {start: {random: 1}}]}]", seed=12)
    api.advance("1h")
    assert [event["id"] for event in events(api)] != [event["id"] for event in logs[0]]


def test_a_scenario_acts_in_its_project(api, connect):
    api.post("/sim/v1/projects", {"name": "team"}, expect=201)
    other = connect(api.server, project="team")
    other.instance(name="theirs")
    api.instance(name="ours")
    run(other, "steps: [{terminate: {}}]")
    assert states(api) == ["running"] and states(other) == ["terminated"]
    run(api, "steps: [{stop: {project: team}, may_fail: true, allow_none: true}, {do: instances.stop, select: {name: ours}}]")
    assert states(api) == ["stopped"]
