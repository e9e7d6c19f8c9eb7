import codecs
import csv
import io

import phonenumbers
import polars as pl
import pytest

from contracts.formats import FORMATS
from contracts.formats.delimited import read_files
from sandbox.csv_files import HEADERS, SPELLINGS, CsvStyle, rows
from sandbox.generator import generate

STYLES = [
    CsvStyle(),
    CsvStyle(line_end="\r\n", bom=True, quoting="everything"),
    CsvStyle(line_end="\r", final_newline=False, quoting="mixed"),
    CsvStyle(encoding="utf-16-le"),
    CsvStyle(encoding="utf-16-be", line_end="\r\n"),
    CsvStyle(separator=";"),
]
MARKS = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


@pytest.mark.parametrize("style", STYLES)
def test_every_style_holds_the_same_rows(style: CsvStyle) -> None:
    district = generate(students=40)
    expected = rows(district)
    for name, content in district.csv_files(style).items():
        mark = MARKS[style.encoding] if style.bom or style.encoding != "utf-8" else b""
        assert content.startswith(mark)
        text = content.removeprefix(mark).decode(style.encoding)
        assert text.endswith(style.line_end) == style.final_newline
        read = list(csv.reader(io.StringIO(text, newline=""), delimiter=style.separator, strict=True))
        wanted = [tuple(cell or "" for cell in row) for row in expected[name].iter_rows()]
        assert [tuple(row) for row in read] == [HEADERS[name], *wanted]


def test_quoting_is_as_the_style_says() -> None:
    district = generate(students=40)
    header, row = district.csv_files(CsvStyle(quoting="everything"))["schools.csv"].split(b"\n")[:2]
    assert (header, row) == (b'"school_id","school_name"', b'"0101","Lincoln High School"')
    assert district.csv_files()["schools.csv"].split(b"\n")[1] == b"0101,Lincoln High School"
    mixed = district.csv_files(CsvStyle(quoting="mixed"))["enrollments.csv"].split(b"\n")[1:-1]
    cells = [cell.startswith(b'"') for line in mixed for cell in line.split(b",")]
    assert 0.2 < sum(cells) / len(cells) < 0.4


def test_phones_and_dates_come_in_several_notations_and_mean_what_the_district_holds() -> None:
    district = generate(students=400)
    guardians = rows(district)["students.csv"].select("guardian_phone").unique()["guardian_phone"].drop_nulls()
    shapes = guardians.str.replace_all("[0-9]", "9")
    assert set(shapes) == {
        "+99999999999",
        "(999) 999-9999",
        "999-999-9999",
        "999.999.9999",
        "9999999999",
        "9-999-999-9999",
    }
    parsed = {phonenumbers.format_number(phonenumbers.parse(phone, "US"), 0) for phone in guardians}
    assert parsed == set(district.of_kind("guardian")["phone"].drop_nulls())

    dates = rows(district)["students.csv"].select("student_id", "dob").unique()
    spelled = dates["dob"]
    iso = spelled.str.to_date("%Y-%m-%d", strict=False)
    long = spelled.str.to_date("%m/%d/%Y", strict=False)
    short = spelled.str.to_date("%m/%d/%y", strict=False)
    short_ones = spelled.str.contains("/[0-9]{2}$")
    read = pl.select(pl.coalesce(iso, pl.when(short_ones).then(short).otherwise(long)).alias("birth_date")).to_series()
    truth = district.of_kind("student").select("external_id", "birth_date")
    assert dates.select("student_id", read).sort("student_id").rows() == truth.sort("external_id").rows()
    assert set(spelled.str.replace_all("[0-9]", "9")) == {
        *("9999-99-99", "99/99/9999", "9/9/9999", "9/99/9999", "99/9/9999"),
        *("9/9/99", "9/99/99", "99/9/99", "99/99/99"),
    }


def test_a_row_is_repeated_for_every_guardian_school_and_teacher() -> None:
    district = generate(students=200)
    files = rows(district)
    schools = district.school_members.filter(pl.col("kind") == "student").group_by("person").len(name="schools")
    guardians = district.guardianships.group_by("student").len(name="guardians")
    both = schools.join(guardians, left_on="person", right_on="student")
    assert files["students.csv"].height == int((both["schools"] * both["guardians"]).sum())
    assert files["teachers.csv"].height == district.school_members.filter(pl.col("kind") == "employee").height
    assert files["classes.csv"].height == int(district.class_members["is_owner"].sum())
    assert files["enrollments.csv"].height == int((~district.class_members["is_owner"]).sum())


def test_columns_are_spelled_as_the_style_says_and_mean_the_same() -> None:
    district = generate(students=40)
    expected = read_files(FORMATS["csv-1.0"], district.csv_files())
    spelled = {
        style: read_files(FORMATS["csv-1.0"], district.csv_files(CsvStyle(spelling=style)))
        for style in ("published", "other", "mixed")
    }
    for reading in spelled.values():
        assert (reading.file_errors.height, reading.notes) == (0, ())
        assert all(reading.rows[name].equals(frame) for name, frame in expected.rows.items())
    assert {
        style: {
            name: sum(spelling != column for column, spelling in columns.items()) for name, columns in found.items()
        }
        for style, reading in spelled.items()
        if (found := reading.columns)
    } == {
        "published": dict.fromkeys(HEADERS, 0),
        "other": {"schools.csv": 0, "teachers.csv": 4, "students.csv": 5, "classes.csv": 0, "enrollments.csv": 1},
        "mixed": {**dict.fromkeys(HEADERS, 0), "students.csv": 5},
    }
    assert set(SPELLINGS) == set(spelled)


def test_teachers_are_enrolled_beside_the_first_of_each_class() -> None:
    district = generate(students=200)
    usual, enrolled = rows(district), rows(district, teachers_enrolled=True)
    taught = usual["classes.csv"].select("school_id", "class_id", user_id="teacher_id")
    assert enrolled["classes.csv"].equals(usual["classes.csv"].unique("class_id", keep="first", maintain_order=True))
    assert usual["classes.csv"].height > enrolled["classes.csv"].height
    assert sorted(enrolled["enrollments.csv"].rows()) == sorted([*taught.rows(), *usual["enrollments.csv"].rows()])
    assert all(enrolled[name].equals(usual[name]) for name in ("schools.csv", "teachers.csv", "students.csv"))
    assert (
        district.csv_files(teachers_enrolled=True)["enrollments.csv"].count(b"\n")
        == 1 + enrolled["enrollments.csv"].height
    )
