"""Fault rules on what the cloud does: transitions that do not end or fail, lacks, zones that go down."""

import pytest


def rule(api, operations, effect, *, resource=None, project=None, **when):
    match = {"operations": operations if isinstance(operations, list) else [operations]}
    if resource:
        match["resource"] = resource
    if project:
        match["project"] = project
    body = {"match": match, "effect": effect}
    if when:
        body["when"] = when
    return api.post("/sim/v1/faults", body, expect=201)["id"]


def forget(api, fault):
    api.delete(f"/sim/v1/faults/{fault}")


def state(api, resource, path="instances"):
    return api.get(f"/v1/{path}/{resource['id']}")["state"]


def fired(api, fault):
    return api.get(f"/sim/v1/faults/{fault}/stats")["fired"]


# -- stuck transitions --------------------------------------------------------------------------------

def test_an_instance_is_stuck_in_terminating_until_the_rule_goes(api):
    one = api.instance(name="one")
    stuck = rule(api, "instance.terminating", {"stuck_transition": {}})
    assert api.post(f"/v1/instances/{one['id']}/terminate", expect=202)["state"] == "terminating"
    api.advance("24h")
    assert state(api, one) == "terminating"
    assert fired(api, stuck) == 1
    forget(api, stuck)
    assert state(api, one) == "terminated"


def test_a_transition_under_way_gets_stuck_at_its_end(api):
    api.latency("instance.pending", "10s")
    one = api.instance(name="one")
    stuck = rule(api, "instance.pending", {"stuck_transition": {}})
    api.advance("1h")
    document = api.get(f"/v1/instances/{one['id']}")
    assert document["state"] == "pending" and "transition_at" not in document
    forget(api, stuck)
    assert state(api, one) == "running"


def test_stuck_for_a_while_and_once_only(api):
    api.latency("instance.stopping", "10s")
    one = api.instance(name="one")
    stuck = rule(api, "instance.stopping", {"stuck_transition": {"for": "1m"}})
    api.post(f"/v1/instances/{one['id']}/stop", expect=202)
    api.advance("69s")
    assert state(api, one) == "stopping"
    api.advance("1s")
    assert state(api, one) == "stopped"
    assert fired(api, stuck) == 1


def test_stuck_until_the_end_of_the_rule_s_time(api):
    rule(api, "instance.pending", {"stuck_transition": {}}, until="30s")
    one = api.instance(name="one")
    assert state(api, one) == "pending"
    api.advance("29s")
    assert state(api, one) == "pending"
    api.advance("1s")
    assert state(api, one) == "running"
    two = api.instance(name="two")
    assert state(api, two) == "running"


def test_only_the_selected_are_stuck_and_each_can_still_be_terminated(api):
    rule(api, "instance.pending", {"stuck_transition": {}}, resource={"type": "large"})
    large, small = api.instance(name="l", type="large"), api.instance(name="s", type="small")
    assert (state(api, large), state(api, small)) == ("pending", "running")
    api.post(f"/v1/instances/{large['id']}/terminate", expect=202)
    assert state(api, large) == "terminated"


def test_every_second_instance_is_stuck(api):
    rule(api, "instance.pending", {"stuck_transition": {}}, every=2)
    made = [api.instance(name=f"n{i}") for i in range(6)]
    assert [i["state"] for i in made] == ["running", "pending"] * 3


def test_load_balancers_and_routes_are_stuck_too(api):
    one = api.instance(name="one")
    rules = [rule(api, "load_balancer.provisioning", {"stuck_transition": {}}),
             rule(api, "route.pending", {"stuck_transition": {}})]
    balancer = api.load_balancer(name="lb")
    route = api.route("10.9.0.0/24", {"instance_id": one["id"]})
    assert (balancer["state"], route["state"]) == ("provisioning", "pending")
    for fault in rules:
        forget(api, fault)
    assert state(api, balancer, "load-balancers") == "active"
    assert state(api, route, "routes") == "active"


def test_targets_are_stuck_in_initial(api):
    made = [api.instance(name=f"n{i}") for i in range(3)]
    stuck = rule(api, "target.initial", {"stuck_transition": {}})
    pool = api.pool(name="p", targets=[{"instance_id": i["id"]} for i in made])
    assert {t["health"] for t in pool["targets"]} == {"initial"}
    api.advance("1h")
    forget(api, stuck)
    targets = api.get(f"/v1/target-pools/{pool['id']}")["targets"]
    assert {t["health"] for t in targets} == {"healthy"}
    assert all("health_reason" not in t for t in targets)


def test_what_is_stuck_survives_a_restart_and_is_let_go_after_it(start, connect, tmp_path):
    server = start()
    api = connect(server)
    one = api.instance(name="one")
    stuck = rule(api, "instance.terminating", {"stuck_transition": {}})
    api.post(f"/v1/instances/{one['id']}/terminate", expect=202)
    assert server.stop() == 0
    api = connect(start(db=server.db) if hasattr(server, "db") else start())
    assert state(api, one) == "terminating"
    forget(api, stuck)
    assert state(api, one) == "terminated"


def test_a_rule_counts_once_though_a_step_of_the_same_batch_is_undone(api):
    api.latency("instance.pending", "10s")
    one = api.instance(name="one")
    stuck = rule(api, "instance.pending", {"stuck_transition": {}}, times=1)
    api.post("/sim/v1/scenarios", {"scenario": {"name": "undone", "steps": [
        {"after": "20s", "may_fail": True, "do": [{"create": {"name": "two"}}, {"terminate": {"name": "nobody"}}]}]}},
        expect=201)
    api.advance("1m")
    assert state(api, one) == "pending"
    told = api.get(f"/sim/v1/faults/{stuck}/stats")
    assert (told["matched"], told["fired"]) == (1, 1)
    assert api.get(f"/sim/v1/faults/{stuck}")["stats"] == told


def test_matches_without_a_firing_survive_a_kill_and_a_restore(start, connect, tmp_path):
    server = start()
    api = connect(server)
    third = rule(api, "instances.create", {"exhausted": {"what": "capacity"}}, every=3)
    api.instance()
    server.kill()
    api = connect(server.start())
    api.instance()
    file = api.save(tmp_path / "snapshot.db")
    for _ in range(2):
        assert api.get(f"/sim/v1/faults/{third}/stats")["matched"] == 2
        api.refuse("POST", "/v1/instances", {}, status=503, code="insufficient_capacity")
        api.instance()
        api.restore(file)
    forget(api, third)


# -- failed transitions -------------------------------------------------------------------------------

def test_provisioning_fails_with_a_reason(api):
    api.latency("instance.pending", "10s")
    rule(api, "instance.pending",
         {"failed_transition": {"code": "image_corrupt", "message": "The image cannot be read"}}, times=1)
    one, two = api.instance(name="one"), api.instance(name="two")
    api.advance("10s")
    document = api.get(f"/v1/instances/{one['id']}")
    assert document["state"] == "error"
    assert document["state_reason"] == {"code": "image_corrupt", "message": "The image cannot be read"}
    assert state(api, two) == "running"
    api.post(f"/v1/instances/{one['id']}/terminate", expect=202)
    assert state(api, one) == "terminated"


def test_a_load_balancer_fails_at_once_and_is_mended_by_an_update(api):
    fault = rule(api, "load_balancer.provisioning", {"failed_transition": {}})
    balancer = api.load_balancer(name="lb")
    assert balancer["state"] == "error" and balancer["state_reason"]["code"] == "transition_failed"
    forget(api, fault)
    patched = api.patch(f"/v1/load-balancers/{balancer['id']}", {"source_ranges": ["10.0.0.0/8"]})
    assert patched["state"] == "active" and "state_reason" not in patched


def test_a_failed_load_balancer_starts_over_with_the_listeners_that_it_has(api):
    pool = api.post("/v1/target-pools", {"name": "pool"}, expect=201)
    listeners = [{"protocol": "TCP", "port": 80, "target_port": 30080, "target_pool_id": pool["id"]}]
    fault = rule(api, "load_balancer.provisioning", {"failed_transition": {}})
    balancer = api.load_balancer(name="lb", listeners=listeners)
    assert balancer["state"] == "error"
    forget(api, fault)
    patched = api.patch(f"/v1/load-balancers/{balancer['id']}", {"listeners": listeners})
    assert patched["state"] == "active" and "state_reason" not in patched
    again = api.patch(f"/v1/load-balancers/{balancer['id']}", {"listeners": listeners})
    assert again["revision"] == patched["revision"]  # at rest the same listeners change nothing


@pytest.mark.parametrize("transition", ["route.pending", "target.*", "instance.terminated"])
def test_what_cannot_fail_is_refused(api, transition):
    api.refuse("POST", "/sim/v1/faults",
               {"match": {"operations": [transition]}, "effect": {"failed_transition": {}}},
               status=400, code="invalid_argument", field="match.operations[0]")


# -- capacity and quotas ------------------------------------------------------------------------------

def test_capacity_is_used_up_for_a_type_in_a_zone(api):
    fault = rule(api, "instances.*", {"exhausted": {"what": "capacity"}},
                 resource={"zone": "mock-1a", "type": "large"})
    refused = {"zone": "mock-1a", "type": "large"}
    problem = api.refuse("POST", "/v1/instances", refused, status=503, code="insufficient_capacity")
    assert "large" in problem["detail"] and "mock-1a" in problem["detail"]
    api.refuse("POST", "/v1/instances", {**refused, "count": 3}, status=503, code="insufficient_capacity")
    api.instance(zone="mock-1a", type="small")
    other = api.instance(zone="mock-1b", type="large")
    assert len(api.get("/v1/instances")["items"]) == 2
    assert fired(api, fault) == 2
    api.post(f"/v1/instances/{other['id']}/stop", expect=202)
    api.post(f"/v1/instances/{other['id']}/start", expect=202)
    forget(api, fault)
    api.instance(zone="mock-1a", type="large")


def test_what_is_stopped_cannot_be_started_without_capacity(api):
    one = api.instance(name="one")
    api.post(f"/v1/instances/{one['id']}/stop", expect=202)
    fault = rule(api, "instances.start", {"exhausted": {"what": "capacity"}})
    api.refuse("POST", f"/v1/instances/{one['id']}/start", status=503, code="insufficient_capacity")
    assert state(api, one) == "stopped"
    forget(api, fault)
    api.post(f"/v1/instances/{one['id']}/start", expect=202)


@pytest.mark.parametrize("operation, path, body", [
    ("instances.create", "/v1/instances", {}),
    ("load_balancers.create", "/v1/load-balancers", {}),
    ("target_pools.create", "/v1/target-pools", {}),
    ("addresses.create", "/v1/addresses", {}),
    ("routes.create", "/v1/routes", {"destination_cidr": "10.1.0.0/24", "next_hop": {"address": "10.0.0.9"}}),
])
def test_quotas_are_used_up(api, operation, path, body):
    fault = rule(api, operation, {"exhausted": {"what": "quota", "message": "Quota of 5 exceeded"}}, times=2)
    for _ in range(2):
        problem = api.refuse("POST", path, body, status=403, code="quota_exceeded")
        assert problem["detail"] == "Quota of 5 exceeded"
    api.post(path, body, expect=201)
    assert fired(api, fault) == 2


# -- zones that go down -------------------------------------------------------------------------------

def in_zones(api):
    return {zone: api.instance(name=zone, zone=f"mock-1{zone}") for zone in "abc"}


def test_a_zone_goes_down_and_everything_heals_when_the_rule_goes(api):
    made = in_zones(api)
    pool = api.pool(name="p", targets=[{"instance_id": i["id"]} for i in made.values()])
    route = api.route("10.9.0.0/24", {"instance_id": made["a"]["id"]})
    outage = rule(api, "*", {"zone_outage": {"zone": "mock-1a"}})
    zone = api.get("/v1/zones/mock-1a")
    assert zone["state"] == "unavailable" and zone["state_reason"]["code"] == "zone-outage"
    document = api.get(f"/v1/instances/{made['a']['id']}")
    assert document["state"] == "stopped" and document["state_reason"]["code"] == "zone-outage"
    assert state(api, made["b"]) == state(api, made["c"]) == "running"
    targets = api.get(f"/v1/target-pools/{pool['id']}")["targets"]
    assert [t["health"] for t in targets] == ["unhealthy", "healthy", "healthy"]
    assert state(api, route, "routes") == "blackhole"
    api.refuse("POST", "/v1/instances", {"zone": "mock-1a"}, status=409, code="zone_unavailable", field="zone")
    api.refuse("POST", f"/v1/instances/{made['a']['id']}/start", status=409, code="zone_unavailable")
    api.instance(zone="mock-1b")
    assert fired(api, outage) == 2
    forget(api, outage)
    assert api.get("/v1/zones/mock-1a")["state"] == "available"
    document = api.get(f"/v1/instances/{made['a']['id']}")
    assert document["state"] == "running" and "state_reason" not in document
    targets = api.get(f"/v1/target-pools/{pool['id']}")["targets"]
    assert {t["health"] for t in targets} == {"healthy"}
    assert state(api, route, "routes") == "active"
    api.instance(zone="mock-1a")


def test_an_outage_begins_and_ends_by_the_clock(api):
    made = in_zones(api)
    rule(api, "*", {"zone_outage": {"zone": "mock-1a", "instances": "error"}}, **{"from": "10s", "until": "70s"})
    api.advance("9s")
    assert state(api, made["a"]) == "running"
    api.advance("1s")
    assert state(api, made["a"]) == "error"
    assert api.get("/v1/zones/mock-1a")["state"] == "unavailable"
    api.advance("59s")
    assert state(api, made["a"]) == "error"
    api.advance("1s")
    assert state(api, made["a"]) == "running"
    assert api.get("/v1/zones/mock-1a")["state"] == "available"


def test_what_was_stopped_or_terminated_by_hand_does_not_come_back(api):
    stopped, ended = api.instance(zone="mock-1a"), api.instance(zone="mock-1a")
    api.post(f"/v1/instances/{stopped['id']}/stop", expect=202)
    outage = rule(api, "*", {"zone_outage": {"zone": "mock-1a"}})
    api.post(f"/v1/instances/{ended['id']}/terminate", expect=202)
    forget(api, outage)
    assert (state(api, stopped), state(api, ended)) == ("stopped", "terminated")


def test_instances_can_outlast_an_outage(api):
    made = in_zones(api)
    rule(api, "*", {"zone_outage": {"zone": "mock-1a", "instances": "keep"}})
    assert state(api, made["a"]) == "running"
    api.refuse("POST", "/v1/instances", {"zone": "mock-1a"}, status=409, code="zone_unavailable")


def test_two_outages_of_a_zone_end_with_the_second(api):
    made = in_zones(api)
    first = rule(api, "*", {"zone_outage": {"zone": "mock-1a"}})
    second = rule(api, "*", {"zone_outage": {"zone": "mock-1a"}})
    forget(api, first)
    assert state(api, made["a"]) == "stopped"
    assert api.get("/v1/zones/mock-1a")["state"] == "unavailable"
    forget(api, second)
    assert state(api, made["a"]) == "running"
    assert api.get("/v1/zones/mock-1a")["state"] == "available"


def test_the_outage_of_a_project_is_nobody_else_s(server, api, connect):
    api.post("/sim/v1/projects", {"name": "other"})
    other = connect(server, project="other")
    mine, theirs = api.instance(zone="mock-1a"), other.instance(zone="mock-1a")
    outage = rule(api, "*", {"zone_outage": {"zone": "mock-1a"}}, project="other")
    assert (state(api, mine), state(other, theirs)) == ("running", "stopped")
    assert api.get("/v1/zones/mock-1a")["state"] == "available"
    other.refuse("POST", "/v1/instances", {"zone": "mock-1a"}, status=409, code="zone_unavailable")
    api.instance(zone="mock-1a")
    assert (api.instance()["zone"], other.instance()["zone"]) == ("mock-1a", "mock-1b")
    forget(api, outage)
    assert state(other, theirs) == "running"
    assert other.instance()["zone"] == "mock-1a"


def test_without_a_zone_an_instance_is_made_where_there_is_no_outage(api):
    down = [rule(api, "*", {"zone_outage": {"zone": zone}}) for zone in ("mock-1a", "mock-1b", "mock-1c")]
    api.refuse("POST", "/v1/instances", {}, status=409, code="zone_unavailable", field="zone")
    forget(api, down[2])
    forget(api, down[1])
    assert api.instance()["zone"] == "mock-1b"
    api.refuse("POST", "/v1/instances", {"zone": "mock-1a"}, status=409, code="zone_unavailable", field="zone")


def test_a_zone_that_was_closed_by_hand_stays_so(api):
    outage = rule(api, "*", {"zone_outage": {"zone": "mock-1a"}})
    api.put("/sim/v1/zones/mock-1a", {"region": "mock-1", "state": "unavailable"})
    forget(api, outage)
    assert api.get("/v1/zones/mock-1a")["state"] == "unavailable"


def test_a_zone_that_does_not_exist_cannot_go_down(api):
    api.refuse("POST", "/sim/v1/faults",
               {"match": {"operations": ["*"]}, "effect": {"zone_outage": {"zone": "nowhere"}}},
               status=400, code="invalid_argument", field="effect.zone_outage.zone")


def test_the_same_seed_gives_the_same_events(start, connect, tmp_path):
    logs = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        api = connect(start(directory=tmp_path / run))
        rule(api, "instance.pending", {"failed_transition": {}}, probability=0.4)
        rule(api, "instance.terminating", {"stuck_transition": {"for": "20s"}}, probability=0.5)
        rule(api, "*", {"zone_outage": {"zone": "mock-1b"}}, **{"from": "30s", "until": "90s"})
        made = [api.instance(name=f"n{i}", zone=f"mock-1{'abc'[i % 3]}") for i in range(20)]
        for i in made[::2]:
            api.advance("7s")
            api.post(f"/v1/instances/{i['id']}/terminate", expect=202)
        api.advance("5m")
        logs.append(api.events())
    assert logs[0] == logs[1]
    assert {e["cause"].get("operation") for e in logs[0]} >= {"zone.outage", "zone.recovery"}


def test_the_end_of_an_outage_asks_for_no_capacity(api):
    one = api.instance(zone="mock-1a")
    outage = rule(api, "*", {"zone_outage": {"zone": "mock-1a"}})
    api.put("/sim/v1/zones/mock-1a", {"region": "mock-1", "capacity_total": 0})
    forget(api, outage)
    assert state(api, one) == "running"
