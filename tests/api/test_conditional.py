"""Conditional requests (RFC 9110) and idempotency keys."""

import threading

import pytest

from harness.contract import BY_ID, OPERATIONS


@pytest.fixture
def instance(api):
    return api.instance(name="one")


def path_of(instance):
    return f"/v1/instances/{instance['id']}"


def etag(revision):
    return f'"{revision}"'


@pytest.mark.parametrize("make", ["instance", "load_balancer", "pool", "address", "route"])
def test_the_etag_of_every_resource_is_its_revision_and_answers_304(api, make):
    made = {
        "instance": lambda: ("/v1/instances", api.instance()),
        "load_balancer": lambda: ("/v1/load-balancers", api.load_balancer()),
        "pool": lambda: ("/v1/target-pools", api.pool()),
        "address": lambda: ("/v1/addresses", api.post("/v1/addresses", {})),
        "route": lambda: ("/v1/routes", api.route("10.1.0.0/16", {"address": "10.0.0.1"})),
    }[make]()
    path = f"{made[0]}/{made[1]['id']}"
    response = api.request("GET", path)
    assert response.headers["etag"] == etag(made[1]["revision"])
    unchanged = api.request("GET", path, headers={"If-None-Match": response.headers["etag"]})
    assert unchanged.status_code == 304 and unchanged.content == b""
    assert unchanged.headers["etag"] == response.headers["etag"]
    api.patch(path, {"tags": {"a": "b"}})
    assert api.request("GET", path, headers={"If-None-Match": response.headers["etag"]}).status_code == 200


@pytest.mark.parametrize("value,status", [
    ("*", 304), ('W/{}', 304), ('"0", {}', 304), ('"0"', 200), ("{}", 304),
])
def test_if_none_match_understands_lists_weak_tags_and_the_star(api, instance, value, status):
    value = value.format(etag(instance["revision"]))
    assert api.request("GET", path_of(instance), headers={"If-None-Match": value}).status_code == status


def test_if_match_lets_a_change_through_once(api, instance):
    headers = {"If-Match": etag(instance["revision"])}
    api.patch(path_of(instance), {"tags": {"n": "1"}}, headers=headers)
    api.refuse("PATCH", path_of(instance), {"tags": {"n": "2"}}, headers=headers, status=412, code="precondition_failed")
    assert api.get(path_of(instance))["tags"] == {"n": "1"}


@pytest.mark.parametrize("action", ["stop", "reboot", "terminate"])
def test_if_match_guards_actions(api, instance, action):
    stale = {"If-Match": etag(instance["revision"] + 1000)}
    api.refuse("POST", f"{path_of(instance)}/{action}", headers=stale, status=412, code="precondition_failed")
    fresh = {"If-Match": etag(instance["revision"])}
    api.call("POST", f"{path_of(instance)}/{action}", headers=fresh, expect=202)


def test_if_match_guards_deletion(api, instance):
    api.refuse("DELETE", path_of(instance), headers={"If-Match": '"1"'}, status=412, code="precondition_failed")
    assert api.get(path_of(instance))["state"] == "running"
    api.delete(path_of(instance), headers={"If-Match": etag(instance["revision"])}, expect=202)


CONDITIONAL = [op.id for op in OPERATIONS if any(p.get("$ref", "").endswith("/ifMatch") for p in op.body.get("parameters", []))]
assert len(CONDITIONAL) > 20
BODIES = {
    "load_balancers.add_listener": lambda api: {"protocol": "TCP", "port": 81, "target_port": 81, "target_pool_id": api.pool()["id"]},
    "target_pools.add_targets": lambda api: {"targets": [{"address": "192.0.2.11"}]},
    "instances.interrupt": lambda api: {"kind": "spot", "notice": "120s"},
    "faults.update": lambda api: {"enabled": False},
}


def subject(api, operation):
    """A resource that the operation can be done to, and where."""
    def instance():
        made = api.instance()
        if operation == "instances.start":
            api.call("POST", f"{path_of(made)}/stop")
        if operation == "instances.cancel_interrupt":
            api.post(f"/sim/v1/instances/{made['id']}/interrupt", {"kind": "spot", "notice": "120s"})
        return "/v1/instances", made

    def load_balancer():
        pool = api.pool()["id"]
        return "/v1/load-balancers", api.load_balancer(
            listeners=[{"protocol": "TCP", "port": 80, "target_port": 80, "target_pool_id": pool}])

    def pool():
        made = api.pool(targets=[{"address": "192.0.2.10"}])
        if operation == "target_pools.heal_target":
            api.call("POST", f"/sim/v1/target-pools/{made['id']}/targets/192.0.2.10/fail")
        return "/v1/target-pools", made

    def of(collection, body):
        return lambda: (collection, api.post(collection, body))

    make = {
        "instances": instance, "load_balancers": load_balancer,
        "target_pools": pool, "addresses": of("/v1/addresses", {}),
        "routes": of("/v1/routes", {"destination_cidr": "10.1.0.0/16", "next_hop": {"address": "10.0.0.1"}}),
        "faults": of("/sim/v1/faults", {"match": {"operations": ["zones.list"]}, "effect": {"reset": {}}}),
        "chaos": of("/sim/v1/chaos", {"profile": "spot-heavy"}),
        "scenarios": of("/sim/v1/scenarios", {"source": "steps:\n- after: 1h\n  create: {}\n"}),
    }
    collection, made = make[operation.split(".")[0]]()
    return f"{collection}/{made['id']}", BY_ID[operation].template.format(id=made["id"], listener="tcp-80", target="192.0.2.10")


@pytest.mark.parametrize("operation", CONDITIONAL)
def test_if_match_guards_every_operation_that_takes_it(api, operation):
    where, path = subject(api, operation)
    method = BY_ID[operation].method.upper()
    body = BODIES.get(operation, lambda api: {"tags": {"a": "b"}} if method == "PATCH" else None)(api)
    before = api.request("GET", where)
    api.refuse(method, path, body, headers={"If-Match": etag(10**6)}, status=412, code="precondition_failed")
    assert api.request("GET", where).content == before.content
    api.call(method, path, body, headers={"If-Match": before.headers["etag"]})
    after = api.request("GET", where)
    assert after.status_code == 404 or after.headers["etag"] != before.headers["etag"]


def test_if_match_star_needs_only_existence(api, instance):
    api.patch(path_of(instance), {"tags": {"a": "b"}}, headers={"If-Match": "*"})


@pytest.mark.parametrize("value", ["nonsense", '"abc"', '"', '"1', "12", '"-1"', '"99999999999999999999"'])
def test_an_if_match_that_names_no_revision_never_lets_a_change_through(api, instance, value):
    response = api.request("PATCH", path_of(instance), json={"tags": {"a": "b"}}, headers={"If-Match": value})
    assert response.status_code in (400, 412)
    assert api.get(path_of(instance)) == instance


def test_of_concurrent_changes_with_one_etag_exactly_one_wins(server, connect, api, instance):
    headers = {"If-Match": etag(instance["revision"])}
    statuses, barrier = [], threading.Barrier(8)

    def change(client, n):
        barrier.wait()
        statuses.append(client.request("PATCH", path_of(instance), json={"tags": {"n": str(n)}},
                                       headers=headers).status_code)

    threads = [threading.Thread(target=change, args=(connect(server), n)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [412] * 7


def keyed(key):
    return {"headers": {"Idempotency-Key": key}}


def test_a_repeat_with_the_same_key_gets_the_first_answer(api):
    first = api.request("POST", "/v1/instances", json={"name": "one"}, **keyed("k1"))
    again = api.request("POST", "/v1/instances", json={"name": "one"}, **keyed("k1"))
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["location"] == first.headers["location"]
    assert len(api.get("/v1/instances")["items"]) == 1


def test_a_replay_is_the_first_answer_even_after_later_changes(api):
    first = api.post("/v1/instances", {"name": "one"}, **keyed("k1"))
    api.post(path_of(first) + "/stop", expect=202)
    assert api.post("/v1/instances", {"name": "one"}, **keyed("k1")) == first


def test_the_same_key_with_another_body_is_refused(api):
    api.post("/v1/instances", {"name": "one"}, **keyed("k1"))
    api.refuse("POST", "/v1/instances", {"name": "two"}, **keyed("k1"), status=422, code="idempotency_key_reused")
    assert len(api.get("/v1/instances")["items"]) == 1


def test_a_refused_request_does_not_use_up_its_key(api):
    api.instance(name="taken")
    api.refuse("POST", "/v1/instances", {"name": "taken"}, **keyed("k1"), status=409, code="already_exists")
    api.post("/v1/instances", {"name": "free"}, **keyed("k1"))


def test_a_key_is_forgotten_after_a_day_of_cloud_time(api):
    first = api.post("/v1/instances", {}, **keyed("k1"))
    api.advance("24h")
    assert api.post("/v1/instances", {}, **keyed("k1"))["id"] == first["id"]
    api.advance("1ns")
    assert api.post("/v1/instances", {}, **keyed("k1"))["id"] != first["id"]


def test_keys_cover_count_and_actions(api):
    many = api.post("/v1/instances", {"count": 3}, **keyed("many"))
    again = api.post("/v1/instances", {"count": 3}, **keyed("many"))
    assert again["items"] == many["items"]
    one = many["items"][0]
    first = api.post(path_of(one) + "/stop", **keyed("stop"), expect=202)
    assert api.post(path_of(one) + "/stop", **keyed("stop"), expect=202) == first


def test_keys_of_different_operations_and_projects_do_not_meet(server, connect, api):
    api.post("/sim/v1/projects", {"name": "team-a"}, expect=201)
    other = connect(server, project="team-a")
    one = api.post("/v1/instances", {}, **keyed("k"))
    two = other.post("/v1/instances", {}, **keyed("k"))
    pool = api.post("/v1/target-pools", {}, **keyed("k"))
    assert len({one["id"], two["id"], pool["id"]}) == 3


def test_concurrent_repeats_make_one_instance(server, connect, api):
    answers, barrier = [], threading.Barrier(8)

    def create(client):
        barrier.wait()
        answers.append(client.post("/v1/instances", {"name": "one"}, **keyed("race"))["id"])

    threads = [threading.Thread(target=create, args=(connect(server),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8 and len(set(answers)) == 1
    assert len(api.get("/v1/instances")["items"]) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_empty_or_overlong_key_is_refused_by_name(api, key):
    api.refuse("POST", "/v1/instances", {}, **keyed(key), status=400, code="invalid_argument", field="Idempotency-Key")


def test_a_key_survives_a_restart(server, api, connect):
    first = api.post("/v1/instances", {}, **keyed("k1"))
    server.kill()
    server.start()
    assert connect(server).post("/v1/instances", {}, **keyed("k1")) == first
