"""Fault rules that are changed in place: what changes, and what stays (id, turn, dice, counters)."""

import threading
import time

import pytest

ERROR = {"error": {"status": 503}}
EFFECTS = [
    ("*", {"latency": {"distribution": "uniform", "min": "1.5ms", "max": "2s", "clock": "cloud"}}),
    ("*", {"error": {"status": 503, "code": "busy", "message": "later", "retry_after": "1m0.5s"}}),
    ("*", {"throttle": {"rate": 2.5, "burst": 7, "clock": "real"}}),
    ("*", {"hang": {"at_most": "1m30s", "clock": "real"}}),
    ("*", {"reset": {}}),
    ("*", {"truncate": {"bytes": 100}}),
    ("instances.create", {"half_applied": {"reply": "error", "status": 502, "code": "gone", "message": "x"}}),
    ("instances.create", {"half_applied": {"reply": "silence", "at_most": "3s"}}),
    ("*", {"stale_read": {"revisions": 3}}),
    ("*", {"stale_read": {"lag": "30s"}}),
    ("*", {"hide_new": {"for": "10s"}}),
    ("*", {"reorder": {}}),
    ("*", {"wrong_answer": {"what": "clock_skew", "skew": "-5m0s"}}),
    ("*", {"exhausted": {"what": "quota", "message": "no more"}}),
    ("*", {"zone_outage": {"zone": "mock-1a", "instances": "error"}}),
    ("instance.*", {"stuck_transition": {"for": "5m0s"}}),
    ("instance.pending", {"failed_transition": {"code": "boot", "message": "it does not"}}),
    ("events.list", {"stream_cut": {}}),
    ("events.list", {"stream_lag": {"by": "5s"}}),
    ("events.list", {"stream_duplicate": {}}),
]


def fault(api, operations="*", effect=None, **more):
    match = {"operations": [operations] if isinstance(operations, str) else operations, **more.pop("match", {})}
    return api.post("/sim/v1/faults", {"match": match, "effect": effect or ERROR, **more}, expect=201)


def patch(api, rule, body, expect=200, **more):
    return api.call("PATCH", f"/sim/v1/faults/{rule['id']}", body, expect=expect, **more)


def refused(api, rule, body, field, status=400, code="invalid_argument", **more):
    before = api.get(f"/sim/v1/faults/{rule['id']}")
    api.refuse("PATCH", f"/sim/v1/faults/{rule['id']}", body, status=status, code=code, field=field, **more)
    assert api.get(f"/sim/v1/faults/{rule['id']}") == before


def statuses(api, count, path="/v1/instances"):
    return [api.request("GET", path).status_code for _ in range(count)]


def stats(api, rule):
    counts = api.get(f"/sim/v1/faults/{rule['id']}/stats")
    return counts["matched"], counts["fired"]


# -- the document -------------------------------------------------------------------------------------

@pytest.mark.parametrize("operations, effect", EFFECTS, ids=[next(iter(e)) + str(n) for n, (_, e) in enumerate(EFFECTS)])
def test_what_a_patch_does_not_name_stays(api, operations, effect):
    rule = fault(api, operations, effect, name="it", when={"from": "1m0.0000005s", "times": 9, "probability": 0.3},
                 match={"resource": {"kind": "instance"}} if operations != "events.list" else {})
    changed = patch(api, rule, {"when": {"times": 10}})
    rule["when"]["times"], rule["stats"]["remaining"] = 10, 10
    assert {**changed, "revision": 0, "updated_at": 0} == {**rule, "revision": 0, "updated_at": 0}
    assert changed["revision"] > rule["revision"]


def test_a_merge_patch_sets_replaces_and_takes_away(api):
    rule = fault(api, ["instances.*", "routes.*"], {"error": {"status": 503, "retry_after": "2s"}}, name="brown-out",
                 when={"probability": 0.5, "until": "10m"},
                 match={"resource": {"zone": "mock-1a", "tags": {"a": "1", "b": "2"}}, "caller": {"user_agent": "ccm*"}})
    changed = patch(api, rule, {
        "name": "other", "enabled": False, "when": {"probability": None, "every": 2, "until": "20m"},
        "match": {"operations": ["zones.*"], "resource": {"zone": None, "tags": {"a": None, "c": "3"}}, "caller": None},
        "effect": {"error": {"retry_after": None, "code": "busy"}}})
    assert changed["name"] == "other" and changed["enabled"] is False
    assert changed["when"] == {"until": "2026-01-01T00:20:00.000Z", "every": 2}
    assert changed["match"] == {"operations": ["zones.*"], "resource": {"tags": {"b": "2", "c": "3"}}}
    assert changed["effect"] == {"error": {"status": 503, "code": "busy"}}
    assert api.get(f"/sim/v1/faults/{rule['id']}") == changed
    changed = patch(api, rule, {"name": None, "enabled": None, "when": None})
    assert (changed["name"], changed["enabled"], changed["when"]) == (rule["id"], True, {})
    assert [e["type"] for e in api.events(kind="fault")] == ["created", "updated", "updated"]


@pytest.mark.parametrize("body, field, code", [
    ({}, "body", "invalid_argument"),
    ({"stats": {"fired": 0}}, "stats", "unknown_field"),
    ({"project": "team"}, "project", "unknown_field"),
    ({"when": {"probabilty": None}}, "when.probabilty", "unknown_field"),
    ({"match": {"resource": {"colour": None}}}, "match.resource.colour", "unknown_field"),
    ({"match": {"caller": {"agent": None}}}, "match.caller.agent", "unknown_field"),
    ({"effect": {"explosion": None}}, "effect.explosion", "unknown_field"),
    ({"effect": {"error": {"stauts": None}}}, "effect.error.stauts", "unknown_field"),
    ({"match": None}, "match", "invalid_argument"),
    ({"effect": None}, "effect", "invalid_argument"),
    ({"effect": {"error": None}}, "effect", "invalid_argument"),
    ({"effect": {"error": {"status": None}}}, "effect.error.status", "invalid_argument"),
    ({"effect": {"error": {"status": 200}}}, "effect.error.status", "invalid_argument"),
    ({"effect": {"reset": {}}}, "effect.reset", "invalid_argument"),
    ({"effect": {"error": None, "reset": {}}}, "effect", "invalid_argument"),
    ({"effect": [1]}, "effect", "invalid_argument"),
    ({"match": {"operations": None}}, "match.operations", "invalid_argument"),
    ({"match": {"operations": ["instances.lst"]}}, "match.operations[0]", "invalid_argument"),
    ({"match": {"project": "default"}}, "match.project", "invalid_argument"),
    ({"when": {"probability": 0}}, "when.probability", "invalid_argument"),
    ({"when": {"times": -1}}, "when.times", "invalid_argument"),
    ({"when": {"times": 10**12}}, "when.times", "invalid_argument"),
    ({"when": {"from": "10m", "until": "5m"}}, "when.until", "invalid_argument"),
    ({"enabled": "no"}, "enabled", "invalid_argument"),
    ({"name": "Not A Name"}, "name", "invalid_argument"),
])
def test_what_cannot_be_is_refused_by_its_field_and_changes_nothing(api, body, field, code):
    refused(api, fault(api), body, field, code=code)


def test_a_name_that_is_taken_and_a_rule_that_is_gone(api):
    first, second = fault(api, name="a"), fault(api, name="b")
    refused(api, second, {"name": "a"}, "name", status=409, code="already_exists")
    api.delete(f"/sim/v1/faults/{first['id']}")
    assert patch(api, second, {"name": "a"})["name"] == "a"
    api.refuse("PATCH", f"/sim/v1/faults/{first['id']}", {"enabled": False}, status=404, code="not_found")


def test_a_rule_of_a_project_stays_there(api):
    api.post("/sim/v1/projects", {"name": "team"})
    rule = fault(api, match={"project": "team"})
    refused(api, rule, {"match": {"project": None}}, "match.project")
    assert patch(api, rule, {"match": {"project": "team"}, "enabled": False})["project"] == "team"


def test_if_match_lets_only_the_latest_be_changed(api):
    rule = fault(api, name="it")
    response = api.request("PATCH", f"/sim/v1/faults/{rule['id']}", json={"when": {"times": 5}},
                           headers={"If-Match": f'"{rule["revision"]}"', "Content-Type": "application/merge-patch+json"})
    assert response.status_code == 200 and response.headers["etag"] == f'"{response.json()["revision"]}"'
    refused(api, rule, {"enabled": False}, "If-Match", status=412, code="precondition_failed",
            headers={"If-Match": f'"{rule["revision"]}"'})


# -- what it does from then on ------------------------------------------------------------------------

def test_switched_off_nothing_meets_it_and_switched_on_it_goes_on_counting(api):
    rule = fault(api, "instances.list", when={"times": 3})
    assert statuses(api, 2) == [503, 503]
    patch(api, rule, {"enabled": False})
    assert statuses(api, 2) == [200, 200] and stats(api, rule) == (2, 2)
    patch(api, rule, {"enabled": True})
    assert statuses(api, 2) == [503, 200] and stats(api, rule) == (4, 3)
    assert patch(api, rule, {"when": {"times": 2}})["stats"]["remaining"] == 0
    patch(api, rule, {"when": {"times": None}})
    assert statuses(api, 1) == [503] and stats(api, rule) == (5, 4)


def test_a_rule_may_be_made_switched_off(api):
    rule = fault(api, "instances.list", enabled=False)
    assert rule["enabled"] is False and statuses(api, 1) == [200]
    patch(api, rule, {"enabled": True})
    assert statuses(api, 1) == [503]


def test_counting_by_first_after_and_every_goes_on(api):
    rule = fault(api, "instances.list", when={"every": 3})
    assert statuses(api, 2) == [200, 200]
    patch(api, rule, {"effect": {"error": {"status": 500}}})
    assert statuses(api, 4) == [500, 200, 200, 500]


def test_the_dice_are_those_of_the_rule_whatever_is_changed(start, connect, tmp_path):
    drawn = []
    for n, change in enumerate((None, {"enabled": True, "name": "other"})):
        (tmp_path / str(n)).mkdir()
        api = connect(start(directory=tmp_path / str(n), seed=5))
        rule = fault(api, "instances.list", when={"probability": 0.5})
        before = statuses(api, 10)
        if change:
            patch(api, rule, change)
        drawn.append(before + statuses(api, 20))
    assert drawn[0] == drawn[1] and {200, 503} == set(drawn[0])


def test_the_turn_of_a_rule_stays(api):
    first = fault(api, "instances.list", {"error": {"status": 500}})
    fault(api, "instances.list", {"error": {"status": 503}})
    patch(api, first, {"effect": {"error": {"status": 500, "message": "still first"}}})
    assert statuses(api, 1) == [500]
    assert [rule["id"] for rule in api.get("/sim/v1/faults")["items"]][0] == first["id"]
    patch(api, first, {"enabled": False})
    assert statuses(api, 1) == [503]


def test_a_throttle_keeps_its_level_unless_its_rate_changes(api):
    rule = fault(api, "instances.list", {"throttle": {"rate": 0.01, "burst": 2}})
    assert statuses(api, 3) == [200, 200, 429]
    patch(api, rule, {"name": "other"})
    assert statuses(api, 1) == [429]
    patch(api, rule, {"effect": {"throttle": {"burst": 1}}})
    assert statuses(api, 2) == [200, 429]


def test_whom_it_matches_can_be_changed(api):
    rule = fault(api, "instances.list")
    patch(api, rule, {"match": {"operations": ["zones.*"]}})
    assert statuses(api, 1) == [200] and statuses(api, 1, "/v1/zones") == [503] and stats(api, rule) == (1, 1)


def test_changes_counts_and_the_switch_survive_a_kill(start, connect):
    server = start()
    api = connect(server)
    rule = fault(api, "instances.list")
    assert statuses(api, 1) == [503]
    changed = patch(api, rule, {"enabled": False, "effect": {"error": {"status": 500}}})
    server.kill()
    api = connect(server.start())
    assert api.get(f"/sim/v1/faults/{rule['id']}") == changed
    assert statuses(api, 1) == [200] and stats(api, rule) == (1, 1)
    patch(api, rule, {"enabled": True})
    assert statuses(api, 1) == [500] and stats(api, rule) == (2, 2)


def test_no_call_is_lost_in_the_counts_while_the_rule_is_changed_again_and_again(api, connect, server):
    rule, workers = fault(api, "instances.list"), 4
    enough, seen, clients = threading.Event(), [], [connect(server) for _ in range(workers)]

    def work(client):
        while not enough.is_set():
            seen.extend(statuses(client, 10))

    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    changes, deadline = 0, time.monotonic() + 30
    while (changes < 10 or len(seen) < 200 or set(seen) != {500, 503}) and time.monotonic() < deadline:
        patch(api, rule, {"effect": {"error": {"status": (500, 503)[changes % 2]}}})
        changes += 1
    enough.set()
    for thread in threads:
        thread.join()
    print(f"{len(seen)} calls during {changes} changes")
    assert changes >= 10 and set(seen) == {500, 503} and stats(api, rule) == (len(seen), len(seen))


# -- effects that have begun --------------------------------------------------------------------------

def test_a_stuck_transition_is_let_go_when_the_rule_is_switched_off(api):
    api.latency("instance.pending", "1s")
    rule = fault(api, "instance.pending", {"stuck_transition": {}})
    instance = api.instance()
    api.advance("1m")
    assert api.get(f"/v1/instances/{instance['id']}")["state"] == "pending"
    patch(api, rule, {"enabled": False})
    assert api.get(f"/v1/instances/{instance['id']}")["state"] == "running"
    other = api.instance()
    api.advance("1s")
    assert api.get(f"/v1/instances/{other['id']}")["state"] == "running"


def state_of(api, instance):
    return api.get(f"/v1/instances/{instance['id']}")["state"]


def zone_state(api):
    return {zone["name"]: zone["state"] for zone in api.get("/v1/zones")["items"]}["mock-1a"]


def test_an_outage_ends_with_the_switch_and_begins_with_it_again(api):
    instance = api.instance(zone="mock-1a")
    rule = fault(api, "*", {"zone_outage": {"zone": "mock-1a"}})
    assert (state_of(api, instance), zone_state(api)) == ("stopped", "unavailable")
    patch(api, rule, {"enabled": False})
    assert (state_of(api, instance), zone_state(api)) == ("running", "available")
    api.instance(zone="mock-1a")
    patch(api, rule, {"enabled": True})
    assert (state_of(api, instance), zone_state(api)) == ("stopped", "unavailable")


def test_the_end_of_an_outage_is_moved_without_a_bounce(api):
    instance = api.instance(zone="mock-1a")
    rule = fault(api, "*", {"zone_outage": {"zone": "mock-1a"}}, when={"until": "5m"})
    revision = api.get(f"/v1/instances/{instance['id']}")["revision"]
    patch(api, rule, {"when": {"until": "20m"}})
    api.advance("10m")
    assert api.get(f"/v1/instances/{instance['id']}")["revision"] == revision
    api.advance("10m")
    assert (state_of(api, instance), zone_state(api)) == ("running", "available")
    patch(api, rule, {"when": {"until": None}})  # it is on again
    assert (state_of(api, instance), zone_state(api)) == ("stopped", "unavailable")


def test_an_outage_that_moves_to_another_zone_heals_the_first(api):
    here, there = api.instance(zone="mock-1a"), api.instance(zone="mock-1b")
    rule = fault(api, "*", {"zone_outage": {"zone": "mock-1a"}})
    patch(api, rule, {"effect": {"zone_outage": {"zone": "mock-1b"}}})
    assert (state_of(api, here), state_of(api, there)) == ("running", "stopped")
    refused(api, rule, {"effect": {"zone_outage": {"zone": "mock-9z"}}}, "effect.zone_outage.zone")


def test_a_time_of_less_than_a_millisecond_can_be_kept(api):
    rule = fault(api, "instances.list", when={"from": "1ms", "until": "1.5ms"})
    assert patch(api, rule, {"enabled": False})["when"] == rule["when"]
    refused(api, rule, {"when": {"until": "0s"}}, "when.until")


def test_the_outage_of_a_zone_that_is_gone_can_still_be_changed(api):
    api.put("/sim/v1/zones/far", {"region": "far"})
    rule = fault(api, "*", {"zone_outage": {"zone": "far"}})
    api.delete("/sim/v1/zones/far")
    assert patch(api, rule, {"enabled": False, "name": "other"})["name"] == "other"
    assert patch(api, rule, {"enabled": True})["enabled"] is True
    refused(api, rule, {"effect": {"zone_outage": {"zone": "nowhere"}}}, "effect.zone_outage.zone")
    api.delete(f"/sim/v1/faults/{rule['id']}")


# -- scenarios and replay -----------------------------------------------------------------------------

def test_a_scenario_changes_a_rule_and_puts_it_back(api):
    rule = fault(api, "instances.list", {"error": {"status": 503}}, name="it", when={"probability": 0.5})
    started = api.post("/sim/v1/scenarios", {"source": f"""
steps:
  - do: faults.update
    id: {rule['id']}
    body: {{when: {{probability: null, times: 7}}, effect: {{error: {{code: busy}}}}, enabled: false}}
  - {{after: 1m, expect: {{count: {{}}, is: 0}}}}
"""}, expect=201)
    during = api.get(f"/sim/v1/faults/{rule['id']}")
    assert (during["enabled"], during["when"]) == (False, {"times": 7})
    api.advance("1m")
    assert api.get(f"/sim/v1/scenarios/{started['id']}")["state"] == "succeeded"
    after = api.get(f"/sim/v1/faults/{rule['id']}")
    keys = ("enabled", "name", "match", "when", "effect")
    assert {key: after[key] for key in keys} == {key: rule[key] for key in keys}


def test_a_replay_changes_rules_as_they_were_changed(start, connect, tmp_path):
    digests = []
    for n in range(2):
        (tmp_path / str(n)).mkdir()
        api = connect(start(directory=tmp_path / str(n), seed=3))
        if n == 0:
            api.post("/sim/v1/recording", {}, expect=200)
            rule = fault(api, "instances.*", when={"probability": 0.5, "until": "1h"})
            statuses(api, 5)
            patch(api, rule, {"when": {"probability": 0.9, "until": "2h"}})
            statuses(api, 5)
            patch(api, rule, {"enabled": False})
            api.instance()
            api.delete("/sim/v1/recording")
            recording = api.request("GET", "/sim/v1/recording/file").content
        else:
            answer = api.request("POST", "/sim/v1/replay", content=recording, headers={"Content-Type": "application/x-ndjson"})
            assert answer.status_code == 200 and "difference" not in answer.json(), answer.text
        digests.append(api.get("/sim/v1/events/digest")["sha256"])
    assert digests[0] == digests[1]
