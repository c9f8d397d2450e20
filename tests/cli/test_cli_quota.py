"""mockcloud quota, and the capacity of zones."""

import pytest


def row(lines, name):
    return next(line.split() for line in lines if line.split()[0] == name)


def test_limits_are_set_shown_and_taken_away(cli):
    cli("project", "create", "team")
    lines = cli.lines("quota", "set", "team", "--instances", "2", "--lbs", "0", "--write-rate", "5:20", "--list-rate", "1")
    assert lines[0].split() == ["QUOTA", "USED", "LIMIT", "LEFT", "PER-SECOND", "RESET"]
    assert row(lines, "instances") == ["instances", "0", "2", "2", "-", "-"]
    assert row(lines, "write")[2:5] == ["20", "20", "5"]
    cli("instance", "create", "a", "--project", "team")
    assert row(cli.lines("quota", "ls", "team"), "instances")[:4] == ["instances", "1", "2", "1"]
    assert cli.json("quota", "ls", "--project", "team") == cli.json("quota", "ls", "team")
    error = cli.error("instance", "create", "--count", "2", "--project", "team", code=1)
    assert "quota instances of project team is exceeded" in error
    cli("quota", "set", "team", "--instances", "none", "--list-rate", "none")
    assert row(cli.lines("quota", "ls", "team"), "instances")[2] == "-"
    assert cli("quota", "rm", "team") == "quota/team deleted\n"
    assert cli.json("quota", "ls", "team")["rates"] == []


@pytest.mark.parametrize("flags,told", [
    (["--instances", "-1"], "--instances"), (["--instances", "many"], "--instances"), (["--read-rate", "0"], "--read-rate"),
    (["--read-rate", "5:"], "--read-rate"), (["--read-rate", "5:x"], "--read-rate"), (["--read-rate", "nan"], "--read-rate"),
    ([], "nothing to change"),
])
def test_bad_limits_are_usage_errors(cli, flags, told):
    assert told in cli.error("quota", "set", "default", *flags, code="usage")
    assert "not exist" in cli.error("quota", "set", "nobody", "--routes", "1", code="not_found")


def test_a_zone_is_given_capacity_and_keeps_it(cli):
    cli("zone", "set", "mock-1a", "--capacity", "small=1", "--capacity", "large=0", "--capacity-total", "5")
    cli("zone", "set", "mock-1a", "--state", "available")
    zone = cli.json("zone", "get", "mock-1a")
    assert zone["capacity"] == {"small": 1, "large": 0} and zone["capacity_total"] == 5
    assert "no capacity left for type large" in cli.error("instance", "create", "--zone", "mock-1a", "--type", "large", code=1)
    assert "small=1" in cli("zone", "ls", "-o", "wide")
    lines = cli.lines("zone", "capacity", "mock-1a")
    assert [line.split() for line in lines[1:]] == [
        ["large", "0", "0", "0"], ["small", "0", "1", "1"], ["(all)", "0", "5", "5"]]
    assert cli.json("zone", "capacity", "mock-1a")["total"] == {"used": 0, "limit": 5, "remaining": 5}
    cli("zone", "set", "mock-1a", "--capacity", "none")
    assert "capacity" not in cli.json("zone", "get", "mock-1a")
    cli("instance", "create", "--zone", "mock-1a", "--type", "large")
    for bad in ("small", "=1", "small=-1", "small=x"):
        assert "--capacity" in cli.error("zone", "set", "mock-1a", "--capacity", bad, code="usage")


def test_an_ephemeral_project_is_made_used_prolonged_and_gone(cli):
    made = cli.json("project", "create", "ci-17", "--ttl", "1h", "--with-token", "--instances", "1", "--write-rate", "5:20")
    assert made["expires_at"] == "2026-01-01T01:00:00.000Z"
    tenant = {"MOCKCLOUD_TOKEN": made["token"]}
    cli("instance", "create", "web", env=tenant)
    assert cli.json("ls", "--project", "ci-17") == cli.json("ls", env=tenant) != []
    assert row(cli.lines("quota", "ls", env=tenant), "instances")[:4] == ["instances", "1", "1", "0"]
    header, line = cli.lines("project", "create", "other", "--with-token")
    assert header.split() == ["NAME", "ID", "EXPIRES", "TOKEN"] and len(line.split()[3]) == 64
    assert cli.json("project", "update", "ci-17", "--ttl", "2h")["expires_at"] == "2026-01-01T02:00:00.000Z"
    assert "expires_at" not in cli.json("project", "update", "other", "--ttl", "none")
    cli("clock", "advance", "2h")
    assert cli.lines("project", "ls", "-o", "name") == ["default", "other"]
    cli.run("ls", env=tenant, code="denied")
    assert "--ttl" in cli.error("project", "create", "x", "--ttl", "soon", code="usage")


def test_a_project_for_a_while_needs_no_name_and_comes_with_its_token(cli):
    made = cli.json("project", "create", "--ttl", "1h")
    assert made["name"].startswith("tmp-") and made["expires_at"] == "2026-01-01T01:00:00.000Z"
    cli("instance", "create", "web", env={"MOCKCLOUD_TOKEN": made["token"]})
    assert cli.json("project", "create", "--ttl", "1h")["name"] != made["name"]
    stays = cli.json("project", "create", "stays", "--ttl", "none")
    assert "expires_at" not in stays and "token" not in stays
