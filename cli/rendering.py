"""What commands show, as text: reports, issues, changes and holds."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from rich import box
from rich.markup import escape
from rich.table import Table

from cli.console import SHOWN, local_time, out
from contracts.issues import DISCONNECTED, Entry, Severity, catalogue
from contracts.text import count
from errors import NotFound
from models.database import Database
from models.tables import Decision
from services import clock, figures
from services.holds import decisions, store
from services.mail import outbox
from services.planning.changesets import ACTIONS, TYPES
from services.status import issues, pauses, sync_status
from services.status.report import DistrictReport, district_report

ISSUE = ("severity", "code", "school_id", "file", "line", "other_lines", "record_id", "message", "dependents")


def _issue_rows(found: pl.DataFrame) -> list[dict[str, Any]]:
    named = found.rename({"school": "school_id"}, strict=False)
    return named.with_columns(issues.other_lines().fill_null([])).select(ISSUE).to_dicts()


def problems_json(file_errors: pl.DataFrame, found: pl.DataFrame | None) -> dict[str, Any]:
    """Return file errors and issues as the JSON output shows them."""
    errors = file_errors.select("code", "file", "line", "message").to_dicts()
    listed = _issue_rows(found) if found is not None else []
    codes = [entry["code"] for entry in (*errors, *listed)]
    return {"file_errors": errors, "issues": listed, "counts": {code: codes.count(code) for code in sorted(set(codes))}}


def show_file_errors(file_errors: pl.DataFrame) -> None:
    """Print file errors by code, with what to do and the first locations."""
    if file_errors.is_empty():
        return
    out.print(f"[bold red]{count(file_errors.height, 'file error')}. The whole delivery is rejected.[/]")
    for (code, file), rows in file_errors.group_by("code", "file", maintain_order=True):
        entry = catalogue()[str(code)]
        out.print(f"\n[red]{file}: {escape(entry.title)}[/] ({code}, {rows.height})")
        for line, message in rows.select("line", "message").head(SHOWN).iter_rows():
            where = f"line {line}" if line is not None else "the file"
            out.print(f"  {where}: {escape(message)}")
        if rows.height > SHOWN:
            out.print(f"  and {rows.height - SHOWN} more; --json lists all")
        _explain(entry)


def _explain(entry: Entry) -> None:
    """What a problem means, and how to fix it."""
    out.print(f"    {escape(entry.meaning)}")
    out.print(f"    [dim]{escape(entry.remedy)}[/]")


def show_issues(found: pl.DataFrame) -> None:
    """Print issues by code, with what to do and the first locations."""
    if found.is_empty():
        out.print("[green]no errors, no alerts[/]")
        return
    for severity, title, colour in ((Severity.ERROR, "error", "red"), (Severity.ALERT, "alert", "yellow")):
        here = found.filter(pl.col("severity") == severity)
        if here.is_empty():
            continue
        out.print(f"\n[bold {colour}]{count(here.height, title)}[/]")
        counted = here.group_by("format", "code").len()
        for form, code, number in counted.sort(pl.col("len"), "code", descending=[True, False]).iter_rows():
            entry = catalogue(form)[code]
            rows = here.filter(code=code, format=form).sort("file", "line", "record_id")
            locations = rows["location"].unique(maintain_order=True).head(SHOWN)
            more = ", …" if rows.height > SHOWN else ""
            fall = int(rows["dependents"].sum())
            falling = f"; {count(fall, 'dependent record')} left out too"
            listed = f"{number} at {', '.join(locations)}{more}{falling if fall else ''}"
            out.print(f"  [{colour}]{escape(entry.title)}[/] ({code}): {listed}")
            _explain(entry)


def show_changes(school: str, changes: pl.DataFrame) -> None:
    """Print how many records of each type a school's changes create, update and remove."""
    counted = {(kind, action): count for kind, action, count in changes.group_by("type", "action").len().iter_rows()}
    if not counted:
        out.print(f"{school}: nothing would change")
    else:
        table = Table(title=school, title_justify="left", box=None, pad_edge=False, collapse_padding=True)
        table.add_column("", no_wrap=True)
        for action in ACTIONS:
            table.add_column(action, justify="right")
        for kind in TYPES:
            if any((kind, action) in counted for action in ACTIONS):
                shown = [str(counted.get((kind, action), "")) for action in ACTIONS]
                table.add_row(kind.replace("_", " "), *shown)
        out.print(table)


COLOURS = {
    sync_status.Status.ON_HOLD: "red",
    sync_status.Status.SETUP_SYNC: "yellow",
    sync_status.Status.PAUSED: "blue",
    sync_status.Status.PROCESSING: "cyan",
    sync_status.Status.CONNECTED: "green",
}


def reports(session: Any, district: str | None) -> list[DistrictReport]:
    """Return the report of one district, or of all.

    Raises:
        NotFound: there is no such district.
    """
    found = district_report(session, district, now=clock.now())
    if district is not None and not found:
        raise NotFound(f"there is no district {district}; `rollcall status` lists them")
    return found


def show_report(database: Database, district: str | None) -> None:
    """Print the SIS sync report: of one district, or of all.

    Raises:
        NotFound: there is no such district.
    """
    with database.reading() as session:
        found = reports(session, district)
        formats = issues.formats_of_schools(session, district)
        unsent = {report.district_id: outbox.describe_unsent(session, report.district_id) for report in found}
    if not found:
        out.print("no district is set up yet; run `rollcall setup FILE.toml`")
    for report in found:
        table = Table(
            title=f"SIS sync report · {escape(report.name)}",
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            padding=0,
        )
        table.add_column("School")
        for name in ("Teachers", "Students", "Errors", "Alerts"):
            table.add_column(name, justify="right")
        table.add_column("Sync status")
        for row in report.schools:
            label = sync_status.LABELS[row.status] if row.status is not None else "Not on the plan"
            colour = COLOURS.get(row.status, "bright_black") if row.status is not None else "bright_black"
            table.add_row(
                f"{'[bold]![/] ' if row.errors and row.on_plan else ''}{escape(row.name)}",
                *[str(number) for number in (row.teachers, row.students, row.errors, row.alerts)],
                f"[{colour}]{label}[/]",
                style="bright_black" if not row.on_plan else "red" if row.errors else None,
            )
        out.print(table)
        for row in report.schools:
            if row.hold is not None:
                why = ", ".join(catalogue(formats[row.school_id])[code].title for code in row.hold.codes)
                out.print(f"[red]On hold:[/] {escape(row.name)}: {escape(why)} (rollcall hold show {row.hold.id})")
        paused = {row.pause.id: row.pause for row in report.schools if row.pause is not None}
        for pause in paused.values():
            text = pauses.describe(pause, ZoneInfo(report.timezone))
            out.print(f"[blue]{escape(text[0].upper() + text[1:])}[/]")
        for notice in report.notices:
            out.print(f"[yellow]Clever:[/] {escape(notice)}")
        if report.file_errors:
            wrong = count(report.file_errors, "file error")
            out.print(f"[red]! The last delivery was rejected with {wrong}:[/] rollcall issues {report.district_id}")
        if report.errors or report.alerts:
            errors, alerts = count(report.errors, "error"), count(report.alerts, "alert")
            out.print(f"{errors} and {alerts} don't belong to any school (rollcall issues {report.district_id})")
        for line in unsent[report.district_id]:
            out.print(f"[yellow]Email to administrators:[/] {escape(line)}")
        if report is not found[-1]:
            out.print()


_DECIDED = {
    decisions.CONFIRM: "confirmed",
    decisions.CONFIRM_REMOVALS: "removals confirmed",
    decisions.CONFIRM_CHANGES: "changes confirmed",
    decisions.ACCEPT: "accepted",
    decisions.LEAVE_OUT: "left out",
    decisions.FIXED: "marked as fixed",
    decisions.RECHECK: "checked again",
}


def decided(decision: Decision, zone: ZoneInfo) -> str:
    """Return what was decided, by whom, when and why."""
    why = f": {decision.why}" if decision.why else ""
    return f"{_DECIDED[decision.verb]} by {decision.by}, {local_time(decision.at, zone)}{why}"


def show_what_stays(session: Any, decided: store.Hold, verb: str, shown: pl.DataFrame) -> None:
    """After a decision: what else keeps the school on hold, and what of the set was not in what was decided about."""
    row = store.open_hold(session, decided.school_id)
    if row is None or row.id is None or verb == decisions.RECHECK:
        return
    hold = store.get_hold(session, row.id)
    new_number = f"now as hold {hold.id}" if hold.id != decided.id else f"as hold {hold.id}"
    out.print(f"[red]{escape(decided.school_name)} stays on hold, {new_number}[/]")
    items = store.items_of(session, hold.id)
    about = items.filter(pl.col("code").is_in(list(decisions.DECIDED[verb])))
    new = decisions.uncovered(about, shown)
    if not new.is_empty():
        counted = ", ".join(
            figures.number(many, kind) for kind, many in new.group_by("type").len().sort("type").iter_rows()
        )
        ids = [str(record) for record in new["record_id"].drop_nulls().unique().sort().head(SHOWN)]
        more = ", …" if new.height > SHOWN else ""
        out.print(f"Not covered by your decision: {counted} (IDs {', '.join(ids)}{more})")
    others = [reason for reason in hold.reasons if reason.code not in decisions.DECIDED[verb]]
    broken = [reason for reason in hold.reasons if reason.code == DISCONNECTED]
    for reason in broken:
        still = "still cannot" if verb == decisions.FIXED else "cannot"
        out.print(f"Its source {still} be reached: {escape(reason.detail or '')}")
    if others and others != broken:
        titles = "; ".join(hold.title(reason.code) for reason in others)
        out.print(f"It is still on hold for {escape(titles)} (rollcall hold show {hold.id})")
    elif new.is_empty() and not broken:
        out.print("Your decision will be applied the next time this school is synced")
