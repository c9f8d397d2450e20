"""Ephemeral projects: made with a time to live, a token and quotas; at their end nothing of them is left."""

import concurrent.futures
import sqlite3
import time

import httpx
import pytest

KINDS = ("instances", "load-balancers", "target-pools", "addresses", "routes")


@pytest.fixture
def make(api, server, connect):
    """(document, tenant) of a new project."""
    def _make(name="ci-1", **body):
        made = api.post("/sim/v1/projects", {"name": name, "token": True, **body}, expect=201)
        return made, connect(server, token=made["token"])
    return _make


def fill(tenant):
    """One of everything that a tenant can have."""
    instance = tenant.instance(name="web")
    tenant.post("/v1/instances", {"name": "keyed"}, headers={"Idempotency-Key": "k"}, expect=201)
    pool = tenant.pool(name="web", targets=[{"instance_id": instance["id"]}])
    address = tenant.post("/v1/addresses", {"name": "web"}, expect=201)
    tenant.load_balancer(name="web", address_ids=[address["id"]], listeners=[
        {"protocol": "TCP", "port": 80, "target_pool_id": pool["id"], "target_port": 80}])
    tenant.route("10.128.0.0/24", {"instance_id": instance["id"]}, name="web")


def counts(client):
    return {kind: len(client.all_items(f"/v1/{kind}")) for kind in KINDS}


def test_a_project_is_made_with_token_quotas_and_an_end(api, make):
    made, tenant = make(ttl="1h", quotas={"instances": 1, "rates": {"list": {"rate": 100}}})
    assert made["expires_at"] == "2026-01-01T01:00:00.000Z"
    assert "token" not in api.get("/sim/v1/projects/ci-1")
    assert tenant.get("/v1/project") == {k: v for k, v in made.items() if k != "token"}
    tenant.instance()
    tenant.refuse("POST", "/v1/instances", {}, status=403, code="quota_exceeded")
    assert [r["class"] for r in tenant.get("/v1/quotas")["rates"]] == ["list"]
    tenant.refuse("GET", "/sim/v1/projects", status=403, code="forbidden")
    plain = api.post("/sim/v1/projects", {"name": "plain"}, expect=201)
    assert "expires_at" not in plain and "token" not in plain


def test_at_its_end_everything_of_it_is_gone(api, make):
    _, tenant = make(ttl="1h", quotas={"instances": 5})
    of_all = {"match": {"operations": ["regions.list"]}, "effect": {"error": {"status": 500}}}
    of_it = {"match": {"operations": ["regions.list"], "project": "ci-1"}, "effect": {"error": {"status": 500}}}
    stays, goes = (api.post("/sim/v1/faults", rule, expect=201)["id"] for rule in (of_all, of_it))
    assert sorted(f["id"] for f in api.get("/sim/v1/faults")["items"]) == sorted((stays, goes))
    fill(tenant)
    ids = {kind: tenant.all_items(f"/v1/{kind}")[0]["id"] for kind in KINDS if kind != "routes"}
    api.advance("59m59s")
    assert tenant.get("/v1/project")["name"] == "ci-1"
    before = api.get("/v1/events")["revision"]
    api.advance("1s")
    assert tenant.request("GET", "/v1/project").status_code == 401
    api.missing("/sim/v1/projects/ci-1")
    api.refuse("GET", "/sim/v1/projects/ci-1/quotas", status=404, code="not_found")
    assert counts(api) == {kind: 0 for kind in KINDS}
    for kind, id_ in ids.items():
        api.missing(f"/v1/{kind}/{id_}")
    assert [f["id"] for f in api.get("/sim/v1/faults")["items"]] == [stays]
    gone = next(e for e in api.events(since=before, kind="project") if e["type"] == "deleted")
    assert gone["cause"] == {"type": "timer", "operation": "project.expired"}
    assert gone["time"] == "2026-01-01T01:00:00.000Z"


def test_its_name_can_be_used_again_and_nothing_shines_through(api, make):
    _, first = make(ttl="1m", quotas={"instances": 5})
    fill(first)
    api.advance("1m")
    made, second = make()
    assert counts(second) == {kind: 0 for kind in KINDS} and "expires_at" not in made
    assert all(q["used"] == 0 and "limit" not in q for q in second.get("/v1/quotas")["quotas"])
    assert [e for e in second.events() if e.get("project")] == []
    assert {c["path"] for c in second.get("/v1/calls")["items"]} <= {
        *(f"/v1/{kind}" for kind in KINDS), "/v1/quotas", "/v1/events"}
    repeated = second.post("/v1/instances", {"name": "keyed"}, headers={"Idempotency-Key": "k"}, expect=201)
    assert second.get(f"/v1/instances/{repeated['id']}")["name"] == "keyed"
    fill_again = second.route("10.128.0.0/24", {"address": "10.0.0.1"}, name="web")
    assert fill_again["project"] == "ci-1"
    first.refuse("GET", "/v1/instances", status=401, code="unauthorized")


def test_its_addresses_are_free_again(start, connect, tmp_path):
    config = tmp_path / "config.json"
    config.write_text('{"address_pools": {"internal_v4": "10.9.0.0/29", "external_v4": "203.0.113.0/29"}}')
    server = start(args=("--config", config))
    api = connect(server)
    for turn in range(3):
        made = api.post("/sim/v1/projects", {"name": "ci", "ttl": "1m", "token": True}, expect=201)
        connect(server, token=made["token"]).instance(count=6)
        api.refuse("POST", "/v1/instances", {}, status=409, code="exhausted")
        api.advance("1m")


def test_its_end_can_be_put_off_and_called_off(api, make):
    _, tenant = make(ttl="1m")
    api.advance("30s")
    assert api.patch("/sim/v1/projects/ci-1", {"ttl": "1m"})["expires_at"] == "2026-01-01T00:01:30.000Z"
    api.advance("59s")
    assert api.get("/sim/v1/clock")["next_deadline"] == "2026-01-01T00:01:30.000Z"
    assert "expires_at" not in api.patch("/sim/v1/projects/ci-1", {"ttl": None})
    api.advance("24h")
    tenant.get("/v1/project")
    api.patch("/sim/v1/projects/ci-1", {"ttl": "1s"})
    api.advance("1s")
    tenant.refuse("GET", "/v1/project", status=401, code="unauthorized")


def test_delete_ends_it_at_once(api, make):
    _, tenant = make(ttl="1h")
    fill(tenant)
    api.delete("/sim/v1/projects/ci-1", expect=204)
    tenant.refuse("GET", "/v1/instances", status=401, code="unauthorized")
    assert "next_deadline" not in api.get("/sim/v1/clock")


def test_it_ends_while_the_server_is_down(start, connect, tmp_path):
    db = str(tmp_path / "e.db")
    server = start(db=db, clock="real")
    api = connect(server)
    made = api.post("/sim/v1/projects", {"name": "brief", "ttl": "50ms", "token": True}, expect=201)
    api.post("/sim/v1/projects", {"name": "long", "ttl": "1h"}, expect=201)
    assert made["expires_at"]
    assert server.stop() == 0
    again = connect(start(db=db, clock="real"))
    deadline = time.monotonic() + 20
    while again.request("GET", "/sim/v1/projects/brief").status_code != 404:
        assert time.monotonic() < deadline
    again.get("/sim/v1/projects/long")


def test_an_open_stream_ends_with_the_project(api, make):
    _, tenant = make(ttl="1m")
    with tenant.stream() as stream:
        tenant.instance(name="seen")
        assert stream.event()["document"]["name"] == "seen"
        api.advance("1m")
        rest = []
        while (event := stream.event()) is not None:
            rest.append(event)
    assert all(event.get("project", "ci-1") == "ci-1" for event in rest)


@pytest.mark.parametrize("body,field", [
    ({"ttl": "0"}, "ttl"), ({"ttl": "-1h"}, "ttl"), ({"ttl": 60}, "ttl"), ({"ttl": "1 day"}, "ttl"),
    ({"ttl": "9000h"}, "ttl"), ({"token": "yes"}, "token"), ({"quotas": {"instances": -1}}, "quotas.instances"),
    ({"quotas": {"rates": {"read": {"rate": 0}}}}, "quotas.rates.read.rate"), ({"quotas": 3}, "quotas"),
])
def test_a_bad_project_is_refused_by_field(api, body, field):
    api.refuse("POST", "/sim/v1/projects", {"name": "x", **body}, status=400, code="invalid_argument", field=field)
    api.missing("/sim/v1/projects/x")


def test_the_default_project_stays_and_a_patch_needs_a_ttl(api, make):
    api.refuse("PATCH", "/sim/v1/projects/default", {"ttl": "1h"}, status=409, code="in_use", field="ttl")
    make()
    api.refuse("PATCH", "/sim/v1/projects/ci-1", {}, status=400, code="invalid_argument", field="ttl")
    api.refuse("POST", "/sim/v1/projects", {"name": "x", "ttl": None}, status=400, code="invalid_argument", field="ttl")
    api.refuse("PATCH", "/sim/v1/projects/ci-1", {"ttl": "0s"}, status=400, code="invalid_argument", field="ttl")
    api.refuse("PATCH", "/sim/v1/projects/nobody", {"ttl": "1s"}, status=404, code="not_found")
    api.refuse("POST", "/sim/v1/projects", {"name": "ci-1"}, status=409, code="already_exists", field="name")


def test_a_tenant_does_not_see_that_other_projects_come_and_go(api, make):
    _, tenant = make("watching")
    before = api.get("/v1/events")["revision"]
    with tenant.stream(since=before) as stream:
        make("passing", ttl="1m")
        api.advance("1m")
        tenant.instance()
        seen = stream.until(lambda event: event["kind"] == "instance")
    assert {event["kind"] for event in seen} <= {"clock", "instance"}
    assert [e for e in tenant.events() if e["kind"] == "project"] == []
    assert tenant.events(kind="project") == []
    assert [e["type"] for e in api.events(since=before, kind="project")] == ["created", "deleted"]


def orphans(db):
    """Rows of a stopped server's database that belong to no project that exists, by table."""
    with sqlite3.connect(db) as connection:
        tables = [name for name, in connection.execute(
            "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c ON c.name = 'project'"
            " WHERE m.type = 'table' AND m.name <> 'event'")]
        assert {"instance", "target_pool", "fault", "quota", "token", "idempotent"} <= set(tables)
        found = {table: connection.execute(
            f"SELECT count(*) FROM {table} WHERE project <> 0 AND project NOT IN (SELECT seq FROM project)"
        ).fetchone()[0] for table in tables}
    connection.close()
    return {table: count for table, count in found.items() if count}


def test_who_is_already_in_when_the_project_ends_leaves_nothing_behind(start, connect, tmp_path):
    db = str(tmp_path / "race.db")
    server = start(db=db)
    api = connect(server)
    for turn in range(5):
        made = api.post("/sim/v1/projects", {"name": f"race-{turn}", "ttl": "1m", "token": True,
                                             "quotas": {"instances": 9}}, expect=201)

        def write(worker):
            statuses = []
            with httpx.Client(base_url=server.address, trust_env=False, timeout=20,
                              headers={"Authorization": f"Bearer {made['token']}"}) as client:
                while not statuses or statuses[-1] != 401:
                    key = {"Idempotency-Key": f"{worker}-{len(statuses)}"}
                    statuses.append(client.post("/v1/target-pools", json={}, headers=key).status_code)
            return statuses

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            writers = [pool.submit(write, worker) for worker in range(4)]
            api.advance("1m")
            statuses = {s for writer in writers for s in writer.result(timeout=30)}
        assert statuses <= {201, 401}, statuses
    assert server.stop() == 0
    assert orphans(db) == {}


@pytest.mark.parametrize("count", [100])
def test_a_hundred_parallel_projects_do_not_see_each_other(api, server, start, count):
    """Each makes, lists and deletes the same names and CIDRs with a token and quotas of its own."""
    def live(index):
        name, mine = f"ci-{index}", 1 + index % 3
        made = api.http.post("/sim/v1/projects", json={
            "name": name, "ttl": "1h", "token": True, "quotas": {"instances": mine}}).json()
        headers = {"Authorization": f"Bearer {made['token']}", "User-Agent": f"test-{index}"}
        with httpx.Client(base_url=server.address, trust_env=False, headers=headers, timeout=60) as client:
            def get(path):
                answer = client.get(path, params={"limit": 10000} if path != "/v1/quotas" else None)
                assert answer.status_code == 200, answer.text
                return answer.json()

            ids = []
            for n in range(mine):
                answer = client.post("/v1/instances", json={"name": f"node-{n}"})
                assert answer.status_code == 201, answer.text
                ids.append(answer.json()["id"])
            assert client.post("/v1/instances", json={}).json()["code"] == "quota_exceeded"
            route = client.post("/v1/routes", json={
                "name": "pods", "destination_cidr": "10.128.0.0/24", "next_hop": {"instance_id": ids[0]}})
            assert route.status_code == 201, route.text
            assert sorted(i["id"] for i in get("/v1/instances")["items"]) == sorted(ids)
            assert [r["id"] for r in get("/v1/routes")["items"]] == [route.json()["id"]]
            assert {e.get("project", name) for e in get("/v1/events")["items"]} == {name}
            calls = get("/v1/calls")["items"]
            assert calls and {c["caller"]["project"] for c in calls} == {name}
            assert {c["caller"]["user_agent"] for c in calls} == {f"test-{index}"}
            used = {q["name"]: q["used"] for q in get("/v1/quotas")["quotas"]}
            assert (used["instances"], used["routes"]) == (mine, 1)
            assert client.delete(f"/v1/routes/{route.json()['id']}").status_code == 202
            assert client.delete(f"/v1/instances/{ids[0]}").status_code == 202
            assert client.post("/v1/instances", json={"name": "node-0"}).status_code == 201
        return mine

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        made = list(pool.map(live, range(count)))
    assert len(made) == count and counts(api)["instances"] == 0
    api.advance("1h")
    assert [p["name"] for p in api.all_items("/sim/v1/projects")] == ["default"]
