"""pytest fixtures: a mock cloud for a test.

``mockcloud``         a client of a project of the test's own, on a server that all tests of the session share
``mockcloud_server``  that server
``mockcloud_start``   starts servers with flags of the test's choice, such as ``clock="manual"``; they end with the test

The program is ``$MOCKCLOUD_BIN``, else ``mockcloud`` on the PATH. Only the standard library is used.
"""

import secrets

import pytest

from .server import ApiError, Client, Server, StartFailed

__all__ = ["ApiError", "Client", "Server", "StartFailed"]


@pytest.fixture(scope="session")
def mockcloud_server(tmp_path_factory):
    """A server on a free loopback port, with a real clock; ends with the session."""
    with Server(tmp_path_factory.mktemp("mockcloud")) as server:
        yield server


@pytest.fixture
def mockcloud(mockcloud_server):
    """A client whose token sees one project: that of this test. The project and all in it are gone afterwards."""
    name = f"test-{secrets.token_hex(6)}"
    yield mockcloud_server.new_project(name)
    mockcloud_server.client.delete(f"/sim/v1/projects/{name}")


@pytest.fixture
def mockcloud_start(tmp_path):
    """``mockcloud_start(clock="manual", seed=7, args=["--events-kept", "1000"])``; each call is a server of its own."""
    started = []

    def start(**options):
        server = Server(tmp_path / f"mockcloud-{len(started)}", **options)
        started.append(server.start())
        return server

    yield start
    for server in started:
        server.stop()
