"""What `make demo` plays: two nights over the sample districts, in a home of their own, and the report at the end.

Three districts send files; the fourth is in Clever, by the stand-in of its API, which is paused for maintenance and
resumed in between. `make demo` opens the report once and ends; `make demo-report` serves it until Ctrl-C.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import closing, suppress
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import typer
from rich.console import Console

from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, CleverApi, serving
from sandbox.clever_records import clever_district
from sandbox.samples import FOLDER, lakeside
from services.holds import store

if TYPE_CHECKING:
    from models.database import Database

HOME = Path(".demo")
FIRST = "Three districts send their files for the first time; Lakeside's roster is in Clever."
BETWEEN = "Clever syncs are paused, and resumed."
SECOND = "Jefferson's export broke off halfway, and Riverbend's files have errors."
NEXT = """
[bold]What happened[/]
  Lincoln has errors: records that could not be provisioned until they are
  fixed in the SIS.
  Jefferson went [red]on hold[/]: most of its students were missing from the second
  delivery, so nothing changed there. Its administrators got an email; once the
  removals were confirmed, exactly those were applied.
  Riverbend's second delivery was [red]rejected[/]: its files have errors, and both
  its schools keep what they had.
  Lakeside's roster is in Clever (here a mock of its API, stopped by now). While
  it was [blue]paused[/], its sync was skipped; resuming ran it.
  Adams has no source yet ([yellow]Setup sync[/]). Washington is not on the plan, so it
  is never synced.

[bold]Where to look next[/]
  export ROLLCALL_HOME=$PWD/{home} PATH=$PWD/.venv/bin:$PATH
  rollcall issues unified --school lincoln   what is wrong, and how to fix it
  rollcall issues riverbend                  the rejected files' errors
  rollcall holds                             who is on hold, and why
  rollcall hold show {hold}                       why, and what ends it
  rollcall runs unified                      what each run did, and who decided
  ls {home}/mail                       the email that administrators got
"""
SERVED = """
[bold]The SIS sync report[/] is at {address}. Press Ctrl-C to stop.
Each link signs you in once, within 15 minutes:
"""
OPERATOR, ADMINISTRATOR, SCHOOL_ADMINISTRATOR = "ops@rollcall.example", "it@unified.example", "office@lincoln.example"
ROLES = {
    "operator": OPERATOR,
    "administrator of Unified School District": ADMINISTRATOR,
    "administrator of Lincoln High School": SCHOOL_ADMINISTRATOR,
}

out = Console(highlight=False)


def main() -> None:
    """Play the two nights from a clean start; what Prefect keeps of itself is left, as making it takes longest."""
    home = HOME.absolute() / "home"
    _clear(home)
    first, second = (clever_district(day) for day in lakeside())
    api = CleverApi([first])
    with serving(api) as address:
        os.environ |= {
            "ROLLCALL_HOME": str(home),
            "ROLLCALL_CLEVER_CLIENT_ID": CLIENT_ID,
            "ROLLCALL_CLEVER_CLIENT_SECRET": CLIENT_SECRET,
            "ROLLCALL_CLEVER_API_URL": address,
            "ROLLCALL_CLEVER_AUTH_URL": address,
            "ROLLCALL_OPERATORS": OPERATOR,
        }
        # Only now: the command line and Prefect read the environment when they are imported.
        from cli.setup import setup

        shutil.copy(FOLDER / "setup.toml", HOME / "setup.toml")
        out.rule("Setting up")
        setup(HOME / "setup.toml")
        _night("The first night", FIRST, "night1")
        api.districts[second.id] = second
        _maintenance()
        _night("The second night", SECOND, "night2")
        _release(home / "mail")
        out.print()
        out.rule("The report")
        if "--serve" in sys.argv[1:]:
            _serve_report()
            return
        _open_report()
    out.print(NEXT.format(home=HOME / "home", hold=_hold_of("riverbend")))


def _open_report() -> None:
    """Sign in by a link as the district's administrator, and open their page once, as a browser would."""
    from cli.console import opened
    from report.serving import served
    from settings import get_settings

    with opened() as database, served(database, get_settings()) as address:
        link = _sign_in_link(database, address, ADMINISTRATOR)
        with httpx.Client(base_url=address, headers={"Accept": "text/html", "Origin": address}) as browser:
            browser.get(link).raise_for_status()
            pressed = browser.post("/sign-in/link", data={"token": link.partition("token=")[2]}, follow_redirects=True)
            pressed.raise_for_status()
            page = browser.get("/districts/unified")
            page.raise_for_status()
    out.print(f"Opened the report of Unified School District as its administrator: {len(page.content):,} bytes.")
    out.print("To look at it in your own browser: [bold]make demo-report[/]")


def _serve_report() -> None:
    """Serve the report on a free port until Ctrl-C, and print a link for each role to sign in by."""
    from cli.console import opened
    from report.serving import listening, server
    from settings import get_settings

    with opened() as database, closing(listening("127.0.0.1", 0)) as here:
        settings = get_settings().listening_at("127.0.0.1", here.getsockname()[1])
        out.print(SERVED.format(address=settings.report_address))
        for role, email in ROLES.items():
            out.print(f"  {role}\n    {_sign_in_link(database, settings.report_address, email)}", soft_wrap=True)
        with suppress(KeyboardInterrupt):
            server(database, settings).run(sockets=[here])


def _sign_in_link(database: Database, address: str, email: str) -> str:
    """A link by which somebody signs in once."""
    from services import clock
    from services.access import sign_in

    with database.transaction() as session:
        token = sign_in.make(session, email, now=clock.now())
    return f"{address}/sign-in/link?token={token}"


def _night(title: str, story: str, files: str) -> None:
    from cli.console import opened
    from cli.rendering import show_report
    from cli.running import run_district

    out.print()
    out.rule(title)
    out.print(story)
    senders = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())
    for district in senders:
        drop = HOME / "drop" / district
        drop.mkdir(parents=True, exist_ok=True)
        for file in sorted((FOLDER / district / files).iterdir()):
            shutil.copyfile(file, drop / file.name)
        out.print(f"\n[bold]$ rollcall sync {district} --now[/]")
        _ran(run_district(district, now=True))
    out.print("\n[bold]$ rollcall sync lakeside[/]")
    _ran(run_district("lakeside"))
    out.print()
    with opened() as database:
        show_report(database, None)


def _maintenance() -> None:
    from cli.console import opened
    from cli.rendering import show_report
    from cli.running import run_district
    from cli.sync import pause, resume

    out.print()
    out.rule("Maintenance")
    out.print(BETWEEN)
    out.print('\n[bold]$ rollcall pause --reason "moving to new servers"[/]')
    pause(reason="moving to new servers")
    out.print("\n[bold]$ rollcall sync lakeside[/]")
    _ran(run_district("lakeside"))
    out.print("\n[bold]$ rollcall status lakeside[/]")
    with opened() as database:
        show_report(database, "lakeside")
    out.print("\n[bold]$ rollcall resume[/]")
    try:
        resume()
    except typer.Exit as ended:
        _ran(ended.exit_code)


def _hold_of(district: str) -> int:
    from cli.console import opened

    with opened() as database, database.reading() as session:
        return store.open_holds(session, district)[0].id


def _release(mails: Path) -> None:
    """The school on hold: the email to its administrators, the evidence, and the release."""
    from cli.holds import hold_confirm, hold_show

    hold, removals = _hold_of("unified"), HOME / "removals.csv"
    out.print()
    out.rule("Jefferson's hold")
    out.print("The email to the district's administrators:\n")
    _show_mail(mails)
    out.print(f"\n[bold]$ rollcall hold show {hold} --csv removals.csv[/]")
    hold_show(hold, csv_file=removals)
    lines = removals.read_text().splitlines()
    out.print("\n".join([*lines[:4], f"… {len(lines) - 1} rows"]), style="dim", markup=False)
    out.print(f'\n[bold]$ rollcall hold confirm {hold} --yes --why "half of the school has moved to Adams"[/]')
    try:
        hold_confirm([hold], why="half of the school has moved to Adams", yes=True)
    except typer.Exit as ended:
        _ran(ended.exit_code)
    out.print("\nAnd then:\n")
    _show_mail(mails)


def _show_mail(folder: Path) -> None:
    """The newest mail to Unified's administrators, as plain text."""
    found = [
        BytesParser(policy=policy.default).parsebytes(file.read_bytes())
        for file in sorted(folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
    ]
    mail = [each for each in found if "unified" in str(each["To"])][-1]
    body = mail.get_body(("plain",))
    text = f"To: {mail['To']}\nSubject: {mail['Subject']}\n\n{body.get_content() if body is not None else ''}".strip()
    for line in text.splitlines():
        out.print(f"  │ {line}", style="dim", markup=False)


def _ran(code: int) -> None:
    from cli.options import FAILURE

    if code == FAILURE:
        raise SystemExit(code)


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
