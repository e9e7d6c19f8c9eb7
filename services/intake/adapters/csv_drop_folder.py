"""Files that a district puts into a folder, on this machine or on an SFTP server of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from sqlmodel import Session

from contracts.formats import FORMATS, Format, file_formats, match_names, zipped
from models.outcomes import RunOutcome
from models.tables import Source
from services import clock
from services.intake.adapters import Findings, Inspection, SourceSchool
from services.intake.arrival import Arrival, Waiting, inspect_drop_folder, read_folder
from services.intake.drop_folder import DropFolder, LocalFolder, Stamp
from services.intake.landing import copy_files
from services.intake.setup_entries import Line, SourceEntry
from services.intake.sftp import SCHEME, Access, Address, SftpFolder

KIND: Final = "csv"


def _known_format(value: str) -> str:
    known = file_formats()
    if value not in known:
        raise ValueError(f"must be one of {', '.join(known)}")
    return value


def _folder_or_address(value: str) -> str:
    return str(Address.of(value)) if "://" in value else value


def _fingerprint(value: str) -> str:
    if not re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", value):
        raise ValueError("must be fingerprints such as SHA256:…, as ssh-keygen -l shows them")
    return value


class CsvSourceEntry(SourceEntry):
    """A [[district.source]] of files."""

    kind: Literal["csv"]
    format: Annotated[str, AfterValidator(_known_format)]
    folder: Annotated[Line, AfterValidator(_folder_or_address)]
    # Two while the server's key is being replaced.
    host_keys: Annotated[list[Annotated[str, AfterValidator(_fingerprint)]], Field(default_factory=list, max_length=2)]
    quiet_seconds: Annotated[int, Field(ge=0)] = 300

    @model_validator(mode="after")
    def _keys_of_a_server(self) -> Self:
        if self.host_keys and not self.folder.startswith(SCHEME):
            raise ValueError("has host_keys, but its folder is not on an SFTP server")
        return self

    @property
    def format_name(self) -> str:
        """The format that the files are of."""
        return self.format

    @property
    def settings(self) -> dict[str, Any]:
        """folder: absolute, or on an SFTP server. quiet_seconds: files are complete when none changed for so long.

        host_keys: the fingerprints of the server's, where they are set.
        """
        keys = {"host_keys": list(self.host_keys)} if self.host_keys else {}
        return {"folder": self.folder, "quiet_seconds": self.quiet_seconds, **keys}

    def relative_to(self, folder: Path) -> Self:
        """The entry of a setup file in this folder, with its drop folder absolute."""
        if self.folder.startswith(SCHEME):
            return self
        return self.model_copy(update={"folder": os.path.normpath(folder / Path(self.folder).expanduser())})


class CsvDropFolder:
    """A drop folder on this machine, or on an SFTP server. connection: what it takes to sign in there."""

    kind: ClassVar[str] = KIND
    entry: ClassVar[type[SourceEntry]] = CsvSourceEntry
    location_key: ClassVar[str] = "folder"
    is_pausable: ClassVar[bool] = False
    is_remote: ClassVar[bool] = False

    def __init__(self, connection: Access | None = None) -> None:
        self._access = connection or Access()

    @staticmethod
    def location_of(settings: Mapping[str, Any]) -> str:
        """The folder, whatever links lead to it."""
        folder = str(settings["folder"])
        return folder if folder.startswith(SCHEME) else str(Path(folder).resolve())

    def may_be_set_up_by(self, settings: Mapping[str, Any], _email: str) -> bool:
        """Whether Rollcall chooses the folder. An SFTP server doesn't say whose it is."""
        return not settings["folder"].startswith(SCHEME)

    def inspect(self, asked: Inspection) -> Findings:
        """See which files wait."""
        earlier = {name: Stamp(*stamp) for name, stamp in (asked.source.sightings or {}).items()}
        with self._opened(asked.source, earlier, asked.now) as drop_folder:
            waiting = inspect_drop_folder(
                asked.source,
                drop_folder,
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
            sightings={**waiting.stamps, **waiting.unfinished} if _is_remote(asked.source) else None,
            zip_name=waiting.zip_name,
            details=waiting,
        )

    def schools(self, source: Source) -> tuple[SourceSchool, ...]:
        """The schools of the file that lies there, delivered already or not."""
        form = FORMATS[source.format]
        with self._opened(source, {}, clock.now()) as drop_folder:
            files = read_folder(drop_folder, form, only=form.file_of("school"))
        return schools_of(form, files)

    def record(self, session: Session, source: Source, findings: Findings, _now: datetime) -> None:
        """Keep what was seen on a server, whose clock says nothing; the stamps are kept once the files are taken."""
        if findings.sightings is not None:
            source.sightings = {name: stamp.as_list() for name, stamp in findings.sightings.items()}
            session.add(source)

    def is_current(self, _session: Session, _source: Source, _findings: Findings, _now: datetime) -> bool:
        """Never: files that were written again are a delivery."""
        return False

    def fetch(self, source: Source, findings: Findings, folder: Path) -> bool:
        """Copy the files that wait."""
        waiting: Waiting = findings.details
        with self._opened(source, findings.sightings or {}, clock.now()) as drop_folder:
            return copy_files(drop_folder, waiting, folder, FORMATS[source.format])

    def _opened(
        self, source: Source, earlier: Mapping[str, Stamp], now: datetime
    ) -> AbstractContextManager[DropFolder]:
        if not _is_remote(source):
            return nullcontext(LocalFolder(Path(source.settings["folder"])))
        return SftpFolder(
            Address.of(source.settings["folder"]),
            self._access,
            source_id=source.id,
            host_keys=tuple(source.settings.get("host_keys", ())),
            earlier=earlier,
            now=now,
        )


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


def _is_remote(source: Source) -> bool:
    return str(source.settings["folder"]).startswith(SCHEME)


ADAPTER = CsvDropFolder
