import polars as pl
import pytest

from contracts.formats import FORMATS
from contracts.formats.delimited import read_files
from contracts.issues import CATALOGUE, Severity
from sandbox.csv_files import CsvStyle, rows
from sandbox.file_faults import LINES, WHOLE_FILE, ZIPPED, plant_file_faults
from sandbox.generator import generate


def test_there_is_a_fault_for_every_file_error_of_the_catalogue() -> None:
    file_errors = {code for code, entry in CATALOGUE.items() if entry.severity == Severity.FILE_ERROR}
    assert {*WHOLE_FILE, *LINES, *ZIPPED} == file_errors


def test_nothing_planted_is_the_district_as_it_was() -> None:
    district = generate(students=40)
    planted = plant_file_faults(district, {})
    assert (planted.files, planted.expected.height) == (district.csv_files(), 0)


def test_so_many_of_each_are_expected_on_lines_of_their_own() -> None:
    faults = {code: 3 for code in LINES if code != "encoding_invalid"} | {"encoding_invalid": 2, "column_missing": 1}
    planted = plant_file_faults(generate(students=40), faults)
    assert dict(planted.expected["code"].value_counts().iter_rows()) == faults
    assert not planted.expected.select("file", "line").is_duplicated().any()
    wrong_bytes = planted.expected.filter(pl.col("code") == "encoding_invalid")["file"]
    assert wrong_bytes.n_unique() == 2


def test_what_cannot_be_planted_is_refused() -> None:
    district = generate(students=40)
    with pytest.raises(ValueError, match="no file error has the code name_missing"):
        plant_file_faults(district, {"name_missing": 1})
    with pytest.raises(ValueError, match="not so many files"):
        plant_file_faults(district, {"file_empty": 6})
    with pytest.raises(ValueError, match="not so many lines"):
        plant_file_faults(district, {"file_empty": 5, "id_missing": 1})
    with pytest.raises(ValueError, match="not so many lines"):
        plant_file_faults(district, {"file_empty": 3, "encoding_invalid": 3})
    with pytest.raises(ValueError, match="cannot be planted"):
        plant_file_faults(district, {"encoding_invalid": 1}, style=CsvStyle(encoding="utf-16-le"))


STYLES = [
    CsvStyle(),
    CsvStyle(line_end="\r\n", bom=True, quoting="everything"),
    CsvStyle(line_end="\r", final_newline=False, quoting="mixed"),
    CsvStyle(encoding="utf-16-le"),
]


@pytest.mark.parametrize("style", STYLES)
def test_the_reader_finds_nothing_wrong_with_a_district_and_reads_its_rows(style: CsvStyle) -> None:
    district = generate(students=60)
    reading = read_files(FORMATS["csv-1.0"], district.csv_files(style))
    assert reading.file_errors.height == 0
    expected = rows(district)
    for name, frame in reading.rows.items():
        assert frame.drop("line").equals(expected[name])
        assert frame["line"].to_list() == list(range(2, frame.height + 2))


# Every pair of bytes is a character of UTF-16: it has no wrong ones.
FAULTS = [
    (code, style)
    for code in (*WHOLE_FILE, *LINES, *ZIPPED)
    for style in STYLES
    if code != "encoding_invalid" or style.encoding == "utf-8"
]


@pytest.mark.parametrize(("code", "style"), FAULTS)
def test_the_reader_finds_what_was_planted_and_nothing_else(code: str, style: CsvStyle) -> None:
    planted = plant_file_faults(generate(students=60), {code: 1 if code in ZIPPED else 2}, style=style)
    found = read_files(FORMATS["csv-1.0"], planted.files).file_errors
    columns = ["code", "file", "line"]
    assert found.select(columns).sort(columns).rows() == planted.expected.select(columns).sort(columns).rows()


def test_the_reader_finds_all_kinds_at_once() -> None:
    faults = dict.fromkeys(LINES, 2) | {"column_missing": 1, "separator_invalid": 1}
    planted = plant_file_faults(generate(students=60), faults)
    found = read_files(FORMATS["csv-1.0"], planted.files).file_errors
    columns = ["code", "file", "line"]
    assert found.select(columns).sort(columns).rows() == planted.expected.select(columns).sort(columns).rows()
