"""Instances: their states, times, names, addresses and changes."""

import ipaddress

import pytest

ACTIONS = ("start", "stop", "reboot", "terminate")
TIMED = {"pending": "10s", "stopping": "20s", "rebooting": "30s", "terminating": "40s"}


@pytest.fixture
def slow(api):
    """A cloud in which every transition takes time."""
    for state, value in TIMED.items():
        api.latency(f"instance.{state}", value)
    return api


def act(api, instance, action, expect=202):
    return api.post(f"/v1/instances/{instance['id']}/{action}", expect=expect)


def state_of(api, instance):
    return api.get(f"/v1/instances/{instance['id']}")["state"]


def test_without_latencies_a_new_instance_is_running_at_once(api):
    made = api.instance(name="web-1", zone="mock-1a", type="small", tags={"role": "web"})
    got = api.get(f"/v1/instances/{made['id']}")
    assert got["state"] == "running"
    assert (got["name"], got["zone"], got["type"], got["tags"]) == ("web-1", "mock-1a", "small", {"role": "web"})
    assert got["project"] == "default" and got["region"] == "mock-1"
    assert "transition_at" not in got


def test_an_empty_body_makes_an_instance_with_every_default(api):
    made = api.instance()
    zones = api.get("/v1/zones")["items"]
    types = api.get("/v1/instance-types")["items"]
    assert made["name"] == made["id"]
    assert made["zone"] == zones[0]["name"] and made["region"] == zones[0]["region"]
    assert made["type"] == types[0]["name"]
    assert made["lifecycle"] == "on-demand" and made["backend"] == "none" and made["tags"] == {}
    assert {(a["type"], a.get("family")) for a in made["addresses"]} >= {("internal", "ipv4"), ("external", "ipv4")}


def test_the_answer_of_a_create_names_its_location_and_etag(api):
    response = api.request("POST", "/v1/instances", json={"name": "one"})
    made = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/v1/instances/{made['id']}"
    assert response.headers["etag"] == f'"{made["revision"]}"'


def test_a_new_instance_is_pending_until_its_time_has_come_to_the_millisecond(slow):
    made = slow.instance()
    assert made["state"] == "pending" and made["transition_at"] == "2026-01-01T00:00:10.000Z"
    assert slow.advance("9.999s")["fired"] == 0
    assert state_of(slow, made) == "pending"
    assert slow.advance("1ms")["fired"] == 1
    assert state_of(slow, made) == "running"


@pytest.mark.parametrize("action,between,seconds,after", [
    ("stop", "stopping", 20, "stopped"),
    ("reboot", "rebooting", 30, "running"),
    ("terminate", "terminating", 40, "terminated"),
])
def test_an_action_on_a_running_instance_takes_its_time(slow, action, between, seconds, after):
    made = slow.instance()
    slow.advance("10s")
    answer = act(slow, made, action)
    assert answer["state"] == between
    assert answer["transition_at"] == f"2026-01-01T00:00:{10 + seconds}.000Z"
    slow.advance(f"{seconds - 1}s")
    assert state_of(slow, made) == between
    slow.advance("1s")
    assert state_of(slow, made) == after


def test_a_stopped_instance_starts_through_pending(slow):
    made = slow.instance()
    slow.advance("10s")
    act(slow, made, "stop")
    slow.advance("20s")
    assert act(slow, made, "start")["state"] == "pending"
    slow.advance("10s")
    assert state_of(slow, made) == "running"


def reach(api, state):
    """An instance in this state."""
    made = api.instance()
    if state == "pending":
        return made
    api.advance("10s")
    if state in ("stopping", "stopped"):
        act(api, made, "stop")
    elif state == "rebooting":
        act(api, made, "reboot")
    elif state in ("terminating", "terminated"):
        act(api, made, "terminate")
    if state in ("stopped", "terminated"):
        api.advance("40s" if state == "terminated" else "20s")
    assert state_of(api, made) == state
    return made


ILLEGAL = [
    ("pending", "start"), ("pending", "stop"), ("pending", "reboot"),
    ("running", "start"),
    ("stopping", "start"), ("stopping", "reboot"),
    ("stopped", "reboot"),
    ("rebooting", "start"),
    ("terminating", "start"), ("terminating", "stop"), ("terminating", "reboot"),
    ("terminated", "start"), ("terminated", "stop"), ("terminated", "reboot"),
]


@pytest.mark.parametrize("state,action", ILLEGAL)
def test_an_illegal_action_is_refused_and_changes_nothing(slow, state, action):
    made = reach(slow, state)
    before = slow.get(f"/v1/instances/{made['id']}")
    problem = slow.refuse("POST", f"/v1/instances/{made['id']}/{action}", status=409, code="illegal_transition")
    assert state in problem["detail"]
    assert slow.get(f"/v1/instances/{made['id']}") == before


@pytest.mark.parametrize("state", ["pending", "running", "stopping", "stopped", "rebooting", "terminating", "terminated"])
def test_terminate_is_possible_in_every_state(slow, state):
    made = reach(slow, state)
    answer = act(slow, made, "terminate")
    assert answer["state"] in ("terminating", "terminated")
    slow.advance("40s")
    assert state_of(slow, made) == "terminated"


def test_terminating_again_changes_nothing(api):
    made = api.instance()
    first = act(api, made, "terminate")
    assert act(api, made, "terminate") == first
    assert api.delete(f"/v1/instances/{made['id']}", expect=202) == first


def test_delete_terminates(slow):
    made = reach(slow, "running")
    assert slow.delete(f"/v1/instances/{made['id']}", expect=202)["state"] == "terminating"


def test_a_terminated_instance_stays_visible_for_a_minute_and_then_is_gone(api):
    made = api.instance(name="short")
    act(api, made, "terminate")
    gone_at = api.get(f"/v1/instances/{made['id']}")
    assert gone_at["state"] == "terminated" and gone_at["transition_at"] == "2026-01-01T00:01:00.000Z"
    api.advance("59.999s")
    assert state_of(api, made) == "terminated"
    api.advance("1ms")
    api.missing(f"/v1/instances/{made['id']}")
    assert api.get("/v1/instances")["items"] == []
    assert [e["type"] for e in api.events(kind="instance")][-1] == "deleted"


def test_the_retention_time_of_terminated_instances_can_be_set(api):
    api.latency("instance.terminated", "5s")
    made = api.instance()
    act(api, made, "terminate")
    api.advance("4.9s")
    assert state_of(api, made) == "terminated"
    api.advance("100ms")
    api.missing(f"/v1/instances/{made['id']}")


def test_a_user_action_leaves_its_reason(api):
    made = api.instance()
    assert act(api, made, "stop")["state_reason"]["code"] == "user-request"


def test_a_name_is_unique_until_its_instance_is_terminated(api):
    first = api.instance(name="only")
    api.refuse("POST", "/v1/instances", {"name": "only"}, status=409, code="already_exists", field="name")
    act(api, first, "terminate")
    second = api.instance(name="only")
    assert second["id"] != first["id"]
    listed = api.get("/v1/instances", params={"name": "only"})["items"]
    assert {i["id"] for i in listed} == {first["id"], second["id"]}


def test_renaming_to_a_taken_name_is_refused_and_to_its_own_is_not(api):
    api.instance(name="one")
    two = api.instance(name="two")
    api.refuse("PATCH", f"/v1/instances/{two['id']}", {"name": "one"}, status=409, code="already_exists", field="name")
    assert api.patch(f"/v1/instances/{two['id']}", {"name": "two"})["name"] == "two"
    assert api.patch(f"/v1/instances/{two['id']}", {"name": "three"})["name"] == "three"


def test_count_makes_that_many_with_numbered_names_and_distinct_addresses(api):
    answer = api.post("/v1/instances", {"name": "pool", "count": 25, "tags": {"a": "b"}}, expect=201)
    assert [i["name"] for i in answer["items"]] == [f"pool-{n}" for n in range(1, 26)]
    assert all(i["tags"] == {"a": "b"} for i in answer["items"])
    addresses = [a["address"] for i in answer["items"] for a in i["addresses"]]
    assert len(set(addresses)) == len(addresses)
    assert api.get("/v1/instances")["items"] == answer["items"]


def test_count_is_all_or_nothing(api):
    api.instance(name="pool-3")
    api.refuse("POST", "/v1/instances", {"name": "pool", "count": 5}, status=409, code="already_exists")
    assert [i["name"] for i in api.get("/v1/instances")["items"]] == ["pool-3"]


def test_ten_thousand_instances_are_made_in_one_call(api):
    answer = api.post("/v1/instances", {"count": 10000}, expect=201)
    assert len({i["id"] for i in answer["items"]}) == 10000
    assert len(api.get("/v1/instances", params={"limit": 10000})["items"]) == 10000


@pytest.mark.parametrize("families", [["ipv4"], ["ipv6"], ["ipv4", "ipv6"], ["ipv6", "ipv4"]])
def test_addresses_are_allocated_in_the_order_of_the_families(api, families):
    made = api.instance(name="dual", ip_families=families)
    internal = [a for a in made["addresses"] if a["type"] == "internal"]
    assert [a["family"] for a in internal] == families
    for address in internal:
        assert f"ipv{ipaddress.ip_address(address['address']).version}" == address["family"]
    external = [a["family"] for a in made["addresses"] if a["type"] == "external"]
    assert external == families


def test_without_external_ip_there_is_none(api):
    made = api.instance(external_ip=False)
    assert {a["type"] for a in made["addresses"]} == {"internal", "internal-dns"}


def test_given_addresses_are_taken_as_they_are(api):
    given = [{"type": "internal", "address": "10.9.8.7"}, {"type": "external", "address": "2001:db8::1"},
             {"type": "hostname", "address": "box.example"}]
    made = api.instance(addresses=given)
    assert made["addresses"] == [
        {"type": "internal", "family": "ipv4", "address": "10.9.8.7"},
        {"type": "external", "family": "ipv6", "address": "2001:db8::1"},
        {"type": "hostname", "address": "box.example"},
    ]


def test_an_address_in_use_is_refused_and_free_again_after_termination(api):
    given = [{"type": "internal", "address": "10.9.8.7"}]
    first = api.instance(addresses=given)
    api.refuse("POST", "/v1/instances", {"addresses": given}, status=409, code="in_use")
    act(api, first, "terminate")
    api.advance("61s")
    assert api.instance(addresses=given)["addresses"][0]["address"] == "10.9.8.7"


def test_addresses_given_are_never_allocated_again(api):
    taken = api.instance()["addresses"][0]["address"]
    following = str(ipaddress.ip_address(taken) + 1)
    api.instance(addresses=[{"type": "internal", "address": following}])
    others = api.post("/v1/instances", {"count": 50}, expect=201)["items"]
    allocated = [a["address"] for i in others for a in i["addresses"]]
    assert following not in allocated and taken not in allocated


def test_a_patch_merges_tags_and_null_deletes_one(api):
    made = api.instance(tags={"keep": "1", "change": "2", "drop": "3"})
    patched = api.patch(f"/v1/instances/{made['id']}", {"tags": {"change": "x", "drop": None, "new": ""}})
    assert patched["tags"] == {"keep": "1", "change": "x", "new": ""}
    assert patched["revision"] > made["revision"]
    assert patched["name"] == made["name"] and patched["addresses"] == made["addresses"]


def test_a_patch_can_replace_the_addresses(api):
    made = api.instance()
    patched = api.patch(f"/v1/instances/{made['id']}",
                        {"addresses": [{"type": "internal", "address": "10.1.1.1"}]})
    assert patched["addresses"] == [{"type": "internal", "family": "ipv4", "address": "10.1.1.1"}]


def test_the_type_changes_only_while_stopped(api):
    kinds = [t["name"] for t in api.get("/v1/instance-types")["items"]]
    assert len(kinds) >= 2
    made = api.instance(type=kinds[0])
    api.refuse("PATCH", f"/v1/instances/{made['id']}", {"type": kinds[1]}, status=409, code="illegal_transition")
    act(api, made, "stop")
    assert api.patch(f"/v1/instances/{made['id']}", {"type": kinds[1]})["type"] == kinds[1]
    api.refuse("PATCH", f"/v1/instances/{made['id']}", {"type": "no-such-type"}, status=400,
               code="invalid_argument", field="type")


def test_updated_at_moves_and_created_at_does_not(api):
    made = api.instance()
    api.advance("1h")
    patched = api.patch(f"/v1/instances/{made['id']}", {"tags": {"a": "b"}})
    assert patched["created_at"] == made["created_at"] == "2026-01-01T00:00:00.000Z"
    assert patched["updated_at"] == "2026-01-01T01:00:00.000Z"


def test_spot_and_virtual_node_are_kept(api):
    made = api.instance(lifecycle="spot", backend="virtual-node")
    assert (made["lifecycle"], made["backend"]) == ("spot", "virtual-node")


def test_every_change_of_an_instance_is_an_event_of_its_revision(slow):
    made = slow.instance()
    slow.advance("10s")
    act(slow, made, "stop")
    slow.advance("20s")
    events = slow.events(kind="instance")
    assert [(e["type"], e["document"]["state"], e["cause"]["type"]) for e in events] == [
        ("created", "pending", "api"), ("updated", "running", "timer"),
        ("updated", "stopping", "api"), ("updated", "stopped", "timer"),
    ]
    assert events[0]["cause"]["operation"] == "instances.create"
    assert events[2]["cause"]["operation"] == "instances.stop"
    assert events[-1]["document"] == slow.get(f"/v1/instances/{made['id']}")


@pytest.mark.parametrize("path", ["", "/start", "/stop", "/reboot", "/terminate"])
def test_an_unknown_instance_is_not_found(api, path):
    method = "POST" if path else "GET"
    api.refuse(method, f"/v1/instances/i-0123456789abcdef0{path}", status=404, code="not_found")


@pytest.mark.parametrize("method,body", [("PATCH", {"name": "x"}), ("DELETE", None)])
def test_an_unknown_instance_can_be_neither_changed_nor_deleted(api, method, body):
    api.refuse(method, "/v1/instances/i-0123456789abcdef0", body, status=404, code="not_found")


def test_a_name_that_makes_no_dns_name_gets_no_dns_address(api):
    made = api.instance(name="x" * 253)
    assert {a["type"] for a in made["addresses"]} == {"internal", "external"}
    longest = 253 - len(".mock-1a.internal")
    made = api.instance(name="y" * longest)
    assert [len(a["address"]) for a in made["addresses"] if a["type"] == "internal-dns"] == [253]
