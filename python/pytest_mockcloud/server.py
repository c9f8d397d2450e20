"""A mockcloud server as a child process, and a small client."""

import json
import os
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

START_TIMEOUT_S = 20.0

# The server is on this machine: a proxy of the environment, as many CI systems set one, has no part in it.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StartFailed(Exception):
    """The server is missing or did not start; the message has its log."""


class ApiError(Exception):
    """An answer of 400 or more; ``status``, ``code`` and ``field`` are the problem document's."""

    def __init__(self, status, problem):
        super().__init__(f"{status} {problem.get('code', '')}: {problem.get('detail', '')}")
        self.status = status
        self.code = problem.get("code")
        self.field = problem.get("field")
        self.problem = problem


class Client:
    """JSON over HTTP: ``get``, ``post``, ``patch``, ``put`` and ``delete`` return the decoded body, None if there is none."""

    def __init__(self, url, token):
        self.url = url
        self.token = token

    def request(self, method, path, body=None, headers=None, timeout=30):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with _direct.open(request, timeout=timeout) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(error.code, _problem(error.read())) from None
        return json.loads(content) if content else None

    def get(self, path, **query):
        return self.request("GET", path + ("?" + urllib.parse.urlencode(query) if query else ""))

    def post(self, path, body=None, **kwargs):
        return self.request("POST", path, body, **kwargs)

    def put(self, path, body, **kwargs):
        return self.request("PUT", path, body, **kwargs)

    def patch(self, path, body, **kwargs):
        return self.request("PATCH", path, body, **kwargs)

    def delete(self, path, **kwargs):
        return self.request("DELETE", path, **kwargs)

    def wait(self, path, condition, timeout=30.0):
        """Asks for the document until ``condition(document)`` holds, and returns it."""
        deadline = time.monotonic() + timeout
        while True:
            document = self.get(path)
            if condition(document):
                return document
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} is still {document}")
            time.sleep(0.02)


class Server:
    """``with Server(directory) as server: server.client.post("/v1/instances", {})``"""

    def __init__(self, directory, *, db=":memory:", clock="real", seed=None, args=(), binary=None):
        self.directory = Path(directory)
        self.token_file = self.directory / "token"
        self.binary = binary or os.environ.get("MOCKCLOUD_BIN") or shutil.which("mockcloud")
        self._command = ["serve", "--db", str(db), "--listen", "127.0.0.1:0", "--clock", clock,
                         "--token-file", str(self.token_file), "--log-format", "json"]
        if seed is not None:
            self._command += ["--seed", str(seed)]
        self._command += map(str, args)
        self._process = None
        self._log = []
        self._listening = threading.Event()
        self.url = None
        self.client = None  # scope sim, project default

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        if not self.binary:
            raise StartFailed("mockcloud is neither named in MOCKCLOUD_BIN nor on the PATH")
        self.directory.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen([self.binary, *self._command], stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._listening.wait(START_TIMEOUT_S) or self.url is None:
            self.stop()
            raise StartFailed("mockcloud does not listen:\n" + self.log)
        self.client = Client(self.url, self.token_file.read_text().strip())
        return self

    def _read(self):
        for line in self._process.stderr:
            self._log = [*self._log[-199:], line.rstrip()]
            if self.url is None and '"listening"' in line:
                self.url = json.loads(line)["address"]
                self._listening.set()
        self._listening.set()  # it has ended

    def stop(self, timeout=20.0):
        """Ends the server and returns its exit code, 0 for a clean end."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.terminate()
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        self._reader.join(timeout)
        process.stderr.close()
        return code

    @property
    def log(self):
        """The last lines that it wrote."""
        return "\n".join(self._log)

    def new_project(self, name):
        """Makes a project and returns a client that sees it alone."""
        self.client.post("/sim/v1/projects", {"name": name})
        token = self.client.post(f"/sim/v1/projects/{name}/tokens", {"scope": "cloud"})["token"]
        return Client(self.url, token)


def _problem(content):
    try:
        problem = json.loads(content)
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"detail": content.decode("utf-8", "replace")}
