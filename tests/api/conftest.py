"""Fixtures: every test has a fresh server of its own, on a manual clock unless it asks otherwise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness.client import CONTRACT, Client  # noqa: E402
from harness.server import Server, binary  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="the long versions (make test-full)")
    parser.addoption("--random-seed", type=int, default=None, help="seed of the randomised tests")


def pytest_configure(config):
    if not os.access(binary(), os.X_OK):
        raise pytest.UsageError(f"{binary()} is not there: build it with make, or name it in MOCKCLOUD_BIN")


@pytest.fixture(scope="session")
def full(request):
    return request.config.getoption("--full")


@pytest.fixture(scope="session")
def random_seed(request):
    """Printed, and taken from --random-seed: a failure replays from it."""
    seed = request.config.getoption("--random-seed")
    if seed is None:
        seed = int.from_bytes(os.urandom(4), "big")
    print(f"\nrandom seed: replay with --random-seed={seed}")
    return seed


@pytest.fixture
def start(tmp_path):
    """Starts servers; those still running at the end must stop cleanly with exit code 0 and a clean log."""
    started = []

    def _start(**kwargs):
        directory = kwargs.pop("directory", tmp_path)
        server = Server(directory, **kwargs).start()
        started.append(server)
        return server

    yield _start
    failures = []
    for server in started:
        if server.running:
            try:
                code = server.stop()
            except subprocess.TimeoutExpired as late:
                server.kill()
                code = f"none: {late}"
            if code != 0:
                failures.append(f"exit code {code}: {server.lines[-5:]}")
        server.log_entries()
    assert not failures, failures


@pytest.fixture
def connect():
    """Opens clients and closes them at the end."""
    opened = []

    def _connect(server, **kwargs):
        client = Client(server, **kwargs)
        opened.append(client)
        return client

    yield _connect
    for client in opened:
        client.close()


@pytest.fixture
def metadata(start):
    """Callers of the metadata service of a server that has one; `metadata.server` is the server."""
    from harness.metadata import Metadata

    opened = []

    def _metadata(*args, **kwargs):
        opened.append(Metadata(_metadata.server, *args, **kwargs))
        return opened[-1]

    _metadata.start = lambda listen="127.0.0.1:0", **kwargs: start(metadata=listen, **kwargs)
    _metadata.server = _metadata.start()
    yield _metadata
    for caller in opened:
        caller.close()


@pytest.fixture
def server(start):
    return start()


@pytest.fixture
def api(server, connect):
    return connect(server)


def pytest_terminal_summary(terminalreporter):
    seen = CONTRACT.seen
    terminalreporter.write_line(
        f"contract: {sum(seen.values())} answers held against the OpenAPI document, "
        f"{len({op for op, _ in seen})} operations, {len(seen)} operation and status pairs")
