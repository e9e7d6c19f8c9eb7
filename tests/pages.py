"""The README and the pages of docs/, and the commands that they tell their readers to type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCS = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}


def section(text: str, heading: str) -> str:
    """What is below a heading of the second level, down to the next one."""
    (found,) = (part for part in re.split(r"^## ", text, flags=re.M) if part.startswith(f"{heading}\n"))
    return found


def blocks(language: str, text: str) -> list[str]:
    """The blocks of a language, also those inside a list."""
    return [re.sub(r"^ {3}", "", block, flags=re.M) for block in re.findall(rf"```{language}\n(.*?)```", text, re.S)]


def commands(text: str) -> list[str]:
    """The commands of the blocks for a shell, each on a line, or on several where quotes hold them together."""
    found = []
    for block in blocks("sh", text):
        command = ""
        for line in block.splitlines():
            command += line
            try:
                words = shlex.split(command, comments=True)
            except ValueError:
                command += "\n"
                continue
            found += [command] if words else []
            command = ""
        assert not command, f"a quote that nothing closes: {command}"
    return found
