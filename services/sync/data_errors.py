"""Steps over frames, whose errors must not carry a value of the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from polars.exceptions import PanicException

from errors import DataError, RollcallError

T = TypeVar("T")


def guarded(step: str, work: Callable[[], T]) -> T:
    """Run a step over frames; whatever is raised that is not ours becomes ours, with no value in it."""
    try:
        return work()
    except RollcallError:
        raise
    except (Exception, PanicException) as error:  # noqa: BLE001 - any may carry a value
        failure = DataError(step, error)
    # Raised outside the handler: inside it the data-carrying exception would stay attached as its context.
    raise failure
