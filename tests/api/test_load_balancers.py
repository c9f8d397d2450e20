"""Load balancers and their parts: target pools and reserved addresses outlive them."""

import ipaddress

import pytest


@pytest.fixture
def pool(api):
    return api.pool(name="web", targets=[{"address": "192.0.2.10"}])


def listener(pool, port=80, **more):
    return {"protocol": "TCP", "port": port, "target_pool_id": pool["id"], "target_port": 30000 + port, **more}


def test_without_latencies_a_load_balancer_is_active_at_once_with_an_address(api, pool):
    made = api.load_balancer(name="front", listeners=[listener(pool)], source_ranges=["192.0.2.0/24"], tags={"a": "b"})
    got = api.get(f"/v1/load-balancers/{made['id']}")
    assert got["state"] == "active" and got["name"] == "front" and got["scheme"] == "internet-facing"
    assert [a["family"] for a in got["addresses"]] == ["ipv4"]
    assert "address_id" not in got["addresses"][0]
    assert got["source_ranges"] == ["192.0.2.0/24"] and got["tags"] == {"a": "b"}
    assert got["listeners"] == [{
        **listener(pool), "proxy_protocol": "none", "idle_timeout_seconds": 60,
        "session_affinity": "none", "session_affinity_timeout_seconds": 10800,
    }]


def test_an_empty_body_makes_a_load_balancer_without_listeners(api):
    made = api.load_balancer()
    assert made["name"] == made["id"] and made["listeners"] == [] and made["source_ranges"] == []


def test_provisioning_updating_and_deleting_take_their_times(api, pool):
    for state, value in (("provisioning", "10s"), ("updating", "20s"), ("deleting", "30s")):
        api.latency(f"load_balancer.{state}", value)
    made = api.load_balancer(listeners=[listener(pool)])
    path = f"/v1/load-balancers/{made['id']}"
    assert made["state"] == "provisioning" and made["transition_at"] == "2026-01-01T00:00:10.000Z"
    api.refuse("PATCH", path, {"source_ranges": []}, status=409, code="illegal_transition")
    api.refuse("POST", path + "/listeners", listener(pool, 81), status=409, code="illegal_transition")
    api.advance("10s")
    assert api.get(path)["state"] == "active"
    assert api.patch(path, {"source_ranges": ["192.0.2.0/24"]})["state"] == "updating"
    api.advance("20s")
    assert api.get(path)["state"] == "active"
    assert api.delete(path, expect=202)["state"] == "deleting"
    api.refuse("PATCH", path, {"source_ranges": []}, status=409, code="illegal_transition")
    api.advance("30s")
    api.missing(path)


def test_a_provisioning_load_balancer_can_be_deleted(api):
    api.latency("load_balancer.provisioning", "10s")
    made = api.load_balancer()
    api.delete(f"/v1/load-balancers/{made['id']}", expect=202)
    api.missing(f"/v1/load-balancers/{made['id']}")
    assert api.advance("1h")["fired"] == 0


def test_deleting_a_deleting_load_balancer_changes_nothing(api):
    api.latency("load_balancer.deleting", "10s")
    made = api.load_balancer()
    path = f"/v1/load-balancers/{made['id']}"
    first = api.delete(path, expect=202)
    assert api.delete(path, expect=202) == first


def test_without_latency_the_answer_of_a_delete_says_deleted_and_the_next_get_404(api):
    made = api.load_balancer()
    assert api.delete(f"/v1/load-balancers/{made['id']}", expect=202)["state"] == "deleted"
    api.missing(f"/v1/load-balancers/{made['id']}")
    api.refuse("DELETE", f"/v1/load-balancers/{made['id']}", status=404, code="not_found")


def test_deleting_a_load_balancer_leaves_its_pool_and_reserved_address(api, pool):
    address = api.post("/v1/addresses", {"name": "ip"}, expect=201)
    made = api.load_balancer(listeners=[listener(pool)], address_ids=[address["id"]])
    assert made["addresses"] == [{"address": address["address"], "family": "ipv4", "address_id": address["id"]}]
    api.delete(f"/v1/load-balancers/{made['id']}")
    assert "load_balancer_id" not in api.get(f"/v1/addresses/{address['id']}")
    assert api.get(f"/v1/target-pools/{pool['id']}")["id"] == pool["id"]
    api.delete(f"/v1/addresses/{address['id']}", expect=204)
    api.delete(f"/v1/target-pools/{pool['id']}", expect=204)


def test_a_pool_that_a_listener_uses_refuses_deletion_until_the_load_balancer_is_gone(api, pool):
    api.latency("load_balancer.deleting", "10s")
    made = api.load_balancer(listeners=[listener(pool)])
    path = f"/v1/target-pools/{pool['id']}"
    problem = api.refuse("DELETE", path, status=409, code="in_use")
    assert made["id"] in problem["detail"]
    api.delete(f"/v1/load-balancers/{made['id']}")
    api.refuse("DELETE", path, status=409, code="in_use")
    api.advance("10s")
    api.delete(path, expect=204)
    api.missing(path)


def test_a_pool_is_free_once_its_last_listener_is_gone(api, pool):
    made = api.load_balancer(listeners=[listener(pool, 80), listener(pool, 443)])
    path = f"/v1/load-balancers/{made['id']}"
    api.delete(path + "/listeners/tcp-80", expect=200)
    api.refuse("DELETE", f"/v1/target-pools/{pool['id']}", status=409, code="in_use")
    api.delete(path + "/listeners/tcp-443", expect=200)
    api.delete(f"/v1/target-pools/{pool['id']}", expect=204)


def test_an_address_in_use_refuses_deletion_and_a_second_load_balancer(api):
    address = api.post("/v1/addresses", {}, expect=201)
    made = api.load_balancer(address_ids=[address["id"]])
    assert api.get(f"/v1/addresses/{address['id']}")["load_balancer_id"] == made["id"]
    api.refuse("DELETE", f"/v1/addresses/{address['id']}", status=409, code="in_use")
    api.refuse("POST", "/v1/load-balancers", {"address_ids": [address["id"]]}, status=409, code="in_use")


def test_listeners_are_added_and_removed_one_by_one(api, pool):
    made = api.load_balancer()
    path = f"/v1/load-balancers/{made['id']}"
    added = api.post(path + "/listeners", listener(pool, 80, protocol="UDP"), expect=200)
    assert [(x["protocol"], x["port"]) for x in added["listeners"]] == [("UDP", 80)]
    added = api.post(path + "/listeners", listener(pool, 80), expect=200)
    assert {(x["protocol"], x["port"]) for x in added["listeners"]} == {("UDP", 80), ("TCP", 80)}
    left = api.delete(path + "/listeners/udp-80", expect=200)
    assert [(x["protocol"], x["port"]) for x in left["listeners"]] == [("TCP", 80)]
    api.refuse("DELETE", path + "/listeners/udp-80", status=404, code="not_found")


def test_a_second_listener_on_the_same_protocol_and_port_is_refused(api, pool):
    made = api.load_balancer(listeners=[listener(pool)])
    api.refuse("POST", f"/v1/load-balancers/{made['id']}/listeners", listener(pool), status=409, code="already_exists")
    api.refuse("POST", "/v1/load-balancers", {"listeners": [listener(pool), listener(pool)]},
               status=400, code="invalid_argument", field="listeners[1].port")


def test_a_listener_with_an_unknown_pool_is_refused_by_field(api, pool):
    body = {"listeners": [listener(pool), listener({"id": "tp-0123456789abcdef0"}, 81)]}
    api.refuse("POST", "/v1/load-balancers", body, status=400, code="invalid_argument",
               field="listeners[1].target_pool_id")
    assert api.get("/v1/load-balancers")["items"] == []


def test_every_option_of_a_listener_is_kept(api, pool):
    given = listener(pool, proxy_protocol="v2", idle_timeout_seconds=300, session_affinity="client-ip",
                     session_affinity_timeout_seconds=60)
    assert api.load_balancer(listeners=[given])["listeners"] == [given]


def test_a_patch_replaces_listeners_and_source_ranges_and_merges_tags(api, pool):
    made = api.load_balancer(name="a", listeners=[listener(pool, 80)], source_ranges=["192.0.2.0/24"],
                             tags={"keep": "1", "drop": "2"})
    patched = api.patch(f"/v1/load-balancers/{made['id']}", {
        "name": "b", "listeners": [listener(pool, 8080)], "source_ranges": [], "tags": {"drop": None}})
    assert patched["name"] == "b" and patched["source_ranges"] == [] and patched["tags"] == {"keep": "1"}
    assert [x["port"] for x in patched["listeners"]] == [8080]
    assert patched["addresses"] == made["addresses"]


def test_names_are_unique_among_load_balancers(api):
    api.load_balancer(name="front")
    api.refuse("POST", "/v1/load-balancers", {"name": "front"}, status=409, code="already_exists", field="name")
    other = api.load_balancer(name="back")
    api.refuse("PATCH", f"/v1/load-balancers/{other['id']}", {"name": "front"}, status=409, code="already_exists")


@pytest.mark.parametrize("families", [["ipv6"], ["ipv4", "ipv6"], ["ipv6", "ipv4"]])
def test_addresses_are_allocated_per_family_and_released_with_the_load_balancer(api, families):
    made = api.load_balancer(ip_families=families)
    assert [a["family"] for a in made["addresses"]] == families
    for address in made["addresses"]:
        assert f"ipv{ipaddress.ip_address(address['address']).version}" == address["family"]
    other = api.load_balancer(ip_families=families)
    assert not {a["address"] for a in made["addresses"]} & {a["address"] for a in other["addresses"]}
    api.delete(f"/v1/load-balancers/{made['id']}")
    api.post("/v1/addresses", {"family": families[0], "address": made["addresses"][0]["address"]}, expect=201)


def test_address_ids_and_ip_families_exclude_each_other(api):
    address = api.post("/v1/addresses", {}, expect=201)
    api.refuse("POST", "/v1/load-balancers", {"address_ids": [address["id"]], "ip_families": ["ipv4"]},
               status=400, code="invalid_argument")


def test_an_unknown_address_id_is_refused_by_field(api):
    api.refuse("POST", "/v1/load-balancers", {"address_ids": ["ip-0123456789abcdef0"]},
               status=400, code="invalid_argument", field="address_ids[0]")


def test_scheme_and_hostname_are_kept(api):
    made = api.load_balancer(scheme="internal", hostname="lb.example")
    assert (made["scheme"], made["hostname"]) == ("internal", "lb.example")


def test_load_balancers_are_listed_by_state_name_and_tag(api):
    first = api.load_balancer(name="a", tags={"k": "1"})
    api.latency("load_balancer.provisioning", "10s")
    second = api.load_balancer(name="b", tags={"k": "2"})

    def ids(**params):
        return [x["id"] for x in api.get("/v1/load-balancers", params=params)["items"]]

    assert ids() == [first["id"], second["id"]]
    assert ids(state="provisioning") == [second["id"]]
    assert ids(state="active,provisioning") == [first["id"], second["id"]]
    assert ids(name="a") == [first["id"]]
    assert ids(**{"tag.k": "2"}) == [second["id"]]


def test_a_half_deleted_load_balancer_is_seen_part_by_part(api, pool):
    """A cloud controller that deletes the load balancer, then its pools, may be cut off in between (SV9)."""
    address = api.post("/v1/addresses", {"tags": {"cluster": "c"}}, expect=201)
    tagged = api.pool(tags={"cluster": "c"})
    made = api.load_balancer(listeners=[listener(tagged)], address_ids=[address["id"]], tags={"cluster": "c"})

    def parts():
        return [len(api.get(path, params={"tag.cluster": "c"})["items"])
                for path in ("/v1/load-balancers", "/v1/target-pools", "/v1/addresses")]

    assert parts() == [1, 1, 1]
    api.delete(f"/v1/load-balancers/{made['id']}")
    assert parts() == [0, 1, 1]
    api.delete(f"/v1/target-pools/{tagged['id']}")
    assert parts() == [0, 0, 1]
    api.delete(f"/v1/addresses/{address['id']}")
    assert parts() == [0, 0, 0]
