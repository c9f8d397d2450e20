"""An HTTP server that answers what a test tells it to, and remembers what it was asked."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query: dict
    headers: dict
    body: object


@dataclass
class Reply:
    status: int = 200
    body: object = None  # JSON, or bytes as they are
    type: str = "application/json"
    length: int = -1     # a wrong Content-Length: the connection ends before that
    chunks: list = field(default_factory=list)  # instead of body: written and flushed one by one, then the end
    hang: bool = False   # answer nothing until the server closes
    now: str = ""        # cloud time, as the answer says it

    @staticmethod
    def problem(status, code, detail, **more):
        return Reply(status, {"type": "about:blank", "title": "x", "status": status, "code": code, "detail": detail,
                              "request_id": "req-1", **more}, "application/problem+json")

    @staticmethod
    def items(*items, **more):
        return Reply(body={"items": list(items), "revision": 100, **more})

    @staticmethod
    def events(*chunks):
        return Reply(type="text/event-stream", chunks=[c if isinstance(c, bytes) else c.encode() for c in chunks])


class ScriptedServer:
    def __init__(self):
        self.requests = []
        self.replies = {}
        self.closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                outer.answer(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_port}"

    def on(self, method, path, *replies):
        """Replies to this method and path in turn; the last one stays. A reply may be a function of the request."""
        self.replies[method, path] = list(replies)

    def asked(self, method=None, path=None):
        return [r for r in self.requests if method in (None, r.method) and path in (None, r.path)]

    def close(self):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    def answer(self, handler):
        parts = urlsplit(handler.path)
        raw = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        request = Request(handler.command, parts.path, parse_qs(parts.query, keep_blank_values=True),
                          {k.lower(): v for k, v in handler.headers.items()}, json.loads(raw) if raw else None)
        self.requests.append(request)
        replies = self.replies.get((request.method, request.path))
        if replies is None:
            reply = Reply.problem(404, "not_found", f"nothing is at {request.path}")
        else:
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
        self.send(handler, reply(request) if callable(reply) else reply)

    def send(self, handler, reply):
        if reply.hang:
            self.closing.wait()
            handler.close_connection = True
            return
        body = reply.body if isinstance(reply.body, bytes) else \
            b"" if reply.body is None else json.dumps(reply.body).encode()
        handler.send_response(reply.status)
        handler.send_header("Content-Type", reply.type)
        if reply.chunks:
            handler.send_header("Connection", "close")
        elif reply.status != 204:
            handler.send_header("Content-Length", str(len(body) if reply.length < 0 else reply.length))
        if reply.now:
            handler.send_header("X-Mockcloud-Time", reply.now)
        handler.end_headers()
        for chunk in reply.chunks:
            handler.wfile.write(chunk)
            handler.wfile.flush()
        handler.wfile.write(b"" if reply.chunks else body)
        if reply.chunks or reply.length >= 0:
            handler.close_connection = True
