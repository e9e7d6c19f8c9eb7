"""A district in Clever's stand-in, an installation that syncs it, and what became of the two."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import col, select

from models.database import Database
from models.tables import Run
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, CleverApi, serving
from sandbox.clever_records import CleverDistrict, clever_district, clever_ids
from sandbox.generator import District
from services import clock
from services.intake.clever_api import Connection
from services.operations.setup import apply_setup, read_setup
from services.status import sync_status
from services.sync.provision import SchoolResult
from tests.end_to_end.nights import play

SCHOOL_KEYS = ("lincoln", "roosevelt", "jefferson", "adams")


def setup_text(district: District, remote: CleverDistrict) -> str:
    """A setup file of one district, lakeside, whose schools are in Clever."""
    schools = zip(SCHOOL_KEYS, clever_ids(district).schools.values(), strict=False)
    return (
        '[[district]]\nid = "lakeside"\nname = "Lakeside Schools"\ntimezone = "America/New_York"\n'
        'administrators = ["it@lakeside.example"]\n\n'
        f'[[district.source]]\nid = "clever"\nkind = "clever"\ndistrict_id = "{remote.id}"\n'
        + "".join(
            f'\n[[district.school]]\nid = "{key}"\nname = "{key.title()} School"\nsource = "clever"\n'
            f'external_id = "{external_id}"\n'
            for key, external_id in schools
        )
    )


@dataclass(frozen=True)
class Lakeside:
    """One Clever district behind the stand-in, and an installation that has it set up."""

    folder: Path
    database: Database
    api: CleverApi
    connection: Connection
    district_id: str

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    def give(self, remote: CleverDistrict) -> None:
        """Have Clever give the district like this from now on."""
        self.api.districts[self.district_id] = remote

    def night(
        self, *, nightly: bool = False, schools: list[str] | None = None, delivery: int | None = None
    ) -> list[SchoolResult]:
        return play(
            self.database,
            self.landing,
            "lakeside",
            nightly=nightly,
            schools=schools,
            delivery=delivery,
            connection=self.connection,
        )

    def last_run(self) -> Run:
        with self.database.reading() as session:
            return session.exec(select(Run).order_by(col(Run.id).desc())).first() or Run(district_id="", source_id="")

    def statuses(self) -> dict[str, str | None]:
        with self.database.reading() as session:
            return {row.key: row.status for row in sync_status.statuses(session, now=clock.now())}

    def pages_asked(self) -> int:
        """How many pages of records were asked for so far."""
        return sum("limit" in request.query for request in self.api.requests)


@contextmanager
def lakeside(
    folder: Path, database: Database, district: District, *, page_size: int = 10_000, more_setup: str = ""
) -> Iterator[Lakeside]:
    """Serve the district, and set it up. more_setup: what the setup file says of the district besides."""
    remote = clever_district(district)
    setup = folder / "setup.toml"
    setup.write_text(setup_text(district, remote) + more_setup)
    with database.transaction() as session:
        apply_setup(session, read_setup(setup))
    api = CleverApi([remote])
    with serving(api) as url:
        connection = Connection(CLIENT_ID, CLIENT_SECRET, url, "v3.1", url, page_size)
        yield Lakeside(folder, database, api, connection, remote.id)
