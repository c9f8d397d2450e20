"""Fault rules on what is read: stale, hidden, reordered and wrong answers; the truth stays."""

import itertools

import httpx
import pytest


def rule(api, operations, effect, *, resource=None, **when):
    match = {"operations": operations if isinstance(operations, list) else [operations]}
    if resource:
        match["resource"] = resource
    body = {"match": match, "effect": effect}
    if when:
        body["when"] = when
    return api.post("/sim/v1/faults", body, expect=201)["id"]


def forget(api, fault):
    api.delete(f"/sim/v1/faults/{fault}")


def ids(items):
    return [item["id"] for item in items]


def names(api, **params):
    return [item["name"] for item in api.all_items("/v1/instances", **params)]


# -- stale reads --------------------------------------------------------------------------------------

def test_a_stale_read_answers_as_of_so_many_changes_ago(api):
    one = api.instance(name="one")
    api.patch(f"/v1/instances/{one['id']}", {"tags": {"step": "2"}})
    api.patch(f"/v1/instances/{one['id']}", {"tags": {"step": "3"}})
    stale = rule(api, "instances.*", {"stale_read": {"revisions": 1}})
    for _ in range(3):  # firings are events, but nothing that one could be behind by
        assert api.get(f"/v1/instances/{one['id']}")["tags"] == {"step": "2"}
    assert api.get("/v1/instances")["items"][0]["tags"] == {"step": "2"}
    forget(api, stale)
    assert api.get(f"/v1/instances/{one['id']}")["tags"] == {"step": "3"}


def test_what_was_made_and_deleted_since_is_not_there_and_there_again(api):
    old, doomed = api.instance(name="old"), api.pool(name="doomed")
    rule(api, "*", {"stale_read": {"lag": "10s"}})
    api.advance("11s")
    new = api.instance(name="new")
    api.delete(f"/v1/target-pools/{doomed['id']}")
    assert names(api) == ["old"]
    api.missing(f"/v1/instances/{new['id']}")
    assert api.get(f"/v1/target-pools/{doomed['id']}")["name"] == "doomed"
    assert ids(api.get("/v1/target-pools")["items"]) == [doomed["id"]]
    api.advance("10s")
    assert names(api) == ["old", "new"]
    api.missing(f"/v1/target-pools/{doomed['id']}")
    assert api.get(f"/v1/instances/{old['id']}")["state"] == "running"


def test_the_etag_of_a_stale_document_is_its_own(api):
    one = api.instance(name="one")
    now = api.patch(f"/v1/instances/{one['id']}", {"tags": {"a": "b"}})
    stale = rule(api, "instances.get", {"stale_read": {"revisions": 1}})
    path = f"/v1/instances/{one['id']}"
    answer = api.request("GET", path)
    assert answer.headers["ETag"] == f'"{one["revision"]}"'
    assert answer.json() == one
    assert api.request("GET", path, headers={"If-None-Match": f'"{one["revision"]}"'}).status_code == 304
    answer = api.request("GET", path, headers={"If-None-Match": f'"{now["revision"]}"'})
    assert answer.status_code == 200 and answer.json() == one
    forget(api, stale)
    assert api.request("GET", path, headers={"If-None-Match": f'"{now["revision"]}"'}).status_code == 304


def test_filters_of_a_stale_list_go_by_what_was(api):
    one = api.instance(name="one", tags={"role": "web"})
    two = api.instance(name="two", tags={"role": "db"}, zone="mock-1b")
    rule(api, "instances.list", {"stale_read": {"lag": "10s"}})
    api.advance("20s")
    api.post(f"/v1/instances/{one['id']}/stop", expect=202)
    api.patch(f"/v1/instances/{two['id']}", {"name": "three", "tags": {"role": "web"}})
    assert names(api, state="running") == ["one", "two"]
    assert names(api, state="stopped") == []
    assert names(api, **{"tag.role": "web"}) == ["one"]
    assert names(api, name="two", zone="mock-1b") == ["two"]
    assert names(api, name="three") == []
    assert names(api, zone="mock-1a", type="small", lifecycle="on-demand") == ["one"]
    api.advance("10s")
    assert names(api, state="running") == ["three"]
    assert names(api, state="stopped,error") == ["one"]
    assert names(api, **{"tag.role": "web"}) == ["one", "three"]


def test_a_stale_list_says_as_of_which_revision_so_that_events_follow_on_it(api):
    api.instance(name="one")
    at = api.get("/v1/instances")["revision"]
    api.instance(name="two")
    rule(api, "instances.list", {"stale_read": {"revisions": 1}})
    assert api.get("/v1/instances")["revision"] == at
    later = [e for e in api.events(since=at) if e["kind"] == "instance"]
    assert [e["document"]["name"] for e in later] == ["two"]


def test_stale_pages_joined_are_the_stale_list_and_agree_with_single_reads(api):
    made = [api.instance(name=f"n{i:02}") for i in range(20)]
    rule(api, "instances.*", {"stale_read": {"lag": "10s"}})
    api.advance("20s")
    for i in range(0, 20, 3):
        api.post(f"/v1/instances/{made[i]['id']}/terminate", expect=202)
    for i in range(1, 20, 3):
        api.patch(f"/v1/instances/{made[i]['id']}", {"name": f"renamed{i}"})
    api.instance(name="new")
    assert api.all_items("/v1/instances", limit=3) == made
    assert [api.get(f"/v1/instances/{i['id']}") for i in made] == made


def test_a_selector_makes_some_resources_stale_and_leaves_the_others(api):
    one, two = api.instance(name="one", tags={"slow": "yes"}), api.instance(name="two")
    rule(api, "instances.*", {"stale_read": {"lag": "10s"}}, resource={"tags": {"slow": "yes"}})
    api.advance("20s")
    for i in (one, two):
        api.post(f"/v1/instances/{i['id']}/stop", expect=202)
    states = {i["name"]: i["state"] for i in api.get("/v1/instances")["items"]}
    assert states == {"one": "running", "two": "stopped"}
    assert api.get(f"/v1/instances/{one['id']}")["state"] == "running"
    assert api.get(f"/v1/instances/{two['id']}")["state"] == "stopped"


def test_writes_are_never_stale(api):
    one = api.instance(name="one")
    rule(api, "*", {"stale_read": {"revisions": 5}})
    stopped = api.post(f"/v1/instances/{one['id']}/stop", expect=202)
    assert stopped["state"] == "stopped"
    api.refuse("POST", "/v1/instances", {"name": "one"}, status=409, code="already_exists")


# -- not found after create ---------------------------------------------------------------------------

def test_what_is_new_is_hidden_for_a_while_and_then_appears(api):
    api.instance(name="old")
    api.advance("10s")
    rule(api, "instances.*", {"hide_new": {"for": "5s"}})
    new = api.instance(name="new")
    api.missing(f"/v1/instances/{new['id']}")
    assert names(api) == ["old"]
    api.post(f"/v1/instances/{new['id']}/stop", expect=202)  # it is there, only not to be seen
    api.advance("4s")
    api.missing(f"/v1/instances/{new['id']}")
    assert names(api) == ["old"]
    api.advance("1s")
    assert api.get(f"/v1/instances/{new['id']}")["state"] == "stopped"
    assert names(api) == ["old", "new"]


def test_a_node_vanishes_from_lists_only(api):
    api.instance(name="stays")
    gone = api.instance(name="gone")
    rule(api, "instances.list", {"hide_new": {"for": "1h"}}, resource={"name": "gone"})
    assert names(api) == ["stays"]
    assert api.get(f"/v1/instances/{gone['id']}")["name"] == "gone"


def test_hidden_and_stale_together(api):
    api.instance(name="old")
    api.advance("60s")
    mid = api.instance(name="mid")
    api.advance("60s")
    api.patch(f"/v1/instances/{mid['id']}", {"tags": {"late": "yes"}})
    rule(api, "instances.*", {"hide_new": {"for": "30s"}})
    rule(api, "instances.*", {"stale_read": {"lag": "10s"}})
    api.instance(name="new")
    assert names(api) == ["old", "mid"]
    assert api.get(f"/v1/instances/{mid['id']}")["tags"] == {}


def test_rules_of_the_same_effect_each_take_their_own(api):
    made = {name: api.instance(name=name) for name in ("one", "two", "three")}
    api.advance("1m")
    for name, old in made.items():
        api.patch(f"/v1/instances/{old['id']}", {"tags": {"version": "2"}})
    api.advance("1m")
    for name, old in made.items():
        api.patch(f"/v1/instances/{old['id']}", {"tags": {"version": "3"}})
    rule(api, "instances.*", {"stale_read": {"lag": "10s"}}, resource={"name": "one"})
    rule(api, "instances.*", {"stale_read": {"lag": "90s"}}, resource={"name": "two"})
    listed = {i["name"]: i for i in api.get("/v1/instances")["items"]}
    assert {name: i["tags"].get("version") for name, i in listed.items()} == {"one": "2", "two": None, "three": "3"}
    for name, i in listed.items():
        assert api.get(f"/v1/instances/{i['id']}") == i
    for name in ("one", "two"):
        rule(api, "instances.*", {"hide_new": {"for": "1h"}}, resource={"name": name})
    assert names(api) == ["three"]


def test_altering_rules_choose_by_what_was_there_before_others_altered_it(api):
    made = [api.instance(name=name) for name in ("one", "two")]
    rule(api, "instances.*", {"wrong_answer": {"what": "duplicate_names"}})
    rule(api, "instances.*", {"wrong_answer": {"what": "addresses_missing"}}, resource={"name": "two"})
    listed = api.get("/v1/instances")["items"]
    assert [(i["name"], bool(i.get("addresses"))) for i in listed] == [("one", True), ("one", False)]
    assert [api.get(f"/v1/instances/{i['id']}") for i in made] == listed


# -- order --------------------------------------------------------------------------------------------

def test_lists_come_in_another_order_each_time_and_pages_lose_nothing(api):
    made = ids([api.instance(name=f"n{i}") for i in range(12)])
    shuffled = rule(api, "instances.list", {"reorder": {}})
    orders = [ids(api.get("/v1/instances")["items"]) for _ in range(5)]
    assert all(sorted(order) == sorted(made) and order != made for order in orders)
    assert len({tuple(order) for order in orders}) > 1
    paged = ids(api.all_items("/v1/instances", limit=5))
    assert sorted(paged) == sorted(made)
    forget(api, shuffled)
    assert ids(api.get("/v1/instances")["items"]) == made


def test_the_order_is_the_same_for_the_same_seed(start, connect, tmp_path):
    orders = []
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        api = connect(start(directory=tmp_path / run))
        for i in range(10):
            api.instance(name=f"n{i}")
        rule(api, "instances.list", {"reorder": {}})
        orders.append([[i["name"] for i in api.get("/v1/instances")["items"]] for _ in range(3)])
    assert orders[0] == orders[1]


# -- wrong answers ------------------------------------------------------------------------------------

def wrong(api, what, *, operations="instances.*", **more):
    resource = more.pop("resource", None)
    return rule(api, operations, {"wrong_answer": {"what": what, **more}}, resource=resource)


def addresses(instance):
    return [a["address"] for a in instance["addresses"]]


def test_addresses_are_missing(api):
    one, two = api.instance(name="one"), api.instance(name="two")
    fault = wrong(api, "addresses_missing", resource={"name": "one"})
    path = f"/v1/instances/{one['id']}"
    assert api.get(path)["addresses"] == []
    listed = {i["name"]: i for i in api.get("/v1/instances")["items"]}
    assert listed["one"]["addresses"] == [] and listed["two"] == two
    assert api.request("GET", path, headers={"If-None-Match": f'"{one["revision"]}"'}).status_code == 200
    forget(api, fault)
    assert api.get(path) == one


def test_addresses_are_reordered(api):
    one = api.instance(name="one")
    wrong(api, "addresses_reordered")
    assert addresses(api.get(f"/v1/instances/{one['id']}")) == addresses(one)[::-1]
    assert len(addresses(one)) > 1


def test_addresses_are_wrong_and_stay_the_same_wrong_ones(api):
    one = api.instance(name="one")
    wrong(api, "addresses_wrong")
    seen = api.get(f"/v1/instances/{one['id']}")
    assert [a["type"] for a in seen["addresses"]] == [a["type"] for a in one["addresses"]]
    assert not set(addresses(seen)) & set(addresses(one))
    assert api.get(f"/v1/instances/{one['id']}") == seen
    assert api.get("/v1/instances")["items"] == [seen]


def test_addresses_of_load_balancers_are_wrong(api):
    balancer = api.load_balancer(name="lb")
    wrong(api, "addresses_wrong", operations="load_balancers.*")
    seen = api.get(f"/v1/load-balancers/{balancer['id']}")
    assert addresses(seen) and not set(addresses(seen)) & set(addresses(balancer))


def test_all_have_the_name_of_the_first(api):
    made = [api.instance(name=f"n{i}") for i in range(3)]
    wrong(api, "duplicate_names")
    assert [i["name"] for i in api.get("/v1/instances")["items"]] == ["n0"] * 3
    assert api.get(f"/v1/instances/{made[2]['id']}")["name"] == "n0"
    assert ids(api.get("/v1/instances")["items"]) == ids(made)


def test_ids_are_malformed(server, api):
    made = [api.instance(name=f"n{i}") for i in range(30)]
    wrong(api, "malformed_ids")
    with httpx.Client(base_url=server.address, headers={"Authorization": f"Bearer {server.token}"},
                      trust_env=False, timeout=20) as plain:  # no contract holds for these
        listed = plain.get("/v1/instances").json()["items"]
        single = [plain.get(f"/v1/instances/{i['id']}").json() for i in made]
    assert listed == single
    assert not {i["id"] for i in listed} & set(ids(made))
    assert len({i["id"].replace(m["id"], "") for i, m in zip(listed, made)}) > 3  # of several sorts


@pytest.mark.parametrize("skew, shown", [("1h", "01:00"), ("-5m", "55:00")])
def test_clocks_are_skewed(api, skew, shown):
    one = api.instance(name="one")
    wrong(api, "clock_skew", skew=skew)
    seen = api.get(f"/v1/instances/{one['id']}")
    assert seen["created_at"] != one["created_at"] and shown in seen["created_at"]
    assert seen["revision"] == one["revision"]


def test_a_wrong_answer_is_no_change(api):
    one = api.instance(name="one")
    wrong(api, "addresses_missing")
    api.get(f"/v1/instances/{one['id']}")
    patched = api.patch(f"/v1/instances/{one['id']}", {"tags": {"a": "b"}})
    assert patched["addresses"] == one["addresses"]


# -- all of it ----------------------------------------------------------------------------------------

def test_lists_and_single_reads_agree_under_any_rules(api, random_seed):
    import random
    chance = random.Random(random_seed)
    effects = [{"stale_read": {"revisions": 7}}, {"stale_read": {"lag": "15s"}}, {"hide_new": {"for": "20s"}},
               {"wrong_answer": {"what": "addresses_wrong"}}, {"wrong_answer": {"what": "duplicate_names"}}]
    made, compared = [], 0
    for step in range(60):
        action = chance.randrange(5)
        if action == 0 or not made:
            made.append(api.instance(name=f"n{step}")["id"])
        elif action == 1:
            api.request("POST", f"/v1/instances/{chance.choice(made)}/{chance.choice(['stop', 'start'])}")
        elif action == 2:
            api.request("PATCH", f"/v1/instances/{chance.choice(made)}", json={"tags": {"s": str(step)}})
        elif action == 3:
            api.advance(f"{chance.randrange(1, 30)}s")
        else:
            api.request("DELETE", f"/v1/instances/{chance.choice(made)}")
        if step % 10:
            continue
        rules = [rule(api, "instances.*", effect) for effect in chance.sample(effects, 2)]
        rules += [rule(api, "instances.*", chance.choice(effects[:3]), resource={"name": name})
                  for name in chance.sample(["n?", "n??", "n*1*"], 2)]
        listed = {i["id"]: i for i in api.all_items("/v1/instances", limit=4)}
        hidden = set(made) - set(listed)
        for item in itertools.islice(hidden, 10):
            api.missing(f"/v1/instances/{item}")
        for item, document in listed.items():
            assert api.get(f"/v1/instances/{item}") == document
            compared += 1
        for fault in rules:
            forget(api, fault)
    print(f"{compared} documents compared")
    assert compared > 0


def test_firings_are_counted(api):
    one = api.instance(name="one")
    fault = rule(api, "instances.get", {"stale_read": {"revisions": 1}}, times=2)
    for _ in range(2):
        api.missing(f"/v1/instances/{one['id']}")
    for _ in range(2):
        assert api.get(f"/v1/instances/{one['id']}") == one
    stats = api.get(f"/sim/v1/faults/{fault}/stats")
    assert (stats["matched"], stats["fired"]) == (4, 2)


def test_the_hand_of_god_and_other_projects_see_the_truth(server, api, connect):
    api.post("/sim/v1/projects", {"name": "other"})
    other = connect(server, project="other")
    api.post("/sim/v1/faults", {"match": {"operations": ["*"], "project": "default"},
                                "effect": {"hide_new": {"for": "1h"}}}, expect=201)
    mine, theirs = api.instance(name="mine"), other.instance(name="theirs")
    api.missing(f"/v1/instances/{mine['id']}")
    assert other.get(f"/v1/instances/{theirs['id']}")["name"] == "theirs"
    assert len(api.get("/sim/v1/projects")["items"]) == 2


@pytest.mark.parametrize("operation", ["regions.list", "project.get", "events.list", "instances.create"])
def test_what_is_no_document_or_list_is_refused(api, operation):
    api.refuse("POST", "/sim/v1/faults", {"match": {"operations": [operation]}, "effect": {"reorder": {}}},
               status=400, code="invalid_argument", field="match.operations[0]")


def test_zones_can_be_selected_too(api):
    rule(api, "zones.*", {"wrong_answer": {"what": "duplicate_names"}}, resource={"name": "mock-1c"})
    assert [z["name"] for z in api.get("/v1/zones")["items"]] == ["mock-1a", "mock-1b", "mock-1a"]
    assert api.get("/v1/zones/mock-1c")["name"] == "mock-1a"
