"""docs/CCM-BEHAVIOUR.md says of each assertion which tests show it, and says so of no other."""

import re

from harness.server import ROOT


def named(directory, pattern, kind):
    for path in (ROOT / "ccm-plugin" / directory).glob("*.go"):
        for id_ in re.findall(pattern, path.read_text(), re.MULTILINE):
            yield id_, kind


def test_the_document_names_the_tests_that_there_are():
    document = (ROOT / "docs" / "CCM-BEHAVIOUR.md").read_text()
    rows = re.findall(r"^\| ([A-Z]{2}\d+) \|.*\| ([a-z0-9, ]*)\|$", document, re.MULTILINE)
    said = {(id_, kind) for id_, by in rows for kind in re.findall("[a-z0-9]+", by)}
    there = {*named("e2e", r"^func Test([A-Z]{2}\d+)_", "e2e"),
             *named("internal/contracttest", r'name: "([A-Z]{2}\d+) ', "contract")}
    assert len(rows) >= 80 and len(rows) == len(set(rows))
    assert said == there and len(there) > 30
