"""Whole nights with holds: each reason opened, shown and resolved by its verb, and what is remembered of it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from errors import NotFound, NotPossible
from models import bulk
from models.database import open_database
from models.tables import HoldReason
from services.holds import causes as likely_causes
from services.holds import contact_policy, decisions, store
from services.holds.evidence import describe_counts, effects, evidence_csv
from services.holds.store import Hold
from services.intake.adapters.csv_drop_folder import CsvDropFolder
from services.intake.landing_area import LandingArea
from services.planning.stored import Scope
from services.status.report import district_report
from services.sync import preview, requests
from tests.end_to_end.conftest import Installation

pytestmark = pytest.mark.journeys

HEAD = (
    "student_id,school_id,first_name,last_name,email,birth_date,grade,guardian_id,guardian_first_name,"
    "guardian_last_name,guardian_phone,guardian_type"
)


@dataclass
class Files:
    """A small district's files, of the schools 1 (Lincoln) and 2 (Adams), that tests alter from night to night."""

    schools: dict[str, str] = field(default_factory=lambda: {"1": "Lincoln", "2": "Adams"})
    students: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # ID -> school, last name, grade
    families: dict[str, Sequence[tuple[str, str]]] = field(default_factory=dict)  # student -> guardian's ID, type
    classes: dict[str, str] = field(default_factory=dict)  # ID -> school
    enrollments: list[tuple[str, str]] = field(default_factory=list)  # class, student

    @staticmethod
    def of(here: int, there: int = 20) -> Files:
        students = {f"0{number:03}": ("1", f"Here{number}", "3") for number in range(here)}
        elsewhere = {f"9{number:03}": ("2", f"There{number}", "3") for number in range(there)}
        return Files(students={**students, **elsewhere})

    def send(self, installation: Installation, district: str = "unified") -> None:
        rows = []
        for student, (school, last_name, grade) in self.students.items():
            own = f"{student},{school},Kim,{last_name},,2015-01-02,{grade}"
            family = self.families.get(student) or [("", "")]
            for guardian, kind in family:
                told = f"{guardian},Pat,{guardian.title()},202555{hash_of(guardian):04},{kind}" if guardian else ",,,,"
                rows.append(f"{own},{told}")
        installation.send(
            {
                "schools.csv": text("school_id,school_name", [",".join(each) for each in self.schools.items()]),
                "teachers.csv": text(
                    "teacher_id,school_id,first_name,last_name,email",
                    [f"t{school},{school},Ada,Moss{school},ada{school}@unified.example" for school in self.schools],
                ),
                "students.csv": text(HEAD, rows),
                "classes.csv": text(
                    "class_id,school_id,class_name,teacher_id",
                    [f"{each},{school},Class {each},t{school}" for each, school in self.classes.items()],
                ),
                "enrollments.csv": text("class_id,student_id", [",".join(each) for each in self.enrollments]),
            },
            district,
        )


def hash_of(guardian: str) -> int:
    return sum(ord(letter) * (position + 7) for position, letter in enumerate(guardian)) % 10_000


def text(head: str, rows: Sequence[str]) -> bytes:
    return "\n".join([head, *rows, ""]).encode()


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    """Two schools, on SQLite; on PostgreSQL, too, where a test is of what is written about holds."""
    url = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    with open_database(url, backups=None) as database:
        installation = Installation(tmp_path, database)
        installation.set_up(unified={"lincoln": "1", "adams": "2"})
        yield installation


ON_EACH = pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)


def night(place: Installation, files: Files | None = None) -> dict[str, tuple[str, ...]]:
    """A night, after these files were sent; the schools that are on hold in it, and why."""
    if files is not None:
        files.send(place)
    return {outcome.school_id.split("/")[1]: outcome.reasons for outcome in place.night() if outcome.reasons}


def again(place: Installation, *schools: str) -> dict[str, tuple[str, ...]]:
    """The schools processed again by hand."""
    outcomes = place.night(schools=list(schools) or ["lincoln", "adams"])
    return {outcome.school_id.split("/")[1]: outcome.reasons for outcome in outcomes if outcome.reasons}


def held(place: Installation, school: str = "lincoln") -> Hold:
    with place.database.reading() as session:
        (hold,) = [hold for hold in store.open_holds(session) if hold.school_key == school]
        return hold


def decide(place: Installation, hold: Hold, verb: str, why: str | None = None) -> None:
    with place.database.transaction() as session:
        decisions.decide(session, hold.id, verb, by="ops", why=why, now=datetime.now(UTC))


def evidence(place: Installation, hold: Hold) -> pl.DataFrame:
    with place.database.reading() as session:
        items = store.items_of(session, hold.id)
    return pl.read_csv(io.StringIO(evidence_csv(items)), infer_schema=False)


def active(place: Installation, table: str) -> int:
    with place.database.reading() as session:
        sql = f"SELECT count(*) AS n FROM {table} WHERE active"
        return int(bulk.read(session, sql, {}, {"n": pl.Int64}).item())


def causes(hold: Hold) -> dict[str, str | None]:
    return {reason.code: reason.detail for reason in hold.reasons}


@ON_EACH
def test_many_guardians_hold_at_first_and_are_accepted_until_they_change(place: Installation) -> None:
    files = Files.of(3)
    six = [(f"g{number}", "primary") for number in range(6)]
    files.families = {"0000": six, "0001": six[:5]}
    assert night(place, files) == {"lincoln": ("too_many_guardians",)}
    hold = held(place)
    assert hold.reasons[0].counts == {"students": {"found": 1, "limit": 6}}
    assert evidence(place, hold).rows() == [
        ("0000", "Kim Here0", f"g{number}", f"Pat G{number}", "primary") for number in range(6)
    ]
    assert evidence(place, hold).columns == ["student_id", "student", "guardian_id", "guardian", "type"]
    with pytest.raises(NotPossible, match="no removals or changes to confirm"):
        decide(place, hold, decisions.CONFIRM)
    decide(place, hold, decisions.ACCEPT, why="a  large family")
    assert again(place) == {}
    assert active(place, "guardianship") == 11
    # ContactPolicy: another change of the school does not bring the hold back.
    files.students["0005"] = ("1", "Newcomer", "3")
    assert night(place, files) == {}
    files.families["0000"] = [*six, ("g6", "primary")]
    assert night(place, files) == {"lincoln": ("too_many_guardians",)}
    with place.database.reading() as session:
        ended = store.get_hold(session, hold.id)
    assert (ended.ending, [(each.verb, each.by, each.why) for each in ended.decisions]) == (
        "released",
        [("accept", "ops", "a large family")],
    )


def test_no_cause_is_looked_for_of_what_was_accepted(place: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files.of(3)
    files.families = {"0000": [(f"g{number}", "emergency") for number in range(6)]}
    assert night(place, files) == {"lincoln": ("emergency_contacts", "too_many_guardians")}
    decide(place, held(place), decisions.ACCEPT)
    assert again(place) == {}
    looked_for: list[str] = []
    monkeypatch.setattr(likely_causes, "collect_evidence", lambda scope, *_: looked_for.append(scope.source_id))
    assert (night(place, files), looked_for) == ({}, [])


def test_no_cause_is_looked_for_of_what_a_waiting_decision_covers(
    place: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert night(place, Files.of(40)) == {}
    files = Files.of(40)
    for number in range(20):
        del files.students[f"{number:04}"]
    assert night(place, files) == {"lincoln": ("data_removals",)}
    decide(place, held(place), decisions.CONFIRM)
    looked_for: list[str] = []
    look = likely_causes.collect_evidence

    def collected(scope: Scope, *rest: Any) -> likely_causes.CauseEvidence:
        looked_for.append(scope.source_id)
        return look(scope, *rest)

    monkeypatch.setattr(likely_causes, "collect_evidence", collected)
    # More go than were shown: the school will be held again, so that causes are looked for.
    del files.students["0020"]
    assert (night(place, files), looked_for) == ({"lincoln": ("data_removals",)}, ["unified/files"])
    assert list(previewed(place)) == ["lincoln"]
    decide(place, held(place), decisions.CONFIRM)
    looked_for.clear()
    assert previewed(place) == {}
    assert (again(place), looked_for) == ({}, [])


@ON_EACH
def test_contacts_hold_and_are_left_out_from_now_on(place: Installation) -> None:
    files = Files.of(3)
    files.families = {"0000": [("g0", "primary"), ("g1", "Emergency")], "9000": [("g2", " SECONDARY")]}
    assert night(place, files) == {"lincoln": ("emergency_contacts",), "adams": ("emergency_contacts",)}
    assert evidence(place, held(place)).rows() == [("0000", "Kim Here0", "g1", "Pat G1", "Emergency")]
    assert held(place).reasons[0].counts == {"emergency": {"found": 1}}
    decide(place, held(place), decisions.LEAVE_OUT)
    # What was decided is about the whole source.
    assert again(place) == {}
    assert active(place, "guardianship") == 1
    files.families["0001"] = [("g3", "emergency")]
    assert night(place, files) == {}
    assert active(place, "guardianship") == 1


@ON_EACH
def test_contacts_left_out_are_asked_about_again(place: Installation) -> None:
    files = Files.of(3)
    files.families = {"0000": [("g0", "primary"), ("g1", "emergency")]}
    night(place, files)
    decide(place, held(place), decisions.LEAVE_OUT)
    assert again(place) == {}
    assert kept_in_mind(place) == ["unified/files: emergency contacts are left out"]
    with place.database.transaction() as session:
        contact_policy.hold(session, "unified")
    assert kept_in_mind(place) == ["unified/files: emergency contacts put the school on hold"]
    # Without any new files: the current delivery is not done with the schools under what is decided now.
    assert night(place) == {"lincoln": ("emergency_contacts",)}
    assert active(place, "guardianship") == 1
    with place.database.transaction() as session:
        contact_policy.leave_out(session, "unified", "files")
    assert night(place) == {}
    assert active(place, "guardianship") == 1


def test_contacts_accepted_are_asked_about_again(place: Installation) -> None:
    files = Files.of(3)
    six = [(f"h{number}", "primary") for number in range(6)]
    files.families = {"0000": [("g0", "primary"), ("g1", "emergency")], "0001": six}
    night(place, files)
    decide(place, held(place), decisions.ACCEPT)
    assert again(place) == {}
    said = "unified/files: emergency contacts put the school on hold"
    assert kept_in_mind(place) == [f"{said} (already accepted for 1 student)"]
    with place.database.transaction() as session:
        contact_policy.hold(session, "unified", "files")
        with pytest.raises(NotFound, match=r"^district unified has no source other; it has files$"):
            contact_policy.hold(session, "unified", "other")
    assert kept_in_mind(place) == [said]
    files.students["0002"] = ("1", "Renamed", "3")
    assert night(place, files) == {"lincoln": ("emergency_contacts",)}
    assert evidence(place, held(place)).rows() == [("0000", "Kim Here0", "g1", "Pat G1", "emergency")]
    assert active(place, "guardianship") == 8


def kept_in_mind(place: Installation) -> list[str]:
    with place.database.reading() as session:
        return [str(each) for each in contact_policy.of_contacts(session, "unified")]


@ON_EACH
def test_contacts_are_accepted_until_the_students_guardians_change(place: Installation) -> None:
    files = Files.of(3)
    files.families = {"0000": [("g0", "primary"), ("g1", "emergency")]}
    assert night(place, files) == {"lincoln": ("emergency_contacts",)}
    decide(place, held(place), decisions.ACCEPT)
    assert again(place) == {}
    assert active(place, "guardianship") == 2
    files.students["0001"] = ("1", "Renamed", "3")
    assert night(place, files) == {}
    files.families["0000"] = [("g0", "primary"), ("g1", "emergency"), ("g2", "primary")]
    assert night(place, files) == {"lincoln": ("emergency_contacts",)}


def test_two_reasons_are_resolved_one_after_the_other(place: Installation) -> None:
    files = Files.of(40)
    night(place, files)
    files.students = {student: told for student, told in files.students.items() if student not in files_gone(15)}
    files.families = {"0030": [("g1", "emergency")]}
    assert night(place, files) == {"lincoln": ("data_removals", "emergency_contacts")}
    first = held(place)
    assert set(evidence(place, first)["code"]) == {"data_removals", "emergency_contacts"}
    decide(place, first, decisions.ACCEPT)
    assert again(place) == {"lincoln": ("data_removals",)}
    second = held(place)
    assert (second.id != first.id, second.reasons[0].since) == (True, first.reasons[0].since)
    decide(place, second, decisions.CONFIRM)
    assert again(place) == {}
    # Both were decided about: also what was decided about the first hold is used, and remembered.
    assert night(place, files) == {}
    with place.database.reading() as session:
        unused = bulk.read(session, "SELECT id FROM decision WHERE applied_at IS NULL", {}, {"id": pl.Int64})
    assert unused.is_empty()


def files_gone(count: int) -> set[str]:
    return {f"0{number:03}" for number in range(count)}


@ON_EACH
def test_changes_hold_show_old_and_new_and_are_confirmed_by_new_value(place: Installation) -> None:
    files = Files.of(40)
    night(place, files)
    files.students = {
        student: (school, f"New{name}" if student < "0026" else name, grade)
        for student, (school, name, grade) in files.students.items()
    }
    assert night(place, files) == {"lincoln": ("unusual_changes",)}
    hold = held(place)
    assert hold.reasons[0].counts == {
        "students_last_name": {"changed": 26, "before": 40, "limit_share": 0.5, "limit_count": 25}
    }
    assert evidence(place, hold).row(0, named=True) == {
        "type": "students",
        "record_id": "0000",
        "name": "Kim NewHere0",
        "field": "last_name",
        "before": "Here0",
        "after": "NewHere0",
        "counterpart_id": None,
    }
    decide(place, hold, decisions.CONFIRM_CHANGES)
    # Another new value than the one that was shown is not covered.
    files.students["0003"] = ("1", "Other", "3")
    assert night(place, files) == {"lincoln": ("unusual_changes",)}
    with place.database.reading() as session:
        new = decisions.uncovered(store.items_of(session, held(place).id), store.items_of(session, hold.id))
    assert new["record_id"].to_list() == ["0003"]
    decide(place, held(place), decisions.CONFIRM)
    assert again(place) == {}


def test_guardians_added_to_students_who_stay_hold(place: Installation) -> None:
    files = Files.of(60)
    files.families = {student: [(f"g{student}", "primary")] for student in files.students}
    night(place, files)
    for number in range(51):
        files.families[f"0{number:03}"] = [*files.families[f"0{number:03}"], (f"x{number}", "primary")]
    assert night(place, files) == {"lincoln": ("unusual_changes",)}
    assert held(place).reasons[0].counts == {
        "guardianships": {"added": 51, "before": 60, "limit_share": 0.5, "limit_count": 50}
    }
    decide(place, held(place), decisions.CONFIRM)
    # The guardians are new in every plan, and nevertheless those that were shown.
    assert again(place) == {}
    assert active(place, "guardianship") == 80 + 51


def test_a_newer_clean_delivery_releases_by_itself(place: Installation) -> None:
    files = Files.of(40)
    night(place, files)
    everybody = dict(files.students)
    files.students = {student: told for student, told in everybody.items() if student not in files_gone(20)}
    assert night(place, files) == {"lincoln": ("data_removals",)}
    first = held(place)
    assert causes(first) == {
        "data_removals": "students.csv has shrunk to 40 rows; in the delivery applied last it had 60."
    }
    files.students = {student: told for student, told in everybody.items() if student not in files_gone(19)}
    assert night(place, files) == {"lincoln": ("data_removals",)}
    assert held(place).id != first.id
    files.students = everybody
    assert night(place, files) == {}
    with place.database.reading() as session:
        assert store.open_holds(session) == []


def test_lost_zeros_are_named_as_the_cause(place: Installation) -> None:
    files = Files.of(40)
    night(place, files)
    files.students = {student.lstrip("0") or "0": told for student, told in files.students.items()}
    assert night(place, files)["lincoln"][0] == "data_removals"
    assert "have lost their leading zeros" in (causes(held(place))["data_removals"] or "")


def test_a_school_under_another_id_is_named_as_the_cause(place: Installation) -> None:
    files = Files.of(20)
    night(place, files)
    files.schools = {"L1": "Lincoln", "2": "Adams"}
    files.students = {student: ("L1" if told[0] == "1" else "2", *told[1:]) for student, told in files.students.items()}
    assert night(place, files) == {"lincoln": ("data_removals", "school_missing")}
    said = causes(held(place))["school_missing"] or ""
    assert said.startswith("The school seems to have another ID: 20 of its 21 people are at L1 now.")


def test_a_school_confirmed_to_be_missing_is_not_held_for_that_again(place: Installation) -> None:
    files = Files.of(20)
    night(place, files)
    del files.schools["1"]
    here = {student: told for student, told in files.students.items() if told[0] == "1"}
    files.students = {student: told for student, told in files.students.items() if told[0] == "2"}
    assert night(place, files) == {"lincoln": ("data_removals", "school_missing")}
    decide(place, held(place), decisions.CONFIRM, why="the school has closed")
    assert again(place) == {}
    # Nor by the same delivery, nor by another one without it.
    assert again(place) == {}
    files.students["9001"] = ("2", "Renamed", "3")
    assert night(place, files) == {}
    # It opens again, and is gone once more.
    files.schools["1"] = "Lincoln"
    files.students |= here
    assert night(place, files) == {}
    del files.schools["1"]
    assert night(place, files) == {"lincoln": ("data_removals", "school_missing")}
    # Confirmed while its students are still in the files: they stay, and each new delivery asks again.
    decide(place, held(place), decisions.CONFIRM_REMOVALS)
    assert (again(place), again(place), active(place, "school_membership")) == ({}, {}, 41)
    files.students["9001"] = ("2", "Renamed again", "3")
    assert night(place, files) == {"lincoln": ("school_missing",)}


def test_another_schools_file_is_named_as_the_cause(place: Installation) -> None:
    files = Files.of(30, 30)
    night(place, files)
    files.students = {student: ("2" if told[0] == "1" else "1", *told[1:]) for student, told in files.students.items()}
    night(place, files)
    assert "were at adams until now" in (causes(held(place))["data_removals"] or "")


def test_a_new_year_is_named_as_the_cause(place: Installation) -> None:
    files = Files.of(40)
    files.students = {
        student: (told[0], told[1], "5" if student < "0015" else "3") for student, told in files.students.items()
    }
    files.classes = {f"c{number}": "1" for number in range(8)}
    night(place, files)
    files.students = {
        student: (told[0], told[1], "4") for student, told in files.students.items() if not student < "0015"
    }
    assert night(place, files) == {"lincoln": ("data_removals",)}
    assert "25 of the 25 students who stay have moved on by a grade, and 15 have left" in (
        causes(held(place))["data_removals"] or ""
    )


def test_a_new_term_is_named_as_the_cause(place: Installation) -> None:
    files = Files.of(40)
    files.classes = {f"c{number}": "1" for number in range(8)}
    night(place, files)
    files.classes = {f"d{number}": "1" for number in range(9)}
    assert night(place, files) == {"lincoln": ("data_removals",)}
    assert causes(held(place)) == {
        "data_removals": "8 of 8 classes are replaced by 9 others, and 40 of 40 students stay:"
        " this looks like a new term."
    }


def test_another_districts_files_are_named_as_the_cause(place: Installation) -> None:
    night(place, Files.of(30))
    other = Files.of(30)
    other.students = {
        f"x{student}": (school, f"Other{name}", grade) for student, (school, name, grade) in other.students.items()
    }
    night(place, other)
    assert "the file may be another district's" in (causes(held(place))["data_removals"] or "")


def test_a_district_has_limits_of_its_own(place: Installation) -> None:
    files = Files.of(40)
    night(place, files)
    with place.database.transaction() as session:
        bulk.execute(session, """UPDATE district SET limits = '{"students": [0.5, 30]}'""")
    files.students = {student: told for student, told in files.students.items() if student not in files_gone(30)}
    assert night(place, files) == {}
    with place.database.transaction() as session:
        bulk.execute(session, """UPDATE district SET limits = '{"students": [0.0, 0]}'""")
    del files.students["0035"]
    assert night(place, files) == {"lincoln": ("data_removals",)}
    assert describe_counts(held(place).reasons[0]) == [
        "1 of 10 students would be removed (limit: 0% and 0, set for this district)"
    ]


def test_what_is_held_however_few_it_is_names_no_limit(place: Installation) -> None:
    files = Files.of(3)
    night(place, files)
    files.students = {}
    night(place, files)
    assert describe_counts(held(place).reasons[0]) == ["all 3 students would be removed (on hold whatever the limits)"]


@pytest.mark.parametrize(("share", "shown"), [(0.125, "12.5%"), (0.29, "29%"), (0.0, "0%"), (1.0, "100%")])
def test_a_limit_is_reported_as_it_was_set(share: float, shown: str) -> None:
    counts = {"students": {"removed": 3, "before": 9, "limit_share": share, "limit_count": 2}}
    assert describe_counts(HoldReason(hold_id=1, code="data_removals", counts=counts)) == [
        f"3 of 9 students would be removed (limit: {shown} and 2)"
    ]


def test_a_recheck_decides_nothing(place: Installation) -> None:
    files = Files.of(40)
    night(place, files)
    files.students = {student: told for student, told in files.students.items() if student not in files_gone(20)}
    night(place, files)
    decide(place, held(place), decisions.RECHECK)
    assert again(place, "lincoln") == {"lincoln": ("data_removals",)}


@ON_EACH
def test_all_holds_of_a_district_are_decided_about_at_once(place: Installation) -> None:
    files = Files.of(40, 40)
    night(place, files)
    files.students = {student: told for student, told in files.students.items() if student[1:] > "019"}
    assert night(place, files) == {"lincoln": ("data_removals",), "adams": ("data_removals",)}
    with place.database.transaction() as session:
        chosen = decisions.choose(session, decisions.CONFIRM, district_id="unified")
        assert effects(chosen[0], decisions.CONFIRM) == [
            "Many people or classes would be removed: 20 of 40 students would be removed (limit: 10% and 10)."
            " Exactly this will be applied."
        ]
        assert decisions.to_run(chosen, decisions.CONFIRM) == {"unified": ["lincoln", "adams"]}
        assert decisions.to_run(chosen, decisions.FIXED) == {"unified": None}
        with pytest.raises(NotPossible, match="district unified has no guardians or contacts to accept"):
            decisions.choose(session, decisions.ACCEPT, district_id="unified")
        with pytest.raises(NotPossible, match="give either hold numbers or --district"):
            decisions.choose(session, decisions.ACCEPT)
        for hold in chosen:
            decisions.decide(session, hold.id, decisions.CONFIRM, by="ops", now=datetime.now(UTC))
    assert again(place) == {}


@pytest.mark.parametrize("order", [("lincoln", "adams"), ("adams", "lincoln")])
def test_who_leaves_their_school_stays_in_the_class_of_a_held_one(place: Installation, order: Sequence[str]) -> None:
    place.set_up(unified={key: {"lincoln": "1", "adams": "2"}[key] for key in order})
    files = Files.of(20)
    files.classes = {"c1": "1"}
    files.send(place)
    place.send({"enrollments.csv": text("class_id,student_id", ["c1,0000", "c1,9000"])})
    place.night()
    gone = files_gone(15) - {"0000"}
    files.students = {student: told for student, told in files.students.items() if student not in gone}
    assert night(place, files) == {"lincoln": ("data_removals",)}
    del files.students["9000"]
    assert night(place, files) == {"lincoln": ("data_removals",)}
    assert in_class(place) == ["0000", "9000", "t1"]
    decide(place, held(place), decisions.CONFIRM)
    place.send({"enrollments.csv": text("class_id,student_id", ["c1,0000"])})
    assert night(place) == {}
    assert in_class(place) == ["0000", "t1"]
    with place.database.reading() as session:
        sql = "SELECT external_id FROM link WHERE archived_at IS NULL AND external_id IN ('0000', '9000')"
        assert bulk.read(session, sql, {}, {"id": pl.String})["id"].to_list() == ["0000"]


def in_class(place: Installation) -> list[str]:
    """The external IDs of everybody in a class."""
    with place.database.reading() as session:
        sql = "SELECT l.external_id FROM class_membership m JOIN link l ON l.id = m.link_id WHERE m.active ORDER BY 1"
        return bulk.read(session, sql, {}, {"id": pl.String})["id"].to_list()


def test_a_student_who_comes_without_their_guardians_holds_no_school(place: Installation) -> None:
    files = Files.of(3, 3)
    files.families = {"0000": [("g0", "primary"), ("g1", "primary")], "0001": [("g2", "primary")]}
    assert night(place, files) == {}
    files.students["0000"] = ("2", "Here0", "3")
    files.families = {"0001": [("g2", "primary")]}
    assert "adams" not in night(place, files)


def test_a_guest_whose_own_school_was_never_applied_is_archived_once_in_no_row(place: Installation) -> None:
    files = Files.of(3, 3)
    files.classes = {"c1": "1"}
    files.families = {"9001": [(f"g{number}", "primary") for number in range(6)]}  # adams is held at first
    files.send(place)
    place.send({"enrollments.csv": text("class_id,student_id", ["c1,0000", "c1,9000"])})
    assert night(place) == {"adams": ("too_many_guardians",)}
    del files.students["9000"]
    files.families = {}
    files.send(place)
    place.send({"enrollments.csv": text("class_id,student_id", ["c1,0000"])})
    assert night(place) == {}
    assert again(place) == {}
    with place.database.reading() as session:
        sql = (
            "SELECT l.external_id FROM link l JOIN account a ON a.id = l.account_id WHERE a.archived_at IS NULL"
            " AND l.external_id = '9000'"
        )
        assert bulk.read(session, sql, {}, {"id": pl.String})["id"].to_list() == []


# --- what vanishes ----------------------------------------------------------------------------------------------------


def in_classes(place: Installation) -> Files:
    """Thirty students here and there, a class at each school, and all of them in their school's class."""
    files = Files.of(30, 30)
    files.classes = {"c1": "1", "c2": "2"}
    files.enrollments = [("c1" if school == "1" else "c2", each) for each, (school, _, _) in files.students.items()]
    assert night(place, files) == {}
    return files


def test_classes_without_any_student_hold_though_their_teachers_stay(place: Installation) -> None:
    files = in_classes(place)
    enrolled = list(files.enrollments)
    files.enrollments = []
    assert night(place, files) == {"lincoln": ("data_removals",), "adams": ("data_removals",)}
    (reason,) = held(place).reasons
    assert (reason.counts, reason.detail) == (
        {"student_class_memberships": {"removed": 30, "before": 30, "limit_share": 0.2, "limit_count": 50}},
        "enrollments.csv has its header and no rows; in the delivery applied last it had 60.",
    )
    assert describe_counts(reason) == [
        "all 30 student class memberships would be removed (on hold whatever the limits)"
    ]
    assert active(place, "class_membership") == 62
    # The rows of one school only.
    files.enrollments = [each for each in enrolled if each[0] == "c2"]
    assert night(place, files) == {"lincoln": ("data_removals",)}
    files.enrollments = enrolled
    assert night(place, files) == {}
    assert active(place, "class_membership") == 62


def test_a_field_that_nobody_has_any_more_holds_and_is_confirmed(place: Installation) -> None:
    files = Files.of(12, 3)
    night(place, files)
    files.students = {each: (school, name, "") for each, (school, name, _) in files.students.items()}
    # At the other school three only had one.
    assert night(place, files) == {"lincoln": ("unusual_changes",)}
    hold = held(place)
    (reason,) = hold.reasons
    assert (reason.counts, reason.detail) == (
        {"students_grade": {"emptied": 12, "before": 12}},
        "12 of 12 students lose their grades, and nobody listed for this school has one anymore: the column may be"
        " empty, or no longer exported or shared.",
    )
    assert describe_counts(reason) == [
        "12 of 12 students would lose their grade, and nobody keeps one (on hold whatever the limits)"
    ]
    assert evidence(place, hold).select("record_id", "field", "before", "after").rows() == [
        (f"0{number:03}", "grade", "3", None) for number in range(12)
    ]
    assert grades(place) == {"3": 12, None: 3}
    decide(place, hold, decisions.CONFIRM_CHANGES)
    assert again(place) == {}
    assert grades(place) == {None: 15}


def grades(place: Installation) -> dict[str | None, int]:
    with place.database.reading() as session:
        sql = "SELECT grade, count(*) AS n FROM link WHERE kind = 'student' GROUP BY grade"
        return dict(bulk.read(session, sql, {}, {"grade": pl.String, "n": pl.Int64}).iter_rows())


def test_ids_that_changed_are_reported_as_such(place: Installation) -> None:
    files = Files.of(30)
    night(place, files)
    files.students = {f"N{each}" if each[0] == "0" else each: told for each, told in files.students.items()}
    assert night(place, files) == {"lincoln": ("data_removals",)}
    (reason,) = held(place).reasons
    told = {"ids": 30, "before": 30, "limit_share": 0.1, "limit_count": 10}
    assert (reason.counts, describe_counts(reason)) == (
        {"students": told},
        ["the IDs of all 30 students would change (on hold whatever the limits)"],
    )


# --- all schools together ---------------------------------------------------------------------------------------------


@pytest.fixture
def three(place: Installation) -> Installation:
    """Three schools of forty students each; of all of them together 5 % and 2 may go."""
    place.set_up(unified={"lincoln": "1", "adams": "2", "grant": "3"})
    with place.database.transaction() as session:
        bulk.execute(session, """UPDATE district SET limits = '{"district_students": [0.05, 2]}'""")
    assert night(place, of_three()) == {}
    return place


def of_three(**gone: int) -> Files:
    """Their files, but for so many students of each school."""
    schools = {"1": "Lincoln", "2": "Adams", "3": "Grant"}
    students = {
        f"{school}{number:03}": (school, f"N{number}", "3")
        for school, name in schools.items()
        for number in range(gone.get(name.lower(), 0), 40)
    }
    return Files(schools=schools, students=students)


def together(here: int, *, removed: int, schools: int) -> dict[str, dict[str, object]]:
    limit = {"limit_share": 0.05, "limit_count": 2, "own_limit": True}
    return {"district_students": {"here": here, "removed": removed, "before": 120, "schools": schools, **limit}}


def counted(place: Installation) -> dict[str, Any]:
    with place.database.reading() as session:
        return {hold.school_key: hold.reasons[0].counts for hold in store.open_holds(session)}


def previewed(place: Installation) -> dict[str, object]:
    with place.database.reading() as session:
        (request,) = requests.sync_requests(session, "unified", None, None)
        shown = preview.preview_sync(
            session, request, landing=LandingArea.of_folder(place.folder / "landing"), adapter=CsvDropFolder()
        )
    reasons = {changes.school_id.split("/")[1]: changes.reasons for changes in shown.schools}
    return {key: found[0].counts for key, found in reasons.items() if found}


HELD = ("data_removals",)


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
def test_schools_that_together_lose_many_are_held_and_confirmed_together(three: Installation) -> None:
    # Exactly at the share it passes; Grant, which loses nobody, is not held.
    assert night(three, of_three(lincoln=3, adams=3)) == {}
    assert night(three, of_three()) == {}
    of_three(lincoln=4, adams=3).send(three)
    foreseen = previewed(three)
    assert night(three) == {"lincoln": HELD, "adams": HELD}
    assert counted(three) == foreseen
    assert foreseen == {
        "lincoln": together(4, removed=7, schools=2),
        "adams": together(3, removed=7, schools=2),
    }
    hold = held(three)
    assert (
        hold.reasons[0].detail == "The school is within its own limits, but 2 schools together exceed the district's."
    )
    assert describe_counts(hold.reasons[0]) == [
        "7 of 120 students of all schools together would no longer be at any of them, 4 of them from this school"
        " (limit of all schools together: 5% and 2, set for this district)"
    ]
    with three.database.reading() as session:
        shown = evidence_csv(store.items_of(session, hold.id), hold.reasons)
    figures = "7 of 120 students of all schools together would no longer be at any of them"
    assert pl.read_csv(io.StringIO(shown), infer_schema=False).select("record_id", "all_schools").rows() == [
        (f"1{number:03}", figures) for number in range(4)
    ]
    with three.database.transaction() as session:
        for each in decisions.choose(session, decisions.CONFIRM, district_id="unified"):
            decisions.decide(session, each.id, decisions.CONFIRM, by="ops", now=datetime.now(UTC))
    assert again(three) == {}
    assert active(three, "school_membership") == 113 + 3


def test_a_school_confirmed_alone_counts_on_until_the_last_is_released(three: Installation) -> None:
    night(three, of_three(lincoln=3, adams=3, grant=1))
    assert counted(three) == {
        key: together(here, removed=7, schools=3) for key, here in {"lincoln": 3, "adams": 3, "grant": 1}.items()
    }
    before = held(three, "adams").id
    decide(three, held(three), decisions.CONFIRM)
    # Only the one asked for is confirmed, and the others are what they were.
    assert again(three, "lincoln") == {}
    assert again(three, "lincoln", "adams", "grant") == {"adams": HELD, "grant": HELD}
    assert (held(three, "adams").id, counted(three)["adams"]) == (before, together(3, removed=7, schools=3))
    decide(three, held(three, "adams"), decisions.CONFIRM)
    assert night(three) == {"grant": HELD}
    assert counted(three) == {"grant": together(1, removed=7, schools=3)}
    # It is over: what goes from now on is counted from zero.
    decide(three, held(three, "grant"), decisions.CONFIRM)
    assert night(three) == {}
    assert night(three, of_three(lincoln=5, adams=4, grant=1)) == {}


def test_a_school_confirmed_alone_counts_no_more_once_its_people_are_back(three: Installation) -> None:
    night(three, of_three(lincoln=4, adams=3))
    decide(three, held(three), decisions.CONFIRM)
    assert again(three, "lincoln") == {}
    assert night(three, of_three(lincoln=2, adams=3)) == {}
    assert active(three, "school_membership") == 115 + 3


def test_who_comes_in_with_the_last_confirmation_does_not_slip_under(three: Installation) -> None:
    night(three, of_three(lincoln=4, adams=3))
    for school in ("lincoln", "adams"):
        decide(three, held(three, school), decisions.CONFIRM)
    assert night(three, of_three(lincoln=4, adams=3, grant=2)) == {"grant": HELD}
    assert again(three, "lincoln", "adams", "grant") == {"grant": HELD}
    assert counted(three) == {"grant": together(2, removed=9, schools=3)}


def test_the_district_is_judged_for_a_school_asked_for_alone_too(three: Installation) -> None:
    of_three(lincoln=4, adams=3).send(three)
    assert again(three, "adams") == {"adams": HELD}
    assert counted(three) == {"adams": together(3, removed=7, schools=2)}
    assert night(three) == {"lincoln": HELD, "adams": HELD}


def test_who_moves_inside_the_district_does_not_count_nor_a_school_beyond_its_own_limit(three: Installation) -> None:
    files = of_three(lincoln=3, adams=3)
    moved = {each: ("3", name, grade) for each, (school, name, grade) in files.students.items() if each[1:] == "010"}
    files.students |= moved
    assert night(three, files) == {}
    files = of_three(lincoln=3, adams=3, grant=20)
    files.students |= moved
    assert night(three, files) == {"grant": HELD}


# --- decisions that make no sense -------------------------------------------------------------------------------------


def test_nothing_is_decided_about_a_school_that_is_not_synced(place: Installation) -> None:
    files = Files.of(40)
    night(place, files)
    files.students = {each: told for each, told in files.students.items() if each not in files_gone(20)}
    night(place, files)
    hold = held(place)
    for change, why in (
        ("on_plan = false", "is not on the plan"),
        ("frozen = true", "is no longer in the setup file"),
        ("source_id = NULL", "has no source"),
    ):
        with place.database.transaction() as session:
            bulk.execute(session, f"UPDATE school SET {change} WHERE id = 'unified/lincoln'")
        said = (
            f"^lincoln {why}, so it is not synced, and hold {hold.id} stays as it is; change that in the setup"
            " file and run `rollcall setup` first$"
        )
        with place.database.reading() as session:
            with pytest.raises(NotPossible, match=said):
                decisions.choose(session, decisions.CONFIRM, hold_ids=[hold.id])
            with pytest.raises(NotPossible, match="district unified has no removals or changes to confirm"):
                decisions.choose(session, decisions.CONFIRM, district_id="unified")
            listed = [each.id for each in store.open_holds(session)]
            (report,) = district_report(session, now=datetime.now(UTC))
        shown = [row.hold.id for row in report.schools if row.hold is not None]
        # Without a source it still has a sync status.
        assert (listed, shown) == (([hold.id], [hold.id]) if "source" in change else ([], []))
        with pytest.raises(NotPossible, match=said):
            decide(place, hold, decisions.CONFIRM)
        place.set_up(unified={"lincoln": "1", "adams": "2"})
    with place.database.reading() as session:
        assert bulk.read(session, "SELECT id FROM decision", {}, {"id": pl.Int64}).is_empty()
    assert [each.id for each in [held(place)]] == [hold.id]


def test_accepted_guardians_are_asked_about_again_once_they_were_others_between(place: Installation) -> None:
    files = Files.of(3)
    six = [(f"g{number}", "primary") for number in range(6)]
    files.families = {"0000": six, "0001": six}
    assert night(place, files) == {"lincoln": ("too_many_guardians",)}
    decide(place, held(place), decisions.ACCEPT)
    assert again(place) == {}
    files.families["0000"] = six[:5]
    assert night(place, files) == {}
    files.families["0000"] = six
    assert night(place, files) == {"lincoln": ("too_many_guardians",)}
    # Of their brother or sister nothing has changed.
    assert set(evidence(place, held(place))["student_id"]) == {"0000"}


def test_what_else_holds_is_foretold_only_where_the_decision_leaves_the_data_as_they_are(place: Installation) -> None:
    files = Files.of(3)
    files.families = {"0000": [(f"g{number}", "emergency" if number else "primary") for number in range(6)]}
    assert night(place, files) == {"lincoln": ("emergency_contacts", "too_many_guardians")}
    hold = held(place)
    assert effects(hold, decisions.LEAVE_OUT) == [
        "Emergency contacts are in the files: 5 emergency contacts. They will be left out at all schools of this source"
        " from now on."
    ]
    decide(place, hold, decisions.LEAVE_OUT)
    assert again(place) == {}
