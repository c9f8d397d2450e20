"""The `mockcloud` command as a user runs it: against the real server, and against a scripted one that misbehaves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "api"))

from harness.server import ROOT, Server, binary  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))

from scripted import ScriptedServer  # noqa: E402

CODES = {"refused": 1, "usage": 2, "not_found": 3, "timeout": 4, "unreachable": 5, "conflict": 6, "denied": 7}


class Cli:
    """Runs commands with one environment; each call checks the exit code."""

    def __init__(self, **environment):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MOCKCLOUD_", "XDG_", "http", "HTTP"))}
        self.environment = {**kept, "HOME": "/nonexistent", **environment}

    def command(self, *args):
        return [binary(), *map(str, args)]

    def run(self, *args, code=0, env=None, timeout=60, stdin=None):
        done = subprocess.run(self.command(*args), input=stdin, capture_output=True, text=True, timeout=timeout,
                              env={**self.environment, **(env or {})})
        assert done.returncode == CODES.get(code, code), f"{args}: {done.stdout}{done.stderr}"
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        return done

    def __call__(self, *args, **kwargs):
        return self.run(*args, **kwargs).stdout

    def lines(self, *args, **kwargs):
        return self(*args, **kwargs).splitlines()

    def json(self, *args, **kwargs):
        return json.loads(self(*args, "-o", "json", **kwargs))

    def error(self, *args, code):
        """The one line that a failing command says."""
        done = self.run(*args, code=code)
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("mockcloud: "), done.stderr
        return lines[0].removeprefix("mockcloud: ")

    def spawn(self, *args):
        return subprocess.Popen(self.command(*args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=self.environment)


@pytest.fixture
def bare():
    """No server at all."""
    return Cli(MOCKCLOUD_URL="http://127.0.0.1:1")


@pytest.fixture
def scripted():
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def told(scripted):
    """The command talking to the scripted server."""
    return Cli(MOCKCLOUD_URL=scripted.url, MOCKCLOUD_TOKEN="secret")


@pytest.fixture
def server(tmp_path):
    started = Server(tmp_path).start()
    yield started
    assert started.stop() == 0, started.lines


@pytest.fixture
def cli(server):
    """The command talking to a real server with a manual clock."""
    return Cli(MOCKCLOUD_URL=server.address if "://" in server.address else f"http://{server.address}",
               MOCKCLOUD_TOKEN_FILE=str(server.token_file))


@pytest.fixture
def start_cli(tmp_path):
    """Starts a server with more flags and gives the command that talks to it."""
    started = []

    def _start(*args):
        server = Server(tmp_path, args=args).start()
        started.append(server)
        return Cli(MOCKCLOUD_URL=server.address if "://" in server.address else f"http://{server.address}",
                   MOCKCLOUD_TOKEN_FILE=str(server.token_file))

    yield _start
    for server in started:
        assert server.stop() == 0, server.lines


@pytest.fixture(scope="session")
def root():
    return ROOT
