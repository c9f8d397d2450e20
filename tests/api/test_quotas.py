"""Quotas and rate limits of projects, capacity of zones."""

import concurrent.futures
import random

import pytest


@pytest.fixture
def team(api, server, connect):
    """A tenant of its own project, made with limits: team(instances=3)."""
    def make(name="team", **limits):
        api.post("/sim/v1/projects", {"name": name}, expect=201)
        if limits:
            api.put(f"/sim/v1/projects/{name}/quotas", limits)
        token = api.post(f"/sim/v1/projects/{name}/tokens", {}, expect=201)["token"]
        return connect(server, token=token)
    return make


def quota(client, name):
    return next(q for q in client.get("/v1/quotas")["quotas"] if q["name"] == name)


def refused(client, path, body, name):
    problem = client.refuse("POST", path, body, status=403, code="quota_exceeded")
    assert name in problem["detail"]
    return problem


# -- quotas ---------------------------------------------------------------------------------------

def test_without_limits_nothing_is_refused_and_use_is_counted(api):
    api.instance(count=5)
    assert quota(api, "instances") == {"name": "instances", "used": 5}
    assert api.get("/v1/quotas")["rates"] == []


def test_what_exceeds_a_quota_is_refused_by_its_name_and_leaves_nothing(team):
    tenant = team(instances=3, load_balancers=1, target_pools=1, addresses=1, routes=1)
    tenant.instance(count=3)
    assert "quota instances of project team" in refused(tenant, "/v1/instances", {}, "instances")["detail"]
    hop = {"address": "10.0.0.1"}
    for path, name, bodies in (
            ("/v1/load-balancers", "load_balancers", ({}, {})), ("/v1/target-pools", "target_pools", ({}, {})),
            ("/v1/addresses", "addresses", ({}, {})),
            ("/v1/routes", "routes", ({"destination_cidr": "10.128.0.0/24", "next_hop": hop},
                                      {"destination_cidr": "10.128.1.0/24", "next_hop": hop}))):
        tenant.post(path, bodies[0], expect=201)
        refused(tenant, path, bodies[1], name)
        assert len(tenant.get(path)["items"]) == 1
        assert quota(tenant, name) == {"name": name, "used": 1, "limit": 1, "remaining": 0}


def test_a_batch_that_would_exceed_is_refused_whole(team):
    tenant = team(instances=10)
    tenant.instance(count=7)
    refused(tenant, "/v1/instances", {"count": 4}, "instances")
    assert quota(tenant, "instances")["used"] == 7
    tenant.instance(count=3)
    assert quota(tenant, "instances")["remaining"] == 0


def test_terminated_and_deleted_ones_give_their_place_back(api, team):
    tenant = team(instances=1, load_balancers=1)
    instance = tenant.instance(name="a")
    tenant.post(f"/v1/instances/{instance['id']}/stop", expect=202)
    refused(tenant, "/v1/instances", {}, "instances")  # a stopped one is still there
    api.latency("instance.terminating", "30s")
    tenant.delete(f"/v1/instances/{instance['id']}")
    refused(tenant, "/v1/instances", {}, "instances")  # and so is one that is terminating
    api.advance("30s")
    tenant.instance(name="a")
    lb = tenant.load_balancer(name="b")
    tenant.delete(f"/v1/load-balancers/{lb['id']}")
    tenant.load_balancer(name="b")


def test_a_lower_limit_keeps_what_is_there_and_a_patch_keeps_what_it_does_not_name(api, team):
    tenant = team(instances=5, routes=4)
    tenant.instance(count=4)
    assert api.patch("/sim/v1/projects/team/quotas", {"instances": 2}) | {"revision": 0} == {
        "project": "team", "instances": 2, "routes": 4, "rates": {}, "revision": 0}
    assert quota(tenant, "instances") == {"name": "instances", "used": 4, "limit": 2, "remaining": 0}
    refused(tenant, "/v1/instances", {}, "instances")
    api.patch("/sim/v1/projects/team/quotas", {"instances": None})
    tenant.instance(count=20)
    assert quota(tenant, "routes")["limit"] == 4
    api.delete("/sim/v1/projects/team/quotas", expect=204)
    assert "limit" not in quota(tenant, "routes")
    assert api.get("/sim/v1/projects/team/quotas") == tenant.get("/v1/quotas")


def test_a_limit_of_nought_forbids_and_projects_are_apart(team):
    none, other = team("none", instances=0), team("other", instances=1)
    refused(none, "/v1/instances", {}, "instances")
    other.instance()
    assert quota(none, "instances")["used"] == 0


def test_a_refused_change_and_a_repeated_key_count_once(team):
    tenant = team(instances=2)
    for _ in range(3):
        tenant.post("/v1/instances", {"name": "a"}, headers={"Idempotency-Key": "k"}, expect=201)
    tenant.refuse("POST", "/v1/instances", {"name": "a"}, status=409, code="already_exists")
    assert quota(tenant, "instances")["used"] == 1


def test_counts_and_limits_survive_a_restart(start, connect, tmp_path):
    db = str(tmp_path / "q.db")
    server = start(db=db)
    api = connect(server)
    api.put("/sim/v1/projects/default/quotas", {"instances": 2, "rates": {"write": {"rate": 100}}})
    api.put("/sim/v1/zones/mock-1a", {"region": "mock-1", "capacity": {"small": 1}})
    gone = api.instance(zone="mock-1a", type="small")
    api.instance(zone="mock-1b")
    api.post(f"/v1/instances/{gone['id']}/stop", expect=202)
    before = api.get("/v1/quotas")["quotas"]
    assert server.stop() == 0
    again = connect(start(db=db))
    assert again.get("/v1/quotas")["quotas"] == before and quota(again, "instances")["used"] == 2
    refused(again, "/v1/instances", {"zone": "mock-1b"}, "instances")
    again.put("/sim/v1/projects/default/quotas", {})
    again.instance(zone="mock-1a", type="small")
    again.refuse("POST", f"/v1/instances/{gone['id']}/start", status=503, code="insufficient_capacity")


def test_a_restored_cloud_begins_with_full_buckets(team, api, tmp_path):
    tenant = team(rates={"read": {"rate": 1, "burst": 1}})
    file = api.save(tmp_path / "before.db")
    api.advance("1h")
    tenant.get("/v1/project")
    tenant.refuse("GET", "/v1/project", status=429, code="throttled")
    api.restore(file)
    tenant.get("/v1/project")
    tenant.refuse("GET", "/v1/project", status=429, code="throttled")


def test_many_at_once_never_exceed_a_quota(team, server, connect):
    tenant = team(instances=50)
    token = tenant.http.headers["Authorization"].split()[1]

    def create(worker):
        client = connect(server, token=token)
        return [client.request("POST", "/v1/instances", json={"count": 1 + n % 3}).status_code for n in range(12)]

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        statuses = [status for batch in pool.map(create, range(6)) for status in batch]
    used = len(tenant.get("/v1/instances")["items"])
    assert set(statuses) == {201, 403} and used <= 50
    assert quota(tenant, "instances") == {"name": "instances", "used": used, "limit": 50, "remaining": 50 - used}
    assert used >= 48  # a batch of three is refused when two places are left


@pytest.mark.parametrize("body,code,field", [
    ({"instances": -1}, "invalid_argument", "instances"), ({"instances": 1.5}, "invalid_argument", "instances"),
    ({"instances": 10**10}, "invalid_argument", "instances"), ({"instances": "1"}, "invalid_argument", "instances"),
    ({"volumes": 1}, "unknown_field", "volumes"), ({"rates": {"all": {"rate": 1}}}, "unknown_field", "rates.all"),
    ({"rates": {"read": {"rate": 0}}}, "invalid_argument", "rates.read.rate"),
    ({"rates": {"read": {"rate": -3}}}, "invalid_argument", "rates.read.rate"),
    ({"rates": {"read": {"rate": 10**9}}}, "invalid_argument", "rates.read.rate"),
    ({"rates": {"read": {"burst": 3}}}, "invalid_argument", "rates.read.rate"),
    ({"rates": {"read": {"rate": 3, "burst": 0}}}, "invalid_argument", "rates.read.burst"),
    ({"rates": {"read": 3}}, "invalid_argument", "rates.read"),
])
def test_a_bad_limit_is_refused_by_field(api, body, code, field):
    for method in ("PUT", "PATCH"):
        api.refuse(method, "/sim/v1/projects/default/quotas", body, status=400, code=code, field=field)
    assert all("limit" not in q for q in api.get("/v1/quotas")["quotas"])


def test_the_limits_of_no_project_are_not_found_and_a_tenant_cannot_change_its_own(api, team):
    api.refuse("PUT", "/sim/v1/projects/nobody/quotas", {}, status=404, code="not_found")
    api.refuse("GET", "/sim/v1/projects/nobody/quotas", status=404, code="not_found")
    api.refuse("PATCH", "/sim/v1/projects/default/quotas", {}, status=400, code="invalid_argument")
    tenant = team(instances=1)
    tenant.refuse("PUT", "/sim/v1/projects/team/quotas", {}, status=403, code="forbidden")


def test_a_change_of_limits_is_an_event_that_its_tenant_sees(api, team):
    tenant, other = team("seen"), team("other")
    api.put("/sim/v1/projects/seen/quotas", {"instances": 1})
    events = tenant.events(kind="quota")
    assert [(e["type"], e["document"]["instances"]) for e in events] == [("created", 1)]
    assert other.events(kind="quota") == []


# -- rate limits ----------------------------------------------------------------------------------

def test_an_empty_bucket_answers_429_until_cloud_time_refills_it(api, team):
    tenant = team(rates={"write": {"rate": 0.5, "burst": 2}})
    first = tenant.request("POST", "/v1/target-pools", json={})
    assert first.status_code == 201
    assert (first.headers["ratelimit-limit"], first.headers["ratelimit-remaining"]) == ("2", "1")
    assert first.headers["ratelimit-reset"] == "2" and "retry-after" not in first.headers
    tenant.pool()
    refusal = tenant.request("POST", "/v1/target-pools", json={})
    assert refusal.status_code == 429 and refusal.json()["code"] == "throttled"
    assert refusal.headers["retry-after"] == "2" and refusal.headers["ratelimit-remaining"] == "0"
    assert len(tenant.get("/v1/target-pools")["items"]) == 2  # lists have a bucket of their own: none
    api.advance("1999ms")
    tenant.refuse("POST", "/v1/target-pools", {}, status=429, code="throttled")
    api.advance("1ms")
    tenant.pool()
    tenant.refuse("POST", "/v1/target-pools", {}, status=429, code="throttled")
    api.advance("1h")
    for _ in range(2):
        tenant.pool()
    tenant.refuse("POST", "/v1/target-pools", {}, status=429, code="throttled")


def test_classes_have_their_own_buckets_and_looking_at_quotas_is_free(team):
    tenant = team(rates={"read": {"rate": 1, "burst": 1}, "list": {"rate": 1, "burst": 2}})
    for _ in range(2):
        tenant.get("/v1/routes")
    tenant.refuse("GET", "/v1/instances", status=429, code="throttled")
    tenant.refuse("GET", "/v1/events", status=429, code="throttled")
    tenant.missing("/v1/instances/i-none")
    tenant.refuse("GET", "/v1/instances/i-none", status=429, code="throttled")
    tenant.pool()
    rates = {r["class"]: r for r in tenant.get("/v1/quotas")["rates"]}
    assert rates["read"] == {"class": "read", "rate": 1, "burst": 1, "remaining": 0, "reset_seconds": 1}
    assert set(rates) == {"read", "list"} and rates["list"]["remaining"] == 0


def test_other_projects_and_the_hand_of_god_are_not_throttled(api, team):
    tenant, other = team("slow", rates={"list": {"rate": 0.001, "burst": 1}}), team("quick")
    tenant.get("/v1/instances")
    tenant.refuse("GET", "/v1/instances", status=429, code="throttled")
    for _ in range(5):
        other.get("/v1/instances")
        api.get("/sim/v1/projects")
    # but who acts on the project takes from its bucket, whoever it is
    refusal = api.refuse("GET", "/v1/instances", status=429, code="throttled", headers={"X-Mockcloud-Project": "slow"})
    assert "list operations" in refusal["detail"]


def test_a_throttled_request_changes_nothing_and_is_in_the_call_log(api, team):
    tenant = team(rates={"write": {"rate": 0.001, "burst": 1}})
    tenant.instance()
    tenant.refuse("POST", "/v1/instances", {"name": "a"}, status=429, code="throttled")
    assert len(tenant.get("/v1/instances")["items"]) == 1
    assert api.get("/sim/v1/calls/counters", params={"status": "429"})["total"] == 1


def test_another_rule_fills_the_bucket_and_the_same_rule_does_not(api, team):
    rule = {"rates": {"list": {"rate": 0.001, "burst": 1}}}
    tenant = team(**rule)
    tenant.get("/v1/instances")
    api.put("/sim/v1/projects/team/quotas", {**rule, "instances": 5})
    tenant.refuse("GET", "/v1/instances", status=429, code="throttled")
    api.patch("/sim/v1/projects/team/quotas", {"rates": {"list": {"rate": 0.001, "burst": 2}}})
    tenant.get("/v1/instances")
    api.patch("/sim/v1/projects/team/quotas", {"rates": {"list": None}})
    for _ in range(5):
        tenant.get("/v1/instances")


def test_the_same_calls_at_the_same_times_get_the_same_answers(start, connect, tmp_path, random_seed):
    def run(directory):
        directory.mkdir()
        api = connect(start(clock="manual", directory=directory))
        api.put("/sim/v1/projects/default/quotas", {"rates": {"read": {"rate": 3, "burst": 5}}})
        draw = random.Random(random_seed)
        told = []
        for _ in range(120):
            api.advance(f"{draw.randrange(0, 400)}ms")
            answer = api.request("GET", "/v1/zones/mock-1a")
            told.append((answer.status_code, answer.headers["ratelimit-remaining"], answer.headers.get("retry-after")))
        return told

    first = run(tmp_path / "a")
    assert first == run(tmp_path / "b")
    assert {status for status, _, _ in first} == {200, 429}


# -- capacity -------------------------------------------------------------------------------------

def no_capacity(api, method, path, body=None, field="type"):
    return api.refuse(method, path, body, status=503, code="insufficient_capacity", field=field)["detail"]


def test_a_zone_is_full_for_a_type_and_says_which(api):
    zone = api.put("/sim/v1/zones/mock-1a", {"region": "mock-1", "capacity": {"small": 2, "large": 0}})
    assert zone["capacity"] == {"large": 0, "small": 2}
    where = {"zone": "mock-1a", "type": "small"}
    api.instance(**where, count=2)
    told = no_capacity(api, "POST", "/v1/instances", where)
    assert "zone mock-1a" in told and "small" in told
    no_capacity(api, "POST", "/v1/instances", {"zone": "mock-1a", "type": "large"})
    api.instance(zone="mock-1a", type="medium")
    api.instance(zone="mock-1b", type="small", count=5)


def test_a_total_holds_for_all_types_together(api):
    api.put("/sim/v1/zones/mock-1a", {"region": "mock-1", "capacity": {"small": 5}, "capacity_total": 2})
    api.instance(zone="mock-1a", type="small")
    api.instance(zone="mock-1a", type="large")
    no_capacity(api, "POST", "/v1/instances", {"zone": "mock-1a", "type": "medium"}, field="zone")
    no_capacity(api, "POST", "/v1/instances", {"zone": "mock-1a", "count": 3}, field="zone")
    assert len(api.get("/v1/instances")["items"]) == 2
    api.put("/sim/v1/zones/mock-1a", {"region": "mock-1"})
    api.instance(zone="mock-1a", count=3)


def test_a_stopped_instance_gives_its_place_away_and_may_find_none(api):
    api.put("/sim/v1/zones/mock-1a", {"region": "mock-1", "capacity": {"small": 1}})
    where = {"zone": "mock-1a", "type": "small"}
    first = api.instance(**where)["id"]
    api.post(f"/v1/instances/{first}/stop", expect=202)
    second = api.instance(**where)["id"]
    no_capacity(api, "POST", f"/v1/instances/{first}/start")
    assert api.get(f"/v1/instances/{first}")["state"] == "stopped"
    api.delete(f"/v1/instances/{second}")
    api.post(f"/v1/instances/{first}/start", expect=202)
    no_capacity(api, "POST", "/v1/instances", where)


def test_another_type_takes_another_place(api):
    api.put("/sim/v1/zones/mock-1a", {"region": "mock-1", "capacity": {"large": 1}})
    moved = api.instance(zone="mock-1a", type="small")["id"]
    api.post(f"/v1/instances/{moved}/stop", expect=202)
    api.patch(f"/v1/instances/{moved}", {"type": "large"})
    api.post(f"/v1/instances/{moved}/start", expect=202)
    no_capacity(api, "POST", "/v1/instances", {"zone": "mock-1a", "type": "large"})


def test_the_places_of_a_zone_are_shown_taken_and_left(api):
    assert api.get("/sim/v1/zones/mock-1a/capacity") == {"zone": "mock-1a", "types": [], "total": {"used": 0}}
    api.put("/sim/v1/zones/mock-1a", {"region": "mock-1", "capacity": {"small": 3, "large": 1}, "capacity_total": 9})
    api.instance(zone="mock-1a", type="small", count=2)
    stopped = api.instance(zone="mock-1a", type="medium")["id"]
    assert api.get("/sim/v1/zones/mock-1a/capacity") == {
        "zone": "mock-1a", "total": {"used": 3, "limit": 9, "remaining": 6}, "types": [
            {"type": "large", "used": 0, "limit": 1, "remaining": 1}, {"type": "medium", "used": 1},
            {"type": "small", "used": 2, "limit": 3, "remaining": 1}]}
    api.post(f"/v1/instances/{stopped}/stop", expect=202)
    assert api.get("/sim/v1/zones/mock-1a/capacity")["total"]["used"] == 2
    api.missing("/sim/v1/zones/nowhere/capacity")


@pytest.mark.parametrize("body,field", [
    ({"capacity": {"small": -1}}, "capacity.small"), ({"capacity": {"small": "1"}}, "capacity.small"),
    ({"capacity": [1]}, "capacity"), ({"capacity": {"Not A Name": 1}}, "capacity"),
    ({"capacity": {"small": 10**10}}, "capacity.small"), ({"capacity_total": -1}, "capacity_total"),
    ({"capacity_total": 0.5}, "capacity_total"),
])
def test_a_bad_capacity_is_refused_by_field(api, body, field):
    api.refuse("PUT", "/sim/v1/zones/mock-1a", {"region": "mock-1", **body}, status=400, code="invalid_argument",
               field=field)
    assert "capacity" not in api.get("/v1/zones/mock-1a")


def test_random_lives_of_instances_keep_the_counts_right(api, random_seed):
    """Whatever happens, what is counted is what there is, and no limit is exceeded."""
    draw = random.Random(random_seed)
    zones, types = ("mock-1a", "mock-1b"), ("small", "large")
    api.put("/sim/v1/projects/default/quotas", {"instances": 12})
    for zone in zones:
        api.put(f"/sim/v1/zones/{zone}", {"region": "mock-1", "capacity": {t: 3 for t in types}, "capacity_total": 5})
    for transition in ("pending", "stopping", "terminating"):
        api.latency(f"instance.{transition}", "2s")
    refusals = 0
    for _ in range(150):
        instances = [i for i in api.all_items("/v1/instances") if i["state"] != "terminated"]
        action = draw.choice(("create", "create", "create", "stop", "start", "terminate", "advance"))
        if action == "create":
            body = {"zone": draw.choice(zones), "type": draw.choice(types)}
            if draw.random() < 0.3:
                body["count"] = draw.randrange(1, 4)
            refusals += api.request("POST", "/v1/instances", json=body).status_code in (403, 503)
        elif action == "advance":
            api.advance("2s")
        elif instances:
            api.request("POST", f"/v1/instances/{draw.choice(instances)['id']}/{action}")
        check_counts(api, zones, types)
    assert refusals > 0
    print(f"{refusals} refusals")


def check_counts(api, zones, types):
    living = [i for i in api.all_items("/v1/instances") if i["state"] != "terminated"]
    assert quota(api, "instances")["used"] == len(living) <= 12
    placed = [i for i in living if i["state"] not in ("stopped", "terminating")]
    for zone in zones:
        there = [i for i in placed if i["zone"] == zone]
        assert len(there) <= 5
        assert all(sum(i["type"] == t for i in there) <= 3 for t in types)
