"""Where email goes: an SMTP server, or a folder."""

from __future__ import annotations

import os
import smtplib
import ssl
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import parseaddr
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from pydantic import SecretStr

from contracts.addresses import mail_address
from errors import MailRefused, MailUnreachable
from models.tables import Mail

T = TypeVar("T")
Security = Literal["starttls", "tls", "none"]

TIMEOUT = 30.0  # seconds the server may take for an answer

BAD_ADDRESS = 553  # SMTP's own code for an address that cannot be one

_policy = SMTP_POLICY.clone(cte_type="7bit")


class Transport(Protocol):
    """Where mails go. Used by one sending, then closed. where: for people."""

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> Mapping[str, int]:
        """Hand the mail over for these recipients; gives those it was refused for, with SMTP's code.

        Once it returns, the mail is accepted for all others.

        Raises:
            MailUnreachable: no answer, or no more; it is accepted for nobody.
            MailRefused: nothing is accepted from us, whatever the mail.
        """

    def close(self) -> None:
        """End the connection; a failure here undoes nothing."""


@dataclass
class Server:
    """An SMTP server. security: starttls, tls, none. It is connected to at the first mail, and again after a break."""

    host: str
    port: int
    sender: str
    user: str = ""
    password: SecretStr = field(default_factory=lambda: SecretStr(""))
    security: Security = "starttls"
    timeout: float = TIMEOUT
    _connection: smtplib.SMTP | None = field(default=None, init=False, repr=False)

    @property
    def where(self) -> str:
        """The server's address."""
        return f"the mail server {self.host}:{self.port}"

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> Mapping[str, int]:
        """Hand the mail over for these recipients; see `Transport`."""
        return self._ours(lambda: self._handed_over(message, recipients))

    def reach(self) -> None:
        """See whether a mail could be handed over: connect, encrypt and log in. Raises as `send`."""
        self._ours(self._connect)

    def _ours(self, act: Callable[[], T]) -> T:
        """Do something with the server; what smtplib raises becomes ours."""
        try:
            return act()
        except (smtplib.SMTPException, OSError) as error:
            failure = self._failure(error)
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        # Raised outside the handler: inside it what smtplib raised, which quotes addresses, would stay attached to it.
        raise failure

    def _handed_over(self, message: EmailMessage, recipients: Sequence[str]) -> Mapping[str, int]:
        connection = self._connect()
        try:
            sent = connection.send_message(message, parseaddr(self.sender)[1], list(recipients))
        except smtplib.SMTPRecipientsRefused as error:
            # After 421 it went, and those it had not refused were accepted by nobody either.
            _still_there(connection)
            sent = error.recipients
        except smtplib.SMTPDataError as error:
            _still_there(connection)
            sent = dict.fromkeys(recipients, (error.smtp_code, b""))
        return {recipient: code for recipient, (code, _) in sent.items()}

    def close(self) -> None:
        """End the connection; see `Transport`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(smtplib.SMTPException, OSError):
                connection.quit()
            connection.close()

    def _connect(self) -> smtplib.SMTP:
        if self._connection is None:
            self._connection = self._connected()
            self._connection.ehlo_or_helo_if_needed()
        return self._connection

    def _connected(self) -> smtplib.SMTP:
        # The system's authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR.
        context = ssl.create_default_context()
        connection = (
            smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout, context=context)
            if self.security == "tls"
            else smtplib.SMTP(self.host, self.port, timeout=self.timeout)
        )
        try:
            if self.security == "starttls":
                connection.starttls(context=context)
            if self.user:
                connection.login(self.user, self.password.get_secret_value())
        except BaseException:
            connection.close()
            raise
        return connection

    def _failure(self, error: smtplib.SMTPException | OSError) -> MailRefused | MailUnreachable:
        """What went wrong, as ours: it names settings, kinds and codes, and quotes nothing that the server said."""
        where = self.where
        match error:
            case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ssl.SSLSyscallError():
                return MailUnreachable(f"{where} broke off ({type(error).__name__})")
            case ssl.SSLCertVerificationError():
                return MailRefused(
                    f"{where} shows a certificate that is not trusted ({error.verify_message.rstrip('.')}), and nothing"
                    " was sent: ROLLCALL_SMTP_HOST must be a name that the certificate is for, and SSL_CERT_FILE must"
                    " name the authority that issued it, if that is a private one"
                )
            case ssl.SSLError():
                return MailRefused(
                    f"{where} and Rollcall could not agree on a safe connection"
                    f" ({error.reason or type(error).__name__}), and nothing was sent: ROLLCALL_SMTP_SECURITY and"
                    " ROLLCALL_SMTP_PORT must fit together"
                )
            case smtplib.SMTPAuthenticationError():
                return _refusal(
                    f"{where} refuses the login: see ROLLCALL_SMTP_USER and ROLLCALL_SMTP_PASSWORD", error.smtp_code
                )
            case smtplib.SMTPSenderRefused(smtp_code=530):
                return MailRefused(
                    f"{where} requires a login or encryption first (530): see ROLLCALL_SMTP_USER and"
                    " ROLLCALL_SMTP_SECURITY"
                )
            case smtplib.SMTPSenderRefused():
                return _refusal(f"{where} refuses the sender (ROLLCALL_MAIL_FROM)", error.smtp_code)
            case smtplib.SMTPResponseException():
                return _refusal(f"{where} refuses us", error.smtp_code)
            case smtplib.SMTPNotSupportedError():
                # Of STARTTLS and logins only, in words of smtplib's own.
                return MailRefused(
                    f"{where} does not offer what Rollcall needs ({str(error).rstrip('.')}), and nothing was sent: see"
                    " ROLLCALL_SMTP_SECURITY and ROLLCALL_SMTP_USER"
                )
            case _:
                return MailUnreachable(f"{where} does not answer, or broke off ({type(error).__name__})")


def _still_there(connection: smtplib.SMTP) -> None:
    if connection.sock is None:
        raise smtplib.SMTPServerDisconnected


def _refusal(reply: str, code: int) -> MailRefused | MailUnreachable:
    # Rule (RFC 5321, 4.2.1): a reply 4yz may be another one later.
    return (MailUnreachable if code < 500 else MailRefused)(f"{reply} ({code})")


@dataclass(frozen=True)
class Folder:
    """A folder of .eml files, for an installation without a mail server. Private, as it holds addresses."""

    folder: Path

    @property
    def where(self) -> str:
        """The folder's path."""
        return f"the mail folder {self.folder}"

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> Mapping[str, int]:
        """Write the mail as a file, whole or not at all; one written before is the same file. See `Transport`."""
        file = self.folder / f"{message['Message-ID'].strip('<>').partition('@')[0]}.eml"
        partial = file.with_name(f".{file.name}.partial")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(message.as_bytes())
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(file)
        except OSError as error:
            raise MailUnreachable(f"{self.where} cannot be written ({error.strerror})") from None
        return {}

    def reach(self) -> None:
        """See whether a mail could be written, into the folder or where it will be made. Raises as `send`."""
        there = next(folder for folder in (self.folder, *self.folder.parents) if folder.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            raise MailUnreachable(f"{self.where} cannot be written ({error.strerror})") from None

    def close(self) -> None:
        """There is nothing to end."""


def addresses(recipients: Sequence[str]) -> dict[str, str]:
    """Those recipients that mail can go to, each with the address for it: what was set up long ago may be none."""
    found = {}
    for recipient in recipients:
        with suppress(ValueError):
            found[recipient] = mail_address(recipient)
    return found


def to_message(mail: Mail, sender: str) -> EmailMessage:
    """The mail as it goes out: plain text and HTML, to all its recipients with an address, under its own Message-ID."""
    name, address = parseaddr(sender)
    message = EmailMessage(policy=_policy)
    message["Subject"] = mail.subject
    message["From"] = Address(name or "Rollcall", addr_spec=address)
    message["To"] = [Address(addr_spec=address) for address in addresses(mail.recipients).values()]
    message["Date"] = mail.created_at
    message["Message-ID"] = f"<{mail.message_id}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return message
