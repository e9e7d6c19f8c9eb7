"""Audit entries of views: written together, and no view without one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlmodel import Session, col, select

from errors import DataError
from models.database import Database
from models.tables import AuditEntry
from report.auditing import Views
from services import clock
from services.access import audit
from services.access.audit import Action


def entry(session: Session, actor: str) -> None:
    audit.record(session, Action.PEOPLE_VIEWED, actor=actor, at=clock.now())


def test_views_that_wait_for_a_writer_take_one_connection_and_are_all_written(sqlite_database: Database) -> None:
    views = Views(sqlite_database)
    readers = [f"reader{number:02}@city.example" for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        with sqlite_database.transaction():
            written = [pool.submit(views.write, partial(entry, actor=reader)) for reader in readers]
            # More wait than there are connections; whoever reads gets one still.
            threading.Event().wait(0.5)
            with sqlite_database.reading() as session:
                assert session.exec(select(AuditEntry)).all() == []
            assert not any(each.done() for each in written)
        assert [each.result(30) for each in written] == [None] * 20
    with sqlite_database.reading() as session:
        assert session.exec(select(AuditEntry.actor).order_by(col(AuditEntry.actor))).all() == readers
    views.close()


def test_whoever_waits_hears_that_nothing_was_written(sqlite_database: Database) -> None:
    def fails(session: Session) -> None:
        raise DataError("auditing", ValueError())

    views = Views(sqlite_database)
    with pytest.raises(DataError):
        views.write(fails)
    views.close()
