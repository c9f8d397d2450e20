"""Lists: pages, filters, order."""

import pytest


def make(api, count, **body):
    return api.post("/v1/instances", {"count": count, **body}, expect=201)["items"]


def ids(items):
    return [item["id"] for item in items]


@pytest.mark.parametrize("limit", [1, 7, 10, 25, 10000])
def test_pages_joined_are_the_whole_list_in_creation_order(api, limit):
    made = make(api, 25)
    pages, token = [], None
    while True:
        page = api.get("/v1/instances", params={"limit": limit, **({"page_token": token} if token else {})})
        assert len(page["items"]) <= limit
        pages += page["items"]
        token = page.get("next_page_token")
        if token is None:
            break
    assert ids(pages) == ids(made)


def test_the_default_limit_is_a_thousand(api):
    make(api, 1001)
    page = api.get("/v1/instances")
    assert len(page["items"]) == 1000
    rest = api.get("/v1/instances", params={"page_token": page["next_page_token"]})
    assert len(rest["items"]) == 1 and "next_page_token" not in rest


def test_a_full_last_page_has_no_next_one(api):
    make(api, 10)
    assert "next_page_token" not in api.get("/v1/instances", params={"limit": 10})


def test_pages_neither_repeat_nor_skip_what_stays_while_others_come_and_go(api):
    made = make(api, 30)
    api.latency("instance.terminated", "0s")
    first = api.get("/v1/instances", params={"limit": 10})
    for gone in made[5:15]:
        api.delete(f"/v1/instances/{gone['id']}")
    make(api, 5)
    rest, token = [], first["next_page_token"]
    while token:
        page = api.get("/v1/instances", params={"limit": 10, "page_token": token})
        rest += page["items"]
        token = page.get("next_page_token")
    seen = ids(first["items"]) + ids(rest)
    assert len(set(seen)) == len(seen)
    assert set(ids(made[:5] + made[15:])) <= set(seen)


def test_a_page_keeps_its_filter(api):
    make(api, 10, zone="mock-1a")
    wanted = make(api, 10, zone="mock-1b")
    page = api.get("/v1/instances", params={"zone": "mock-1b", "limit": 4})
    rest = api.get("/v1/instances", params={"zone": "mock-1b", "page_token": page["next_page_token"]})
    assert ids(page["items"] + rest["items"]) == ids(wanted)


@pytest.mark.parametrize("limit", ["0", "-1", "10001", "ten", "1.5", "", "99999999999999999999"])
def test_a_bad_limit_is_refused_by_name(api, limit):
    api.refuse("GET", "/v1/instances", params={"limit": limit}, status=400, code="invalid_argument", field="limit")


@pytest.mark.parametrize("token", ["nonsense", "", "AAAA", "-1", "%00", "x" * 300])
def test_a_bad_page_token_is_refused_by_name(api, token):
    api.refuse("GET", "/v1/instances", params={"page_token": token}, status=400, code="invalid_argument",
               field="page_token")


def test_instances_are_filtered_by_every_filter_and_all_must_match(api):
    a = make(api, 1, zone="mock-1a", type="small", lifecycle="spot", tags={"k": "1", "x": "y"})
    b = make(api, 1, zone="mock-1b", type="small", tags={"k": "1"})
    c = make(api, 1, zone="mock-1b", type="large", tags={"k": "2", "empty": ""})
    api.post(f"/v1/instances/{c[0]['id']}/stop", expect=202)

    def found(**params):
        return ids(api.get("/v1/instances", params=params)["items"])

    assert found(zone="mock-1b") == ids(b + c)
    assert found(type="small") == ids(a + b)
    assert found(lifecycle="spot") == ids(a)
    assert found(state="stopped") == ids(c)
    assert found(state="stopped,running") == ids(a + b + c)
    assert found(name=a[0]["name"]) == ids(a)
    assert found(**{"tag.k": "1"}) == ids(a + b)
    assert found(**{"tag.k": "1", "tag.x": "y"}) == ids(a)
    assert found(**{"tag.k": "1", "zone": "mock-1b"}) == ids(b)
    assert found(**{"tag.empty": ""}) == ids(c)
    assert found(**{"tag.k": ""}) == []
    assert found(zone="elsewhere") == [] and found(name="nobody") == []


def test_tag_filters_understand_percent_encoding(api):
    made = make(api, 1, tags={"a/b c": "d&e=ü"})
    assert ids(api.get("/v1/instances", params={"tag.a/b c": "d&e=ü"})["items"]) == ids(made)


@pytest.mark.parametrize("field,value,code", [
    ("state", "flying", "invalid_argument"), ("state", "running,", "invalid_argument"),
    ("state", "", "invalid_argument"), ("lifecycle", "eternal", "invalid_argument"),
    ("tag.", "x", "invalid_argument"), ("colour", "red", "unknown_field"),
])
def test_a_bad_filter_is_refused_by_name(api, field, value, code):
    api.refuse("GET", "/v1/instances", params={field: value}, status=400, code=code, field=field)


def test_a_parameter_given_twice_is_refused(api):
    api.refuse("GET", "/v1/instances?zone=mock-1a&zone=mock-1b", status=400, code="invalid_argument", field="zone")


@pytest.mark.parametrize("path", [
    "/v1/instances", "/v1/load-balancers", "/v1/target-pools", "/v1/addresses", "/v1/routes", "/v1/zones",
    "/v1/instance-types", "/sim/v1/projects",
])
def test_every_list_has_pages(api, path):
    bodies = {
        "/v1/instances": {}, "/v1/load-balancers": {}, "/v1/target-pools": {}, "/v1/addresses": {},
    }
    for n in range(3):
        if path in bodies:
            api.post(path, bodies[path], expect=201)
        elif path == "/v1/routes":
            api.route(f"10.{n}.0.0/16", {"address": "10.0.0.1"})
        elif path == "/sim/v1/projects":
            api.post(path, {"name": f"team-{n}"}, expect=201)
    whole = api.get(path)["items"]
    assert len(whole) >= 3
    assert api.all_items(path, limit=1) == whole


def test_a_list_tells_the_revision_that_it_shows(api):
    before = api.get("/v1/instances")["revision"]
    made = api.instance()
    after = api.get("/v1/instances")["revision"]
    assert after >= made["revision"] > before


def test_ten_thousand_instances_come_in_one_answer(api):
    make(api, 10000)
    page = api.get("/v1/instances", params={"limit": 10000})
    assert len(page["items"]) == 10000 and "next_page_token" not in page
