"""Real kind clusters whose nodes are instances: made by scripts/kind-up, as a user makes them.

Needs a Docker engine and kind; KIND_NODE_IMAGE names the image of the nodes (default: kind's own). Everything the tests make has
names of their own and is removed at the end.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from http.client import HTTPException
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))

from pytest_mockcloud.server import ApiError, Client  # noqa: E402

SERVER = "mockcloud-test"
ECHO_IMAGE = "mockcloud-test-echo:1"
PATIENCE = 180.0
FIGURES = {}


def run(*command, check=True, stdin=None, timeout=600, env=None):
    done = subprocess.run([str(c) for c in command], input=stdin, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(env or {})})
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done


def eventually(what, condition, timeout=PATIENCE):
    """Asks until `condition()` is true, and returns that; says what was not so, and what came instead, at the end."""
    deadline = time.monotonic() + timeout
    while True:
        seen = None
        try:
            seen = condition()
            if seen:
                return seen
        except (AssertionError, ApiError, HTTPException, OSError, KeyError, IndexError, ValueError) as error:
            seen = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:.0f} s: {what}; last seen: {seen!r}")
        time.sleep(0.25)


class Cluster:
    def __init__(self, name):
        self.name = name

    @property
    def control_plane(self):
        return f"{self.name}-control-plane"

    def kubectl(self, *arguments, **kwargs):
        return run("docker", "exec", "-i", self.control_plane, "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", *arguments,
                   **kwargs)

    def get(self, *what):
        return json.loads(self.kubectl("get", *what, "-o", "json").stdout)

    def apply(self, manifest):
        self.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    def node(self, name):
        """The Node, or None."""
        done = self.kubectl("get", "node", name, "-o", "json", check=False)
        if done.returncode == 0:
            return json.loads(done.stdout)
        assert "NotFound" in done.stderr, done.stderr
        return None

    def node_names(self):
        return {node["metadata"]["name"] for node in self.get("nodes")["items"]}

    def ready(self, name):
        return condition_of(self.node(name), "Ready") == "True"

    def taints(self, name):
        return {taint["key"] for taint in self.node(name)["spec"].get("taints", [])}

    def events(self, reason):
        return self.get("events", "--field-selector", f"reason={reason}")["items"]


def condition_of(node, kind):
    return next((c["status"] for c in node["status"]["conditions"] if c["type"] == kind), None)


class Cloud:
    """The server, as a user of the CLI and of the API sees it."""

    def __init__(self):
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state")
        self.token_file = state / "mockcloud/kind" / SERVER / "token"
        port = run("docker", "port", SERVER, "9080/tcp").stdout.splitlines()[0]
        self.client = Client(f"http://{port}", self.token_file.read_text().strip())

    def cli(self, *arguments, **kwargs):
        binary = os.environ.get("MOCKCLOUD_BIN") or ROOT / "build/mockcloud"
        return run(binary, *arguments, env={"MOCKCLOUD_URL": self.client.url, "MOCKCLOUD_TOKEN_FILE": str(self.token_file)}, **kwargs)

    def instance(self, name, cluster=None):
        """The newest instance of this name."""
        items = self.client.get("/v1/instances", name=name)["items"]
        assert items, f"no instance {name}"
        return items[-1]

    def wait_state(self, name, state):
        return eventually(f"instance {name} is {state}", lambda: self.instance(name)["state"] == state and self.instance(name))


def container_state(name):
    """running, exited, …; None if there is no such container."""
    done = run("docker", "inspect", "-f", "{{.State.Status}}", name, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def kind_up(name, *flags):
    begun = time.monotonic()
    done = run(ROOT / "scripts/kind-up", "--name", name, "--server", SERVER, "--port", "0", "--tag", "test", "--profile", "fast",
               *flags, timeout=900)
    FIGURES[f"kind-up {name}"] = time.monotonic() - begun
    return done


def kind_down(name, *flags):
    return run(ROOT / "scripts/kind-down", "--name", name, "--server", SERVER, *flags)


def build_echo(directory):
    go = run(ROOT / "scripts/deps", "--go-path").stdout.strip()
    tree = directory / "tree"
    tree.mkdir()
    run(go, "build", "-trimpath", "-o", tree / "echo", ROOT / "tests/kind/echo/main.go", env={"CGO_ENABLED": "0"})
    run("sh", "-c", f"tar -C '{tree}' -c . | docker import --change 'ENTRYPOINT [\"/echo\"]' - {ECHO_IMAGE}")


@pytest.fixture(scope="session", autouse=True)
def images(tmp_path_factory):
    for name in ("one", "two"):
        kind_down(name)  # of a run that was killed
    run(ROOT / "scripts/images", "--tag", "test", timeout=900)
    build_echo(tmp_path_factory.mktemp("echo"))
    yield
    for name in ("one", "two"):
        kind_down(name)
    for image in ("mockcloud:test", "mockcloud-ccm:test", "mockcloud-cni:test", ECHO_IMAGE):
        run("docker", "image", "rm", "-f", image, check=False)


@pytest.fixture(scope="session")
def one(images):
    """Two workers, whose pods reach each other only through the cloud's routes."""
    kind_up("one", "--workers", "2", "--cloud-routes")
    cluster = Cluster("one")
    run(os.environ.get("KIND") or shutil.which("kind"), "load", "docker-image", ECHO_IMAGE, "--name", "one")
    yield cluster


@pytest.fixture(scope="session")
def cloud(one):
    return Cloud()


def pytest_terminal_summary(terminalreporter):
    for what, seconds in FIGURES.items():
        terminalreporter.write_line(f"figure: {what}: {seconds:.1f} s")
