"""Files that a district puts into a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field
from sqlmodel import Session

from contracts.formats import FORMATS, Format, file_formats, match_names, zipped
from models.outcomes import RunOutcome
from models.tables import Source
from services.intake.adapters import Findings, Inspection, SourceSchool
from services.intake.arrival import Arrival, Waiting, inspect_drop_folder, read_folder
from services.intake.drop_folder import DropFolder, LocalFolder
from services.intake.landing import copy_files
from services.intake.setup_entries import Line, SourceEntry

KIND: Final = "csv"


def _known_format(value: str) -> str:
    known = file_formats()
    if value not in known:
        raise ValueError(f"must be one of {', '.join(known)}")
    return value


class CsvSourceEntry(SourceEntry):
    """A [[district.source]] of files."""

    kind: Literal["csv"]
    format: Annotated[str, AfterValidator(_known_format)]
    folder: Line
    quiet_seconds: Annotated[int, Field(ge=0)] = 300

    @property
    def format_name(self) -> str:
        """The format that the files are of."""
        return self.format

    @property
    def settings(self) -> dict[str, Any]:
        """folder: absolute. quiet_seconds: files count as complete when none has changed for so long."""
        return {"folder": self.folder, "quiet_seconds": self.quiet_seconds}

    def relative_to(self, folder: Path) -> Self:
        """The entry of a setup file in this folder, with its drop folder absolute."""
        return self.model_copy(update={"folder": os.path.normpath(folder / Path(self.folder).expanduser())})


class CsvDropFolder:
    """A drop folder on this machine."""

    kind: ClassVar[str] = KIND
    entry: ClassVar[type[SourceEntry]] = CsvSourceEntry
    location_key: ClassVar[str] = "folder"
    is_pausable: ClassVar[bool] = False
    is_remote: ClassVar[bool] = False

    def __init__(self, connection: object = None) -> None:
        assert connection is None

    @staticmethod
    def location_of(settings: Mapping[str, Any]) -> str:
        """The folder, whatever links lead to it."""
        return str(Path(settings["folder"]).resolve())

    def may_be_set_up_by(self, _settings: Mapping[str, Any], _email: str) -> bool:
        """Always: Rollcall chooses the folder."""
        return True

    def inspect(self, asked: Inspection) -> Findings:
        """See which files wait."""
        waiting = inspect_drop_folder(
            asked.source,
            _folder(asked.source),
            form=FORMATS[asked.source.format],
            with_error=asked.with_error,
            now=asked.now,
            as_it_stands=asked.as_it_stands,
            zone=asked.zone,
        )
        outcome: RunOutcome | None = None
        if waiting.state == Arrival.NOTHING:
            outcome = RunOutcome.NOTHING
        elif len(waiting.file_errors):
            outcome = RunOutcome.REJECTED
        elif waiting.state != Arrival.READY:
            outcome = RunOutcome.ARRIVING
        return Findings(
            outcome,
            waiting.message,
            waiting.notes,
            waiting.file_errors,
            stamps=waiting.stamps,
            zip_name=waiting.zip_name,
            details=waiting,
        )

    def schools(self, source: Source) -> tuple[SourceSchool, ...]:
        """The schools of the file that lies there, delivered already or not."""
        form = FORMATS[source.format]
        return schools_of(form, read_folder(_folder(source), form, only=form.file_of("school")))

    def record(self, _session: Session, _source: Source, _findings: Findings, _now: datetime) -> None:
        """Nothing is kept: the stamps are once the files are taken."""

    def is_current(self, _session: Session, _source: Source, _findings: Findings, _now: datetime) -> bool:
        """Never: files that were written again are a delivery."""
        return False

    def fetch(self, source: Source, findings: Findings, folder: Path) -> bool:
        """Copy the files that wait."""
        waiting: Waiting = findings.details
        return copy_files(_folder(source), waiting, folder, FORMATS[source.format])


def schools_of(form: Format, files: Mapping[str, bytes]) -> tuple[SourceSchool, ...]:
    """The schools of files of a format, by name: those of the file that names schools; the others are not looked into.

    Raises:
        DataError: reading failed on data it should have accepted.
    """
    files, _ = zipped.expand(form, files)
    names = match_names([form.file_of("school")], files).files
    reading = form.read({name: files[name] for several in names.values() for name in several})
    found = form.to_roster(reading).schools.select("external_id", "name").drop_nulls().unique("external_id")
    return tuple(SourceSchool(*row) for row in found.sort("name", "external_id").iter_rows())


def _folder(source: Source) -> DropFolder:
    return LocalFolder(Path(source.settings["folder"]))


ADAPTER = CsvDropFolder
