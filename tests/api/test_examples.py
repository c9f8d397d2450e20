"""Every example of the OpenAPI document is sent (a request) or held against its schema (an answer)."""

import json

import pytest

from harness.contract import BY_ID, DOCUMENT, OPERATIONS, validate, validator

REQUESTS = [
    (op.id, media, content["example"]) for op in OPERATIONS
    for media, content in op.body.get("requestBody", {}).get("content", {}).items() if "example" in content
]
PLACEHOLDER_POOL = "tp-0123456789abcdef0"


def answers():
    """(where, schema, example) of every example of an answer."""
    for op in OPERATIONS:
        for status, response in op.body["responses"].items():
            for media, content in response.get("content", {}).items():
                if "example" in content:
                    yield f"{op.id} {status}", content["schema"], content["example"]
    for name, response in DOCUMENT["components"]["responses"].items():
        for content in response.get("content", {}).values():
            if "example" in content:
                yield name, content["schema"], content["example"]


@pytest.mark.parametrize("where,schema,example", list(answers()), ids=lambda value: value if isinstance(value, str) else "")
def test_an_example_of_an_answer_is_one(where, schema, example):
    assert validator(schema).is_valid(example), list(validator(schema).iter_errors(example))


def made_for(api, operation):
    """The parameters of the path, of things that are made for it first."""
    collection = operation.split(".")[0]
    make = {
        "instances": lambda: api.instance(), "load_balancers": lambda: api.load_balancer(),
        "target_pools": lambda: api.pool(), "addresses": lambda: api.post("/v1/addresses", {}),
        "routes": lambda: api.route("10.200.0.0/24", {"address": "10.0.0.1"}),
    }
    make["faults"] = lambda: api.post("/sim/v1/faults", {"match": {"operations": ["*"]}, "effect": {"reset": {}}})
    template = BY_ID[operation].template
    parameters = {"transition": "instance.pending", "listener": "tcp-80", "target": "192.0.2.10"}
    if "{id}" in template:
        parameters["id"] = make[collection]()["id"]
    if "{name}" in template:
        parameters["name"] = {"zones": "mock-1z", "instance_types": "tiny", "projects": "team", "quotas": "team",
                              "clusters": "kind"}[collection]
    if operation in ("projects.create_token", "projects.update") or collection == "quotas":
        api.post("/sim/v1/projects", {"name": "team"}, expect=201)
    return {name: value for name, value in parameters.items() if "{" + name + "}" in template}


def with_real_pool(api, body):
    """The examples name a pool of a made-up id; a real one takes its place."""
    text = json.dumps(body)
    return json.loads(text.replace(PLACEHOLDER_POOL, api.pool()["id"])) if PLACEHOLDER_POOL in text else body


@pytest.mark.parametrize("operation,media,example", REQUESTS, ids=[f"{op} {media}" for op, media, _ in REQUESTS])
def test_an_example_of_a_request_succeeds(start, connect, operation, media, example):
    api = connect(start(clock="scaled:60" if operation == "clock.update" else "manual"))
    path = BY_ID[operation].template
    for name, value in made_for(api, operation).items():
        path = path.replace("{" + name + "}", value)
    response = api.request(BY_ID[operation].method.upper(), path, json=with_real_pool(api, example))
    assert 200 <= response.status_code < 300, f"{response.status_code} {response.text}"


def test_every_operation_with_a_body_has_an_example():
    with_body = {op.id for op in OPERATIONS if "application/json" in op.body.get("requestBody", {}).get("content", {})}
    with_example = {operation for operation, _, _ in REQUESTS}
    print(f"{len(REQUESTS)} examples of requests, {len(list(answers()))} of answers")
    assert with_body and with_body == with_example


def test_the_examples_of_instances_are_documents_that_the_server_could_have_written():
    example = BY_ID["instances.get"].body["responses"]["200"]["content"]["application/json"]["example"]
    validate("Instance", example)


def test_every_documented_operation_can_succeed(start, connect, tmp_path):
    """One walk through all of them, each answered 2xx."""
    api = connect(start(clock="manual"))
    reached = set()

    def call(operation, body=None, **parameters):
        path = BY_ID[operation].template
        for name, value in parameters.items():
            path = path.replace("{" + name + "}", value)
        response = api.request(BY_ID[operation].method.upper(), path, json=body)
        assert 200 <= response.status_code < 300, f"{operation}: {response.status_code} {response.text[:300]}"
        reached.add(operation)
        return response.json() if response.content and "json" in response.headers["content-type"] else None

    walk_the_instances(call)
    walk_the_network(call)
    walk_the_rest(call)
    walk_the_whole(api, reached, tmp_path)
    missing = {op.id for op in OPERATIONS} - reached
    print(f"{len(reached)} operations answered 2xx")
    assert reached and not missing, f"never called: {missing}"


def walk_the_instances(call):
    id_ = call("instances.create", {"name": "one"})["id"]
    call("instances.list")
    call("instances.get", id=id_)
    call("instances.update", {"tags": {"a": "b"}}, id=id_)
    call("instances.interrupt", {"kind": "maintenance", "notice": "1h"}, id=id_)
    call("instances.cancel_interrupt", id=id_)
    for action in ("stop", "start", "reboot", "terminate", "delete"):
        call(f"instances.{action}", id=id_)


def walk_the_network(call):
    pool = call("target_pools.create", {})["id"]
    call("target_pools.add_targets", {"targets": [{"address": "192.0.2.1"}]}, id=pool)
    call("target_pools.update", {"tags": {"a": "b"}}, id=pool)
    call("target_pools.fail_target", id=pool, target="192.0.2.1")
    call("target_pools.heal_target", id=pool, target="192.0.2.1")
    call("target_pools.remove_target", id=pool, target="192.0.2.1")
    lb = call("load_balancers.create", {})["id"]
    listener = {"protocol": "TCP", "port": 80, "target_pool_id": pool, "target_port": 80}
    call("load_balancers.add_listener", listener, id=lb)
    call("load_balancers.update", {"tags": {"a": "b"}}, id=lb)
    call("load_balancers.remove_listener", id=lb, listener="tcp-80")
    address = call("addresses.create", {})["id"]
    call("addresses.update", {"tags": {"a": "b"}}, id=address)
    route = call("routes.create", {"destination_cidr": "10.128.0.0/24", "next_hop": {"address": "10.0.0.1"}})["id"]
    call("routes.update", {"tags": {"a": "b"}}, id=route)
    for kind, id_ in (("load_balancers", lb), ("target_pools", pool), ("addresses", address), ("routes", route)):
        call(f"{kind}.list")
        call(f"{kind}.get", id=id_)
        call(f"{kind}.delete", id=id_)


def walk_the_chaos(call):
    call("chaos.profiles")
    id_ = call("chaos.start", {"profile": "calm"})["id"]
    call("chaos.list")
    call("chaos.get", id=id_)
    call("chaos.stop", id=id_)
    call("chaos.delete", id=id_)


def walk_the_scenarios(call):
    scenario = {"scenario": {"steps": [{"at": "1h", "terminate": {}}]}}
    assert call("scenarios.validate", scenario)["valid"]
    id_ = call("scenarios.run", scenario)["id"]
    call("scenarios.list")
    call("scenarios.get", id=id_)
    call("scenarios.stop", id=id_)
    call("scenarios.delete", id=id_)


def walk_the_rest(call):
    call("zones.put", {"region": "far"}, name="far-a")
    call("instance_types.put", {"cpus": 1, "memory_mib": 1}, name="tiny")
    for kind, name in (("zones", "far-a"), ("instance_types", "tiny")):
        call(f"{kind}.list")
        call(f"{kind}.get", name=name)
        call(f"{kind}.delete", name=name)
    call("zones.capacity", name="mock-1a")
    call("regions.list")
    call("project.get")
    call("events.list")
    call("events.digest")
    call("latencies.put", {"distribution": "fixed", "value": "1s"}, transition="instance.pending")
    call("latencies.list")
    call("latencies.delete", transition="instance.pending")
    call("projects.create", {"name": "team"})
    call("projects.list")
    call("projects.get", name="team")
    call("projects.create_token", {}, name="team")
    call("projects.update", {"ttl": "1h"}, name="team")
    call("quotas.put", {"instances": 1}, name="team")
    call("quotas.update", {"routes": 1}, name="team")
    for operation in ("get", "delete"):
        call(f"quotas.{operation}", name="team")
    call("quotas.get_own")
    call("projects.delete", name="team")
    for operation in ("list", "counters", "list_own", "counters_own", "reset"):
        call(f"calls.{operation}")
    rule = {"match": {"operations": ["instances.create"]}, "effect": {"error": {"status": 503}}}
    fault = call("faults.create", rule)["id"]
    call("faults.list")
    call("faults.get", id=fault)
    call("faults.stats", id=fault)
    call("faults.update", {"enabled": False}, id=fault)
    call("faults.delete", id=fault)
    call("faults.clear")
    call("clusters.create", {"name": "kind"})
    call("clusters.list")
    call("clusters.get", name="kind")
    call("clusters.delete", name="kind")
    walk_the_scenarios(call)
    walk_the_chaos(call)
    call("clock.get")
    call("clock.advance", {"by": "1s"})
    call("clock.freeze")
    call("clock.resume")
    call("clock.update", {"scale": 1})
    for operation in ("meta.healthz", "meta.readyz", "meta.metrics", "meta.openapi"):
        call(operation)


def walk_the_whole(api, reached, tmp_path):
    api.restore(api.save(tmp_path / "snapshot.db"))
    api.reset()
    reached |= {"snapshot.save", "snapshot.restore", "cloud.reset"}
    api.post("/sim/v1/recording", expect=200)
    api.instance()
    assert api.get("/sim/v1/recording") == {"state": "recording", "lines": 2}
    api.call("DELETE", "/sim/v1/recording", expect=200)
    recording = api.request("GET", "/sim/v1/recording/file").content
    api.reset()
    api.call("POST", "/sim/v1/replay", expect=200, content=recording, headers={"Content-Type": "application/x-ndjson"})
    reached |= {f"recording.{verb}" for verb in ("get", "start", "stop", "save", "replay")}
