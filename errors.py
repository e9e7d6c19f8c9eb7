"""Every error Rollcall raises on purpose, in one tree. No message here carries personal data.

RollcallError
  ├─ TransientError            trying the same again later may succeed
  │    ├─ Busy                 another run is syncing the district, or another sender the mail
  │    ├─ DatabaseUnavailable  the database did not answer, or stayed locked
  │    ├─ SourceUnreachable    the drop folder or server cannot be read, or Clever gives no usable answer
  │    └─ MailUnreachable      the mail server does not answer or breaks off, or the mail folder cannot be written
  └─ TerminalError             the same again fails the same way
       ├─ SourceRefused        the source refuses us, or is not trusted: a client or a host key not known
       ├─ MailRefused          the mail server refuses us: login, sender or encryption
       ├─ SetupError           the setup file, an argument or a setting makes no sense
       ├─ NotFound             no such district, school, delivery or hold
       ├─ NotPossible          the thing asked for does not fit the state it is in
       ├─ SchemaError          the database's schema is not the program's
       ├─ LeaseLost            the run was ended or taken over; it may write nothing more
       ├─ WriteConflict        a unique value was taken meanwhile by another district
       ├─ DataError            a check, frame or statement failed on data it should have accepted
       │    └─ TableError      a stage gave a table that is not as declared
       └─ SchoolsFailed        a district's run ended with failed schools
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path


class RollcallError(Exception):
    """Base of all of Rollcall's own errors; the message is fit to be shown to a person.

    hint: what to do at the command line, such as which command lists the districts. The report leaves it out.
    """

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        self.message = message
        super().__init__(f"{message}; {hint}" if hint else message)


class TransientError(RollcallError):
    """Trying the same again later may succeed."""


class TerminalError(RollcallError):
    """The same again fails the same way: something else has to change first."""


class Busy(TransientError):
    """Another run is syncing the district, or another sender the mail."""


class DatabaseUnavailable(TransientError):
    """The database did not answer, or stayed locked."""


class SourceUnreachable(TransientError):
    """The drop folder cannot be read, or Clever gives no usable answer."""


class MailUnreachable(TransientError):
    """The mail server does not answer or breaks off, or the mail folder cannot be written."""


class SourceRefused(TerminalError):
    """The source refuses us: the district is not connected, or our client is not known."""


class MailRefused(TerminalError):
    """The mail server refuses us, whatever the mail: login, sender or encryption."""


class SetupError(TerminalError):
    """The setup file, an argument or a setting makes no sense."""


class NotFound(TerminalError):
    """No such district, school, delivery or hold."""


class NotPossible(TerminalError):
    """What was asked for does not fit the state it is in."""


class SchemaError(TerminalError):
    """The database's schema is older or newer than the program's."""


class LeaseLost(TerminalError):
    """The run was ended or taken over by another one; it may write nothing more."""


class WriteConflict(TerminalError):
    """A unique value was taken by another district between planning and writing."""


class DataError(TerminalError):
    """A check, frame or statement failed on data it should have accepted.

    Carries the step, the kind of failure and where in the program it arose, never a value: exceptions of Polars,
    Pandera and the database hold personal data and are replaced by this one, without cause or context.
    """

    def __init__(self, step: str, cause: BaseException) -> None:
        self.step = step
        self.kind = type(cause).__name__
        frames = traceback.extract_tb(cause.__traceback__)
        ours = [frame for frame in frames if "site-packages" not in frame.filename]
        self.where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "unknown"
        super().__init__(f"{step} failed with {self.kind} at {self.where}; the data involved are not shown here")


class TableError(DataError):
    """A stage gave a table that does not have its declared columns, types and nulls.

    Names tables and columns and counts nulls, never a value.
    """

    def __init__(self, stage: str, wrong: Sequence[str]) -> None:
        self.step = stage
        self.kind = type(self).__name__
        self.where = "; ".join(wrong)
        TerminalError.__init__(self, f"{stage} gave tables that are not as declared: {self.where}")


class SchoolsFailed(TerminalError):
    """A district's run ended with failed schools, after all had their turn."""

    def __init__(self, schools: list[str]) -> None:
        self.schools = schools
        super().__init__(f"failed: {', '.join(schools)}")
