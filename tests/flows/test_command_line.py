"""The command line as ops use it, from a setup file to a confirmed hold: exit codes, JSON and what is said."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from sqlmodel import select
from typer.testing import CliRunner

from cli.main import app, main
from contracts.issues import catalogue
from errors import NotFound, NotPossible, SetupError
from flows.housekeeping import housekeeping
from models import bulk
from models.tables import Delivery, Mail, Run, Source
from models.tables import District as DistrictRow
from sandbox.csv_files import CsvStyle
from sandbox.generator import District, generate
from tests.flows.conftest import Installation, ran, rollcall, shown
from tests.setups import SETUP

AT = datetime(2026, 11, 20, 12, 10, tzinfo=UTC)


@pytest.fixture
def large_district() -> District:
    return generate(7, schools=3, students=1000, teachers=90, classes=380, enrollments=9000)


def test_a_district_never_seen_before_goes_from_folder_to_report(
    installation: Installation, large_district: District
) -> None:
    style = CsvStyle(line_end="\r\n", bom=True, quoting="mixed", final_newline=False)
    large_district.write(installation.home / "drop", style)
    assert rollcall("check", str(installation.home / "drop"), "--json").exit_code == 0
    assert rollcall("sync", "unified", "--now").exit_code == 0
    (district,) = shown("status", "--json")
    expected = {
        school: (
            large_district.school_members.filter((_kind("employee")) & _at(school)).height,
            large_district.school_members.filter((_kind("student")) & _at(school)).height,
        )
        for school in ("0101", "0102", "0103")
    }
    found = {row["school_id"]: (row["teachers"], row["students"]) for row in district["schools"]}
    assert found == {"lincoln": expected["0101"], "roosevelt": expected["0102"], "jefferson": expected["0103"]}
    assert {(row["status"], row["hold"], row["on_plan"]) for row in district["schools"]} == {("connected", None, True)}
    assert rollcall("sync", "unified").exit_code == 0


def _kind(kind: str) -> pl.Expr:
    return pl.col("kind") == kind


def _at(school: str) -> pl.Expr:
    return pl.col("school_id") == school


def test_a_cut_file_holds_and_a_confirmation_lets_it_happen(
    installation: Installation, small_district: District, tmp_path: Path
) -> None:
    installation.drop(small_district)
    assert rollcall("sync", "unified", "--now").exit_code == 0
    for name in ("students.csv", "enrollments.csv"):
        file = installation.home / "drop" / name
        file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    result = rollcall("preview", "unified")
    assert result.exit_code == 0
    assert "would go on hold" in result.stdout
    assert shown("holds", "--json") == []
    assert rollcall("sync", "unified", "--now").exit_code == 1
    holds = shown("holds", "unified", "--json")
    assert [(hold["school_id"], [reason["code"] for reason in hold["reasons"]]) for hold in holds] == [
        (school, ["data_removals"]) for school in ("lincoln", "roosevelt", "jefferson")
    ]
    first = holds[0]["id"]
    removals = tmp_path / "removals.csv"
    assert rollcall("hold", "show", str(first), "--csv", str(removals)).exit_code == 0
    assert removals.read_text().splitlines()[0] == "type,record_id,counterpart_id,name"
    assert rollcall("hold", "confirm", str(first)).exit_code == 0
    (district,) = shown("status", "--json")
    assert {row["school_id"]: (row["status"], row["students"] > 0) for row in district["schools"]} == {
        "lincoln": ("connected", False),
        "roosevelt": ("on_hold", True),
        "jefferson": ("on_hold", True),
    }
    assert rollcall("sync", "unified", "--delivery", "1").exit_code == 0
    (district,) = shown("status", "unified", "--json")
    assert {row["status"] for row in district["schools"]} == {"connected"}
    assert all(row["students"] > 0 for row in district["schools"])


def test_a_rejected_delivery_exits_with_1_and_lists_every_bad_row(
    installation: Installation, small_district: District, tmp_path: Path
) -> None:
    installation.drop(small_district)
    (installation.home / "drop" / "enrollments.csv").write_text("class_id,student_id\nc1\n,s2\nc3,s3,x\n")
    result = rollcall("check", str(installation.home / "drop"), "--json")
    assert result.exit_code == 3
    assert [(error["code"], error["line"]) for error in json.loads(result.stdout)["file_errors"]] == [
        ("columns_invalid", 2),
        ("id_missing", 3),
        ("columns_invalid", 4),
    ]
    assert rollcall("sync", "unified", "--now").exit_code == 1
    assert rollcall("sync", "unified").exit_code == 1
    listed = shown("issues", "unified", "--json")
    assert [(error["code"], error["line"]) for error in listed["file_errors"]] == [
        ("columns_invalid", 2),
        ("id_missing", 3),
        ("columns_invalid", 4),
    ]
    assert (listed["issues"], listed["counts"]) == ([], {"columns_invalid": 2, "id_missing": 1})
    (district,) = shown("status", "--json")
    assert (district["file_errors"], district["without_school"]) == (3, {"errors": 0, "alerts": 0})
    document = tmp_path / "errors.csv"
    assert rollcall("issues", "unified", "--csv", str(document)).exit_code == 0
    assert len(document.read_text().splitlines()) == 4


def test_a_delivery_that_cannot_be_applied_is_refused_before_any_run(
    installation: Installation, small_district: District, refused: Callable[..., str]
) -> None:
    installation.drop(small_district)
    (installation.home / "landing").mkdir(mode=0o700, exist_ok=True)
    rejected, unchecked, lost = range(1, 4)
    with installation.database.transaction() as session:
        for outcome in ("rejected", "received", "clean"):
            files = [{"name": "schools.csv", "size": 1, "sha256": ""}]
            session.add(
                Delivery(
                    source_id="unified/files",
                    received_at=AT,
                    last_received_at=AT,
                    outcome=outcome,
                    path="gone",
                    files=files,
                )
            )
            session.flush()
    for delivery, said in (
        (rejected, "delivery 1 was rejected for file errors and cannot be applied"),
        (unchecked, "delivery 2 is not checked yet: the next run checks it"),
        (lost, "schools.csv of delivery 3 cannot be found in the landing area"),
    ):
        assert said in refused(("sync", "unified", "--delivery", str(delivery)))
    with installation.database.reading() as session:
        assert session.exec(select(Run)).all() == []
        assert session.exec(select(Source.current_delivery_id)).all() == [None]


COAST = '[[district]]\nid = "coast"\nname = "Coast"\ntimezone = "America/New_York"\n'


def test_a_setup_that_would_freeze_is_shown_and_asked_about(
    installation: Installation, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = installation.home / "coast.toml"
    file.write_text(COAST)
    said = refused(("setup", str(file)))
    assert said == (
        "error: nothing was changed; use --yes to freeze what the file does not list, or --add to leave it alone"
    )
    monkeypatch.setattr("cli.setup._can_ask", lambda: True)
    declined = CliRunner().invoke(app, ["setup", str(file)], input="n\n")
    assert declined.stdout.splitlines()[:2] == [
        f"{file} does not list everything that is set up:",
        "  Unified School District would be frozen",
    ]
    assert (declined.exit_code, frozen(installation)) == (1, {"unified": False})
    assert rollcall("setup", "--add", str(file)).stdout == "Coast: added\n1 change\n"
    assert frozen(installation) == {"unified": False, "coast": False}
    agreed = CliRunner().invoke(app, ["setup", str(file)], input="y\n")
    assert (agreed.exit_code, frozen(installation)) == (0, {"unified": True, "coast": False})


def test_a_script_says_that_a_setup_may_freeze(installation: Installation) -> None:
    file = installation.home / "coast.toml"
    file.write_text(COAST)
    assert rollcall("setup", str(file), "--yes").stdout == (
        "Coast: added\nUnified School District: frozen, because the setup file no longer lists it\n2 changes\n"
    )


def test_ids_are_typed_with_whatever_was_pasted_around_them(installation: Installation) -> None:
    assert rollcall("status", "\ufeffunified\u00a0").stdout == rollcall("status", "unified").stdout
    assert shown("issues", " unified", "--school", "lincoln\u200b", "--json") == {
        "file_errors": [],
        "issues": [],
        "counts": {},
    }
    with pytest.raises(NotFound, match="has no school adams;"):
        rollcall("sync", "unified\t", "--school", "\u2060adams")


def frozen(installation: Installation) -> dict[str, bool]:
    with installation.database.reading() as session:
        return dict(session.exec(select(DistrictRow.id, DistrictRow.frozen)).all())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sync", "nowhere"), "there is no district nowhere"),
        (("sync", "unified", "--school", "nowhere"), "has no school nowhere"),
        (("sync", "unified", "--delivery", "99"), "has no delivery 99"),
        (("status", "nowhere"), "there is no district nowhere"),
        (("issues", "unified", "--school", "nowhere"), "has no school nowhere"),
        (("hold", "show", "99"), "there is no hold 99"),
        (("check", "/nowhere"), "there is no folder /nowhere"),
        (("check", "/tmp", "--format", "csv-9"), "there is no format csv-9"),
        (("setup", "/nowhere.toml"), "nowhere.toml"),
        (("pause", "nowhere", "--reason", "x"), "there is no district nowhere"),
        (("pause", "--reason", " "), "a pause needs a reason"),
        (("pause", "--reason", "x", "--until", "2020-01-01"), "the end of the pause is in the past"),
        (("pause", "--reason", "x", "--until", "soon"), '"soon" is not a valid time'),
        (("resume", "nowhere"), "there is no district nowhere"),
        (("hold", "fixed", "99"), "there is no hold 99"),
    ],
)
def test_a_users_mistake_gets_a_sentence_and_exit_code_2(
    installation: Installation, refused: Callable[..., str], arguments: tuple[str, ...], said: str
) -> None:
    assert said in refused(arguments)


def test_reading_commands_say_what_there_is(installation: Installation, small_district: District) -> None:
    installation.drop(small_district)
    rollcall("sync", "unified", "--now")
    assert "  clean, current  " in rollcall("deliveries", "unified").stdout
    assert "done" in rollcall("runs", "unified").stdout
    assert rollcall("holds").stdout == "no school is on hold\n"
    assert str(installation.home) in rollcall("settings").stdout
    assert rollcall("--version").stdout.startswith("rollcall 0.")
    assert "nothing to do" in rollcall("migrate").stdout
    setup = installation.home / "setup.toml"
    assert setup.read_text() == SETUP
    assert rollcall("setup", str(setup)).stdout == "nothing to change\n"
    assert rollcall("backup", str(installation.home / "copy.sqlite")).exit_code == 0


def test_what_a_problem_means_and_how_to_fix_it_is_said(tmp_path: Path) -> None:
    for name, content in {
        "schools.csv": "school_id,school_name\n1,Lincoln\n",
        "teachers.csv": "school_id,teacher_id,teacher_first_name,teacher_last_name,teacher_email\n1,T1,Ida,Moen,\n",
        "students.csv": "school_id,student_id,student_first_name,student_last_name\n",
        "classes.csv": "school_id,class_id,teacher_id,class_name\n1,C1,T1,Art\n",
        "enrollments.csv": "school_id,class_id,user_id\n",
    }.items():
        (tmp_path / name).write_text(content)
    entry = catalogue()["teacher_email_missing"]
    said = rollcall("check", str(tmp_path)).stdout
    assert said == (
        f"\n1 error\n  {entry.title} (teacher_email_missing): 1 at teachers.csv:2; 1 dependent record left out too"
        f"\n    {entry.meaning}\n    {entry.remedy}\n"
    )
    (tmp_path / "classes.csv").write_text("school_id,class_id,teacher_id,class_name\n1,,T1,Art\n")
    entry = catalogue()["id_missing"]
    said = rollcall("check", str(tmp_path)).stdout
    assert said == (
        "1 file error. The whole delivery is rejected.\n"
        f"\nclasses.csv: {entry.title} (id_missing, 1)\n  line 2: {entry.title}: column class_id.\n"
        f"    {entry.meaning}\n    {entry.remedy}\n"
    )


@pytest.mark.parametrize("arguments", [("-q", "check", "drop"), ("check", "drop", "--quiet"), ("check", "-q", "drop")])
def test_quiet_can_go_anywhere(
    installation: Installation, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    files = {
        **generate(2, schools=1, students=5).csv_files(),
        "schools.csv": b"school_id,school_name,motto\n0101,A,B\n",
    }
    for name, content in files.items():
        (installation.home / "drop" / name).write_bytes(content)
    monkeypatch.chdir(installation.home)
    assert "motto" in rollcall("check", "drop").stderr
    assert (rollcall(*arguments).exit_code, rollcall(*arguments).stderr) == (0, "")


@pytest.mark.parametrize("arguments", [("--log-json", "settings"), ("settings", "--log-json")])
def test_log_json_can_go_anywhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr("sys.argv", ["rollcall", *arguments])
    with pytest.raises(SystemExit):
        main()
    logging.getLogger("anything").warning("heard")
    assert json.loads(capsys.readouterr().err)["message"] == "heard"


def test_what_follows_two_dashes_is_no_option(installation: Installation) -> None:
    with pytest.raises(SetupError, match="there is no folder --quiet"):
        rollcall("check", "--", "--quiet")


def test_what_runs_log_is_reported_as_json_only(installation: Installation, small_district: District) -> None:
    installation.drop(small_district)
    (installation.home / "drop" / "classes.csv").write_text("class_id\n")
    assert rollcall("sync", "unified", "--now").stderr == ""
    logged = rollcall("sync", "unified", "--log-json").stderr.splitlines()
    assert {"prefect.flow_runs", "prefect.task_runs"} <= {json.loads(line)["logger"] for line in logged}


def test_mail_that_waits_is_reported_below_the_report(installation: Installation) -> None:
    assert "Email" not in rollcall("status").stdout
    with installation.database.transaction() as session:
        session.add(
            Mail(
                district_id="unified",
                message_id="m1",
                recipients=["it@unified.example"],
                subject="1 school on hold",
                text="",
                html="",
                created_at=AT,
                problem="the mail server smtp.example:587 refuses the login (454)",
            )
        )
    assert rollcall("status", "unified").stdout.splitlines()[-1] == (
        "Email to administrators: 1 email has been waiting since Nov 20, 2026, 4:10 AM PST;"
        " last answer: the mail server smtp.example:587 refuses the login (454)"
    )


def test_enforcement_is_shown_and_switched(installation: Installation) -> None:
    off = (
        "rostering enforcement of unified is off:"
        " people can leave the organization, and a sync does not add them back\n"
    )
    assert rollcall("enforcement", "unified").stdout == off
    on = "rostering enforcement of unified is on: people on the roster can't leave, and the next sync adds back anyone"
    assert rollcall("enforcement", "unified", "on").stdout.startswith(on)
    assert rollcall("enforcement", "unified").stdout.startswith(on)
    assert rollcall("enforcement", "unified", "off").stdout == off
    assert rollcall("enforcement", "unified", "maybe").exit_code == 2
    with pytest.raises(NotFound, match="there is no district nowhere"):
        rollcall("enforcement", "nowhere")


def test_the_choice_about_emergency_contacts_is_shown_and_changed(installation: Installation) -> None:
    on_hold = "unified/files: emergency contacts put the school on hold\n"
    left_out = "unified/files: emergency contacts are left out\n"
    assert rollcall("emergency-contacts", "unified").stdout == on_hold
    assert rollcall("emergency-contacts", "unified", "leave-out", "--source", "files").stdout == left_out
    assert rollcall("emergency-contacts", "unified").stdout == left_out
    assert rollcall("emergency-contacts", "unified", "hold").stdout == on_hold
    assert rollcall("emergency-contacts", "unified", "accept").exit_code == 2
    with pytest.raises(NotFound, match="there is no district nowhere"):
        rollcall("emergency-contacts", "nowhere")


def test_housekeeping_is_reported_and_so_are_the_files_it_removed(
    installation: Installation, small_district: District
) -> None:
    for number in range(2):
        installation.drop(small_district)
        with (installation.home / "drop" / "schools.csv").open("a") as file:
            file.write("\n" * number)
        assert rollcall("sync", "unified", "--now").exit_code == 0
    assert rollcall("housekeeping").stdout == "nothing to remove\n"
    with installation.database.transaction() as session:
        long_ago = {"at": datetime(2020, 1, 1, tzinfo=UTC)}
        bulk.execute(session, "UPDATE delivery SET received_at = :at, last_received_at = :at", long_ago)
    assert rollcall("housekeeping").stdout == "removed 1 delivery's files\n"
    assert rollcall("deliveries", "unified").stdout.count("removed") == 1
    with pytest.raises(NotPossible, match="the files of delivery 1 were deleted"):
        rollcall("sync", "unified", "--delivery", "1")
    assert ran(housekeeping(return_state=True)).message == "nothing to remove"
