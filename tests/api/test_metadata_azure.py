"""The metadata service in Azure's shape: the instance document, scheduled events and their acknowledgement."""

import re
import uuid

import pytest

from harness.metadata import AZURE


@pytest.fixture
def cloud(metadata, connect):
    return connect(metadata.server)


@pytest.fixture
def spot(cloud):
    return cloud.instance(name="web-1", lifecycle="spot", tags={"role": "web"}, ip_families=["ipv4", "ipv6"])


@pytest.fixture
def me(metadata, spot):
    return metadata("/instance/web-1")


def interrupt(cloud, instance, **body):
    return cloud.post(f"/sim/v1/instances/{instance['id']}/interrupt", body, expect=202)


def events(me):
    return me.azure("scheduledevents", version="2020-07-01").json()


def start(me, body):
    return me.request("POST", "/metadata/scheduledevents", params={"api-version": "2020-07-01"}, headers=AZURE,
                      **({"json": body} if not isinstance(body, bytes) else {"content": body})).status_code


def test_the_instance_document_says_what_the_api_says(me, spot):
    document = me.azure("instance").json()
    compute, interface = document["compute"], document["network"]["interface"][0]
    assert (compute["name"], compute["vmSize"], compute["location"], compute["zone"], compute["priority"]) == (
        "web-1", "small", "mock-1", "mock-1a", "Spot")
    assert compute["tagsList"] == [{"name": "role", "value": "web"}] and compute["tags"] == "role:web"
    assert compute["osType"] == "Linux" and compute["resourceGroupName"] == "default"
    uuid.UUID(compute["vmId"]), uuid.UUID(compute["subscriptionId"])
    assert interface["ipv4"]["ipAddress"][0]["privateIpAddress"] == spot["addresses"][0]["address"]
    assert len(interface["ipv6"]["ipAddress"]) == 1 and re.fullmatch(r"02[0-9A-F]{10}", interface["macAddress"])
    assert document == me.azure("instance").json()


def test_single_values_are_text(me):
    assert me.azure("instance/compute/name", format="text").text == "web-1"
    assert me.azure("instance/network/interface/0/macAddress", format="text").text
    me.azure("instance/compute/name", expect=400)
    me.azure("instance/compute", expect=400, format="text")
    me.azure("instance/compute/none", expect=404, format="text")
    assert me.azure("instance/compute").json()["name"] == "web-1"


def test_header_and_version_are_required(me):
    me.azure("instance", expect=400, headers={})
    me.azure("instance", expect=400, headers={"Metadata": "false"})
    me.azure("instance", expect=400, headers={**AZURE, "X-Forwarded-For": "10.0.0.1"})
    for version in (None, "", "1999-01-01", "x"):
        assert "2021-02-01" in me.azure("instance", expect=400, version=version).json()["newest-versions"]


def test_no_event_is_an_empty_list_and_the_document_grows_with_every_change(cloud, spot, me):
    seen = [events(me)]
    assert seen[0]["Events"] == []
    interrupt(cloud, spot, notice="30s")
    seen.append(events(me))
    cloud.delete(f"/sim/v1/instances/{spot['id']}/interrupt")
    seen.append(events(me))
    cloud.patch(f"/v1/instances/{spot['id']}", {"tags": {"a": "b"}})
    assert events(me) == seen[-1]
    numbers = [document["DocumentIncarnation"] for document in seen]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("kind,action,type_", [
    ("spot", "terminate", "Preempt"), ("preempt", "stop", "Preempt"), ("maintenance", "reboot", "Reboot"),
    ("maintenance", "none", "Freeze"), ("maintenance", "stop", "Redeploy"), ("maintenance", "terminate", "Terminate")])
def test_each_notice_is_an_event_in_azures_words(cloud, spot, me, kind, action, type_):
    interrupt(cloud, spot, kind=kind, action=action, notice="10m")
    event, = events(me)["Events"]
    uuid.UUID(event["EventId"])
    assert event["EventType"] == type_ and event["EventStatus"] == "Scheduled"
    assert event["NotBefore"] == "Thu, 01 Jan 2026 00:10:00 GMT"
    assert event["ResourceType"] == "VirtualMachine" and event["Resources"] == ["web-1"]
    assert event["EventSource"] == "Platform" and isinstance(event["DurationInSeconds"], int)


def test_a_recommendation_is_no_event(cloud, spot, me):
    interrupt(cloud, spot, kind="rebalance")
    assert events(me)["Events"] == []


def test_acknowledging_brings_the_deadline_forward_to_now(cloud, spot, me):
    cloud.latency("instance.rebooting", "10s")
    interrupt(cloud, spot, kind="maintenance", notice="1h")
    event, = events(me)["Events"]
    before = events(me)["DocumentIncarnation"]
    assert start(me, {"StartRequests": [{"EventId": event["EventId"]}]}) == 200
    after = events(me)
    assert after["DocumentIncarnation"] > before
    assert after["Events"][0]["EventStatus"] == "Started" and after["Events"][0]["NotBefore"] == ""
    assert cloud.get(f"/v1/instances/{spot['id']}")["state"] == "rebooting"
    assert cloud.events(kind="instance")[-1]["cause"]["operation"] == "metadata.start_request"
    cloud.advance("10s")
    assert events(me)["Events"] == []


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", {}, {"StartRequests": []}, {"StartRequests": [{}]}, {"StartRequests": "x"},
    {"StartRequests": [{"EventId": 7}]}, {"StartRequests": [{"EventId": "C7061BAC-AFDC-4513-B24B-AA5F13A16123"}]}])
def test_a_bad_acknowledgement_is_400_and_changes_nothing(cloud, spot, me, body):
    interrupt(cloud, spot)
    before = events(me)
    assert start(me, body) == 400
    assert events(me) == before


def test_other_methods_and_paths_are_refused(me):
    assert me.request("DELETE", "/metadata/scheduledevents?api-version=2020-07-01", headers=AZURE).status_code == 405
    assert me.request("POST", "/metadata/instance?api-version=2020-07-01", headers=AZURE).status_code == 405
    me.azure("", expect=404)
    me.azure("attested/document", expect=404)
