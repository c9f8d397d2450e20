"""faults: what fault rules cost those who meet none of them."""

import os
import re
import resource
import shutil
import socket
import subprocess
import sys
from unittest import mock

from lib import ROOT, Api, Row, bearer, binary, lua, wait_until

HANGING = 5000


def without_faults():
    """The same program, but the door does not ask about rules at all."""
    build = ROOT / "build" / "bench" / "without-faults"
    subprocess.run(["make", "-s", f"BUILD={build}", "CFLAGS_EXTRA=-DMOCKCLOUD_WITHOUT_FAULTS", "all"], cwd=ROOT,
                   check=True, stdout=subprocess.DEVNULL)
    return str(build / "mockcloud")


def side(bench, server):
    ids = [i["id"] for i in Api(server)("GET", "/v1/instances?limit=1000")["items"]]
    load = bearer(server) + lua(bench, "GET", [f"/v1/instances/{i}" for i in ids], spread=True)
    return server.pid, server.address, load


def compare(what, ours, without, target):
    """By server CPU per request: steadier than throughput where others use the machine, too."""
    ratio = ours["cpu_us"] / without["cpu_us"]
    return [
        Row("faults", f"GET with {what}: server CPU per request", f"{ours['cpu_us']:.2f} µs",
            f"{without['cpu_us']:.2f} µs", ratio, f"≤ {target}", ratio <= target),
        Row("faults", f"GET with {what}: requests", f"{ours['rps']:,.0f}/s", f"{without['rps']:,.0f}/s",
            ours["rps"] / without["rps"]),
    ]


def add_rules(server, rules):
    api = Api(server)
    for rule in rules:
        api("POST", "/sim/v1/faults", rule)


def thousand(server):
    """A thousand rules of one operation: two thirds each about one instance of its own, the rest about other callers."""
    ids = [i["id"] for i in Api(server)("GET", "/v1/instances?limit=1000")["items"]]
    for number in range(1000):
        match = {"operations": ["instances.*"]}
        if number % 3:
            match["resource"] = {"kind": "instance", "id": ids[number][:-4] + "ffff"}
        elif number % 2:
            match["operations"] = ["load_balancers.*"]
        else:
            match["resource"] = {"kind": "route"}
        yield {"match": match, "effect": {"error": {"status": 503}}}


def hang(server, count):
    request = (f"GET /v1/routes HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
               f"Authorization: Bearer {server.token}\r\n\r\n").encode()
    sockets = []
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for _ in range(count):
        s = socket.create_connection(("127.0.0.1", server.port))
        s.sendall(request)
        sockets.append(s)
    return sockets


def in_flight(server):
    connection = Api(server)
    connection.connection.request("GET", "/metrics")
    text = connection.connection.getresponse().read().decode()
    return int(next(line for line in text.splitlines() if line.startswith("mockcloud_requests_in_flight ")).split()[1])


def instructions(bench, program, rules=None):
    """Instructions of the server per GET, counted by callgrind: what the longer of two runs has more, per request.

    Unlike time it is the same each time, and so tells a hundredth. It leaves the kernel out.
    """
    totals, few, many = [], 1000, 5000
    for requests in (few, many):
        wrapper, out = bench.path("callgrind"), bench.path("counts")
        wrapper.write_text(f"#!/bin/sh\nexec valgrind --tool=callgrind --callgrind-out-file={out} {program} \"$@\"\n")
        wrapper.chmod(0o755)
        with mock.patch.dict(os.environ, MOCKCLOUD_BIN=str(wrapper)):
            server = bench.with_instances(1000)
        if rules:
            add_rules(server, rules(server))
        api = Api(server)
        ids = [i["id"] for i in api("GET", "/v1/instances?limit=1000")["items"]]
        for number in range(requests):
            api("GET", f"/v1/instances/{ids[number % 1000]}")
        server.stop()
        totals.append(int(re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)[1]))
    return (totals[1] - totals[0]) / (many - few)


def counted(bench, without):
    if not shutil.which("valgrind"):
        print("  … faults: instructions are not counted: valgrind is not installed", file=sys.stderr)
        return []
    bare, none, ruled = (instructions(bench, without), instructions(bench, binary()),
                         instructions(bench, binary(), thousand))
    return [
        Row("faults", "GET with no rules, beside a build without faults: instructions", f"{none:,.0f}", f"{bare:,.0f}",
            none / bare, "≤ 1.01", none / bare <= 1.01),
        Row("faults", "GET with 1,000 rules, beside none: instructions", f"{ruled:,.0f}", f"{none:,.0f}", ruled / none,
            "≤ 1.1", ruled / none <= 1.1),
    ]


def faults(bench):
    """No rules beside a build that asks for none, 1,000 rules beside none, and 5,000 hanging calls beside none."""
    plain, without = bench.with_instances(1000), without_faults()
    with mock.patch.dict(os.environ, MOCKCLOUD_BIN=without):
        bare = bench.with_instances(1000)
    pair = bench.duel(side(bench, plain), side(bench, bare), 64, many=True)
    rows = compare("no rules, beside a build without faults", *pair, 1.01)
    ruled = bench.with_instances(1000)
    add_rules(ruled, thousand(ruled))
    pair = bench.duel(side(bench, ruled), side(bench, plain), 64, many=True)
    rows += compare("1,000 rules, beside none", *pair, 1.10)
    rows += counted(bench, without)
    hung = bench.with_instances(1000)
    add_rules(hung, [{"match": {"operations": ["routes.list"]}, "effect": {"hang": {}}}])
    sockets = hang(hung, HANGING)
    wait_until(lambda: in_flight(hung) > HANGING, 60, f"{HANGING} hanging calls")
    ours, none = bench.duel(side(bench, hung), side(bench, plain), 16, many=True)
    slower = ours["p99_ms"] / none["p99_ms"]
    rows.append(Row("faults", f"p99 of GET while {HANGING:,} calls hang, beside none", f"{ours['p99_ms']:.2f} ms",
                    f"{none['p99_ms']:.2f} ms", slower, "≤ 2", slower <= 2))
    for s in sockets:
        s.close()
    return rows
