"""What a district's administrators are mailed from day to day, and that it is neither too little nor too much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest

from services import clock
from services.intake import deliveries
from services.mail import notices, outbox
from services.mail.smtp import Folder
from services.operations import maintenance
from tests.end_to_end.conftest import Installation
from tests.end_to_end.nights import play
from tests.end_to_end.test_holds import Files, files_gone

pytestmark = pytest.mark.journeys

FIRST_NIGHT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)  # two in the morning where the district is
FULL = Files.of(40, 40)


@dataclass
class Calendar:
    """An installation whose nights are played at the times given; each returns the subjects of its mail."""

    place: Installation
    set_clock: Callable[[datetime], None]

    def night(self, day: int, files: Files | None = None) -> list[str]:
        """Every district's run, what is due by time alone, then the mail, as the nightly flow does it."""
        self.set_clock(FIRST_NIGHT + timedelta(days=day))
        for folder in sorted((self.place.folder / "drop").iterdir()):
            if files is not None:
                files.send(self.place, folder.name)
            play(self.place.database, self.place.folder / "landing", folder.name, nightly=True)
            self._mail()
        return self.afterwards(day)

    def afterwards(self, day: int, hours: float = 0) -> list[str]:
        """What is due by time alone, then the mail, as housekeeping does it; gives all subjects since the last time."""
        now = FIRST_NIGHT + timedelta(days=day, hours=hours)
        self.set_clock(now)
        with self.place.database.transaction() as session:
            deliveries.add_staleness_notice(session, now)
            maintenance.add_notices_of_ended_pauses(session, now)
            notices.add_reminders(session, now)
        self._mail()
        found = []
        for file in sorted((self.place.folder / "mail").glob("*.eml")):
            found.append(str(message_from_bytes(file.read_bytes(), policy=policy.default)["Subject"]))
            file.unlink()
        return found

    def _mail(self) -> None:
        transport = Folder(self.place.folder / "mail")
        outbox.deliver(self.place.database, transport, sender="sync@rollcall.example", now=clock.now())


@pytest.fixture
def calendar(embedded: Installation, monkeypatch: pytest.MonkeyPatch) -> Calendar:
    embedded.set_up(unified={"lincoln": "1", "adams": "2"})

    def set_clock(now: datetime) -> None:
        monkeypatch.setattr("services.clock.now", lambda: now)

    return Calendar(embedded, set_clock)


def emptied() -> Files:
    """Half of the students of each school gone."""
    files = Files.of(40, 40)
    gone = files_gone(20) | {f"9{number:03}" for number in range(20)}
    files.students = {student: told for student, told in files.students.items() if student not in gone}
    return files


def test_a_hold_is_mailed_once_reminded_of_daily_and_released_once(calendar: Calendar) -> None:
    assert calendar.night(0, FULL) == []
    assert calendar.night(1, emptied()) == ["2 schools on hold: unified schools"]
    assert calendar.afterwards(1, hours=4) == []
    assert calendar.afterwards(1, hours=12) == []
    for day in (2, 3):
        assert calendar.night(day) == ["2 schools still on hold: unified schools"]
        assert calendar.afterwards(day, hours=4) == []
        assert calendar.afterwards(day, hours=21) == []  # still the same day where the district is
    assert calendar.night(4, FULL) == ["2 schools no longer on hold: unified schools"]
    assert [calendar.afterwards(4, hours=4), calendar.night(5), calendar.night(6)] == [[], [], []]


def test_file_errors_are_mailed_once_and_reminded_of_daily_until_clean_files_come(calendar: Calendar) -> None:
    calendar.night(0, FULL)
    broken = Files.of(40, 40)
    broken.students = {'00"1': ("1", "Kim", "3")}
    assert calendar.night(1, broken) == ["2 schools on hold, files could not be used: unified schools"]
    assert calendar.afterwards(1, hours=4) == []
    assert calendar.night(2) == ["2 schools still on hold: unified schools"]
    assert calendar.afterwards(2, hours=4) == []
    assert calendar.night(3, FULL) == ["2 schools no longer on hold: unified schools"]
    assert calendar.night(4) == []


def test_staleness_is_reported_once_fourteen_days_before_and_holds_after_ninety(calendar: Calendar) -> None:
    calendar.night(0, FULL)
    assert [calendar.night(day) for day in (1, 30, 75)] == [[], [], []]
    assert calendar.night(76) == ["New files needed soon: unified schools"]
    assert [calendar.afterwards(76, hours=4), calendar.night(77), calendar.night(89), calendar.night(90)] == [[]] * 4
    assert calendar.night(91) == ["2 schools on hold: unified schools"]
    assert calendar.night(92) == ["2 schools still on hold: unified schools"]
    # The very same files again are a duplicate, and enough.
    assert calendar.night(93, FULL) == ["2 schools no longer on hold: unified schools"]
    assert calendar.night(94) == []
    assert calendar.night(93 + 76) == ["New files needed soon: unified schools"]


def test_each_district_gets_one_mail_of_its_own(calendar: Calendar) -> None:
    calendar.place.set_up(unified={"lincoln": "1", "adams": "2"}, valley={"lincoln": "1", "adams": "2"})
    assert calendar.night(0, FULL) == []
    assert sorted(calendar.night(1, emptied())) == [
        "2 schools on hold: unified schools",
        "2 schools on hold: valley schools",
    ]
