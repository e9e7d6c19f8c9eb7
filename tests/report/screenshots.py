"""The README's pictures, of the sample districts after their two nights: `make screenshots`. No test."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from models.database import open_database
from report.serving import served
from services import clock
from services.access import sessions
from settings import Settings
from tests.report.chromium import BROWSER, CHROMIUM, FLAGS
from tests.report.conftest import UNIFIED, play_samples

FOLDER = Path(__file__).parents[2] / "docs" / "images"
PICTURES = {"district.png": "/districts/unified", "school.png": "/schools/unified/lincoln"}
WIDTH, HEIGHT = 1280, 960


def main() -> None:
    """Play the nights, and write a picture of each page."""
    if not CHROMIUM:
        raise SystemExit(f"there is no Chromium here ({BROWSER}): on Debian, apt-get install chromium")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home))
        with open_database(settings.database_url, backups=None) as database:
            play_samples(database)
            with database.transaction() as session:
                token = sessions.begin(session, UNIFIED, "link", now=clock.now())
            with served(database, settings) as address, sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
                context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
                context.add_cookies([{"name": "rollcall", "value": token, "url": address}])
                page = context.new_page()
                for name, path in PICTURES.items():
                    page.goto(address + path)
                    page.screenshot(path=FOLDER / name)
                browser.close()


if __name__ == "__main__":
    main()
