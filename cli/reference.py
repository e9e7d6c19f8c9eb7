"""The reference pages of the docs, made from commands, catalogue, tables and figures: ``python -m cli.reference``."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import typer.main
from jinja2 import Environment, StrictUndefined
from typer.core import TyperArgument, TyperGroup

from cli.data_model import data_model_page
from cli.main import app
from cli.options import EXIT_CODES
from cli.scale import scale_page
from contracts.formats import clever_3, csv_1_0
from contracts.issues import CATALOGUE, Severity, catalogue

DOCS: Final = Path(__file__).parent.parent / "docs"

_COMMANDS = """\
<!-- `make docs` writes this page from the code. -->

# Commands

`--help` shows the same on the command line, where `--quiet` and `--log-json` can go anywhere.

{{ table(rollcall.params) }}
{% for panel, commands in panels.items() %}

## {{ panel }}
{% for name, command in commands.items() %}

### {{ name }}

```
{{ usage(name, command) }}
```

{{ command.help }}
{% if command.params %}

{{ table(command.params) }}
{% endif %}

{{ command.epilog or exit_codes }}
{% endfor %}
{% endfor %}
"""

_ISSUES = """\
<!-- `make docs` writes this page from the code. -->

# Issues

Everything that Rollcall reports about a district's data. File and column names are those of
[CSV format 1.0](csv-1.0.md).
{% for heading, meaning, codes in groups %}

## {{ heading }}

{{ meaning }}
{% for code in codes %}
{% set here, there = in_files[code], in_clever[code] %}

### {{ here.title | text }}

`{{ code }}`

{{ here.meaning | text }}

**How to fix it:** {{ here.remedy | text }}
{% if there != here %}

> **In Clever{{ ": " ~ there.title | text ~ "." if there.title != here.title else ":" }}**
{% if there.meaning != here.meaning %}
> {{ there.meaning | text }}
{% endif %}
{% if there.remedy != here.remedy %}
> **How to fix it:** {{ there.remedy | text }}
{% endif %}
{% endif %}
{% endfor %}
{% endfor %}
"""

_GROUPS = (
    (Severity.FILE_ERROR, "File errors", "A file error stops the whole delivery."),
    (Severity.ERROR, "Errors", "A record with an error is not provisioned. What it had before stays."),
    (Severity.ALERT, "Alerts", "A record with an alert is provisioned, but less useful until somebody fixes it."),
    (Severity.HOLD, "Holds", "A school on hold does not change. [holds.md](holds.md) explains how each hold ends."),
)


def command_page() -> str:
    """The page of all commands, in the order and under the headings of ``rollcall --help``."""
    rollcall: Any = typer.main.get_command(app)
    panels: dict[str, dict[str, Any]] = {}
    for name, command in rollcall.commands.items():
        members = {"": command} if command.callback is not None else {}
        members |= command.commands if isinstance(command, TyperGroup) else {}
        named = {f"rollcall {name} {member}".strip(): each for member, each in members.items()}
        panels.setdefault(command.rich_help_panel, {}).update(named)
    return _page(_COMMANDS, rollcall=rollcall, panels=panels, usage=_usage, table=_table, exit_codes=EXIT_CODES)


def _usage(name: str, command: Any) -> str:
    arguments = [each for each in command.params if isinstance(each, TyperArgument)]
    options = [each for each in command.params if not isinstance(each, TyperArgument)]
    words = [name, *(["[OPTIONS]"] if options else []), *(_name(each) for each in options if each.required)]
    for each in arguments:
        words.append((_name(each) if each.required else f"[{_name(each)}]") + ("..." if each.nargs < 0 else ""))
    return " ".join(words)


def _table(parameters: list[Any]) -> str:
    rows = ["| argument or option | meaning |", "|---|---|"]
    # Arguments first, as the help lists them.
    for each in sorted(parameters, key=lambda each: not isinstance(each, TyperArgument)):
        names = [_name(each), *([] if isinstance(each, TyperArgument) else each.opts[1:])]
        default = f" (default: {each.default})" if each.default else ""
        shown = ", ".join(f"`{name}`" for name in names).replace("|", r"\|")
        rows.append(f"| {shown} | {each.help}{default} |")
    return "\n".join(rows)


def _name(parameter: Any) -> str:
    option = [] if isinstance(parameter, TyperArgument) else parameter.opts[:1]
    return " ".join([*option, *filter(None, [parameter.metavar])])


def issue_page() -> str:
    """The page of every entry of the catalogue, in the words for files and, where they differ, for Clever."""
    groups = [
        (heading, meaning, [code for code, entry in CATALOGUE.items() if entry.severity is severity])
        for severity, heading, meaning in _GROUPS
    ]
    in_files, in_clever = catalogue(csv_1_0.FORMAT.name), catalogue(clever_3.FORMAT.name)
    return _page(_ISSUES, groups=groups, in_files=in_files, in_clever=in_clever)


def _page(template: str, **values: Any) -> str:
    environment = Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined, autoescape=False
    )
    environment.filters["text"] = lambda text: html.escape(text, quote=False)
    return environment.from_string(template).render(values)


PAGES: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {"cli.md": command_page, "data-model.md": data_model_page, "issues.md": issue_page, "scale.md": scale_page}
)


if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
