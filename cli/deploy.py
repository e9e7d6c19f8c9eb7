"""`rollcall deploy`: what workers run for Rollcall, on the installation's own Prefect server."""

from __future__ import annotations

import os

from rich.markup import escape

from cli.app import app
from cli.console import out
from cli.running import DEPLOYED, NOBODY_NOTIFIED, POOL, start_prefect, until_healthy
from errors import SetupError
from settings import get_settings


@app.command(name="deploy", rich_help_panel="Run")
def deploy_command() -> None:
    """Create or update the work pool, queues and deployments on the Prefect server that PREFECT_API_URL names.

    What is paused stays paused. `rollcall up` does this by itself.
    """
    api = os.environ.get("PREFECT_API_URL")
    if not api:
        raise SetupError("set PREFECT_API_URL to your Prefect server, such as http://127.0.0.1:4200/api")
    start_prefect(get_settings())
    until_healthy(api)
    # Only now: Prefect reads the environment when it is imported.
    from tasks.deployments import deploy

    notifies = deploy(DEPLOYED, POOL)
    out.print(f"The deployments are on {escape(api.removesuffix('/api'))}.")
    if not notifies:
        out.print(NOBODY_NOTIFIED)
