"""Where Chromium is, for tests and pictures that need a real browser; .ci/run installs it where it can."""

from __future__ import annotations

from pathlib import Path

BROWSER = "/usr/bin/chromium"
CHROMIUM = Path(BROWSER).exists()
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
