"""--forward tcp: connections to a load balancer's address reach the healthy targets of its pool."""

import socket
import threading
import time

import pytest


class Echo:
    """A TCP server that answers each line with its name and the line; ends its side when the client has."""

    def __init__(self, address, port=0):
        self.socket = socket.create_server((address, port))
        self.name = f"{address}:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def _serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection, connection.makefile("rwb") as stream:
            for line in stream:
                stream.write(self.name.encode() + b" " + line)
                stream.flush()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.fixture
def forwarding(start, connect):
    server = start(args=["--forward", "tcp"])
    return connect(server)


def free_port(address="127.0.0.1"):
    with socket.create_server((address, 0)) as taken:
        return taken.getsockname()[1]


def balance(api, target_port, addresses):
    """An instance per address, a pool of them and a load balancer in front of it: where it listens."""
    targets = [api.post("/v1/instances", {"addresses": [{"type": "internal", "address": a}]})["id"] for a in addresses]
    pool = api.post("/v1/target-pools", {"targets": [{"instance_id": t} for t in targets]})
    port = free_port()
    balancer = api.post("/v1/load-balancers", {"listeners": [
        {"protocol": "TCP", "port": port, "target_pool_id": pool["id"], "target_port": target_port}]})
    return targets, pool, (balancer["addresses"][0]["address"], port), balancer


def connected(at, timeout=10):
    deadline = time.monotonic() + timeout
    while True:
        try:
            return socket.create_connection(at, timeout=5)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def ask(at, text=b"hello\n"):
    with connected(at) as connection, connection.makefile("rwb") as stream:
        stream.write(text)
        stream.flush()
        return stream.readline().split(b" ")[0].decode()


def test_connections_go_to_the_targets_in_turn(forwarding):
    first = Echo("127.0.0.2")
    second = Echo("127.0.0.3", first.port)
    _, _, at, _ = balance(forwarding, first.port, ["127.0.0.2", "127.0.0.3"])
    assert {ask(at) for _ in range(4)} == {first.name, second.name}


def test_much_goes_through_both_ways_and_an_end_is_passed_on(forwarding):
    echo = Echo("127.0.0.2")
    _, _, at, _ = balance(forwarding, echo.port, ["127.0.0.2"])
    lines = [b"x" * 1000 + b"\n"] * 3000
    with connected(at) as connection:
        sender = threading.Thread(target=lambda: (connection.sendall(b"".join(lines)), connection.shutdown(socket.SHUT_WR)))
        sender.start()
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        sender.join()
    assert received == b"".join(echo.name.encode() + b" " + line for line in lines)


def test_a_target_that_refuses_is_passed_over(forwarding):
    echo = Echo("127.0.0.2")
    _, _, at, _ = balance(forwarding, echo.port, ["127.0.0.3", "127.0.0.2"])
    assert {ask(at) for _ in range(4)} == {echo.name}


def test_a_stopped_instance_gets_nothing_more(forwarding, eventually):
    first = Echo("127.0.0.2")
    second = Echo("127.0.0.3", first.port)
    targets, _, at, _ = balance(forwarding, first.port, ["127.0.0.2", "127.0.0.3"])
    assert {ask(at) for _ in range(4)} == {first.name, second.name}
    forwarding.post(f"/v1/instances/{targets[0]}/stop")
    eventually(lambda: {ask(at) for _ in range(4)} == {second.name})


def test_without_targets_connections_are_closed_and_a_deleted_load_balancer_listens_no_more(forwarding, eventually):
    _, _, at, balancer = balance(forwarding, 1, [])
    with connected(at) as connection:
        assert connection.recv(1) == b""
    forwarding.delete(f"/v1/load-balancers/{balancer['id']}")

    def refused():
        try:
            socket.create_connection(at, timeout=5).close()
        except ConnectionRefusedError:
            return True
        return False
    eventually(refused)


def test_by_default_nothing_listens(start, connect):
    echo = Echo("127.0.0.2")
    _, _, at, _ = balance(connect(start()), echo.port, ["127.0.0.2"])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(at, timeout=5)
