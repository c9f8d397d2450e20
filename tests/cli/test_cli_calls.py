"""mockcloud calls: against a real server."""

import pytest


def test_calls_are_listed_and_counted(cli):
    for _ in range(3):
        cli("zone", "ls")
    listed = cli.json("calls", "ls", "--op", "zones.list")
    assert len(listed) == 3 and {call["caller"]["user_agent"] for call in listed} == {"mockcloud-cli"}
    assert len(cli.json("calls", "ls", "--limit", "2")) == 2
    table = cli.lines("calls", "ls", "--op", "zones.list", "-o", "wide")
    assert table[0].split()[:3] == ["TIME", "OPERATION", "STATUS"] and "TOKEN" in table[0] and len(table) == 4
    top = cli.lines("calls", "top", "--op", "zones.*")
    assert top[0].split()[:4] == ["CALLS", "OPERATION", "CALLER", "2XX"]
    assert top[1].split()[:4] == ["3", "zones.list", "mockcloud-cli", "3"] and len(top) == 2
    assert cli.json("calls", "top", "--limit", "1")[0]["count"] >= 3
    assert cli.json("calls", "top", "--all-projects", "--op", "zones.list")[0]["count"] == 3
    cli("calls", "reset")
    assert cli.json("calls", "ls", "--op", "zones.list") == []


def test_what_is_within_bounds_passes_and_says_what_was_counted(cli):
    for _ in range(3):
        cli("zone", "ls")
    said = cli("calls", "assert", "--op", "zones.list", "--caller", "mockcloud-cl*", "--max", "3", "--min", "3")
    assert said.startswith("ok: 3 calls of zones.list by mockcloud-cl* in the last ")
    assert "3 per minute" in cli("calls", "assert", "--op", "zones.list", "--max-per-minute", "3", "--since", "1m")
    assert cli("calls", "assert", "--status", "5xx", "--max", "0").startswith("ok: 0 calls of any operation by anybody")


@pytest.mark.parametrize("bounds,told", [
    (["--max", "2"], ", at most 2 allowed"),
    (["--min", "4"], "at least 4 expected"),
    (["--max-per-minute", "2.5"], "3 per minute, at most 2.5 allowed"),
])
def test_what_is_out_of_bounds_fails_and_says_by_how_much(cli, bounds, told):
    for _ in range(3):
        cli("zone", "ls")
    error = cli.error("calls", "assert", "--op", "zones.list", "--since", "1m", *bounds, code=1)
    assert error.startswith("failed: 3 calls of zones.list by anybody in the last ") and told in error


def test_an_assertion_on_nothing_fails_and_names_the_callers_there_were(cli):
    cli("zone", "ls")
    error = cli.error("calls", "assert", "--caller", "mockcloud-cmm", "--max", "10", code=1)
    assert "nothing matched" in error and "mockcloud-cli" in error
    cli("calls", "assert", "--caller", "mockcloud-cmm", "--max", "10", "--allow-none")
    cli("calls", "assert", "--caller", "mockcloud-cmm", "--max", "0")


def test_nothing_to_assert_and_bad_numbers_are_usage_errors(cli):
    assert "nothing to assert" in cli.error("calls", "assert", code="usage")
    for rate in ("x", "-1", "inf", "nan"):
        assert "--max-per-minute" in cli.error("calls", "assert", f"--max-per-minute={rate}", code="usage")
    assert "--max" in cli.error("calls", "assert", "--max", "-1", code="usage")
    assert "since" in cli.error("calls", "assert", "--max", "1", "--since", "never", code=1)


def test_a_log_that_does_not_go_back_far_enough_is_no_proof(start_cli):
    cli = start_cli("--threads", "1", "--calls-kept", "2")
    for _ in range(5):
        cli("zone", "ls")
    error = cli.error("calls", "assert", "--op", "zones.list", "--since", "1h", "--max", "100", code=1)
    assert "--calls-kept" in error
    cli("calls", "assert", "--op", "zones.list", "--max", "5", "--min", "5")
