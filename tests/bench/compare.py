"""`make bench-compare OLD=FILE NEW=FILE`: two results of `make bench` side by side, with their ratios."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tests.bench.cases import NIGHTS

out = Console(highlight=False)


def main(
    old: Annotated[Path, typer.Argument(metavar="OLD")], new: Annotated[Path, typer.Argument(metavar="NEW")]
) -> None:
    """Show what changed between two results of the same size."""
    before, after = (json.loads(file.read_text()) for file in (old, new))
    if before["size"] != after["size"]:
        raise typer.BadParameter(f"{old} is of size {before['size']}, {new} of size {after['size']}")
    if before["machine"] != after["machine"]:
        out.print(f"Two machines: {before['machine']}; {after['machine']}. Only the ratios to floors compare.")
    table = Table("", "old", "new", "new to old", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, then, now in _rows(before, after):
        table.add_row(name, f"{then:,.2f}", f"{now:,.2f}", f"{now / then:.2f}")
    out.print(table)


def _rows(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, float, float]]:
    """Each figure that both have: its name, and what it was and is."""
    found = [(f"{name}, seconds", before["floors"][name], after["floors"][name]) for name in before["floors"]]
    found += [
        (f"dlt, {name}, seconds", before["dlt"][name], after["dlt"][name])
        for name in before["dlt"]
        if name in after["dlt"]
    ]
    for database in ("PostgreSQL", "SQLite"):
        for night in NIGHTS:
            then, now = before[database][night], after[database][night]
            seconds = sum(then["seconds"].values()), sum(now["seconds"].values())
            found.append((f"{database}, {night}, seconds", *seconds))
            found.append((f"{database}, {night}, MB", then["peak_mb"], now["peak_mb"]))
    return found


if __name__ == "__main__":
    typer.run(main)
