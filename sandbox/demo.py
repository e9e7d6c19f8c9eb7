"""What `make demo` plays: two nights over the sample districts, in a home of their own, and the report at the end."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from rich.console import Console

from sandbox.samples import FOLDER

HOME = Path(".demo")
NIGHTS = {
    "night1": ("The first night", "Three districts send their files for the first time."),
    "night2": ("The second night", "Jefferson's export broke off half-way, and Riverbend's files have errors."),
}
NEXT = """
[bold]What happened[/]
  Lincoln has errors: records that could not be provisioned until they are
  fixed in the SIS.
  Jefferson is [red]on hold[/]: most of its students were missing from the second
  delivery, so nothing of it was written.
  Riverbend's second delivery was [red]rejected[/]: its files have errors, and both
  its schools keep what they had.
  Adams has no source yet ([yellow]Setup sync[/]); Washington is not part of the plan
  and is never synced.

[bold]Where to look next[/]
  export ROLLCALL_HOME=$PWD/{home} PATH=$PWD/.venv/bin:$PATH
  rollcall issues unified --school lincoln   what is wrong, and how to fix it
  rollcall issues riverbend                  the rejected files' errors
  rollcall holds                             who is on hold, and why
  rollcall hold show {hold} --csv removals.csv    what would be removed
  rollcall hold confirm {hold}                    let exactly that happen
  rollcall runs unified                      what each run did
"""

out = Console(highlight=False)


def main() -> None:
    """Play the two nights from a clean start; what Prefect keeps of itself is left, as making it takes longest."""
    home = HOME.absolute() / "home"
    _clear(home)
    os.environ["ROLLCALL_HOME"] = str(home)
    # Only now: the command line and Prefect read the environment when they are imported.
    import cli
    from models.database import open_database
    from services import holds
    from settings import get_settings

    setup = HOME / "setup.toml"
    shutil.copy(FOLDER / "setup.toml", setup)
    out.rule("Setting up")
    cli.setup(setup)
    districts = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())
    for night, (title, story) in NIGHTS.items():
        out.print()
        out.rule(title)
        out.print(story)
        for district in districts:
            drop = HOME / "drop" / district
            drop.mkdir(parents=True, exist_ok=True)
            for file in sorted((FOLDER / district / night).iterdir()):
                shutil.copyfile(file, drop / file.name)
            out.print(f"\n[bold]$ rollcall sync {district} --now[/]")
            code = cli.run_district(district, now=True)
            if code == cli.FAILURE:
                raise SystemExit(code)
        out.print()
        with open_database(get_settings().database_url, backups=None) as database:
            cli.show_report(database, None)
    with open_database(get_settings().database_url, backups=None) as database, database.reading() as session:
        hold = holds.open_holds(session, "unified")[0].id
    out.print(NEXT.format(home=HOME / "home", hold=hold))


def _clear(home: Path) -> None:
    shutil.rmtree(HOME / "drop", ignore_errors=True)
    if home.exists():
        for entry in home.iterdir():
            if entry.name == "prefect":
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    HOME.mkdir(exist_ok=True)


if __name__ == "__main__":
    main()
