from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import col, select

from errors import SetupError
from models.database import Database
from models.tables import District, School, Source, StatusChange
from services.holds.guard import ALL_LIMITS, Limit, limits_of
from services.intake.adapters.csv_drop_folder import CsvSourceEntry
from services.operations.entries import LimitEntries, TogetherEntries
from services.operations.setup import apply_setup, read_setup, would_freeze

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)

UNIFIED = """
[[district]]
id = "unified"
name = "Unified School District"
timezone = "America/Los_Angeles"
administrators = ["it@unified.example"]

[[district.source]]
id = "files"
kind = "csv"
format = "csv-1.0"
folder = "drop/unified"
quiet_seconds = 300

[[district.school]]
id = "lincoln"            # ours
name = "Lincoln High School"
source = "files"          # left out: Setup sync
external_id = "0101"        # the school_id in the source's data
on_plan = true

[[district.school]]
id = "grant"
name = "Grant Middle School"
on_plan = false
"""

COAST = """
[[district]]
id = "coast"
name = "Coast District"
timezone = "America/New_York"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rollcall.toml"


def refusal(file: Path, text: str) -> list[str]:
    file.write_text(text)
    with pytest.raises(SetupError) as raised:
        read_setup(file)
    assert (raised.value.__cause__, raised.value.__suppress_context__) in [(None, True), (None, False)]
    return str(raised.value).splitlines()


def apply(database: Database, file: Path, text: str) -> list[str]:
    file.write_text(text)
    with database.transaction() as session:
        return apply_setup(session, read_setup(file), now=AT)


def test_a_setup_is_brought_into_the_database_once(database: Database, file: Path, tmp_path: Path) -> None:
    assert apply(database, file, UNIFIED) == [
        "Unified School District: added",
        "Unified School District: source files added",
        "Unified School District: school Lincoln High School added",
        "Unified School District: school Grant Middle School added",
    ]
    assert apply(database, file, UNIFIED) == []
    with database.reading() as session:
        assert [district.model_dump() for district in session.exec(select(District))] == [
            {
                "id": "unified",
                "name": "Unified School District",
                "timezone": "America/Los_Angeles",
                "phone_region": "US",
                "administrators": ["it@unified.example"],
                "position": 0,
                "frozen": False,
                "rostering_enforcement": False,
                "limits": None,
                "date_order": None,
                "setup_keys": ["administrators", "name", "school", "source", "timezone"],
                "mail_schedule": None,
                "pause_notices": True,
            }
        ]
        assert [source.model_dump() for source in session.exec(select(Source))] == [
            {
                "id": "unified/files",
                "district_id": "unified",
                "key": "files",
                "kind": "csv",
                "format": "csv-1.0",
                "settings": {"folder": str(tmp_path / "drop" / "unified"), "quiet_seconds": 300},
                "pausable": False,
                "position": 0,
                "frozen": False,
                "in_report": False,
                "sightings": None,
                "stamps": None,
                "last_delivery_id": None,
                "current_delivery_id": None,
                "last_received_at": None,
                "last_sync": None,
                "remote_state": None,
                "remote_reason": None,
                "not_ready_since": None,
                "leaves_out_contacts": False,
                "stale_noticed_at": None,
            }
        ]
        assert [school.model_dump() for school in session.exec(select(School).order_by(col(School.position)))] == [
            {
                "id": "unified/lincoln",
                "district_id": "unified",
                "key": "lincoln",
                "name": "Lincoln High School",
                "source_id": "unified/files",
                "external_id": "0101",
                "on_plan": True,
                "frozen": False,
                "matched_in_report": False,
                "position": 0,
                "administrators": [],
                "teachers": 0,
                "students": 0,
            },
            {
                "id": "unified/grant",
                "district_id": "unified",
                "key": "grant",
                "name": "Grant Middle School",
                "source_id": None,
                "external_id": None,
                "on_plan": False,
                "frozen": False,
                "matched_in_report": False,
                "position": 1,
                "administrators": [],
                "teachers": 0,
                "students": 0,
            },
        ]


WITH_OFFICE = UNIFIED.replace(
    'name = "Lincoln High School"', 'name = "Lincoln High School"\nadministrators = [" office@lincoln.example "]'
)


def test_a_schools_administrators_are_brought_in_and_taken_out_without_their_address(
    database: Database, file: Path
) -> None:
    def administrators() -> list[str]:
        with database.reading() as session:
            return session.get_one(School, "unified/lincoln").administrators

    apply(database, file, WITH_OFFICE)
    assert administrators() == ["office@lincoln.example"]
    assert apply(database, file, WITH_OFFICE) == []
    assert apply(database, file, UNIFIED) == [
        "Unified School District: school Lincoln High School administrators changed"
    ]
    assert administrators() == []


def test_a_schools_administrator_without_an_address_is_refused_with_its_number(file: Path) -> None:
    (said,) = refusal(file, WITH_OFFICE.replace('" office@lincoln.example "', '"office@lincoln.example", "office"'))
    assert said.startswith('district "unified", school "lincoln": administrators entry 2 is not an email address: ')


def test_changes_are_reported_in_words_and_no_address_with_them(database: Database, file: Path, tmp_path: Path) -> None:
    apply(database, file, UNIFIED)
    changed = (
        UNIFIED.replace("Lincoln High School", "Lincoln High")
        .replace('"0101"', '"0102"')
        .replace("on_plan = false", 'on_plan = true\nsource = "files"\nexternal_id = "0103"')
        .replace("it@unified", "help@unified")
        .replace("drop/unified", "elsewhere")
    )
    assert apply(database, file, changed) == [
        "Unified School District: administrators changed",
        f"Unified School District: source files folder {tmp_path}/drop/unified → {tmp_path}/elsewhere",
        "Unified School District: school Lincoln High external_id 0101 → 0102",
        "Unified School District: school Lincoln High name Lincoln High School → Lincoln High",
        "Unified School District: school Grant Middle School external_id none → 0103",
        "Unified School District: school Grant Middle School on_plan false → true",
        "Unified School District: school Grant Middle School source none → unified/files",
    ]
    assert apply(database, file, changed) == []


def test_enforcement_is_left_as_it_was_switched_unless_the_file_names_it(database: Database, file: Path) -> None:
    apply(database, file, UNIFIED)
    with database.transaction() as session:
        session.exec(select(District)).one().rostering_enforcement = True
    assert apply(database, file, UNIFIED) == []
    with database.reading() as session:
        assert session.exec(select(District.rostering_enforcement)).one() is True
    for named, words in (("false", "true → false"), ("true", "false → true")):
        text = UNIFIED.replace('id = "unified"', f'id = "unified"\nrostering_enforcement = {named}', 1)
        assert apply(database, file, text) == [f"Unified School District: rostering_enforcement {words}"]
        assert apply(database, file, text) == []


def test_what_was_noted_of_a_folder_is_forgotten_with_it_and_not_before(database: Database, file: Path) -> None:
    apply(database, file, UNIFIED)
    with database.transaction() as session:
        session.exec(select(Source)).one().stamps = {"schools.csv": [1, 2, 3]}
    apply(database, file, UNIFIED.replace("300", "60"))
    with database.reading() as session:
        (source,) = session.exec(select(Source)).all()
        assert (source.stamps, source.settings["quiet_seconds"]) == ({"schools.csv": [1, 2, 3]}, 60)
    apply(database, file, UNIFIED.replace("drop/unified", "elsewhere"))
    with database.reading() as session:
        assert session.exec(select(Source)).one().stamps is None


def test_what_is_no_longer_named_is_frozen_and_named_again_goes_on(database: Database, file: Path) -> None:
    apply(database, file, UNIFIED + COAST)
    without_grant = UNIFIED[: UNIFIED.index('[[district.school]]\nid = "grant"')]
    assert apply(database, file, without_grant) == [
        "Unified School District: school Grant Middle School frozen, because the setup file no longer lists it",
        "Coast District: frozen, because the setup file no longer lists it",
    ]
    assert apply(database, file, without_grant) == []
    assert apply(database, file, UNIFIED) == [
        "Unified School District: school Grant Middle School listed again, no longer frozen"
    ]
    without_files = """
    [[district]]
    id = "unified"
    name = "Unified School District"
    timezone = "America/Los_Angeles"
    administrators = ["it@unified.example"]
    """
    assert apply(database, file, without_files) == [
        "Unified School District: source files frozen, because the setup file no longer lists it",
        "Unified School District: school Lincoln High School frozen, because the setup file no longer lists it",
        "Unified School District: school Grant Middle School frozen, because the setup file no longer lists it",
    ]
    with database.reading() as session:
        assert session.exec(select(School.frozen, School.source_id).order_by(col(School.id))).all() == [
            (True, None),
            (True, "unified/files"),
        ]


def test_what_a_setup_would_freeze_is_reported_before(database: Database, file: Path) -> None:
    apply(database, file, UNIFIED + COAST)
    for text, would in (
        (COAST, ["Unified School District would be frozen"]),
        (
            UNIFIED[: UNIFIED.index("[[district.source]]")],
            [
                "Unified School District: source files would be frozen",
                "Unified School District: school Lincoln High School would be frozen",
                "Unified School District: school Grant Middle School would be frozen",
                "Coast District would be frozen",
            ],
        ),
        (UNIFIED + COAST, []),
    ):
        file.write_text(text)
        with database.reading() as session:
            assert would_freeze(session, read_setup(file)) == would
    apply(database, file, COAST)
    with database.reading() as session:
        assert would_freeze(session, read_setup(file)) == []


def added(database: Database, file: Path, text: str) -> list[str]:
    file.write_text(text)
    with database.transaction() as session:
        return apply_setup(session, read_setup(file), add=True, now=AT)


def test_adding_leaves_alone_what_is_not_named(database: Database, file: Path) -> None:
    apply(database, file, UNIFIED)
    assert added(database, file, COAST) == ["Coast District: added"]
    grown = UNIFIED[: UNIFIED.index("[[district.school]]")].replace("America/Los_Angeles", "America/Denver")
    school = '[[district.school]]\nid = "adams"\nname = "Adams"\nsource = "files"\nexternal_id = "0103"\n'
    assert added(database, file, grown + school) == [
        "Unified School District: timezone America/Los_Angeles → America/Denver",
        "Unified School District: school Adams added",
    ]
    assert added(database, file, grown + school) == []
    with database.reading() as session:
        districts = select(District.id, District.position, District.frozen).order_by(col(District.position))
        assert session.exec(districts).all() == [("unified", 0, False), ("coast", 1, False)]
        assert session.exec(select(Source.key, Source.frozen)).all() == [("files", False)]
        schools = select(School.key, School.position, School.frozen).order_by(col(School.position))
        assert session.exec(schools).all() == [("lincoln", 0, False), ("grant", 1, False), ("adams", 2, False)]


def test_what_is_added_is_not_in_the_way_of_what_is_left_alone(database: Database, file: Path, tmp_path: Path) -> None:
    apply(database, file, UNIFIED + CLEVER)
    coast = COAST + '[[district.source]]\nid = "{}"\nkind = "csv"\nformat = "csv-1.0"\nfolder = "{}"\n'
    again = CLEVER.replace("lakeside", "seaside")
    moved = UNIFIED[: UNIFIED.index("[[district.school]]")] + (
        '[[district.school]]\nid = "adams"\nname = "Adams"\nsource = "files"\nexternal_id = "0101"\n'
    )
    for text, said in (
        (coast.format("files", "drop/unified"), f'district "coast", source "files": folder is already used by {FILES}'),
        (again, f'district "seaside", source "clever": district_id is already used by {AT_LAKESIDE}'),
        (moved, f'{HERE}, school "adams": external_id 0101 is already used by school "lincoln"'),
    ):
        with pytest.raises(SetupError) as raised:
            added(database, file, text)
        assert str(raised.value) == said
    # What is frozen is in nobody's way.
    apply(database, file, CLEVER)
    assert added(database, file, coast.format("files", "drop/unified")) == [
        "Coast District: added",
        "Coast District: source files added",
    ]


def test_a_folder_of_files_is_one_setup(file: Path, tmp_path: Path) -> None:
    file.write_text(UNIFIED + COAST)
    whole = read_setup(file)
    folder = tmp_path / "districts"
    folder.mkdir()
    with pytest.raises(SetupError, match=r"districts has no setup file \(\.toml\)"):
        read_setup(folder)
    (folder / "b.toml").write_text(COAST)
    (folder / "a.toml").write_text(UNIFIED.replace("drop/unified", "../drop/unified"))
    (folder / ".c.toml").write_text("left by an editor")
    (folder / "notes.txt").write_text("no setup")
    assert read_setup(folder) == whole
    (folder / "a.toml").write_text(COAST)
    with pytest.raises(SetupError, match=r"^two districts have the id coast$"):
        read_setup(folder)
    (folder / "a.toml").write_text(COAST.replace("name", "nom"))
    with pytest.raises(SetupError) as raised:
        read_setup(folder)
    assert str(raised.value).splitlines() == [
        'a.toml: district "coast": name is missing',
        'a.toml: district "coast": unknown key nom',
    ]


def test_a_district_takes_what_is_its_own_along(database: Database, file: Path) -> None:
    apply(database, file, UNIFIED + COAST)
    assert apply(database, file, COAST) == [
        "Unified School District: frozen, because the setup file no longer lists it",
    ]
    with database.reading() as session:
        assert session.exec(select(Source.frozen)).all() == [True]
        assert session.exec(select(School.frozen)).all() == [True, True]
    assert apply(database, file, UNIFIED + COAST) == ["Unified School District: listed again, no longer frozen"]
    with database.reading() as session:
        assert session.exec(select(Source.frozen)).all() == [False]
        assert session.exec(select(School.frozen)).all() == [False, False]


def test_a_status_that_changes_by_the_setup_is_recorded(database: Database, file: Path) -> None:
    apply(database, file, UNIFIED)
    apply(database, file, UNIFIED.replace("on_plan = true", "on_plan = false"))
    with database.reading() as session:
        recorded = select(StatusChange.school_id, StatusChange.status, StatusChange.at).order_by(col(StatusChange.id))
        assert session.exec(recorded).all() == [
            ("unified/lincoln", "setup_sync", AT),
            ("unified/lincoln", None, AT),
        ]


CLEVER = """
[[district]]
id = "lakeside"
name = "Lakeside"
timezone = "America/New_York"

[[district.source]]
id = "clever"
kind = "clever"
district_id = "5f0000000000000000000001"
"""


def test_a_clever_source_is_named_by_its_district_there(database: Database, file: Path) -> None:
    assert apply(database, file, CLEVER) == ["Lakeside: added", "Lakeside: source clever added"]
    with database.transaction() as session:
        (source,) = session.exec(select(Source)).all()
        assert (source.kind, source.format, source.settings, source.pausable) == (
            "clever",
            "clever-3",
            {"district_id": "5f0000000000000000000001"},
            True,
        )
        source.last_sync, source.remote_state, source.remote_reason = "2026-11-23T09:00:00.000Z", "error", "error"
        source.not_ready_since = AT
        session.add(source)
    assert apply(database, file, CLEVER) == []
    other = CLEVER.replace("5f0000000000000000000001", "5f0000000000000000000002")
    assert apply(database, file, other) == [
        "Lakeside: source clever district_id 5f0000000000000000000001 → 5f0000000000000000000002"
    ]
    with database.reading() as session:
        (source,) = session.exec(select(Source)).all()
        assert (source.last_sync, source.remote_state, source.remote_reason) == (None, None, None)
        assert source.not_ready_since is None


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ('district_id = "5f0000000000000000000001"', "", "district_id is missing"),
        ('district_id = "5f0000000000000000000001"', 'district_id = " "', "district_id is empty"),
        ('kind = "clever"', 'kind = "clever"\nfolder = "drop"', "unknown key folder"),
        ('kind = "clever"', "", "kind is missing"),
    ],
)
def test_nonsense_about_a_clever_source_is_refused(file: Path, good: str, bad: str, said: str) -> None:
    assert refusal(file, CLEVER.replace(good, bad)) == [f'district "lakeside", source "clever": {said}']


def test_no_two_sources_are_the_same_district_in_clever(file: Path) -> None:
    again = '[[district.source]]\nid = "more"\nkind = "clever"\ndistrict_id = "5f0000000000000000000001"\n'
    here = 'district "lakeside", source'
    assert refusal(file, CLEVER + again) == [f'{here} "more": district_id is already used by {here} "clever"']


def test_a_folder_may_be_absolute(file: Path) -> None:
    file.write_text(UNIFIED.replace("drop/unified", "/srv/drop/../drop/unified"))
    (source,) = read_setup(file).district[0].source
    assert isinstance(source, CsvSourceEntry)
    assert source.folder == "/srv/drop/unified"


HERE = 'district "unified"'
AT_LAKESIDE = 'district "lakeside", source "clever"'
LINCOLN = f'{HERE}, school "lincoln"'
FILES = f'{HERE}, source "files"'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('external_id = "0101"', "", f"{LINCOLN}: external_id is missing"),
        ('external_id = "0101"', 'external_id = " "', f"{LINCOLN}: external_id is empty"),
        ('external_id = "0101"', "external_id = 101", f"{LINCOLN}: external_id must be text in quotes"),
        ('source = "files"', "", f"{LINCOLN}: source is missing: external_id needs one"),
        ('source = "files"', 'source = "clever"', f"{LINCOLN}: source clever is not one of the district's sources"),
        ("on_plan = true", 'on_plan = "yes"', f"{LINCOLN}: on_plan must be true or false"),
        ("on_plan = true", "onplan = true", f"{LINCOLN}: unknown key onplan"),
        ("Lincoln High School", "x" * 61, f"{LINCOLN}: name is longer than 60 characters"),
        ("Lincoln High School", "Lincoln\\nBcc: x", f"{LINCOLN}: name must be one line of printable text"),
        ('name = "Lincoln High School"', "", f"{LINCOLN}: name is missing"),
        ('id = "grant"', 'id = "lincoln"', f"{HERE}: two schools have the id lincoln"),
        (
            'id = "lincoln"',
            'id = "Lincoln High"',
            f'{HERE}, school "Lincoln High": id must be lowercase letters, digits, - and _, beginning with a letter'
            " or digit",
        ),
        ('id = "grant"', "", f"{HERE}, school 2: id is missing"),
        (
            "on_plan = false",
            'source = "files"\nexternal_id = "0101"',
            f'{HERE}, school "grant": external_id 0101 is already used by school "lincoln"',
        ),
        ('kind = "csv"', 'kind = "fax"', f"{FILES}: kind must be clever or csv"),
        ('kind = "csv"', "", f"{FILES}: kind is missing"),
        ("csv-1.0", "csv-0.9", f"{FILES}: format must be one of csv-1.0"),
        ("= 300", "= -1", f"{FILES}: quiet_seconds must not be negative"),
        ("= 300", "= 1.5", f"{FILES}: quiet_seconds must be a whole number"),
        ('folder = "drop/unified"', "", f"{FILES}: folder is missing"),
        ("America/Los_Angeles", "Pacific", f"{HERE}: timezone is not a known time zone, such as America/Los_Angeles"),
        ("America/Los_Angeles", "../UTC", f"{HERE}: timezone is not a known time zone, such as America/Los_Angeles"),
        (
            "it@unified.example",
            "it@",
            f"{HERE}: administrators entry 1 is not an email address: there must be something after the @-sign",
        ),
        ('["it@unified.example"]', '"it@unified.example"', f"{HERE}: administrators must be a list in brackets"),
        (
            "administrators =",
            "phone_region = 'ZZ'\nadministrators =",
            f"{HERE}: phone_region is not a known country code, such as US",
        ),
        ("[[district.source]]", "[district.source]", f"{HERE}: source must be written in double brackets, [[…]]"),
        ("[[district]]", "[[districts]]\n[[district]]", "unknown key districts"),
    ],
)
def test_nonsense_is_refused_naming_entry_and_key(file: Path, old: str, new: str, said: str) -> None:
    assert old in UNIFIED
    assert refusal(file, UNIFIED.replace(old, new, 1)) == [said]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("a..b@unified.example", "an email address cannot have two periods in a row"),
        ("jörg@unified.example", "internationalized characters before the @-sign are not supported: 'ö'"),
        ("head@unified", "the part after the @-sign is not valid. It should have a period"),
        ("Head <head@unified.example>", "a display name and angle brackets around the email address are not permitted"),
    ],
)
def test_an_address_that_no_mail_can_go_to_is_refused_with_its_number(file: Path, address: str, why: str) -> None:
    (said,) = refusal(file, UNIFIED.replace('"it@unified.example"', f'"it@unified.example", "{address}"'))
    assert said.removesuffix(" here") == f"{HERE}: administrators entry 2 is not an email address: {why}"


def test_values_lose_blanks_and_invisible_characters(file: Path) -> None:
    file.write_text(UNIFIED)
    clean = read_setup(file)
    dirty = UNIFIED.replace("it@unified.example", "it\u200b@unified.example")
    for value in ("unified", "files", "csv", "csv-1.0", "drop/unified", "lincoln", "Lincoln High School", "0101"):
        dirty = dirty.replace(f'"{value}"', f'"\ufeff \u2060{value}\u00ad\u200e\t"')
    file.write_text(dirty)
    assert read_setup(file) == clean


def test_an_international_domain_is_kept_as_mail_servers_know_it(file: Path) -> None:
    file.write_text(UNIFIED.replace("it@unified.example", "it@schüle.example"))
    assert read_setup(file).district[0].administrators == ["it@xn--schle-mva.example"]


def test_all_problems_are_said_at_once(file: Path) -> None:
    assert refusal(file, UNIFIED.replace("csv-1.0", "csv-0.9").replace("on_plan = false", "colour = 1")) == [
        f"{FILES}: format must be one of csv-1.0",
        f'{HERE}, school "grant": unknown key colour',
    ]


def test_a_district_or_source_is_named_once(file: Path) -> None:
    assert refusal(file, COAST + COAST) == ["two districts have the id coast"]
    again = UNIFIED[UNIFIED.index("[[district.source]]") : UNIFIED.index("[[district.school]]")]
    assert refusal(file, UNIFIED + again.replace("drop/unified", "other")) == [f"{HERE}: two sources have the id files"]


def test_no_two_sources_share_a_folder_under_whatever_name(file: Path, tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "unified").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "drop")
    source = '[[district.source]]\nid = "more"\nkind = "csv"\nformat = "csv-1.0"\nfolder = "alias/unified"\n'
    assert refusal(file, UNIFIED + source) == [f'{HERE}, source "more": folder is already used by {FILES}']
    assert refusal(file, UNIFIED + COAST + source) == [
        f'district "coast", source "more": folder is already used by {FILES}'
    ]


def test_a_file_that_names_nothing_is_refused_rather_than_freezing_everything(file: Path) -> None:
    assert refusal(file, "") == ["the file has no [[district]]"]
    assert refusal(file, "district = []") == ["the file has no [[district]]"]


def test_files_that_cannot_be_read_are_said(file: Path) -> None:
    with pytest.raises(SetupError, match=r"rollcall.toml cannot be read: No such file"):
        read_setup(file)
    assert refusal(file, "[[district]")[0].startswith(f"{file} is not valid TOML: ")
    file.write_bytes("name = 'Zoë'".encode("latin-1"))
    with pytest.raises(SetupError, match="is not UTF-8 text"):
        read_setup(file)


def test_entries_of_wrong_shape_are_said(file: Path) -> None:
    assert refusal(file, "district = [1]") == [
        "district 1: must be written in double brackets, [[…]], with keys of its own"
    ]
    assert refusal(file, "[district]\nid = 'x'") == ["district must be written in double brackets, [[…]]"]


LIMITED = UNIFIED.replace(
    "[[district.source]]", "[district.limits]\nstudents = {share = 0.05, count = 5}\n\n[[district.source]]"
)


def test_limits_are_written_to_the_database_reported_and_removed_again(database: Database, file: Path) -> None:
    def limits() -> object:
        with database.reading() as session:
            return session.get_one(District, "unified").limits

    apply(database, file, UNIFIED)
    assert limits() is None
    own = "students 0.05, 5"
    assert apply(database, file, LIMITED) == [f"Unified School District: limits the default → {own}"]
    assert limits() == {"students": [0.05, 5]}
    assert apply(database, file, LIMITED) == []
    assert apply(database, file, UNIFIED) == [f"Unified School District: limits {own} → the default"]
    assert limits() is None


def test_every_type_the_guard_looks_at_can_have_a_limit() -> None:
    of_schools = [name for name in LimitEntries.model_fields if name not in ("class_memberships", "district")]
    assert [*of_schools, *(f"district_{name}" for name in TogetherEntries.model_fields)] == list(ALL_LIMITS)


def test_limits_of_all_schools_together_are_kept_beside_those_of_each(database: Database, file: Path) -> None:
    both = LIMITED.replace(
        "\n\n[[d",
        "\nclass_memberships = {share = 0.3, count = 7}\n\n[district.limits.district]\n"
        "students = {share = 0.08, count = 200}\n\n[[d",
        1,
    )
    apply(database, file, UNIFIED)
    told = "class_memberships 0.3, 7; district_students 0.08, 200; students 0.05, 5"
    assert apply(database, file, both) == [f"Unified School District: limits the default → {told}"]
    with database.reading() as session:
        own = limits_of(session.get_one(District, "unified").limits)
    assert {name: own[name] for name in ("students", "district_students", "student_class_memberships")} == {
        "students": Limit(0.05, 5, is_district_limit=True),
        "district_students": Limit(0.08, 200, is_district_limit=True),
        "student_class_memberships": Limit(0.3, 7, is_district_limit=True),
    }


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("teachers = {share = 0.1, count = 1}", "unknown key limits.teachers"),
        ("students = {share = 1.01, count = 1}", "limits.students.share must be from 0 to 1"),
        ("students = {share = -0.1, count = 1}", "limits.students.share must be from 0 to 1"),
        ("students = {share = nan, count = 1}", "limits.students.share must be from 0 to 1"),
        ("students = {share = '10 %', count = 1}", "limits.students.share must be a number"),
        ("students = {share = 0.1, count = -1}", "limits.students.count must not be negative"),
        ("students = {share = 0.1, count = 1.5}", "limits.students.count must be a whole number"),
        ("students = {share = 0.1}", "limits.students.count is missing"),
        ("students = {share = 0.1, count = 1, most = 2}", "unknown key limits.students.most"),
        ("district = 10", "limits.district must be written as [district.limits.district], with a limit for each type"),
        ("district = {classes = {share = 1, count = 1}}", "unknown key limits.district.classes"),
        ("students = 10", "limits.students must be written in braces, {share = …, count = …}"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(file: Path, bad: str, said: str) -> None:
    text = LIMITED.replace("students = {share = 0.05, count = 5}", bad)
    assert refusal(file, text) == [f"{HERE}: {said}"]


def test_limits_at_their_edges_are_taken(file: Path) -> None:
    file.write_text(LIMITED.replace("share = 0.05, count = 5", "share = 1, count = 0"))
    (district,) = read_setup(file).district
    assert district.limits.stored() == {"students": [1.0, 0.0]}
