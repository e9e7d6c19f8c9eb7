"""The format check and reader: every bad row told at its line, no good row lost or misplaced."""

from __future__ import annotations

import codecs
import csv
import gzip
import re

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.delimited import FILE_ERRORS, read_files
from contracts.formats import CSV, Column, FileFormat, Format, Reading
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
    return read_files(Format("test", CSV, (file,), read_files, _no_roster), {file.name: encoded})


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


def test_unknown_columns_are_left_out_and_named_in_the_notes() -> None:
    reading = _read("Locker, id,,name,Home Room,\n9,1,x,Ada,12,y")

    assert reading.rows["people.csv"].rows() == [(2, "1", "Ada", None)]
    assert reading.file_errors.rows() == []
    assert reading.notes == ("people.csv: unknown columns left out: Locker, Home Room, 2 without a name",)


def test_names_of_unknown_columns_are_not_told_of_a_file_with_errors() -> None:
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
    assert reading.file_errors.rows() == [("columns_invalid", "people.csv", 3, "2001 cells, 2002 columns", short)]


# --- whole files ---


def test_a_missing_file_is_told_and_the_others_are_checked() -> None:
    reading = read_files(
        Format("test", CSV, (PEOPLE, PETS, LOOSE), read_files, _no_roster),
        {"loose.csv": b"a,b,c\n1,2\n", "other.csv": b"\x00"},
    )

    assert reading.file_errors.rows() == [
        ("file_missing", "people.csv", None, None, None),
        ("file_missing", "pets.csv", None, None, None),
        ("columns_invalid", "loose.csv", 2, "2 cells, 3 columns", "1,2"),
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
        (b"i\x00d,name\n1,Ada\n", None),
        (b"\x00\x01\x02\xff\xfe\x00,\n", None),
    ],
)
def test_a_file_that_is_no_text_is_unreadable(data: bytes, detail: str | None) -> None:
    assert _errors(data) == [("file_unreadable", None, detail, None)]


def test_another_encoding_is_told_at_its_first_bad_line_and_the_rest_is_checked() -> None:
    data = "id,name\r\n1,Ada\r\r\n2,Zoë\r\n3,Nuñez,x\r\n,Ben\r\n4,Ana".encode("latin-1")

    assert _errors(data) == [
        ("encoding_invalid", 4, None, "2,Zo\ufffd"),
        ("columns_invalid", 5, "3 cells, 2 columns", "3,Nu\ufffdez,x"),
        ("id_missing", 6, "column id", ",Ben"),
    ]


def test_bad_utf_16_is_told_at_its_line() -> None:
    data = codecs.BOM_UTF16_LE + "id,name\n1,Ada\n2,B".encode("utf-16-le") + b"e"

    assert _errors(data) == [("encoding_invalid", 3, None, "2,B\ufffd")]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_no_encoding_to_go_by(encoding: str) -> None:
    assert _errors("id,name\n1,Ada\n".encode(encoding)) == [("encoding_invalid", 1, None, None)]


# --- the header ---


def test_each_missing_required_column_is_told() -> None:
    assert _errors("\nnote,nom\nx,y") == [
        ("column_missing", 2, "column id", "note,nom"),
        ("column_missing", 2, "column name", "note,nom"),
    ]


def test_duplicate_columns_are_told_by_our_name_or_by_their_places() -> None:
    header = "id,Name,name ,Pet,pet,PET,,"

    assert _errors(f"{header}\n1,2,3,4,5,6,7,8") == [
        ("column_duplicate", 1, "column name", header),
        ("column_duplicate", 1, "columns number 4, 5 and 6", header),
    ]


@pytest.mark.parametrize(("separator", "words"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
def test_another_separator_is_told_and_the_rest_is_checked_with_it(separator: str, words: str) -> None:
    lines = ["id,name,note", '1,"a;b",c'.replace("a;b", "a,b".replace(",", separator)), "2,Ben", ",Cy,x"]
    header, good, short, nameless = (line.replace(",", separator) for line in lines)

    assert _errors("\n".join([header, good, short, nameless])) == [
        ("separator_invalid", 1, f"{words} instead of commas", header),
        ("columns_invalid", 3, "2 cells, 3 columns", short),
        ("id_missing", 4, "column id", nameless),
    ]


def test_a_comma_file_whose_values_hold_other_separators_is_one_of_commas() -> None:
    assert _rows("id,name,a;b|c;d\n1,x;y;z,2") == [(2, "1", "x;y;z", None)]


def test_a_header_with_bad_quotes_is_told_and_the_quotes_of_the_rest_are_checked() -> None:
    assert _errors('id,na"me\n1,Ada,3\n2,B"en') == [
        ("quotes_invalid", 1, None, 'id,na"me'),
        ("quotes_invalid", 3, None, '2,B"en'),
    ]


def test_a_header_broken_over_two_lines_is_told_and_still_read() -> None:
    assert _errors('id,"name\n",note\n1,Ada,x\n2,Ben') == [
        ("line_break_in_cell", 1, None, 'id,"name'),
        ("columns_invalid", 4, "2 cells, 3 columns", "2,Ben"),
    ]


# --- the rows ---


@pytest.mark.parametrize(
    ("row", "cells"), [("1", 1), ("1,Ada", 2), ("1,Ada,x,", 4), ("1,Ada,x,y,z", 5), ('1,"Ada,x"', 2), ('"1",A,,"b"', 4)]
)
def test_a_row_with_too_few_or_too_many_cells_is_told(row: str, cells: int) -> None:
    assert _errors(f"id,name,note\n9,Zed,z\n{row}\n8,Yan,y") == [
        ("columns_invalid", 3, f"{cells} cells, 3 columns", row)
    ]


@pytest.mark.parametrize(
    "row",
    ['1,A"d"a', '1,"Ada"x', '1,"A"d"a"', '1, "Ada"', '1,"Ada" ', '1,Ada"', '1,"Ada', '"1,Ada', "1,5'2\"", '1,"Ada"",'],
)
def test_a_quote_that_does_not_enclose_the_whole_cell_is_told(row: str) -> None:
    assert _errors(f"id,name\n9,Zed\n{row}\n8,Yan") == [("quotes_invalid", 3, None, row)]


def test_an_unclosed_quote_swallows_no_other_line() -> None:
    assert _errors('id,name\n1,"Ada\n2,Ben\n3,Cy,x\n4,"Di\n5,"Ed"\n,F') == [
        ("quotes_invalid", 2, None, '1,"Ada'),
        ("columns_invalid", 4, "3 cells, 2 columns", "3,Cy,x"),
        ("quotes_invalid", 5, None, '4,"Di'),
        ("id_missing", 7, "column id", ",F"),
    ]


def test_a_line_break_inside_a_cell_is_told_once_at_the_line_it_opens_on() -> None:
    assert _errors('id,name,note\n1,"Ada\n\nof the hill",x\n2,Ben\n3,"C\ny","d\r\nd"\n4,Di,x') == [
        ("line_break_in_cell", 2, None, '1,"Ada'),
        ("columns_invalid", 5, "2 cells, 3 columns", "2,Ben"),
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


def test_a_null_character_is_told_before_any_other_error_of_its_line() -> None:
    assert _errors('id,name\n1,A\0da\n2,B"en\0\n3,\0,x\n\0,D\n4,Di') == [
        ("nul_character", 2, None, "1,A\0da"),
        ("nul_character", 3, None, '2,B"en\0'),
        ("nul_character", 4, None, "3,\0,x"),
        ("nul_character", 5, None, "\0,D"),
    ]


def test_a_null_character_inside_a_broken_record_is_told_on_its_own_line() -> None:
    assert _errors('id,name\n1,"Ada\nx\0y"\n2,Ben') == [
        ("line_break_in_cell", 2, None, '1,"Ada'),
        ("nul_character", 3, None, 'x\0y"'),
    ]


def test_each_empty_cell_under_a_required_id_is_told_with_its_column() -> None:
    reading = _read('id,owner_id\n1,2\n,2\n " ",x\n1,""\n, \n3,4'.replace(' " ",x', "\u00a0,x"), PETS)

    assert reading.file_errors.drop("file").rows() == [
        ("id_missing", 3, "column id", ",2"),
        ("id_missing", 4, "column id", "\u00a0,x"),
        ("id_missing", 5, "column owner_id", '1,""'),
        ("id_missing", 6, "column id", ", "),
        ("id_missing", 6, "column owner_id", ", "),
    ]
    assert reading.rows["pets.csv"].rows() == [(2, "1", "2"), (7, "3", "4")]


def test_every_bad_row_is_told_however_many() -> None:
    bad = [f"{number},x,y" for number in range(5000)]

    assert [error[1] for error in _errors("\n".join(["id,name", *bad]))] == list(range(2, 5002))


def test_a_failure_of_polars_tells_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
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

# Unicode's White_Space; Python's own strip also takes the separators \x1c to \x1f for blanks.
BLANKS = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
BLANKS += "\u2028\u2029\u202f\u205f\u3000"

cell_text = st.text(
    st.one_of(
        st.sampled_from('",;"\t |\x0b\x85\u2028\ufeffaé'),
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
    return '"' + text.replace('"', '""') + '"' if in_quotes or "," in text or '"' in text else text


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
            expected.append((number, *(_trimmed(cell) for cell, _ in line)))
    text += end if final_end else ""

    assert _rows(text.encode(encoding), LOOSE) == expected


def _cells_by_the_book(line: str) -> list[str] | None:
    """One line's cells, character by character; None where its quotes are not right."""
    cells, at = [], 0
    while True:
        cell = ""
        if line.startswith('"', at):
            at += 1
            while line[at : at + 1] != '"' or line[at : at + 2] == '""':
                if at >= len(line):
                    return None
                cell += line[at]
                at += 2 if line[at] == '"' else 1
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
def test_every_line_is_read_told_or_part_of_a_broken_record(lines: list[str]) -> None:
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
        elif number in broken or line.strip() == "":
            assert number not in told
        elif by_the_book is None:
            assert told[number] in ("quotes_invalid", "line_break_in_cell")
        elif len(by_the_book) != 3:
            assert told[number] == "columns_invalid"
        else:
            assert next(csv.reader([line], strict=True)) == by_the_book
            assert read.pop(number) == [_trimmed(cell) for cell in by_the_book]
    assert read == {}
    assert len(told) == reading.file_errors.height


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_told(data: bytes) -> None:
    reading = _read(data)

    assert not reading.file_errors.is_empty()
    assert all(re.fullmatch("[a-z_]+", code) for code in reading.file_errors["code"])
