"""The metadata service in EC2's shape, as what reads it on an instance sees it."""

import http.client
import ipaddress
import json
import re

import pytest

from harness.metadata import TOKEN, TTL

V = "/latest/meta-data"


@pytest.fixture
def cloud(metadata, connect):
    return connect(metadata.server)


@pytest.fixture
def spot(cloud):
    return cloud.instance(name="web-1", lifecycle="spot", tags={"role": "web", "a/b": "c"},
                          ip_families=["ipv4", "ipv6"])


@pytest.fixture
def me(metadata, spot):
    return metadata("/instance/web-1")


def interrupt(cloud, instance, **body):
    return cloud.post(f"/sim/v1/instances/{instance['id']}/interrupt", body, expect=202)


def listing(me, path):
    """Everything below a path, by following the listings."""
    found = {}
    for name in me.text(path).split("\n"):
        if name.endswith("/"):
            found |= listing(me, path + name)
        elif name:
            found[path + name] = me.text(path + name)
    return found


# -- who asks -------------------------------------------------------------------------------------

def test_the_source_address_tells_instances_apart_v4_and_v6(metadata, connect):
    metadata.server.stop()
    metadata.server = metadata.start("[::]:0", args=["--allowed-host", "cloud.example"])
    cloud = connect(metadata.server)
    port = metadata.server.metadata.rsplit(":", 1)[1]
    addresses = ["127.0.0.21", "127.0.0.22", "::1"]
    for n, address in enumerate(addresses):
        cloud.instance(name=f"n-{n}", addresses=[{"type": "internal", "address": address}])
    for n, address in enumerate(addresses):
        host = "[::1]" if ":" in address else "127.0.0.1"
        caller = metadata(source=address, base=f"http://{host}:{port}")
        assert caller.data("local-hostname") == f"n-{n}"


def test_a_caller_that_is_no_instance_is_told_how_to_ask(metadata):
    told = metadata().text(V, expect=404)
    assert "127.0.0.1" in told and "/instance/NAME/" in told


def test_x_forwarded_for_is_not_believed(metadata, cloud):
    cloud.instance(name="n", addresses=[{"type": "internal", "address": "127.0.0.21"}])
    caller = metadata()
    caller.get(V, expect=404, headers={"X-Forwarded-For": "127.0.0.21"})


def test_the_prefix_takes_names_and_ids_and_projects(metadata, cloud, connect):
    cloud.post("/sim/v1/projects", {"name": "other"}, expect=201)
    here = cloud.instance(name="same")
    there = connect(metadata.server, project="other").instance(name="same")
    assert "/project/PROJECT/" in metadata("/instance/same").text(V, expect=404)
    for prefix, instance in ((f"/instance/{here['id']}", here), (f"/instance/{there['id']}", there),
                             ("/project/default/instance/same", here), ("/project/other/instance/same", there)):
        assert metadata(prefix).data("instance-id") == instance["id"]
    for prefix in ("/instance/none", "/project/none/instance/same", f"/project/other/instance/{here['id']}",
                   "/project/other", "/instance", "/instance/"):
        metadata(prefix).get(V, expect=404)


def test_an_instance_that_is_terminated_is_not_served(cloud, spot, me):
    me.data("instance-id")
    cloud.post(f"/v1/instances/{spot['id']}/terminate", expect=202)
    me.get(V, expect=404)


def test_web_pages_and_foreign_host_names_are_refused(me):
    me.get(V, expect=403, headers={"Origin": "http://evil.example"})
    me.get(V, expect=421, headers={"Host": "evil.example"})
    for host in ("169.254.169.254", "instance-data", "[fd00:ec2::254]:80", "localhost:1"):
        me.get(V, headers={"Host": host})
    connection = http.client.HTTPConnection("127.0.0.1", me.http.base_url.port, timeout=20)
    connection.request("GET", f"http://evil.example{V}")  # absolute form: its authority counts
    assert connection.getresponse().status == 421
    connection.close()


# -- what is said ---------------------------------------------------------------------------------

def test_every_leaf_of_the_listing_can_be_read_and_ends_without_a_newline(me):
    found = listing(me, "/latest/")
    print(f"{len(found)} keys")
    assert len(found) >= 30
    assert not [path for path, text in found.items() if text.endswith("\n")]
    assert me.text("/latest/meta-data") == me.text("/2021-03-23/meta-data/")


def test_it_says_what_the_api_says(me, spot):
    address = {(a["type"], a.get("family")): a["address"] for a in spot["addresses"]}
    said = {key: me.data(key) for key in (
        "instance-id", "instance-type", "instance-life-cycle", "local-ipv4", "public-ipv4", "ipv6", "local-hostname",
        "hostname", "placement/availability-zone", "placement/region", "placement/availability-zone-id",
        "tags/instance/", "tags/instance/role", "autoscaling/target-lifecycle-state")}
    assert said == {
        "instance-id": spot["id"], "instance-type": "small", "instance-life-cycle": "spot",
        "local-ipv4": address["internal", "ipv4"], "public-ipv4": address["external", "ipv4"],
        "ipv6": address["external", "ipv6"], "local-hostname": "web-1.mock-1a.internal",
        "hostname": "web-1.mock-1a.internal", "placement/availability-zone": "mock-1a",
        "placement/region": "mock-1", "placement/availability-zone-id": "mock-1-az1", "tags/instance/": "role",
        "tags/instance/role": "web", "autoscaling/target-lifecycle-state": "InService"}


def test_the_interface_goes_by_its_mac(me):
    mac = me.data("mac")
    assert re.fullmatch(r"02(:[0-9a-f]{2}){5}", mac)
    assert me.data("network/interfaces/macs/") == mac + "/"
    assert me.data(f"network/interfaces/macs/{mac}/local-ipv4s") == me.data("local-ipv4")
    assert me.data(f"network/interfaces/macs/{mac}/device-number") == "0"
    ipaddress.IPv6Address(me.data(f"network/interfaces/macs/{mac}/ipv6s"))


def test_the_identity_document_is_json_and_stable(me, spot):
    document = me.json("/latest/dynamic/instance-identity/document")
    assert document["instanceId"] == spot["id"] and document["region"] == "mock-1"
    assert document["availabilityZone"] == "mock-1a" and re.fullmatch(r"\d{12}", document["accountId"])
    assert document["pendingTime"] == "2026-01-01T00:00:00Z" and document["privateIp"] == me.data("local-ipv4")
    assert document == me.json("/latest/dynamic/instance-identity/document")


# -- interruption ---------------------------------------------------------------------------------

def test_without_a_notice_there_is_none_and_maintenance_is_an_empty_array(me):
    for path in ("spot/instance-action", "spot/termination-time", "spot/", "events/recommendations/rebalance"):
        me.data(path, expect=404)
    assert me.data("events/maintenance/scheduled") == "[]" and me.data("events/maintenance/history") == "[]"


def test_a_spot_notice_has_action_and_time(cloud, spot, me):
    interrupt(cloud, spot, notice="120s")
    assert json.loads(me.data("spot/instance-action")) == {"action": "terminate", "time": "2026-01-01T00:02:00Z"}
    assert me.data("spot/termination-time") == "2026-01-01T00:02:00Z"
    cloud.delete(f"/sim/v1/instances/{spot['id']}/interrupt")
    me.data("spot/instance-action", expect=404)


def test_a_notice_to_stop_has_no_termination_time_and_ends_with_the_stop(cloud, spot, me):
    interrupt(cloud, spot, action="stop", notice="30s")
    assert json.loads(me.data("spot/instance-action"))["action"] == "stop"
    me.data("spot/termination-time", expect=404)
    cloud.advance("30s")
    me.data("spot/instance-action", expect=404)


def test_a_rebalance_recommendation_has_the_time_of_its_notice(cloud, spot, me):
    cloud.advance("90s")
    interrupt(cloud, spot, kind="rebalance")
    assert json.loads(me.data("events/recommendations/rebalance")) == {"noticeTime": "2026-01-01T00:01:30Z"}


@pytest.mark.parametrize("action,code", [("reboot", "system-reboot"), ("stop", "instance-stop"),
                                         ("terminate", "instance-retirement"), ("none", "system-maintenance")])
def test_maintenance_is_scheduled_in_ec2s_words_and_dates(cloud, spot, me, action, code):
    interrupt(cloud, spot, kind="maintenance", action=action, notice="1h")
    event, = json.loads(me.data("events/maintenance/scheduled"))
    assert re.fullmatch(r"instance-event-[0-9a-f]{17}", event.pop("EventId"))
    assert event.pop("Description")
    assert event == {"NotBefore": "1 Jan 2026 01:00:00 GMT", "NotAfter": "1 Jan 2026 03:00:00 GMT", "Code": code,
                     "State": "active"}


def test_maintenance_that_is_over_is_history(cloud, spot, me):
    for n, end in enumerate(("completed", "canceled")):
        interrupt(cloud, spot, kind="maintenance", notice="1h")
        if end == "completed":
            cloud.advance("1h")
        else:
            cloud.delete(f"/sim/v1/instances/{spot['id']}/interrupt")
        assert me.data("events/maintenance/scheduled") == "[]"
        history = json.loads(me.data("events/maintenance/history"))
        assert len(history) == n + 1 and history[-1]["State"] == end
        assert history[-1]["Description"].lower().startswith(f"[{end}]")


def test_a_group_would_say_terminated_once_the_end_has_begun(cloud, spot, me):
    cloud.latency("instance.terminating", "10s")
    interrupt(cloud, spot)
    assert me.data("autoscaling/target-lifecycle-state") == "InService"
    cloud.advance("120s")
    assert me.data("autoscaling/target-lifecycle-state") == "Terminated"


# -- session tokens -------------------------------------------------------------------------------

def test_a_token_opens_what_it_is_for_until_it_is_old(cloud, me):
    response = me.request("PUT", "/latest/api/token", headers={TTL: "60"})
    assert response.status_code == 200 and response.headers[TTL] == "60"
    token = {TOKEN: response.text}
    assert me.get(V, headers=token).headers[TTL] == "60"
    cloud.advance("59s")
    assert me.get(V, headers=token).headers[TTL] == "1"
    cloud.advance("1s")
    me.get(V, expect=401, headers=token)


@pytest.mark.parametrize("ttl", ["0", "21601", "-1", "", "x", "6e1", "999999999999999999999", None])
def test_a_bad_ttl_is_400(me, ttl):
    response = me.request("PUT", "/latest/api/token", headers={} if ttl is None else {TTL: ttl.encode()})
    assert response.status_code == 400


def test_a_token_of_another_instance_or_of_nobody_is_401(metadata, cloud, me):
    other = cloud.instance(name="other")
    theirs = metadata(f"/instance/{other['id']}").token()
    mine = me.token()
    for bad in (theirs, "", "x", mine[:-1], mine + "0", mine[:-1] + ("0" if mine[-1] != "0" else "1"), "0" * 48,
                "f" * 48, mine.upper() if mine.upper() != mine else "x"):
        me.get(V, expect=401, headers={TOKEN: bad})
    me.get(V, headers={TOKEN: mine})


def test_a_proxy_gets_no_token(me):
    response = me.request("PUT", "/latest/api/token", headers={TTL: "60", "X-Forwarded-For": "10.0.0.1"})
    assert response.status_code == 403


def test_version_1_can_be_turned_off(metadata, connect):
    metadata.server.stop()
    metadata.server = metadata.start(args=["--imds-tokens", "required"])
    if not connect(metadata.server).get("/v1/instances", params={"name": "web-1"})["items"]:
        connect(metadata.server).instance(name="web-1")
    me = metadata("/instance/web-1")
    me.get(V, expect=401)
    me.get(V, headers={TOKEN: me.token()})


# -- hostile input --------------------------------------------------------------------------------

@pytest.mark.parametrize("path", [
    "/latest/meta-data/%00", "/%zz", "/latest/%", "/latest/meta-data/../../etc/passwd", "//", "/latest//meta-data",
    "/latest/meta-data/instance-id/", "/latest/meta-data/instance-id/x", "/LATEST/meta-data", "/latest/" + "a/" * 500,
    "/instance/" + "x" * 3000 + "/latest", "/latest/meta-data/%ff%fe", "/2021-03-23x/meta-data", "/metadata", "/.."])
def test_odd_paths_are_refused_and_the_service_lives(me, spot, path):
    status = me.http.request("GET", me.prefix + path).status_code
    assert 400 <= status < 500
    assert me.data("instance-id") == spot["id"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_405(me, method):
    assert me.request(method, V).status_code == 405


def test_a_large_body_is_413(me):
    assert me.request("PUT", "/latest/api/token", headers={TTL: "60"}, content=b"x" * 100_000).status_code == 413
