"""What a test with pytest-mockcloud looks like: an example that runs in our CI."""

import pytest

from pytest_mockcloud import ApiError, Server, StartFailed


def test_an_instance_is_created_and_terminated(mockcloud):
    instance = mockcloud.post("/v1/instances", {"name": "web-1"})
    assert instance["state"] == "running"
    mockcloud.post(f"/v1/instances/{instance['id']}/terminate")
    mockcloud.wait(f"/v1/instances/{instance['id']}", lambda i: i["state"] == "terminated")


def test_every_test_has_a_project_of_its_own(mockcloud):
    assert mockcloud.get("/v1/instances")["items"] == []
    mockcloud.post("/v1/instances", {"name": "web-1"})  # the name is free: the other test's is another project's
    with pytest.raises(ApiError) as caught:
        mockcloud.post("/v1/instances", {"name": "web-1"})
    assert (caught.value.status, caught.value.code, caught.value.field) == (409, "already_exists", "name")


def test_time_is_the_tests_own(mockcloud_start):
    cloud = mockcloud_start(clock="manual", seed=7).client
    cloud.put("/sim/v1/latencies/instance.pending", {"distribution": "fixed", "value": "90s"})
    instance = cloud.post("/v1/instances", {})
    assert instance["state"] == "pending"
    cloud.post("/sim/v1/clock/advance", {"by": "90s"})
    assert cloud.get(f"/v1/instances/{instance['id']}")["state"] == "running"


def test_the_same_seed_gives_the_same_ids(mockcloud_start):
    servers = [mockcloud_start(clock="manual", seed=7) for _ in range(2)]
    assert len({s.client.post("/v1/instances", {})["id"] for s in servers}) == 1


def test_a_proxy_of_the_environment_is_not_asked(mockcloud, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert mockcloud.get("/v1/instances")["items"] == []


def test_a_server_that_does_not_start_says_why(tmp_path):
    with pytest.raises(StartFailed, match="--no-such-flag"):
        Server(tmp_path, args=["--no-such-flag"]).start()
