"""The command against a real server with a manual clock: what a user does, end to end."""

import json
import re
import subprocess
import time

import pytest

ID = re.compile(r"^[a-z]+-[0-9a-f]{17}$")


def states(cli, *args):
    return {i["name"]: i["state"] for i in cli.json("ls", *args)}


# -- instances ------------------------------------------------------------------------------------

def test_terminating_an_instance_is_one_short_command(cli):
    cli("instance", "create", "web-1")
    assert cli.json("terminate", "web-1")["name"] == "web-1"
    assert states(cli) == {"web-1": "terminated"}


def test_an_instance_lives_through_all_its_verbs(cli):
    made = cli.json("instance", "create", "web-1", "--zone", "mock-1a", "--tag", "role=web", "--lifecycle", "spot")
    assert ID.match(made["id"]) and made["tags"] == {"role": "web"} and made["lifecycle"] == "spot"
    for verb, state in (("stop", "stopped"), ("start", "running"), ("reboot", "running")):
        cli("instance", verb, "web-1", "--wait")
        assert cli.json("instance", "get", made["id"])["state"] == state, verb
    changed = cli.json("instance", "update", "web-1", "--name", "web-2", "--tag", "a=b", "--untag", "role")
    assert changed["name"] == "web-2" and changed["tags"] == {"a": "b"}
    assert cli.json("instance", "terminate", made["id"], "--wait")["state"] == "terminated"


def test_output_formats_agree_about_what_is_there(cli):
    cli("instance", "create", "node", "--count", "3", "-o", "json")
    names = ["node-1", "node-2", "node-3"]
    ids = [i["id"] for i in cli.json("ls")]
    assert cli.lines("ls", "-o", "name") == names and cli.lines("ls", "-o", "id") == ids
    table, wide = cli.lines("ls"), cli.lines("ls", "-o", "wide")
    assert table[0].startswith("NAME ") and "LIFECYCLE" in wide[0] and "LIFECYCLE" not in table[0]
    assert [line.split()[0] for line in table[1:]] == names == [line.split()[0] for line in wide[1:]]
    assert all(line.split()[-1] == "0s" for line in table[1:])
    assert cli("ls", "--count") == "3\n"
    assert cli.json("instance", "get", *ids) == cli.json("ls")


def test_selectors_filter_and_combine(cli):
    for name, zone, tag in (("a", "mock-1a", "web"), ("b", "mock-1b", "web"), ("c", "mock-1a", "db")):
        cli("instance", "create", name, "--zone", zone, "--tag", f"role={tag}", "--tag", "all=yes")
    cli("stop", "c", "--wait")
    assert cli.lines("ls", "--zone", "mock-1a", "-o", "name") == ["a", "c"]
    assert cli.lines("ls", "--tag", "role=web", "--tag", "all=yes", "-o", "name") == ["a", "b"]
    assert cli.lines("ls", "--state", "stopped,error", "-o", "name") == ["c"]
    assert cli.lines("ls", "--name", "b", "-o", "name") == ["b"]
    assert cli.lines("ls", "--lifecycle", "spot", "-o", "name") == []
    assert cli.lines("start", "--all", "--wait", "-o", "name") == ["c"]
    assert cli.lines("terminate", "--zone", "mock-1a", "--tag", "role=web", "-o", "name") == ["a"]
    assert states(cli, "--state", "running") == {"b": "running", "c": "running"}


def test_some_at_random_are_terminated_and_a_dry_run_says_which(cli):
    cli("instance", "create", "n", "--count", "20")
    would = cli.lines("terminate", "--random", "3", "--seed", "5", "--dry-run", "-o", "name")
    assert len(set(would)) == 3 and cli("ls", "--state", "terminated", "--count") == "0\n"
    assert cli.lines("terminate", "--random", "3", "--seed", "5", "--wait", "-o", "name") == would
    assert set(cli.lines("ls", "--state", "terminated", "-o", "name")) == set(would)
    cli("terminate", "--all", "--wait")
    assert set(states(cli).values()) == {"terminated"}


def test_interrupting_tells_an_instance_and_acts_at_the_deadline(cli):
    cli("instance", "create", "web-1", "--lifecycle", "spot")
    told = cli.json("interrupt", "web-1", "--kind", "spot", "--notice", "120s")
    assert told["state"] == "running" and told["notices"][0]["deadline"] == "2026-01-01T00:02:00.000Z"
    assert "spot=scheduled" in cli("instance", "get", "web-1", "-o", "wide")
    cli("clock", "advance", "2m")
    ended = cli.json("instance", "get", "web-1")
    assert ended["state"] == "terminated" and ended["state_reason"]["code"] == "spot-interruption"


def test_interrupting_takes_the_selectors_of_terminate(cli):
    for lifecycle in ("spot", "on-demand"):
        cli("instance", "create", lifecycle, "--count", "4", "--lifecycle", lifecycle, "--zone", "mock-1a")
    would = cli.lines("interrupt", "--lifecycle", "spot", "--zone", "mock-1a", "--random", "2", "--seed", "7",
                      "--dry-run", "-o", "name")
    assert len(set(would)) == 2 and not [i for i in cli.json("ls") if "notices" in i]
    assert cli.lines("instance", "interrupt", "--lifecycle", "spot", "--zone", "mock-1a", "--random", "2", "--seed",
                     "7", "--kind", "preempt", "--action", "terminate", "-o", "name") == would
    assert {i["name"] for i in cli.json("ls") if "notices" in i} == set(would)
    cli("instance", "cancel-interrupt", "--all")
    cli("clock", "advance", "1h")
    assert set(states(cli).values()) == {"running"}


def test_an_interruption_that_no_cloud_knows_is_refused_by_field(cli):
    cli("instance", "create", "web-1")
    assert "(action)" in cli.error("interrupt", "web-1", "--kind", "preempt", "--action", "reboot", code="refused")
    assert "--kind" in cli.error("interrupt", "web-1", "--kind", "meteor", code="usage")
    assert "--notice" in cli.error("interrupt", "web-1", "--notice", "soon", code="usage")
    assert cli.error("interrupt", code="usage").startswith("interrupt: which instance?")
    cli("interrupt", "web-1")
    assert "(kind)" in cli.error("interrupt", "web-1", code="conflict")


def test_refusals_have_their_exit_codes(cli, tmp_path):
    cli("instance", "create", "web-1")
    assert cli.error("instance", "create", "web-1", code="conflict").startswith("already_exists: ")
    assert cli.error("start", "web-1", code="conflict").startswith("illegal_transition: ")
    assert cli.error("stop", "web-1", "--if-revision", "1", code="conflict").startswith("precondition_failed: ")
    assert cli.error("terminate", "web-9", code="not_found") == "no instance is named 'web-9'"
    assert cli.error("terminate", "i-0123456789abcdef0", code="not_found").startswith("not_found: ")
    assert "(zone)" in cli.error("instance", "create", "--zone", "nowhere", code="refused")
    assert cli.error("ls", "--token", "wrong", code="denied").startswith("unauthorized: ")


def test_an_idempotency_key_makes_a_repeat_harmless(cli):
    first = cli.json("instance", "create", "web-1", "--idempotency-key", "once")
    assert cli.json("instance", "create", "web-1", "--idempotency-key", "once") == first
    assert cli("ls", "--count") == "1\n"


# -- the rest of the cloud ------------------------------------------------------------------------

def test_a_load_balancer_is_built_changed_and_taken_down(cli):
    cli("instance", "create", "web-1")
    cli("address", "create", "front-ip")
    pool = cli.json("pool", "create", "front-pool", "--target", "web-1", "--check", "TCP", "--check-port", "30080")
    assert pool["health_check"]["port"] == 30080 and len(pool["targets"]) == 1
    lb = cli.json("lb", "create", "front", "--listener", "tcp:80:front-pool:30080", "--address", "front-ip", "--wait")
    assert lb["state"] == "active" and lb["listeners"][0]["target_pool_id"] == pool["id"]
    assert lb["addresses"][0]["address"] == cli.json("address", "get", "front-ip")["address"]
    assert "TCP/80>30080" in cli("lb", "ls")
    cli("lb", "add-listener", "front", "udp:53:front-pool:30053,affinity=client-ip")
    cli("lb", "remove-listener", "front", "tcp:80")
    assert [part["port"] for part in cli.json("lb", "get", "front")["listeners"]] == [53]
    assert cli.json("lb", "update", "front", "--source-range", "192.0.2.0/24")["source_ranges"] == ["192.0.2.0/24"]
    assert cli.json("lb", "update", "front", "--source-range", "none")["source_ranges"] == []
    cli("pool", "add-target", "front-pool", "192.0.2.7", "192.0.2.8")
    for verb, health in (("fail-target", "unhealthy"), ("heal-target", "healthy")):
        assert cli.json("pool", verb, "front-pool", "web-1")["targets"][0]["health"] == health
    cli("pool", "remove-target", "front-pool", "web-1")
    assert "192.0.2.7=" in cli("pool", "ls", "-o", "wide") and cli.lines("pool", "ls")[1].split()[2] == "2"
    assert cli.error("pool", "delete", "front-pool", code="conflict").startswith("in_use: ")
    cli("lb", "delete", "front", "--wait")
    assert cli("pool", "delete", "front-pool") == "pool/front-pool deleted\n"
    assert cli("address", "delete", "--all") == "address/front-ip deleted\n"
    assert cli("lb", "ls", "--count") == "0\n"


def test_routes_lead_to_instances_or_addresses(cli):
    instance = cli.json("instance", "create", "web-1")
    route = cli.json("route", "create", "pods-1", "--to", "10.128.1.0/24", "--via", "web-1", "--wait")
    assert route["state"] == "active" and route["next_hop"] == {"instance_id": instance["id"]}
    assert instance["id"] in cli("route", "ls")
    cli("stop", "web-1", "--wait")
    assert cli.lines("route", "ls", "--state", "blackhole", "-o", "name") == ["pods-1"]
    assert cli.json("route", "update", "pods-1", "--via", "10.9.0.1")["next_hop"] == {"address": "10.9.0.1"}
    assert "(destination_cidr)" in cli.error("route", "create", "--to", "10.128.1.1/24", "--via", "web-1", code="refused")
    cli("route", "delete", "pods-1", "--wait")
    assert cli("route", "ls", "--count") == "0\n"


def test_zones_and_types_are_set_piece_by_piece(cli):
    cli("zone", "set", "mock-9a", "--region", "mock-9")
    assert cli.json("zone", "set", "mock-9a", "--state", "unavailable")["region"] == "mock-9"
    assert cli.error("instance", "create", "--zone", "mock-9a", code="conflict")
    assert "mock-9a" in cli("region", "ls")
    cli("type", "set", "huge", "--cpus", "64", "--memory-mib", "262144")
    assert cli.json("type", "set", "huge", "--max-pods", "50")["cpus"] == 64
    assert cli("type", "delete", "huge") == "type/huge deleted\n"
    cli("zone", "delete", "mock-9a")
    cli.error("zone", "get", "mock-9a", code="not_found")


def test_projects_are_apart_and_tokens_open_them(cli):
    cli("instance", "create", "mine")
    assert cli("project", "current", "-o", "name") == "default\n"
    cli("project", "create", "team-a")
    token = cli("token", "create", "team-a", "-o", "id").strip()
    theirs = {"MOCKCLOUD_TOKEN": token}
    cli("instance", "create", "theirs", env=theirs)
    assert cli.lines("ls", "-o", "name", env=theirs) == ["theirs"] == cli.lines("ls", "-o", "name", "--project", "team-a")
    assert cli.lines("ls", "-o", "name") == ["mine"]
    cli("clock", "get", env=theirs, code="denied")
    asked = cli.json("calls", "ls", "--all-projects", "--op", "clock.get")
    cli("clock", "advance", "3h")
    assert cli.lines("ls", env=theirs)[1].split()[-1] == "3h"
    assert cli.json("calls", "ls", "--all-projects", "--op", "clock.get") == asked  # an age needs no question that is refused
    assert "team-a" in cli.lines("project", "ls", "-o", "name")


# -- time and events ------------------------------------------------------------------------------

def test_latencies_and_the_clock_decide_when_things_happen(cli):
    for shape, distribution in (("1s..3s", "uniform"), ("lognormal:2s:500ms", "lognormal"), ("5s", "fixed")):
        assert cli.json("latency", "set", "instance.pending", shape)["distribution"] == distribution
    assert cli.json("instance", "create", "web-1")["state"] == "pending"
    assert cli.json("clock", "advance", "4s")["fired"] == 0
    assert cli.json("clock", "advance", "1s")["fired"] == 1
    assert states(cli) == {"web-1": "running"}
    assert cli.lines("clock", "advance", "2026-02-01T00:00:00Z")[0].split() == ["NOW", "FIRED", "MODE", "NEXT-DEADLINE"]
    assert cli.json("clock", "get")["now"] == "2026-02-01T00:00:00.000Z"
    assert cli.lines("ls")[1].split()[-1] == "31d"
    cli("latency", "rm", "instance.pending")
    assert "instance.pending" not in cli("latency", "ls")


def test_the_clock_freezes_and_runs_at_another_speed(cli):
    assert cli.json("clock", "scale", "60")["scale"] == 60
    assert cli.json("clock", "freeze")["frozen"] is True
    assert cli.json("clock", "resume")["frozen"] is False


def test_wait_ends_when_the_event_comes(cli):
    cli("latency", "set", "instance.terminating", "10s")
    cli("instance", "create", "web-1")
    cli("terminate", "web-1")
    waiting = cli.spawn("wait", "instance/web-1", "--for", "state=terminated", "--timeout", "30s", "-o", "name")
    assert waiting.poll() is None
    cli("clock", "advance", "10s")
    out, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, out, err) == (0, "web-1\n", "")


def test_wait_expires_with_exit_4_and_says_the_state(cli):
    cli("instance", "create", "web-1")
    start = time.monotonic()  # long enough for the first look on a busy machine
    line = cli.error("wait", "instance/web-1", "--for", "state=stopped", "--timeout", "5s", code="timeout")
    assert line == "instance/web-1: timed out waiting for state=stopped; its state is running"
    assert time.monotonic() - start >= 5


def test_wait_knows_what_is_gone_what_never_was_and_what_is_to_come(cli):
    cli("wait", "instance/web-1", "--for", "deleted")
    cli.error("wait", "instance/web-1", "--for", "state=running", code="not_found")
    coming = cli.spawn("wait", "instance/web-1", "--for", "exists", "-o", "name", "--timeout", "30s")
    cli("instance", "create", "web-1")
    assert coming.communicate(timeout=30)[0] == "web-1\n" and coming.returncode == 0
    cli("terminate", "web-1")
    gone = cli.spawn("wait", "instance/web-1", "--for", "deleted", "--timeout", "30s")
    cli("clock", "advance", "2m")
    assert gone.wait(30) == 0
    gone.communicate()


def test_events_are_listed_in_order_and_from_a_revision(cli):
    cli("instance", "create", "web-1")
    cli("terminate", "web-1", "--wait")
    events = [json.loads(line) for line in cli.lines("events", "--kind", "instance", "-o", "json")]
    assert [e["type"] for e in events][0] == "created" and events[-1]["document"]["state"] == "terminated"
    revisions = [e["revision"] for e in events]
    assert revisions == sorted(set(revisions))
    after = cli.lines("events", "--kind", "instance", "--since", revisions[0], "--count")
    assert after == [str(len(events) - 1)]
    assert len(cli.lines("events", "--limit", "2")) == 3  # with the header
    assert "web-1" in cli("events")


def test_a_snapshot_is_written_to_what_is_no_file_and_does_not_replace_it(cli, tmp_path):
    out = tmp_path / "out"
    out.symlink_to("/dev/stdout")
    done = subprocess.run(cli.command("snapshot", "save", out), capture_output=True, env=cli.environment, timeout=60)
    assert done.returncode == 0 and done.stdout.startswith(b"SQLite format 3") and out.is_symlink(), done.stderr


@pytest.mark.parametrize("words", [["events", "--follow"], ["event", "follow"], ["event", "ls", "-f"]])
def test_events_are_followed_as_they_happen(cli, words):
    cli("instance", "create", "web-1")
    since = cli.lines("events", "-o", "id")[-1]
    following = cli.spawn(*words, "--since", since, "--limit", "1", "-o", "json")
    cli("stop", "web-1")
    out, _ = following.communicate(timeout=30)
    assert following.returncode == 0 and json.loads(out)["document"]["state"] in ("stopping", "stopped")


def test_a_stream_that_is_cut_after_a_reset_tells_no_event_twice(cli):
    cli("reset")
    cut = ("fault", "add", "--op", "events.list", "--stream-cut", "--kind", "instance", "--after", "1", "--every", "2")
    cli(*cut)
    since = cli.lines("events", "-o", "id")[-1]
    following = cli.spawn("events", "--follow", "--kind", "instance", "--since", since, "--limit", "4", "-o", "json")
    for n in range(4):
        cli("instance", "create", f"web-{n}")
    out, _ = following.communicate(timeout=30)
    assert [json.loads(line)["document"]["name"] for line in out.splitlines()] == [f"web-{n}" for n in range(4)]


def test_following_survives_a_restart_of_the_server_by_ending_with_exit_5(cli, server):
    cli("instance", "create", "web-1")
    following = cli.spawn("events", "--follow", "--since", "0")
    assert following.stdout.readline()
    server.stop()
    following.communicate(timeout=30)
    assert following.returncode == 5
    server.start()


def test_status_counts_what_is_there(cli):
    cli("instance", "create", "n", "--count", "2")
    cli("stop", "n-1", "--wait")
    status = cli.json("status")
    assert status["status"] == "ok" and status["instance"] == {"total": 2, "stopped": 1, "running": 1}
    assert status["project"] == "default" and status["zone"]["total"] >= 1
    text = cli("status")
    assert re.search(r"^instance +2 \(1 stopped, 1 running\)$", text, re.MULTILINE)


def test_completion_offers_the_names_of_the_cloud(cli):
    cli("instance", "create", "web-1")
    assert cli.lines("__complete", "terminate", "") == ["web-1\trunning"]
    assert "mock-1a" in cli("__complete", "ls", "--zone", "")


def test_a_stream_that_is_only_followed_for_a_while_is_not_said_to_be_silent(cli):
    assert "timed out (--timeout)" == cli.error("events", "--follow", "--timeout", "5s", code="timeout")
