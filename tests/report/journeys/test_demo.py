"""`make demo-report`: the sample districts' report to look at, with a link to sign in for each role."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from tests.report.journeys.conftest import NewPage

pytestmark = pytest.mark.journeys

ROOT = Path(__file__).parents[3]
# Where each role lands: its path, and the page's heading.
LANDING = {
    "operator": ("/", "Your districts and schools"),
    "administrator of Unified School District": ("/districts/unified", "SIS sync report"),
    "administrator of Lincoln High School": ("/schools/unified/lincoln", "Lincoln High School"),
}


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo that serves, in a session of its own, so that whatever it leaves running is found."""
    with (tmp_path / "errors").open("w") as errors:
        running = subprocess.Popen(
            [sys.executable, "-m", "sandbox.demo", "--serve"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PREFECT_API_URL": "", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    too_slow = threading.Timer(240, running.kill)
    too_slow.start()
    yield running
    too_slow.cancel()
    if is_running(running.pid):
        os.killpg(running.pid, signal.SIGKILL)
    running.communicate()


def is_running(group: int) -> bool:
    """Whether a process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_each_link_signs_in_and_ctrl_c_ends_it(demo: subprocess.Popen[str], new_page: NewPage, tmp_path: Path) -> None:
    assert demo.stdout is not None
    said = ""
    for line in demo.stdout:
        said += line
        if said.count("/sign-in/link?token=") == len(LANDING):
            break
    served = re.search(r"The SIS sync report is at (\S+)\. Press Ctrl-C to stop\.", said)
    assert served is not None, said + (tmp_path / "errors").read_text()
    address = served[1]
    links = dict(re.findall(r"^  (\S.*)\n    (\S+/sign-in/link\S+)$", said, re.M))
    assert links.keys() == LANDING.keys()
    for role, (path, heading) in LANDING.items():
        page = new_page(address)
        page.goto(links[role])
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        assert urlsplit(page.url).path == path
        page.context.close()
    demo.send_signal(signal.SIGINT)
    assert (demo.wait(30), (tmp_path / "errors").read_text().splitlines()) == (
        0,
        [
            "starting a temporary Prefect server (set PREFECT_API_URL to use your own)",
            "written to .demo/removals.csv",
        ],
    )
    assert not is_running(demo.pid)
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
