"""The Set up tab: who may see it, what it changes, and files that are looked at and not kept."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import httpx
import pytest
from sqlmodel import col, select

from models.database import Database
from models.tables import AuditEntry, District, School, Source
from report.routing import ENDPOINTS
from report.sources import FORMS
from sandbox.samples import FOLDER
from settings import Settings
from tests.report.conftest import LINCOLN_OFFICE, OPERATOR, RIVERBEND, UNIFIED, Browser

SETUP = "/districts/unified/setup"
NIGHT = FOLDER / "unified" / "night1"


@pytest.fixture
def kind() -> str:
    return "sqlite"  # nothing here is SQL of its own


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, operators=(OPERATOR,), check_megabytes=1)


def files(*names: str) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (name, (NIGHT / name).read_bytes())) for name in names]


def audited(database: Database) -> list[tuple[str, str, str | None, str | None]]:
    with database.reading() as session:
        entries = session.exec(select(AuditEntry).order_by(col(AuditEntry.id))).all()
    return [(entry.actor, entry.action, entry.subject, entry.detail) for entry in entries]


def addresses(method: str) -> list[str]:
    values = {"district": "unified", "kind": "csv", "source": "files", "key": "adams", "format": "csv-1.0"}
    found = [each.path for each in ENDPOINTS if each.method == method and "/setup" in each.path]
    return [path.format(**values, file="schools.csv") for path in found]


def test_a_folders_path_on_our_server_is_for_operators_only(browser: Browser, samples: Database) -> None:
    with samples.reading() as session:
        folder = session.get_one(Source, "unified/files").settings["folder"]
    for path, said in (
        (SETUP, "Ask your Rollcall operator for the address."),
        (f"{SETUP}/sources/files", "every night. Ask your Rollcall operator for the address."),
    ):
        for_district, for_operator = (browser(each).get(path).text for each in (UNIFIED, OPERATOR))
        assert (folder in for_district, said in for_district) == (False, True)
        assert (folder in for_operator, said in for_operator) == (True, False)
    # Clever's ID of the district is the district's own.
    with samples.reading() as session:
        clever = session.get_one(Source, "lakeside/clever").settings["district_id"]
    assert f"<code>{clever}</code>" in browser("sis@lakeside.example").get("/districts/lakeside/setup").text


def test_the_form_and_what_it_refuses_call_a_value_the_same(browser: Browser) -> None:
    for kind, form in FORMS.items():
        page = browser(OPERATOR).get(f"{SETUP}/new/{kind}").text
        for name, label in form.labels.items():
            assert (f'name="{name}"' in page, f">{label}<" in page or 'type="hidden"' in page) == (True, True)


def test_only_an_operator_connects_an_sftp_server(browser: Browser, samples: Database) -> None:
    address, key = "sftp://rollcall@files.example/out", f"SHA256:{'a' * 43}"
    typed = {"format": "csv-1.0", "folder": address, "host_keys": key}
    refused = browser(UNIFIED).post(f"{SETUP}/new/csv", data=typed)
    assert (refused.status_code, "Only your operations team can connect" in refused.text) == (422, True)
    assert 'name="folder"' not in refused.text
    browser(UNIFIED).post(f"{SETUP}/new/csv", data={**typed, "folder": "/etc"})
    browser(OPERATOR).post(f"{SETUP}/new/csv", data=typed)
    wrong = browser(OPERATOR).post(f"{SETUP}/new/csv", data={**typed, "host_keys": "SHA256:short"})
    assert (wrong.status_code, "must be fingerprints such as SHA256:" in wrong.text) == (422, True)
    with samples.reading() as session:
        found = session.exec(select(Source).where(col(Source.in_report)).order_by(Source.key)).all()
        settings = [source.settings for source in found]
    assert [each["folder"] == "/etc" for each in settings] == [False, False]
    assert settings[1] == {"folder": address, "quiet_seconds": 300, "host_keys": [key]}


def test_a_school_administrator_and_another_district_are_refused_everything(browser: Browser) -> None:
    office, foreign, ours = browser(LINCOLN_OFFICE), browser(RIVERBEND), browser(UNIFIED)
    assert len(addresses("GET")) > 12
    assert len(addresses("POST")) > 12
    for path in addresses("GET"):
        assert (office.get(path).status_code, foreign.get(path).status_code) == (404, 404), path
    for path in addresses("POST"):
        assert (office.post(path).status_code, foreign.post(path).status_code) == (404, 404), path
    assert ours.get(SETUP).status_code == 200


def test_looking_changes_nothing_and_the_file_is_said_to_govern(browser: Browser, samples: Database) -> None:
    page = browser(UNIFIED).get(SETUP).text
    assert "in the setup file by your operations team" in page
    assert "1 school isn't synced yet" in page
    for path, name in (("tokens", "Access tokens"), ("webhooks", "Webhooks")):
        assert f'<a class="button" href="/districts/unified/{path}">{name}</a>' in page
    assert audited(samples) == []


def test_settings_are_saved_and_audited(browser: Browser, samples: Database) -> None:
    ours = browser(UNIFIED)
    saved = ours.post(f"{SETUP}/enforcement", data={"enforced": "on"})
    assert (saved.status_code, saved.headers["location"]) == (303, f"{SETUP}?said=saved")
    assert "Saved." in ours.get(f"{SETUP}?said=saved").text
    limits = {"students.share": "12,5", "students.count": "30", "district_employees.share": "3%"}
    ours.post(f"{SETUP}/limits", data={**limits, "district_employees.count": "1.000"})
    ours.post(f"{SETUP}/contacts", data={"policy.files": "leave_out"})
    people = {"address": ["it@unified.example"], "often": ["weekly"], "new_address": "desk@unified.example"}
    ours.post(f"{SETUP}/mail", data={**people, "new_often": "daily"})
    with samples.reading() as session:
        district = session.get_one(District, "unified")
        assert (district.rostering_enforcement, district.pause_notices) == (True, False)
        assert district.limits == {"students": [0.125, 30], "district_employees": [0.03, 1000]}
        assert district.mail_schedule == {"it@unified.example": "weekly", "desk@unified.example": "daily"}
        assert session.get_one(Source, "unified/files").leaves_out_contacts
    assert audited(samples) == [
        (UNIFIED, "setup_changed", None, "rostering_enforcement"),
        (UNIFIED, "setup_changed", None, "limits"),
        (UNIFIED, "setup_changed", None, "emergency contacts"),
        (UNIFIED, "setup_changed", None, "mail_schedule, pause_notices"),
    ]
    page = ours.get(f"{SETUP}/limits").text
    assert 'name="students.share" value="12.5"' in page
    # The share of all schools together follows, and is not said to be set.
    assert 'name="district_students.share" value=""' in page


@pytest.mark.parametrize(
    ("path", "data", "said"),
    [
        ("limits", {"students.share": "12"}, "Give both a percentage and a number, or leave both empty."),
        ("limits", {"students.share": "a lot", "students.count": "3"}, "Limits are numbers, such as 10 and 25."),
        ("limits", {"students.share": "101", "students.count": "3"}, "A percentage is from 0 to 100"),
        ("limits", {"students.share": "1", "students.count": "99,999,999"}, "a number is at most 10,000,000."),
        ("limits", {"students.share": "nan", "students.count": "3"}, "Limits are numbers, such as 10 and 25."),
        ("mail", {"new_address": "<script>alert(1)</script>"}, "An address is not an email address"),
        ("mail", {"address": "it@unified.example", "often": "hourly"}, "Choose how often each person gets email."),
        ("new/clever", {"district_id": ""}, "<p>Clever district ID is empty.</p>"),
    ],
)
def test_what_makes_no_sense_is_said_and_changes_nothing(
    browser: Browser, samples: Database, path: str, data: dict[str, str], said: str
) -> None:
    answer = browser(UNIFIED).post(f"{SETUP}/{path}", data=data)
    assert answer.status_code == 422
    assert said in answer.text
    assert "<script>alert" not in answer.text
    with samples.reading() as session:
        district = session.get_one(District, "unified")
        assert (district.limits, district.mail_schedule, district.pause_notices) == (None, None, True)
    assert audited(samples) == []


def test_what_the_file_governs_is_not_changed_here(browser: Browser, samples: Database) -> None:
    with samples.transaction() as session:
        district = session.get_one(District, "unified")
        district.setup_keys = [*(district.setup_keys or []), "limits", "rostering_enforcement", "mail_schedule"]
    ours = browser(UNIFIED)
    for page in ("limits", "enforcement", "mail"):
        assert "set in the setup file by your operations team" in ours.get(f"{SETUP}/{page}").text
    refused = ours.post(f"{SETUP}/enforcement", data={"enforced": "on"})
    assert refused.status_code == 409
    assert "set in the setup file by your operations team" in refused.text
    assert ours.post(f"{SETUP}/limits", data={}).status_code == 409
    assert ours.post(f"{SETUP}/sources/files/remove").status_code == 409
    assert ours.get(f"{SETUP}/sources/files/change").status_code == 409


def test_templates_hold_the_published_columns(browser: Browser) -> None:
    ours = browser(UNIFIED)
    packed = ours.get(f"{SETUP}/templates/csv-1.0")
    assert packed.headers["content-disposition"] == 'attachment; filename="csv-1.0-templates.zip"'
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        names, first = archive.namelist(), archive.read("classes.csv")
    assert names == ["schools.csv", "teachers.csv", "students.csv", "classes.csv", "enrollments.csv"]
    assert first == b"school_id,class_id,teacher_id,class_name\r\n"
    assert ours.get(f"{SETUP}/templates/csv-1.0/classes.csv").content == first
    for path in ("clever-3", "csv-1.0/secret.csv", "csv-1.0/..%2f..%2fsetup.toml"):
        assert ours.get(f"{SETUP}/templates/{path}").status_code == 404


def test_files_are_checked_and_not_kept(
    browser: Browser, samples: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spool))
    sent = files("schools.csv", "teachers.csv", "students.csv", "classes.csv", "enrollments.csv")
    answer = browser(UNIFIED).post(f"{SETUP}/check", files=sent)
    assert answer.status_code == 200
    for said in ("4 kinds of errors keep records out", "Teacher without an email address", "teachers.csv:16"):
        assert said in answer.text
    assert list(spool.iterdir()) == []
    assert audited(samples) == [(UNIFIED, "files_checked", None, "5 files, 5 errors")]


def test_missing_files_are_file_errors(browser: Browser) -> None:
    answer = browser(UNIFIED).post(f"{SETUP}/check", files=files("schools.csv"))
    assert "These files can't be used yet" in answer.text
    assert "A file is missing" in answer.text


@pytest.mark.parametrize(
    "name",
    [
        "../../../../etc/passwd",
        "C:\\Users\\me\\<script>alert(1)</script>.csv",
        "{{7*7}}.csv",
        "\u202egpj.csv",
        "x" * 2_000 + ".csv",
    ],
)
def test_hostile_names_are_only_names(browser: Browser, name: str) -> None:
    answer = browser(UNIFIED).post(f"{SETUP}/check", files=[("files", (name, b"a,b\n1,2\n"))])
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "x" * 200 not in answer.text
    assert "49.csv" not in answer.text


def test_a_path_before_a_name_is_left_out(browser: Browser) -> None:
    sent = [("files", (f"C:\\exports\\{name}", content)) for _, (name, content) in files("schools.csv", "teachers.csv")]
    answer = browser(UNIFIED).post(f"{SETUP}/check", files=sent)
    assert "schools.csv</span>" in answer.text


def test_an_upload_is_limited(browser: Browser, samples: Database, settings: Settings) -> None:
    ours = browser(UNIFIED)
    big = ours.post(f"{SETUP}/check", files=[("files", ("schools.csv", b"x" * (1 << 20)))])
    assert big.status_code == 413
    assert "more than we can take at once" in big.text
    many = ours.post(f"{SETUP}/check", files=[("files", (f"{n}.csv", b"x")) for n in range(13)])
    assert many.status_code == 400
    twice = ours.post(f"{SETUP}/check", files=[("files", ("schools.csv", b"x"))] * 2)
    assert (twice.status_code, "have the same name" in twice.text) == (422, True)
    none = ours.post(f"{SETUP}/check", files=[("files", ("", b""))])
    assert (none.status_code, "Choose at least one file" in none.text) == (422, True)
    assert ours.post(f"{SETUP}/limits", content=(b"a=" + b"x" * 1_000 + b"&") * 5_000, headers=FORM).status_code == 413
    # Nobody who may not look has anything read.
    assert browser(RIVERBEND).post(f"{SETUP}/check", files=[("files", ("a.csv", b"x" * (1 << 20)))]).status_code == 404
    assert browser(None).post(f"{SETUP}/check", files=[("files", ("a.csv", b"x"))]).status_code == 303


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_a_check_that_takes_too_long_is_said(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    from report.work import Work

    def slow(*_args: object, **_more: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(Work, "get", slow)
    answer = browser(UNIFIED).post(f"{SETUP}/check", files=files("schools.csv"))
    assert (answer.status_code, "The check took too long" in answer.text) == (422, True)


def test_adams_is_matched_with_a_school_of_a_file(browser: Browser, samples: Database) -> None:
    ours = browser(UNIFIED)
    content = (NIGHT / "schools.csv").read_bytes() + b"0105,Adams Middle School\n"
    page = ours.post(f"{SETUP}/sources/files/schools/file", files=[("file", ("schools.csv", content))])
    assert page.status_code == 200
    assert '<option value="0105" selected>Adams Middle School · 0105</option>' in page.text
    nothing = ours.post(f"{SETUP}/sources/files/schools", data={"match.adams": "0105"})
    assert (nothing.status_code, "Check the schools" in nothing.text) == (422, True)
    taken = ours.post(f"{SETUP}/sources/files/schools", data={"match.adams": "0101", "confirm": "adams"})
    assert (taken.status_code, "can&#39;t both be the same school" in taken.text) == (422, True)
    done = ours.post(f"{SETUP}/sources/files/schools", data={"match.adams": "0105", "confirm": "adams"})
    assert done.headers["location"] == f"{SETUP}/sources/files/preview?said=matched"
    with samples.reading() as session:
        assert session.get_one(School, "unified/adams").external_id == "0105"
    back = ours.post(f"{SETUP}/schools/adams/unmatch")
    assert back.headers["location"] == f"{SETUP}?said=unmatched"
    with samples.reading() as session:
        assert session.get_one(School, "unified/adams").source_id is None
    assert ours.get(f"{SETUP}/schools/lincoln/unmatch").status_code == 404


def test_a_file_without_schools_is_said(browser: Browser) -> None:
    for content in (b"", b"\x00\x01", b"nothing,here\n1,2\n"):
        answer = browser(UNIFIED).post(
            f"{SETUP}/sources/files/schools/file", files=[("file", ("schools.csv", content))]
        )
        assert (answer.status_code, "We found no school in that file" in answer.text) == (422, True)


def test_clever_that_is_not_connected_is_said_in_plain_words(browser: Browser) -> None:
    refused = browser(UNIFIED).post(f"{SETUP}/new/clever", data={"district_id": "5" * 24})
    operators = browser(OPERATOR)
    begun = operators.post(f"{SETUP}/new/clever", data={"district_id": "5" * 24})
    assert begun.headers["location"] == f"{SETUP}/sources/clever"
    for page in (refused.text, operators.get(f"{SETUP}/sources/clever").text):
        assert "Your operations team has to connect Rollcall first." in page
        assert "ROLLCALL_" not in page


def test_a_name_is_text_wherever_it_stands(browser: Browser, samples: Database) -> None:
    names = ("<script>alert(1)</script>", "{{7*7}}", "\u202ehgih", "n" * 10_000)
    ours = browser(UNIFIED)
    for name in names:
        with samples.transaction() as session:
            session.get_one(School, "unified/adams").name = name
        for path in ("", "/sources/files/schools", "/sources/files/preview"):
            page: httpx.Response = ours.get(SETUP + path)
            assert page.status_code == 200
            assert "<script>alert" not in page.text
            assert ">49" not in page.text
