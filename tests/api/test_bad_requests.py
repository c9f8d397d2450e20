"""What is refused, and how: one problem per mistake, naming the field."""

import gzip
import json

import httpx
import pytest

CREATES = {
    "/v1/instances": {}, "/v1/load-balancers": {}, "/v1/target-pools": {}, "/v1/addresses": {},
    "/v1/routes": {"destination_cidr": "10.1.0.0/16", "next_hop": {"address": "10.0.0.1"}},
}


@pytest.mark.parametrize("path", CREATES)
def test_an_unknown_field_is_refused_by_name(api, path):
    api.refuse("POST", path, {**CREATES[path], "colour": "red"}, status=400, code="unknown_field", field="colour")
    assert api.get(path)["items"] == []


@pytest.mark.parametrize("path", CREATES)
@pytest.mark.parametrize("name", ["", "UPPER", "-a", "a-", "a b", "a/b", "ü", "x" * 254, "a\x00b", 7, None, [], {}])
def test_a_bad_name_is_refused_by_field(api, path, name):
    api.refuse("POST", path, {**CREATES[path], "name": name}, status=400, code="invalid_argument", field="name")


@pytest.mark.parametrize("path", CREATES)
@pytest.mark.parametrize("tags,field", [
    ("x", "tags"), ([], "tags"), (None, "tags"), ({"k": 1}, "tags.k"), ({"k": None}, "tags.k"),
    ({"": "v"}, "tags"), ({"k" * 129: "v"}, "tags"), ({"k": "v" * 257}, "tags.k"),
    ({f"k{n}": "v" for n in range(51)}, "tags"),
])
def test_bad_tags_are_refused_by_field(api, path, tags, field):
    problem = api.refuse("POST", path, {**CREATES[path], "tags": tags}, status=400, code="invalid_argument")
    assert problem["field"].startswith(field)


@pytest.mark.parametrize("path", CREATES)
def test_the_largest_tags_are_taken(api, path):
    tags = {f"{n:03}" + "k" * 125: "v" * 256 for n in range(50)}
    assert api.post(path, {**CREATES[path], "tags": tags}, expect=201)["tags"] == tags


@pytest.mark.parametrize("body,field", [
    ({"count": 0}, "count"), ({"count": 10001}, "count"), ({"count": "3"}, "count"), ({"count": 1.5}, "count"),
    ({"count": True}, "count"), ({"count": 2, "addresses": []}, "addresses"),
    ({"external_ip": "yes"}, "external_ip"), ({"external_ip": 1}, "external_ip"),
    ({"lifecycle": "eternal"}, "lifecycle"), ({"backend": "docker?"}, "backend"),
    ({"ip_families": []}, "ip_families"), ({"ip_families": ["ipv5"]}, "ip_families[0]"),
    ({"ip_families": ["ipv4", "ipv4"]}, "ip_families[1]"), ({"ip_families": "ipv4"}, "ip_families"),
    ({"zone": 1}, "zone"), ({"type": None}, "type"), ({"addresses": {}}, "addresses"),
    ({"addresses": [{"type": "internal"}]}, "addresses[0].address"),
    ({"addresses": [{"address": "10.0.0.1"}]}, "addresses[0].type"),
    ({"addresses": [{"type": "internal", "address": "banana"}]}, "addresses[0].address"),
    ({"addresses": [{"type": "internal", "address": "10.0.0.1", "family": "ipv6"}]}, "addresses[0].family"),
    ({"addresses": [{"type": "internal", "address": "10.0.0.1/8"}]}, "addresses[0].address"),
])
def test_a_bad_field_of_an_instance_is_refused_by_name(api, body, field):
    api.refuse("POST", "/v1/instances", body, status=400, code="invalid_argument", field=field)
    assert api.get("/v1/instances")["items"] == []


def test_an_unknown_field_deep_inside_is_refused_by_path(api):
    api.refuse("POST", "/v1/instances", {"addresses": [{"type": "internal", "address": "10.0.0.1", "colour": "x"}]},
               status=400, code="unknown_field", field="addresses[0].colour")


@pytest.mark.parametrize("change,field", [
    ({"port": 0}, "port"), ({"port": 65536}, "port"), ({"port": "80"}, "port"), ({"port": None}, "port"),
    ({"target_port": -1}, "target_port"), ({"protocol": "tcp"}, "protocol"), ({"protocol": "SCTP"}, "protocol"),
    ({"idle_timeout_seconds": 0}, "idle_timeout_seconds"), ({"proxy_protocol": "v3"}, "proxy_protocol"),
    ({"session_affinity": "cookie"}, "session_affinity"), ({"target_pool_id": 7}, "target_pool_id"),
])
def test_a_bad_field_of_a_listener_is_refused_by_path(api, change, field):
    pool = api.pool()
    good = {"protocol": "TCP", "port": 80, "target_pool_id": pool["id"], "target_port": 8080}
    api.refuse("POST", "/v1/load-balancers", {"listeners": [good, {**good, "port": 81, **change}]},
               status=400, code="invalid_argument", field=f"listeners[1].{field}")


@pytest.mark.parametrize("missing", ["protocol", "port", "target_pool_id", "target_port"])
def test_a_missing_field_of_a_listener_is_refused_by_path(api, missing):
    pool = api.pool()
    body = {"protocol": "TCP", "port": 80, "target_pool_id": pool["id"], "target_port": 8080}
    del body[missing]
    api.refuse("POST", "/v1/load-balancers", {"listeners": [body]}, status=400, code="invalid_argument",
               field=f"listeners[0].{missing}")


@pytest.mark.parametrize("ranges,field", [
    (["10.0.0.1/8"], "source_ranges[0]"), (["0.0.0.0/0", "nonsense"], "source_ranges[1]"),
    (["10.0.0.0"], "source_ranges[0]"), ([None], "source_ranges[0]"), ("0.0.0.0/0", "source_ranges"),
    (["0.0.0.0/0"] * 101, "source_ranges"),
])
def test_bad_source_ranges_are_refused_by_path(api, ranges, field):
    api.refuse("POST", "/v1/load-balancers", {"source_ranges": ranges}, status=400, code="invalid_argument", field=field)


@pytest.mark.parametrize("check,field", [
    ({}, "health_check.protocol"), ({"protocol": "UDP"}, "health_check.protocol"),
    ({"protocol": "TCP", "port": 65536}, "health_check.port"),
    ({"protocol": "HTTP", "path": 1}, "health_check.path"),
    ({"protocol": "HTTP", "interval_seconds": 0}, "health_check.interval_seconds"),
    ({"protocol": "HTTP", "healthy_threshold": 11}, "health_check.healthy_threshold"),
    (None, "health_check"), ("TCP", "health_check"),
])
def test_a_bad_health_check_is_refused_by_path(api, check, field):
    api.refuse("POST", "/v1/target-pools", {"health_check": check}, status=400, code="invalid_argument", field=field)


@pytest.mark.parametrize("body", [b"", b"{", b"{]", b"nonsense", b'{"a":1}x', b"{'a':1}", b'{"name":"a","name":"b"}',
                                  b'{"name":"\xff\xfe"}', b"\x00", b'{"count":01}', b'{"count":1e999}', b"{}{}"])
def test_a_body_that_is_not_json_is_refused(api, body):
    api.refuse("POST", "/v1/instances", status=400, code="malformed_body", content=body,
               headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("body", ["[]", "null", "1", '"x"', "true"])
def test_a_body_that_is_no_object_is_refused(api, body):
    response = api.request("POST", "/v1/instances", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["code"] in ("malformed_body", "invalid_argument")


@pytest.mark.parametrize("path,body", [
    ("/v1/instances", {}), ("/v1/load-balancers", {}), ("/v1/target-pools", {}), ("/v1/addresses", {}),
    ("/v1/routes", {}),
])
def test_an_empty_patch_is_refused(api, path, body):
    made = api.post(path, CREATES[path], expect=201)
    api.refuse("PATCH", f"{path}/{made['id']}", body, status=400, code="invalid_argument")


@pytest.mark.parametrize("path", CREATES)
def test_what_cannot_be_changed_is_refused_in_a_patch(api, path):
    made = api.post(path, CREATES[path], expect=201)
    for field in ("id", "state", "created_at", "revision", "project"):
        api.refuse("PATCH", f"{path}/{made['id']}", {field: "x"}, status=400, code="unknown_field", field=field)


def test_a_body_of_up_to_one_mebibyte_is_taken_and_one_byte_more_is_not(api):
    body = json.dumps({"name": "big"}).encode()
    limit = 1 << 20
    json_type = {"Content-Type": "application/json"}
    api.call("POST", "/v1/instances", content=body + b" " * (limit - len(body)), headers=json_type, expect=201)
    api.refuse("POST", "/v1/instances", content=body + b" " * (limit - len(body) + 1), headers=json_type,
               status=413, code="too_large")


def test_a_chunked_body_over_the_limit_is_refused_too(api):
    def chunks():
        for _ in range(40):
            yield b" " * 65536

    response = api.request("POST", "/v1/instances", content=chunks(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413 and response.json()["code"] == "too_large"


def test_a_chunked_body_within_the_limit_is_taken(api):
    api.call("POST", "/v1/instances", content=iter([b'{"na', b'me":', b'"chunky"}']),
             headers={"Content-Type": "application/json"}, expect=201)


@pytest.mark.parametrize("depth", [100, 10000, 400000])
@pytest.mark.parametrize("opening,closing", [("[", "]"), ('{"a":', "}")])
def test_a_too_deep_body_is_refused(api, depth, opening, closing):
    if opening != "[" and depth > 100000:
        depth = 150000  # within the size limit
    body = '{"tags":' + opening * depth + "1" + closing * depth + "}"
    response = api.request("POST", "/v1/instances", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["code"] in ("malformed_body", "invalid_argument")
    assert api.get("/healthz") == {"status": "ok"}


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded",
                                          "application/jsonx", "", "multipart/form-data"])
def test_a_body_of_another_type_is_refused(api, content_type):
    api.refuse("POST", "/v1/instances", content=b"{}", headers={"Content-Type": content_type}, status=415,
               code="unsupported_media_type")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity, gzip", "br"])
def test_a_coded_body_is_refused_naming_the_header(api, coding):
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    api.refuse("POST", "/v1/instances", content=gzip.compress(b"{}"), headers=headers, status=415,
               code="unsupported_media_type", field="Content-Encoding")
    api.refuse("PUT", "/sim/v1/snapshot", content=b"x", headers={**headers, "Content-Type": "application/vnd.sqlite3"},
               status=415, code="unsupported_media_type", field="Content-Encoding")


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_a_body_that_is_not_coded_is_taken(api, coding):
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    api.call("POST", "/v1/instances", content=b"{}", headers=headers, expect=201)


def test_without_a_body_its_coding_does_not_matter(api):
    assert api.get("/v1/instances", headers={"Content-Encoding": "gzip"})["items"] == []


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_taken_with_its_parameters_and_in_any_case(api, content_type):
    api.call("POST", "/v1/instances", content=b"{}", headers={"Content-Type": content_type}, expect=201)


def test_a_merge_patch_is_taken_for_a_patch(api):
    made = api.instance()
    api.call("PATCH", f"/v1/instances/{made['id']}", content=b'{"tags":{"a":"b"}}',
             headers={"Content-Type": "application/merge-patch+json"}, expect=200)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v1/nothing", "/v2/instances", "/v1/instances/", "/v1//instances",
                                  "/sim/v1", "/v1/instances/i-1/fly", "/v1/instances/i-1/start/now", "/healthz/x"])
def test_an_unknown_path_is_told_from_an_unknown_resource(api, path):
    api.refuse("GET", path, status=404, code="no_such_path")


@pytest.mark.parametrize("path", ["/v1/instances/" + "x" * 65, "/v1/instances/%00", "/v1/instances/..%2f..",
                                  "/v1/instances/i-%ff", "/v1/instances/'%20OR%201=1--"])
def test_a_strange_id_is_not_found_or_invalid(api, path):
    response = api.request("GET", path)
    assert response.status_code in (400, 404)


def test_a_very_long_address_is_refused(server, api):
    # By the library, before we see it: the head must fit the memory of a connection. So no problem document.
    response = httpx.get(server.address + "/v1/instances?name=" + "x" * 60000, trust_env=False, timeout=20)
    assert response.status_code in (414, 431)
    assert api.get("/healthz") == {"status": "ok"}


def test_the_request_id_of_an_answer_is_unique(api):
    ids = {api.request("GET", "/healthz").headers["x-request-id"] for _ in range(50)}
    assert len(ids) == 50


def test_nothing_refused_leaves_an_event(api):
    before = api.get("/v1/events")["revision"]
    api.refuse("POST", "/v1/instances", {"zone": "nowhere"}, status=400, code="invalid_argument")
    api.refuse("POST", "/v1/instances", {"name": "pool", "count": 10001}, status=400, code="invalid_argument")
    made = api.instance(name="x")
    api.refuse("POST", "/v1/instances", {"name": "x"}, status=409, code="already_exists")
    assert api.get("/v1/events")["revision"] == made["revision"]
    assert made["revision"] > before
