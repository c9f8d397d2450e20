"""The OpenAPI document as a judge: every answer that a test receives is held against it.

Objects with stated properties are read as closed, so a field that the document does not name fails; so
does a status, a media type or an Allow header that it does not give.
"""

import copy
import json
import re
from collections import Counter

import jsonschema_rs

from .server import ROOT

DOCUMENT = json.loads((ROOT / "api" / "openapi.json").read_text())
METHODS = ("get", "put", "post", "patch", "delete", "head", "options", "trace")
EVENT_STREAM = "text/event-stream"

# Stable codes and the status that each one comes with.
CODES = {
    "invalid_argument": 400, "unknown_field": 400, "malformed_body": 400, "unauthorized": 401,
    "forbidden": 403, "not_found": 404, "no_such_path": 404, "method_not_allowed": 405, "not_acceptable": 406,
    "already_exists": 409, "in_use": 409, "illegal_transition": 409, "zone_unavailable": 409, "exhausted": 409,
    "revision_compacted": 410, "precondition_failed": 412, "too_large": 413, "uri_too_long": 414,
    "unsupported_media_type": 415, "host_not_allowed": 421, "idempotency_key_reused": 422,
    "internal": 500, "unavailable": 503, "insufficient_storage": 507,
    "quota_exceeded": 403, "throttled": 429, "insufficient_capacity": 503,
}

KIND_SCHEMAS = {
    "instance": "Instance", "load_balancer": "LoadBalancer", "target_pool": "TargetPool",
    "address": "Address", "route": "Route", "zone": "Zone", "instance_type": "InstanceType",
    "project": "Project", "latency": "Latency", "clock": "Clock", "fault": "Fault", "cluster": "Cluster", "quota": "QuotaSettings",
    "scenario": "Scenario", "chaos": "Chaos",
}


class Breach(AssertionError):
    """An answer that the document does not allow."""


class Operation:
    def __init__(self, template, method, body):
        self.template, self.method, self.body = template, method, body
        self.id = body["operationId"]


def _operations():
    return [
        Operation(template, method, body)
        for template, item in DOCUMENT["paths"].items()
        for method, body in item.items() if method in METHODS
    ]


OPERATIONS = _operations()
BY_ID = {op.id: op for op in OPERATIONS}
_BY_TEMPLATE = {}
for _op in OPERATIONS:
    _BY_TEMPLATE.setdefault(_op.template, {})[_op.method] = _op


def _pattern(template):
    return re.compile(re.sub(r"\\{[^}]*\\}|\{[^}]*\}", "[^/]+", re.escape(template)) + r"\Z")


# Literal paths before those with parameters.
_PATTERNS = sorted(((_pattern(t), t) for t in _BY_TEMPLATE), key=lambda pair: pair[1].count("{"))


def template_of(path):
    return next((t for pattern, t in _PATTERNS if pattern.match(path)), None)


def documented_methods(template):
    return {method.upper() for method in _BY_TEMPLATE[template]}


def _closed(node):
    """Closes every object schema that lists its properties and does not say whether more may follow."""
    if isinstance(node, dict):
        for value in node.values():
            _closed(value)
        if "properties" in node and node.get("type") == "object":
            node.setdefault("additionalProperties", False)
    elif isinstance(node, list):
        for value in node:
            _closed(value)
    return node


_COMPONENTS = _closed(copy.deepcopy(DOCUMENT["components"]))
_validators = {}


def validator(schema):
    key = json.dumps(schema, sort_keys=True)
    if key not in _validators:
        _validators[key] = jsonschema_rs.Draft202012Validator(
            {**schema, "components": _COMPONENTS}, validate_formats=True
        )
    return _validators[key]


def validate(schema_name, document):
    """Fails when the document is not a `schema_name`."""
    _judge({"$ref": f"#/components/schemas/{schema_name}"}, document, schema_name)


def _judge(schema, document, where):
    judge = validator(schema)
    if judge.is_valid(document):
        return
    first = next(iter(judge.iter_errors(document)))
    path = "/".join(map(str, first.instance_path))
    raise Breach(f"{where}: at '{path}': {first.message}")


class Contract:
    """Checks answers and counts what it has seen: {(operation id, status): times}."""

    def __init__(self):
        self.seen = Counter()

    def __call__(self, response):
        request = response.request
        where = f"{request.method} {request.url.path} -> {response.status_code}"
        template = template_of(request.url.path)
        content_type = response.headers.get("content-type", "")
        if content_type.split(";")[0] != EVENT_STREAM:
            response.read()
        operation = _BY_TEMPLATE.get(template, {}).get(request.method.lower())
        if operation is None:
            self._check_unrouted(response, template, where)
            return
        self._check(operation, response, content_type, where)
        self.seen[operation.id, response.status_code] += 1

    def _check_unrouted(self, response, template, where):
        if response.request.method == "HEAD":
            return
        if response.status_code < 400:
            raise Breach(f"{where}: no such operation in the document")
        check_problem(response, where)
        if response.status_code == 405:
            allowed = {m.strip() for m in response.headers.get("allow", "").split(",")} - {"HEAD", "OPTIONS"}
            if allowed != documented_methods(template):
                raise Breach(f"{where}: Allow names {allowed}, the document {documented_methods(template)}")

    def _check(self, operation, response, content_type, where):
        responses = operation.body["responses"]
        status = str(response.status_code)
        if status not in responses and (response.status_code < 400 or "default" not in responses):
            if response.status_code < 400 or operation.body["security"]:
                raise Breach(f"{where}: {operation.id} does not document this status")
        if status not in responses:
            check_problem(response, where)
            return
        documented = _resolve(responses[status])
        for header in documented.get("headers", {}):
            if header not in response.headers and not _optional_header(header, response):
                raise Breach(f"{where}: header {header} is missing")
        self._check_content(documented.get("content"), response, content_type, where)

    def _check_content(self, content, response, content_type, where):
        if not content:
            if response.content:
                raise Breach(f"{where}: a body where the document gives none")
            return
        media = content_type.split(";")[0].strip()
        if media not in content:
            raise Breach(f"{where}: Content-Type {content_type!r} is not one of {list(content)}")
        if media == "application/json":
            document = response.json()
            _judge(content[media]["schema"], document, where)
            if content[media]["schema"] == {"$ref": "#/components/schemas/EventList"}:
                for event in document["items"]:
                    check_event(event)


def _optional_header(header, response):
    # A list (count) has neither ETag nor Location.
    return header in ("ETag", "Location") and "items" in response.json()


def _resolve(node):
    while "$ref" in node:
        target = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def check_problem(response, where):
    """RFC 9457, a stable code that fits its status, and the request id of the header."""
    if response.headers.get("content-type", "").split(";")[0] != "application/problem+json":
        raise Breach(f"{where}: not application/problem+json: {response.text[:200]!r}")
    problem = response.json()
    validate("Problem", problem)
    if CODES.get(problem["code"]) != response.status_code or problem["status"] != response.status_code:
        raise Breach(f"{where}: code {problem['code']}, status {problem['status']}")
    if response.headers.get("x-request-id") != problem["request_id"]:
        raise Breach(f"{where}: X-Request-Id {response.headers.get('x-request-id')} but {problem}")


def check_event(event):
    """An event's document is one of its kind, written at the event's revision."""
    validate("Event", event)
    validate(KIND_SCHEMAS[event["kind"]], event["document"])
    revision = event["document"].get("revision", event["revision"])
    if event["type"] != "deleted" and revision != event["revision"]:
        raise Breach(f"event {event['revision']} carries a document of revision {revision}")
