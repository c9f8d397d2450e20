"""chaos: thirty days of a cloud in which things happen, in one step of the clock, beside raw SQLite."""

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request

from lib import CREATE, HERE, ROOT, Api, Row, Server, cpu_seconds

INSTANCES, DAYS, SEED, PROFILE = 10000, 30, 7, "spot-heavy"
LATENCIES = {"instance.pending": (20, 60), "instance.stopping": (5, 30), "instance.rebooting": (20, 90),
             "instance.terminating": (10, 60)}


def compile_rows():
    target = ROOT / "build" / "bench" / "rows"
    target.parent.mkdir(parents=True, exist_ok=True)
    packages = subprocess.check_output(["pkg-config", "--cflags", "--libs", "sqlite3", "uuid"], text=True).split()
    subprocess.run(["cc", "-O2", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}", "-o", str(target),
                    str(HERE / "rows.c"), str(ROOT / "base/timefmt.c"), str(ROOT / "base/error.c"), *packages], check=True)
    return target


class Cloud:
    """A server in which things will happen; `db` ":memory:" or a file. The same requests each time, so the same rows."""

    def __init__(self, bench, db):
        self.directory = bench.path("chaos")
        self.directory.mkdir()
        self.args = ["--events-kept", "100000000"] if db != ":memory:" else []
        self.bench, self.db = bench, db
        self.start()
        self.set_up()

    def start(self):
        listen = f"127.0.0.1:{free_port()}"
        self.server = Server(self.directory, db=self.db, seed=SEED, listen=listen, args=["--log-level", "error", *self.args])
        self.server._wait_listening = lambda: self.wait(listen)
        self.server.start()
        self.bench.processes.append(self.server.process)
        self.api = Api(self.server)

    def wait(self, listen):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(listen.split(":"), timeout=1).close()
                break
            except OSError:
                time.sleep(0.01)
        self.server._rest = b""
        self.server.address = f"http://{listen}"

    def set_up(self):
        for name, (low, high) in LATENCIES.items():
            self.api("PUT", f"/sim/v1/latencies/{name}", {"distribution": "uniform", "min": f"{low}s", "max": f"{high}s"})
        self.api("POST", "/v1/instances", {**CREATE, "count": INSTANCES, "lifecycle": "spot"})
        self.api("POST", "/sim/v1/clock/advance", {"by": "2m"})
        self.api("POST", "/sim/v1/chaos", {"profile": PROFILE, "seed": SEED})
        self.before = self.revision()

    def revision(self):
        return self.api("GET", "/v1/zones?limit=1")["revision"]

    def advance(self):
        """Seconds that 30 days take, those of the processor, and the transitions that were in them."""
        before, cpu, began = self.fired(), cpu_seconds(self.server.pid), time.monotonic()
        self.api("POST", "/sim/v1/clock/advance", {"by": f"{DAYS * 24}h"})
        seconds = time.monotonic() - began
        return seconds, cpu_seconds(self.server.pid) - cpu, self.fired() - before

    def fired(self):
        text = urllib.request.urlopen(self.server.address + "/metrics").read().decode()
        return int(float(re.search(r"^mockcloud_transitions_total (\S+)", text, re.M)[1]))

    def stop(self):
        self.server.stop()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def chaos(bench):
    """30 days of cloud time with 10,000 instances to which things happen, in one advance of the clock."""
    program = compile_rows()
    cloud = Cloud(bench, str(bench.path("chaos.db")))
    cloud.stop()
    before = bench.path("before.db")
    shutil.copy(cloud.db, before)
    cloud.start()
    cloud.advance()
    cloud.stop()
    ours, raw = [], []
    for _ in range(bench.rounds):
        memory = Cloud(bench, ":memory:")
        ours.append(memory.advance())
        events = memory.revision() - memory.before
        memory.stop()
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as directory:
            copy = shutil.copy(before, directory)
            raw.append(json.loads(subprocess.check_output([program, copy, cloud.db, str(cloud.before)])))
        assert raw[-1]["rows"] == events, "the reference writes other rows"
        bench.say(f"ours {ours[-1][0]:.2f} s, SQLite alone {raw[-1]['seconds']:.2f} s")
    seconds, reference = statistics.median(o[0] for o in ours), statistics.median(r["seconds"] for r in raw)
    transitions, rows = ours[0][2], raw[0]["rows"]
    ratio = statistics.median(r["seconds"] / o[0] for o, r in zip(ours, raw))  # of each round, its sides side by side
    cpu, reference_cpu = statistics.median(o[1] for o in ours), statistics.median(r["cpu"] for r in raw)
    return [Row("chaos", f"{DAYS} days, {INSTANCES:,} instances, profile {PROFILE}, :memory:", f"{seconds:.2f} s", f"{reference:.2f} s", ratio,
                "≥ 0.5", ratio >= 0.5),
            Row("chaos", "processor time of it", f"{cpu:.2f} s", f"{reference_cpu:.2f} s", reference_cpu / cpu),
            Row("chaos", "timed transitions", f"{transitions / seconds:,.0f}/s"),
            Row("chaos", "events, each with its row", f"{rows / seconds:,.0f}/s", f"{rows / reference:,.0f}/s", ratio)]
