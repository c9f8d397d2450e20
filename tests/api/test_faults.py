"""Fault rules, over the wire: what a rule does to a call is seen with raw sockets where a client would hide it."""

import json
import select
import socket
import threading
import time

import httpx
import pytest

DEADLINE = 15.0


# -- helpers ------------------------------------------------------------------------------------------

def fault(api, operations, effect, when=None, name=None, **match):
    body = {"match": {"operations": [operations] if isinstance(operations, str) else operations, **match},
            "effect": effect}
    if when:
        body["when"] = when
    if name:
        body["name"] = name
    return api.post("/sim/v1/faults", body, expect=201)


def stats(api, rule):
    return api.get(f"/sim/v1/faults/{rule['id']}/stats")


def eventually(condition, what):
    """Waits for a condition, with a deadline."""
    end = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.01)
    return value


def head(server, method="GET", path="/v1/instances", *extra, token=None):
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}",
             f"Authorization: Bearer {token or server.token}", *extra]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def post(server, path, body):
    text = json.dumps(body).encode()
    return head(server, "POST", path, "Content-Type: application/json", f"Content-Length: {len(text)}") + text


def connect_to(server, timeout=DEADLINE):
    return socket.create_connection(("127.0.0.1", server.port), timeout=timeout)


def read_all(s):
    """Everything until the other side ends, and how it ended: "fin" or "rst"."""
    data = b""
    while True:
        try:
            chunk = s.recv(65536)
        except ConnectionResetError:
            return data, "rst"
        if not chunk:
            return data, "fin"
        data += chunk


def in_flight(api):
    for line in api.request("GET", "/metrics").text.splitlines():
        if line.startswith("mockcloud_requests_in_flight "):
            return int(float(line.split()[1]))
    raise LookupError("mockcloud_requests_in_flight")


def firings(api, since=0):
    return [e for e in api.events(since, kind="fault") if e["type"] == "fired"]


# -- rules as resources -------------------------------------------------------------------------------

def test_a_rule_is_made_listed_read_and_removed(api):
    rule = fault(api, "instances.*", {"error": {"status": 503}}, name="brown-out",
                 when={"probability": 0.5, "times": 3, "until": "10m"})
    assert rule["id"].startswith("flt-") and "project" not in rule
    assert rule["when"] == {"until": "2026-01-01T00:10:00.000Z", "probability": 0.5, "times": 3}
    assert rule["stats"] == {"matched": 0, "fired": 0, "remaining": 3}
    assert api.get("/sim/v1/faults")["items"] == [rule]
    assert api.get(f"/sim/v1/faults/{rule['id']}") == rule
    api.refuse("POST", "/sim/v1/faults", {"name": "brown-out", "match": {"operations": ["*"]}, "effect": {"reset": {}}},
               status=409, code="already_exists", field="name")
    api.delete(f"/sim/v1/faults/{rule['id']}")
    api.missing(f"/sim/v1/faults/{rule['id']}")
    api.missing(f"/sim/v1/faults/{rule['id']}/stats")
    assert [e["type"] for e in api.events(kind="fault")] == ["created", "deleted"]


def test_all_rules_or_those_of_a_project_are_removed_at_once(api):
    api.post("/sim/v1/projects", {"name": "team"})
    for project in ({}, {"project": "team"}, {"project": "team"}):
        fault(api, "*", {"reset": {}}, **project)
    assert len(api.get("/sim/v1/faults", params={"project": "team"})["items"]) == 2
    api.refuse("DELETE", "/sim/v1/faults", params={"project": "nobody"}, status=400, code="invalid_argument",
               field="project")
    api.delete("/sim/v1/faults", params={"project": "team"})
    assert len(api.get("/sim/v1/faults")["items"]) == 1
    api.delete("/sim/v1/faults")
    assert api.get("/sim/v1/faults")["items"] == []
    assert api.get("/v1/instances")["items"] == []


def test_rules_go_with_their_project(api):
    api.post("/sim/v1/projects", {"name": "team"})
    fault(api, "*", {"reset": {}}, project="team")
    kept = fault(api, "instances.list", {"error": {"status": 500}})
    api.delete("/sim/v1/projects/team")
    assert [r["id"] for r in api.get("/sim/v1/faults")["items"]] == [kept["id"]]


def test_rules_and_their_counts_survive_a_kill(start, connect):
    server = start()
    api = connect(server)
    rule = fault(api, "instances.list", {"error": {"status": 503}}, when={"times": 3})
    for _ in range(2):
        api.refuse("GET", "/v1/instances", status=503, code="unavailable")
    eventually(lambda: len(firings(api)) == 2, "both firings")
    server.kill()
    api = connect(server.start())
    assert stats(api, rule)["fired"] == 2
    api.refuse("GET", "/v1/instances", status=503, code="unavailable")
    api.get("/v1/instances")
    assert stats(api, rule) == {"matched": 4, "fired": 3, "remaining": 0,
                                "last_fired_at": stats(api, rule)["last_fired_at"]}


def test_matches_without_a_firing_survive_a_stop(start, connect):
    server = start()
    api = connect(server)
    rule = fault(api, "instances.list", {"error": {"status": 503}}, when={"every": 3})
    for _ in range(2):
        api.get("/v1/instances")
    assert server.stop() == 0
    api = connect(server.start())
    assert stats(api, rule)["matched"] == 2
    api.refuse("GET", "/v1/instances", status=503, code="unavailable")


ERROR = {"error": {"status": 503}}
REFUSED = [
    ({"match": {"operations": ["instances.lst"]}, "effect": ERROR}, "match.operations[0]"),
    ({"match": {"operations": ["faults.*"]}, "effect": ERROR}, "match.operations[0]"),
    ({"match": {"operations": ["instance.pending"]}, "effect": ERROR}, "match.operations[0]"),
    ({"match": {"operations": ["instances.*"]}, "effect": {"stuck_transition": {}}}, "match.operations[0]"),
    ({"match": {"operations": ["instances.list"]}, "effect": {"half_applied": {"reply": "drop"}}}, "match.operations[0]"),
    ({"match": {"operations": ["instances.create"]}, "effect": {"stale_read": {"revisions": 1}}}, "match.operations[0]"),
    ({"match": {"operations": ["instances.*"]}, "effect": {"stream_cut": {}}}, "match.operations[0]"),
    ({"match": {"operations": []}, "effect": ERROR}, "match.operations"),
    ({"effect": ERROR}, "match"),
    ({"match": {"operations": ["*"]}}, "effect"),
    ({"match": {"operations": ["*"]}, "effect": {}}, "effect"),
    ({"match": {"operations": ["*"]}, "effect": {**ERROR, "reset": {}}}, "effect.reset"),
    ({"match": {"operations": ["*"], "project": "nobody"}, "effect": ERROR}, "match.project"),
    ({"match": {"operations": ["*"], "resource": {"kind": "cow"}}, "effect": ERROR}, "match.resource.kind"),
    ({"match": {"operations": ["*"], "resource": {"kind": "route", "zone": "a"}}, "effect": ERROR}, "match.resource.zone"),
    ({"match": {"operations": ["*"], "resource": {}}, "effect": ERROR}, "match.resource"),
    ({"match": {"operations": ["*"], "resource": {"state": "asleep"}}, "effect": ERROR}, "match.resource.state"),
    ({"match": {"operations": ["*"], "resource": {"kind": "route", "state": "running"}}, "effect": ERROR}, "match.resource.state"),
    ({"match": {"operations": ["*"], "caller": {"scope": "root"}}, "effect": ERROR}, "match.caller.scope"),
    ({"match": {"operations": ["instance.pending"], "caller": {"scope": "sim"}}, "effect": {"stuck_transition": {}}},
     "match.caller"),
    ({"match": {"operations": ["events.list"], "resource": {"zone": "a"}}, "effect": {"stream_cut": {}}}, "match.resource"),
    ({"match": {"operations": ["*"]}, "when": {"probability": 0}, "effect": ERROR}, "when.probability"),
    ({"match": {"operations": ["*"]}, "when": {"probability": 1.1}, "effect": ERROR}, "when.probability"),
    ({"match": {"operations": ["*"]}, "when": {"first": 0}, "effect": ERROR}, "when.first"),
    ({"match": {"operations": ["*"]}, "when": {"times": -1}, "effect": ERROR}, "when.times"),
    ({"match": {"operations": ["*"]}, "when": {"every": 10**18}, "effect": ERROR}, "when.every"),
    ({"match": {"operations": ["*"]}, "when": {"from": "5m", "until": "1m"}, "effect": ERROR}, "when.until"),
    ({"match": {"operations": ["*"]}, "when": {"from": "soon"}, "effect": ERROR}, "when.from"),
    ({"match": {"operations": ["*"]}, "effect": {"error": {"status": 200}}}, "effect.error.status"),
    ({"match": {"operations": ["*"]}, "effect": {"error": {}}}, "effect.error.status"),
    ({"match": {"operations": ["*"]}, "effect": {"error": {"status": 500, "code": "No Way"}}}, "effect.error.code"),
    ({"match": {"operations": ["*"]}, "effect": {"latency": {"distribution": "fixed"}}}, "effect.latency.value"),
    ({"match": {"operations": ["*"]}, "effect": {"latency": {"distribution": "uniform", "min": "2s", "max": "1s"}}},
     "effect.latency.min"),
    ({"match": {"operations": ["*"]}, "effect": {"throttle": {"rate": 0}}}, "effect.throttle.rate"),
    ({"match": {"operations": ["*"]}, "effect": {"throttle": {"rate": 1e9}}}, "effect.throttle.rate"),
    ({"match": {"operations": ["*"]}, "effect": {"hang": {"at_most": "-1s"}}}, "effect.hang.at_most"),
    ({"match": {"operations": ["*"]}, "effect": {"hang": {"at_most": "0s"}}}, "effect.hang.at_most"),
    ({"match": {"operations": ["*"]}, "effect": {"truncate": {"bytes": 0}}}, "effect.truncate.bytes"),
    ({"match": {"operations": ["*"]}, "effect": {"half_applied": {"reply": "drop", "status": 500}}},
     "effect.half_applied.status"),
    ({"match": {"operations": ["*"]}, "effect": {"half_applied": {"reply": "error", "at_most": "1s"}}},
     "effect.half_applied.at_most"),
    ({"match": {"operations": ["*"]}, "effect": {"stale_read": {}}}, "effect.stale_read"),
    ({"match": {"operations": ["*"]}, "effect": {"stale_read": {"revisions": 1, "lag": "1s"}}}, "effect.stale_read"),
    ({"match": {"operations": ["*"]}, "effect": {"wrong_answer": {"what": "clock_skew"}}}, "effect.wrong_answer.skew"),
    ({"match": {"operations": ["*"]}, "effect": {"zone_outage": {}}}, "effect.zone_outage.zone"),
]


@pytest.mark.parametrize("body,field", REFUSED, ids=[field for _, field in REFUSED])
def test_what_could_never_be_is_refused_by_the_name_of_its_field(api, body, field):
    api.refuse("POST", "/sim/v1/faults", body, status=400, code="invalid_argument", field=field)
    assert api.get("/sim/v1/faults")["items"] == []


@pytest.mark.parametrize("where", ["", "match", "match.resource", "match.caller", "when", "effect", "effect.error"])
def test_unknown_fields_are_refused_by_their_path(api, where):
    body = {"match": {"operations": ["*"], "resource": {"kind": "instance"}, "caller": {"scope": "sim"}},
            "when": {}, "effect": {"error": {"status": 500}}}
    inner = body
    for part in filter(None, where.split(".")):
        inner = inner[part]
    inner["colour"] = "red"
    api.refuse("POST", "/sim/v1/faults", body, status=400, code="unknown_field", field=f"{where}.colour".lstrip("."))


# -- which calls --------------------------------------------------------------------------------------

def test_only_the_operations_that_it_names_meet_a_rule_and_never_those_of_sim(api):
    fault(api, "instances.*", {"error": {"status": 503}})
    api.refuse("GET", "/v1/instances", status=503, code="unavailable")
    api.refuse("POST", "/v1/instances", {}, status=503, code="unavailable")
    api.get("/v1/routes")
    fault(api, "*", {"error": {"status": 500}})
    api.refuse("GET", "/v1/routes", status=500, code="internal")
    api.get("/sim/v1/faults")
    api.get("/sim/v1/clock")
    assert api.request("GET", "/healthz").status_code == 200


def test_only_its_project_meets_the_rule_of_a_project(server, api, connect):
    api.post("/sim/v1/projects", {"name": "team"})
    token = api.post("/sim/v1/projects/team/tokens", {}, expect=201)["token"]
    fault(api, "instances.list", {"error": {"status": 503}}, project="team")
    team = connect(server, token=token)
    team.refuse("GET", "/v1/instances", status=503, code="unavailable")
    api.get("/v1/instances")


def test_callers_are_told_apart_by_user_agent_and_scope(server, api, connect):
    token = api.post("/sim/v1/projects/default/tokens", {}, expect=201)["token"]
    tenant = connect(server, token=token)
    fault(api, "instances.list", {"error": {"status": 503}}, caller={"user_agent": "mockcloud-ccm*"})
    fault(api, "routes.list", {"error": {"status": 503}}, caller={"scope": "cloud"})
    api.get("/v1/instances", headers={"User-Agent": "curl/8"})
    api.refuse("GET", "/v1/instances", headers={"User-Agent": "mockcloud-ccm/1.0 (linux)"}, status=503,
               code="unavailable")
    api.get("/v1/routes")
    tenant.refuse("GET", "/v1/routes", status=503, code="unavailable")


def test_a_selector_chooses_by_id_name_zone_type_state_and_tags(api):
    one = api.instance(name="web-1", zone="mock-1a", tags={"role": "web"})
    two = api.instance(name="db-1", zone="mock-1b", tags={"role": "db"})
    api.post(f"/v1/instances/{two['id']}/stop")
    for selector in ({"id": one["id"]}, {"name": "web-*"}, {"zone": "mock-1a"}, {"state": "running"},
                     {"tags": {"role": "web"}}, {"kind": "instance", "name": "web-1", "type": one["type"]}):
        rule = fault(api, "instances.get", {"error": {"status": 503}}, resource=selector)
        api.refuse("GET", f"/v1/instances/{one['id']}", status=503, code="unavailable")
        api.get(f"/v1/instances/{two['id']}")
        assert stats(api, rule)["matched"] == 1, selector
        api.delete(f"/sim/v1/faults/{rule['id']}")


def test_what_is_to_happen_to_one_does_not_happen_to_lists(api):
    one = api.instance(name="one")
    fault(api, "instances.*", {"error": {"status": 503}}, resource={"id": one["id"]})
    assert len(api.get("/v1/instances")["items"]) == 1
    api.refuse("GET", f"/v1/instances/{one['id']}", status=503, code="unavailable")
    fault(api, "instances.list", {"error": {"status": 503}}, resource={"kind": "instance"})
    api.refuse("GET", "/v1/instances", status=503, code="unavailable")


def test_what_is_about_to_be_made_is_chosen_by_its_request(api):
    fault(api, "instances.create", {"error": {"status": 503, "code": "no_way"}}, resource={"zone": "mock-1b"})
    api.instance(zone="mock-1a")
    response = httpx.post(f"{api.server.address}/v1/instances", json={"zone": "mock-1b"}, trust_env=False, timeout=20,
                          headers={"Authorization": f"Bearer {api.server.token}"})
    assert (response.status_code, response.json()["code"]) == (503, "no_way")
    assert len(api.get("/v1/instances")["items"]) == 1


# -- when ---------------------------------------------------------------------------------------------

def outcomes(api, count):
    return "".join("x" if api.request("GET", "/v1/instances").status_code == 503 else "." for _ in range(count))


@pytest.mark.parametrize("when,expected", [
    ({}, "xxxxxxxxxxxx"), ({"first": 3}, "xxx........."), ({"after": 3}, "...xxxxxxxxx"), ({"every": 3}, "..x..x..x..x"),
    ({"times": 2}, "xx.........."), ({"after": 2, "first": 6, "every": 2, "times": 2}, "...x.x......"),
])
def test_counting_decides_which_matches_fire(api, when, expected):
    fault(api, "instances.list", {"error": {"status": 503}}, when=when)
    assert outcomes(api, 12) == expected


def test_a_rule_lives_inside_its_time_window(api):
    fault(api, "instances.list", {"error": {"status": 503}}, when={"from": "1m", "until": "2026-01-01T00:02:00Z"})
    seen = ""
    for _ in range(4):
        seen += outcomes(api, 1)
        api.advance("40s")
    assert seen == "..x."


def test_the_same_seed_draws_the_same_and_another_seed_something_else(start, connect, tmp_path):
    def run(name, seed):
        directory = tmp_path / name
        directory.mkdir()
        api = connect(start(directory=directory, seed=seed))
        fault(api, "instances.list", {"error": {"status": 503}}, when={"probability": 0.5})
        return outcomes(api, 64)

    first, again, other = run("a", 7), run("b", 7), run("c", 8)
    assert first == again != other
    assert 16 < first.count("x") < 48


# -- firings are seen ---------------------------------------------------------------------------------

def test_each_firing_is_counted_and_is_an_event_with_its_operation(api):
    rule = fault(api, ["instances.list", "instances.get"], {"error": {"status": 503}}, when={"every": 2})
    outcomes(api, 6)
    events = eventually(lambda: len(e := firings(api)) == 3 and e, "three firings")
    assert [e["document"]["stats"]["fired"] for e in events] == [1, 2, 3]
    assert {e["id"] for e in events} == {rule["id"]}
    assert {e["cause"]["operation"] for e in events} == {"instances.list"}
    assert {"error"} == {effect for e in events for effect in e["document"]["effect"]}
    told = stats(api, rule)
    assert (told["matched"], told["fired"]) == (6, 3)


def test_under_load_the_counts_stay_exact(server, api):
    rule = fault(api, "instances.list", {"error": {"status": 503}})

    def call_often():
        with httpx.Client(base_url=server.address, headers={"Authorization": f"Bearer {server.token}"},
                          trust_env=False, timeout=20) as client:
            for _ in range(200):
                assert client.get("/v1/instances").status_code == 503

    threads = [threading.Thread(target=call_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = stats(api, rule)
    assert (told["matched"], told["fired"]) == (800, 800)
    eventually(lambda: api.get(f"/sim/v1/faults/{rule['id']}")["stats"]["fired"] == 800, "the record to be exact")


def test_the_call_log_names_the_rule(api):
    rule = fault(api, "instances.list", {"error": {"status": 503}})
    api.refuse("GET", "/v1/instances", status=503, code="unavailable")
    call = api.get("/v1/calls", params={"operation": "instances.list"})["items"][0]
    assert (call["status"], call["fault"]) == (503, rule["id"])


# -- effects at the door ------------------------------------------------------------------------------

def test_an_error_has_its_status_code_message_and_retry_after_and_does_nothing(api):
    fault(api, "instances.create", {"error": {"status": 418, "code": "teapot", "message": "short and stout",
                                              "retry_after": "1500ms"}})
    response = httpx.post(f"{api.server.address}/v1/instances", json={}, trust_env=False, timeout=20,
                          headers={"Authorization": f"Bearer {api.server.token}"})
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem["status"], problem["code"]) == (418, 418, "teapot")
    assert problem["detail"] == "short and stout" and problem["request_id"] == response.headers["x-request-id"]
    assert response.headers["retry-after"] == "2"
    assert api.get("/v1/instances")["items"] == []


def test_latencies_add_up_and_pass_in_real_time_under_a_manual_clock(api):
    for value in ("150ms", "100ms"):
        fault(api, "instances.list", {"latency": {"distribution": "fixed", "value": value}})
    before = time.monotonic()
    api.get("/v1/instances")
    assert time.monotonic() - before >= 0.25


def test_a_latency_in_cloud_time_ends_when_the_clock_has_been_advanced(server, api):
    fault(api, "instances.create", {"latency": {"distribution": "fixed", "value": "1h", "clock": "cloud"}})
    with connect_to(server) as s:
        s.sendall(post(server, "/v1/instances", {"name": "late"}))
        eventually(lambda: in_flight(api) == 2, "the call to wait")
        api.advance("59m")
        assert api.get("/v1/instances")["items"] == []
        eventually(lambda: api.advance("1h") and select.select([s], [], [], 0.1)[0],  # it may begin to wait after an advance
                   "the end of the wait")
        assert s.recv(65536).startswith(b"HTTP/1.1 201")
    assert [i["name"] for i in api.get("/v1/instances")["items"]] == ["late"]


def test_a_throttle_lets_the_burst_through_and_says_when_to_come_back(api):
    fault(api, "instances.list", {"throttle": {"rate": 0.5, "burst": 3}})
    left = []
    for _ in range(3):
        response = api.request("GET", "/v1/instances")
        assert response.status_code == 200
        left.append((response.headers["ratelimit-limit"], response.headers["ratelimit-remaining"]))
    assert left == [("3", "2"), ("3", "1"), ("3", "0")]
    refused = api.request("GET", "/v1/instances")
    assert refused.status_code == 429 and refused.json()["code"] == "throttled"
    assert refused.headers["retry-after"] == "2" and refused.headers["ratelimit-reset"] == "6"
    api.advance("2s")
    assert [api.request("GET", "/v1/instances").status_code for _ in range(2)] == [200, 429]


def test_a_hang_ends_at_its_bound_without_a_word(server, api):
    fault(api, "instances.list", {"hang": {"at_most": "300ms"}})
    with connect_to(server) as s:
        before = time.monotonic()
        s.sendall(head(server))
        assert read_all(s) == (b"", "fin")
        assert time.monotonic() - before >= 0.3
    call = api.get("/v1/calls", params={"operation": "instances.list"})["items"][0]
    assert call["status"] == 0


def test_a_hang_ends_when_its_client_goes(server, api):
    fault(api, "instances.list", {"hang": {}})
    s = connect_to(server)
    s.sendall(head(server))
    eventually(lambda: in_flight(api) == 2, "the call to hang")
    s.close()
    eventually(lambda: in_flight(api) == 1, "the server to notice")


def test_others_are_served_while_many_hang_and_the_server_stops_at_once(server, api):
    fault(api, "instances.list", {"hang": {}})
    waiting = [connect_to(server) for _ in range(200)]
    for s in waiting:
        s.sendall(head(server))
    eventually(lambda: in_flight(api) == 201, "all to hang")
    for _ in range(50):
        api.get("/v1/routes")
    assert server.stop(timeout=DEADLINE) == 0
    assert {read_all(s)[0] for s in waiting} == {b""}
    for s in waiting:
        s.close()


def test_a_reset_is_a_rst_and_nothing_is_done(server, api):
    fault(api, "instances.create", {"reset": {}})
    with connect_to(server) as s:
        s.sendall(post(server, "/v1/instances", {}))
        assert read_all(s) == (b"", "rst")
    assert api.get("/v1/instances")["items"] == []


def test_a_stream_is_not_truncated_but_a_list_of_events_is(api):
    rule = fault(api, "events.list", {"truncate": {}})
    with api.stream() as stream:
        api.instance()
        assert stream.event()["kind"] == "instance"
    assert stats(api, rule)["matched"] == 0
    with pytest.raises(httpx.RemoteProtocolError):
        api.events()
    assert stats(api, rule)["fired"] == 1


@pytest.mark.parametrize("effect,sent", [({}, lambda n: n // 2), ({"bytes": 10}, lambda n: 10),
                                         ({"bytes": 1000000}, lambda n: n - 1)])
def test_a_truncated_reply_announces_more_than_comes(server, api, effect, sent):
    path = f"/v1/instances/{api.instance(name='whole')['id']}"
    whole = api.request("GET", path).content
    fault(api, "instances.get", {"truncate": effect})
    with connect_to(server) as s:
        s.sendall(head(server, path=path))
        data, _ = read_all(s)
    top, _, body = data.partition(b"\r\n\r\n")
    assert b"HTTP/1.1 200" in top and f"content-length: {len(whole)}".encode() in top.lower()
    assert body == whole[:sent(len(whole))]
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{server.address}{path}", headers={"Authorization": f"Bearer {server.token}"}, trust_env=False,
                  timeout=20)


# -- half applied -------------------------------------------------------------------------------------

def test_a_half_applied_change_is_committed_and_answered_with_an_error(api):
    fault(api, "instances.create", {"half_applied": {"reply": "error", "status": 502, "code": "bad_gateway"}},
          when={"times": 1})
    response = httpx.post(f"{api.server.address}/v1/instances", json={"name": "there"}, trust_env=False, timeout=20,
                          headers={"Authorization": f"Bearer {api.server.token}"})
    assert (response.status_code, response.json()["code"]) == (502, "bad_gateway")
    assert "location" not in response.headers and "etag" not in response.headers
    assert [i["name"] for i in api.get("/v1/instances")["items"]] == ["there"]


def test_half_applied_is_about_changes_and_no_read_or_stream_meets_it(api):
    rule = fault(api, "*", {"half_applied": {"reply": "error"}}, {"times": 1})
    assert api.get("/v1/instances")["items"] == []
    with api.stream(since=0) as stream:
        assert stream.response.status_code == 200 and stream.event()["revision"] == 1
    assert stats(api, rule)["matched"] == 0
    assert api.request("POST", "/v1/instances", json={}).status_code == 500
    assert len(api.get("/v1/instances")["items"]) == 1 and stats(api, rule)["fired"] == 1


def test_a_half_applied_change_is_committed_and_its_reply_dropped(server, api):
    fault(api, "instances.create", {"half_applied": {"reply": "drop"}})
    with connect_to(server) as s:
        s.sendall(post(server, "/v1/instances", {"name": "there"}))
        assert read_all(s) == (b"", "fin")
    assert [i["name"] for i in api.get("/v1/instances")["items"]] == ["there"]


def test_a_half_applied_change_is_committed_and_never_answered(server, api):
    fault(api, "instances.create", {"half_applied": {"reply": "silence", "at_most": "10m"}})
    s = connect_to(server)
    s.sendall(post(server, "/v1/instances", {"name": "there"}))
    eventually(lambda: [i["name"] for i in api.get("/v1/instances")["items"]] == ["there"], "the change")
    s.settimeout(0.2)
    with pytest.raises(TimeoutError):
        s.recv(1)
    s.close()
    eventually(lambda: in_flight(api) == 1, "the server to notice that the client has gone")


def test_a_lost_reply_and_an_idempotency_key_make_one_instance(server, api):
    fault(api, "instances.create", {"half_applied": {"reply": "error"}}, when={"times": 1})
    key = {"Idempotency-Key": "once"}
    api.refuse("POST", "/v1/instances", {"name": "one"}, headers=key, status=500, code="internal")
    made = api.post("/v1/instances", {"name": "one"}, headers=key, expect=201)
    assert [i["id"] for i in api.get("/v1/instances")["items"]] == [made["id"]]


# -- precedence ---------------------------------------------------------------------------------------

def test_the_first_rule_that_ends_a_call_wins_and_later_ones_are_not_asked(api):
    first = fault(api, "instances.list", {"error": {"status": 503}}, when={"times": 1})
    second = fault(api, "instances.list", {"error": {"status": 500}})
    api.refuse("GET", "/v1/instances", status=503, code="unavailable")
    assert stats(api, second)["matched"] == 0
    api.refuse("GET", "/v1/instances", status=500, code="internal")
    assert (stats(api, first)["fired"], stats(api, second)["fired"]) == (1, 1)


def test_requests_that_are_refused_for_their_form_meet_no_rule(api):
    rule = fault(api, "*", {"error": {"status": 503}})
    api.refuse("POST", "/v1/instances", {"nome": "x"}, status=400, code="unknown_field", field="nome")
    api.refuse("GET", "/v1/nothing", status=404, code="no_such_path")
    assert stats(api, rule)["matched"] == 0


# -- event streams ------------------------------------------------------------------------------------

def names(events):
    return [e["document"].get("name") for e in events]


def test_a_stream_is_cut_before_the_event_and_resumes_behind_the_last_one(api):
    fault(api, "events.list", {"stream_cut": {}}, when={"after": 2, "times": 1}, resource={"kind": "instance"})
    with api.stream(kind="instance") as stream:
        stream.frame()
        for name in ("a", "b", "c"):
            api.instance(name=name)
        assert names(stream.take(2)) == ["a", "b"]
        with pytest.raises(httpx.RemoteProtocolError):
            stream.frame()
    last = api.events(kind="instance")[1]["revision"]
    with api.stream(kind="instance", last_event_id=last) as stream:
        assert names(stream.take(1)) == ["c"]


def test_a_stream_delivers_what_a_rule_says_twice(api):
    fault(api, "events.list", {"stream_duplicate": {}}, when={"every": 2}, resource={"kind": "instance"})
    with api.stream(kind="instance") as stream:
        stream.frame()
        for name in ("a", "b", "c"):
            api.instance(name=name)
        assert names(stream.take(4)) == ["a", "b", "b", "c"]


def test_a_stream_lags_by_the_same_time_for_each_event_and_stays_in_order(api):
    rule = fault(api, "events.list", {"stream_lag": {"by": "400ms"}}, resource={"kind": "instance"})
    with api.stream(kind="instance") as lagging, api.stream(kind="route") as other:
        lagging.frame()
        begun = time.monotonic()
        for name in ("a", "b", "c"):
            api.instance(name=name)
        api.route("10.9.0.0/24", {"address": "10.0.0.1"}, name="r")
        assert names(other.take(1)) == ["r"]
        assert names(lagging.take(3)) == ["a", "b", "c"]
        assert time.monotonic() - begun >= 0.4
    assert stats(api, rule)["fired"] == 3


def test_events_about_rules_meet_no_stream_effect_so_that_nothing_feeds_itself(api):
    rule = fault(api, "events.list", {"stream_duplicate": {}})
    with api.stream() as stream:
        stream.frame()
        api.instance(name="a")
        taken = stream.take(3)
    assert names(taken)[:2] == ["a", "a"] and (taken[2]["kind"], taken[2]["type"]) == ("fault", "fired")
    assert stats(api, rule)["fired"] == 1


def test_plain_lists_of_events_meet_no_stream_effect(api):
    rule = fault(api, "events.list", {"stream_cut": {}})
    assert len(api.events()) > 3
    assert stats(api, rule)["matched"] == 0
