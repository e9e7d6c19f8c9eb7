"""In a browser: signing in by the link of an email, or by its code in another browser, and signing out."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.report.journeys.conftest import NewPage
from tests.report.site import IT, Site, code_in, link_in

pytestmark = pytest.mark.journeys

WANTED = "/districts/unified?status=setup_sync"


def ask(page: Page) -> None:
    """Open a page, and ask for a link where it leads to."""
    page.goto(WANTED)
    page.get_by_label("Email address").fill(IT)
    page.get_by_role("button", name="Email me a link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Check your email")


def assert_signed_in(page: Page, address: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("SIS sync report")
    assert page.url == address + WANTED
    expect(page.get_by_role("link", name=IT)).to_be_visible()


def test_by_the_link_in_the_browser_that_asked(site: Site, new_page: NewPage) -> None:
    page = new_page(site.address)
    ask(page)
    (mail,) = site.mails()
    page.goto(link_in(mail))
    page.get_by_role("button", name="Sign in").click()
    assert_signed_in(page, site.address)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("You're signed out.")
    page.goto(WANTED)
    expect(page.get_by_role("button", name="Email me a link")).to_be_visible()
    page.goto(link_in(mail))
    expect(page.get_by_role("heading", level=1)).to_have_text("This link doesn't work anymore")


def test_by_the_code_in_another_browser(site: Site, new_page: NewPage) -> None:
    ask(new_page(site.address))
    (mail,) = site.mails()
    other = new_page(site.address)
    other.goto(link_in(mail))
    wrong = f"{(int(code_in(mail)) + 1) % 1_000_000:06}"
    other.get_by_label("Code from the email").fill(wrong)
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_text("That isn't the code in the email.")).to_be_visible()
    other.get_by_label("Code from the email").fill(code_in(mail))
    other.get_by_role("button", name="Sign in").click()
    assert_signed_in(other, site.address)
