"""The IDs of anonymized people: kept as keyed hashes, by which whoever returns is recognized.

Rule: a hash covers the source and the kind of the person too, so that nobody can be followed from one district into
another. It begins with the fingerprint of its secret: with another secret nobody would be recognized, and that is said.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import polars as pl
from sqlmodel import Session

from contracts.checking import Records
from contracts.roster import GUARDIAN, Schema
from errors import SetupError
from models import bulk
from services.planning.stored import StoredRows

_HASHED: Schema = {"link_id": pl.String, "kind": pl.String, "id_hashes": pl.String}
_NAMED: Schema = {"kind": pl.String, "id": pl.String, "hash": pl.String}


@dataclass(frozen=True)
class IdSecret:
    """The secret of an installation's hashes. given: the setting's; if empty it is in a file, made when first used."""

    file: Path
    given: str = ""

    def __repr__(self) -> str:
        """Without the secret."""
        return f"IdSecret({str(self.file)!r})"

    @property
    def exists(self) -> bool:
        """Whether it has been made."""
        return bool(self.given) or self.file.exists()

    @cached_property
    def value(self) -> bytes:
        """The secret.

        Raises:
            SetupError: its file cannot be read or made.
        """
        if self.given:
            return self.given.encode()
        try:
            with suppress(FileExistsError):
                self._make()
            return self.file.read_bytes()
        except OSError as error:
            reason = error.strerror
        raise SetupError(f"the secret of the hashes of IDs, {self.file}, cannot be read or made: {reason}")

    def _make(self) -> None:
        # Under another name first: two who make it at once get the same one, and nobody half of it.
        if self.file.exists():
            return
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.file.with_name(f"{self.file.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as text:
            text.write(secrets.token_hex(32))
        try:
            os.link(draft, self.file)
        finally:
            draft.unlink()

    @cached_property
    def fingerprint(self) -> str:
        """What its hashes begin with."""
        return hmac.new(self.value, b"fingerprint", hashlib.sha256).hexdigest()[:8]

    def hashed(self, source_id: str, kind: str, external_id: str) -> str:
        """The hash of an ID of a source."""
        # Each with its length: no two of them are spelled alike.
        message = "".join(f"{len(part)}:{part}" for part in (source_id, kind, external_id))
        return f"{self.fingerprint}:{hmac.new(self.value, message.encode(), hashlib.sha256).hexdigest()}"


def fingerprints(session: Session, source_ids: Collection[str]) -> set[str]:
    """The fingerprints of the secrets that IDs of these sources were hashed with."""
    condition, parameters = bulk.in_list(session, "source_id", source_ids)
    sql = f"SELECT DISTINCT substr(id_hashes, 1, 8) AS one FROM link WHERE id_hashes IS NOT NULL AND {condition}"
    return set(bulk.read(session, sql, parameters, {"one": pl.String})["one"])


def recognized(
    session: Session, source_id: str, stored: StoredRows, records: Records, secret: IdSecret | None
) -> tuple[StoredRows, tuple[str, ...]]:
    """What is stored, with the IDs of anonymized people who are in the delivery again; and notes.

    Rule: they keep their link and account, and everything else comes from the delivery, as nothing else is left.
    """
    hashed = bulk.read(
        session,
        "SELECT id AS link_id, kind, id_hashes FROM link WHERE source_id = :source AND id_hashes IS NOT NULL",
        {"source": source_id},
        _HASHED,
    )
    if hashed.is_empty():
        return stored, ()
    hashes = hashed.with_columns(hash=pl.col("id_hashes").str.split("\n")).explode("hash")
    is_ours = pl.col("hash").str.starts_with(secret.fingerprint if secret is not None else "-")
    notes = () if hashes.select(is_ours.all()).item() else (OTHER_SECRET,)
    if secret is None:
        return stored, notes
    known = stored.links.filter("from_this_source").select("kind", "external_id", "guardian_ids")
    given = pl.concat(
        [
            records.seen.select("kind", id="external_id"),
            records.entries.select(kind=pl.lit(GUARDIAN), id="guardian_id"),
        ]
    ).drop_nulls()
    unknown = (
        given.unique()
        .join(known.select("kind", id="external_id"), on=["kind", "id"], how="anti")
        .join(known.select("kind", id="guardian_ids").explode("id").drop_nulls(), on=["kind", "id"], how="anti")
    )
    found = _found(hashes, _hashed(unknown.iter_rows(), source_id, secret))
    if found.is_empty():
        return stored, notes
    ids = pl.coalesce("external_id", "first_id").alias("external_id")
    links = (
        stored.links.join(found, on="link_id", how="left", maintain_order="left")
        .with_columns(ids, pl.coalesce("guardian_ids", "found_ids").alias("guardian_ids"))
        .select(stored.links.columns)
    )
    return replace(stored, links=links), notes


OTHER_SECRET = (
    "people who were anonymized are not recognized if they return, as ROLLCALL_ID_SECRET, or the file id-secret, is not"
    " the one that their IDs were hashed with"
)


def _hashed(ids: Iterable[tuple[str, str]], source_id: str, secret: IdSecret) -> pl.DataFrame:
    rows = [(kind, one, secret.hashed(source_id, kind, one)) for kind, one in ids]
    return pl.DataFrame(rows, schema=dict(_NAMED), orient="row")


def _found(hashes: pl.DataFrame, named: pl.DataFrame) -> pl.DataFrame:
    """link_id, first_id, and of guardians found_ids (sorted): the links that the IDs are of."""
    return (
        hashes.join(named, on=["kind", "hash"])
        .group_by("link_id")
        .agg(kind=pl.col("kind").first(), found_ids=pl.col("id").sort())
        .select(
            "link_id",
            first_id=pl.col("found_ids").list.first(),
            found_ids=pl.when(kind=GUARDIAN).then("found_ids"),
        )
    )
