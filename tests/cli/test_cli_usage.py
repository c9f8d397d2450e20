"""Help, usage errors, completion and the man page: all of one table, and without a server."""

import re
import subprocess

import pytest
from harness.server import binary
from scripted import Reply


def commands():
    """Every verb, as the man page's synopsis has it: ["instance", "ls"], ["wait"], …"""
    manual = subprocess.run([binary(), "__manual"], capture_output=True, text=True, check=True).stdout
    synopsis = manual.split(".SH SYNOPSIS")[1].split(".SH")[0].replace("\\-", "-")
    found = [line.split("\\fB")[1].split("\\fR")[0].split()[1:] for line in synopsis.splitlines() if "\\fB" in line]
    assert len(found) > 60
    return [words for words in found if words != ["serve"]]


def flags_of(help_text):
    return re.findall(r"^  (?:-\w, )?(--[a-z-]+)", help_text, re.MULTILINE)


READS_A_FILE = (["snapshot", "restore"], ["snapshot", "inspect"], ["replay"], ["scenario", "run"],
                ["scenario", "validate"])  # first, and it is not there


def test_every_command_has_help_with_usage_flags_and_examples_that_parse(bare):
    examples = 0
    for words in commands():
        text = bare(*words, "--help")
        assert f"Usage: mockcloud {' '.join(words)}" in text and "--server URL" in text
        for line in text.split("Examples:\n")[1].splitlines():
            example = line.split()
            assert example[0] == "mockcloud"
            args = example[1:example.index(">")] if ">" in example else example[1:]
            if words[0] in ("completion", "version"):
                bare(*args)
            elif words in READS_A_FILE:
                assert "No such file" in bare.error(*args, code="usage"), line
            else:  # it gets as far as the server that is not there
                assert "cannot reach" in bare.error(*args, code="unreachable"), line
            examples += 1
    assert examples > 70


@pytest.mark.parametrize("words", [[], ["clock"], ["lb", "create"], ["terminate"], ["serve"]])
def test_help_may_come_before_or_after(bare, words):
    assert bare(*words, "--help") == bare("help", *words) == bare("-h", *words)


def test_every_noun_has_help_that_names_its_verbs(bare):
    nouns = {}
    for words in commands():
        nouns.setdefault(words[0], []).append(words[-1])
    for noun, verbs in nouns.items():
        text = bare(noun, "--help")
        assert all(verb in text for verb in verbs), noun
    overview = bare("--help")
    assert all(f"  {noun}" in overview for noun in nouns)


def test_nothing_at_all_is_a_usage_error_that_points_to_help(bare):
    assert "--help" in bare.error(code="usage")


@pytest.mark.parametrize("args, says", [
    (["lss"], "unknown command 'lss', did you mean 'ls'?"),
    (["instnace", "ls"], "unknown command 'instnace', did you mean 'instance'?"),
    (["instance", "termintae", "x"], "unknown command 'instance termintae', did you mean 'instance terminate'?"),
    (["frobnicate"], "unknown command 'frobnicate'; see mockcloud --help"),
    (["instance"], "instance: what to do with it?"),
    (["ls", "--zoen", "a"], "unknown flag --zoen, did you mean --zone?"),
    (["ls", "-x"], "unknown flag -x"),
    (["--zone", "a", "ls"], "unknown flag --zone (flags of a verb go after it)"),
    (["ls", "--state", "runing"], "--state: unknown state 'runing' (pending,running,"),
    (["ls", "--state", "running,"], "--state: unknown state ''"),
    (["ls", "-o", "yaml"], "--output: unknown output 'yaml' (table,wide,json,name,id)"),
    (["ls", "--lifecycle", "Spot"], "--lifecycle: unknown lifecycle 'Spot' (on-demand,spot)"),
    (["ls", "--limit", "0"], "--limit: '0' is not a whole number of at least 1"),
    (["ls", "--limit", "9999999999999999999"], "--limit: '9999999999999999999'"),
    (["ls", "--limit", "5x"], "--limit: '5x'"),
    (["ls", "--tag", "novalue"], "--tag: 'novalue' is not KEY=VALUE"),
    (["ls", "--zone", ""], "--zone: the value is empty"),
    (["ls", "--zone"], "--zone: needs a value (ZONE)"),
    (["ls", "--count=3"], "--count: takes no value"),
    (["ls", "--zone", "a", "--zone", "b"], "--zone: given twice"),
    (["ls", "extra"], "instance ls: unexpected argument 'extra'"),
    (["ls", "--timeout", "5"], "--timeout: "),
    (["ls", "--server", "ftp://x"], "--server: 'ftp://x' is not a http:// or https:// address"),
    (["ls", "--server", "http://"], "--server: 'http://' is not a http:// or https:// address"),
    (["ls", "--token", "a b"], "--token: not a token"),
    (["snapshot", "restore", "/"], "/: is not a file"),
    (["replay", "/dev/null"], "/dev/null: is not a file"),
    (["ls", "--token", "a", "--token-file", "b"], "--token: not together with --token-file"),
    (["ls", "--token-file", "/nonexistent/token"], "token file /nonexistent/token: No such file"),
    (["ls", "--project", "a\nb: c"], "--project: line breaks"),
    (["instance", "get"], "instance get: needs NAME|ID..."),
    (["instance", "get", ""], "an argument is empty"),
    (["instance", "create", "--count", "0"], "--count: '0' is not a whole number from 1 to 10000"),
    (["instance", "create", "a", "--name", "b"], "--name: the name is given already: 'a'"),
    (["instance", "create", "--address", "inside=10.0.0.1"], "--address: unknown type 'inside' (internal,"),
    (["instance", "update", "a"], "nothing to change"),
    (["terminate"], "terminate: which instance?"),
    (["terminate", "a", "--all"], "terminate: give names or a selector, not both"),
    (["terminate", "--all", "--if-revision", "3"], "--if-revision: needs exactly one name"),
    (["lb", "create", "a", "--listener", "tcp:80"], "--listener: 'tcp:80' is not PROTOCOL:PORT:POOL:TARGET-PORT"),
    (["lb", "create", "a", "--listener", "tcp:0:p:80"], "--listener: a port is a number from 1 to 65535"),
    (["lb", "create", "a", "--listener", "icmp:1:p:80"], "--listener: unknown protocol 'icmp' (tcp, udp)"),
    (["lb", "create", "a", "--listener", "tcp:1:p:80,x=1"], "--listener: unknown option 'x'"),
    (["lb", "create", "a", "--listener", "tcp:1:p:80,idle=0"], "--listener: idle: '0' is not one of 1 to 86400 seconds"),
    (["route", "create", "a", "--to", "10.0.0.0/24", "--via", "10.0.0.0:x"], "--via: '10.0.0.0:x' is neither"),
    (["latency", "set", "instance.pending", "5"], "SHAPE: "),
    (["latency", "set", "instance.pending", "gamma:1s:2s"], "SHAPE: unknown distribution 'gamma' (normal, lognormal)"),
    (["fault", "add", "--op", "*", "--latency", "-5s"], "--latency: \"-5s\" is not a duration"),
    (["latency", "set", "instance.pending", "normal:1s"], "SHAPE: a duration is missing"),
    (["clock", "advance", "soon"], "DURATION: "),
    (["clock", "advance", "2026-13-01T00:00:00Z"], "TIME: "),
    (["clock", "scale", "-1"], "unknown flag -1"),
    (["clock", "scale", "fast"], "N: 'fast' is not a number"),
    (["wait", "web-1", "--for", "deleted"], "wait: 'web-1' is not KIND/NAME"),
    (["wait", "cloud/web-1", "--for", "deleted"], "wait: 'cloud/web-1' is not KIND/NAME"),
    (["wait", "instance/web-1"], "wait: --for CONDITION is missing"),
    (["wait", "instance/web-1", "--for", "state=dead"], "--for: unknown state 'dead' (pending,"),
    (["wait", "instance/web-1", "--for", "gone"], "--for: 'gone' is not deleted, exists, tag.KEY=VALUE or FIELD=VALUE"),
    (["wait", "instance/web-1", "--for", "tag.=x"], "--for: 'tag.=x' is not"),
    (["event", "ls", "--kind", "instances"], "--kind: unknown kind 'instances' (instance,"),
    (["completion", "fish"], "completion: unknown shell 'fish' (bash, zsh)"),
])
def test_a_mistake_is_exit_2_with_one_line_that_names_it(bare, args, says):
    assert bare.error(*args, code="usage").startswith(says)


def test_output_that_cannot_be_written_is_a_failure(bare):
    with open("/dev/full", "w") as full:
        done = subprocess.run(bare.command("--help"), stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "cannot write the output" in done.stderr


# -- the files made from the table ----------------------------------------------------------------

def test_the_man_page_and_the_completion_files_are_what_the_program_prints(bare, root):
    for args, path in ((["__manual"], "docs/mockcloud.1"), (["completion", "bash"], "cli/completion/mockcloud.bash"),
                       (["completion", "zsh"], "cli/completion/_mockcloud")):
        assert bare(*args) == (root / path).read_text(), f"{path}: make it again with mockcloud {' '.join(args)}"


def test_the_man_page_names_every_flag_and_formats_without_warnings(bare, root):
    manual = bare("__manual").replace("\\-", "-")
    flags = {flag for words in commands() for flag in flags_of(bare(*words, "--help"))}
    assert len(flags) > 40
    assert not [flag for flag in flags if f"\\fB{flag}\\fR" not in manual]
    formatted = subprocess.run(["man", "--warnings=w", "-l", root / "docs/mockcloud.1"], capture_output=True, text=True,
                               env={"MANWIDTH": "100", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "MANROFFOPT": "-ww"})
    assert formatted.returncode == 0 and formatted.stderr == "" and "EXIT STATUS" in formatted.stdout


def test_the_exit_codes_are_in_the_help_and_in_the_man_page(bare):
    for number in range(8):
        assert f"\n  {number}  " in bare("--help") and f"\\fB{number}\\fR" in bare("__manual")


# -- completion -----------------------------------------------------------------------------------

def candidates(cli, *words):
    return [line.split("\t")[0] for line in cli.lines("__complete", *words)]


def test_completion_knows_commands_verbs_flags_and_values(bare):
    assert {"instance", "terminate", "serve", "wait"} <= set(candidates(bare, ""))
    assert candidates(bare, "clock", "") == ["get", "advance", "freeze", "resume", "scale"]
    assert {"--zone", "--tag", "--server"} <= set(candidates(bare, "ls", "--"))
    assert candidates(bare, "ls", "--lifecycle", "") == ["on-demand", "spot"]
    assert candidates(bare, "ls", "--lifecycle", "=", "s") == ["on-demand", "spot"]
    assert candidates(bare, "ls", "-o", "") == ["table", "wide", "json", "name", "id"]
    assert "instance/" in candidates(bare, "wait", "")
    assert {"instances.create", "routes.list", "instance.pending", "target.draining"} <= set(candidates(bare, "fault", "add", "slow", "--op", ""))
    assert not any(op.startswith("clock.") for op in candidates(bare, "fault", "add", "slow", "--op", ""))
    assert {"instances.create", "clock.get"} <= set(candidates(bare, "calls", "ls", "--op", ""))
    assert {"instance.pending", "route.deleting"} <= set(candidates(bare, "latency", "set", ""))
    assert candidates(bare, "latency", "set", "instance.pending", "") == []
    assert {"--db", "--listen", "--clock", "--seed-file"} <= set(candidates(bare, "serve", "--"))
    assert candidates(bare, "serve", "--db", "") == []


def test_completion_asks_the_server_for_names_and_survives_its_absence(bare, scripted, told):
    scripted.on("GET", "/v1/instances", Reply.items({"id": "i-1", "name": "web-1", "state": "running"}))
    scripted.on("GET", "/v1/zones", Reply.items({"name": "mock-1a"}))
    assert told.lines("__complete", "terminate", "") == ["web-1\trunning"]
    assert candidates(told, "wait", "instance/w") == ["instance/web-1"]
    assert candidates(told, "instance", "ls", "--zone", "") == ["mock-1a"]
    assert candidates(bare, "--server", scripted.url, "stop", "a", "") == ["web-1"]
    assert candidates(bare, "terminate", "") == [] == candidates(told, "clock", "get", "")


def test_bash_completes(bare, root, tmp_path):
    (tmp_path / "mockcloud").symlink_to(binary())
    script = f"""
        PATH={tmp_path}:$PATH; source {root}/cli/completion/mockcloud.bash
        try() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mockcloud; echo "${{COMPREPLY[*]}}"; }}
        try mockcloud termi; try mockcloud instance te; try mockcloud ls --lif; try mockcloud ls --lifecycle = s
        try mockcloud ls --lifecycle =
        """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=bare.environment)
    assert done.stdout.splitlines() == ["terminate", "terminate", "--lifecycle", "spot", "on-demand spot"], done.stderr


def test_zsh_accepts_its_script(root):
    try:
        done = subprocess.run(["zsh", "-n", root / "cli/completion/_mockcloud"], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("zsh is not installed")
    assert done.returncode == 0 and done.stderr == ""
