"""`mockcloud fault update`: flags as a patch of the rule that is there."""

import pytest


@pytest.fixture
def rule(cli):
    cli("fault", "add", "slow", "--op", "instances.*", "--latency", "1ms..2ms", "--probability", "0.5", "--times", "5")
    return lambda: cli.json("fault", "get", "slow")


def test_a_rule_is_switched_off_and_on_and_listed_so(cli, rule):
    assert cli.json("fault", "update", "slow", "--off")["enabled"] is False
    header, line = cli.lines("fault", "ls")
    assert "ENABLED" in header and " no " in line
    assert cli.json("fault", "update", "slow", "--on", "--probability", "0.25")["enabled"] is True
    assert rule()["when"] == {"probability": 0.25, "times": 5}


def test_an_effect_is_said_anew_and_a_detail_alone(cli, rule):
    cli("fault", "update", "slow", "--wait-clock", "cloud")
    assert rule()["effect"] == {"latency": {"distribution": "uniform", "min": "1ms", "max": "2ms", "clock": "cloud"}}
    cli("fault", "update", "slow", "--latency", "3ms")
    assert rule()["effect"] == {"latency": {"distribution": "fixed", "value": "3ms", "clock": "real"}}


def test_fields_are_taken_away_and_others_stay(cli, rule):
    cli("fault", "update", "slow", "--unset", "when.times", "--unset", "when.probability", "--every", "2", "--zone", "mock-1a",
        "--op", "routes.*", "--op", "instances.list")
    assert rule()["when"] == {"every": 2}
    assert rule()["match"] == {"operations": ["routes.*", "instances.list"], "resource": {"zone": "mock-1a"}}
    cli("fault", "update", "slow", "--unset", "match.resource", "--name", "slower")
    assert "resource" not in cli.json("fault", "get", "slower")["match"]


def test_several_are_changed_at_once(cli, rule):
    cli("fault", "add", "other", "--op", "*", "--hang")
    cli("fault", "update", "slow", "other", "--off")
    assert [item["enabled"] for item in cli.json("fault", "ls")] == [False, False]


def test_only_the_revision_that_was_seen_is_changed(cli, rule):
    revision = rule()["revision"]
    cli("fault", "update", "slow", "--if-revision", str(revision), "--off")
    assert "revision" in cli.error("fault", "update", "slow", "--if-revision", str(revision), "--on", code="conflict")


@pytest.mark.parametrize("flags, told, code", [
    ([], "nothing to change", "usage"),
    (["--on", "--off"], "only one of them", "usage"),
    (["--error", "503", "--hang"], "one effect", "usage"),
    (["--retry-after", "2s"], "does not belong to --latency", "usage"),
    (["--probability", "often"], "a number from 0 to 1", "usage"),
    (["--error", "503"], "one effect", "refused"),
    (["--unset", "when.often"], "when.often", "refused"),
    (["--op", "instances.lst"], "match.operations[0]", "refused"),
])
def test_what_is_wrong_is_told_and_changes_nothing(cli, rule, flags, told, code):
    before = rule()
    assert told in cli.error("fault", "update", "slow", *flags, code=code)
    assert rule() == before
