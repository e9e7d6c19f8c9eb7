"""A format that is one module: it goes from `check` to Connected, and no text names a file that it does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import Session

import contracts.formats
from contracts.formats import FORMATS, csv_1_0
from contracts.formats.csv_1_0 import FORMAT as CSV_1_0
from contracts.issues import catalogue, with_catalogue
from services import clock
from services.holds import store
from services.operations.setup import apply_setup, read_setup
from services.status.report import district_report
from services.sync.preview import check_files
from tests.end_to_end.conftest import Installation
from tests.setups import setup_text

TOYS = Path(__file__).parent.parent / "toys"
FILES = {
    "orgs.csv": b"sourcedId,orgName\n1,Lincoln\n",
    "staff.csv": b"sourcedId,orgSourcedId,givenName,familyName,workEmail\nT1,1,Tea,Cher,tea@unified.example\n",
    "pupils.csv": b"SOURCEDID,OrgSourcedId,givenname,familyName,birthDate\nS1,1,Ann,Ames,2016-03-04\nS2,1,Ben,Birk,\n",
    "courses.csv": b"sourcedId,orgSourcedId,title,staffSourcedId\nC1,1,Art,T1\n",
    "seats.csv": b"courseSourcedId,pupilSourcedId\nC1,S1\nC1,S2\n",
}
PARENTS = {"parents.csv": b"sourcedId,pupilSourcedId,givenName,familyName,email\nG1,S1,Pat,Ames,pat@mail.example\n"}


@pytest.fixture(autouse=True)
def toy_format(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The toy's module is among the formats'."""
    monkeypatch.setattr(contracts.formats, "__path__", [*contracts.formats.__path__, str(TOYS / "formats")])
    FORMATS.forget()
    yield
    FORMATS.forget()


def test_no_text_names_a_file_or_column_that_the_format_lacks() -> None:
    form = FORMATS["toy-1.0"]
    theirs = {name for file in form.files for name in (file.name, *(column.name for column in file.columns))}
    others = {name for file in CSV_1_0.files for name in (file.name, *(column.name for column in file.columns))}
    for code, entry in catalogue("toy-1.0").items():
        text = f"{entry.title} {entry.meaning} {entry.remedy}"
        named = set(re.findall(r"\w+\.csv|\w+_\w+|[a-z]+[A-Z]\w+", text))
        assert named <= theirs, code
        assert not named & (others - theirs), code
    assert catalogue("toy-1.0")["teacher_email_missing"].remedy == (
        "Enter the teacher's work email address in your SIS (column workEmail in staff.csv). Then send the complete set"
        " of files again."
    )
    assert "Clever" not in "".join(f"{entry.meaning} {entry.remedy}" for entry in catalogue("toy-1.0").values())


def test_what_is_wrong_is_reported_in_its_words() -> None:
    bad = FILES | {
        "staff.csv": b"sourcedId,orgSourcedId,givenName,familyName,workEmail\nT1,1,Tea,Cher,\n",
        "pupils.csv": b"sourcedId,orgSourcedId,givenName,familyName,birthDate\nS1,9,Ann,Ames,soon\nS2,1,Ben,Birk,\n",
    }
    reading, settled = check_files("toy-1.0", bad)
    assert settled is not None
    assert reading.file_errors.rows() == []
    found = with_catalogue(settled.issues, "toy-1.0").sort("code", "file", "line")
    assert found.select("code", "file", "line", "message").rows() == [
        ("birth_date_missing", "pupils.csv", 3, "Date of birth is missing."),
        ("school_unknown", "pupils.csv", 2, "School is not in orgs.csv."),
        ("student_unreachable", "pupils.csv", 3, "No contact information for this student."),
        ("student_without_guardian", "pupils.csv", 3, "Student without a guardian."),
        ("teacher_email_missing", "staff.csv", 2, "Teacher without an email address."),
    ]


def test_a_required_file_or_column_is_missing_and_an_optional_file_is_not() -> None:
    lacking = {name: content for name, content in FILES.items() if name != "seats.csv"}
    reading, _ = check_files("toy-1.0", lacking | {"orgs.csv": b"sourcedId\n1\n"})
    assert with_catalogue(reading.file_errors, "toy-1.0").select("file", "line", "message").rows() == [
        ("orgs.csv", 1, "A required column is missing: column orgName."),
        ("seats.csv", None, "A file is missing."),
    ]


def _set_up(installation: Installation) -> None:
    text = setup_text([("lincoln", "Lincoln", "1")], folder="drop/unified").replace("csv-1.0", "toy-1.0")
    (installation.folder / "setup.toml").write_text(text)
    installation.drop().mkdir(parents=True)
    with installation.database.transaction() as session:
        apply_setup(session, read_setup(installation.folder / "setup.toml"))


def _report(session: Session) -> tuple[str, int, int]:
    (report,) = district_report(session, "unified", now=clock.now())
    (school,) = report.schools
    return str(school.status), school.teachers, school.students


def test_it_goes_to_connected_without_its_optional_file_and_with_it(embedded: Installation) -> None:
    _set_up(embedded)
    embedded.send(FILES)
    (outcome,) = embedded.night()
    assert (outcome.outcome, dict(outcome.counts)) == (
        "applied",
        {
            "classes_create": 1,
            "employees_create": 1,
            "student_class_memberships_create": 2,
            "students_create": 2,
            "teacher_class_memberships_create": 1,
        },
    )
    with embedded.database.reading() as session:
        assert _report(session) == ("connected", 1, 2)
    embedded.send({**FILES, **PARENTS})
    (outcome,) = embedded.night()
    assert dict(outcome.counts) == {"guardians_create": 1, "guardianships_create": 1}
    # Without it again, everybody it listed would go: never without a hold.
    (embedded.drop() / "parents.csv").unlink()
    embedded.send(FILES)
    (outcome,) = embedded.night()
    assert (outcome.outcome, outcome.reasons) == ("on_hold", ("data_removals",))
    with embedded.database.reading() as session:
        (hold,) = store.open_holds(session)
    assert hold.reasons[0].detail == "parents.csv was not sent; in the delivery applied last it had 1 row."


def test_the_other_formats_are_as_they_were() -> None:
    assert FORMATS["csv-1.0"] is csv_1_0.FORMAT
