"""Many small districts, each with its files waiting, for what syncs them side by side."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from models.database import open_database
from sandbox.generator import District, generate
from services.operations.setup import apply_setup, read_setup
from tests.setups import setup_text


def set_up_many(home: Path, url: str, number: int, *, students: int = 20) -> dict[str, District]:
    """Set up so many districts of one school, and drop the files of each; they may be taken at once."""
    districts = {f"d{each:04}": generate(each, schools=1, students=students) for each in range(1, number + 1)}
    (home / "setup.toml").write_text("".join(_setup(districts)))
    with open_database(url, backups=None) as database, database.transaction() as session:
        apply_setup(session, read_setup(home / "setup.toml"))
    for name, district in districts.items():
        district.write(home / "drop" / name)
    return districts


def _setup(districts: dict[str, District]) -> Iterable[str]:
    for name, district in districts.items():
        schools = [("main", f"School of {name}", key) for key in district.schools["external_id"]]
        yield setup_text(schools, district=name, name=f"District {name}", folder=f"drop/{name}", quiet_seconds=0)
