"""How long a function may be, so that each can be read at a glance."""

from __future__ import annotations

import ast
from pathlib import Path

PROJECT = Path(__file__).parent.parent
PACKAGES = ("contracts", "services", "cli", "tasks", "flows", "models", "sandbox")
LONGEST = 60


def test_no_function_is_longer_than_sixty_lines() -> None:
    functions = {
        f"{node.name} in {file.relative_to(PROJECT)}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1
        for package in PACKAGES
        for file in sorted((PROJECT / package).rglob("*.py"))
        # A migration is a list of statements, and never touched again.
        if "migrations" not in file.parts
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert functions
    assert {name: f"{lines} lines" for name, lines in functions.items() if lines > LONGEST} == {}
