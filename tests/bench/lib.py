"""What the benchmarks share: servers, wrk, duels and the rows of the table."""

import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "api"))

from harness.server import Server, binary  # noqa: E402

HERE = Path(__file__).resolve().parent
JSON = {"Content-Type": "application/json"}
CREATE = {"zone": "mock-1a", "type": "small", "tags": {"role": "web"}}


class Row:
    """One line of the table; `met` is None where there is no target."""

    def __init__(self, part, what, ours, reference="", ratio=None, target="", met=None):
        self.part, self.what, self.ours, self.reference = part, what, ours, reference
        self.ratio, self.target, self.met = ratio, target, met

    def cells(self):
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        verdict = {None: "", True: "met", False: "MISSED"}[self.met]
        return [self.part, self.what, self.ours, self.reference, ratio, self.target, verdict]


class Bench:
    """A run: its settings and everything that is to be ended or removed afterwards."""

    def __init__(self, rounds, seconds):
        self.rounds, self.seconds = rounds, seconds
        self.directory = Path(tempfile.mkdtemp(prefix="mockcloud-bench-"))
        self.processes = []
        self._bare = None
        self._count = 0

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def say(self, text):
        print(f"  … {text}", file=sys.stderr, flush=True)

    def path(self, name):
        self._count += 1
        return self.directory / f"{self._count}-{name}"

    # -- servers ----------------------------------------------------------------------------------
    def mockcloud(self, *, directory=None, clock="real", args=()):
        directory = directory or self.path("mockcloud")
        directory.mkdir(exist_ok=True)
        config = self.path("config.json")
        config.write_text(json.dumps({"address_pools": {"external_v4": "100.64.0.0/10"}}))  # rounds of POST take many
        server = Server(directory, clock=clock, args=["--log-level", "warn", "--config", config, *args]).start()
        self.processes.append(server.process)
        return server

    def with_instances(self, count, **kwargs):
        """A server with that many instances."""
        server = self.mockcloud(**kwargs)
        api = Api(server)
        for first in range(0, count, 10000):
            api("POST", "/v1/instances", {**CREATE, "count": min(10000, count - first)})
        return server

    def bare(self, mode, *args):
        """The reference server; returns its address."""
        if self._bare is None:
            self._bare = compile_bare()
        process = subprocess.Popen([self._bare, mode, *map(str, args)], stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        word, _, port = process.stdout.readline().strip().partition(" ")
        if word != "listening":
            raise RuntimeError(f"bare {mode} did not start")
        return Bare(process, f"http://127.0.0.1:{port}")

    # -- load -------------------------------------------------------------------------------------
    def duel(self, one, other, connections, threads=2, many=False):
        """Interleaved rounds of wrk against two (pid, url, options); medians of each: {rps, p99_ms, mb_s, cpu_us}.

        Each round has its own luck with the scheduler. Where that decides more than the code: `many` short ones.
        """
        results = ([], [])
        rounds, seconds = (max(self.rounds, 15), 1) if many else (self.rounds, self.seconds)
        for _ in range(rounds):
            for side, (pid, url, options) in enumerate((one, other)):
                before = cpu_seconds(pid)
                result = wrk(url, options, connections, threads, seconds)
                result["cpu_us"] = (cpu_seconds(pid) - before) * 1e6 / result["requests"]
                results[side].append(result)
        return tuple(
            {key: statistics.median(r[key] for r in rounds) for key in rounds[0]} for rounds in results)


class Bare:
    def __init__(self, process, address):
        self.process, self.address, self.pid = process, address, process.pid

    def stop(self):
        self.process.kill()
        self.process.wait()


def compile_bare():
    target = ROOT / "build" / "bench" / "bare"
    target.parent.mkdir(parents=True, exist_ok=True)
    packages = subprocess.check_output(
        ["pkg-config", "--cflags", "--libs", "libmicrohttpd", "sqlite3"], text=True).split()
    subprocess.run(["cc", "-O2", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o", str(target),
                    str(HERE / "bare.c"), *packages, "-lpthread"], check=True)
    return str(target)


class Api:
    """A plain keep-alive client for setting things up."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        self.headers = {"Authorization": f"Bearer {server.token}", **JSON}

    def __call__(self, method, path, body=None):
        self.connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        response = self.connection.getresponse()
        content = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {content[:300]!r}")
        return json.loads(content) if content else None


def bearer(server):
    return ["-H", f"Authorization: Bearer {server.token}"]


_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_BYTES = {"B": 1e-6, "KB": 1e-3, "MB": 1.0, "GB": 1e3}


def wrk(url, options, connections, threads, seconds):
    text = subprocess.check_output(
        ["wrk", f"-t{min(threads, connections)}", f"-c{connections}", f"-d{seconds}s", "--latency", *options, url],
        text=True)
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"wrk {url}:\n{text}")
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", text).groups()
    size, size_unit = re.search(r"Transfer/sec:\s+([\d.]+)([KMG]?B)", text).groups()
    return {
        "requests": int(re.search(r"(\d+) requests in", text).group(1)),
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
        "p99_ms": float(number) * _UNITS[unit],
        "mb_s": float(size) * _BYTES[size_unit],
    }


def cpu_seconds(pid):
    """User and system time that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lua(bench, method, paths, body=None, spread=False):
    """A wrk script that requests these paths in turn, formatted beforehand so that it costs the client little."""
    listed = ",".join(json.dumps(p) for p in paths)
    content = json.dumps(json.dumps(body)) if body is not None else "nil"
    script = bench.path("load.lua")
    script.write_text(f"""
local paths = {{{listed}}}
local requests, at = {{}}, {'math.random(1, #paths)' if spread else '1'}
function init(args)
  if {content} then wrk.headers["Content-Type"] = "application/json" end
  for i, path in ipairs(paths) do requests[i] = wrk.format("{method}", path, nil, {content}) end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
""")
    return ["-s", str(script)]


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not after {seconds} s")
        time.sleep(0.01)
