"""The setup file that most tests work with (one district, one CSV source, its schools), and installations copied."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sqlmodel import select

from models.database import Database
from models.tables import Source
from services import clock
from services.holds import decisions

SCHOOLS = (("lincoln", "0101"), ("roosevelt", "0102"), ("jefferson", "0103"))


def setup_text(
    schools: Iterable[tuple[str, str, str]],
    *,
    district: str = "unified",
    name: str = "Unified School District",
    folder: str = "drop",
    quiet_seconds: int = 300,
) -> str:
    """A district whose schools, each a key, a name and an external ID, have their files in the folder."""
    return f"""
[[district]]
id = "{district}"
name = "{name}"
timezone = "America/Los_Angeles"
administrators = ["it@{district}.example"]

[[district.source]]
id = "files"
kind = "csv"
format = "csv-1.0"
folder = "{folder}"
quiet_seconds = {quiet_seconds}
""" + "".join(
        f"""
[[district.school]]
id = "{key}"
name = "{name}"
source = "files"
external_id = "{external_id}"
"""
        for key, name, external_id in schools
    )


SETUP = setup_text((key, f"{key.title()} School", external_id) for key, external_id in SCHOOLS)


def look_into_copies(database: Database, old: Path, new: Path) -> None:
    """Have the sources of an installation that was copied look into its own drop folders, where nothing waits either.

    old, new: the folders that both installations lie in.
    """
    with database.transaction() as session:
        for source in session.exec(select(Source).where(Source.kind == "csv")):
            folder = new / Path(source.settings["folder"]).relative_to(old)
            source.settings = {**source.settings, "folder": str(folder)}
            found = {file.name: file.stat() for file in folder.iterdir()}
            source.stamps = {name: [at.st_size, at.st_mtime_ns, at.st_ctime_ns] for name, at in found.items()}
            session.add(source)


def confirm_all(database: Database, district: str) -> None:
    """Confirm what the open holds of a district show."""
    with database.transaction() as session:
        for hold in decisions.choose(session, decisions.CONFIRM, district_id=district):
            decisions.decide(session, hold.id, decisions.CONFIRM, by="ops", now=clock.now())
