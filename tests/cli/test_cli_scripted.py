"""What the command sends, and what it makes of answers that a healthy server would not give."""

import json

import pytest
from scripted import Reply

I1 = "i-00000000000000001"
I2 = "i-00000000000000002"


def instance(number, name=None, state="running", revision=None, **more):
    return {"id": f"i-{number:017x}", "project": "default", "name": name or f"web-{number}", "state": state,
            "zone": "mock-1a", "region": "mock-1", "type": "small", "lifecycle": "on-demand", "backend": "none",
            "addresses": [{"type": "internal", "family": "ipv4", "address": f"10.0.0.{number}"}], "tags": {},
            "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z",
            "revision": revision or number, **more}


def event(revision, document, kind="updated"):
    data = {"revision": revision, "time": "2026-01-01T00:00:00.000Z", "project": "default", "kind": "instance",
            "id": document["id"], "type": kind, "cause": {"type": "api", "operation": "instances.stop"},
            "document": {**document, "revision": revision}}
    return f"id: {revision}\nevent: instance.{kind}\ndata: {json.dumps(data)}\n\n"


# -- errors ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("status, name, code", [
    (400, "invalid_argument", "refused"), (401, "unauthorized", "denied"), (403, "forbidden", "denied"),
    (404, "not_found", "not_found"), (404, "no_such_path", "refused"), (409, "in_use", "conflict"), (410, "revision_compacted", "refused"),
    (412, "precondition_failed", "conflict"), (422, "idempotency_key_reused", "refused"),
    (503, "unavailable", "refused")])
def test_each_problem_has_its_exit_code_and_is_shown_as_code_detail_and_field(scripted, told, status, name, code):
    scripted.on("GET", f"/v1/instances/{I1}", Reply.problem(status, name, "it is so", field="zone"))
    line = told.error("instance", "get", I1, code=code)
    assert line == f"{name}: it is so (zone)" + (" [request req-1]" if status >= 500 else "")


@pytest.mark.parametrize("reply", [Reply(404, b"<html>no</html>", "text/html"), Reply(200, b"<html>yes</html>"),
                                   Reply(500, b""), Reply(200, {"hello": "world"}), Reply(200, b"[1,2")])
def test_an_answer_of_something_else_than_mockcloud_is_said_to_be_that(scripted, told, reply):
    scripted.on("GET", "/v1/instances", reply)
    assert "is it mockcloud?" in told.error("ls", code="refused")


def test_a_server_that_is_not_there_is_exit_5_and_is_named(bare):
    line = bare.error("ls", code="unreachable")
    assert "http://127.0.0.1:1" in line and "mockcloud serve" in line


def test_an_answer_that_breaks_off_is_exit_5(scripted, told):
    scripted.on("GET", "/v1/instances", Reply(body={"items": []}, length=1000))
    told.error("ls", code="unreachable")


def test_a_server_that_says_nothing_is_exit_4_after_the_timeout(scripted, told):
    scripted.on("GET", "/v1/instances", Reply(hang=True))
    assert "--timeout" in told.error("ls", "--timeout", "200ms", code="timeout")


# -- what is sent ---------------------------------------------------------------------------------

def test_token_project_revision_and_idempotency_key_go_into_headers(scripted, told):
    scripted.on("POST", "/v1/instances", Reply(201, instance(1)))
    scripted.on("POST", f"/v1/instances/{I1}/stop", Reply(202, instance(1)))
    told("instance", "create", "web-1", "--project", "team-a", "--idempotency-key", "k1")
    told("stop", I1, "--if-revision", "7")
    create, stop = scripted.requests[0], scripted.asked("POST", f"/v1/instances/{I1}/stop")[0]
    assert create.headers["authorization"] == "Bearer secret"
    assert create.headers["x-mockcloud-project"] == "team-a"
    assert create.headers["idempotency-key"] == "k1" and create.headers["content-type"] == "application/json"
    assert stop.headers["if-match"] == '"7"' and "idempotency-key" not in stop.headers


def test_a_token_file_is_read_and_flags_win_over_the_environment(scripted, told, tmp_path):
    scripted.on("GET", "/v1/instances", Reply.items())
    (tmp_path / "t").write_text("from-file\n")
    told("ls", "--token-file", str(tmp_path / "t"), "-o", "name")
    told("ls", "-o", "name", "--token=from-flag")
    told("ls", "-o", "name")
    (tmp_path / "mockcloud").mkdir()
    (tmp_path / "mockcloud" / "token").write_text("from-default")
    told("ls", "-o", "name", env={"MOCKCLOUD_TOKEN": "", "XDG_CONFIG_HOME": str(tmp_path)})
    told("ls", "-o", "name", env={"MOCKCLOUD_TOKEN": ""})
    assert [r.headers.get("authorization") for r in scripted.requests] == [
        "Bearer from-file", "Bearer from-flag", "Bearer secret", "Bearer from-default", None]


def test_a_server_on_this_machine_is_never_reached_through_a_proxy(scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items())
    told("ls", "--count", env={"http_proxy": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"})
    assert len(scripted.requests) == 1


def test_filters_become_query_parameters_whatever_they_hold(scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items())
    told("ls", "--zone", "mock-1a", "--state", "running,stopped", "--tag", "a b/ü=c&d=e", "--tag", "x=", "--type", "s",
         "--lifecycle", "spot", "--count")
    query = scripted.requests[0].query
    assert query == {"limit": ["1000"], "zone": ["mock-1a"], "state": ["running,stopped"], "tag.a b/ü": ["c&d=e"],
                     "tag.x": [""], "type": ["s"], "lifecycle": ["spot"]}


def test_create_flags_become_the_body(scripted, told):
    scripted.on("POST", "/v1/instances", Reply(201, instance(1)))
    told("instance", "create", "web-1", "--zone", "z", "--type", "small", "--lifecycle", "spot", "--backend",
         "virtual-node", "--tag", "a=b=c", "--tag", "e=", "--address", "10.1.2.3", "--address", "external=2001:db8::1",
         "--ip-family", "ipv6", "--ip-family", "ipv4", "--no-external-ip")
    assert scripted.requests[0].body == {
        "name": "web-1", "zone": "z", "type": "small", "lifecycle": "spot", "backend": "virtual-node",
        "tags": {"a": "b=c", "e": ""}, "ip_families": ["ipv6", "ipv4"], "external_ip": False,
        "addresses": [{"type": "internal", "address": "10.1.2.3"}, {"type": "external", "address": "2001:db8::1"}]}


def test_a_listener_names_its_pool_and_its_options(scripted, told):
    scripted.on("GET", "/v1/target-pools", Reply.items({"id": "tp-00000000000000009", "name": "front"}))
    scripted.on("POST", "/v1/load-balancers", Reply(201, {"id": "lb-00000000000000001", "name": "lb"}))
    told("lb", "create", "lb", "--listener", "tcp:80:front:30080", "--listener",
         "UDP:53:tp-00000000000000007:53,proxy=v2,idle=5,affinity=client-ip,affinity-timeout=60", "--source-range",
         "192.0.2.0/24", "--scheme", "internal")
    assert scripted.asked("POST")[0].body == {
        "name": "lb", "scheme": "internal", "source_ranges": ["192.0.2.0/24"], "listeners": [
            {"protocol": "TCP", "port": 80, "target_port": 30080, "target_pool_id": "tp-00000000000000009"},
            {"protocol": "UDP", "port": 53, "target_port": 53, "target_pool_id": "tp-00000000000000007",
             "proxy_protocol": "v2", "idle_timeout_seconds": 5, "session_affinity": "client-ip",
             "session_affinity_timeout_seconds": 60}]}


def test_update_sends_a_merge_patch_with_null_for_removed_tags(scripted, told):
    scripted.on("PATCH", f"/v1/instances/{I1}", Reply(200, instance(1)))
    told("instance", "update", I1, "--tag", "a=b", "--untag", "old", "--address", "none")
    assert scripted.requests[0].body == {"tags": {"a": "b", "old": None}, "addresses": []}


def test_a_name_of_several_is_refused_with_their_ids(scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items(instance(1, "web"), instance(2, "web")))
    line = told.error("terminate", "web", code="conflict")
    assert I1 in line and I2 in line and not scripted.asked("POST")


def test_a_name_shared_with_terminated_ones_means_the_one_that_lives(scripted, told):
    scripted.on("GET", "/v1/instances",
                Reply.items(instance(1, "web", "terminated"), instance(2, "web"), instance(3, "web", "terminated")))
    scripted.on("POST", f"/v1/instances/{I2}/terminate", Reply(202, instance(2, "web", "terminating")))
    assert told("terminate", "web", "-o", "id") == I2 + "\n"


# -- lists ----------------------------------------------------------------------------------------

def test_a_list_follows_its_pages_and_stops_at_the_limit(scripted, told):
    pages = [Reply.items(instance(1), instance(2), next_page_token="p 2"), Reply.items(instance(3), instance(4))]
    scripted.on("GET", "/v1/instances", *pages)
    assert told.lines("ls", "-o", "name") == ["web-1", "web-2", "web-3", "web-4"]
    assert scripted.requests[1].query["page_token"] == ["p 2"]
    scripted.requests.clear()
    scripted.on("GET", "/v1/instances", *pages)
    assert told.lines("ls", "-o", "name", "--limit", "1") == ["web-1"]
    assert [r.query["limit"] for r in scripted.requests] == [["1"]]


def test_the_same_seed_draws_the_same_and_another_seed_another(scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items(*(instance(n) for n in range(1, 60))))
    draws = [told.lines("ls", "-o", "name", "--random", "5", "--seed", seed) for seed in (1, 1, 2, 3)]
    assert draws[0] == draws[1] and len({tuple(d) for d in draws}) == 3
    assert all(len(set(d)) == 5 for d in draws)
    done = told.run("ls", "-o", "name", "--random", "5")
    again = done.stderr.split("--seed ")[1].strip()
    assert told("ls", "-o", "name", "--random", "5", "--seed", again) == done.stdout
    assert len(told.lines("ls", "-o", "name", "--random", "100", "--seed", "1")) == 59


def test_tables_are_aligned_and_hide_control_characters(scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items(
        instance(1, "a"), instance(2, "a-longer-name", tags={"k": "\x1b[31mred\r\n\x9b", "ü": "ö"}, state="stopped")))
    table = told.lines("ls", "-o", "wide", env={"LC_ALL": "C.UTF-8"})
    assert len(table) == 3 and "\x1b" not in "".join(table) and "\x9b" not in "".join(table)
    assert "k=?[31mred????,ü=ö" in table[2]
    for header in ("ID", "STATE", "ZONE", "INTERNAL"):
        at = table[0].index(f" {header} ")
        assert all(line[at] == " " and line[at + 1] != " " for line in table), header


@pytest.mark.parametrize("now,shown", [("2026-01-01T00:03:12.500Z", "3m12s"), ("", "2026-01-01T00:00:00.000Z"),
                                       ("soon", "2026-01-01T00:00:00.000Z")])
def test_ages_are_of_cloud_time_as_the_answer_says_it_and_else_times_are_shown(scripted, told, now, shown):
    scripted.on("GET", "/v1/instances", Reply(body=Reply.items(instance(1)).body, now=now))
    assert told.lines("ls")[1].split()[-1] == shown
    assert len(scripted.requests) == 1


# -- actions --------------------------------------------------------------------------------------

def test_a_selector_acts_only_on_states_where_the_action_makes_sense(scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items())
    for verb, states in (("start", "stopped"), ("stop", "running"),
                         ("terminate", "pending,running,stopping,stopped,rebooting,error")):
        told(verb, "--all")
        assert scripted.requests[-1].query["state"] == [states]
    done = told.run("terminate", "--state", "error", "--zone", "z")
    assert scripted.requests[-1].query["state"] == ["error"] and "nothing matched" in done.stderr


def test_a_dry_run_shows_what_matched_and_changes_nothing(scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items(instance(1), instance(2)))
    assert told.lines("terminate", "--all", "--dry-run", "-o", "name") == ["web-1", "web-2"]
    assert {r.method for r in scripted.requests} == {"GET"}


def test_one_refusal_does_not_hold_up_the_others_and_is_counted(scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items(instance(1), instance(2), instance(3)))
    for number in (1, 3):
        scripted.on("POST", f"/v1/instances/{instance(number)['id']}/stop", Reply(202, instance(number)))
    scripted.on("POST", f"/v1/instances/{I2}/stop", Reply.problem(409, "illegal_transition", "no"))
    done = told.run("stop", "--all", "-o", "name", code="conflict")
    assert done.stdout.split() == ["web-1", "web-3"]
    assert done.stderr.splitlines() == ["mockcloud: web-2: illegal_transition: no", "mockcloud: 1 of 3 failed"]


# -- streams --------------------------------------------------------------------------------------

def test_wait_is_over_at_once_when_the_condition_holds_already(scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items(instance(1)))
    told("wait", "instance/web-1", "--for", "state=running")
    assert not scripted.asked(path="/v1/events")


def test_wait_looks_once_and_then_follows_events_from_before_it_looked(scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items(instance(1)))
    other = event(101, instance(2, state="stopped"))
    scripted.on("GET", "/v1/events", Reply.events(
        ": hello\n\n", other, event(102, instance(1, state="stopping")), event(103, instance(1, state="stopped"))))
    assert told("wait", "instance/web-1", "--for", "state=stopped", "-o", "id") == I1 + "\n"
    stream, = scripted.asked(path="/v1/events")
    assert stream.query == {"since": ["100"], "kind": ["instance"]}
    assert stream.headers["accept"] == "text/event-stream"
    assert len(scripted.asked(path="/v1/instances")) == 2


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_stream_in_pieces_of_any_size_and_line_ending_is_read(scripted, told, end):
    scripted.on("GET", "/v1/instances", Reply.items(instance(1)))
    text = (": c\n\n" + event(101, instance(1, state="stopping")) + event(102, instance(1, state="stopped")))
    data = text.replace("\n", end).encode() + end.encode()
    scripted.on("GET", "/v1/events", Reply.events(*(data[i:i + 1] for i in range(len(data)))))
    assert "stopped" in told("wait", "instance/web-1", "--for", "state=stopped")


def test_a_stream_that_is_cut_within_an_event_is_resumed_where_it_was(scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items(instance(1)))
    half = event(102, instance(1, state="stopped"))
    scripted.on("GET", "/v1/events", Reply.events(event(101, instance(1, state="stopping")), half[:-3]),
                Reply.events(half))
    told("wait", "instance/web-1", "--for", "state=stopped")
    first, second = scripted.asked(path="/v1/events")
    assert "last-event-id" not in first.headers and second.headers["last-event-id"] == "101"


def test_a_stream_that_ends_at_once_again_and_again_is_exit_5(scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items(instance(1)))
    scripted.on("GET", "/v1/events", Reply(type="text/event-stream", body=b""))
    told.error("wait", "instance/web-1", "--for", "state=stopped", code="unreachable")
    assert len(scripted.asked(path="/v1/events")) == 1


def test_a_stream_of_garbage_is_said_to_be_that(scripted, told):
    scripted.on("GET", "/v1/zones", Reply.items())
    scripted.on("GET", "/v1/events", Reply.events("data: {nonsense\n\n"))
    assert "is it mockcloud?" in told.error("event", "follow", code="refused")


def test_a_resource_that_goes_while_waited_for_is_exit_3_and_deleted_is_what_that_means(scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items(instance(1)))
    gone = event(101, instance(1, state="terminated"), "deleted")
    scripted.on("GET", "/v1/events", Reply.events(gone))
    assert "deleted while waiting" in told.error("wait", "instance/web-1", "--for", "state=stopped", code="not_found")
    told("wait", "instance/web-1", "--for", "deleted")


def test_events_as_json_are_one_line_each(scripted, told):
    scripted.on("GET", "/v1/zones", Reply.items())
    scripted.on("GET", "/v1/events", Reply.events(*(event(n, instance(1)) for n in (5, 6, 7))))
    lines = told.lines("events", "--follow", "-o", "json", "--limit", "2")
    assert [json.loads(line)["revision"] for line in lines] == [5, 6]
    assert scripted.asked(path="/v1/events")[0].query == {"since": ["100"]}  # the cloud's revision when it began
