"""The setup file that most tests work with: one district, one CSV source, three schools."""

from __future__ import annotations

SCHOOLS = (("lincoln", "0101"), ("roosevelt", "0102"), ("jefferson", "0103"))
SETUP = """
[[district]]
id = "unified"
name = "Unified School District"
timezone = "America/Los_Angeles"
administrators = ["it@unified.example"]

[[district.source]]
id = "files"
kind = "csv"
format = "csv-1.0"
folder = "drop"
""" + "".join(
    f"""
[[district.school]]
id = "{key}"
name = "{key.title()} School"
source = "files"
source_id = "{source_id}"
"""
    for key, source_id in SCHOOLS
)
