"""A server with the docker backend, on a fake engine or a real one."""

import importlib.util
import sys
import tempfile
import time
from pathlib import Path

import pytest

API = Path(__file__).parents[1] / "api"
sys.path[:0] = [str(API), str(Path(__file__).parent)]

_spec = importlib.util.spec_from_file_location("api_conftest", API / "conftest.py")
_api = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_api)
start, connect = _api.start, _api.connect

from fake_engine import FakeEngine  # noqa: E402


@pytest.fixture
def eventually():
    def _eventually(condition, what="it", timeout=20.0):
        """The first true value of `condition()`; asks often, for at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
            time.sleep(0.01)
        return value
    return _eventually


@pytest.fixture
def engine():
    with tempfile.TemporaryDirectory(prefix="mockcloud-engine-") as directory:  # a short path: sockets have few bytes
        fake = FakeEngine(Path(directory) / "docker.sock").start()
        yield fake
        fake.stop()


class World:
    """A server on an engine, with shorthands."""

    def __init__(self, api, engine, eventually):
        self.api, self.engine, self.eventually = api, engine, eventually

    def adopt(self, name="c1", **options):
        return self.api.post("/sim/v1/clusters", {"name": name, **options}, expect=201)

    def cluster(self, name="c1"):
        return self.api.get(f"/sim/v1/clusters/{name}")

    def instances(self):
        return {i["name"]: i for i in self.api.get("/v1/instances?limit=1000")["items"] if i["state"] != "terminated"}

    def instance(self, name):
        return self.instances().get(name)

    def await_state(self, id_, state, timeout=20.0):
        def look():
            i = self.api.get(f"/v1/instances/{id_}")
            self.last = i
            return i if i["state"] == state else None
        return self.eventually(look, f"{id_} to be {state}", timeout)

    def await_names(self, *names):
        def look():
            found = self.instances()
            return found if set(found) == set(names) and all(i["state"] == "running" for i in found.values()) else None
        return self.eventually(look, f"instances {names}")

    def join(self, name, **container):
        return self.api.post("/v1/instances", {"name": name, "backend": "docker",
                                               "container": {"cluster": "c1", **container}}, expect=201)

    def act(self, id_, action, body=None):
        return self.api.post(f"/v1/instances/{id_}/{action}", body, expect=202)


@pytest.fixture
def world(start, connect, engine, eventually):
    server = start(args=("--docker-socket", f"unix://{engine.path}"))
    w = World(connect(server), engine, eventually)
    w.server, w.start, w.connect = server, start, connect
    return w


@pytest.fixture
def three(world):
    """An adopted cluster of three nodes."""
    e = world.engine
    world.nodes = [e.node("c1-control-plane", role="control-plane"), e.node("c1-worker"), e.node("c1-worker2")]
    world.adopt()
    world.await_names("c1-control-plane", "c1-worker", "c1-worker2")
    return world
