"""A zip of a format's files: what is unpacked, and which zips are file errors."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from dataclasses import replace

import pytest

from contracts.formats import zipped
from contracts.formats.csv_1_0 import FORMAT as CSV_1_0
from contracts.formats.delimited import read_files
from contracts.formats.zipped import Fault, expand, is_zip, unpack
from sandbox.file_faults import zip_of

NAMES = ("schools.csv", "teachers.csv")
FORM = replace(CSV_1_0, files=tuple(file for file in CSV_1_0.files if file.name in NAMES))
FILES = {"schools.csv": b"school_id,school_name\n1,Lincoln\n", "teachers.csv": b"teacher_id\n" * 50}


def _faults(packed: bytes) -> list[Fault]:
    files, faults = expand(FORM, {"a.zip": packed})
    assert files == ({"a.zip": packed} if faults else FILES)
    return faults


@pytest.mark.parametrize(
    ("name", "expected"), [("roster.zip", True), (" Roster.ZIP ", True), (".roster.zip", False), ("zip", False)]
)
def test_which_names_are_zips(name: str, expected: bool) -> None:
    assert is_zip(name) is expected


@pytest.mark.parametrize("folder", ["", "roster/", "roster\\", "./"])
def test_files_are_found_in_no_folder_or_in_one(folder: str) -> None:
    assert _faults(zip_of({f"{folder}{name}": content for name, content in FILES.items()})) == []


def test_names_match_as_in_a_folder_and_what_else_is_there_is_left_out() -> None:
    extras = {
        "__MACOSX/roster/._schools.csv": b"x",
        "roster/.DS_Store": b"x",
        "roster/": b"",
        "a/b/": b"",
        "read me.txt": b"x",
    }
    named = {"roster/Schools.CSV": FILES["schools.csv"], "roster/ teachers.csv": FILES["teachers.csv"]}
    assert _faults(zip_of({**extras, **named})) == []


def test_files_beside_it_go_before_a_zip() -> None:
    given = {"a.zip": zip_of(FILES), "schools.csv": b"other"}
    assert expand(FORM, given) == (given, [])
    given = {"a.zip": zip_of(FILES), "notes.txt": b"other"}
    assert expand(FORM, given) == ({**FILES, "notes.txt": b"other"}, [])
    given = {"a.zip": b"", "b.zip": b""}
    assert expand(FORM, given) == (given, [Fault("file_duplicate", "a.zip", "found a.zip and b.zip")])


def test_what_is_missing_or_there_twice_is_named_with_the_zip() -> None:
    assert _faults(zip_of({"teacher.csv": b"", "x/schools.csv": b""})) == [
        Fault("file_missing", "teachers.csv", "found teacher.csv in a.zip")
    ]
    assert _faults(zip_of({})) == [Fault("file_missing", name, "not in a.zip") for name in NAMES]
    twice = zip_of({**FILES, "new/Schools.csv": b""})
    assert _faults(twice) == [Fault("file_duplicate", "schools.csv", "found schools.csv and new/Schools.csv in a.zip")]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("a/b/schools.csv", "is more than one folder deep"),
        ("../schools.csv", "leads outside the zip file"),
        ("..\\schools.csv", "leads outside the zip file"),
        ("/schools.csv", "leads outside the zip file"),
        ("C:\\schools.csv", "leads outside the zip file"),
    ],
)
def test_a_path_that_leads_deeper_or_outside_is_refused(path: str, why: str) -> None:
    shown = path.replace("\\", "/")
    assert _faults(zip_of({**FILES, path: b""})) == [Fault("zip_path_invalid", "a.zip", f"{shown} {why}")]


def test_a_link_is_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        link = zipfile.ZipInfo("schools.csv")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert [fault.code for fault in _faults(packed.getvalue())] == ["zip_path_invalid"]


@pytest.mark.parametrize(("others", "faults"), [(62, []), (63, ["zip_too_large"]), (5000, ["zip_too_large"])])
def test_there_are_at_most_64_entries(others: int, faults: list[str]) -> None:
    packed = zip_of({**FILES, **{f"{number}.txt": b"" for number in range(others)}})
    assert [fault.code for fault in _faults(packed)] == faults


def test_what_is_unpacked_is_counted_whatever_the_zip_says() -> None:
    bomb = zip_of({**FILES, "schools.csv": b"\n" * 5_000_000})
    assert _faults(bomb) == [Fault("zip_too_large", "a.zip", "more than 100 times its own size when unpacked")]
    written: list[io.BytesIO] = []

    def target(_name: str) -> io.BytesIO:
        written.append(io.BytesIO())
        return written[-1]

    large = zip_of({**FILES, "schools.csv": random.Random(1).randbytes(5_000_000)})
    assert unpack(io.BytesIO(large), "a.zip", FORM, target, most=3_000_000) == [
        Fault("zip_too_large", "a.zip", "more than 3 MB when unpacked")
    ]
    assert sum(each.tell() for each in written) <= 3_000_000


def test_sizes_that_are_not_true_are_damage() -> None:
    packed = bytearray(zip_of(FILES))
    entry = packed.index(b"PK\x01\x02")
    struct.pack_into("<L", packed, entry + 24, 7)
    assert _faults(bytes(packed)) == [Fault("zip_damaged", "a.zip", "schools.csv")]


def test_another_way_of_packing_is_damage() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    assert _faults(packed.getvalue()) == [Fault("zip_damaged", "a.zip", "schools.csv")]


@pytest.mark.parametrize("seed", range(300))
def test_a_damaged_zip_is_a_file_error_or_gives_the_files(seed: int) -> None:
    chance = random.Random(seed)
    packed = bytearray(zip_of(FILES))
    for _ in range(chance.randint(1, 6)):
        packed[chance.randrange(len(packed))] = chance.randrange(256)
    given = bytes(packed[: chance.choice([len(packed), chance.randrange(len(packed))])])
    codes = {fault.code for fault in _faults(given)}
    assert codes <= {"zip_damaged", "zip_encrypted", "zip_too_large", "zip_path_invalid", "file_missing"}


def test_a_format_reads_a_zip_of_its_files_and_says_what_is_wrong_with_it() -> None:
    form = replace(FORM, files=FORM.files[:1])
    reading = read_files(form, {"a.zip": zip_of({"x/schools.csv": FILES["schools.csv"]})})
    assert (reading.rows["schools.csv"].rows(), reading.file_errors.height) == ([(2, "1", "Lincoln")], 0)
    reading = read_files(form, {"a.zip": b"PK"})
    assert reading.file_errors.rows() == [("zip_damaged", "a.zip", None, None, None)]
    assert (reading.rows["schools.csv"].height, reading.columns) == (0, {"schools.csv": {}})


def test_limits() -> None:
    assert (zipped.MOST_ENTRIES, zipped.MOST_BYTES, zipped.MOST_TIMES) == (64, 1_000_000_000, 100)
