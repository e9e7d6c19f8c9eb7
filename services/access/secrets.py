"""Secrets that are given out once and kept only as hashes."""

from __future__ import annotations

import hashlib
import secrets


def new_secret() -> str:
    """Return a new random secret, fit for an address or a cookie."""
    return secrets.token_urlsafe(32)


def new_code() -> str:
    """Return a new random code of six digits."""
    return f"{secrets.randbelow(1_000_000):06d}"


def hashed(secret: str) -> str:
    """Return what is kept of a secret. A random secret of 256 bits needs no salt and no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
