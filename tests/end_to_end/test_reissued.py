"""IDs that are reissued, and schools that change their source: everybody keeps their account, none is doubled."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from hypothesis import Phase, example, given, settings, strategies

from models.database import Database, open_database
from sandbox.clever_api import CLIENT_ID, CLIENT_SECRET, CleverApi, serving
from sandbox.clever_records import clever_district, clever_ids
from sandbox.generator import EMPLOYEE, GUARDIAN, STUDENT, District, generate
from services import accounts, clock
from services.holds import decisions, evidence, store
from services.intake.clever_api import Connection
from services.operations.setup import apply_setup, read_setup
from services.status import sync_status
from services.sync.provision import SchoolResult
from tests.end_to_end.nights import counts, play

pytestmark = pytest.mark.journeys

KEYS = {"lincoln": "0101", "roosevelt": "0102", "jefferson": "0103"}
PEOPLE = (STUDENT, EMPLOYEE, GUARDIAN)
FILES = dict.fromkeys(KEYS, "files")
CLEVER = dict.fromkeys(KEYS, "clever")
Rows = list[tuple[object, ...]]

# What must be the same before and after: by account and class, never by an ID of a source.
_KEPT = {
    "accounts": "SELECT id, archived_at IS NULL AS active, role, email FROM account",
    "members": """
        SELECT DISTINCT l.account_id, m.school_id FROM school_membership m JOIN link l ON l.id = m.link_id
        WHERE m.active AND l.archived_at IS NULL""",
    "classes": "SELECT id, school_id, name FROM class WHERE archived_at IS NULL",
    "class_members": """
        SELECT DISTINCT m.class_id, l.account_id, m.is_owner FROM class_membership m JOIN link l ON l.id = m.link_id
        WHERE m.active AND l.archived_at IS NULL""",
    "guardianships": """
        SELECT DISTINCT s.account_id, g.account_id AS guardian FROM guardianship p
        JOIN link s ON s.id = p.student_link_id JOIN link g ON g.id = p.guardian_link_id
        WHERE p.active AND s.archived_at IS NULL AND g.archived_at IS NULL""",
}


def kept(database: Database) -> dict[str, Rows]:
    """Everything that stays whatever the IDs are."""
    with database.reading() as session:
        run = session.connection().exec_driver_sql
        return {name: sorted((tuple(row) for row in run(sql)), key=repr) for name, sql in _KEPT.items()}


def confirm_all(database: Database) -> dict[str, set[tuple[str, bool]]]:
    """Confirm every open hold, once; gives what each school's shows: types, and whether only an ID changes."""
    shown = {}
    with database.transaction() as session:
        for hold in store.open_holds(session):
            items = store.items_of(session, hold.id).filter(code="data_removals")
            shown[hold.school_key] = set(items.select("type", pl.col("new_id").is_not_null()).rows())
            decisions.decide(session, hold.id, decisions.CONFIRM, by="ops", now=clock.now())
    return shown


def leave_at_random(database: Database, seed: int) -> None:
    """One student leaves the organization, and another one a class, of their own accord."""
    draw = random.Random(seed)
    with database.transaction() as session:
        run = session.connection().exec_driver_sql
        students = run("SELECT account_id FROM link WHERE kind = 'student' ORDER BY id").scalars().all()
        gone = draw.choice(students)
        accounts.leave_organization(session, "lakeside", gone, now=clock.now())
        members = run(
            "SELECT m.class_id, l.account_id FROM class_membership m JOIN link l ON l.id = m.link_id"
            " WHERE m.active AND NOT m.is_owner ORDER BY m.id"
        ).all()
        class_id, account_id = draw.choice([tuple(row) for row in members])
        accounts.leave_class(session, class_id, account_id, now=clock.now())


def prefixed(prefix: str, external_id: pl.Expr) -> pl.Expr:
    """The IDs with something in front of them."""
    return pl.lit(prefix) + external_id


def renumbered(
    district: District, again: Callable[[pl.Expr], pl.Expr], kinds: Collection[str] = (), *, classes: bool = False
) -> District:
    """The district whose people of these kinds, and classes, have other IDs."""
    people = district.people.with_columns(
        external_id=pl.when(pl.col("kind").is_in(list(kinds)))
        .then(again(pl.col("external_id")))
        .otherwise("external_id")
    )
    if not classes:
        return replace(district, people=people)
    return replace(
        district,
        people=people,
        classes=district.classes.with_columns(external_id=again(pl.col("external_id"))),
        class_members=district.class_members.with_columns(class_id=again(pl.col("class_id"))),
    )


def distinct_classes(district: District) -> District:
    """The district whose classes have a name of their own each, because a school's classes are distinguished by it."""
    named = pl.concat_str("name", pl.int_range(pl.len()).cast(pl.String), separator=" ")
    return replace(district, classes=district.classes.with_columns(name=named))


@dataclass(frozen=True)
class Mixed:
    """An installation whose schools have files or Clever, as the setup says."""

    folder: Path
    database: Database
    connection: Connection
    api: CleverApi
    ids: Mapping[str, str]  # Clever's of the schools, by the files'

    def set_up(self, sources: Mapping[str, str]) -> None:
        """Give each school, by key, its source: files or clever."""
        setup = self.folder / "setup.toml"
        clever_id = next(iter(self.api.districts))
        setup.write_text(
            '[[district]]\nid = "lakeside"\nname = "Lakeside"\ntimezone = "America/New_York"\n'
            'administrators = ["it@lakeside.example"]\n'
            '[[district.source]]\nid = "files"\nkind = "csv"\nformat = "csv-1.0"\nfolder = "drop"\n'
            f'[[district.source]]\nid = "clever"\nkind = "clever"\ndistrict_id = "{clever_id}"\n'
            + "".join(
                f'[[district.school]]\nid = "{key}"\nname = "{key}"\nsource = "{source}"\n'
                f'external_id = "{KEYS[key] if source == "files" else self.ids[KEYS[key]]}"\n'
                for key, source in sources.items()
            )
        )
        (self.folder / "drop").mkdir(exist_ok=True)
        with self.database.transaction() as session:
            apply_setup(session, read_setup(setup))

    def send(self, district: District) -> None:
        for name, content in district.csv_files().items():
            (self.folder / "drop" / name).write_bytes(content)

    def give(self, district: District) -> None:
        remote = clever_district(district)
        self.api.districts[remote.id] = remote

    def night(self) -> list[SchoolResult]:
        return play(self.database, self.folder / "landing", "lakeside", connection=self.connection)


@contextmanager
def mixed(folder: Path, database: Database, district: District) -> Iterator[Mixed]:
    api = CleverApi([clever_district(district)])
    with serving(api) as url:
        connection = Connection(CLIENT_ID, CLIENT_SECRET, url, "v3.1", url, 10_000)
        yield Mixed(folder, database, connection, api, clever_ids(district).schools)


@pytest.fixture(scope="module")
def district() -> District:
    return distinct_classes(generate(41, schools=3, students=70, teachers=12, classes=20, enrollments=210))


@contextmanager
def applied(folder: Path, database: Database, district: District) -> Iterator[Mixed]:
    """The district, applied from its files."""
    with mixed(folder, database, district) as made:
        made.set_up(FILES)
        made.send(district)
        made.night()
        yield made


@pytest.fixture
def lakeside(tmp_path: Path, sqlite_database: Database, district: District) -> Iterator[Mixed]:
    with applied(tmp_path, sqlite_database, district) as made:
        yield made


@pytest.fixture
def lakeside_on_each(tmp_path: Path, database: Database, district: District) -> Iterator[Mixed]:
    with applied(tmp_path, database, district) as made:
        yield made


def without_zeros(external_id: pl.Expr) -> pl.Expr:
    return external_id.str.strip_chars_start("0")


# Guardians are found by more than their ID: theirs changes without a word.
CASES: Mapping[str, tuple[Callable[[pl.Expr], pl.Expr], Collection[str], bool, set[str]]] = {
    "everything": (partial(prefixed, "N"), PEOPLE, True, {"students", "employees", "classes"}),
    "students": (partial(prefixed, "N"), (STUDENT,), False, {"students"}),
    "teachers": (partial(prefixed, "N"), (EMPLOYEE,), False, {"employees"}),
    "classes": (partial(prefixed, "N"), (), True, {"classes"}),
    "zeros lost": (without_zeros, PEOPLE, True, {"students"}),
}


@pytest.mark.parametrize("case", CASES)
def test_whoever_is_there_under_a_new_id_keeps_the_account(lakeside: Mixed, district: District, case: str) -> None:
    again, kinds, classes, types = CASES[case]
    before, counted = kept(lakeside.database), counts(lakeside.database)
    lakeside.send(renumbered(district, again, kinds, classes=classes))
    lakeside.night()
    assert kept(lakeside.database) == before
    with lakeside.database.reading() as session:
        first, *_ = store.open_holds(session)
        head, *rows = evidence.evidence_csv(store.items_of(session, first.id)).splitlines()
    assert head == "type,change,record_id,new_id,counterpart_id,name"
    assert {row.split(",")[1] for row in rows} == {"ID changed"}
    assert confirm_all(lakeside.database) == {key: {(name, True) for name in types} for key in KEYS}
    lakeside.night()
    assert (kept(lakeside.database), counts(lakeside.database)) == (before, counted)
    assert lakeside.night() == []


def test_two_who_swap_their_ids_keep_their_accounts(lakeside: Mixed, district: District) -> None:
    before = kept(lakeside.database)
    one, two = district.of_kind(STUDENT)["external_id"].head(2)
    lakeside.send(renumbered(district, lambda external_id: external_id.replace({one: two, two: one}), (STUDENT,)))
    lakeside.night()
    assert {name: kept(lakeside.database)[name] for name in ("accounts", "members")} == {
        name: before[name] for name in ("accounts", "members")
    }


def test_a_district_goes_over_to_clever_and_back_with_one_confirmation_each(lakeside_on_each: Mixed) -> None:
    goes_over_and_back(lakeside_on_each)


def test_so_it_does_where_only_what_people_are_known_by_is_the_same(lakeside: Mixed, district: District) -> None:
    lakeside.give(renumbered(district, partial(prefixed, "N"), PEOPLE, classes=True))
    goes_over_and_back(lakeside)


def goes_over_and_back(lakeside: Mixed) -> None:
    before, counted = kept(lakeside.database), counts(lakeside.database)
    for sources in (CLEVER, FILES):
        lakeside.set_up(sources)
        assert {outcome.outcome for outcome in lakeside.night()} == {"on_hold"}
        assert kept(lakeside.database) == before
        with lakeside.database.reading() as session:
            assert [hold.codes for hold in store.open_holds(session)] == [["data_removals"]] * len(KEYS)
        shown = confirm_all(lakeside.database)
        assert {key: {changed for _, changed in types} for key, types in shown.items()} == {key: {True} for key in KEYS}
        assert {outcome.outcome for outcome in lakeside.night()} == {"applied"}
        assert (kept(lakeside.database), counts(lakeside.database)) == (before, counted)
        assert {outcome.outcome for outcome in lakeside.night()} <= {"unchanged"}
        with lakeside.database.reading() as session:
            assert {row.status for row in sync_status.statuses(session, now=clock.now())} == {"connected"}


@dataclass(frozen=True)
class Step:
    """Where the schools get their data from now on, and whose IDs are reissued at once: in the files, in both."""

    sources: tuple[str, str, str]
    new_ids: tuple[str, ...] = ()
    in_both: bool = False


STEPS = strategies.builds(
    Step,
    sources=strategies.tuples(*[strategies.sampled_from(["files", "clever"])] * 3),
    new_ids=strategies.sampled_from([(), (), (STUDENT, EMPLOYEE), PEOPLE]),
    in_both=strategies.booleans(),
)


@settings(max_examples=2, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    seed=strategies.integers(1, 500),
    has_guardian_ids=strategies.booleans(),
    steps=strategies.lists(STEPS, min_size=3, max_size=3),
)
@example(10, True, [Step(("files", "clever", "clever")), Step(("files", "files", "clever"), PEOPLE, True)])
def test_nobody_is_lost_or_doubled_wherever_schools_get_their_data_from(
    tmp_path_factory: pytest.TempPathFactory, seed: int, has_guardian_ids: bool, steps: list[Step]
) -> None:
    folder = tmp_path_factory.mktemp("walk")
    district = distinct_classes(generate(seed, schools=3, students=45, teachers=12, classes=18, enrollments=120))
    if not has_guardian_ids:
        district = renumbered(district, lambda external_id: pl.lit(None, pl.String), (GUARDIAN,))
    with (
        open_database(f"sqlite:///{folder / 'rollcall.sqlite'}", backups=None) as database,
        applied(folder, database, district) as installed,
    ):
        leave_at_random(database, seed)
        before = kept(database)
        for number, step in enumerate(steps):
            if step.new_ids:
                kinds = step.new_ids if has_guardian_ids else step.new_ids[:2]
                again = renumbered(district, partial(prefixed, f"{number}-"), kinds, classes=True)
                installed.send(again)
                if step.in_both:
                    installed.give(again)
            installed.set_up(dict(zip(KEYS, step.sources, strict=True)))
            installed.night()
            assert kept(database) == before
            # Whatever is shown is an ID that changed, and to confirm it once is enough.
            assert {is_id for types in confirm_all(database).values() for _, is_id in types} <= {True}
            installed.night()
            assert kept(database) == before
            assert {outcome.outcome for outcome in installed.night()} <= {"unchanged"}
            assert kept(database) == before
