"""Clients that are slow, vanish, send garbage, pipeline or only sit there: they harm no one else."""

import random
import resource
import select
import socket
import time

import pytest

IDLE = 10000


def connection(server, timeout=20):
    s = socket.create_connection(("127.0.0.1", server.port), timeout=timeout)
    return s


def head(server, method="GET", path="/v1/instances", *extra):
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", f"Authorization: Bearer {server.token}",
             *extra]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def read_response(s):
    """One answer with a Content-Length: (status, body)."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = s.recv(65536)
        if not chunk:
            return None, data
        data += chunk
    top, _, body = data.partition(b"\r\n\r\n")
    length = int(next(line.split(b":")[1] for line in top.split(b"\r\n") if line.lower().startswith(b"content-length")))
    while len(body) < length:
        chunk = s.recv(65536)
        assert chunk, "cut off in the body"
        body += chunk
    return int(top.split()[1]), body[:length]


def read_all(s):
    data = b""
    try:
        while chunk := s.recv(65536):
            data += chunk
    except (ConnectionError, TimeoutError):
        pass
    return data


def test_requests_sent_all_at_once_are_answered_in_order(server, api):
    ids = [i["id"] for i in api.post("/v1/instances", {"count": 50})["items"]]
    with connection(server) as s:
        s.sendall(b"".join(head(server, path=f"/v1/instances/{i}") for i in ids[:-1])
                  + head(server, "GET", f"/v1/instances/{ids[-1]}", "Connection: close"))
        data = read_all(s)
    assert data.count(b"HTTP/1.1 200") == 50
    places = [data.index(f'"id":"{i}"'.encode()) for i in ids]
    assert places == sorted(places)


def test_changes_sent_all_at_once_are_each_made_once(server, api):
    body = b"{}"
    one = head(server, "POST", "/v1/instances", "Content-Type: application/json", f"Content-Length: {len(body)}") + body
    last = head(server, "POST", "/v1/instances", "Content-Type: application/json", f"Content-Length: {len(body)}",
                "Connection: close") + body
    with connection(server) as s:
        s.sendall(one * 29 + last)
        data = read_all(s)
    assert data.count(b"HTTP/1.1 201") == 30
    assert len(api.get("/v1/instances")["items"]) == 30


def test_a_body_that_comes_byte_by_byte_is_taken(server, api):
    body = b'{"name":"slow-and-steady"}'
    with connection(server) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head(server, "POST", "/v1/instances", "Content-Type: application/json",
                         f"Content-Length: {len(body)}") + body:
            s.sendall(bytes([byte]))
        status, answer = read_response(s)
    assert status == 201 and b"slow-and-steady" in answer


@pytest.mark.parametrize("sent", [0, 1, 10])
def test_a_client_that_vanishes_mid_body_changes_nothing(server, api, sent):
    body = b'{"name":"vanished"}'
    for _ in range(20):
        with connection(server) as s:
            s.sendall(head(server, "POST", "/v1/instances", "Content-Type: application/json",
                           f"Content-Length: {len(body)}") + body[:sent])
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset, not closed
    assert api.get("/v1/instances")["items"] == []
    api.instance(name="vanished")


def test_a_client_that_vanishes_before_its_answer_leaves_the_server_whole(server, api):
    body = b'{"count":100}'
    for _ in range(20):
        with connection(server) as s:
            s.sendall(head(server, "POST", "/v1/instances", "Content-Type: application/json",
                           f"Content-Length: {len(body)}") + body)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    made = len(api.all_items("/v1/instances"))
    assert made % 100 == 0, "a change was made by halves"
    api.instance()


def test_garbage_is_refused_and_the_next_client_served(server, api, random_seed):
    rng = random.Random(random_seed)
    lines = [b"\r\n\r\n", b"GET\r\n\r\n", b"\x00" * 1000, b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
             b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
             b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
             b"POST /v1/instances HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
             b"POST /v1/instances HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
             b"POST /v1/instances HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
             b"POST /v1/instances HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]
    lines += [rng.randbytes(rng.randrange(1, 4000)) for _ in range(200)]
    answers = []
    for garbage in lines:
        # What may still become a request is kept for the idle time-out: no answer then.
        with connection(server, timeout=0.3) as s:
            try:
                s.sendall(garbage)
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has hung up already
            answers.append(read_all(s))
    statuses = {a[9:12] for a in answers if a}
    assert len(answers) == len(lines) and statuses
    assert all(status[:1] == b"4" or status == b"505" for status in statuses), statuses
    assert api.get("/v1/instances")["items"] == []


def test_a_length_and_a_chunked_body_together_are_never_taken_for_two_requests(server, api):
    """Request smuggling."""
    smuggled = head(server, "POST", "/v1/instances", "Content-Type: application/json", "Content-Length: 2") + b"{}"
    with connection(server) as s:
        s.sendall(head(server, "GET", "/v1/instances", f"Content-Length: {len(smuggled)}",
                       "Transfer-Encoding: chunked") + b"0\r\n\r\n" + smuggled)
        s.shutdown(socket.SHUT_WR)
        read_all(s)
    assert api.get("/v1/instances")["items"] == []


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server, api):
    """The length alone is enough: nobody has to send a gigabyte to be told no."""
    with connection(server) as s:
        s.sendall(head(server, "POST", "/v1/instances", "Content-Type: application/json", "Content-Length: 1073741824",
                       "Expect: 100-continue"))
        data = s.recv(4096)
    assert data.startswith(b"HTTP/1.1 413"), data[:100]


def test_a_large_body_takes_no_more_memory_than_the_limit(server, api):
    before = server.memory_kib()
    for _ in range(5):
        with connection(server) as s:
            s.sendall(head(server, "POST", "/v1/instances", "Content-Type: application/json",
                           "Transfer-Encoding: chunked"))
            try:
                for _ in range(64):
                    s.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
            except ConnectionError:
                pass
    assert server.memory_kib() - before < 32 << 10


def test_slow_clients_do_not_slow_down_the_others(server, api):
    slow = [connection(server) for _ in range(200)]
    for s in slow:
        s.sendall(b"GET /v1/instances HT")
    for _ in range(50):
        api.get("/v1/instances")  # each within the client's time-out, which is shorter than the server's for those
    for s in slow:
        s.close()


def test_ten_thousand_idle_connections_leave_another_client_served_and_are_closed_in_the_end(start, connect, full):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(IDLE, hard - 500)
    assert wanted > 1000, f"only {hard} open files are allowed here"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = start()
    api = connect(server)
    api.instance()
    before = server.memory_kib()
    idle = []
    try:
        for _ in range(wanted):
            idle.append(connection(server))
        api.get("/v1/instances")  # accepted in order: when this is answered, so were those
        times = []
        for _ in range(20):
            began = time.monotonic()
            api.instance()
            times.append(time.monotonic() - began)
        each = (server.memory_kib() - before) / wanted
        print(f"{len(idle)} idle connections, {each:.1f} KiB each; slowest POST meanwhile {max(times) * 1e3:.0f} ms")
        assert len(idle) == wanted
        if "asan" not in server.command[0] and "tsan" not in server.command[0]:
            assert each < 32
        if full:
            wait_closed(idle)
    finally:
        for s in idle:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def wait_closed(idle):
    """The server's idle time-out ends every one of them."""
    poll = select.epoll()
    for s in idle:
        poll.register(s.fileno(), select.EPOLLIN)
    open_, deadline = {s.fileno() for s in idle}, time.monotonic() + 90
    while open_ and time.monotonic() < deadline:
        for fd, _ in poll.poll(1):
            poll.unregister(fd)
            open_.discard(fd)
    poll.close()
    assert not open_, f"{len(open_)} are still open"


def test_an_idle_connection_is_closed_by_the_server(server, api, full):
    if not full:
        pytest.skip("takes the idle time-out of 30 s; runs in test-full")
    with connection(server, timeout=60) as s:
        began = time.monotonic()
        assert s.recv(1) == b""
        assert 10 < time.monotonic() - began < 50


def test_a_stalled_reader_of_a_long_list_is_cut_off(server, api, full):
    if not full:
        pytest.skip("takes the idle time-out of 30 s; runs in test-full")
    for _ in range(5):
        api.post("/v1/instances", {"count": 2000})
    with connection(server, timeout=90) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(head(server, "GET", "/v1/instances?limit=10000"))
        assert select.select([s], [], [], 20)[0]
        deadline = time.monotonic() + 80
        assert server.holds(s)
        while server.holds(s):
            assert time.monotonic() < deadline
            time.sleep(0.2)
