"""mockcloud chaos."""

import pytest


def test_it_is_started_shown_and_stopped(cli):
    assert "spot-heavy" in cli("chaos", "profiles")
    started = cli.json("chaos", "start", "--profile", "spot-heavy", "--seed", "7", "--rate", "terminate=6/h", "--rate", "stop=2.5",
                       "--max-down", "3", "--max-down-per-zone", "1", "--min-running", "2", "--protect", "role=db", "--dry-run")
    assert started["seed"] == 7 and started["dry_run"] and started["rates"]["terminate"] == 6 and started["rates"]["stop"] == 2.5
    assert started["limits"] == {"max_down": 3, "max_down_per_zone": 1, "min_running": 2, "protect": {"role": "db"}}
    assert "running" in cli("chaos", "status")
    assert "already" in cli.error("chaos", "start", "--profile", "calm", code="conflict")
    assert "stopped" in cli("chaos", "stop")


def test_a_key_alone_protects_whatever_its_value(cli):
    started = cli.json("chaos", "start", "--profile", "calm", "--protect", "role", "--protect", "team=a=b", "--protect", "empty=")
    assert started["limits"]["protect"] == {"role": None, "team": "a=b", "empty": ""}


@pytest.mark.parametrize("flags, told", [
    (["--protect", "role", "--protect", "role=db"], "role is given twice"), (["--protect", ""], "--protect"), (["--protect", "=db"], "--protect"),
    (["--profile", "nice"], "--profile"), (["--rate", "stop=often"], "--rate"), (["--rate", "stop=1/s"], "--rate"),
    (["--rate", "stop=-1"], "--rate"), (["--max-down", "-1"], "--max-down"), (["--seed", "x"], "--seed"),
])
def test_what_makes_no_sense_is_a_usage_error(cli, flags, told):
    assert told in cli.error("chaos", "start", *flags, code="usage")
