"""The commands about personal data: what they ask before they do anything, and what they leave behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from errors import NotPossible, RollcallError, SetupError
from tests.setups import SETUP

NAME = "Unified School District"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLCALL_HOME", str(tmp_path / "home"))
    (tmp_path / "setup.toml").write_text(SETUP)
    (tmp_path / "drop").mkdir()
    run("setup", "setup.toml")
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments), terminal_width=200)
    if isinstance(result.exception, RollcallError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_without_the_districts_name_nothing_is_erased(here: Path) -> None:
    assert "Nothing was erased: this was a dry run." in run("erase", "unified").output
    with pytest.raises(SetupError, match=r"^nothing was erased; in a script, use --yes with the district's name"):
        run("erase", "unified", "--erase")
    with pytest.raises(NotPossible, match=f'--yes must be followed by the district\'s name, "{NAME}"'):
        run("erase", "unified", "--yes", "unified")
    assert NAME in run("status").output
    assert [file.name for file in here.glob("*.txt")] == []


def test_a_certificate_is_written_and_overwrites_nothing(here: Path) -> None:
    certificate = here / "certificate.txt"
    certificate.write_text("somebody's")
    with pytest.raises(SetupError, match=r"nothing was done, as certificate\.txt cannot be written"):
        run("erase", "unified", "--yes", NAME, "--certificate", "certificate.txt")
    assert certificate.read_text() == "somebody's"
    run("erase", "unified", "--yes", NAME)
    (written,) = here.glob("erased-unified-*.txt")
    assert written.stat().st_mode & 0o777 == 0o600
    lines = written.read_text().splitlines()
    assert lines[2] == f"What: district unified ({NAME})"
    assert [line.split(maxsplit=1) for line in lines if "rows of" in line] == [
        ["3", "rows of status_change"],
        ["3", "rows of school"],
        ["1", "rows of source"],
        ["1", "rows of district"],
    ]
    assert NAME not in run("status").output


def test_retention_is_shown_by_district() -> None:
    shown = run("retention").output
    assert "unified" in shown
    assert "Archived people are anonymized after 13 months." in shown
