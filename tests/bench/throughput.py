"""get, list, post and growth: requests per second beside the reference servers."""

import shutil
import sqlite3
import time

from lib import CREATE, Api, Row, bearer, lua

SELECT = "SELECT document FROM instance WHERE id = ?1"


def cpu_row(part, what, ours, reference):
    """Server time per request: what the ratio would be if the client cost nothing; steadier on a busy machine."""
    return Row(part, f"server CPU per request, {what}", f"{ours['cpu_us']:.1f} µs", f"{reference['cpu_us']:.1f} µs",
               ours["cpu_us"] / reference["cpu_us"])


def rates(ours, reference):
    return f"{ours['rps']:,.0f}/s", f"{reference['rps']:,.0f}/s", ours["rps"] / reference["rps"]


def body_file(bench, body):
    path = bench.path("body")
    path.write_bytes(body)
    return path


def copy_of(bench, server):
    """A copy of the server's database, taken while it is down (it lets nobody else open the file)."""
    server.stop()
    copy = bench.path("copy.db")
    shutil.copy(server.db, copy)
    server.start()
    bench.processes.append(server.process)
    return copy


def get(bench):
    """GET of one instance among 10,000, beside the same bytes from memory and beside one SELECT."""
    server = bench.with_instances(10000)
    ids = [i["id"] for i in Api(server)("GET", "/v1/instances?limit=10000")["items"]]
    copy = copy_of(bench, server)
    api = Api(server)
    api.connection.request("GET", f"/v1/instances/{ids[5000]}", headers=api.headers)
    memory = bench.bare("get", "--body", body_file(bench, api.connection.getresponse().read()))
    select = bench.bare("select", "--db", copy, "--sql", SELECT)
    load = bearer(server) + lua(bench, "GET", [f"/v1/instances/{i}" for i in ids], spread=True)
    here, from_memory, by_select = ((each.pid, each.address, load) for each in (server, memory, select))
    rows = []
    for connections in (16, 64):
        ours, bare = bench.duel(here, from_memory, connections, many=True)
        one, two, ratio = rates(ours, bare)
        beside_memory = Row("get", f"requests, {connections} connections, beside bytes from memory", one, two, ratio,
                            "≥ 0.70, or ≥ 0.90 below")
        rows.append(beside_memory)
        slower = ours["p99_ms"] / bare["p99_ms"]
        rows.append(Row("get", f"p99, {connections} connections", f"{ours['p99_ms']:.2f} ms",
                        f"{bare['p99_ms']:.2f} ms", slower, "≤ 2", slower <= 2))
        rows.append(cpu_row("get", f"{connections} connections, beside bytes from memory", ours, bare))
        ours, bare = bench.duel(here, by_select, connections, many=True)
        one, two, ratio = rates(ours, bare)
        rows.append(Row("get", f"requests, {connections} connections, beside one SELECT", one, two, ratio, "≥ 0.90",
                        ratio >= 0.90))
        beside_memory.met = beside_memory.ratio >= 0.70 or ratio >= 0.90
        rows.append(cpu_row("get", f"{connections} connections, beside one SELECT", ours, bare))
    return rows


def rows_database(bench, items):
    """The same instances as plain columns, for the reference encoder."""
    path = bench.path("rows.db")
    names = ["id", "project", "name", "state", "zone", "region", "type", "lifecycle", "backend", "addresses", "tags",
             "created_at", "updated_at", "revision"]
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(f"CREATE TABLE rows({', '.join(names)}, PRIMARY KEY(revision))")
    for item in items:
        addresses = "".join(f"{a['type']} {a.get('family', '-')} {a['address']}|" for a in item["addresses"])
        tags = "".join(f"{k}={v}|" for k, v in item["tags"].items())
        values = {**item, "addresses": addresses, "tags": tags}
        db.execute(f"INSERT INTO rows VALUES({', '.join('?' * len(names))})", [values[n] for n in names])
    db.commit()
    db.close()
    return path


def list_(bench):
    """All of 10,000 instances in one answer, beside an encoder over a SELECT, and beside joined documents."""
    server = bench.with_instances(10000)
    items = Api(server)("GET", "/v1/instances?limit=10000")["items"]
    encoder = bench.bare("list", "--db", rows_database(bench, items))
    join = bench.bare("join", "--db", copy_of(bench, server), "--sql", "SELECT document FROM instance ORDER BY seq")
    url, load = "/v1/instances?limit=10000", bearer(server)
    rows = []
    for reference, what, target in ((encoder, "a streaming encoder", 0.8), (join, "joining documents", None)):
        ours, bare = bench.duel((server.pid, server.address + url, load),
                                (reference.pid, reference.address + url, load), 4)
        ratio = ours["rps"] / bare["rps"]
        rows.append(Row("list", f"10,000 instances, 4 connections, beside {what}",
                        f"{ours['rps']:.0f}/s, {ours['mb_s']:.0f} MB/s", f"{bare['rps']:.0f}/s, {bare['mb_s']:.0f} MB/s",
                        ratio, "≥ 0.80" if target else "", ratio >= target if target else None))
    return rows


def post(bench):
    """Durable POST at 16 clients, beside one INSERT and commit per request."""
    rows = []
    rounds, bench.rounds = bench.rounds, max(bench.rounds, 5)  # checkpoints make the rounds differ
    for durability, synchronous, target in (("process", "NORMAL", 0.7), ("power", "FULL", 1.0)):
        server = bench.mockcloud(args=["--durability", durability])
        sample = Api(server)
        sample.connection.request("POST", "/v1/instances", '{"tags":{"role":"web"}}', sample.headers)
        body = sample.connection.getresponse().read()
        reference = bench.bare("insert", "--db", bench.path("insert.db"), "--synchronous", synchronous, "--body",
                               body_file(bench, body))
        load = bearer(server) + lua(bench, "POST", ["/v1/instances"], CREATE)
        ours, bare = bench.duel((server.pid, server.address, load), (reference.pid, reference.address, load), 16)
        one, two, ratio = rates(ours, bare)
        rows.append(Row("post", f"16 clients, synchronous {synchronous}", one, two, ratio, f"≥ {target:.1f}",
                        ratio >= target))
        rows.append(Row("post", f"p99, synchronous {synchronous}", f"{ours['p99_ms']:.2f} ms",
                        f"{bare['p99_ms']:.2f} ms", ours["p99_ms"] / bare["p99_ms"]))
        rows.append(cpu_row("post", f"synchronous {synchronous}", ours, bare))
        server.stop()
        reference.stop()
    bench.rounds = rounds
    return rows


def mark(server, few=10):
    """Ten instances that filters find: by tag, by zone, by state, and one by name."""
    api = Api(server)
    made = api("POST", "/v1/instances", {**CREATE, "zone": "mock-1c", "tags": {"pick": "me"}, "name": "pick",
                                        "count": few})["items"]
    for instance in made:
        api("POST", f"/v1/instances/{instance['id']}/stop")
    return {
        "GET by id": ("GET", [f"/v1/instances/{i['id']}" for i in made], None),
        "list by tag (10 found)": ("GET", ["/v1/instances?tag.pick=me"], None),
        "list by state (10 found)": ("GET", ["/v1/instances?state=stopped"], None),
        "list by zone (10 found)": ("GET", ["/v1/instances?zone=mock-1c"], None),
        "list by name (1 found)": ("GET", ["/v1/instances?name=pick-5"], None),
        # the pool of external addresses would run out
        "POST": ("POST", ["/v1/instances"], {**CREATE, "external_ip": False}),
    }


def growth(bench):
    """What the same request costs among 100,000 instances and among 1,000."""
    servers = [bench.with_instances(100000), bench.with_instances(1000)]
    loads = [mark(server) for server in servers]
    rows = []
    for what in loads[0]:
        sides = [(server.pid, server.address, bearer(server) + lua(bench, *load[what][:2], body=load[what][2]))
                 for server, load in zip(servers, loads)]
        settle(servers)
        # a POST adds to both: many of them would make the few many
        many, few = bench.duel(*sides, 16, many=what != "POST")
        cost = few["rps"] / many["rps"]
        rows.append(Row("growth", what, f"{many['rps']:,.0f}/s at 100,000", f"{few['rps']:,.0f}/s at 1,000", cost,
                        "≤ 1.3", cost <= 1.3))
    for server in servers:
        server.stop()
    return rows


def settle(servers):
    """Both answer at once: nothing of the last load is still being written."""
    for server in servers:
        api = Api(server)
        for _ in range(20):
            began = time.monotonic()
            api("GET", "/v1/zones")
            if time.monotonic() - began < 0.01:
                break


def calls(bench):
    """What the call log and a rate limit cost a GET: with them beside without."""
    rows = []
    logged, plain = (bench.with_instances(1000, args=args) for args in ((), ("--calls-kept", "0")))
    for what, limits in (("call log", None), ("call log and a rate limit", {"rates": {"read": {"rate": 1e6, "burst": 1000000}}})):
        if limits:
            Api(logged)("PUT", "/sim/v1/projects/default/quotas", limits)
        sides = []
        for server in (logged, plain):
            ids = [i["id"] for i in Api(server)("GET", "/v1/instances?limit=1000")["items"]]
            load = bearer(server) + lua(bench, "GET", [f"/v1/instances/{i}" for i in ids], spread=True)
            sides.append((server.pid, server.address, load))
        ours, without = bench.duel(*sides, 64, many=True)
        one, two, ratio = rates(ours, without)
        target = ("", None) if limits else ("≥ 0.97", ratio >= 0.97)  # who is limited pays for three header fields
        rows.append(Row("calls", f"GET with {what}, beside none", one, two, ratio, *target))
        rows.append(cpu_row("calls", f"GET with {what}", ours, without))
    return rows
