"""start, memory, events: milliseconds and megabytes."""

import json
import os
import select
import socket
import statistics
import subprocess
import time

from lib import Api, Row, binary, percentile

STARTS = 15
WATCHERS = 1000


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def first_answer(port, token):
    """Asks until the server answers 200."""
    request = (f"GET /v1/instances?limit=1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
               f"Authorization: Bearer {token}\r\nConnection: close\r\n\r\n").encode()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
                s.sendall(request)
                if s.recv(4096).startswith(b"HTTP/1.1 200"):
                    return
        except ConnectionRefusedError:
            time.sleep(0.0002)
    raise RuntimeError("no answer")


def time_to_first_200(db, token_file, token):
    port = free_port()
    command = [binary(), "serve", "--db", str(db), "--listen", f"127.0.0.1:{port}", "--token-file", str(token_file),
               "--log-level", "warn"]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, close_fds=False)
    try:
        first_answer(port, token)
        return (time.perf_counter() - began) * 1e3
    finally:
        process.terminate()
        process.wait()


def start(bench):
    """From the start of the process to its first 200."""
    token = "0123456789abcdef0123456789abcdef"
    token_file = bench.path("token")
    token_file.write_text(token)
    token_file.chmod(0o600)
    loaded = bench.with_instances(10000)
    loaded.stop()
    cases = [("a new database", lambda: bench.path("new.db"), 20), ("10,000 instances", lambda: loaded.db, 100)]
    rows = []
    for what, db, target in cases:
        times = [time_to_first_200(db(), token_file, token) for _ in range(STARTS)]
        median = statistics.median(times)
        rows.append(Row("start", f"to the first 200, {what}", f"{median:.1f} ms (worst {max(times):.1f})", "", None,
                        f"≤ {target} ms", median <= target))
    return rows


def memory(bench):
    """RssAnon: idle, with 100,000 instances as made, and after a restart and some reading."""
    server = bench.mockcloud()
    Api(server)("GET", "/v1/zones")
    rows = [memory_row(server, "idle", 15)]
    server.stop()
    server = bench.with_instances(100000)
    rows.append(memory_row(server, "100,000 instances, just made", 80))
    server.stop()
    server.start()
    bench.processes.append(server.process)
    api = Api(server)
    token = ""
    while token is not None:
        page = api("GET", f"/v1/instances?limit=1000{token}")
        token = "&page_token=" + page["next_page_token"] if "next_page_token" in page else None
    rows.append(memory_row(server, "100,000 instances, restarted and listed", 80))
    server.stop()
    return rows


def memory_row(server, what, target):
    mib = server.memory_kib() / 1024
    return Row("memory", f"RssAnon, {what}", f"{mib:.1f} MiB", "", None, f"≤ {target} MiB", mib <= target)


class Watchers:
    """Event streams and one writer in one epoll loop, so that all share a clock."""

    def __init__(self, server, count):
        self.server = server
        self.epoll = select.epoll()
        self.sockets = {}
        head = f"Host: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {server.token}\r\n"
        request = f"GET /v1/events HTTP/1.1\r\n{head}Accept: text/event-stream\r\n\r\n".encode()
        for _ in range(count):
            s = socket.create_connection(("127.0.0.1", server.port))
            s.sendall(request)
            self.sockets[s.fileno()] = s
            self.epoll.register(s.fileno(), select.EPOLLIN)
        waiting, heads = set(self.sockets), dict.fromkeys(self.sockets, b"")
        while waiting:
            for fd, _ in self.poll():
                heads[fd] += os.read(fd, 65536)
                if b"\r\n\r\n" in heads[fd]:
                    assert b" 200 " in heads[fd][:20], heads[fd]
                    waiting.discard(fd)
        self.writer = socket.create_connection(("127.0.0.1", server.port))
        self.writer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.epoll.register(self.writer.fileno(), select.EPOLLIN)
        self.head = head

    def poll(self):
        ready = self.epoll.poll(30)
        if not ready:
            raise RuntimeError("no event within 30 s")
        return ready

    def patch(self, path, n):
        """One change; when its answer and each watcher's first byte came, in ms after it was sent."""
        body = json.dumps({"tags": {"n": str(n)}})
        request = (f"PATCH {path} HTTP/1.1\r\n{self.head}Content-Type: application/json\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n{body}").encode()
        marker = f'"n":"{n}"'.encode()
        waiting, parts = set(self.sockets), {}
        arrived, answered = [], None
        began = time.perf_counter()
        self.writer.sendall(request)
        while waiting or answered is None:
            ready = self.poll()
            for fd, _ in ready:
                data = os.read(fd, 65536)
                now = (time.perf_counter() - began) * 1e3
                if fd == self.writer.fileno():
                    answered = now
                    assert data.startswith(b"HTTP/1.1 200"), data
                    continue
                if fd in waiting and fd not in parts and data.strip(b"\r\n0123456789abcdef") != b":":
                    arrived.append(now)
                parts[fd] = parts.get(fd, b"") + data
                if marker in parts[fd]:
                    waiting.discard(fd)
        return answered, arrived

    def close(self):
        for s in (*self.sockets.values(), self.writer):
            s.close()
        self.epoll.close()


def events(bench):
    """From a change to the first byte at its watchers, and the memory that an idle watcher takes."""
    server = bench.mockcloud()
    made = Api(server)("POST", "/v1/instances", {})
    path = f"/v1/instances/{made['id']}"
    rows = []
    alone = Watchers(server, 1)
    samples = [alone.patch(path, n) for n in range(1000)][100:]
    alone.close()
    sent = [first for _, (first, *_) in samples]
    median = statistics.median(sent)
    rows.append(Row("events", "change sent to first byte, 1 watcher, median (contains the commit)",
                    f"{median:.3f} ms", f"answer {statistics.median(a for a, _ in samples):.3f} ms", None, "≤ 1 ms",
                    median <= 1))
    before = server.memory_kib()
    many = Watchers(server, WATCHERS)
    each = (server.memory_kib() - before) / WATCHERS
    samples = [many.patch(path, n) for n in range(100)]
    many.close()
    late = [t for _, arrived in samples for t in arrived]
    p99 = percentile(late, 0.99)
    rows.append(Row("events", f"change sent to first byte, {WATCHERS:,} watchers, p99",
                    f"{p99:.1f} ms (median {statistics.median(late):.1f})", "", None, "≤ 50 ms", p99 <= 50))
    rows.append(Row("events", "memory per idle watcher", f"{each:.1f} KiB", "", None, "≤ 16 KiB", each <= 16))
    server.stop()
    return rows
