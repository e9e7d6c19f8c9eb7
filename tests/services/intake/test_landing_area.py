"""The landing area in a bucket: what goes wrong on the way, and what is left of it. See test_deliveries, too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest
from fsspec.registry import _registry
from s3fs import S3FileSystem

from errors import SetupError, TransientError
from services.intake.landing import LandedFiles, land
from services.intake.landing_area import LandingArea
from tests.everything_up import free_port
from tests.object_storage import CREDENTIALS, Gate, gate_before, store, stored

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SOURCE = "unified/files"
FILES = {"schools.csv": b"school_id\n", "students.csv": b"student_id\n", "teachers.csv": b"teacher_id\n"}
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def one_gate(object_storage: str) -> Iterator[Gate]:
    with gate_before(object_storage) as gate:
        yield gate


@pytest.fixture
def gate(one_gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Nothing is broken, and what a test breaks is tried once."""
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    one_gate.broken, one_gate.answers, one_gate.passed = [], {}, []
    return one_gate


@pytest.fixture
def area(landing_on_s3: LandingArea, gate: Gate) -> LandingArea:
    """A landing area behind the gate."""
    return replace(landing_on_s3, endpoint=gate.address)


def taken(area: LandingArea, files: dict[str, bytes] = FILES) -> LandedFiles | None:
    def write(folder: Path) -> bool:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return True

    return land(write, landing=area, source_id=SOURCE, kept=(), now=NOW)


def said(raised: pytest.ExceptionInfo[TransientError]) -> str:
    """What an error says, which is nothing of credentials."""
    message = str(raised.value)
    assert not any(CREDENTIALS[name] in message for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    return message


def remedy(area: LandingArea) -> str:
    return (
        "check that the storage is up, that ROLLCALL_LANDING and ROLLCALL_LANDING_ENDPOINT are right, what the"
        f" credentials allow, and that there is space in {area.scratch}"
    )


def in_scratch(area: LandingArea) -> list[str]:
    return sorted(path.name for path in area.scratch.rglob("*"))


def test_nothing_is_kept_of_an_upload_that_breaks_in_the_middle(area: LandingArea, gate: Gate) -> None:
    gate.broken = ["/teachers.csv"]
    with pytest.raises(TransientError) as raised:
        taken(area)
    assert said(raised) == (f"the landing area {area.place} cannot be written (ConnectionClosedError): {remedy(area)}")
    assert [line.rpartition("/")[2] for line, _ in gate.passed if line.startswith("PUT")] == [
        "schools.csv",
        "students.csv",
    ]
    assert (stored(area), in_scratch(area)) == ({}, ["files", "unified"])
    gate.broken = []
    found = taken(area)
    assert found is not None
    assert stored(area) == {f"{found.path}/{name}": content for name, content in FILES.items()}


def test_what_a_broken_upload_left_is_removed_by_the_next_landing(area: LandingArea, gate: Gate) -> None:
    """As a killed one does: neither can clean up behind it."""
    gate.broken = ["partNumber=2", "DELETE ", "?delete"]
    with pytest.raises(TransientError):
        taken(area, {"schools.csv": b"school_id\n", "students.csv": bytes(17 * MEGABYTE)})
    assert [path.rpartition("/")[2] for path in stored(area)] == ["schools.csv"]
    assert len(uploads(area)) == 1
    gate.broken = []
    found = taken(area)
    assert found is not None
    assert stored(area) == {f"{found.path}/{name}": content for name, content in FILES.items()}
    assert uploads(area) == []


def uploads(area: LandingArea) -> list[object]:
    bucket = area.place.split("/")[2]
    found = fsspec.filesystem("s3", endpoint_url=area.endpoint).call_s3("list_multipart_uploads", Bucket=bucket)
    return list(found.get("Uploads", []))


def test_uploads_of_others_in_the_bucket_go_on(area: LandingArea) -> None:
    bucket = area.place.split("/")[2]
    files = fsspec.filesystem("s3", endpoint_url=area.endpoint)
    for key in ("elsewhere/a.csv", f"rollcall/landing/{SOURCE}-2/20261101T000000Z-01234567/a.csv"):
        files.call_s3("create_multipart_upload", Bucket=bucket, Key=key)
    taken(area)
    assert len(uploads(area)) == 2


@pytest.mark.journeys
def test_a_large_file_travels_in_parts(area: LandingArea, gate: Gate) -> None:
    content = b"".join(number.to_bytes(4, "big") for number in range(5 * MEGABYTE))
    found = taken(area, {"students.csv": content})
    assert found is not None
    sizes = [size for line, size in gate.passed if "partNumber" in line]
    assert sorted(sizes) == [4 * MEGABYTE, 8 * MEGABYTE, 8 * MEGABYTE]
    assert max(size for _, size in gate.passed) == 8 * MEGABYTE
    with area.file(found.path, "students.csv") as file:
        assert file.read_bytes() == content
        assert file.parent.stat().st_mode & 0o777 == 0o700
    assert in_scratch(area) == ["files", "unified"]


def test_neither_files_nor_credentials_are_logged(
    landing_on_s3: LandingArea, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "planted-token")
    with caplog.at_level("DEBUG"):
        area = replace(landing_on_s3, endpoint=landing_on_s3.endpoint.replace("127.0.0.1", "localhost"))
        taken(area, {"students.csv": b"student_id,last_name\n1,Planted\n"})
        with pytest.raises(FileNotFoundError), area.file("unified/files/none", "students.csv"):
            pass
    assert [record.name for record in caplog.records if record.name.split(".")[0] in ("botocore", "s3fs")] == []
    assert [word for word in ("lanted", *CREDENTIALS.values()) if len(word) > 1 and word in caplog.text] == []


def test_an_outage_is_transient(area: LandingArea) -> None:
    gone = replace(area, endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TransientError) as raised:
        taken(gone)
    assert said(raised) == (f"the landing area {area.place} cannot be read (EndpointConnectionError): {remedy(area)}")
    with pytest.raises(TransientError, match=r"cannot be read \(EndpointConnectionError\)"), gone.file("a", "b.csv"):
        pass


def test_a_bucket_that_is_gone_is_no_lost_file(area: LandingArea) -> None:
    gone = replace(area, place="s3://nobodys/landing")
    with pytest.raises(TransientError, match=r"cannot be read \(FileNotFoundError\)"), gone.file("a", "b.csv"):
        pass
    with pytest.raises(TransientError, match=r"cannot be read \(FileNotFoundError\)"):
        gone.names("a")
    with pytest.raises(TransientError, match=r"cannot be written \(FileNotFoundError\)"):
        taken(gone)


def test_a_folder_that_is_gone_is_no_lost_file(tmp_path: Path) -> None:
    gone = LandingArea.of_folder(tmp_path / "landing")
    with pytest.raises(TransientError) as raised, gone.file("a", "b.csv") as file:
        file.read_bytes()
    assert str(raised.value) == (
        f"the landing area {tmp_path}/landing cannot be read (No such file or directory): check that its disk is"
        " mounted and has space, and that Rollcall's user may read and write there"
    )
    with pytest.raises(TransientError, match="cannot be read"):
        gone.names("a")


REFUSED = b"""<?xml version="1.0"?><DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Error><Key>a</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error></DeleteResult>"""


def test_what_the_storage_refuses_to_remove_is_said(area: LandingArea, gate: Gate) -> None:
    store(area, "unified/files/20261101T000000Z-01234567/a.csv", b"a")
    gate.answers = {"?delete": REFUSED}
    with pytest.raises(TransientError, match=r"cannot be written \(Permission denied\)"):
        area.remove("unified/files/20261101T000000Z-01234567")


def test_without_s3fs_it_is_said_how_to_get_it(area: LandingArea, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(_registry, "s3", raising=False)
    for module in ("s3fs", "aiohttp", "botocore.exceptions"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SetupError) as raised:
        taken(area)
    assert str(raised.value) == (
        f"the landing area {area.place} takes s3fs, which is not installed: run `make clean install` in Rollcall's"
        " folder, or `pip install 'rollcall[s3]'`"
    )
