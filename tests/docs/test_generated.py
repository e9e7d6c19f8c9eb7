"""The generated pages are those that the code gives, and the commands stand where the help lists them."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.reference import DOCS, PAGES
from contracts.issues import CATALOGUE


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_the_one_the_code_gives(name: str) -> None:
    if (DOCS / name).read_text("utf-8") != PAGES[name]():
        pytest.fail(f"docs/{name} is out of date; `make docs` writes it again", pytrace=False)


def test_the_commands_are_in_the_order_and_under_the_headings_of_the_help() -> None:
    def listed(*arguments: str) -> list[tuple[str, str]]:
        """Panel, or command, in order of the help."""
        shown = CliRunner().invoke(app, [*arguments, "--help"], env={"COLUMNS": "200"}).output
        return re.findall(r"^╭─ ([A-Z][a-z ]+) ─|^│ ([a-z][a-z-]+) ", shown, re.M)

    members = {
        group: [f"### rollcall {group} {name}" for _, name in listed(group) if name] for group in ("hold", "report")
    }
    members["report"].insert(0, "### rollcall report")
    expected = []
    for panel, name in listed():
        if panel and panel != "Options":
            expected.append(f"## {panel}")
        elif name:
            expected += members.get(name, [f"### rollcall {name}"])
    assert len(expected) == 9 + 24 + 6 + 4
    assert re.findall("^##+ .*$", PAGES["cli.md"](), re.M) == expected


def test_every_issue_is_explained_once() -> None:
    assert sorted(re.findall("^`([a-z_]+)`$", PAGES["issues.md"](), re.M)) == sorted(CATALOGUE)
