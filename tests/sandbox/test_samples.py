import tomllib
from datetime import date

from contracts.checking import check
from contracts.formats import FORMATS
from contracts.formats.delimited import read_files
from contracts.roster import StoredRoster
from contracts.settling import settle
from sandbox.clever_records import clever_ids, district_id
from sandbox.samples import FOLDER, lakeside, samples

CSV = FORMATS["csv-1.0"]


def test_the_committed_files_are_those_the_generator_makes() -> None:
    committed = {str(file.relative_to(FOLDER)): file.read_bytes() for file in FOLDER.glob("*/*/*.csv")}
    assert committed == samples()


def test_the_files_are_small_enough_to_read() -> None:
    assert max(content.count(b"\n") for content in samples().values()) < 200


def test_the_setup_names_the_districts_and_their_drop_folders() -> None:
    setup = tomllib.loads((FOLDER / "setup.toml").read_text())
    assert [(district["id"], district["source"][0].get("folder")) for district in setup["district"]] == [
        ("unified", "drop/unified"),
        ("riverbend", "drop/riverbend"),
        ("hillcrest", "drop/hillcrest"),
        ("lakeside", None),
    ]
    assert {path.split("/")[0] for path in samples()} == {"unified", "riverbend", "hillcrest"}


def test_the_setup_names_lakeside_as_clever_does() -> None:
    setup = tomllib.loads((FOLDER / "setup.toml").read_text())
    (named,) = (district for district in setup["district"] if district["id"] == "lakeside")
    first, second = lakeside()
    assert named["source"][0]["district_id"] == district_id(first) == district_id(second)
    schools = [school["external_id"] for school in named["school"]]
    assert schools == list(clever_ids(first).schools.values()) == list(clever_ids(second).schools.values())


def test_only_riverbends_second_night_has_file_errors() -> None:
    nights: dict[str, dict[str, bytes]] = {}
    for path, content in samples().items():
        night, _, name = path.rpartition("/")
        nights.setdefault(night, {})[name] = content
    found = {
        night: sorted(errors["code"])
        for night, files in nights.items()
        if (errors := read_files(CSV, files).file_errors).height
    }
    assert found == {
        "riverbend/night2": [
            "columns_invalid",
            "columns_invalid",
            "id_missing",
            "id_missing",
            "line_break_in_cell",
            "quotes_invalid",
        ]
    }


def test_the_unified_nights_show_errors_alerts_and_a_school_cut_short() -> None:
    issues, students = [], []
    for night in (1, 2):
        folder = f"unified/night{night}/"
        files = {path.removeprefix(folder): content for path, content in samples().items() if path.startswith(folder)}
        reading = read_files(CSV, files)
        settled = settle(
            check(CSV.to_roster(reading), ["0101", "0102", "0103"], today=date(2026, 11, 24)), StoredRoster.nothing()
        )
        counted = settled.issues.group_by("school_id", "code").len()
        issues.append({f"{school} {code}": count for school, code, count in counted.iter_rows()})
        members = settled.school_members.join(settled.people.filter(kind="student"), on="person")
        students.append(dict(members.group_by("school_id").len().sort("school_id").rows()))
    first = {
        "0101 birth_date_invalid": 1,
        "0101 class_teacher_unknown": 1,
        "0101 class_without_students": 1,
        "0101 co_teacher_unknown": 1,
        "0101 guardian_unreachable": 1,
        "0101 name_missing": 1,
        "0101 phone_invalid": 3,
        "0101 student_without_class": 1,
        "0101 teacher_email_missing": 2,
        "0102 email_invalid": 2,
        "0102 email_taken": 1,
        "0102 grade_unknown": 1,
        "0102 student_without_guardian": 1,
    }
    assert issues == [first, first | {"0101 teacher_email_missing": 1}]
    assert students == [{"0101": 29, "0102": 29, "0103": 24}, {"0101": 30, "0102": 29, "0103": 10}]
