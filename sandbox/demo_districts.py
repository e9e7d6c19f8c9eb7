"""The sample districts that send files, set up in an installation beside whatever it has, with their first files."""

from __future__ import annotations

import shutil

from models.database import open_database
from sandbox.samples import FOLDER
from services import clock
from services.operations.setup import apply_setup, read_setup
from settings import Settings

SENDERS = ("unified", "riverbend", "hillcrest")


def load(settings: Settings) -> tuple[str, ...]:
    """Set the districts up, and put each one's first files into its drop folder; gives their IDs.

    What is there already stays as it is.
    """
    home = settings.home / "demo"
    for district in SENDERS:
        if not (folder := home / "drop" / district).exists():
            shutil.copytree(FOLDER / district / "night1", folder)
    # Nobody is still sending these files.
    text = (FOLDER / "setup.toml").read_text().replace("quiet_seconds = 300", "quiet_seconds = 0")
    (home / "setup.toml").write_text(text)
    setup = read_setup(home / "setup.toml")
    wanted = setup.model_copy(update={"district": [each for each in setup.district if each.id in SENDERS]})
    with (
        open_database(settings.database_url, backups=settings.backups) as database,
        database.transaction() as session,
    ):
        apply_setup(session, wanted, add=True, now=clock.now())
    return SENDERS
