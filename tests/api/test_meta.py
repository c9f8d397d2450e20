"""Health, metrics, the document itself, and the path table of the server."""

import re

import pytest

from harness.contract import DOCUMENT, OPERATIONS, documented_methods

PATHS = {"id": "i-0123456789abcdef0", "name": "nothing", "listener": "tcp-80", "target": "192.0.2.1",
         "transition": "instance.pending"}


def fill(template):
    for name, value in PATHS.items():
        template = template.replace("{" + name + "}", value)
    return template


def test_health_and_readiness_say_ok(api):
    assert api.get("/healthz") == {"status": "ok"}
    assert api.get("/readyz")["status"] == "ok"


def test_the_server_serves_the_document_of_the_repository(api):
    assert api.get("/openapi.json") == DOCUMENT


def test_the_path_table_of_the_server_is_that_of_the_document(api):
    """A method that no path has is answered 405 with what the path does have."""
    reached = 0
    for template in DOCUMENT["paths"]:
        response = api.request("PROPFIND", fill(template))
        assert response.status_code == 405, f"{template}: {response.status_code}"
        allowed = {m.strip() for m in response.headers["allow"].split(",")} - {"HEAD", "OPTIONS"}
        assert allowed == documented_methods(template), template
        reached += len(documented_methods(template))
    print(f"{reached} operations reached")
    assert reached == len(OPERATIONS) > 0


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: op.id)
def test_every_documented_operation_is_routed(api, operation):
    with api.http.stream(operation.method.upper(), fill(operation.template), content=b"{}",
                         headers={"Content-Type": "application/json"}) as response:
        assert response.status_code != 405
        response.read()
    if response.status_code == 404:  # of the resource, not of the path
        assert any(PATHS[name] in response.text for name in ("id", "name", "transition"))


def test_head_is_get_without_a_body(api):
    whole = api.request("GET", "/healthz")
    head = api.request("HEAD", "/healthz")
    assert head.status_code == 200 and head.content == b""
    assert head.headers["content-length"] == str(len(whole.content))


SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([^}]*)\})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


def metrics(api):
    """{(name, labels): value}, read as strictly as Prometheus reads it."""
    response = api.request("GET", "/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert response.text.endswith("\n")
    types, samples = {}, {}
    for line in response.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert kind in ("counter", "gauge", "histogram", "summary") and name not in types
            types[name] = kind
        elif not line.startswith("#") and line:
            match = SAMPLE.match(line)
            assert match, line
            name, _, labels, value = match.groups()
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in types or types.get(base) in ("histogram", "summary"), f"{name} has no TYPE"
            key = (name, tuple(sorted(LABEL.findall(labels or ""))))
            assert key not in samples, f"{key} twice"
            samples[key] = float(value)
    assert len(samples) > 5
    return samples


def test_metrics_are_well_formed_and_count_requests_by_operation(api):
    def requests(operation):
        return sum(v for (name, labels), v in metrics(api).items()
                   if "request" in name and name.endswith("_total") and ("operation", operation) in labels)

    before = requests("instances.create")
    for _ in range(3):
        api.instance()
    assert requests("instances.create") == before + 3


def test_metrics_need_no_token_and_show_the_revision(api):
    made = api.instance()
    values = [v for (name, _), v in metrics(api).items() if "revision" in name]
    assert made["revision"] in values
