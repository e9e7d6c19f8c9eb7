"""The promise, walked at random: no bad file ever empties a school, a confirmation applies exactly what was shown, and
while a school is on hold nothing of it changes.

Each walk is some nights of a small district with deliveries good and bad and decisions in between, and ends with
everything decided and a good delivery, after which the roster is what a fresh installation would make of it.
"""

from __future__ import annotations

import random
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from contracts.issues import DATA_REMOVALS, EMERGENCY_CONTACTS, TOO_MANY_GUARDIANS
from errors import NotPossible
from models.database import Database, open_database
from sandbox import csv_files
from sandbox.csv_files import CsvStyle
from sandbox.days import next_day
from sandbox.file_faults import LINES, WHOLE_FILE, plant_file_faults
from sandbox.generator import generate
from services import accounts, clock, figures
from services.holds import decisions, guard, store
from services.mail import compose
from services.planning.changesets import CLASS_MEMBERSHIPS, IN_CLASS_OF_KIND
from services.status import sync_status
from services.sync.provision import SchoolResult
from tests.end_to_end.conftest import Installation

SCHOOLS = {"lincoln": "0101", "roosevelt": "0102", "jefferson": "0103"}
NIGHTS = 3
Files = dict[str, pl.DataFrame]
Row = dict[str, Any]
Dump = dict[str, dict[str, Row]]  # table -> our ID -> row


# --- deliveries ---------------------------------------------------------------------------------------------------


def _columns(files: Files, name: str, change: Callable[[pl.Expr], pl.Expr]) -> Files:
    """The files with a column changed wherever it is; of students' IDs those of enrollments.csv too."""
    names = [name, "user_id"] if name == "student_id" else [name]
    return {
        file: frame.with_columns(change(pl.col(each)).alias(each) for each in names if each in frame.columns)
        for file, frame in files.items()
    }


def rows_missing(files: Files, chance: random.Random) -> Files:
    name, share = chance.choice(list(files)), chance.choice([0, 0.4, 0.8, 0.95])
    kept = pl.Series([chance.random() < share for _ in range(files[name].height)], dtype=pl.Boolean)
    return {**files, name: files[name].filter(kept)}


def cut(files: Files, chance: random.Random) -> Files:
    name = chance.choice(list(files))
    return {**files, name: files[name].head(files[name].height // chance.choice([2, 10]))}


def columns_exchanged(files: Files, chance: random.Random) -> Files:
    names = ("student_first_name", "student_last_name")
    pairs = [names, ("guardian_phone", "guardian_email"), ("student_id", "guardian_last_name")]
    one, other = chance.choice(pairs)
    students = files["students.csv"].with_columns(pl.col(one).alias(other), pl.col(other).alias(one))
    return {**files, "students.csv": students.filter(pl.col("student_id").is_not_null())}


def other_ids(files: Files, chance: random.Random) -> Files:
    for name in chance.sample(["student_id", "teacher_id", "class_id", "guardian_id", "school_id"], 2):
        changes = [lambda value: pl.lit("N") + value, lambda value: value.str.strip_chars_start("0")]
        files = _columns(files, name, chance.choice(changes))
    return files


def ids_of_others(files: Files, chance: random.Random) -> Files:
    name, file = chance.choice([("student_id", "students.csv"), ("school_id", "schools.csv")])
    known = files[file][name].unique(maintain_order=True).to_list()
    others = dict(zip(known, known[1:] + known[:1], strict=True))
    return _columns(files, name, lambda value: value.replace(others))


def school_missing(files: Files, chance: random.Random) -> Files:
    school = chance.choice(list(SCHOOLS.values()))
    if chance.random() < 0.5:
        return {**files, "schools.csv": files["schools.csv"].filter(pl.col("school_id") != school)}
    return without_school(files, school)


def without_school(files: Files, school: str) -> Files:
    """The files without any row of a school, that of schools.csv included."""
    return {
        name: frame.filter(pl.col("school_id") != school) if "school_id" in frame.columns else frame
        for name, frame in files.items()
    }


def moved(files: Files, chance: random.Random) -> Files:
    """Some students are at another school."""
    hit = pl.col("student_id").str.ends_with(str(chance.randrange(10)))
    school = pl.lit(chance.choice(list(SCHOOLS.values())))
    students = files["students.csv"].with_columns(school_id=pl.when(hit).then(school).otherwise("school_id"))
    return {**files, "students.csv": students}


def more_guardians(files: Files, chance: random.Random) -> Files:
    """One or five more for some or all: doubled, six of them, or emergency contacts."""
    students, kind = files["students.csv"], chance.choice([None, None, "emergency"])
    some = students.filter(pl.col("student_id").str.ends_with("1") | pl.lit(chance.random() < 0.5))
    added = [
        some.unique("student_id", maintain_order=True).with_columns(
            guardian_id=pl.lit(f"D{number}-") + pl.col("student_id"),
            guardian_first_name=pl.lit("Alias"),
            guardian_last_name=pl.lit(f"Of{number}-") + pl.col("student_id"),
            guardian_email=pl.lit(None, pl.String),
            guardian_phone=pl.format(f"(206) 555-{number}{{}}", pl.col("student_id").str.slice(-3)),
            guardian_type=pl.lit(kind, pl.String),
        )
        for number in range(chance.choice([1, 5]))
    ]
    return {**files, "students.csv": pl.concat([students, *added])}


def domain_changed(files: Files, _: random.Random) -> Files:
    for name in ("teacher_email", "student_email"):
        files = _columns(files, name, lambda value: value.str.replace("@.*$", "@new.example"))
    return files


BAD: tuple[Callable[[Files, random.Random], Files], ...] = (
    rows_missing,
    cut,
    columns_exchanged,
    other_ids,
    ids_of_others,
    school_missing,
    moved,
    more_guardians,
    domain_changed,
)


# --- the walk -----------------------------------------------------------------------------------------------------


class Walk:
    """Some nights of one district, and what was wrong after any of them."""

    def __init__(self, seed: int, installation: Installation) -> None:
        self.chance = random.Random(seed)
        self.installation = installation
        self.database = installation.database
        self.district = DISTRICT

    def deliver(self) -> int | None:
        """Send something, or nothing; gives the older delivery to apply, if any."""
        chance = self.chance
        what = chance.choice(["day", "again", "older", "file error", *["bad"] * 6])
        if what == "day":
            self.district = next_day(self.district, chance.randrange(1000), joined=2, left=2, moved=1, changed=3)
        elif what == "again":
            return None
        elif what == "older":
            clean = query(self.database, "SELECT id FROM delivery WHERE outcome = 'clean'")
            return int(chance.choice(clean)["id"])
        elif what == "file error":
            code = chance.choice([*WHOLE_FILE, *LINES])
            note(code)
            self.installation.send(dict(plant_file_faults(self.district, {code: 1}, chance.randrange(1000)).files))
            return None
        files = csv_files.rows(self.district)
        for bad in chance.sample(BAD, chance.choice([1, 2])) if what == "bad" else ():
            note(bad.__name__)
            files = bad(files, chance)
        self.send(files)
        return None

    def send(self, files: Files, line_end: str = "\n") -> None:
        # Somebody has cleared away what was there under other names.
        for left in self.installation.drop().iterdir():
            left.unlink()
        self.installation.send(csv_files.write_rows(files, CsvStyle(line_end=line_end)))

    def act(self) -> None:
        """Somebody leaves, or edits their own name, twice. Whoever leaves may take somebody else along."""
        for _ in range(2):
            active = query(self.database, "SELECT id FROM account WHERE archived_at IS NULL")
            account = self.chance.choice(active)["id"]
            with self.database.transaction() as session:
                if self.chance.random() < 0.5:
                    accounts.leave_organization(session, "unified", account, now=clock.now())
                else:
                    accounts.edit_account(session, account, first_name="Own")

    def decide(self) -> None:
        """Decide about some of the holds that are open or were replaced, where there is something to decide."""
        verbs = [
            decisions.CONFIRM,
            decisions.CONFIRM,
            decisions.CONFIRM_REMOVALS,
            decisions.ACCEPT,
            decisions.LEAVE_OUT,
            decisions.RECHECK,
        ]
        for hold in query(self.database, "SELECT id, ending FROM hold WHERE ending IS NULL OR ending = 'replaced'"):
            if self.chance.random() < (0.5 if hold["ending"] is None else 0.1):
                try:
                    with self.database.transaction() as session:
                        verb = self.chance.choice(verbs)
                        decisions.decide(session, hold["id"], verb, by="ops", why="so", now=clock.now())
                except NotPossible:
                    continue
                with self.database.reading() as session:
                    decision = store.get_hold(session, hold["id"]).decisions[-1]
                assert (decision.verb, decision.by, decision.why) == (verb, "ops", "so")

    def night(self, delivery: int | None = None) -> None:
        """A night, and everything that must be so after it; then the same once more, which changes nothing."""
        outcomes = self.checked(delivery=delivery)
        # What one school has written of people it shares may change what another is held for.
        while any(each.outcome == "on_hold" for each in outcomes) and any(each.counts for each in outcomes):
            outcomes = self.checked(schools=list(SCHOOLS))
        before, held = dump(self.database), open_holds(self.database)
        again = self.installation.night(schools=list(SCHOOLS))
        assert {each.school_id: each.hold_id for each in again if each.outcome == "on_hold"}.items() <= held.items()
        assert [each for each in again if each.counts] == []
        assert (dump(self.database), open_holds(self.database)) == (before, held)
        assert mail_of(self.database) == []

    def checked(self, delivery: int | None = None, schools: list[str] | None = None) -> list[SchoolResult]:
        before, confirmed = dump(self.database), self.confirmed()
        outcomes = self.installation.night(delivery=delivery, schools=schools)
        after, held = dump(self.database), open_holds(self.database)
        for school in held:
            assert rows_of(school, after, before) == rows_of(school, before, after)
        for outcome in outcomes:
            if outcome.outcome == "applied":
                lost(before, after, outcome.school_id, confirmed[outcome.school_id])
        with self.database.reading() as session:
            shown = {row.school_id: row.status for row in sync_status.statuses(session, now=clock.now())}
            for hold in store.open_holds(session):
                assert hold.reasons
                told(hold, store.items_of(session, hold.id))
        assert {school for school, value in shown.items() if value == sync_status.Status.ON_HOLD} == set(held)
        for sql in NEVER:
            assert query(self.database, sql) == []
        private(self.database, mail_of(self.database))
        return outcomes

    def confirmed(self) -> dict[str, list[set[tuple[str, str]]]]:
        """By school, the removals (type and key) of each hold that somebody has confirmed and no release used up."""
        found: dict[str, list[set[tuple[str, str]]]] = defaultdict(list)
        waiting = "SELECT h.id, h.school_id FROM decision d JOIN hold h ON h.id = d.hold_id WHERE d.applied_at IS NULL"
        for hold in query(self.database, f"{waiting} AND d.verb IN ('confirm', 'confirm_removals')"):
            items = query(self.database, f"SELECT code, type, key FROM hold_item WHERE hold_id = {hold['id']}")
            shown = {(item["type"], item["key"]) for item in items if item["code"] == DATA_REMOVALS}
            found[hold["school_id"]].append(shown)
        return found

    def end(self) -> None:
        """Everything decided, everybody who left brought back, and a good delivery."""
        with self.database.transaction() as session:
            accounts.set_enforcement(session, "unified", True)
        self.send(csv_files.rows(self.district), "\r\n")
        self.night()
        settle(self.database)
        self.night()
        assert open_holds(self.database) == {}


NEVER = (
    "SELECT a.id FROM account a JOIN link l ON l.account_id = a.id"
    " WHERE a.archived_at IS NOT NULL AND (l.archived_at IS NULL OR a.email IS NOT NULL)",
    "SELECT a.id FROM account a WHERE a.archived_at IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM link l WHERE l.account_id = a.id AND l.archived_at IS NULL)",
    *(
        f"SELECT m.id FROM {table} m JOIN {of} o ON o.id = m.{column} WHERE m.active AND o.archived_at IS NOT NULL"
        for table, column, of in (
            ("school_membership", "link_id", "link"),
            ("class_membership", "link_id", "link"),
            ("class_membership", "class_id", "class"),
            ("guardianship", "student_link_id", "link"),
            ("guardianship", "guardian_link_id", "link"),
        )
    ),
    "SELECT run_id FROM notice WHERE mail_id IS NOT NULL GROUP BY run_id HAVING count(DISTINCT mail_id) > 1",
)
TABLES = ("account", "link", "school_membership", "class", "class_membership", "guardianship")


def query(database: Database, sql: str) -> list[Row]:
    with database.reading() as session:
        return [dict(row) for row in session.connection().exec_driver_sql(sql).mappings()]


def dump(database: Database) -> Dump:
    return {table: {row["id"]: row for row in query(database, f"SELECT * FROM {table}")} for table in TABLES}


def open_holds(database: Database) -> dict[str, int]:
    """By school, its open hold."""
    found = query(database, "SELECT school_id, id FROM hold WHERE ended_at IS NULL")
    assert len({row["school_id"] for row in found}) == len(found)
    return {row["school_id"]: row["id"] for row in found}


def _places(dump: Dump) -> dict[str, set[str]]:
    """By link, the schools where it is active."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in dump["school_membership"].values():
        if row["active"]:
            found[row["link_id"]].add(row["school_id"])
    return found


def rows_of(school: str, now: Dump, then: Dump) -> dict[str, list[Row]]:
    """A school's rows; of guardianships only those of students whom no other school has, now or then."""
    places, others = _places(now), _places(then)
    of_class = {row["id"] for row in now["class"].values() if row["school_id"] == school}
    return {
        "memberships": [row for row in now["school_membership"].values() if row["school_id"] == school],
        "classes": [row for row in now["class"].values() if row["school_id"] == school],
        "class_memberships": [row for row in now["class_membership"].values() if row["class_id"] in of_class],
        "guardianships": [
            row
            for row in now["guardianship"].values()
            if places[row["student_link_id"]] | others[row["student_link_id"]] == {school}
        ],
    }


def here(dump: Dump, school: str) -> dict[str, set[str]]:
    """By type, the keys of everything active at a school, as a hold's items have them."""
    account = {link: row["account_id"] for link, row in dump["link"].items()}
    present = {link for link, schools in _places(dump).items() if school in schools}
    kinds = {"employees": "employee", "students": "student"}
    found = {
        kind: {account[link] for link in present if dump["link"][link]["kind"] == wanted}
        for kind, wanted in kinds.items()
    }
    pairs = [row for row in dump["guardianship"].values() if row["active"] and row["student_link_id"] in present]
    classes = {key for key, row in dump["class"].items() if row["school_id"] == school and row["archived_at"] is None}
    return {
        **found,
        "guardians": {account[row["guardian_link_id"]] for row in pairs},
        "guardianships": {f"{account[row['student_link_id']]} {account[row['guardian_link_id']]}" for row in pairs},
        "classes": classes,
        **{
            kind: {
                f"{row['class_id']} {account[row['link_id']]}"
                for row in dump["class_membership"].values()
                if row["active"] and row["class_id"] in classes and dump["link"][row["link_id"]]["kind"] == of
            }
            for of, kind in IN_CLASS_OF_KIND.items()
        },
    }


def lost(before: Dump, after: Dump, school: str, confirmed: list[set[tuple[str, str]]]) -> None:
    """What a school lost is within the guard's limits, or all of it was shown by one hold that was confirmed."""
    had, has = here(before, school), here(after, school)
    gone = {kind: had[kind] - has[kind] for kind in guard.LIMITS}
    leavers = gone["students"] | gone["employees"]
    for kind, whole in (*((kind, gone["classes"]) for kind in CLASS_MEMBERSHIPS), ("guardianships", set())):
        for part in (gone, had):
            part[kind] = {key for key in part[kind] if (whole | leavers).isdisjoint(key.split())}
    vanished = [
        kind
        for kind in guard.LIMITS
        if guard.vanishes(len(gone[kind]), len(had[kind])) and not left_in_class(kind, had, has, gone["classes"])
    ]
    exceeded = [
        kind
        for kind, limit in guard.LIMITS.items()
        if kind in vanished or guard.exceeds(len(gone[kind]), len(had[kind]), limit)
    ]
    went = {(kind, key) for kind, keys in gone.items() for key in keys}
    assert not exceeded or any(went <= shown for shown in confirmed), exceeded


def left_in_class(kind: str, had: dict[str, set[str]], has: dict[str, set[str]], gone: set[str]) -> set[str]:
    """Where the kind is one of class memberships, those that there are in the classes that were there before."""
    stayed = had["classes"] - gone
    return {key for key in has[kind] if kind in CLASS_MEMBERSHIPS and key.split()[0] in stayed}


def told(hold: store.Hold, items: pl.DataFrame) -> None:
    """What a hold's reasons count is what their evidence lists."""
    for reason in hold.reasons:
        mine = items.filter(code=reason.code)
        for kind, counts in (reason.counts or {}).items():
            if reason.code == DATA_REMOVALS and "here" in counts:
                gone = mine.filter(pl.col("new_id").is_null(), type=kind.removeprefix(figures.DISTRICT))
                assert counts["here"] <= gone.height
            elif reason.code == DATA_REMOVALS:
                assert mine.filter(type=kind).height == counts.get("removed", 0) + counts.get("ids", 0)
            elif reason.code == TOO_MANY_GUARDIANS:
                assert mine["record_id"].n_unique() == counts["found"]
            elif reason.code == EMERGENCY_CONTACTS:
                assert mine.filter(field=kind).height == counts["found"]
            elif "added" in counts:
                assert mine.filter(field="added").height == counts["added"]
            else:
                people, _, name = kind.partition("_")
                counted = counts["emptied"] if "emptied" in counts else counts["changed"]
                assert mine.filter(type=people, field=name).height == counted


def mail_of(database: Database) -> list[str]:
    """The mails of what was noted since the last time."""
    with database.transaction() as session:
        made = compose.compose(session, clock.now())
    wanted = ", ".join(str(number) for number in made)
    mails = query(database, f"SELECT subject, text, html FROM mail WHERE id IN ({wanted})")
    return [text for mail in mails for text in mail.values()]


def private(database: Database, mails: list[str]) -> None:
    """No mail names anybody of the district."""
    rows = query(database, "SELECT first_name || ' ' || last_name AS name, email, phone FROM link")
    known = {value for row in rows for value in row.values() if value}
    assert [value for value in known if any(value in mail for mail in mails)] == []


def settle(database: Database) -> None:
    """Decide about every open hold all that there is to decide."""
    with database.transaction() as session:
        for hold in store.open_holds(session):
            for verb in (decisions.CONFIRM, decisions.ACCEPT):
                if decisions.is_about(verb, hold):
                    decisions.decide(session, hold.id, verb, by="ops", now=clock.now())


def roster(database: Database) -> dict[str, set[tuple[Any, ...]]]:
    """What is active, by names and external IDs."""
    guardian = "coalesce(g.guardian_ids, g.first_name || g.last_name || coalesce(g.email, g.phone))"
    return {
        table: {tuple(row.values()) for row in query(database, sql)}
        for table, sql in {
            "people": "SELECT kind, CASE WHEN kind = 'guardian' THEN guardian_ids ELSE external_id END AS id, role,"
            " first_name, last_name, email, phone, birth_date, grade FROM link WHERE archived_at IS NULL",
            "members": "SELECT m.school_id, l.kind, l.external_id FROM school_membership m JOIN link l"
            " ON l.id = m.link_id WHERE m.active",
            "classes": "SELECT school_id, external_id, name FROM class WHERE archived_at IS NULL",
            "class_members": "SELECT c.school_id, c.external_id AS class, l.external_id, m.is_owner"
            " FROM class_membership m JOIN class c ON c.id = m.class_id JOIN link l ON l.id = m.link_id WHERE m.active",
            "guardianships": f"SELECT s.external_id, {guardian} AS guardian, p.relationship, p.type FROM guardianship p"
            " JOIN link s ON s.id = p.student_link_id JOIN link g ON g.id = p.guardian_link_id WHERE p.active",
        }.items()
    }


DISTRICT = generate(7, schools=3, students=42, teachers=9, classes=12, enrollments=90)


@contextmanager
def opened(folder: Path) -> Iterator[Installation]:
    """The installation in a folder that has a database."""
    with open_database(f"sqlite:///{folder}/rollcall.sqlite", backups=None) as database:
        installation = Installation(folder, database)
        installation.set_up(unified=SCHOOLS)
        yield installation


@pytest.fixture(scope="module")
def first_night(embedded_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installation after its first night, to copy."""
    folder = tmp_path_factory.mktemp("first_night")
    shutil.copy(embedded_template, folder / "rollcall.sqlite")
    with opened(folder) as installation:
        installation.send(DISTRICT.csv_files())
        installation.night()
    return folder


@pytest.mark.journeys
@given(seed=st.integers(0, 2**32))
@settings(max_examples=6, deadline=None, phases=(Phase.explicit, Phase.generate))
def test_no_bad_file_empties_a_school(
    seed: int, first_night: Path, embedded_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, fresh = tmp_path_factory.mktemp("walk"), tmp_path_factory.mktemp("fresh")
    shutil.copytree(first_night, folder, dirs_exist_ok=True)
    shutil.copy(embedded_template, fresh / "rollcall.sqlite")
    with opened(folder) as installation, opened(fresh) as anew:
        walk = Walk(seed, installation)
        for _ in range(NIGHTS):
            delivery = walk.deliver()
            walk.act()
            walk.decide()
            walk.night(delivery)
        walk.end()
        anew.send({file.name: file.read_bytes() for file in installation.drop().iterdir()})
        anew.night()
        assert roster(installation.database) == roster(anew.database)
