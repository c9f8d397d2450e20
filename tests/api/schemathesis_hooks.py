"""Loaded by schemathesis (test_schemathesis.py)."""

import json
import os
from urllib.parse import quote

import httpx
import schemathesis

BODY_MAX = 1 << 20  # --max-body
HEAD_MAX = 8000  # of the 12 KiB that a connection has, for the address and the header fields
SCALE_MAX = 3600  # an hour in a second
CLOUD = httpx.Client(base_url=os.environ["MOCKCLOUD_ADDRESS"],
                     headers={"Authorization": f"Bearer {os.environ['MOCKCLOUD_TOKEN']}"}, timeout=90)


@schemathesis.hook
def filter_case(context, case):
    """Leaves out heads beyond a connection's memory: libmicrohttpd refuses them with a page of its own
    (414 or 431, see test_a_very_long_address_is_refused), before our code runs."""
    parts = [*(case.path_parameters or {}).values()]
    for values in (case.query, case.headers):
        for name, value in dict(values or {}).items():
            parts += [name, value]
    return sum(len(quote(str(part))) for part in parts) < HEAD_MAX and not advances_far(case) and not is_too_large(case)


def is_too_large(case):
    """Answered 413 whatever it holds, which schemathesis does not take for a refusal of what it holds."""
    return isinstance(case.body, dict) and len(json.dumps(case.body)) > BODY_MAX


def advances_far(case):
    """An advance by months is answered when all that chaos does in them, at whatever rates were made up, has been done."""
    body = case.body if case.operation.path == "/sim/v1/clock/advance" else None
    return isinstance(body, dict) and (isinstance(body.get("to"), str) or "h" in str(body.get("by", "")))


@schemathesis.hook
def after_call(context, case, response):
    """Fault rules that schemathesis happens to order, by itself or through chaos or a scenario, stand but are not met:
    what they order (a 503, a stale read, a cut connection) would be taken for a mistake of the API."""
    if case.method == "GET" or not case.operation.path.startswith("/sim/v1/"):
        return
    stop_chaos_of_the_api(case, response)
    slow_down_a_clock(case, response)
    page = {"limit": 1000}
    while True:
        rules = CLOUD.get("/sim/v1/faults", params=page).raise_for_status().json()
        for rule in rules["items"]:
            if rule["enabled"]:
                off = CLOUD.patch(f"/sim/v1/faults/{rule['id']}", json={"enabled": False})
                assert off.status_code in (200, 404), off.text  # its time may be over meanwhile
        if "next_page_token" not in rules:
            return
        page["page_token"] = rules["next_page_token"]


def stop_chaos_of_the_api(case, response):
    """On a clock that runs it would make rules at any time, also just before a call that meets them."""
    if case.operation.path != "/sim/v1/chaos" or response.status_code != 201:
        return
    chaos = response.json()
    if {"slow_api", "api_errors"} & chaos["rates"].keys():
        stopped = CLOUD.post(f"/sim/v1/chaos/{chaos['id']}/stop", headers={"X-Mockcloud-Project": chaos["project"]})
        assert stopped.status_code in (200, 400, 404), stopped.text  # it or its project may be gone meanwhile


def slow_down_a_clock(case, response):
    """At a million-fold speed, chaos makes events as quickly as the machine can, and in the end more than are kept."""
    clock = response.json() if case.operation.path.startswith("/sim/v1/clock") and response.status_code == 200 else {}
    if clock.get("scale", 0) > SCALE_MAX:
        CLOUD.patch("/sim/v1/clock", json={"scale": SCALE_MAX}).raise_for_status()


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    """A recording is bytes already; whatever else is made up becomes one line."""
    return value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"
