"""The format check and reader: every bad row reported at its line, no good row lost or misplaced."""

from __future__ import annotations

import codecs
import csv
import gzip
import random
import re
import unicodedata

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.formats import Column, FileFormat, Format, Reading
from contracts.formats.delimited import FILE_ERRORS, read_files
from contracts.roster import Roster
from errors import DataError

PEOPLE = FileFormat(
    "people.csv", (Column("id", required=True, is_id=True), Column("name", required=True), Column("note"))
)
PETS = FileFormat("pets.csv", (Column("id", required=True, is_id=True), Column("owner_id", required=True, is_id=True)))
LOOSE = FileFormat("loose.csv", (Column("a"), Column("b"), Column("c")))


def _no_roster(reading: Reading) -> Roster:
    raise NotImplementedError


def _read(data: bytes | str, file: FileFormat = PEOPLE) -> Reading:
    encoded = data.encode() if isinstance(data, str) else data
    return read_files(Format("test", (file,), read_files, _no_roster), {file.name: encoded})


def _rows(data: bytes | str, file: FileFormat = PEOPLE) -> list[tuple[object, ...]]:
    reading = _read(data, file)
    assert reading.file_errors.rows() == []
    return reading.rows[file.name].rows()


def _errors(data: bytes | str, file: FileFormat = PEOPLE) -> list[tuple[object, ...]]:
    """Code, line, detail and row of each."""
    reading = _read(data, file)
    assert set(reading.file_errors["file"]) <= {file.name}
    return reading.file_errors.drop("file").rows()


# --- what is read ---


def test_a_good_file_gives_its_rows_with_their_lines() -> None:
    reading = _read("id,name,note\n1,Ada,x\n2,Ben,y\n")

    assert reading.rows["people.csv"].rows() == [(2, "1", "Ada", "x"), (3, "2", "Ben", "y")]
    assert dict(reading.rows["people.csv"].schema) == {
        "line": pl.UInt32,
        "id": pl.String,
        "name": pl.String,
        "note": pl.String,
    }
    assert reading.file_errors.rows() == []
    assert dict(reading.file_errors.schema) == dict(FILE_ERRORS)
    assert reading.notes == ()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_met(end: str) -> None:
    assert _rows(end.join(["id,name", "1,Ada", "", "2,Ben"])) == [(2, "1", "Ada", None), (4, "2", "Ben", None)]


def test_line_ends_may_be_mixed() -> None:
    assert _rows("id,name\r\n1,Ada\r2,Ben\n\r\n3,Cy\r\r4,Di") == [
        (2, "1", "Ada", None),
        (3, "2", "Ben", None),
        (5, "3", "Cy", None),
        (7, "4", "Di", None),
    ]


@pytest.mark.parametrize("character", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_no_other_character_ends_a_line(character: str) -> None:
    assert _rows(f"id,name\n1,A{character}b\n2,Ben") == [(2, "1", f"A{character}b", None), (3, "2", "Ben", None)]


def test_blank_lines_are_skipped_but_counted() -> None:
    assert _rows("\n \t\nid,name\n\n1,Ada\n\u00a0\n2,Ben\n\n\n") == [(5, "1", "Ada", None), (7, "2", "Ben", None)]


@pytest.mark.parametrize("line", [",", ",,,,,", '"",""', ' "\t", \u200b"\u00a0" ', "\ufeff", "\u00ad,\x07", '""'])
def test_a_line_of_empty_cells_only_is_blank_however_many_they_are(line: str) -> None:
    reading = _read(f"{line}\nid,name\n{line}\n1,Ada\n{line}\n2,Ben\n{line}")

    assert reading.rows["people.csv"].rows() == [(4, "1", "Ada", None), (6, "2", "Ben", None)]
    assert (reading.file_errors.rows(), reading.notes) == ([], ())


@pytest.mark.parametrize("line", [",x", '"",""""', ",;", ',"--"', ",\u3164"])
def test_a_line_with_any_value_is_not_blank(line: str) -> None:
    assert _errors(f"id,name\n{line}\n1,Ada") == [("id_missing", 2, "column id", line)]


@pytest.mark.parametrize("again", ["id,name,note", '"ID" , Name,\ufeffNote ', "Id,NAME,note"])
def test_the_header_again_is_skipped_and_noted(again: str) -> None:
    reading = _read(f"id,name,note\n1,Ada,x\n{again}\n2,Ben,y\n{again}\nid,Cy,z")

    assert reading.rows["people.csv"].rows() == [(2, "1", "Ada", "x"), (4, "2", "Ben", "y"), (6, "id", "Cy", "z")]
    assert (reading.file_errors.rows(), reading.notes) == (
        [],
        ("people.csv: lines 3 and 5 skipped, as they repeat the header",),
    )


def test_a_header_of_two_words_and_unnamed_columns_is_known_again() -> None:
    reading = _read(",ID,Owner  ID,\nx,1,2,\n, id ,owner_id,\n,3,4,x", PETS)

    assert reading.rows["pets.csv"].rows() == [(2, "1", "2"), (4, "3", "4")]
    assert reading.notes == (
        "pets.csv: ignored unknown columns: 2 without a name",
        "pets.csv: line 3 skipped, as it repeats the header",
    )


@pytest.mark.parametrize("line", ["--,----", "-----", '"---", --- ', "---,,,", "\u200b---,-"])
def test_a_line_of_dashes_is_skipped_and_noted(line: str) -> None:
    reading = _read(f"id,name\n{line}\n1,Ada")

    assert reading.rows["people.csv"].rows() == [(3, "1", "Ada", None)]
    assert (reading.file_errors.rows(), reading.notes) == (
        [],
        ("people.csv: line 2 skipped, as it is a line of dashes",),
    )


def test_dashes_that_stand_for_values_are_values() -> None:
    assert _rows("id,name\n-,--\n---,x") == [(2, "-", "--", None), (3, "---", "x", None)]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("(30 rows affected)", ("columns_invalid", 4, "1 cell for 3 columns", "(30 rows affected)")),
        ("Total,30", ("columns_invalid", 4, "2 cells for 3 columns", "Total,30")),
        (",Total: 1,", ("id_missing", 4, "column id", ",Total: 1,")),
    ],
)
def test_a_line_of_totals_is_an_error_of_its_file(line: str, error: tuple[object, ...]) -> None:
    assert _errors(f"id,name,note\n1,Ada,x\n\n{line}") == [error]


@pytest.mark.parametrize("end", ["\x1a", "\n\x1a", "\r\n\x1a\r\n", '"\x1a'])
def test_a_final_control_z_is_dropped(end: str) -> None:
    ben = '"Ben' if end.startswith('"') else "Ben"
    assert _rows(f"id,name\n1,Ada\n2,{ben}{end}") == [(2, "1", "Ada", None), (3, "2", "Ben", None)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_several_byte_order_marks_are_marks(encoding: str) -> None:
    assert _rows("\ufeff\ufeff\ufeffid,name\n1,Ada".encode(encoding)) == [(2, "1", "Ada", None)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_utf_8_and_marked_utf_16_are_read(encoding: str) -> None:
    assert _rows("id,name\n1,Zoë Ñúñez 李\n".encode(encoding)) == [(2, "1", "Zoë Ñúñez 李", None)]


def test_big_endian_utf_16_with_its_mark_is_read() -> None:
    assert _rows(codecs.BOM_UTF16_BE + "id,name\n1,Zoë\n".encode("utf-16-be")) == [(2, "1", "Zoë", None)]


def test_ids_are_case_sensitive_strings_with_their_leading_zeros() -> None:
    assert [row[1] for row in _rows("id,name\n007,x\n7,x\n7.0,x\naB,x\nAb,x\n1e5,x\ntrue,x\nNULL,x\nNA,x\n#1,x")] == [
        "007",
        "7",
        "7.0",
        "aB",
        "Ab",
        "1e5",
        "true",
        "NULL",
        "NA",
        "#1",
    ]


def test_values_are_trimmed_and_empty_ones_are_null() -> None:
    assert _rows('id,name,note\n 1\t,\u00a0Ada \u3000,  \n2,"  Ben ",""\n3,"",x') == [
        (2, "1", "Ada", None),
        (3, "2", "Ben", None),
        (4, "3", None, "x"),
    ]


@pytest.mark.parametrize("nothing", [" ", "\u200b", "\u2060\t", "\x01", "\u00ad\u00a0", "\U000e0041"])
def test_values_and_headers_lose_what_cannot_be_seen_inside_their_quotes_and_around(nothing: str) -> None:
    cells = ["1", '"Ada"', f'"{nothing}B{nothing}C{nothing}"', '"a, ""b"""', f'"x{nothing}, ""y"" ,"', '"  "']
    header = ["id", "name", '"note"', "more", '"rest"', "last"]
    wide = FileFormat("people.csv", (*PEOPLE.columns, Column("more"), Column("rest"), Column("last")))
    lines = [",".join(f"{nothing}{cell}{nothing}" for cell in line) for line in (header, cells)]

    assert _rows("\n".join(lines), wide) == [
        (2, "1", "Ada", f"B{nothing}C", 'a, "b"', f'x{nothing}, "y" ,', None),
    ]


def test_nothing_is_taken_from_inside_quotes_that_looks_like_more_cells() -> None:
    assert _rows('id,name,note\n1, "a , ""b"" , c" ,"d, ""e"" ,"') == [(2, "1", 'a , "b" , c', 'd, "e" ,')]


def test_quoted_cells_hold_separators_and_doubled_quotes() -> None:
    assert _rows('"id","name","note"\n1,"Ada ""Ace"" O\'Day","a,b,""c"""\n2,"""","",\n'.replace('"",\n', '""\n')) == [
        (2, "1", 'Ada "Ace" O\'Day', 'a,b,"c"'),
        (3, "2", '"', None),
    ]


def test_a_file_of_nothing_but_its_header_is_fine() -> None:
    assert _rows("id,name,note") == []


def test_optional_columns_may_be_missing_and_order_does_not_matter() -> None:
    assert _rows("name,id\nAda,1") == [(2, "1", "Ada", None)]


def test_header_names_are_matched_without_case_blanks_or_underscores() -> None:
    assert _rows("  ID ,Owner ID\n1,2", PETS) == [(2, "1", "2")]
    assert _rows('"Id","OWNER_ID "\n1,2', PETS) == [(2, "1", "2")]


def test_a_column_is_read_under_any_of_its_spellings_the_published_one_first() -> None:
    spelled = FileFormat("people.csv", (Column("id", required=True, is_id=True, aliases=("pid", "nr")), Column("name")))

    reading = _read("Nr,PID,Name\n1,2,Ada", spelled)
    assert reading.rows["people.csv"].rows() == [(2, "2", "Ada")]
    assert reading.columns == {"people.csv": {"id": "PID", "name": "Name"}}
    assert reading.notes == ("people.csv: column Nr was ignored, because the file also has PID",)

    assert _errors("Nr,Name,NR\n1,Ada,", spelled) == [("column_duplicate", 1, "column Nr", "Nr,Name,NR")]
    assert _errors("Nr,Name\n ,Ada", spelled) == [("id_missing", 2, "column Nr", " ,Ada")]
    assert _errors("Name\nAda", spelled) == [("column_missing", 1, "column id", "Name")]


def test_unknown_columns_are_left_out_and_named_in_the_notes() -> None:
    reading = _read("Locker, id,,name,Home Room,\n9,1,x,Ada,12,y")

    assert reading.rows["people.csv"].rows() == [(2, "1", "Ada", None)]
    assert reading.file_errors.rows() == []
    assert reading.notes == ("people.csv: ignored unknown columns: Locker, Home Room, 2 without a name",)


def test_names_of_unknown_columns_are_not_reported_a_file_with_errors() -> None:
    assert _read("17,Ada Planted,ada@planted.example\n18,Ben,x").notes == ()
    assert _read("id,name,Locker\n1,Ada").notes == ()


def test_a_file_with_a_single_column_is_split_as_well() -> None:
    single = FileFormat("single.csv", (Column("id", required=True, is_id=True),))

    assert _rows('id\n"a ""b"""\n c\n"d,e"', single) == [(2, 'a "b"'), (3, "c"), (4, "d,e")]


def test_a_very_wide_file_is_read_and_checked() -> None:
    names = ["id", "name", *(f"extra{number}" for number in range(2000))]
    cells = ["1", '"Ada"', *["x"] * 2000]
    short = ",".join(cells[:-1])

    reading = _read("\n".join([",".join(names), ",".join(cells), short]))

    assert reading.rows["people.csv"].rows() == [(2, "1", "Ada", None)]
    assert reading.file_errors.rows() == [("columns_invalid", "people.csv", 3, "2001 cells for 2002 columns", short)]


# --- whole files ---


def test_a_missing_file_is_reported_and_the_others_are_checked() -> None:
    reading = read_files(
        Format("test", (PEOPLE, PETS, LOOSE), read_files, _no_roster),
        {"loose.csv": b"a,b,c\n1,2\n", "other.csv": b"\x00"},
    )

    assert reading.file_errors.rows() == [
        ("file_missing", "people.csv", None, "found other.csv", None),
        ("file_missing", "pets.csv", None, "found other.csv", None),
        ("columns_invalid", "loose.csv", 2, "2 cells for 3 columns", "1,2"),
    ]
    assert {name: rows.columns for name, rows in reading.rows.items()} == {
        "people.csv": ["line", "id", "name", "note"],
        "pets.csv": ["line", "id", "owner_id"],
        "loose.csv": ["line", "a", "b", "c"],
    }


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\t\r\n", codecs.BOM_UTF8, codecs.BOM_UTF16_LE])
def test_a_file_without_any_text_is_empty(data: bytes) -> None:
    assert _errors(data) == [("file_empty", None, None, None)]


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"PK\x03\x04\x14\x00rest", "it is a spreadsheet or a compressed file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "it is a spreadsheet or another office document"),
        (gzip.compress(b"id,name\n1,Ada\n", mtime=0), "it is a compressed file"),
        (b"%PDF-1.7\n", "it is a PDF document"),
        (b"<!DOCTYPE html>\n<html>\n<p>id,name\n</html>", "it is a web page or an XML document"),
        ("\ufeff\n <html lang=es>\n<p>a\u00f1o".encode("utf-16"), "it is a web page or an XML document"),
        ("<html>a\u00f1o".encode("latin-1"), "it is a web page or an XML document"),
        (b'<?xml version="1.0"?>\n', "it is a web page or an XML document"),
        (b'[\n{"id": 1, "name": "x"}]', "it is a JSON document"),
        (b'{"rows": []}', "it is a JSON document"),
        (b"i\x00d,name\n1,Ada\n", None),
        (b"\x00\x01\x02\xff\xfe\x00,\n", None),
    ],
)
def test_a_file_that_is_no_text_is_unreadable(data: bytes, detail: str | None) -> None:
    assert _errors(data) == [("file_unreadable", None, detail, None)]


def test_another_encoding_is_reported_at_its_first_bad_line_and_the_rest_is_checked() -> None:
    data = "id,name\r\n1,Ada\r\r\n2,Zoë\r\n3,Nuñez,x\r\n,Ben\r\n4,Ana".encode("latin-1")

    assert _errors(data) == [
        ("encoding_invalid", 4, "looks like Windows-1252", "2,Zo\ufffd"),
        ("columns_invalid", 5, "3 cells for 2 columns", "3,Nu\ufffdez,x"),
        ("id_missing", 6, "column id", ",Ben"),
    ]


NAMES = "id,name\n1,Ada\n2,Zoë García\n3,José Nuñez\n4,François Lefèvre\n5,Raúl Pérez\n"
CURLY = NAMES + "6,Seán O\u2019Brien\n"


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        pytest.param(CURLY.replace("\n", "\r\n").encode("cp1252"), "looks like Windows-1252", id="Windows-1252"),
        pytest.param(CURLY.replace("\n", "\r").encode("mac_roman"), "looks like MacRoman", id="MacRoman"),
        pytest.param(
            "id,name\n1,Ada\n2,Ángel\n3,Óscar\n4,María\n".encode("cp1252"), "looks like Windows-1252", id="few letters"
        ),
        pytest.param(NAMES.encode("latin-1"), "looks like Windows-1252", id="Latin-1"),
        pytest.param(NAMES.encode("cp437"), "looks like DOS (code page 437 or 850)", id="code page 437"),
        pytest.param(NAMES.encode("cp850"), "looks like DOS (code page 437 or 850)", id="code page 850"),
        pytest.param(
            "id,name\n1,Ada\n2,Ольга Иванова\n3,Сергей Петров\n".encode("cp1251"), None, id="none of the candidates"
        ),
        pytest.param(b"id,name\n1,Ada\n2," + random.Random(1).randbytes(2000), None, id="random"),
        pytest.param(b"id,name\n1,Ada\n2,Ang\x82lica\n", None, id="too little to tell"),
        pytest.param("id,name\n1,Ada\n2,Zoë".encode()[:-1], None, id="UTF-8 that breaks off"),
        pytest.param(b"id,name\n1,Ada\n2," + b"x" * 300_000 + b"\xe9", None, id="in a very long line"),
    ],
)
def test_the_likely_encoding_is_named_where_one_alone_fits(data: bytes, detail: str | None) -> None:
    assert _encoding_errors(data) == [(3, detail)]


@pytest.mark.parametrize(("kilobytes", "detail"), [(200, "looks like DOS (code page 437 or 850)"), (256, None)])
def test_no_more_than_256_kb_from_the_bad_line_on_show_the_encoding(kilobytes: int, detail: str | None) -> None:
    plain = b"1,Ada..\n" * (kilobytes * 128)
    data = b"id,name\n1,Ada\n2,Ang\x82lica\n" + plain + NAMES.encode("cp437")

    assert _encoding_errors(data) == [(3, detail)]


def _encoding_errors(data: bytes) -> list[tuple[object, object]]:
    """Line and detail of each."""
    return [(line, detail) for code, line, detail, _ in _errors(data) if code == "encoding_invalid"]


def test_bad_utf_16_is_reported_at_its_line() -> None:
    data = codecs.BOM_UTF16_LE + "id,name\n1,Ada\n2,B".encode("utf-16-le") + b"e"

    assert _errors(data) == [("encoding_invalid", 3, None, "2,B\ufffd")]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_no_encoding_to_go_by(encoding: str) -> None:
    assert _errors("id,name\n1,Ada\n".encode(encoding)) == [("encoding_invalid", 1, None, None)]


# --- file names ---


@pytest.mark.parametrize("name", ["people.csv", "People.CSV", " PEOPLE.csv\u200b", "\ufeffpeople.csv\u00a0"])
def test_names_of_files_match_without_case_and_what_cannot_be_seen(name: str) -> None:
    reading = read_files(Format("test", (PEOPLE,), read_files, _no_roster), {name: b"id,name\n1,Ada\n"})

    assert reading.rows["people.csv"].rows() == [(2, "1", "Ada", None)]
    assert (reading.file_errors.rows(), reading.notes) == ([], ())


def test_what_is_no_file_of_the_format_is_named_in_the_notes_and_where_one_is_missing() -> None:
    others = ["people (1).csv", "people.txt", "people .csv", ".people.csv", "Ü.csv", "a.zip", "b.zip"]
    files = {"pets.csv": b"id,owner_id\n", **dict.fromkeys(others, b"")}
    reading = read_files(Format("test", (PEOPLE, PETS), read_files, _no_roster), files)

    listed = "a.zip, b.zip, people (1).csv, people .csv, people.txt and 2 more"
    assert reading.file_errors.rows() == [("file_missing", "people.csv", None, f"found {listed}", None)]
    assert reading.notes == (f"not files of the format, left out: {listed}",)


def test_two_names_of_one_file_are_reported_and_neither_is_read() -> None:
    files = {"people.csv": b"id,name\n1,Ada\n", "People.csv": b"x", "notes.txt": b""}
    reading = read_files(Format("test", (PEOPLE,), read_files, _no_roster), files)

    assert reading.file_errors.rows() == [
        ("file_duplicate", "people.csv", None, "found People.csv and people.csv", None)
    ]
    assert reading.rows["people.csv"].rows() == []
    assert reading.notes == ("not a file of the format, left out: notes.txt",)


# --- the header ---


def test_each_missing_required_column_is_reported() -> None:
    assert _errors("\nnote,nom\nx,y") == [
        ("column_missing", 2, "column id", "note,nom"),
        ("column_missing", 2, "column name", "note,nom"),
    ]


@pytest.mark.parametrize(
    ("lines", "detail"),
    [
        (["sep=,", "id,name", "1,Ada"], "the column names are in line 2"),
        (["sep=;", "id;name", "1;Ada"], "the column names are in line 2"),
        (["Roster; 2026", "", "", '"ID" , Name', '1,"a, b"', '2,"c; d"'], "the column names are in line 4"),
        (["17,Ada Planted,x", "18,Ben Planted,y", ",Cy,"], None),
        (["identity,first,last,more", "1,Ada"], None),
    ],
)
def test_a_first_line_that_is_no_header_is_reported_once(lines: list[str], detail: str | None) -> None:
    assert _errors("\n".join(lines)) == [("header_missing", 1, detail, lines[0])]


def test_a_header_is_looked_for_no_further_than_a_title_goes() -> None:
    title = ["title", *["x"] * 9]
    assert _errors("\n".join([*title, "id,name"])) == [
        ("header_missing", 1, "the column names are in line 11", "title")
    ]
    assert _errors("\n".join([*title, "x", "id,name"])) == [("header_missing", 1, None, "title")]


def test_an_encoding_is_reported_beside_a_missing_header() -> None:
    assert _errors("1,Ada\n2,Zoë".encode("latin-1")) == [
        ("header_missing", 1, None, "1,Ada"),
        ("encoding_invalid", 2, None, "2,Zo\ufffd"),
    ]


def test_duplicate_columns_are_reported_by_our_name_or_by_their_places() -> None:
    header = "id,Name,name ,Pet,pet,PET,,"

    assert _errors(f"{header}\n1,2,3,4,5,6,7,8") == [
        ("column_duplicate", 1, "column Name", header),
        ("column_duplicate", 1, "columns number 4, 5 and 6", header),
    ]


@pytest.mark.parametrize(("separator", "words"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
def test_another_separator_is_reported_and_the_rest_is_checked_with_it(separator: str, words: str) -> None:
    lines = ["id,name,note", '1,"a;b",c'.replace("a;b", "a,b".replace(",", separator)), "2,Ben", ",Cy,x"]
    header, good, short, nameless = (line.replace(",", separator) for line in lines)

    assert _errors("\n".join([header, good, short, nameless])) == [
        ("separator_invalid", 1, f"{words} instead of commas", header),
        ("columns_invalid", 3, "2 cells for 3 columns", short),
        ("id_missing", 4, "column id", nameless),
    ]


def test_a_comma_file_whose_values_hold_other_separators_is_one_of_commas() -> None:
    assert _rows("id,name,a;b|c;d\n1,x;y;z,2") == [(2, "1", "x;y;z", None)]


def test_a_header_with_bad_quotes_is_reported_and_the_quotes_of_the_rest_are_checked() -> None:
    assert _errors('id,na"me\n1,Ada,3\n2,B"en') == [
        ("quotes_invalid", 1, None, 'id,na"me'),
        ("quotes_invalid", 3, None, '2,B"en'),
    ]


def test_a_header_broken_over_two_lines_is_reported_and_still_read() -> None:
    assert _errors('id,"name\n",note\n1,Ada,x\n2,Ben') == [
        ("line_break_in_cell", 1, None, 'id,"name'),
        ("columns_invalid", 4, "2 cells for 3 columns", "2,Ben"),
    ]


# --- the rows ---


@pytest.mark.parametrize(
    ("row", "cells"), [("1", 1), ("1,Ada", 2), ("1,Ada,x,", 4), ("1,Ada,x,y,z", 5), ('1,"Ada,x"', 2), ('"1",A,,"b"', 4)]
)
def test_a_row_with_too_few_or_too_many_cells_is_reported(row: str, cells: int) -> None:
    assert _errors(f"id,name,note\n9,Zed,z\n{row}\n8,Yan,y") == [
        ("columns_invalid", 3, f"{cells} cell{'s' if cells > 1 else ''} for 3 columns", row)
    ]


@pytest.mark.parametrize(
    "row",
    [
        '1,A"d"a',
        '1,"Ada"x',
        '1,"A"d"a"',
        '1,x "Ada"',
        '1,"Ada" x',
        '1,Ada"',
        '1,"Ada',
        '"1,Ada',
        "1,5'2\"",
        '1,"Ada"",',
    ],
)
def test_a_quote_that_does_not_enclose_the_whole_cell_is_reported(row: str) -> None:
    assert _errors(f"id,name\n9,Zed\n{row}\n8,Yan") == [("quotes_invalid", 3, None, row)]


def test_an_unclosed_quote_swallows_no_other_line() -> None:
    assert _errors('id,name\n1,"Ada\n2,Ben\n3,Cy,x\n4,"Di\n5,"Ed"\n,F') == [
        ("quotes_invalid", 2, None, '1,"Ada'),
        ("columns_invalid", 4, "3 cells for 2 columns", "3,Cy,x"),
        ("quotes_invalid", 5, None, '4,"Di'),
        ("id_missing", 7, "column id", ",F"),
    ]


def test_a_line_break_inside_a_cell_is_reported_once_at_the_line_it_opens_on() -> None:
    assert _errors('id,name,note\n1,"Ada\n\nof the hill",x\n2,Ben\n3,"C\ny","d\r\nd"\n4,Di,x') == [
        ("line_break_in_cell", 2, None, '1,"Ada'),
        ("columns_invalid", 5, "2 cells for 3 columns", "2,Ben"),
        ("line_break_in_cell", 6, None, '3,"C'),
    ]


def test_lines_that_could_stand_alone_belong_to_the_record_broken_before() -> None:
    reading = _read('id,name\n1,"Ada\n2,Ben\n3,Cy"\n4,Di')

    assert reading.file_errors.drop("file").rows() == [("line_break_in_cell", 2, None, '1,"Ada')]
    assert reading.rows["people.csv"].rows() == [(5, "4", "Di", None)]


def test_lines_that_do_not_join_to_one_record_of_the_right_width_stand_alone() -> None:
    reading = _read('id,name\n1,"Ada\n2,Ben",x\n3,Cy')

    assert reading.file_errors.drop("file").rows() == [
        ("quotes_invalid", 2, None, '1,"Ada'),
        ("quotes_invalid", 3, None, '2,Ben",x'),
    ]
    assert reading.rows["people.csv"].rows() == [(4, "3", "Cy", None)]


@pytest.mark.parametrize(("between", "code"), [(99, "line_break_in_cell"), (100, "quotes_invalid")])
def test_the_end_of_a_broken_cell_is_looked_for_within_a_hundred_lines(between: int, code: str) -> None:
    lines = ["id,name", '1,"Ada', *["x,y"] * between, 'z"', "2,Ben"]

    assert _errors("\n".join(lines))[0] == (code, 2, None, '1,"Ada')


def test_a_null_character_is_reported_before_any_other_error_of_its_line() -> None:
    assert _errors('id,name\n1,A\0da\n2,B"en\0\n3,\0,x\n\0,D\n4,Di') == [
        ("nul_character", 2, None, "1,A\0da"),
        ("nul_character", 3, None, '2,B"en\0'),
        ("nul_character", 4, None, "3,\0,x"),
        ("nul_character", 5, None, "\0,D"),
    ]


def test_a_null_character_inside_a_broken_record_is_reported_on_its_own_line() -> None:
    assert _errors('id,name\n1,"Ada\nx\0y"\n2,Ben') == [
        ("line_break_in_cell", 2, None, '1,"Ada'),
        ("nul_character", 3, None, 'x\0y"'),
    ]


def test_each_empty_cell_under_a_required_id_is_reported_with_its_column() -> None:
    home = FileFormat("home.csv", (*PETS.columns, Column("street")))
    reading = _read('ID,Owner ID,Street\n1,2,x\n,2,x\n\u00a0\u200b,y,\n1, "" ,\n,," ""x"""\n3,4,x', home)

    assert reading.file_errors.drop("file").rows() == [
        ("id_missing", 3, "column ID", ",2,x"),
        ("id_missing", 4, "column ID", "\u00a0\u200b,y,"),
        ("id_missing", 5, "column Owner ID", '1, "" ,'),
        ("id_missing", 6, "column ID", ',," ""x"""'),
        ("id_missing", 6, "column Owner ID", ',," ""x"""'),
    ]
    assert reading.rows["home.csv"].rows() == [(2, "1", "2", "x"), (7, "3", "4", "x")]


def test_every_bad_row_is_reported_however_many() -> None:
    bad = [f"{number},x,y" for number in range(5000)]

    assert [error[1] for error in _errors("\n".join(["id,name", *bad]))] == list(range(2, 5002))


def test_a_failure_of_polars_shows_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise pl.exceptions.ComputeError("could not parse 'Ada Planted'")

    monkeypatch.setattr(pl, "read_csv", fail)

    with pytest.raises(DataError) as raised:
        _read("id,name\n1,Ada Planted")

    assert (raised.value.step, raised.value.kind) == ("reading people.csv", "ComputeError")
    assert "Planted" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


# --- for any text ---

# Unicode's White_Space, format and control characters.
BLANKS = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
BLANKS += "\u2028\u2029\u202f\u205f\u3000"
BLANKS += "".join(map(chr, range(1, 32))) + "\x7f" + "".join(map(chr, range(0x80, 0xA0)))
BLANKS += "".join(character for character in map(chr, range(0x110000)) if unicodedata.category(character) == "Cf")

cell_text = st.text(
    st.one_of(
        st.sampled_from('",;"\t |\x0b\x85\u2028\ufeff\u200b\x01aé-'),
        st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]),
    ),
    max_size=6,
)
written_cell = st.tuples(cell_text, st.booleans())
written_line = st.one_of(
    st.lists(written_cell, min_size=3, max_size=3),
    st.sampled_from(["", " ", "\t \u3000"]),
)


def _written(cell: tuple[str, bool]) -> str:
    text, in_quotes = cell
    around = "\u2060" if in_quotes and text.startswith("\ufeff") else ""
    return around + '"' + text.replace('"', '""') + '"' + around if in_quotes or "," in text or '"' in text else text


def _trimmed(text: str) -> str | None:
    return text.strip(BLANKS) or None


@settings(deadline=None)
@given(
    lines=st.lists(st.tuples(written_line, st.sampled_from(["\n", "\r\n", "\r"])), max_size=12),
    header_end=st.sampled_from(["\n", "\r\n", "\r"]),
    final_end=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@example(
    lines=[([("\ufeff", False), ("", False), ("", False)], "\n")], header_end="\n", final_end=False, encoding="utf-8"
)
def test_no_record_is_lost_and_no_line_misplaced(
    lines: list[tuple[list[tuple[str, bool]] | str, str]], header_end: str, final_end: bool, encoding: str
) -> None:
    text, end = "a,b,c", header_end
    expected: list[tuple[object, ...]] = []
    for number, (line, next_end) in enumerate(lines, start=2):
        # An LF right after a bare CR would be the second half of a CRLF.
        written = line if isinstance(line, str) else ",".join(map(_written, line))
        text += end + written
        end = "\r\n" if written == "" and end == "\r" and next_end == "\n" else next_end
        if not isinstance(line, str):
            cells = [_trimmed(cell) for cell, _ in line]
            if any(cells) and not _is_drawn(cells):
                expected.append((number, *cells))
    text += end if final_end else ""

    assert _rows(text.encode(encoding), LOOSE) == expected


def _is_drawn(cells: list[str | None]) -> bool:
    """Whether a line of dashes, at least three in some cell, and not a record."""
    return max(cell or "" for cell in cells).count("-") > 2 and {*"".join(cell or "" for cell in cells)} == {"-"}


def _cells_by_the_book(line: str) -> list[str] | None:
    """One line's cells, character by character; None where its quotes are not right."""
    cells, at = [], 0
    while True:
        cell = ""
        if line[at:].lstrip().startswith('"'):
            at = line.index('"', at) + 1
            while line[at : at + 1] != '"' or line[at : at + 2] == '""':
                if at >= len(line):
                    return None
                cell += line[at]
                at += 2 if line[at] == '"' else 1
            at += 1
            while line[at : at + 1] == " ":
                at += 1
        else:
            while at < len(line) and line[at] != ",":
                if line[at] == '"':
                    return None
                cell += line[at]
                at += 1
        cells.append(cell)
        if at == len(line):
            return cells
        if line[at] != ",":
            return None
        at += 1


@settings(deadline=None, max_examples=300)
@given(st.lists(st.text('a",\0 ', max_size=9), max_size=8))
@example(['"a","', '","a"', "a,a,a"])
@example(["a,a,a", '"', '",a,a'])
@example([',,"\0', '"'])
@example([', "', ',"'])
def test_every_line_is_read_reported_or_part_of_a_broken_record(lines: list[str]) -> None:
    reading = _read("\n".join(["a,b,c", *lines]), LOOSE)
    read = {row[0]: list(row[1:]) for row in reading.rows["loose.csv"].rows()}
    told = {line: code for code, _, line, _, _ in reading.file_errors.rows()}
    broken: set[int] = set()
    for number, code in told.items():
        if code == "line_break_in_cell":
            cells, last = None, number
            while cells is None:
                last += 1
                cells = _cells_by_the_book("\n".join(lines[number - 2 : last - 1]))
            assert len(cells) == 3
            broken.update(range(number + 1, last + 1))

    for number, line in enumerate(lines, start=2):
        by_the_book = _cells_by_the_book(line)
        if "\0" in line:
            assert told[number] == "nul_character"
        elif number in broken or (by_the_book is not None and not any(map(_trimmed, by_the_book))):
            assert number not in told
        elif by_the_book is None:
            assert told[number] in ("quotes_invalid", "line_break_in_cell")
        elif len(by_the_book) != 3:
            assert told[number] == "columns_invalid"
        else:
            tight = re.sub(r' *((?:"[^"]*")+) *', r"\1", line)
            assert next(csv.reader([tight], strict=True)) == by_the_book
            assert read.pop(number) == [_trimmed(cell) for cell in by_the_book]
    assert read == {}
    assert len(told) == reading.file_errors.height


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_reported(data: bytes) -> None:
    reading = _read(data)

    assert not reading.file_errors.is_empty()
    assert all(re.fullmatch("[a-z_]+", code) for code in reading.file_errors["code"])
