"""Faults planted in the bytes of a district's files: one kind for each file error of the catalogue.

They reject the whole delivery, so no error or alert is ever expected beside them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import polars as pl

from sandbox import csv_files
from sandbox.csv_files import CsvStyle
from sandbox.faults import EXPECTED, Planted
from sandbox.generator import District
from sandbox.seeded import some

# These take a whole file each; the others take a line each.
WHOLE_FILE = (
    "file_missing",
    "file_duplicate",
    "file_empty",
    "file_unreadable",
    "separator_invalid",
    "header_missing",
    "column_missing",
    "column_duplicate",
)
LINES = ("encoding_invalid", "columns_invalid", "quotes_invalid", "line_break_in_cell", "nul_character", "id_missing")
# These take the place of all files: there is one at most, and nothing beside it.
ZIPPED = ("zip_damaged", "zip_encrypted", "zip_too_large", "zip_path_invalid")
_ZIP = "roster.zip"

REQUIRED: Mapping[str, str] = MappingProxyType(
    {
        "schools.csv": "school_name",
        "teachers.csv": "teacher_email",
        "students.csv": "student_last_name",
        "classes.csv": "teacher_id",
        "enrollments.csv": "user_id",
    }
)
_IDS: Mapping[str, str] = MappingProxyType(
    {
        "schools.csv": "school_id",
        "teachers.csv": "teacher_id",
        "students.csv": "student_id",
        "classes.csv": "class_id",
        "enrollments.csv": "user_id",
    }
)

# Stands for a byte that is no UTF-8 until the text has become bytes.
_STRAY = "\ue000"
_LATIN_1 = b"\xe9"
_SPREADSHEET = b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00workbook"


def plant_file_faults(
    district: District, faults: Mapping[str, int], seed: int = 1, *, style: CsvStyle | None = None
) -> Planted:
    """The district's files with so many faults of each code (file errors), and the file errors expected.

    A fault of a whole file takes a file of its own, one of wrong bytes a line in a file of its own, any other one a
    line of its own; one of a zip makes a zip of the files, with no other fault. Raises ValueError for a code that is no
    file error, and where files or lines are too few.
    """
    style = style or CsvStyle()
    if set(faults) & set(ZIPPED):
        (code,) = faults
        return Planted(
            {_ZIP: _spoilt_zip(code, district.csv_files(style))},
            _as_expected(pl.DataFrame({"code": [code], "file": [_ZIP], "line": pl.Series([None], dtype=pl.UInt32)})),
        )
    unknown = sorted(set(faults) - set(WHOLE_FILE) - set(LINES))
    if unknown:
        raise ValueError(f"no file error has the code {', '.join(unknown)}")
    if faults.get("encoding_invalid") and style.encoding != "utf-8":
        raise ValueError("every pair of bytes is a character of UTF-16: wrong ones cannot be planted")
    rows = csv_files.rows(district)
    # The small files first, so that the others keep lines to spoil.
    order = sorted(rows, key=lambda name: (rows[name].height, name))
    wanted = [code for code in WHOLE_FILE for _ in range(faults.get(code, 0))]
    if len(wanted) > len(order):
        raise ValueError("there are not so many files")
    whole = dict(zip(order, wanted, strict=False))
    lines = _chosen_lines(rows, [name for name in order if name not in whole], faults, seed)
    files: dict[str, bytes] = {}
    expected = []
    for name, frame in rows.items():
        if name in whole:
            spoilt, line = _spoilt_file(whole[name], name, frame, style)
            files |= spoilt
            expected.append(
                pl.DataFrame(
                    {"code": [whole[name]], "file": [name], "line": [line]}, schema_overrides={"line": pl.UInt32}
                )
            )
        else:
            chosen = lines.filter(pl.col("file") == name)
            files[name], found = _spoilt_lines(name, frame, chosen, style)
            expected.append(found.with_columns(file=pl.lit(name)).select("code", "file", "line"))
    return Planted(files, _as_expected(pl.concat(expected)))


def _as_expected(found: pl.DataFrame) -> pl.DataFrame:
    """EXPECTED, of code, file and line."""
    return (
        found.with_columns(
            school_id=pl.lit(None, dtype=pl.String),
            record_id=pl.lit(None, dtype=pl.String),
            dependents=pl.lit(0, dtype=pl.UInt32),
        )
        .select(*EXPECTED)
        .sort(*EXPECTED, nulls_last=True)
    )


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """A zip of files, by their paths in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _spoilt_zip(code: str, files: Mapping[str, bytes]) -> bytes:
    if code == "zip_path_invalid":
        return zip_of({f"exports/today/{name}": content for name, content in files.items()})
    if code == "zip_too_large":
        return zip_of({**files, "students.csv": files["students.csv"] + b"\n" * 10_000_000})
    packed = bytearray(zip_of(files))
    if code == "zip_damaged":
        return bytes(packed[: len(packed) // 2])
    # The first flag of an entry, in the list at the end.
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    return bytes(packed)


def _chosen_lines(
    rows: Mapping[str, pl.DataFrame], names: list[str], faults: Mapping[str, int], seed: int
) -> pl.DataFrame:
    """code, file, row (UInt32, its position): a row of its own for each fault, at random."""
    codes = [code for code in LINES for _ in range(faults.get(code, 0))]
    pool = pl.concat(
        [
            pl.DataFrame(schema={"file": pl.String, "row": pl.UInt32}),
            *(
                pl.DataFrame({"row": pl.int_range(rows[name].height, dtype=pl.UInt32, eager=True)}).select(
                    pl.lit(name).alias("file"), "row"
                )
                for name in names
            ),
        ]
    ).with_row_index("key")
    by_file = pool.group_by("file", maintain_order=True).first()
    # Wrong bytes are named once for each file, so they must not meet in one.
    encodings = faults.get("encoding_invalid", 0)
    chosen = some(seed, "files of wrong bytes", by_file["key"], encodings)
    rest = pool.filter(~pl.col("key").is_in(chosen.implode()))
    chosen = pl.concat([chosen, some(seed, "spoilt lines", rest["key"], len(codes) - encodings)])
    if chosen.len() < len(codes) or by_file.height < encodings:
        raise ValueError("there are not so many lines")
    return pl.DataFrame({"code": codes, "key": chosen}, schema={"code": pl.String, "key": pl.UInt32}).join(
        pool, on="key", maintain_order="left"
    )


def _spoilt_file(code: str, name: str, frame: pl.DataFrame, style: CsvStyle) -> tuple[dict[str, bytes], int | None]:
    """What is there in place of the file, by name, and the line that the error should name, if any."""
    written = csv_files.lines(csv_files.with_spelling(name, frame, style), style)
    match code:
        case "file_missing":
            return {}, None
        case "file_duplicate":
            return dict.fromkeys((name, name.title()), csv_files.encode(written, style)), None
        case "file_empty":
            return {name: b"\n \n"}, None
        case "file_unreadable":
            return {name: _SPREADSHEET}, None
        case "separator_invalid":
            style = replace(style, separator=";")
            written = csv_files.lines(csv_files.with_spelling(name, frame, style), style)
        case "header_missing":
            written = written[1:]
        case "column_missing":
            written = csv_files.lines(csv_files.with_spelling(name, frame.drop(REQUIRED[name]), style), style)
        case _:
            first = frame.columns[0]
            twice = frame.with_columns(pl.col(first).alias(first.upper()))
            written = csv_files.lines(csv_files.with_spelling(name, twice, style), style)
    return {name: csv_files.encode(written, style)}, 1


def _spoilt_lines(name: str, frame: pl.DataFrame, chosen: pl.DataFrame, style: CsvStyle) -> tuple[bytes, pl.DataFrame]:
    """The bytes of a file with the chosen rows spoilt, and code, line of each."""
    rows = frame.with_row_index("row").join(chosen.select("row", "code"), on="row", how="left", maintain_order="left")
    key = _IDS[name]
    blanked = rows.with_columns(pl.when(pl.col("code") == "id_missing").then(None).otherwise(pl.col(key)).alias(key))
    written = csv_files.lines(csv_files.with_spelling(name, blanked.select(frame.columns), style), style)
    code = pl.concat([pl.Series("code", [None], dtype=pl.String), rows["code"]])
    text = pl.col("line")
    comma = style.separator
    # Inside the first cell, quoted or not, which is a school's ID of more than two characters.
    stray = pl.col("code").replace_strict(
        {"encoding_invalid": _STRAY, "nul_character": "\0"}, default="", return_dtype=pl.String
    )
    broken = (
        pl.when(text.str.ends_with('"'))
        .then(text.str.slice(0, text.str.len_chars() - 1) + f'{style.line_end}more"')
        .otherwise(text.str.replace(f"{comma}([^{comma}]*)$", f'{comma}"$1{style.line_end}more"'))
    )
    even = pl.int_range(pl.len()) % 2 == 0
    spoilt = pl.DataFrame({"line": written, "code": code}).with_columns(
        text=pl.when(pl.col("code") == "columns_invalid")
        .then(pl.when(even).then(text + f"{comma}more").otherwise(text.str.split(comma).list.first()))
        .when(pl.col("code") == "quotes_invalid")
        .then(text + 'inch"es')
        .when(pl.col("code") == "line_break_in_cell")
        .then(broken)
        .when(stray != "")
        .then(text.str.slice(0, 2) + stray + text.str.slice(2))
        .otherwise(text),
        number=pl.int_range(pl.len(), dtype=pl.UInt32)
        + 1
        + (pl.col("code") == "line_break_in_cell").fill_null(False).cast(pl.UInt32).cum_sum().shift(1, fill_value=0),
    )
    content = csv_files.encode(spoilt["text"], style).replace(_STRAY.encode(), _LATIN_1)
    return content, spoilt.drop_nulls("code").select("code", pl.col("number").alias("line"))
