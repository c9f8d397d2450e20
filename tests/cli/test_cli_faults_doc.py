"""Every `mockcloud` line of docs/FAULTS.md is taken by the command and the server."""

import itertools
import shlex

from harness.server import ROOT


def blocks():
    """Of lines that follow one another."""
    lines = (ROOT / "docs" / "FAULTS.md").read_text().splitlines()
    for is_command, block in itertools.groupby(lines, lambda line: line.startswith("    mockcloud ")):
        if is_command:
            yield [shlex.split(line, comments=True)[1:] for line in block]


def test_the_lines_of_the_document_work(cli):
    for name in ("node-3", "node-4"):
        cli("instance", "create", name)
    cli("pool", "create", "front-pool", "--target", "node-3")
    ran = 0
    for block in blocks():
        for words in block:
            # nobody has called as a CCM here, and an assertion on nothing fails
            cli(*words, code="refused" if words[:2] == ["calls", "assert"] else 0)
            ran += 1
        cli("fault", "clear")
    print(f"{ran} lines ran")
    assert ran > 15
