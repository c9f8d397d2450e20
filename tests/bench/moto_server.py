"""Side by side with moto's server, another mock of a cloud's API (EC2's)."""

import http.client
import socket
import subprocess
import sys
import time
import urllib.parse

from latency import free_port
from lib import CREATE, Api, Row, wait_until

COUNT = 100
DESCRIBED = 1000


class Ec2:
    """The few EC2 calls, as plain forms: a client library's own time would hide the server's."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": "AWS4-HMAC-SHA256 Credential=mock/20260101/us-east-1/ec2/aws4_request, "
                             "SignedHeaders=host, Signature=0",
        }

    def __call__(self, action, **parameters):
        form = urllib.parse.urlencode({"Action": action, "Version": "2016-11-15", **parameters})
        self.connection.request("POST", "/", form, self.headers)
        response = self.connection.getresponse()
        content = response.read().decode()
        if response.status != 200:
            raise RuntimeError(f"moto {action}: {response.status} {content[:300]}")
        return content

    def run(self, count):
        content = self("RunInstances", ImageId="ami-12c6146b", MinCount=count, MaxCount=count,
                       InstanceType="t2.small")
        return [part.split("<")[0] for part in content.split("<instanceId>")[1:]]


def timed(action):
    began = time.perf_counter()
    result = action()
    return (time.perf_counter() - began) * 1e3, result


def start_moto(bench, port):
    log = open(bench.path("moto.log"), "w")
    process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
                               stdout=log, stderr=log)
    bench.processes.append(process)

    def answers():
        if process.poll() is not None:
            raise RuntimeError("moto's server ended")
        try:
            Ec2(port)("DescribeInstances")
            return True
        except (ConnectionRefusedError, socket.timeout):
            return False

    wait_until(answers, 60, "moto's server answers")
    return process


def moto(bench):
    port = free_port()
    theirs_start, process = timed(lambda: start_moto(bench, port))
    ec2 = Ec2(port)
    theirs_create, ids = timed(lambda: [ec2.run(1)[0] for _ in range(COUNT)])
    ec2.run(DESCRIBED - COUNT)
    theirs_list, content = timed(lambda: ec2("DescribeInstances", MaxResults=DESCRIBED))
    described = len({part.split("<")[0] for part in content.split("<instanceId>")[1:]})
    if described != DESCRIBED:
        raise RuntimeError(f"moto described {described} instances")
    theirs_end, _ = timed(lambda: [ec2("TerminateInstances", **{"InstanceId.1": i}) for i in ids])
    theirs_memory = memory_of(process.pid)
    process.kill()
    process.wait()

    def start_ours():
        server = bench.mockcloud()
        api = Api(server)
        api("GET", "/v1/instances")
        return server, api

    ours_start, (server, api) = timed(start_ours)
    ours_create, made = timed(lambda: [api("POST", "/v1/instances", CREATE) for _ in range(COUNT)])
    api("POST", "/v1/instances", {**CREATE, "count": DESCRIBED - COUNT})
    ours_list, page = timed(lambda: api("GET", "/v1/instances"))
    assert len(page["items"]) == DESCRIBED
    ours_end, _ = timed(lambda: [api("POST", f"/v1/instances/{i['id']}/terminate") for i in made])
    ours_memory = memory_of(server.pid)
    server.stop()

    def row(what, ours, theirs, unit="ms"):
        return Row("moto", what, f"{ours:,.1f} {unit}", f"{theirs:,.1f} {unit}", ours / theirs)

    return [
        row("start to the first answer", ours_start, theirs_start),
        row(f"create {COUNT}, one by one", ours_create, theirs_create),
        row(f"describe {DESCRIBED:,} in one answer", ours_list, theirs_list),
        row(f"terminate {COUNT}, one by one", ours_end, theirs_end),
        row("resident memory afterwards", ours_memory, theirs_memory, "MiB"),
    ]


def memory_of(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024
