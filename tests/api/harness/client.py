"""An httpx client whose every answer is held against the contract."""

import json
import ssl

import httpx

from .contract import Contract, check_event

CONTRACT = Contract()
_SSL = ssl.create_default_context()  # made once: it costs more than a whole test


class Client:
    """Calls one server with one token. `call` expects a status and returns the body; `refuse` expects a problem."""

    def __init__(self, server, token=None, project=None, timeout=20.0):
        headers = {"Authorization": f"Bearer {token or server.token}"}
        if project:
            headers["X-Mockcloud-Project"] = project
        self.server = server
        self.http = httpx.Client(
            base_url=server.address, headers=headers, timeout=timeout, verify=_SSL, trust_env=False,
            event_hooks={"response": [CONTRACT]},
        )

    def close(self):
        self.http.close()

    def request(self, method, path, **kwargs):
        return self.http.request(method, path, **kwargs)

    def call(self, method, path, body=None, *, expect=None, **kwargs):
        if body is not None:
            kwargs["json"] = body
        response = self.http.request(method, path, **kwargs)
        expected = (expect,) if isinstance(expect, int) else expect or (200, 201, 202, 204)
        assert response.status_code in expected, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response.json() if response.content else None

    def refuse(self, method, path, body=None, *, status, code, field=None, **kwargs):
        """Expects a problem with this status, code and field; returns it."""
        if body is not None:
            kwargs["json"] = body
        response = self.http.request(method, path, **kwargs)
        told = f"{method} {path}: {response.status_code} {response.text[:500]}"
        assert response.status_code == status, told
        problem = response.json()
        assert problem["code"] == code, told
        if field is not None:
            assert problem.get("field") == field, told
        return problem

    # -- shorthands -------------------------------------------------------------------------------
    def get(self, path, **kwargs):
        return self.call("GET", path, expect=200, **kwargs)

    def post(self, path, body=None, **kwargs):
        return self.call("POST", path, body, **kwargs)

    def patch(self, path, body, **kwargs):
        return self.call("PATCH", path, body, expect=kwargs.pop("expect", 200), **kwargs)

    def put(self, path, body, **kwargs):
        return self.call("PUT", path, body, expect=kwargs.pop("expect", 200), **kwargs)

    def delete(self, path, **kwargs):
        return self.call("DELETE", path, expect=kwargs.pop("expect", (200, 202, 204)), **kwargs)

    def missing(self, path):
        return self.refuse("GET", path, status=404, code="not_found")

    def latency(self, transition, value):
        return self.put(f"/sim/v1/latencies/{transition}", {"distribution": "fixed", "value": value})

    def advance(self, by):
        return self.post("/sim/v1/clock/advance", {"by": by}, expect=200)

    def save(self, path):
        """A snapshot, written to the file."""
        response = self.http.get("/sim/v1/snapshot")
        assert response.status_code == 200, response.text
        path.write_bytes(response.content)
        return path

    def restore(self, path):
        return self.call("PUT", "/sim/v1/snapshot", expect=200, content=path.read_bytes(),
                         headers={"Content-Type": "application/vnd.sqlite3"})

    def reset(self):
        return self.post("/sim/v1/reset", expect=200)

    def instance(self, **body):
        return self.post("/v1/instances", body, expect=201)

    def pool(self, **body):
        return self.post("/v1/target-pools", body, expect=201)

    def load_balancer(self, **body):
        return self.post("/v1/load-balancers", body, expect=201)

    def route(self, cidr, next_hop, **body):
        return self.post(
            "/v1/routes", {"destination_cidr": cidr, "next_hop": next_hop, **body}, expect=201)

    def events(self, since=0, **params):
        return self.get("/v1/events", params={"since": since, "limit": 10000, **params})["items"]

    def all_items(self, path, **params):
        """Every item of a list, page by page."""
        items, token = [], None
        while True:
            page = self.get(path, params={**params, **({"page_token": token} if token else {})})
            items += page["items"]
            token = page.get("next_page_token")
            if not token:
                return items

    def stream(self, **kwargs):
        return EventStream(self, **kwargs)


class EventStream:
    """A server-sent event stream; every read has a deadline."""

    def __init__(self, client, since=None, last_event_id=None, timeout=10.0, **params):
        headers = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        if since is not None:
            params["since"] = since
        self._request = client.http.build_request(
            "GET", "/v1/events", params=params, headers=headers, timeout=timeout)
        self._client = client

    def __enter__(self):
        self.response = self._client.http.send(self._request, stream=True)
        self._lines = self.response.iter_lines()
        return self

    def __exit__(self, *unused):
        self.response.close()

    def frame(self):
        """The next frame as a dictionary of its fields; a comment is {"comment": text}; None at the end."""
        frame = {}
        for line in self._lines:
            if line.startswith(":"):
                return {"comment": line[1:].strip()}
            if line:
                name, _, value = line.partition(":")
                frame[name] = value.removeprefix(" ")
            elif frame:
                return frame
        return None

    def event(self):
        """The next event, held against the contract; None when the server ended the stream."""
        while (frame := self.frame()) is not None:
            if "data" not in frame:
                continue
            event = json.loads(frame["data"])
            check_event(event)
            revision, _, self.epoch = frame["id"].partition("-")  # the epoch of a cloud that was replaced
            assert revision == str(event["revision"])
            assert frame["event"] == f"{event['kind']}.{event['type']}"
            return event
        return None

    def take(self, count):
        """The next `count` events."""
        return [self.event() for _ in range(count)]

    def until(self, wanted):
        """The events up to and including the first for which wanted(event)."""
        taken = []
        while (event := self.event()) is not None:
            taken.append(event)
            if wanted(event):
                return taken
        raise AssertionError(f"the stream ended after {taken}")
