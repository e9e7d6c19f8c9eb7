"""`rollcall deploy`: what workers run for Rollcall, on the installation's own Prefect server."""

from __future__ import annotations

from rich.markup import escape

from cli.app import app
from cli.console import out
from cli.running import DEPLOYED, NOBODY_NOTIFIED, POOL, server_api, start_prefect, until_healthy
from errors import SetupError
from settings import get_settings


@app.command(name="deploy", rich_help_panel="Run")
def deploy_command() -> None:
    """Create or update the work pool, queues, deployments and automations on the Prefect server.

    That is the one that PREFECT_API_URL names, or that of a running `rollcall up`, which does this by itself when it
    starts. What is paused stays paused.
    """
    settings = get_settings()
    api = server_api(settings)
    if not api:
        raise SetupError(
            "start `rollcall up`, or set PREFECT_API_URL to your Prefect server, such as http://127.0.0.1:4200/api"
        )
    start_prefect(settings)
    until_healthy(api)
    # Only now: Prefect reads the environment when it is imported.
    from tasks.deployments import deploy

    notifies = deploy(DEPLOYED, POOL)
    out.print(f"The deployments are on {escape(api.removesuffix('/api'))}.")
    if not notifies:
        out.print(NOBODY_NOTIFIED)
