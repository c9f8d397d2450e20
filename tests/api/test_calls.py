"""The call log: who called which operation, how it ended, how often."""

import concurrent.futures
import random
import re
import socket
import time

import httpx
import pytest


def calls(api, path="/sim/v1/calls", **params):
    return api.all_items(path, **params)


def counters(api, path="/sim/v1/calls/counters", **params):
    return api.get(path, params=params)


def as_agent(agent):
    return {"User-Agent": agent}


def test_a_call_says_who_called_what_and_how_it_ended(api):
    created = api.request("POST", "/v1/instances", json={}, headers=as_agent("mockcloud-ccm/0.1 (linux)"))
    call = calls(api, operation="instances.create")[0]
    assert call["caller"]["user_agent"] == "mockcloud-ccm/0.1 (linux)"
    assert call["caller"]["scope"] == "sim" and call["caller"]["project"] == "default"
    assert re.fullmatch(r"tok-[0-9a-f]{17}", call["caller"]["token_id"])
    assert (call["method"], call["path"], call["status"]) == ("POST", "/v1/instances", 201)
    assert call["request_id"] == created.headers["x-request-id"]
    assert 0 < call["latency_seconds"] < 60 and "fault" not in call
    assert call["time"] == api.get("/sim/v1/clock")["now"]
    assert abs(parse(call["wall_time"]) - time.time()) < 60


def parse(text):
    from datetime import datetime
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_the_log_is_newest_first_and_pages_without_gap_or_repeat(api):
    for _ in range(25):
        api.get("/v1/zones")
    whole = calls(api, operation="zones.list")
    paged = calls(api, operation="zones.list", limit=4)
    assert len(whole) == 25 and paged == whole
    numbers = [call["number"] for call in whole]
    assert numbers == sorted(numbers, reverse=True)


def test_filters_choose_by_caller_operation_status_and_time(api):
    for agent, path, status in (("ccm/1 x", "/v1/instances", 200), ("ccm/1 x", "/v1/instances/i-none", 404),
                                ("other", "/v1/routes", 200)):
        assert api.request("GET", path, headers=as_agent(agent)).status_code == status
    token = calls(api, caller="other")[0]["caller"]["token_id"]
    expected = [
        (dict(caller="ccm"), 2), (dict(caller="ccm/1 x"), 2), (dict(caller="cc*"), 2), (dict(caller="c"), 0),
        (dict(caller=token, operation="*tes.list", status="2xx"), 1), (dict(operation="instances.*"), 2),
        (dict(caller="ccm", status="404"), 1), (dict(caller="ccm", status="404,2xx"), 2), (dict(status="5xx"), 0),
        (dict(caller="ccm", since="1h"), 2), (dict(since="2199-01-01T00:00:00Z"), 0),
        (dict(caller="ccm", project="default"), 2),
    ]
    for filters, count in expected:
        assert len(calls(api, **filters)) == count, filters
        assert counters(api, **filters)["total"] == count, filters


@pytest.mark.parametrize("params,field", [
    ({"status": "200,"}, "status"), ({"status": "6xx"}, "status"), ({"status": "2x0"}, "status"),
    ({"since": "yesterday"}, "since"), ({"since": "-5m"}, "since"), ({"project": "nobody"}, "project"),
    ({"limit": "0"}, "limit"), ({"page_token": "x"}, "page_token"), ({"caller": "x" * 254}, "caller"),
])
def test_a_bad_filter_is_refused_by_name(api, params, field):
    api.refuse("GET", "/sim/v1/calls", params=params, status=400, code="invalid_argument", field=field)
    if field not in ("limit", "page_token"):
        api.refuse("GET", "/sim/v1/calls/counters", params=params, status=400, code="invalid_argument", field=field)


def test_counters_add_up_by_caller_operation_and_status(api):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    sent = {}
    for _ in range(120):
        agent = draw.choice(("a/1", "b/2", "c"))
        path, operation, status = draw.choice((
            ("/v1/zones", "zones.list", 200), ("/v1/zones/none", "zones.get", 404), ("/v1/routes", "routes.list", 200)))
        assert api.request("GET", path, headers=as_agent(agent)).status_code == status
        key = (agent, operation, str(status))
        sent[key] = sent.get(key, 0) + 1
    counted = {}
    for item in counters(api, caller="?*")["items"]:
        if item["caller"]["user_agent"] in ("a/1", "b/2", "c"):
            assert item["count"] == sum(item["statuses"].values())
            assert 0 < item["latency_seconds_max"] <= item["latency_seconds_sum"]
            for status, times in item["statuses"].items():
                counted[item["caller"]["user_agent"], item["operation"], status] = times
    assert counted == sent


def test_every_thread_counts_and_nothing_is_lost(start, connect):
    server = start(args=("--threads", "4"))
    api = connect(server)

    def send(worker):
        with httpx.Client(base_url=server.address, trust_env=False, timeout=20, headers={
                "Authorization": f"Bearer {server.token}", "User-Agent": f"worker-{worker}"}) as client:
            return [client.get("/v1/zones").headers["x-request-id"] for _ in range(50)]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = [id_ for batch in pool.map(send, range(8)) for id_ in batch]
    logged = calls(api, caller="worker-*")
    assert sorted(call["request_id"] for call in logged) == sorted(ids)
    assert {item["count"] for item in counters(api, caller="worker-*")["items"]} == {50}
    numbers = [call["number"] for call in logged]
    assert numbers == sorted(numbers, reverse=True) and len(set(numbers)) == 400


def test_the_log_is_bounded_and_the_counters_go_on(start, connect):
    api = connect(start(args=("--threads", "1", "--calls-kept", "10")))
    for _ in range(30):
        api.get("/v1/zones")
    assert len(calls(api)) == 10
    assert counters(api, operation="zones.list")["total"] == 30
    recent = counters(api, operation="zones.list", since="1h")
    assert recent["total"] < 30 and recent["complete"] is False
    assert counters(api, operation="zones.list")["complete"] is True


def test_who_sends_a_thousand_user_agents_is_counted_as_other_and_cut_to_size(start, connect):
    server = start(args=("--threads", "1", "--calls-kept", "5000"))
    api = connect(server)
    assert api.request("GET", "/v1/zones", headers=as_agent("x" * 4000)).status_code == 200
    for i in range(1100):
        api.request("GET", "/v1/zones", headers=as_agent(f"agent-{i}"))
    items = counters(api)["items"]
    agents = {item["caller"]["user_agent"] for item in items}
    assert "x" * 127 in agents and "(other)" in agents and len(agents) <= 1024
    assert counters(api, operation="zones.list")["total"] == 1101


def test_those_without_a_token_cannot_crowd_out_those_with_one(start, connect):
    server = start(args=("--threads", "1"))
    api = connect(server)
    with httpx.Client(base_url=server.address, trust_env=False, timeout=20) as stranger:
        for i in range(300):
            assert stranger.get("/v1/zones", headers=as_agent(f"stranger-{i}")).status_code == 401
    assert api.request("GET", "/v1/zones", headers=as_agent("late")).status_code == 200
    assert counters(api, caller="late")["total"] == 1
    strangers = [i for i in counters(api, status="401")["items"]]
    assert len(strangers) <= 129 and sum(i["count"] for i in strangers) == 300
    assert all("token_id" not in i["caller"] and "project" not in i["caller"] for i in strangers)


def test_hostile_texts_are_shown_as_printable_ascii(server, api):
    api.request("GET", "/v1/zones", headers={b"User-Agent": b"evil\xff\t\xc2\x9bagent"})
    api.request("GET", "/v1/" + "%0a" * 200)
    assert calls(api, caller="evil*")[0]["caller"]["user_agent"] == "evil????agent"
    none = calls(api, operation="none")[0]
    assert none["status"] == 404 and len(none["path"]) == 127 and none["path"].startswith("/v1/%0a")


def test_a_token_is_never_shown_and_its_id_survives_a_restart(start, connect, tmp_path):
    server = start(db=str(tmp_path / "a.db"))
    api = connect(server)
    text = api.request("GET", "/sim/v1/calls").text + api.request("GET", "/sim/v1/calls/counters").text
    assert server.token not in text
    before = calls(api)[0]["caller"]["token_id"]
    assert server.stop() == 0
    again = connect(start(db=str(tmp_path / "a.db")))
    again.get("/v1/zones")
    assert calls(again)[0]["caller"]["token_id"] == before


def test_a_tenant_sees_the_calls_on_its_own_project_only(api, server, connect):
    clients = {}
    for name in ("team-a", "team-b"):
        api.post("/sim/v1/projects", {"name": name}, expect=201)
        token = api.post(f"/sim/v1/projects/{name}/tokens", {}, expect=201)["token"]
        clients[name] = connect(server, token=token)
        clients[name].get("/v1/instances")
    own = calls(clients["team-a"], "/v1/calls")
    assert own and {call["caller"]["project"] for call in own} == {"team-a"}
    assert {i["caller"]["project"] for i in counters(clients["team-b"], "/v1/calls/counters")["items"]} == {"team-b"}
    clients["team-a"].refuse("GET", "/sim/v1/calls", status=403, code="forbidden")
    clients["team-a"].refuse("DELETE", "/sim/v1/calls/counters", status=403, code="forbidden")
    clients["team-a"].refuse("GET", "/v1/calls", params={"project": "team-b"}, status=400, code="unknown_field")
    both = {call["caller"]["project"] for call in calls(api)}
    assert {"team-a", "team-b"} <= both


def test_reset_begins_anew(api):
    api.get("/v1/zones")
    began = counters(api)["since"]
    api.delete("/sim/v1/calls/counters", expect=204)
    after = counters(api)
    assert after["since"] > began
    assert {item["operation"] for item in after["items"]} == {"calls.reset"}
    api.get("/v1/zones")
    assert len(calls(api, operation="zones.list")) == 1


def test_a_change_and_a_stream_are_logged_like_any_call(api):
    api.instance(name="a")
    api.refuse("POST", "/v1/instances", {"name": "a"}, status=409, code="already_exists")
    with api.stream(since=0) as stream:
        stream.event()
    statuses = [call["status"] for call in calls(api, operation="instances.create")]
    assert statuses == [409, 201]
    assert calls(api, operation="events.list")[0]["status"] == 200


def test_a_call_that_was_reset_is_in_the_log_when_its_client_knows(server, api):
    """Asked at once, on a connection of its own: another thread may answer."""
    api.post("/sim/v1/faults", {"match": {"operations": ["regions.list"]}, "effect": {"reset": {}}}, expect=201)

    def send(s, path):
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                  f"Authorization: Bearer {server.token}\r\n\r\n".encode())

    counted = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as asker:
        for _ in range(300):
            with socket.create_connection(("127.0.0.1", server.port), timeout=20) as s:
                send(s, "/v1/regions")
                with pytest.raises(ConnectionResetError):
                    s.recv(1)
            send(asker, "/sim/v1/calls/counters?operation=regions.list")
            counted += 1
            assert f'"total":{counted},'.encode() in asker.recv(65536)


def test_a_fault_that_was_applied_is_named_and_a_call_without_answer_has_status_0(api):
    rules = {}
    for operation, effect in (("zones.list", {"error": {"status": 503}}), ("regions.list", {"reset": {}})):
        rule = {"match": {"operations": [operation]}, "when": {"times": 1}, "effect": effect}
        rules[operation] = api.post("/sim/v1/faults", rule, expect=201)["id"]
    assert api.request("GET", "/v1/zones").status_code == 503
    with pytest.raises(httpx.TransportError):
        api.request("GET", "/v1/regions")
    api.get("/v1/zones")
    assert [(c["status"], c.get("fault")) for c in calls(api, operation="zones.list")] == [
        (200, None), (503, rules["zones.list"])]
    assert [(c["status"], c.get("fault")) for c in calls(api, operation="regions.list")] == [(0, rules["regions.list"])]
    assert counters(api, operation="regions.list")["items"][0]["statuses"] == {"0": 1}
    assert counters(api, status="0xx")["total"] == 1
