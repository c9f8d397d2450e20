"""Reserved addresses."""

import ipaddress

import pytest


def test_a_reserved_address_has_its_defaults(api):
    made = api.post("/v1/addresses", {}, expect=201)
    assert (made["family"], made["scheme"]) == ("ipv4", "internet-facing")
    assert made["name"] == made["id"] and "load_balancer_id" not in made
    assert ipaddress.ip_address(made["address"]).version == 4


def test_addresses_differ_from_each_other_and_from_those_of_load_balancers(api):
    reserved = [api.post("/v1/addresses", {}, expect=201)["address"] for _ in range(5)]
    allocated = [api.load_balancer()["addresses"][0]["address"] for _ in range(5)]
    assert len(set(reserved + allocated)) == 10


@pytest.mark.parametrize("scheme", ["internet-facing", "internal"])
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_every_family_and_scheme_can_be_reserved(api, family, scheme):
    made = api.post("/v1/addresses", {"family": family, "scheme": scheme}, expect=201)
    assert (made["family"], made["scheme"]) == (family, scheme)
    assert f"ipv{ipaddress.ip_address(made['address']).version}" == family


def test_a_released_address_can_be_asked_for_again(api):
    first = api.post("/v1/addresses", {}, expect=201)
    body = {"address": first["address"]}
    api.refuse("POST", "/v1/addresses", body, status=409, code="in_use", field="address")
    api.delete(f"/v1/addresses/{first['id']}", expect=204)
    api.missing(f"/v1/addresses/{first['id']}")
    assert api.post("/v1/addresses", body, expect=201)["address"] == first["address"]


@pytest.mark.parametrize("address", ["10.0.0.0/8", "nonsense", "300.1.1.1", "8.8.8.8", ""])
def test_an_address_that_is_none_or_lies_outside_the_pool_is_refused(api, address):
    api.refuse("POST", "/v1/addresses", {"address": address}, status=400, code="invalid_argument", field="address")


def test_an_address_of_the_other_family_is_refused(api):
    made = api.post("/v1/addresses", {}, expect=201)
    api.delete(f"/v1/addresses/{made['id']}")
    api.refuse("POST", "/v1/addresses", {"family": "ipv6", "address": made["address"]},
               status=400, code="invalid_argument")


def test_name_and_tags_change_and_names_are_unique(api):
    first = api.post("/v1/addresses", {"name": "a", "tags": {"k": "v"}}, expect=201)
    second = api.post("/v1/addresses", {"name": "b"}, expect=201)
    api.refuse("PATCH", f"/v1/addresses/{second['id']}", {"name": "a"}, status=409, code="already_exists", field="name")
    patched = api.patch(f"/v1/addresses/{first['id']}", {"name": "c", "tags": {"x": "y", "k": None}})
    assert (patched["name"], patched["tags"], patched["address"]) == ("c", {"x": "y"}, first["address"])


def test_addresses_are_listed_by_name_and_tag(api):
    first = api.post("/v1/addresses", {"name": "a", "tags": {"k": "1"}}, expect=201)
    second = api.post("/v1/addresses", {"name": "b"}, expect=201)
    assert [a["id"] for a in api.get("/v1/addresses")["items"]] == [first["id"], second["id"]]
    assert [a["id"] for a in api.get("/v1/addresses", params={"name": "b"})["items"]] == [second["id"]]
    assert [a["id"] for a in api.get("/v1/addresses", params={"tag.k": "1"})["items"]] == [first["id"]]
