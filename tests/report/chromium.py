"""Where Chromium is, for tests and pictures that need a real browser; .ci/run installs it where it can."""

from __future__ import annotations

from pathlib import Path

BROWSER = "/usr/bin/chromium"
CHROMIUM = Path(BROWSER).exists()
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# What its console calls an error though a form only came back with what is wrong with it.
CAME_BACK = "Failed to load resource: the server responded with a status of 422 (Unprocessable Entity)"
