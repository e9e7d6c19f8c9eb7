"""Installations to play nights in, on each kind of database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.database import Database
from services.operations.setup import apply_setup, read_setup
from services.sync.provision import SchoolResult
from tests.end_to_end.nights import play
from tests.setups import setup_text


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole nights on PostgreSQL are played among the journeys; on SQLite the same are in every run."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here and "postgresql" in item.name:
            item.add_marker(pytest.mark.journeys)


@dataclass(frozen=True)
class Installation:
    """A database, a landing area, and a drop folder for each district."""

    folder: Path
    database: Database

    def set_up(self, **districts: dict[str, str]) -> None:
        """Set districts up, each with its schools: key -> external ID."""
        setup = self.folder / "setup.toml"
        setup.write_text(
            "".join(
                setup_text(
                    ((key, key, external_id) for key, external_id in schools.items()),
                    district=district,
                    name=f"{district} schools",
                    folder=f"drop/{district}",
                )
                for district, schools in districts.items()
            )
        )
        for district in districts:
            self.drop(district).mkdir(parents=True, exist_ok=True)
        with self.database.transaction() as session:
            apply_setup(session, read_setup(setup))

    def drop(self, district: str = "unified") -> Path:
        return self.folder / "drop" / district

    def send(self, files: dict[str, bytes], district: str = "unified") -> None:
        for name, content in files.items():
            (self.drop(district) / name).write_bytes(content)

    def night(
        self, district: str = "unified", *, delivery: int | None = None, schools: list[str] | None = None
    ) -> list[SchoolResult]:
        return play(self.database, self.folder / "landing", district, delivery=delivery, schools=schools)


@pytest.fixture
def installation(tmp_path: Path, database: Database) -> Installation:
    return Installation(tmp_path, database)


@pytest.fixture
def embedded(tmp_path: Path, sqlite_database: Database) -> Installation:
    return Installation(tmp_path, sqlite_database)


Row = tuple[str, ...]


@pytest.fixture(scope="session")
def csv_files() -> Callable[..., dict[str, bytes]]:
    """Files of CSV format 1.0 from rows: teachers, students, classes and enrollments of the schools 1 and 2."""

    def files(
        teachers: Sequence[Row] = (),
        students: Sequence[Row] = (),
        classes: Sequence[Row] = (),
        enrollments: Sequence[Row] = (),
    ) -> dict[str, bytes]:
        heads = {
            "schools.csv": "school_id,school_name",
            "teachers.csv": "teacher_id,school_id,first_name,last_name,email",
            "students.csv": "student_id,school_id,first_name,last_name,email,guardian_id,guardian_first_name,"
            "guardian_last_name,guardian_email,guardian_phone",
            "classes.csv": "class_id,school_id,class_name,teacher_id",
            "enrollments.csv": "class_id,student_id",
        }
        bodies: dict[str, Sequence[Row]] = {
            "schools.csv": [("1", "Lincoln"), ("2", "Adams")],
            "teachers.csv": teachers,
            "students.csv": students,
            "classes.csv": classes,
            "enrollments.csv": enrollments,
        }
        return {
            name: "\n".join([head, *(",".join(row) for row in bodies[name]), ""]).encode()
            for name, head in heads.items()
        }

    return files
