"""What nobody can see changes nothing: around any cell, header or file name, and inside what is read into a form."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.checking import check
from contracts.formats import FORMATS
from contracts.roster import Settled, StoredRoster
from contracts.settling import settle
from sandbox import csv_files
from sandbox.generator import generate
from tests.contracts.district import TODAY

# One of each kind: zero width, marks of direction, soft hyphen, byte-order mark, controls of C0 and C1, and blanks.
EACH = [
    *("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u200e", "\u200f", "\u2066", "\u2069", "\u061c"),
    *("\u180e", "\x01", "\t", "\x1a", "\x1f", "\x7f", "\x80", "\x85", "\x9f", "\u00a0", "\u2003", " "),
]
FILES = csv_files.rows(generate(students=24, schools=2, seed=4), teachers_enrolled=True)
FORMAT = FORMATS["csv-1.0"]
# What loses invisible characters inside, too; blanks are another matter.
READ = ("teacher_email", "teacher_mobile_phone", "student_email", "student_phone", "dob", "grade", "guardian_email")
INSIDE = [each for each in EACH if not each.isspace()]


def _settled(files: dict[str, bytes]) -> dict[str, list[tuple[Any, ...]]]:
    reading = FORMAT.read(files)
    assert reading.file_errors.rows() == []
    found = settle(check(FORMAT.to_roster(reading), None, today=TODAY), StoredRoster.nothing())
    return _content(found)


def _content(found: Settled) -> dict[str, list[tuple[Any, ...]]]:
    frames = {name: getattr(found, name) for name in ("people", "school_members", "classes", "class_members")}
    frames |= {"guardianships": found.guardianships, "issues": found.issues}
    return {
        name: sorted(frame.drop("row", "other_rows", strict=False).rows(), key=repr) for name, frame in frames.items()
    }


def _written(chance: random.Random) -> dict[str, bytes]:
    """The files with something unseen around every header and cell, in quotes and out of them, and inside some."""

    def around(text: str, *, inside: bool) -> str:
        if inside and text:
            at = chance.randrange(len(text) + 1)
            text = text[:at] + chance.choice(INSIDE) + text[at:]
        before, after, outer, last = (chance.choice(["", *EACH]) for _ in range(4))
        if chance.random() < 0.5 and "," not in text:
            return f"{before}{text}{after}"
        return f'{outer}"{before}{text}{after}"{last}'

    files = {}
    for name, frame in FILES.items():
        header = [around(column, inside=False) for column in frame.columns]
        lines = [
            [around(cell or "", inside=column in READ) for column, cell in zip(frame.columns, row, strict=True)]
            for row in frame.rows()
        ]
        named = f"{chance.choice(INSIDE)}{name.upper()}{chance.choice(INSIDE)}"
        files[named] = "\r\n".join(",".join(cells) for cells in [header, *lines]).encode()
    return files


PLAIN = _settled(csv_files.write_rows(FILES, csv_files.CsvStyle()))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6))
def test_what_nobody_can_see_changes_nothing(seed: int) -> None:
    assert PLAIN["issues"] == []
    assert _settled(_written(random.Random(seed))) == PLAIN
