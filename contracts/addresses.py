"""Addresses that Rollcall's own mail goes to or comes from. Those in rosters are read by `contracts.values`."""

from __future__ import annotations

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from contracts.text import clean, without_invisible_text

# Mail servers inside a district's own network have such names.
SPECIAL_USE_DOMAIN_NAMES.remove("local")


def mail_address(value: str) -> str:
    """The address as a mail's header and envelope can hold it: ASCII, an international domain in its ASCII form.

    Rule: one beyond ASCII before the @ is none, as it reaches only servers that take SMTPUTF8. Whether its domain has a
    mail server is not asked.

    Raises:
        ValueError: it is none; says why, in words that follow the name of where it stands.
    """
    try:
        checked = validate_email(clean(without_invisible_text(value)), check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        reason = str(error).rstrip(".")
    else:
        assert checked.ascii_email is not None
        return checked.ascii_email
    raise ValueError(f"is not an email address: {reason[0].lower()}{reason[1:]}")
