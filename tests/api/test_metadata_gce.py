"""The metadata service in GCE's shape: flavors, listings, JSON, and waiting for a change."""

import json
import select
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest

from harness.metadata import GOOGLE


@pytest.fixture
def cloud(metadata, connect):
    return connect(metadata.server)


@pytest.fixture
def spot(cloud):
    return cloud.instance(name="web-1", lifecycle="spot", tags={"role": "web", "a/b": "c"})


@pytest.fixture
def me(metadata, spot):
    return metadata("/instance/web-1")


def interrupt(cloud, instance, **body):
    return cloud.post(f"/sim/v1/instances/{instance['id']}/interrupt", body, expect=202)


class Waiting(threading.Thread):
    """A long poll in a thread of its own; `answer` joins it."""

    def __init__(self, me, path, **params):
        super().__init__(daemon=True)
        self.ask = lambda: me.gce(path, wait_for_change="true", **params)
        self.response = None
        self.start()

    def run(self):
        self.response = self.ask()

    def answer(self):
        self.join(20)
        assert not self.is_alive(), "the long poll did not end"
        return self.response


def test_it_says_what_the_api_says(me, spot):
    assert me.gce("instance/name").text == "web-1"
    assert me.gce("instance/hostname").text == "web-1.mock-1a.internal"
    assert me.gce("instance/zone").text.endswith("/zones/mock-1a")
    assert me.gce("instance/machine-type").text.endswith("/machineTypes/small")
    assert me.gce("instance/scheduling/preemptible").text == "TRUE"
    assert me.gce("instance/attributes/").text == "role\n"
    assert me.gce("instance/network-interfaces/0/ip").text == spot["addresses"][0]["address"]
    assert me.gce("project/project-id").text == "default"
    number = me.gce("instance/id").text
    assert number.isdigit() and 0 < int(number) < 2**63 and number == me.gce("instance/id").text


def test_recursive_json_says_it_all_at_once(me):
    document = me.gce("", recursive="true").json()
    instance = document["instance"]
    assert instance["networkInterfaces"][0]["accessConfigs"][0]["externalIp"]
    assert instance["maintenanceEvent"] == "NONE" and instance["preempted"] == "FALSE"
    assert instance["attributes"] == {"role": "web"} and isinstance(instance["id"], int)
    assert document["project"]["projectId"] == "default"
    assert me.gce("instance/name", alt="json").json() == "web-1"
    assert "scheduling/preemptible TRUE\n" in me.gce("instance/", recursive="true", alt="text").text
    me.gce("instance/", expect=400, alt="xml")


def test_the_flavor_is_required_and_given_back(me):
    for headers in ({}, {"Metadata-Flavor": "Vanilla"}, {**GOOGLE, "X-Forwarded-For": "10.0.0.1"}):
        assert me.gce("instance/name", expect=403, headers=headers).headers["metadata-flavor"] == "Google"
    assert me.gce("instance/name").headers["metadata-flavor"] == "Google"
    assert me.gce("instance/none", expect=404).headers["metadata-flavor"] == "Google"
    assert me.http.get("/").headers["metadata-flavor"] == "Google"
    assert me.get("/computeMetadata/").headers["metadata-flavor"] == "Google"
    assert me.request("POST", "/computeMetadata/v1/instance/name", headers=GOOGLE).status_code == 405


def test_notices_show_as_preempted_and_maintenance_event(cloud, spot, me):
    interrupt(cloud, spot, kind="preempt")
    assert me.gce("instance/preempted").text == "TRUE"
    cloud.delete(f"/sim/v1/instances/{spot['id']}/interrupt")
    assert me.gce("instance/preempted").text == "FALSE"
    interrupt(cloud, spot, kind="maintenance", action="none")
    assert me.gce("instance/maintenance-event").text == "MIGRATE_ON_HOST_MAINTENANCE"
    cloud.advance("1h")
    interrupt(cloud, spot, kind="maintenance")
    assert me.gce("instance/maintenance-event").text == "TERMINATE_ON_HOST_MAINTENANCE"


def test_a_long_poll_ends_with_the_change_and_not_before(cloud, spot, me):
    etag = me.gce("instance/preempted").headers["etag"]
    waiting = Waiting(me, "instance/preempted", last_etag=etag)
    cloud.patch(f"/v1/instances/{spot['id']}", {"tags": {"x": "y"}})  # news of it, but not this
    cloud.instance(name="other")
    waiting.join(0.3)
    assert waiting.is_alive()
    interrupt(cloud, spot)
    response = waiting.answer()
    assert response.text == "TRUE" and response.headers["etag"] != etag


def test_a_long_poll_that_knows_an_old_state_is_answered_at_once(cloud, spot, me):
    etag = me.gce("instance/preempted").headers["etag"]
    interrupt(cloud, spot)
    assert me.gce("instance/preempted", wait_for_change="true", last_etag=etag).text == "TRUE"
    assert me.gce("instance/preempted", wait_for_change="true", last_etag="0").text == "TRUE"


def test_a_long_poll_ends_at_its_timeout_with_what_is(me):
    began = time.monotonic()
    assert me.gce("instance/preempted", wait_for_change="true", timeout_sec="1").text == "FALSE"
    assert time.monotonic() - began >= 1
    for bad in ("x", "-1", "1e9"):
        me.gce("instance/preempted", expect=400, wait_for_change="true", timeout_sec=bad)


def long_poll(server, etag):
    """A connection on which a long poll of web-1 has been sent."""
    at = urlsplit(server.metadata)
    s = socket.create_connection((at.hostname, at.port), timeout=20)
    s.sendall(f"GET /instance/web-1/computeMetadata/v1/instance/?recursive=true&wait_for_change=true&last_etag={etag}"
              f" HTTP/1.1\r\nHost: {at.netloc}\r\nMetadata-Flavor: Google\r\n\r\n".encode())
    return s


def test_a_hundred_wait_without_holding_up_anybody_and_are_answered_when_the_server_stops(metadata, me, spot):
    server = metadata.server
    etag = me.gce("instance/", recursive="true").headers["etag"]
    waiting = [long_poll(server, etag) for _ in range(100)]
    deadline = time.monotonic() + 20
    while any(server.unread(s) for s in waiting):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert me.gce("instance/name").text == "web-1"
    assert not select.select(waiting, [], [], 0)[0]
    assert server.stop() == 0
    assert {s.recv(12) for s in waiting} == {b"HTTP/1.1 200"}
    for s in waiting:
        s.close()


def test_who_waits_for_an_instance_that_ends_is_told(cloud, spot, me):
    etag = me.gce("instance/name").headers["etag"]
    waiting = Waiting(me, "instance/name", last_etag=etag, expect=404)
    waiting.join(0.3)
    cloud.post(f"/v1/instances/{spot['id']}/terminate", expect=202)
    assert waiting.answer().status_code == 404


def test_json_of_odd_tags_is_json(cloud, metadata):
    cloud.instance(name="odd", tags={"k-1": 'quote " and \\ and é', "with space": "x"})
    text = metadata("/instance/odd").gce("instance/attributes/", recursive="true").text
    assert json.loads(text) == {"k-1": 'quote " and \\ and é'}
