"""A mockcloud server as a child process.

The binary is $MOCKCLOUD_BIN, or build/mockcloud: so the sanitizer builds run the same tests.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
START_TIMEOUT = float(os.environ.get("MOCKCLOUD_START_TIMEOUT", "60"))


def binary() -> str:
    return os.environ.get("MOCKCLOUD_BIN") or str(ROOT / "build" / "mockcloud")


class StartFailed(Exception):
    """The server ended before it listened; `code` is its exit code, `log` what it wrote to stderr."""

    def __init__(self, code, log):
        super().__init__(f"server ended with {code}: {log}")
        self.code = code
        self.log = log


class Server:
    """One server process on a free loopback port, with its database and token file in `directory`."""

    def __init__(self, directory, *, db=None, clock="manual", seed=1, args=(), env=None, preexec=None,
                 listen="127.0.0.1:0", metadata="none"):
        self.directory = Path(directory)
        self.db = str(db or self.directory / "cloud.db")
        self.token_file = self.directory / "token"
        self.command = [
            binary(), "serve", "--db", self.db, "--listen", listen, "--metadata-listen", metadata,
            *(["--clock", clock] if clock else []), *(["--seed", str(seed)] if seed is not None else []),
            "--token-file", str(self.token_file), "--log-format", "json", *map(str, args),
        ]
        self.environment = {**os.environ, **(env or {})}
        self.preexec = preexec
        self.process = None
        self.lines = []
        self.address = None
        self.metadata = None  # address of the metadata service
        self._reader = None

    # -- life ---------------------------------------------------------------------------------------
    def start(self):
        self.lines = []
        self.address = None
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=self.environment, preexec_fn=self.preexec, start_new_session=True,
        )
        self._wait_listening()
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()
        return self

    def _wait_listening(self):
        deadline = time.monotonic() + START_TIMEOUT
        self._rest = b""
        pipe = self.process.stderr.fileno()
        while self.address is None:
            # With a log level above info nothing is said of the address, but the lock file has it.
            quiet = "--log-level" in self.command
            if quiet:
                self.address = self._address_of_lock_file()
            left = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([pipe], [], [], min(left, 0.001) if quiet else left)
            if not ready and (quiet and left):
                continue
            if not ready:
                self.kill()
                raise StartFailed(None, f"not listening after {START_TIMEOUT} s: {self.lines}")
            chunk = os.read(pipe, 65536)
            if not chunk:
                raise StartFailed(self.process.wait(), "\n".join(self.lines + [self._rest.decode()]))
            self._feed(chunk)

    def _address_of_lock_file(self):
        try:
            pid, _, address = Path(self.db + ".lock").read_text().strip().partition(" ")
        except FileNotFoundError:
            return None
        return address if pid == str(self.pid) and address.startswith("http") else None

    def _feed(self, chunk):
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for raw in whole:
            line = raw.decode("utf-8", "replace")
            self.lines.append(line)
            if '"listening"' in line:
                entry = json.loads(line)
                if entry.get("msg") == "listening":
                    self.address = entry["address"]
            elif '"metadata service listening"' in line:
                self.metadata = json.loads(line)["address"]

    def _drain(self):
        pipe = self.process.stderr.fileno()
        while chunk := os.read(pipe, 65536):
            self._feed(chunk)

    def stop(self, timeout=60.0, signum=signal.SIGTERM):
        """Asks the server to end and returns its exit code."""
        self.process.send_signal(signum)
        return self.wait(timeout)

    def wait(self, timeout=60.0):
        code = self.process.wait(timeout)
        self._close()
        return code

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
            self._close()

    def _close(self):
        if self._reader:
            self._reader.join(10)
            self._reader = None
        self.process.stderr.close()

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    # -- what it says -------------------------------------------------------------------------------
    @property
    def pid(self):
        return self.process.pid

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    @property
    def token(self):
        return self.token_file.read_text().strip()

    def log_entries(self):
        """The log so far; a line that is not JSON (a sanitizer's report, for one) fails."""
        return [_entry(line) for line in self.lines if line]

    def memory_kib(self, field="RssAnon"):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise LookupError(field)

    def open_sockets(self):
        """How many sockets it holds: files of its store come and go with its readers."""
        return sum(_is_socket(fd) for fd in Path(f"/proc/{self.pid}/fd").iterdir())

    def holds(self, s: socket.socket):
        """Whether its end of this IPv4 connection is still open: one that it has closed is nobody's, inode 0."""
        return self._end_of(s).get("inode", "0") != "0"

    def unread(self, s: socket.socket):
        """How many bytes of this IPv4 connection have come and are not read."""
        return int(self._end_of(s)["queues"].split(":")[1], 16)

    def _end_of(self, s):
        ours, theirs = (f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
                        for host, port in (s.getsockname(), s.getpeername()))
        names = ("", "local", "remote", "state", "queues", "timer", "retransmits", "uid", "timeout", "inode")
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            end = dict(zip(names, line.split()))
            if (end["local"], end["remote"]) == (theirs, ours):
                return end
        return {}


def run_serve(*args, timeout=20, env=None, preexec=None):
    """Runs `mockcloud serve` with these flags until it ends: for starts that are to be refused."""
    return subprocess.run(
        [binary(), "serve", *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=timeout, env={**os.environ, **(env or {})}, preexec_fn=preexec,
    )


def _is_socket(fd):
    try:
        return os.readlink(fd).startswith("socket:")
    except FileNotFoundError:  # closed meanwhile
        return False


def _entry(line):
    try:
        return json.loads(line)
    except ValueError:
        raise AssertionError(f"not a line of the log: {line[:2000]!r}") from None
