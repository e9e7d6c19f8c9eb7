"""What every task works with, as the settings say: the database, the landing area, the way to Clever."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import httpx

from errors import TransientError
from models.database import Database, open_database
from services.intake.adapters import ADAPTERS, SourceAdapter
from services.intake.landing_area import LandingArea
from settings import get_settings


def database() -> Database:
    """The installation's database, opened once per process and address.

    Raises:
        SetupError, SchemaError, DatabaseUnavailable: as `open_database`.
    """
    settings = get_settings()
    return _open(settings.database_url, settings.backups)


@cache
def _open(url: str, backups: Path) -> Database:
    return open_database(url, backups=backups)


def landing() -> LandingArea:
    """Where raw deliveries are kept."""
    return get_settings().landing_area


def adapter(kind: str) -> SourceAdapter:
    """The adapter of a kind of source; secrets that the environment does not name may be in Prefect Secret blocks.

    Raises:
        SetupError: a setting makes no sense, or a secret is nowhere.
        TransientError: Prefect's API, which keeps the blocks, did not answer.
    """
    return ADAPTERS[kind](get_settings().connection(kind, _secret))


def _secret(block: str) -> str:
    """The value of a Secret block; empty where there is none, or no Prefect API to keep it."""
    from prefect.blocks.system import Secret
    from prefect.context import FlowRunContext, TaskRunContext
    from prefect.settings import PREFECT_API_URL

    # Else Prefect would start a temporary server, only to find it empty.
    if not (PREFECT_API_URL.value() or FlowRunContext.get() or TaskRunContext.get()):
        return ""
    try:
        # Whether or not the caller has an event loop.
        return str(Secret.load(block, _sync=True).get())  # type: ignore[call-arg, union-attr]
    except ValueError:
        return ""
    except httpx.HTTPError:
        pass
    raise TransientError(f"Prefect's API, which may keep the Secret block {block}, did not answer")
