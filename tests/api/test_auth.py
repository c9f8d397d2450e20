"""Who may call: tokens and their scopes, projects, and where a request may come from."""

import http.client
import json
import os
import stat

import pytest

from harness.contract import OPERATIONS

PATHS = {"id": "i-0123456789abcdef0", "name": "nothing", "listener": "tcp-80", "target": "192.0.2.1",
         "transition": "instance.pending"}


def concrete(operation):
    path = operation.template
    for name, value in PATHS.items():
        path = path.replace("{" + name + "}", value)
    return path


@pytest.mark.parametrize("operation", [op for op in OPERATIONS if op.body["security"]], ids=lambda op: op.id)
def test_every_guarded_operation_needs_a_token(api, operation):
    body = {"content": b"{}", "headers": {"Content-Type": "application/json", "Authorization": ""}}
    response = api.request(operation.method.upper(), concrete(operation), **body)
    assert response.status_code == 401 and response.json()["code"] == "unauthorized"
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("headers", [{}, {"Expect": "100-continue"}])
def test_a_stranger_with_a_large_body_is_told_who_it_is_not(api, headers):
    headers = {"Content-Type": "application/octet-stream", "Authorization": "Bearer wrong", **headers}
    api.refuse("PUT", "/sim/v1/snapshot", content=b"x" * (2 << 20), headers=headers, status=401, code="unauthorized")


@pytest.mark.parametrize("operation", [op for op in OPERATIONS if not op.body["security"]], ids=lambda op: op.id)
def test_every_open_operation_needs_none(api, operation):
    assert api.request("GET", operation.template, headers={"Authorization": ""}).status_code == 200


@pytest.mark.parametrize("value", ["Bearer", "Bearer wrong", "bearer", "Basic YTpi", "{token}",
                                   "Bearer {token}x", "Bearer x{token}", "Bearer {head}", "Token {token}",
                                   "Bearer  {token} {token}"])
def test_a_wrong_authorization_is_refused(server, api, value):
    value = value.format(token=server.token, head=server.token[:-1])
    api.refuse("GET", "/v1/instances", headers={"Authorization": value}, status=401, code="unauthorized")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(server, api, scheme):
    assert api.request("GET", "/v1/instances", headers={"Authorization": f"{scheme} {server.token}"}).status_code == 200


def test_the_token_file_is_made_for_its_owner_alone(server):
    status = server.token_file.stat()
    assert stat.S_IMODE(status.st_mode) == 0o600 and status.st_uid == os.getuid()
    assert len(server.token) >= 32


def test_a_token_file_that_is_there_is_used_and_kept(start, connect, tmp_path):
    (tmp_path / "token").write_text("a-token-of-my-own-0123456789abcdef\n")
    (tmp_path / "token").chmod(0o600)
    server = start()
    assert connect(server, token="a-token-of-my-own-0123456789abcdef").get("/v1/project")["name"] == "default"
    assert server.token_file.read_text() == "a-token-of-my-own-0123456789abcdef\n"


@pytest.fixture
def team(api, server, connect):
    """A project with a token of scope cloud."""
    api.post("/sim/v1/projects", {"name": "team"}, expect=201)
    made = api.post("/sim/v1/projects/team/tokens", {"scope": "cloud"}, expect=201)
    assert (made["scope"], made["project"]) == ("cloud", "team")
    return connect(server, token=made["token"])


@pytest.mark.parametrize("operation", [op for op in OPERATIONS if op.body.get("x-scope") == "sim"], ids=lambda op: op.id)
def test_a_token_of_scope_cloud_may_not_play_god(team, operation):
    response = team.request(operation.method.upper(), concrete(operation), content=b"{}",
                            headers={"Content-Type": "application/json"})
    assert response.status_code == 403 and response.json()["code"] == "forbidden"


def test_a_token_of_scope_sim_may_do_both(api, server, connect):
    api.post("/sim/v1/projects", {"name": "team"}, expect=201)
    token = api.post("/sim/v1/projects/team/tokens", {"scope": "sim"}, expect=201)["token"]
    team = connect(server, token=token)
    assert team.get("/sim/v1/clock")["mode"] == "manual"
    assert team.instance()["project"] == "team"


def test_a_token_acts_on_its_own_project_and_sees_no_other(api, team):
    mine, theirs = api.instance(name="same"), team.instance(name="same")
    assert (mine["project"], theirs["project"]) == ("default", "team")
    assert [i["id"] for i in api.get("/v1/instances")["items"]] == [mine["id"]]
    assert [i["id"] for i in team.get("/v1/instances")["items"]] == [theirs["id"]]
    team.missing(f"/v1/instances/{mine['id']}")
    for method, path, body in (("DELETE", "", None), ("PATCH", "", {"name": "stolen"}), ("POST", "/stop", None)):
        team.refuse(method, f"/v1/instances/{mine['id']}{path}", body, status=404, code="not_found")
    assert api.get(f"/v1/instances/{mine['id']}") == mine


@pytest.mark.parametrize("path,make", [
    ("/v1/load-balancers", lambda c: c.load_balancer()), ("/v1/target-pools", lambda c: c.pool()),
    ("/v1/addresses", lambda c: c.post("/v1/addresses", {})),
    ("/v1/routes", lambda c: c.route("10.1.0.0/16", {"address": "10.0.0.1"})),
])
def test_every_kind_is_kept_apart_by_project(api, team, path, make):
    mine, theirs = make(api), make(team)
    assert [x["id"] for x in api.get(path)["items"]] == [mine["id"]]
    assert [x["id"] for x in team.get(path)["items"]] == [theirs["id"]]
    team.missing(f"{path}/{mine['id']}")
    team.refuse("DELETE", f"{path}/{mine['id']}", status=404, code="not_found")


def test_parts_of_another_project_cannot_be_used(api, team):
    pool, instance = api.pool(), api.instance()
    address = api.post("/v1/addresses", {})
    listener = {"protocol": "TCP", "port": 80, "target_pool_id": pool["id"], "target_port": 80}
    team.refuse("POST", "/v1/load-balancers", {"listeners": [listener]}, status=400, code="invalid_argument")
    team.refuse("POST", "/v1/load-balancers", {"address_ids": [address["id"]]}, status=400, code="invalid_argument")
    team.refuse("POST", "/v1/target-pools", {"targets": [{"instance_id": instance["id"]}]},
                status=400, code="invalid_argument")
    team.refuse("POST", "/v1/routes", {"destination_cidr": "10.1.0.0/16", "next_hop": {"instance_id": instance["id"]}},
                status=400, code="invalid_argument")


def test_events_of_another_project_are_not_seen(api, team):
    mine, theirs = api.instance(), team.instance()
    assert mine["id"] in {e["id"] for e in api.events()} and theirs["id"] not in {e["id"] for e in api.events()}
    assert theirs["id"] in {e["id"] for e in team.events()} and mine["id"] not in {e["id"] for e in team.events()}


def test_only_scope_sim_may_name_another_project(api, team, server, connect):
    as_team = connect(server, project="team")
    assert as_team.get("/v1/project")["name"] == "team"
    made = as_team.instance()
    assert team.get(f"/v1/instances/{made['id']}")["project"] == "team"
    team.refuse("GET", "/v1/instances", headers={"X-Mockcloud-Project": "default"}, status=403, code="forbidden")
    # Not 404: a controller must never take a wrong setting for its instance being gone.
    api.refuse("GET", "/v1/instances", headers={"X-Mockcloud-Project": "nobody"}, status=400,
               code="invalid_argument", field="X-Mockcloud-Project")


def test_projects_are_made_listed_and_deleted_with_all_they_hold(api, team):
    instance = team.instance()
    team.load_balancer(listeners=[{"protocol": "TCP", "port": 80, "target_pool_id": team.pool()["id"],
                                   "target_port": 80}])
    team.route("10.1.0.0/16", {"instance_id": instance["id"]})
    assert [p["name"] for p in api.get("/sim/v1/projects")["items"]] == ["default", "team"]
    assert api.get("/sim/v1/projects/team")["name"] == "team"
    api.delete("/sim/v1/projects/team", expect=204)
    api.missing("/sim/v1/projects/team")
    team.refuse("GET", "/v1/instances", status=401, code="unauthorized")
    # Its addresses are free again.
    internal = instance["addresses"][0]["address"]
    api.instance(addresses=[{"type": "internal", "address": internal}])


def test_a_project_name_is_unique_and_the_default_project_stays(api):
    api.post("/sim/v1/projects", {"name": "team"}, expect=201)
    api.refuse("POST", "/sim/v1/projects", {"name": "team"}, status=409, code="already_exists", field="name")
    response = api.request("DELETE", "/sim/v1/projects/default")
    assert response.status_code in (403, 409)
    assert api.get("/v1/project")["name"] == "default"


def test_tokens_survive_a_kill(api, server, connect):
    api.post("/sim/v1/projects", {"name": "team"}, expect=201)
    token = api.post("/sim/v1/projects/team/tokens", {}, expect=201)["token"]
    server.kill()
    server.start()
    assert connect(server, token=token).get("/v1/project")["name"] == "team"
    assert connect(server).get("/v1/project")["name"] == "default"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "169.254.1.1",
                                  "localhost.evil.example", "", "127.0.0.1:99999", "[::2]:{port}"])
def test_a_foreign_host_header_is_refused_even_with_a_token(server, api, host):
    """A web page that has its name resolve to 127.0.0.1 sends that name."""
    headers = {"Host": host.format(port=server.port)}
    response = api.request("GET", "/v1/instances", headers=headers)
    assert response.status_code in (400, 421)
    if response.headers.get("content-type") == "application/problem+json":
        assert response.json()["code"] in ("host_not_allowed", "invalid_argument")


def test_a_foreign_host_header_is_refused_on_open_paths_too(server, api):
    api.refuse("GET", "/openapi.json", headers={"Host": "evil.example"}, status=421, code="host_not_allowed")
    api.refuse("GET", "/metrics", headers={"Host": f"evil.example:{server.port}"}, status=421, code="host_not_allowed")


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "[::1]:{port}", "127.0.0.1"])
def test_loopback_host_headers_are_taken(server, api, host):
    headers = {"Host": host.format(port=server.port)}
    assert api.request("GET", "/v1/instances", headers=headers).status_code == 200


@pytest.mark.parametrize("host,target,status", [
    ("127.0.0.1:{port}", "http://127.0.0.1:{port}/v1/zones?limit=1", 200),
    ("evil.example", "HTTP://LOCALHOST:{port}/v1/zones?limit=1", 200),
    ("127.0.0.1:{port}", "http://evil.example/v1/zones?limit=1", 421), ("127.0.0.1:{port}", "http:///v1/zones", 421),
    ("127.0.0.1:{port}", "http://127.0.0.1:{port}", 404), ("127.0.0.1:{port}", "http://127.0.0.1:{port}?limit=1", 404)])
def test_of_a_target_in_absolute_form_the_authority_counts_and_not_the_host_header(server, host, target, status):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", target.format(port=server.port),
                       headers={"Host": host.format(port=server.port), "Authorization": f"Bearer {server.token}"})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    assert answer.status == status and (status != 200 or len(told["items"]) == 1), told
    connection.close()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1.evil.example", "file://", "http://"])
def test_a_foreign_origin_is_refused(api, origin):
    api.refuse("POST", "/v1/instances", {}, headers={"Origin": origin}, status=403, code="forbidden")
    assert api.get("/v1/instances")["items"] == []


@pytest.mark.parametrize("origin", ["http://127.0.0.1:{port}", "http://localhost:{port}"])
def test_the_servers_own_origin_is_taken(server, api, origin):
    api.call("POST", "/v1/instances", {}, headers={"Origin": origin.format(port=server.port)}, expect=201)


def test_an_allowed_host_is_taken(start, connect):
    server = start(args=["--allowed-host", "mockcloud.example"])
    api = connect(server)
    headers = {"Host": f"mockcloud.example:{server.port}"}
    assert api.request("GET", "/v1/instances", headers=headers).status_code == 200
    api.refuse("GET", "/v1/instances", headers={"Host": "other.example"}, status=421, code="host_not_allowed")
