"""Files that others have published and the report serves are as they were published."""

from __future__ import annotations

import hashlib

from report.rendering import STATIC

OUR_OWN = {"README.md", "favicon.svg", "report.css", "report.js"}
PUBLISHED = {"htmx.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"}


def test_published_files_are_unchanged() -> None:
    others = [file for file in STATIC.iterdir() if file.name not in OUR_OWN]
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in others} == PUBLISHED
