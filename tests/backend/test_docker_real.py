"""The docker backend against the engine of this machine: containers that look like kind's nodes."""

import json
import os
import shutil
import subprocess
import uuid

import pytest
from conftest import World

SOCKET = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
SLEEP_C = "#include <signal.h>\n#include <unistd.h>\nstatic void end(int s){_exit(128+s);}\n" \
          "int main(void){signal(SIGTERM,end);for(;;)pause();}\n"


def docker(*args, check=True, **kwargs):
    return subprocess.run(["docker", *args], capture_output=True, text=True, check=check, **kwargs).stdout.strip()


def reason_to_skip():
    if not shutil.which("docker"):
        return "no docker command to make containers with"
    found = subprocess.run(["docker", "info"], capture_output=True, text=True)
    if found.returncode:
        return f"no container engine answers at {SOCKET}: {found.stderr.strip()[-200:]}"
    if not shutil.which("gcc"):
        return "no gcc to build the program of the containers"
    return None


WHY = reason_to_skip()
if WHY:
    print(f"\ntests/backend/test_docker_real.py is skipped: {WHY}")
pytestmark = pytest.mark.skipif(bool(WHY), reason=WHY or "")


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """An image with one static program that waits."""
    directory = tmp_path_factory.mktemp("image")
    (directory / "wait.c").write_text(SLEEP_C)
    tree = directory / "tree"
    tree.mkdir()
    subprocess.run(["gcc", "-Os", "-static", "-o", tree / "wait", directory / "wait.c"], check=True)
    name = f"mockcloud-test-wait:{uuid.uuid4().hex[:8]}"
    tar = subprocess.run(["tar", "-C", tree, "-c", "."], capture_output=True, check=True).stdout
    subprocess.run(["docker", "import", "--change", 'ENTRYPOINT ["/wait"]', "-", name], input=tar, check=True,
                   capture_output=True)
    yield name
    docker("rmi", "-f", name, check=False)


@pytest.fixture
def real(start, connect, image, eventually):
    cluster = f"t{uuid.uuid4().hex[:8]}"
    network = f"{cluster}-net"
    docker("network", "create", network)
    w = World(connect(start(args=("--docker-socket", SOCKET))), None, eventually)
    w.name = cluster

    def node(name, role="worker"):
        docker("run", "-d", "--name", f"{cluster}-{name}", "--network", network, "--label",
               f"io.x-k8s.kind.cluster={cluster}", "--label", f"io.x-k8s.kind.role={role}", "-v", "/var", image)
        return f"{cluster}-{name}"

    w.node = node
    try:
        yield w
    finally:
        left = docker("ps", "-aq", "--filter", f"label=io.x-k8s.kind.cluster={cluster}").split()
        if left:
            docker("rm", "-fv", *left, check=False)
        docker("network", "rm", network, check=False)


def inspect(name):
    return json.loads(docker("inspect", name))[0]


def test_the_life_of_a_real_container_is_the_life_of_its_instance(real):
    name = real.node("worker")
    real.adopt(real.name, routes=False)
    id_ = real.await_names(name)[name]["id"]
    address = next(iter(inspect(name)["NetworkSettings"]["Networks"].values()))["IPAddress"]
    assert address in [a["address"] for a in real.instance(name)["addresses"]]

    real.act(id_, "stop")
    real.await_state(id_, "stopped", 60)
    assert inspect(name)["State"]["Status"] == "exited"
    real.act(id_, "start")
    real.await_state(id_, "running", 60)
    assert inspect(name)["State"]["Running"]

    docker("kill", name)
    assert real.await_state(id_, "stopped")["state_reason"]["code"] == "container-killed"
    docker("start", name)
    real.await_state(id_, "running")

    volumes = [m["Name"] for m in inspect(name)["Mounts"]]
    real.act(id_, "terminate")
    real.await_state(id_, "terminated", 60)
    assert subprocess.run(["docker", "inspect", name], capture_output=True).returncode != 0
    assert volumes and not set(volumes) & set(docker("volume", "ls", "-q").split())


def test_nodes_that_come_and_go_by_hand_are_followed(real):
    real.adopt(real.name, routes=False)
    first, second = real.node("worker"), real.node("control-plane", "control-plane")
    found = real.await_names(first, second)
    assert found[second]["container"]["role"] == "control-plane"
    docker("rm", "-fv", first)
    real.await_state(found[first]["id"], "terminated")
    real.await_names(second)
