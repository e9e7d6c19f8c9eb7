"""Commands about holds."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
import typer.core
from rich.markup import escape

from cli.app import app, hold_app
from cli.console import local_time, opened, out, print_json, write_csv, zone_of_district
from cli.options import HOLD_EXIT_CODES, OK, AsJson, CsvFile, HoldIds, OfDistrict, OneDistrict, OneHold, Why, Yes
from cli.rendering import decided, show_report, show_what_stays
from cli.running import run_district
from contracts.issues import FILE_ERRORS, catalogue
from errors import NotFound
from services import clock, figures
from services.holds import decisions, store
from services.holds.evidence import describe_counts, effects, evidence_csv


@app.command(name="holds", rich_help_panel="Holds")
def holds_command(
    district: OneDistrict = None,
    as_json: AsJson = False,
) -> None:
    """Show the open holds."""
    with opened() as database, database.reading() as session:
        if district is not None:
            zone_of_district(session, district)
        found = store.open_holds(session, district)
        zones = {hold.district_id: zone_of_district(session, hold.district_id) for hold in found}
    if as_json:
        print_json(
            [
                {
                    "id": hold.id,
                    "district": hold.district_id,
                    "school_id": hold.school_key,
                    "opened_at": hold.opened_at.isoformat(),
                    "reasons": [
                        {"code": reason.code, "since": reason.since.isoformat(), "counts": reason.counts or {}}
                        for reason in hold.reasons
                    ],
                }
                for hold in found
            ]
        )
        return
    if not found:
        out.print("no school is on hold")
    for hold in found:
        zone = zones[hold.district_id]
        out.print(f"hold {hold.id}  {hold.district_id}/{hold.school_key}  since {local_time(hold.opened_at, zone)}")
        for reason in hold.reasons:
            counted = "; ".join(["", *describe_counts(reason)])
            title = escape(hold.title(reason.code))
            out.print(f"  {title} ({reason.code}) since {local_time(reason.since, zone)}{escape(counted)}")


@hold_app.command(name="show")
def hold_show(
    hold_id: OneHold,
    csv_file: CsvFile = None,
    reason_code: Annotated[
        str | None, typer.Option("--reason", metavar="CODE", help="write only this reason's evidence to the CSV file")
    ] = None,
) -> None:
    """Show why a school is on hold, with the evidence, and what ends it."""
    with opened() as database, database.reading() as session:
        hold = store.get_hold(session, hold_id)
        zone = zone_of_district(session, hold.district_id)
        items = store.items_of(session, hold_id)
        entries = catalogue(hold.form)
        unsynced = decisions.not_synced(session, hold) if hold.ending is None else None
    if reason_code is not None and reason_code not in hold.codes:
        raise NotFound(f"hold {hold_id} has no reason {reason_code}; it has {', '.join(hold.codes)}")
    ending = {None: "open", "released": "released", "replaced": f"replaced by hold {hold.replaced_by}"}[hold.ending]
    ended = f" {local_time(hold.ended_at, zone)}" if hold.ended_at else ""
    since = local_time(hold.opened_at, zone)
    out.print(f"[bold]hold {hold.id} · {escape(hold.school_name)}[/] · since {since} · {ending}{ended}")
    for reason in hold.reasons:
        entry = entries[reason.code]
        out.print(f"\n[red]{escape(entry.title)}[/] ({reason.code}), since {local_time(reason.since, zone)}")
        out.print(f"  {escape(entry.meaning)}")
        if reason.detail:
            out.print(f"  {escape(reason.detail)}")
        for line in describe_counts(reason):
            out.print(f"  {escape(line)}")
        out.print(f"  [dim]{escape(entry.remedy)}[/]")
        if reason.code == FILE_ERRORS:
            out.print(f"  rollcall issues {hold.district_id}")
    for decision in hold.decisions:
        of_former = f"hold {decision.hold_id}, which it replaces: " if decision.hold_id != hold.id else ""
        out.print(escape(f"{of_former}{decided(decision, zone)}"))
    if csv_file is not None:
        wanted = items if reason_code is None else items.filter(pl.col("code") == reason_code)
        write_csv(csv_file, evidence_csv(wanted, hold.reasons))
    elif items.height:
        evidence = figures.number(items.height, "rows")
        out.print(f"\n{evidence} of evidence. To get all of it: rollcall hold show {hold.id} --csv FILE")
    if unsynced is not None:
        out.print(escape(f"{unsynced}; {decisions.SETUP_FIRST}"))
    elif hold.ending is None:
        out.print("\nWhat you can do:")
        for verb in decisions.VERBS:
            if decisions.is_about(verb, hold):
                out.print(f"rollcall hold {verb.replace('_', '-')} {hold.id}")


@hold_app.command(name="confirm", epilog=HOLD_EXIT_CODES)
def hold_confirm(
    hold_ids: HoldIds = None, district: OfDistrict = None, why: Why = None, yes: Yes = False, csv_file: CsvFile = None
) -> None:
    """Confirm the removals and changes that holds show. Exactly those are applied now."""
    _resolve(decisions.CONFIRM, hold_ids, district, why, yes=yes, csv_file=csv_file)


@hold_app.command(name="accept", epilog=HOLD_EXIT_CODES)
def hold_accept(hold_ids: HoldIds = None, district: OfDistrict = None, why: Why = None, yes: Yes = False) -> None:
    """Accept guardians and contacts as they are, until these students' guardians change. Their accounts are created."""
    _resolve(decisions.ACCEPT, hold_ids, district, why, yes=yes)


@hold_app.command(name="leave-out", epilog=HOLD_EXIT_CODES)
def hold_leave_out(hold_ids: HoldIds = None, district: OfDistrict = None, why: Why = None, yes: Yes = False) -> None:
    """Leave emergency contacts out at all schools of the source from now on."""
    _resolve(decisions.LEAVE_OUT, hold_ids, district, why, yes=yes)


@hold_app.command(name="fixed", epilog=HOLD_EXIT_CODES)
def hold_fixed(hold_ids: HoldIds = None, district: OfDistrict = None, why: Why = None, yes: Yes = False) -> None:
    """Reconnect a disconnected source and sync it now."""
    _resolve(decisions.FIXED, hold_ids, district, why, yes=yes)


@hold_app.command(name="recheck", epilog=HOLD_EXIT_CODES)
def hold_recheck(hold_ids: HoldIds = None, district: OfDistrict = None, why: Why = None, yes: Yes = False) -> None:
    """Check the newest data again now, without deciding anything."""
    _resolve(decisions.RECHECK, hold_ids, district, why, yes=yes)


def _resolve(
    verb: str,
    hold_ids: list[int] | None,
    district: str | None,
    why: str | None,
    *,
    yes: bool,
    csv_file: Path | None = None,
) -> None:
    """Show what a decision will do, store it for every hold at once, and run each district that it is about, once."""
    with opened() as database:
        with database.reading() as session:
            chosen = decisions.choose(session, verb, hold_ids=hold_ids or (), district_id=district)
            shown = {hold.id: store.items_of(session, hold.id) for hold in chosen}
        for hold in chosen:
            out.print(f"[bold]hold {hold.id} · {escape(hold.school_name)}[/]")
            for line in effects(hold, verb):
                out.print(f"  {escape(line)}")
        if csv_file is not None:
            reasons = [reason for hold in chosen for reason in hold.reasons]
            write_csv(csv_file, evidence_csv(pl.concat(shown.values()), reasons))
        if sys.stdin.isatty() and not yes:
            typer.confirm("Continue?", abort=True)
        with database.transaction() as session:
            for hold in chosen:
                decisions.decide(session, hold.id, verb, by=getpass.getuser(), now=clock.now(), why=why)
    code = OK
    for district_id, schools in decisions.to_run(chosen, verb).items():
        code = max(code, run_district(district_id, schools))
        with opened() as database:
            with database.reading() as session:
                for hold in chosen:
                    show_what_stays(session, hold, verb, shown[hold.id])
            show_report(database, district_id)
    raise typer.Exit(code)
