"""Notices: the instance is told, and at the deadline it happens."""

import pytest

KINDS = {  # default notice, default action, the actions that are allowed
    "spot": (120, "terminate", {"terminate", "stop"}),
    "preempt": (30, "stop", {"stop", "terminate"}),
    "maintenance": (900, "reboot", {"reboot", "stop", "terminate", "none"}),
    "rebalance": (None, "none", {"none"}),
}
ENDS = {"terminate": "terminated", "stop": "stopped", "reboot": "running", "none": "running"}
CODES = {"spot": "spot-interruption", "preempt": "preemption", "maintenance": "maintenance"}


def interrupt(api, instance, expect=202, **body):
    return api.post(f"/sim/v1/instances/{instance['id']}/interrupt", body, expect=expect)


def look(api, instance):
    return api.get(f"/v1/instances/{instance['id']}")


def test_without_a_body_to_speak_of_it_is_a_spot_interruption_in_two_minutes(api):
    told = interrupt(api, api.instance(lifecycle="spot"))
    assert told["state"] == "running" and told["transition_at"] == "2026-01-01T00:02:00.000Z"
    notice, = told["notices"]
    assert notice.pop("id").startswith("nt-")
    assert notice == {"kind": "spot", "action": "terminate", "state": "scheduled",
                      "issued_at": "2026-01-01T00:00:00.000Z", "deadline": "2026-01-01T00:02:00.000Z"}


def test_every_kind_with_every_action_does_it_at_the_deadline_or_is_refused(api):
    done = 0
    for kind, (_, default, allowed) in KINDS.items():
        for action in ("terminate", "stop", "reboot", "none"):
            made = api.instance()
            if action not in allowed:
                api.refuse("POST", f"/sim/v1/instances/{made['id']}/interrupt", {"kind": kind, "action": action},
                           status=400, code="invalid_argument", field="action")
                continue
            interrupt(api, made, kind=kind, action=action, notice="10s")
            api.advance("9.999s")
            assert look(api, made)["state"] == "running"
            api.advance("1ms")
            after = look(api, made)
            assert after["state"] == ENDS[action], (kind, action)
            assert after["notices"][0]["state"] == "completed"
            assert after["notices"][0]["ended_at"] == after["notices"][0]["deadline"]
            if action != "none":
                assert after["state_reason"]["code"] == CODES[kind]
            done += 1
    assert done == 9


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_own_notice_and_action(api, kind):
    seconds, action, _ = KINDS[kind]
    notice, = interrupt(api, api.instance(), kind=kind)["notices"]
    assert notice["action"] == action
    if seconds is None:
        assert "deadline" not in notice
        assert api.advance("100h")["fired"] == 0
    else:
        assert notice["deadline"] == f"2026-01-01T00:{seconds // 60:02}:{seconds % 60:02}.000Z"


@pytest.mark.parametrize("body,code,field", [
    ({"kind": "meteor"}, "invalid_argument", "kind"), ({"notice": "-1s"}, "invalid_argument", "notice"),
    ({"notice": 120}, "invalid_argument", "notice"), ({"notice": "9999999h"}, "invalid_argument", "notice"),
    ({"action": "hibernate"}, "invalid_argument", "action"), ({"when": "now"}, "unknown_field", "when"),
    ({"kind": None}, "invalid_argument", "kind"), ([], "invalid_argument", None),
])
def test_a_bad_notice_is_refused_by_field_and_nothing_happens(api, body, code, field):
    made = api.instance()
    api.refuse("POST", f"/sim/v1/instances/{made['id']}/interrupt", body, status=400, code=code, field=field)
    assert look(api, made) == made


def test_what_is_not_there_or_not_up_cannot_be_told(api):
    made = api.instance()
    api.refuse("POST", "/sim/v1/instances/i-none/interrupt", {}, status=404, code="not_found")
    for action in ("stop", "terminate"):
        api.post(f"/v1/instances/{made['id']}/{action}", expect=202)
        api.refuse("POST", f"/sim/v1/instances/{made['id']}/interrupt", {}, status=409, code="illegal_transition")


def test_a_second_notice_of_the_same_kind_is_refused_and_one_of_another_is_not(api):
    made = api.instance()
    interrupt(api, made, kind="spot")
    api.refuse("POST", f"/sim/v1/instances/{made['id']}/interrupt", {"kind": "spot"}, status=409,
               code="already_exists", field="kind")
    assert [n["kind"] for n in interrupt(api, made, kind="maintenance")["notices"]] == ["spot", "maintenance"]


def test_the_earliest_notice_wins_and_takes_the_others_along(api):
    made = api.instance()
    interrupt(api, made, kind="spot", notice="60s")
    interrupt(api, made, kind="preempt", notice="30s")
    interrupt(api, made, kind="rebalance")
    api.advance("1h")
    after = look(api, made)
    assert after["state"] == "stopped" and after["state_reason"]["code"] == "preemption"
    assert {n["kind"]: n["state"] for n in after["notices"]} == {
        "spot": "canceled", "preempt": "completed", "rebalance": "canceled"}


def test_notices_can_be_taken_back(api):
    made = api.instance()
    interrupt(api, made)
    back = api.delete(f"/sim/v1/instances/{made['id']}/interrupt", expect=200)
    assert back["notices"][0]["state"] == "canceled" and "transition_at" not in back
    assert api.delete(f"/sim/v1/instances/{made['id']}/interrupt", expect=200)["revision"] == back["revision"]
    api.advance("1h")
    assert look(api, made)["state"] == "running"


def test_events_carry_the_notice_and_name_what_caused_the_end(api):
    api.latency("instance.terminating", "10s")
    made = api.instance()
    interrupt(api, made)
    api.advance("3m")
    seen = [(e["cause"]["operation"], e["document"]["state"], e["document"]["notices"][0]["state"])
            for e in api.events(since=made["revision"], kind="instance")]
    assert seen == [("instances.interrupt", "running", "scheduled"), ("notice.spot", "terminating", "started"),
                    ("instance.terminating", "terminated", "completed")]


def test_notices_and_their_deadlines_survive_a_kill(server, api, connect):
    api.latency("instance.pending", "10s")
    made = api.instance()
    told = interrupt(api, made, notice="5s", action="stop")  # earlier than it can be stopped
    server.kill()
    server.start()
    api = connect(server)
    assert look(api, made) == told
    api.advance("9s")
    assert look(api, made)["state"] == "pending"
    api.advance("1s")
    assert look(api, made)["state"] == "stopped"


def test_it_takes_the_hand_of_god(server, api, connect):
    made = api.instance()
    token = api.post("/sim/v1/projects/default/tokens", {"scope": "cloud"}, expect=201)["token"]
    tenant = connect(server, token=token)
    tenant.refuse("POST", f"/sim/v1/instances/{made['id']}/interrupt", {}, status=403, code="forbidden")


def test_an_idempotency_key_makes_one_notice(api):
    made = api.instance()
    path, key = f"/sim/v1/instances/{made['id']}/interrupt", {"Idempotency-Key": "k"}
    assert api.post(path, {}, headers=key) == api.post(path, {}, headers=key)
    assert len(look(api, made)["notices"]) == 1
