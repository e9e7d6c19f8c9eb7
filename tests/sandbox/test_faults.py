import polars as pl
import pytest

from contracts.issues import CATALOGUE, Severity
from sandbox.csv_files import CsvStyle
from sandbox.faults import EXPECTED, FAULTS, plant
from sandbox.generator import generate

# What only an earlier night makes a fault of, and what only many records do.
WITH_A_PAST = {"enrollment_ambiguous", "former_school_unknown"}
OF_MANY = {"date_order_unclear"}


def test_there_is_a_fault_for_every_error_and_alert_that_files_can_have_by_themselves() -> None:
    severities = (Severity.ERROR, Severity.ALERT)
    codes = {code for code, entry in CATALOGUE.items() if entry.severity in severities}
    assert set(FAULTS) == codes - {"record_not_shared"} - WITH_A_PAST - OF_MANY


def test_nothing_planted_is_the_district_as_it_was() -> None:
    district = generate(students=40)
    planted = plant(district, {"name_missing": 0})
    assert planted.files == district.csv_files()
    assert planted.expected.equals(pl.DataFrame(schema=dict(EXPECTED)))


def test_planting_adds_rows_and_loses_none() -> None:
    district = generate(students=40)
    planted = plant(district, dict.fromkeys(set(FAULTS) - {"school_name_missing", "school_name_too_long"}, 2))
    for name, content in district.csv_files().items():
        after = planted.files[name].split(b"\n")
        assert [line for line in after if line in set(content.split(b"\n"))] == content.split(b"\n")


def test_every_expected_issue_names_a_line_of_its_record() -> None:
    district = generate(students=40)
    planted = plant(district, {code: 1 if code.startswith("school_name") else 3 for code in FAULTS})
    assert planted.expected.schema == EXPECTED
    lines = {name: content.decode().split("\n") for name, content in planted.files.items()}
    there = [
        record in lines[file][line - 1]
        for file, line, record in planted.expected.select("file", "line", "record_id").rows()
    ]
    assert there == [True] * planted.expected.height


def test_faults_keep_to_the_schools_and_numbers_asked_for() -> None:
    district = generate(students=40)
    planted = plant(district, {"grade_unknown": 2, "phone_invalid": 2}, schools=["0102"], first_number=9001)
    assert planted.expected.select("code", "school_id", "record_id").rows() == [
        ("grade_unknown", "0102", "009001"),
        ("grade_unknown", "0102", "009002"),
        ("phone_invalid", "0102", "009005"),
        ("phone_invalid", "0102", "009006"),
    ]
    by_code = plant(district, {"grade_unknown": 1, "phone_invalid": 1}, schools={"grade_unknown": ["0103"]})
    assert by_code.expected.select("code", "school_id").rows() == [("grade_unknown", "0103"), ("phone_invalid", "0102")]


def test_lines_are_the_same_in_every_style() -> None:
    district = generate(students=40)
    style = CsvStyle(line_end="\r", quoting="everything", final_newline=False)
    assert plant(district, {"id_shared": 2}, style=style).expected.equals(plant(district, {"id_shared": 2}).expected)


def test_what_cannot_be_planted_is_refused() -> None:
    district = generate(students=40)
    with pytest.raises(ValueError, match="no error or alert has the code file_missing"):
        plant(district, {"file_missing": 1})
    with pytest.raises(ValueError, match="not so many schools"):
        plant(district, {"school_name_missing": 2, "school_name_too_long": 2})
