"""Events: the list, and the stream with its resume."""

import threading
import time

import pytest


def test_events_come_in_order_without_gaps_and_carry_the_documents(api):
    made = [api.instance() for _ in range(5)]
    events = api.events()
    revisions = [e["revision"] for e in events]
    assert revisions == list(range(revisions[0], revisions[0] + len(revisions)))
    assert [e["document"] for e in events if e["kind"] == "instance"] == made


def test_since_gives_only_what_is_newer_and_pages_join_to_the_whole(api):
    api.post("/v1/instances", {"count": 20})
    whole = api.events()
    since, pages = 0, []
    while True:
        page = api.get("/v1/events", params={"since": since, "limit": 7})
        pages += page["items"]
        since = page["next_since"]
        if since >= page["revision"]:
            break
    assert pages == whole
    middle = whole[len(whole) // 2]["revision"]
    assert api.events(since=middle) == [e for e in whole if e["revision"] > middle]
    assert api.events(since=whole[-1]["revision"]) == []


def test_next_since_moves_past_events_that_the_filter_leaves_out(api):
    api.instance()
    answer = api.get("/v1/events", params={"kind": "route"})
    assert answer["items"] == [] and answer["next_since"] == answer["revision"]


def test_events_are_filtered_by_kind(api):
    instance, pool = api.instance(), api.pool()
    assert [e["id"] for e in api.events(kind="instance")] == [instance["id"]]
    assert [e["id"] for e in api.events(kind="target_pool")] == [pool["id"]]
    api.refuse("GET", "/v1/events", params={"kind": "banana"}, status=400, code="invalid_argument", field="kind")


@pytest.mark.parametrize("since", ["-1", "x", "1.5", "9223372036854775808", ""])
def test_a_bad_since_is_refused_by_name(api, since):
    api.refuse("GET", "/v1/events", params={"since": since}, status=400, code="invalid_argument", field="since")


def test_a_since_in_the_future_is_answered_with_nothing(api):
    assert api.events(since=1 << 40) == []


def test_a_stream_brings_what_happens_from_then_on(api):
    api.instance()
    with api.stream() as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        assert "no-cache" in stream.response.headers.get("cache-control", "") or \
            "no-store" in stream.response.headers.get("cache-control", "")
        made = api.instance()
        assert stream.event()["document"] == made
        api.delete(f"/v1/instances/{made['id']}")
        rest = stream.until(lambda e: e["document"]["state"] == "terminated")
        assert all(e["id"] == made["id"] for e in rest)


def test_a_stream_since_a_revision_brings_the_past_first_then_the_present(api):
    made = [api.instance() for _ in range(10)]
    since = made[4]["revision"]
    with api.stream(since=since) as stream:
        past = stream.until(lambda e: e["id"] == made[-1]["id"])
        now = api.instance()
        present = stream.until(lambda e: e["id"] == now["id"])
    assert past + present == api.events(since=since)


def test_last_event_id_overrides_since(api):
    made = [api.instance() for _ in range(5)]
    with api.stream(since=0, last_event_id=made[3]["revision"]) as stream:
        assert stream.event()["id"] == made[4]["id"]


def test_an_event_that_is_yet_to_come_is_of_another_cloud(start, connect):
    """As when a server with its cloud in memory was started again."""
    before = connect(start(db=":memory:"))
    before.instance()
    last = before.events()[-1]["revision"]
    after = connect(start(db=":memory:"))
    with before.stream(last_event_id=last) as stream:
        assert stream.response.status_code == 200
    after.refuse("GET", "/v1/events", headers={"Accept": "text/event-stream", "Last-Event-ID": str(last)},
                 status=410, code="revision_compacted", field="Last-Event-ID")


@pytest.mark.parametrize("value", ["x", "-1", "1 2", "99999999999999999999"])
def test_a_bad_last_event_id_is_refused_by_name(api, value):
    response = api.request("GET", "/v1/events", headers={"Accept": "text/event-stream", "Last-Event-ID": value})
    assert response.status_code == 400 and response.json()["field"] == "Last-Event-ID"


def test_a_stream_filters_by_kind(api):
    with api.stream(kind="route") as stream:
        api.instance()
        api.pool()
        made = api.route("10.1.0.0/16", {"address": "10.0.0.1"})
        assert stream.event()["id"] == made["id"]


def test_a_stream_sees_its_own_project_only(api, server, connect):
    api.post("/sim/v1/projects", {"name": "team"}, expect=201)
    team = connect(server, project="team")
    with team.stream() as stream:
        api.instance()
        theirs = team.instance()
        assert stream.event()["id"] == theirs["id"]


def test_a_resumed_stream_neither_loses_nor_repeats_an_event(api):
    """Cut and resumed many times while another client writes."""
    stop = threading.Event()
    since = api.get("/v1/events")["revision"]

    def write():
        while not stop.is_set():
            api_writer.instance()

    from harness.client import Client
    api_writer = Client(api.server)
    writer = threading.Thread(target=write)
    writer.start()
    seen, last = [], since
    try:
        for _ in range(20):
            with api.stream(last_event_id=last) as stream:
                seen += [e["revision"] for e in stream.take(5)]
                last = seen[-1]
    finally:
        stop.set()
        writer.join()
        api_writer.close()
    assert seen == list(range(since + 1, since + 101))


def test_every_watcher_sees_every_event_in_order(api, server, connect):
    clients = [connect(server) for _ in range(20)]
    since = api.get("/v1/events")["revision"]
    seen = {}

    def watch(n):
        with clients[n].stream(since=since) as stream:
            seen[n] = [e["revision"] for e in stream.take(100)]

    threads = [threading.Thread(target=watch, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        api.post("/v1/instances", {"count": 10})
    for thread in threads:
        thread.join(20)
    assert len(seen) == 20
    assert all(revisions == list(range(since + 1, since + 101)) for revisions in seen.values())


def test_events_older_than_those_kept_answer_410_and_a_list_goes_on(start, connect, tmp_path):
    config = tmp_path / "config.json"
    config.write_text('{"events_kept": 100}')
    api = connect(start(args=["--config", config]))
    for _ in range(5):
        api.post("/v1/instances", {"count": 100})
    newest = api.get("/v1/instances")["revision"]
    deadline = time.monotonic() + 10
    while True:  # trimming goes on beside the changes
        response = api.request("GET", "/v1/events", params={"since": 1})
        if response.status_code == 410 or time.monotonic() > deadline:
            break
        api.instance()
    assert response.status_code == 410 and response.json()["code"] == "revision_compacted"
    stream = api.request("GET", "/v1/events", params={"since": 1}, headers={"Accept": "text/event-stream"})
    assert stream.status_code == 410
    assert api.events(since=newest - 10)[:1]


@pytest.mark.parametrize("accept,media", [
    ("text/event-stream", "text/event-stream"), ("text/event-stream;q=1", "text/event-stream"),
    ("*/*", "application/json"), ("application/json", "application/json"),
])
def test_the_accept_header_decides_between_list_and_stream(api, accept, media):
    with api.http.stream("GET", "/v1/events", headers={"Accept": accept}) as response:
        assert response.status_code == 200 and response.headers["content-type"].split(";")[0] == media


def test_a_watcher_that_leaves_is_forgotten(api, server):
    baseline = server.open_sockets()
    for _ in range(50):
        with api.stream(since=0) as stream:
            stream.event()
    deadline = time.monotonic() + 30
    while server.open_sockets() > baseline + 5 and time.monotonic() < deadline:
        api.instance()  # writing to it is how the server learns that a watcher is gone
    assert server.open_sockets() <= baseline + 5


def check_comments(api, every):
    """Three comments; the stream's time-out ends a wait for one that does not come."""
    with api.stream(timeout=every + 10) as stream:
        assert all("comment" in stream.frame() for _ in range(3))


def test_an_idle_stream_gets_a_comment_as_often_as_it_was_set(start, connect):
    check_comments(connect(start(args=["--keepalive", "300ms"])), 0.3)


def test_an_idle_stream_gets_a_comment_at_least_every_fifteen_seconds(api, full):
    if not full:
        pytest.skip("takes three times 15 s; runs in test-full")
    check_comments(api, 15)
