"""The format check and reader: the raw bytes of a complete set of delimited files become rows that know their line.

It knows no particular format and no roster: what a file must look like comes as `contracts.formats.Format`. Rule: any
file error stops the whole delivery, and every bad row of every file is reported in one pass.
"""

from __future__ import annotations

import bisect
import codecs
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import polars as pl

from contracts.formats import FileFormat, Format, Reading, column_name, match_names, zipped
from contracts.roster import Schema, empty
from contracts.text import clean, cleaned, count, listed, needs_cleaning, nothing, stripped
from errors import DataError

# One row per file error. `line` is the physical line, null where the whole file is meant; `row` is that line as it
# came (personal data); `detail` names columns and counts, never a value.
FILE_ERRORS: Schema = MappingProxyType(
    {"code": pl.String, "file": pl.String, "line": pl.UInt32, "detail": pl.String, "row": pl.String}
)

_COMMA: Final = ","
_OTHER_SEPARATORS: Final = MappingProxyType({";": "semicolons", "\t": "tabs", "|": "vertical bars"})

# How many lines after an unclosed quote are looked at for its end, before the quote is taken for a stray one.
_LONGEST_CELL_LINES: Final = 100

# How far a header is looked for below a first line that is none.
_LONGEST_TITLE_LINES: Final = 10

# Above this number of columns a pattern for a whole record is too large to be compiled.
_WIDEST_PATTERN: Final = 500

# What files of other kinds begin with, however they are named.
_OTHER_KINDS: Final = MappingProxyType(
    {
        b"PK\x03\x04": "it is a spreadsheet or a compressed file",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "it is a spreadsheet or another office document",
        b"\x1f\x8b": "it is a compressed file",
        b"7z\xbc\xaf\x27\x1c": "it is a compressed file",
        b"%PDF": "it is a PDF document",
    }
)
# How text of other kinds begins.
_OTHER_TEXTS: Final = MappingProxyType(
    {r"<[!?a-zA-Z]": "it is a web page or an XML document", r"\{|\[\s*(?:\{|\Z)": "it is a JSON document"}
)


# By the byte-order mark that a file begins with.
_ENCODINGS: Final = MappingProxyType(
    {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
)

# What American schools' exports are written in where not in UTF-8 (Windows-1252 contains Latin-1). The encodings of
# other countries share so many letters with these that as candidates they would leave the likely one in doubt.
_LEGACY_ENCODINGS: Final = MappingProxyType(
    {
        "cp1252": "Windows-1252",
        "mac_roman": "MacRoman",
        "cp437": "DOS (code page 437 or 850)",
        "cp850": "DOS (code page 437 or 850)",
    }
)
# How many bytes, from the bad line on, tell the encoding.
_TELLING_BYTES: Final = 256 * 1024
# From this share of odd characters on, as charset-normalizer counts them, text is in another encoding.
_GARBLED: Final = 0.01


def read_files(fmt: Format, files: Mapping[str, bytes]) -> Reading:
    """Check and read all files of a format, or a zip of them; names match as `contracts.formats.match_names` says.

    ``rows``, by file name: ``line`` UInt32 (physical, 1 for the first) and the format's columns as String, cleaned as
    `contracts.text.cleaned` does, empty as null, columns absent from the file null. ``notes``: the files that are not
    of the format; and of files without a file error, the columns left out and the lines skipped.

    Raises DataError where Polars fails on text that passed the check.
    Rule: files are format-checked first, and any file error stops the whole delivery; so every file is checked, even
    where another one is bad or missing.
    """
    files, faults = zipped.expand(fmt, files)
    if faults:
        return _nothing_read(fmt, faults)
    names = match_names(fmt.file_names, files)
    readings = []
    for file in fmt.files:
        match names.files[file.name]:
            case () if file.optional:
                reading = _FileReading(empty(_row_schema(file)), empty(FILE_ERRORS))
            case ():
                reading = _rejected(file, "file_missing", detail=names.found)
            case (name,):
                reading = _read_file(file, files[name])
            case several:
                reading = _rejected(file, "file_duplicate", detail=f"found {listed(several)}")
        readings.append(reading)
    return Reading(
        rows={file.name: reading.rows for file, reading in zip(fmt.files, readings, strict=True)},
        file_errors=pl.concat([empty(FILE_ERRORS), *(reading.errors for reading in readings)]),
        notes=(*names.notes, *(note for reading in readings for note in reading.notes)),
        columns={file.name: reading.columns for file, reading in zip(fmt.files, readings, strict=True)},
    )


def _nothing_read(fmt: Format, faults: Sequence[zipped.Fault]) -> Reading:
    rows = [(fault.code, fault.file, None, fault.detail, None) for fault in faults]
    return Reading(
        rows={file.name: empty(_row_schema(file)) for file in fmt.files},
        file_errors=pl.DataFrame(rows, schema=dict(FILE_ERRORS), orient="row"),
        notes=(),
        columns={file.name: {} for file in fmt.files},
    )


@dataclass(frozen=True)
class _FileReading:
    rows: pl.DataFrame
    errors: pl.DataFrame
    notes: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Text:
    """A file's text without byte-order mark; line ends are LF, and none is last.

    More such marks, and a control-Z at the end, are invisible characters like any others.

    `bad_line`: the first line that is not as encoded; `likely_encoding`: what the file may be encoded in instead.
    """

    text: str
    bad_line: int | None = None
    likely_encoding: str | None = None


@dataclass(frozen=True)
class _Header:
    """The first line that is not blank. `cells` is None where its quotes do not let it be read."""

    first_line: int
    last_line: int
    separator: str
    cells: tuple[str, ...] | None


def _read_file(file: FileFormat, data: bytes) -> _FileReading:
    if not data:
        return _rejected(file, "file_empty")
    kind = next((kind for start, kind in _OTHER_KINDS.items() if data.startswith(start)), None)
    if kind is not None:
        return _rejected(file, "file_unreadable", detail=kind)
    decoded = _decode(data)
    if decoded is None:
        return _rejected(file, "encoding_invalid", line=1)

    lines = _lines(decoded.text)
    text = pl.col("text")
    marks = lines.select(slight=text.str.contains(_SLIGHT), hidden=needs_cleaning(text).any())
    slight, hidden = lines.filter(marks["slight"]), marks["hidden"][0]
    blank = slight.filter(pl.any_horizontal(_consists_of("", each) for each in (_COMMA, *_OTHER_SEPARATORS)))
    filled = _without(lines, blank)
    if filled.is_empty():
        return _rejected(file, "file_empty")
    start = clean(filled["text"][0])
    kind = next((kind for pattern, kind in _OTHER_TEXTS.items() if re.match(pattern, start)), None)
    if kind is not None or "\0" in start:
        return _rejected(file, "file_unreadable", detail=kind)

    errors = []
    if decoded.bad_line is not None:
        detail = None if decoded.likely_encoding is None else f"looks like {decoded.likely_encoding}"
        errors.append(_error(file, "encoding_invalid", decoded.bad_line, detail, lines["text"][decoded.bad_line - 1]))
    header = _read_header(file, lines, filled["line"][0])
    if header.cells is not None and not _names_columns(file, header):
        errors.append(_header_missing(file, header, lines))
        return _FileReading(empty(_row_schema(file)), pl.concat(errors).sort("line", maintain_order=True))
    header_errors, positions, notes = _check_header(file, header, lines["text"][header.first_line - 1])
    errors.extend(header_errors)
    spelling_of = {name: clean(header.cells[position]) for name, position in positions.items()} if header.cells else {}

    records, skipped = _records(file, lines, slight, header)
    width = None if header.cells is None else len(header.cells)
    good, bad = _judge(records, lines["text"], header.separator, width)
    errors.append(_pick(file, bad))
    if width is None:
        rows = empty(_row_schema(file))
    else:
        body = None
        if good["text"].equals(lines["text"].slice(header.last_line)):
            body = decoded.text.split("\n", header.last_line)[-1]
        cells = _split(file, good["text"], header.separator, width, body)
        rows = _rows(file, good["line"], cells, positions, cleaned if hidden else stripped)
        rows, missing = _check_ids(file, rows, records, spelling_of)
        errors.append(missing)

    found = pl.concat(errors).sort("line", maintain_order=True)
    return _FileReading(rows, found, (*notes, *skipped) if found.is_empty() else (), spelling_of)


def _decode(data: bytes) -> _Text | None:
    """The text of the bytes, or None where they cannot be read as text at all.

    Rule: UTF-8, with or without byte-order mark, and UTF-16 with one. Anything else is read as far as it goes, so that
    the other problems of the file show as well.
    """
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return None
    mark = next((mark for mark in _ENCODINGS if data.startswith(mark)), b"")
    if not mark and _is_utf16_without_mark(data):
        return None
    encoding, data = _ENCODINGS.get(mark, "utf-8"), data[len(mark) :]
    try:
        return _Text(_with_plain_line_ends(data.decode(encoding)).removesuffix("\n"))
    except UnicodeDecodeError as error:
        start = error.start
    before = _with_plain_line_ends(data[:start].decode(encoding))
    text = _with_plain_line_ends(data.decode(encoding, errors="replace"))
    likely = _likely_encoding(data, start) if encoding == "utf-8" else None
    return _Text(text.removesuffix("\n"), before.count("\n") + 1, likely)


def _likely_encoding(data: bytes, bad_byte: int) -> str | None:
    """What the lines from that of the bad byte on are likely to be encoded in, or None where that is uncertain."""
    # Takes longer to import than a small file to read, and only a bad file needs it.
    from charset_normalizer import from_bytes

    line_starts = (1 + data.rfind(end, 0, bad_byte) for end in (b"\n", b"\r"))
    start = max(bad_byte - _TELLING_BYTES // 2, *line_starts)
    lines = _lines(_with_plain_line_ends(data[start : start + _TELLING_BYTES].decode("latin-1")))["text"]
    # Lines of plain ASCII are the same in every candidate, and would only hide the others.
    telling = "\n".join(lines.filter(lines.str.contains(r"[^\x00-\x7f]"))).encode("latin-1")
    found = from_bytes(telling, cp_isolation=[*_LEGACY_ENCODINGS], preemptive_behaviour=False, enable_fallback=False)
    likely = {_LEGACY_ENCODINGS[match.encoding] for match in found if match.chaos < _GARBLED}
    return likely.pop() if len(likely) == 1 else None


def _is_utf16_without_mark(data: bytes) -> bool:
    even, odd = data[:256:2], data[1:256:2]
    zeros = even.count(0), odd.count(0)
    return min(zeros) == 0 and max(zeros) > 0.9 * len(odd) > 1


def _with_plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _lines(text: str) -> pl.DataFrame:
    """Every physical line: ``line`` UInt32, ``text`` String. Only LF, CRLF and CR end a line, no other character."""
    texts = pl.Series("text", [text]).str.split("\n").explode()
    return pl.DataFrame({"line": pl.int_range(1, texts.len() + 1, dtype=pl.UInt32, eager=True), "text": texts})


def _without(lines: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    return lines if others.is_empty() else lines.join(others, on="line", how="anti", maintain_order="left")


# The lines that may be of no record, as they hold no letter and no digit.
_SLIGHT: Final = rf'\A[{nothing()}",;|\-]*\z'


def _consists_of(pattern: str, separator: str) -> pl.Expr:
    """Whether each of a line's cells is this, in quotes or not, and nothing else that can be seen."""
    near = nothing(but=separator)
    cell = rf'{near}*(?:"{near}*{pattern}{near}*"|{pattern}){near}*'
    return pl.col("text").str.contains(rf"\A{cell}(?:{re.escape(separator)}{cell})*\z")


def _read_header(file: FileFormat, lines: pl.DataFrame, first_line: int) -> _Header:
    known = _known(file)
    near = lines["text"].slice(first_line - 1, _LONGEST_CELL_LINES + 1).to_list()
    last = _end_of_record(near)
    text = "\n".join(near[: last + 1])
    candidates = [
        (len(known.intersection(map(column_name, cells))), len(cells), separator, cells)
        for separator in (_COMMA, *_OTHER_SEPARATORS)
        if (cells := _cells(text, separator)) is not None
    ]
    if not candidates:
        return _Header(first_line, first_line, _COMMA, None)
    # More known names win, then a comma that splits at all, then more cells.
    *_, separator, cells = max(candidates, key=lambda found: (found[0], found[2] == _COMMA and found[1] > 1, found[1]))
    return _Header(first_line, first_line + last, separator, tuple(cells))


def _known(file: FileFormat) -> set[str]:
    return {column_name(spelling) for column in file.columns for spelling in column.spellings}


def _names_columns(file: FileFormat, header: _Header) -> bool:
    return not _known(file).isdisjoint(map(column_name, header.cells or ()))


def _header_missing(file: FileFormat, header: _Header, lines: pl.DataFrame) -> pl.DataFrame:
    """The error of a first line that names no column of the file, in any spelling: a title, or data."""
    line = header.first_line
    after = range(line + 1, min(line + _LONGEST_TITLE_LINES, lines.height) + 1)
    found = next((each for each in after if _names_columns(file, _read_header(file, lines, each))), None)
    detail = None if found is None else f"the column names are in line {found}"
    return _error(file, "header_missing", line, detail, lines["text"][line - 1])


def _end_of_record(near: Sequence[str]) -> int:
    """Where a record that starts with the first of these lines ends: there, or where its open quote is closed."""
    if near[0].count('"') % 2 == 0:
        return 0
    return next((position for position, text in enumerate(near) if position and text.count('"') % 2), 0)


def _check_header(
    file: FileFormat, header: _Header, row: str
) -> tuple[list[pl.DataFrame], dict[str, int], tuple[str, ...]]:
    """The header's errors, where each known column is (its first place), and the note on unknown columns.

    Rule: names are matched without regard to case, surrounding blanks, or space versus underscore. What the header
    names is shown only where it is ours: the first line of a file without header holds people.
    """
    line = header.first_line
    if header.cells is None:
        return [_error(file, "quotes_invalid", line, row=row)], {}, ()
    errors = []
    if header.last_line > line:
        errors.append(_error(file, "line_break_in_cell", line, row=row))
    if header.separator != _COMMA:
        detail = f"{_OTHER_SEPARATORS[header.separator]} instead of commas"
        errors.append(_error(file, "separator_invalid", line, detail, row))

    positions_of: dict[str, list[int]] = {}
    for position, cell in enumerate(header.cells):
        positions_of.setdefault(column_name(cell), []).append(position)
    unnamed = len(positions_of.pop("", []))
    spelling_of = {name: clean(header.cells[found[0]]) for name, found in positions_of.items()}
    errors.extend(
        _error(file, "column_missing", line, f"column {column.name}", row)
        for column in file.columns
        if column.required and positions_of.keys().isdisjoint(map(column_name, column.spellings))
    )
    known = _known(file)
    errors.extend(
        _error(file, "column_duplicate", line, f"column {spelling_of[name]}" if name in known else _numbers(found), row)
        for name, found in positions_of.items()
        if len(found) > 1
    )
    present = {
        column.name: [name for name in map(column_name, column.spellings) if name in positions_of]
        for column in file.columns
    }
    read = {name: spellings[0] for name, spellings in present.items() if spellings}
    notes = [
        f"{file.name}: column {spelling_of[other]} was ignored, because the file also has {spelling_of[read[name]]}"
        for name, spellings in present.items()
        for other in spellings[1:]
    ]
    unknown = [spelling for name, spelling in spelling_of.items() if name not in known]
    if unnamed:
        unknown.append(f"{unnamed} without a name")
    if unknown:
        notes.append(f"{file.name}: ignored unknown columns: {', '.join(unknown)}")
    return errors, {name: positions_of[spelling][0] for name, spelling in read.items()}, tuple(notes)


def _numbers(positions: Sequence[int]) -> str:
    *others, last = [str(position + 1) for position in positions]
    return f"columns number {', '.join(others)} and {last}"


def _records(
    file: FileFormat, lines: pl.DataFrame, slight: pl.DataFrame, header: _Header
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The lines below the header that are of records, and notes on those skipped.

    Rule: a line whose cells are all empty is blank. The header again, and a line of dashes as some programs draw it
    below the header, are skipped and noted; no placeholder in a cell has three dashes.
    """
    below = lines.filter(pl.col("line") > header.last_line)
    empty_cells, dashes = _consists_of("", header.separator), _consists_of("-*", header.separator)
    drawn = slight.filter(pl.col("line") > header.last_line, dashes, pl.col("text").str.contains("---", literal=True))
    again = below.clear() if header.cells is None else _repeated(below, header)
    idle = pl.concat([slight.filter(empty_cells), drawn, again])
    notes = (("repeats the header", "repeat the header", again), ("is a line of dashes", "are lines of dashes", drawn))
    return _without(below, idle), tuple(
        f"{file.name}: {'line' if found.height == 1 else 'lines'} {listed(found['line'].to_list())} skipped, as "
        f"{f'it {one}' if found.height == 1 else f'they {many}'}"
        for one, many, found in notes
        if found.height
    )


def _repeated(lines: pl.DataFrame, header: _Header) -> pl.DataFrame:
    """The lines that name the columns that the header names, in the same order."""
    assert header.cells is not None
    separator = re.escape(header.separator)
    around = rf'(?:{nothing(but=header.separator)}|")*'
    first = r"[\s_]+".join(map(re.escape, re.split(r"[\s_]+", clean(header.cells[0]))))
    # Few lines are left of which all cells are compared.
    near = lines.filter(pl.col("text").str.contains(rf"(?i)\A{around}{first}{around}(?:{separator}|\z)"))
    named = (
        pl.col("text")
        .str.replace_all(rf"({separator}|\A){around}", "$1")
        .str.replace_all(rf"{around}({separator}|\z)", "$1")
        .str.replace_all(r"\s+", "_")
        .str.to_lowercase()
    )
    return near.filter(named == header.separator.join(map(column_name, header.cells)))


def _judge(
    records: pl.DataFrame, texts: pl.Series, separator: str, width: int | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The good lines (``line``, ``text``), and the others with their one structural error (``code``, ``detail``).

    Lines that continue a record broken before are in neither; good lines have nothing around quotes anymore. Rules: a
    quote encloses the whole cell but for blanks and invisible characters, and inner quotes are doubled; a record is one
    line; it has as many cells as the header (any number where `width` is None).
    """
    nul = pl.col("text").str.contains("\0", literal=True)
    sound = records.select(_sound(records["text"], separator, width) & ~nul).to_series()
    suspects = records.filter(~sound).with_columns(
        well_formed=pl.col("text").str.contains(_record_pattern(separator)),
        unclosed=pl.col("text").str.contains(_unclosed_pattern(separator)),
        cells=pl.col("text").str.replace_all(_QUOTED, "").str.count_matches(separator, literal=True) + 1,
    )
    broken = _broken_records(suspects, texts, separator, width)
    good = _outside(records.filter(sound), broken)
    judged = suspects.join(broken, left_on="line", right_on="first_line", how="left", maintain_order="left")
    judged = judged.with_columns(
        code=pl.when(nul)
        .then(pl.lit("nul_character"))
        .when(pl.col("last_line").is_not_null())
        .then(pl.lit("line_break_in_cell"))
        .when(~pl.col("well_formed"))
        .then(pl.lit("quotes_invalid"))
        .when(pl.lit(width is not None) & (pl.col("cells") != (width or 0)))
        .then(pl.lit("columns_invalid"))
    )
    # A null character inside a broken record is reported on its own line.
    judged = pl.concat([judged.filter(nul), _outside(judged.filter(~nul), broken)])
    cells = pl.when(pl.col("cells") == 1).then(pl.lit("1 cell")).otherwise(pl.format("{} cells", "cells"))
    wrong_width = pl.format("{} for {}", cells, pl.lit(count(width or 0, "column")))
    bad = judged.filter(pl.col("code").is_not_null()).with_columns(
        detail=pl.when(pl.col("code") == "columns_invalid").then(wrong_width)
    )
    spared = judged.filter(pl.col("code").is_null()).select("line", _with_bare_quotes(separator))
    return (pl.concat([good, spared]).sort("line") if spared.height else good), bad


def _sound(texts: pl.Series, separator: str, width: int | None) -> pl.Expr:
    """Which lines are plainly good records; of the others each is looked at closely."""
    if width is None or width > _WIDEST_PATTERN:
        return pl.lit(False)
    if texts.str.contains('"', literal=True).any():
        cell = _bare_pattern(separator)
        return pl.col("text").str.contains(rf"\A{cell}(?:{re.escape(separator)}{cell}){{{width - 1}}}\z")
    return pl.col("text").str.count_matches(separator, literal=True) == width - 1


def _outside(lines: pl.DataFrame, broken: pl.DataFrame) -> pl.DataFrame:
    """The lines that do not continue a record broken before."""
    if broken.is_empty() or lines.is_empty():
        return lines
    nearest = lines.select("line").sort("line").join_asof(broken, left_on="line", right_on="first_line")
    inside = nearest.filter(pl.col("line") > pl.col("first_line"), pl.col("line") <= pl.col("last_line"))
    return lines.join(inside, on="line", how="anti", maintain_order="left")


def _broken_records(suspects: pl.DataFrame, texts: pl.Series, separator: str, width: int | None) -> pl.DataFrame:
    """Records that a line break inside a cell spreads over several lines: ``first_line``, ``last_line`` UInt32.

    An unclosed quote is taken for such a cell only if the lines up to where it is closed are one good record; otherwise
    it must not swallow the lines after it.
    """
    found: list[tuple[int, int]] = []
    last_line = 0
    # Doubled quotes come in pairs, so whether a quote is open changes only where a line's number of quotes is odd.
    turning = suspects.filter(pl.col("text").str.count_matches('"', literal=True) % 2 == 1)["line"].to_list()
    # A null character in the opening line is reported there, and must not hide the lines after it.
    openings = suspects.filter(pl.col("unclosed") & ~pl.col("text").str.contains("\0", literal=True))
    for line in openings["line"]:
        following = bisect.bisect_right(turning, line)
        if line <= last_line or following == len(turning) or turning[following] - line > _LONGEST_CELL_LINES:
            continue
        cells = _cells("\n".join(texts.slice(line - 1, turning[following] - line + 1)), separator)
        if cells is not None and (width is None or len(cells) == width):
            last_line = turning[following]
            found.append((line, last_line))
    return pl.DataFrame(found, schema={"first_line": pl.UInt32, "last_line": pl.UInt32}, orient="row")


_QUOTED: Final = r'"(?:[^"]|"")*"'


def _bare_pattern(separator: str) -> str:
    return rf'(?:{_QUOTED}|[^"{re.escape(separator)}]*)'


def _cell_pattern(separator: str) -> str:
    around = f"{nothing(but=separator)}*"
    return rf'(?:{around}{_QUOTED}{around}|[^"{re.escape(separator)}]*)'


def _record_pattern(separator: str) -> str:
    cell = _cell_pattern(separator)
    return rf"\A{cell}(?:{re.escape(separator)}{cell})*\z"


def _unclosed_pattern(separator: str) -> str:
    return rf'\A(?:{_cell_pattern(separator)}{re.escape(separator)})*{nothing(but=separator)}*"(?:[^"]|"")*\z'


def _with_bare_quotes(separator: str) -> pl.Expr:
    """Well-formed records without what stands around their quotes."""
    around, sep = f"{nothing(but=separator)}*", re.escape(separator)
    # Every cell is matched, so that what looks like one inside quotes is not; but for an empty first one, whose match
    # would hide the second.
    return pl.col("text").str.replace_all(rf'({sep}|\A)(?:{around}({_QUOTED}){around}|([^"{sep}]*))', "$1$2$3")


def _cells(text: str, separator: str) -> list[str] | None:
    """The cells of one record, line breaks inside quotes included; None where its quotes are not right."""
    record = pl.DataFrame({"text": [text]}).filter(pl.col("text").str.contains(_record_pattern(separator)))
    if record.is_empty():
        return None
    bare = record.select(_with_bare_quotes(separator)).item()
    found = re.finditer(rf"(?:\A|{re.escape(separator)})({_bare_pattern(separator)})", bare)
    raw = [match.group(1) for match in found]
    return [cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in raw]


def _split(file: FileFormat, texts: pl.Series, separator: str, width: int, body: str | None) -> pl.DataFrame:
    """The cells of well-formed lines of this width, one column for each, named by place ("0", "1", ...).

    `body` is the text of just these lines, where it is at hand.
    """
    if width == 1:
        inner = pl.col("0").str.head(-1).str.slice(1).str.replace_all('""', '"', literal=True)
        cell = pl.when(pl.col("0").str.starts_with('"')).then(inner).otherwise("0")
        return pl.DataFrame({"0": texts}).select(cell.alias("0"))
    names = [str(position) for position in range(width)]
    # A header of our own keeps the first record from being taken for one, or for a byte-order mark.
    source = "\n".join((separator.join(names), body or texts.str.join("\n").item() or "")).encode()
    try:
        return pl.read_csv(source, separator=separator, schema=dict.fromkeys(names, pl.String), n_rows=texts.len())
    except pl.exceptions.PolarsError as error:
        raise DataError(f"reading {file.name}", error) from None


def _row_schema(file: FileFormat) -> Schema:
    return {"line": pl.UInt32, **{column.name: pl.String for column in file.columns}}


def _rows(
    file: FileFormat,
    lines: pl.Series,
    cells: pl.DataFrame,
    positions: Mapping[str, int],
    cleaned: Callable[[pl.Expr], pl.Expr],
) -> pl.DataFrame:
    values = [cleaned(pl.col(str(position))).alias(name) for name, position in positions.items()]
    absent = [pl.lit(None, pl.String).alias(column.name) for column in file.columns if column.name not in positions]
    return cells.select(lines, *values, *absent).select(*_row_schema(file))


def _check_ids(
    file: FileFormat, rows: pl.DataFrame, records: pl.DataFrame, spelling_of: Mapping[str, str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows with all their IDs, and one id_missing for each empty cell of the others.

    `records`: the lines as they came. `spelling_of`: how the header spells each column.
    """
    ids = [column.name for column in file.columns if column.is_id and column.name in spelling_of]
    if not ids:
        return rows, empty(FILE_ERRORS)
    lacking = pl.any_horizontal(pl.col(ids).is_null())
    missing = (
        rows.filter(lacking)
        .unpivot(ids, index="line", variable_name="column")
        .filter(pl.col("value").is_null())
        .sort("line", maintain_order=True)
        .join(records, on="line", maintain_order="left")
        .with_columns(code=pl.lit("id_missing"), detail=pl.format("column {}", pl.col("column").replace(spelling_of)))
    )
    return rows.filter(~lacking), _pick(file, missing)


def _pick(file: FileFormat, found: pl.DataFrame) -> pl.DataFrame:
    return found.select("code", pl.lit(file.name).alias("file"), "line", "detail", pl.col("text").alias("row"))


def _error(
    file: FileFormat, code: str, line: int | None = None, detail: str | None = None, row: str | None = None
) -> pl.DataFrame:
    return pl.DataFrame([(code, file.name, line, detail, row)], schema=dict(FILE_ERRORS), orient="row")


def _rejected(file: FileFormat, code: str, line: int | None = None, detail: str | None = None) -> _FileReading:
    return _FileReading(empty(_row_schema(file)), _error(file, code, line, detail))
