"""A container engine over a unix socket, in memory, as far as the docker backend uses one; it can be told to fail.

What it does not know it answers with 501, so that a test notices.
"""

import json
import re
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

KIND = "io.x-k8s.kind.cluster"
ROLE = "io.x-k8s.kind.role"


class Container:
    def __init__(self, engine, name, labels, image="kindest/node:v1", status="created"):
        self.id = f"{engine.serial():064x}"
        self.name, self.labels, self.image, self.status = name, labels, image, status
        self.exit_code, self.oom, self.starts = 0, False, 0
        self.address = f"172.18.0.{engine.serial() % 200 + 2}"
        self.routes, self.files, self.joined = {}, {}, False
        self.images, self.archive = {"registry.k8s.io/pause:3"}, b""

    @property
    def started_at(self):
        return f"start {self.starts}"

    def document(self):
        return {
            "Id": self.id, "Name": "/" + self.name,
            "Config": {"Labels": self.labels, "Image": self.image, "Env": ["container=docker", "KUBECONFIG=/x"]},
            "State": {"Status": self.status, "ExitCode": self.exit_code, "OOMKilled": self.oom, "Error": "",
                      "StartedAt": self.started_at},
            "HostConfig": {"Binds": ["/lib/modules:/lib/modules:ro"]},
            "NetworkSettings": {"Networks": {"kind": {
                "IPAddress": self.address if self.status == "running" else "", "GlobalIPv6Address": ""}}},
        }

    def listed(self):
        return {"Id": self.id, "Names": ["/" + self.name], "Image": self.image, "State": self.status,
                "Labels": self.labels, "NetworkSettings": self.document()["NetworkSettings"]}


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64
    engine = None

    def handle_error(self, request, client_address):
        pass  # a client that is gone


class FakeEngine:
    """`calls` are (method, path) as they came. Orders: `fail` (status, how many), `exec_code`, `ready` (cleared:
    nothing is answered until it is set)."""

    def __init__(self, path):
        self.path = str(path)
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.containers, self.execs, self.calls, self.streams = [], {}, [], []
        self.fail, self.exec_code = None, {}
        self.ready = threading.Event()
        self.ready.set()
        self._serial = 0
        self.server = None
        self.open = set()

    def serial(self):
        self._serial += 1
        return self._serial

    # -- life -----------------------------------------------------------------------------------------
    def start(self):
        self.server = Server(self.path, Handler)
        self.server.engine = self
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self):
        """As if the engine had been killed: the socket file stays, nobody answers, streams end."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        self.cut()
        with self.lock:
            for connection in list(self.open):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def restart(self):
        import os
        os.unlink(self.path)
        return self.start()

    def cut(self):
        """Ends the streams of events."""
        with self.lock:
            for stream in self.streams:
                stream["open"] = False
            self.changed.notify_all()

    # -- what somebody does by hand ---------------------------------------------------------------------
    def find(self, ref):
        for c in self.containers:
            if ref in (c.id, c.name):
                return c
        return None

    def node(self, name, cluster="c1", role="worker", status="running"):
        with self.lock:
            c = Container(self, name, {KIND: cluster, ROLE: role}, status=status)
            c.starts = 1
            self.containers.append(c)
        self.tell("start", c)
        return c

    def set(self, c, status, exit_code=0, oom=False, quiet=False):
        with self.lock:
            if status == "running":
                c.starts += 1
                c.routes = {}
            c.status, c.exit_code, c.oom = status, exit_code, oom
        if not quiet:
            self.tell("start" if status == "running" else "die", c)

    def remove(self, c, quiet=False):
        with self.lock:
            self.containers.remove(c)
        if not quiet:
            self.tell("destroy", c)

    def tell(self, action, c):
        with self.lock:
            for stream in self.streams:
                stream["events"].append({"Type": "container", "Action": action, "Actor": {"ID": c.id}})
            self.changed.notify_all()

    def count(self, method, pattern):
        with self.lock:
            return sum(1 for m, p in self.calls if m == method and re.search(pattern, p))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def address_string(self):
        return "unix"

    def setup(self):
        super().setup()
        with self.server.engine.lock:
            self.server.engine.open.add(self.connection)

    def finish(self):
        with self.server.engine.lock:
            self.server.engine.open.discard(self.connection)
        super().finish()

    def answer(self, status, document=None, raw=None):
        body = raw if raw is not None else b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self):
        engine = self.server.engine
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        body = content if self.command == "PUT" else json.loads(content or b"null")
        url = urlsplit(self.path)
        path = re.sub(r"^/v1\.\d+", "", url.path)
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        with engine.lock:
            engine.calls.append((self.command, path + ("?" + unquote(url.query) if url.query else "")))
            fail = engine.fail
            if fail and path != "/events" and fail[1] > 0:
                engine.fail = (fail[0], fail[1] - 1)
            else:
                fail = None
        engine.ready.wait()
        if fail:
            return self.answer(fail[0], {"message": "the fake engine was told to fail"})
        for method, pattern, do in ROUTES:
            match = re.fullmatch(pattern, path)
            if method == self.command and match:
                return do(self, engine, query, body, *match.groups())
        return self.answer(501, {"message": f"the fake engine knows no {self.command} {path}"})

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    # -- answers ----------------------------------------------------------------------------------------
    def version(self, engine, query, body):
        self.answer(200, {"ApiVersion": "1.47", "MinAPIVersion": "1.24"})

    def events(self, engine, query, body):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        stream = {"events": [], "open": True}
        with engine.lock:
            engine.streams.append(stream)
            engine.changed.notify_all()
            while stream["open"]:
                while stream["events"]:
                    line = json.dumps(stream["events"].pop(0)).encode() + b"\n"
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                    self.wfile.flush()
                engine.changed.wait(0.2)
            engine.streams.remove(stream)
        self.close_connection = True

    def containers(self, engine, query, body):
        label = json.loads(query["filters"])["label"][0].split("=")[1]
        with engine.lock:
            self.answer(200, [c.listed() for c in engine.containers if c.labels.get(KIND) == label])

    def network(self, engine, query, body, name):
        self.answer(200, {"IPAM": {"Config": [{"Subnet": "172.18.0.0/16"}]}})

    def found(self, engine, ref):
        c = engine.find(unquote(ref))
        if c is None:
            self.answer(404, {"message": f"No such container: {ref}"})
        return c

    def inspect(self, engine, query, body, ref):
        with engine.lock:
            if c := self.found(engine, ref):
                self.answer(200, c.document())

    def create(self, engine, query, body):
        with engine.lock:
            if engine.find(query["name"]):
                return self.answer(409, {"message": "Conflict. The container name is already in use"})
            if body["Image"] == "missing":
                return self.answer(404, {"message": "No such image: missing"})
            c = Container(engine, query["name"], body["Labels"], body["Image"])
            c.body = body
            engine.containers.append(c)
            self.answer(201, {"Id": c.id})

    def start(self, engine, query, body, ref):
        with engine.lock:
            if not (c := self.found(engine, ref)):
                return
            if c.status == "running":
                return self.answer(304)
            engine.set(c, "running")
            self.answer(204)

    def stop(self, engine, query, body, ref):
        with engine.lock:
            if not (c := self.found(engine, ref)):
                return
            if c.status != "running":
                return self.answer(304)
            engine.set(c, "exited", 130)
            self.answer(204)

    def restart(self, engine, query, body, ref):
        with engine.lock:
            if c := self.found(engine, ref):
                engine.set(c, "exited", 130)
                engine.set(c, "running")
                self.answer(204)

    def delete(self, engine, query, body, ref):
        with engine.lock:
            if c := self.found(engine, ref):
                c.deleted_with = query
                engine.remove(c)
                self.answer(204)

    def archive_get(self, engine, query, body, ref):
        with engine.lock:
            if c := self.found(engine, ref):
                self.answer(200, raw=c.archive)

    def archive_put(self, engine, query, body, ref):
        with engine.lock:
            if c := self.found(engine, ref):
                c.archive = body
                self.answer(200)

    def exec_create(self, engine, query, body, ref):
        with engine.lock:
            if not (c := self.found(engine, ref)):
                return
            if c.status != "running":
                return self.answer(409, {"message": "container is not running"})
            id_ = f"exec{engine.serial()}"
            engine.execs[id_] = [c, body["Cmd"], 0]
            self.answer(201, {"Id": id_})

    def exec_start(self, engine, query, body, id_):
        with engine.lock:
            c, command, _ = engine.execs[id_]
            text, code = run(engine, c, command)
            engine.execs[id_][2] = code
        data = text.encode()
        half = len(data) // 2  # in two frames
        frames = b"".join(bytes([stream, 0, 0, 0]) + len(part).to_bytes(4, "big") + part
                          for stream, part in ((1, data[:half]), (2, data[half:])))
        self.answer(200, raw=frames)

    def exec_inspect(self, engine, query, body, id_):
        self.answer(200, {"ExitCode": engine.execs[id_][2]})


def run(engine, c, command):
    """What the backend's scripts would do in a node."""
    script, arguments = command[2], command[4:]
    for word, code in engine.exec_code.items():
        if word in script:
            return f"{word}: told to fail\n", code
    if "ip $f route replace" in script:
        c.routes = dict(argument.split("=") for argument in arguments)
        return "", 0
    if "images export" in script:
        missing = sorted(c.images - set(arguments[0].split()))
        c.archive = "\n".join(missing).encode()
        return " ".join(missing) + "\n" * bool(missing), 0
    if "images import" in script:
        c.images |= set(c.archive.decode().split())
        return "", 0
    if "images ls" in script:
        return " ".join(sorted(c.images)) + "\n", 0
    if script.startswith("rm -f"):
        c.archive = b""
        return "", 0
    if "token create" in script:
        return ("api kubeadm.k8s.io/v1beta4\nendpoint c1-control-plane:6443\nexternal 3\naddress  172.18.0.9 \n"
                "token abcdef.0123456789abcdef\n"), 0
    if "kubeadm join" in script:
        c.files["/kind/kubeadm.conf"], c.joined = arguments[0], True
        return "joined\n", 0
    if "containerd.sock" in script:
        return "", 0
    return f"the fake engine does not know this script: {script}", 127


ROUTES = [
    ("GET", "/version", Handler.version),
    ("GET", "/events", Handler.events),
    ("GET", "/containers/json", Handler.containers),
    ("GET", "/networks/([^/]+)", Handler.network),
    ("POST", "/containers/create", Handler.create),
    ("GET", "/containers/([^/]+)/json", Handler.inspect),
    ("GET", "/containers/([^/]+)/archive", Handler.archive_get),
    ("PUT", "/containers/([^/]+)/archive", Handler.archive_put),
    ("POST", "/containers/([^/]+)/start", Handler.start),
    ("POST", "/containers/([^/]+)/stop", Handler.stop),
    ("POST", "/containers/([^/]+)/restart", Handler.restart),
    ("DELETE", "/containers/([^/]+)", Handler.delete),
    ("POST", "/containers/([^/]+)/exec", Handler.exec_create),
    ("POST", "/exec/([^/]+)/start", Handler.exec_start),
    ("GET", "/exec/([^/]+)/json", Handler.exec_inspect),
]
