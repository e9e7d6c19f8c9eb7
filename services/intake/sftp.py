"""A drop folder on a district's own SFTP server.

Rule: a server is trusted by its host key alone, which the setup file or a known_hosts file has to name, and over
current algorithms only. No setting turns that off.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Self, TypeVar, cast
from urllib.parse import quote, unquote, urlsplit

import asyncssh
from anyio.from_thread import BlockingPortal, start_blocking_portal
from pydantic import SecretStr

from contracts.text import listed
from errors import SourceRefused, SourceUnreachable
from services.intake.drop_folder import Stamp

SCHEME: Final = "sftp://"

_CONNECT_SECONDS, _LOGIN_SECONDS, _LISTING_SECONDS, _READING_SECONDS = 15, 30, 300, 120
_CHUNK: Final = 1 << 20

# Those that OpenSSH offers today, best first. No SHA-1, no CBC, no DSA, no RSA signatures with SHA-1.
_HOST_KEYS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_ALGORITHMS: Final[Mapping[str, tuple[str, ...]]] = {
    "kex_algs": (
        "mlkem768x25519-sha256",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group-exchange-sha256",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
        "diffie-hellman-group14-sha256",
    ),
    "encryption_algs": (
        "chacha20-poly1305@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "aes256-ctr",
        "aes192-ctr",
        "aes128-ctr",
    ),
    "mac_algs": (
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
    ),
    "signature_algs": _HOST_KEYS,
}

# It notes who signs in where.
logging.getLogger("asyncssh").setLevel(logging.WARNING)

Result = TypeVar("Result")


@dataclass(frozen=True)
class Address:
    """A folder on an SFTP server, and the user who signs in there."""

    user: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Read sftp://USER@HOST:PORT/PATH.

        Raises:
            ValueError: it is no such address.
        """
        parts = urlsplit(url)
        if parts.password is not None:
            raise ValueError("must not hold a password: see ROLLCALL_SFTP_PASSWORDS")
        try:
            port = parts.port or 22
        except ValueError:
            port = 0
        is_plain = parts.scheme == "sftp" and not parts.query and not parts.fragment
        if not (is_plain and port and parts.username and re.fullmatch(r"[\w.:-]+", parts.hostname or "", re.ASCII)):
            raise ValueError("must be an address such as sftp://USER@HOST:22/PATH")
        assert parts.hostname is not None
        path = unquote(parts.path)
        return cls(unquote(parts.username), parts.hostname, port, re.sub(r"/+", "/", path).rstrip("/") or "/")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port != 22 else ""
        return f"{SCHEME}{quote(self.user)}@{host}{port}{quote(self.path)}"


@dataclass(frozen=True)
class Access:
    """What Rollcall signs in to SFTP servers with.

    passwords: by the source's ID. key: the file of a private key for all of them. known_hosts: a file of host keys, in
    OpenSSH's format. secret: looks up what is lacking, by the name of a Prefect Secret block; empty if there is none.
    """

    passwords: Mapping[str, SecretStr] = field(default_factory=dict)
    key: Path | None = None
    passphrase: SecretStr = field(default_factory=lambda: SecretStr(""))
    known_hosts: Path | None = None
    secret: Callable[[str], str] = lambda _: ""

    def password(self, source_id: str) -> str | None:
        """The source's password, if it has one."""
        given = self.passwords.get(source_id)
        block = f"rollcall-sftp-password-{source_id}".replace("/", "-").replace("_", "-")
        return (given.get_secret_value() if given is not None else self.secret(block)) or None

    def keys(self) -> list[asyncssh.SSHKey]:
        """The private key, if there is one.

        Raises:
            SourceRefused: it cannot be read.
        """
        try:
            text = self.key.read_text() if self.key is not None else self.secret("rollcall-sftp-key")
            return [asyncssh.import_private_key(text, self.passphrase.get_secret_value() or None)] if text else []
        except (OSError, ValueError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
            pass
        raise SourceRefused(
            "the private key for SFTP cannot be read: check ROLLCALL_SFTP_KEY and ROLLCALL_SFTP_KEY_PASSPHRASE, or the"
            " Secret block rollcall-sftp-key"
        )

    def known_keys(self, address: Address) -> list[asyncssh.SSHKey]:
        """The host keys that the known_hosts file has for a server, but for those that it revokes.

        Raises:
            SourceRefused: the file makes no sense.
        """
        try:
            content = self.known_hosts.read_text() if self.known_hosts is not None else ""
            if not content:
                return []
            found = asyncssh.import_known_hosts(content).match(address.host, "", address.port)
        except FileNotFoundError:
            return []
        except (OSError, ValueError):
            pass
        else:
            return [key for key in found[0] if key not in found[2]]
        raise SourceRefused(
            f"the known host keys in {self.known_hosts} cannot be read: check ROLLCALL_SFTP_KNOWN_HOSTS"
        )


@dataclass
class _Trust(asyncssh.SSHClient):
    """Asks for the host key only if none of the known keys is it."""

    pinned: tuple[str, ...]
    presented: str = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.presented = key.get_fingerprint("sha256")
        return self.presented in self.pinned


class SftpFolder:
    """A drop folder on an SFTP server, over one connection for as long as it is entered.

    Its time stamps have whole seconds and are by a clock that is not ours. So a file counts as changed when it was
    first seen with this size and time. earlier: as it was seen until now.
    """

    def __init__(
        self,
        address: Address,
        access: Access,
        *,
        source_id: str,
        host_keys: tuple[str, ...],
        earlier: Mapping[str, Stamp],
        now: datetime,
    ) -> None:
        self._address, self._access, self._source_id = address, access, source_id
        self._host_keys, self._earlier = host_keys, earlier
        self._now_ns = int(now.timestamp() * 1e9)
        self._opened = ExitStack()
        self._portal: BlockingPortal
        self._client: asyncssh.SFTPClient

    def __enter__(self) -> Self:
        """Connect and sign in.

        Raises:
            SourceUnreachable: the server does not answer.
            SourceRefused: it is not the server that it should be, its algorithms are weak, or it refuses us.
        """
        with ExitStack() as opened:
            self._portal = opened.enter_context(start_blocking_portal())
            connection = self._connect()
            opened.callback(self._portal.call, _closed, connection)
            with self._reached("the files of the server"):
                self._client = self._within(_LOGIN_SECONDS, self._start, connection)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def entries(self) -> dict[str, Stamp | None]:
        """Whatever lies there; see `DropFolder`."""
        with self._reached(str(self._address)):
            found = self._within(_LISTING_SECONDS, self._listing)
        return {
            # What is no plain name could lead out of a folder of ours.
            name: self._stamp(name, attributes)
            for name, attributes in found.items()
            if name not in (".", "..") and "/" not in name and "\0" not in name
        }

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; see `DropFolder`."""
        path = f"{self._address.path.rstrip('/')}/{name}"
        with self._reached(f"{name} in {self._address}"):
            opened = self._within(_READING_SECONDS, self._client.open, path, "rb")
        return cast(BinaryIO, _RemoteFile(self, name, opened))

    def read(self, name: str, opened: Any, size: int) -> bytes:
        """Read on in an open file.

        Raises:
            SourceUnreachable: the connection broke.
        """
        with self._reached(f"{name} in {self._address}"):
            return cast(bytes, self._within(_READING_SECONDS, opened.read, size))

    def close(self, opened: Any) -> None:
        """Close an open file, if there still is a connection."""
        with suppress(SourceUnreachable), self._reached("the file"):
            self._within(_READING_SECONDS, opened.close)

    def _connect(self) -> asyncssh.SSHClientConnection:
        password, keys = self._access.password(self._source_id), self._access.keys()
        if password is None and not keys:
            raise SourceRefused(
                f"there is no password or key for {self._address}: set ROLLCALL_SFTP_PASSWORDS or ROLLCALL_SFTP_KEY, or"
                " make a Secret block"
            )
        known = [] if self._host_keys else self._access.known_keys(self._address)
        trust = _Trust(self._host_keys)
        expected = self._host_keys or tuple(key.get_fingerprint("sha256") for key in known)
        # A server with keys of several kinds is asked for one that is known.
        kinds = {each for key in known for each in key.sig_algorithms}
        preferred = sorted(_HOST_KEYS, key=lambda kind: kind.encode() not in kinds)

        async def connect() -> asyncssh.SSHClientConnection:
            return await asyncssh.connect(
                self._address.host,
                self._address.port,
                username=self._address.user,
                password=password,
                client_keys=keys or None,
                client_factory=lambda: trust,
                known_hosts=(known, [], []),
                x509_trusted_certs=None,
                server_host_key_algs=preferred,
                **_ALGORITHMS,
                compression_algs=None,
                agent_path=None,
                gss_host=None,
                config=None,
                connect_timeout=_CONNECT_SECONDS,
                login_timeout=_LOGIN_SECONDS,
                keepalive_interval=15,
            )

        try:
            with self._reached("the server"):
                return self._within(_CONNECT_SECONDS + _LOGIN_SECONDS, connect)
        except asyncssh.HostKeyNotVerifiable:
            pass
        raise SourceRefused(_wrong_host_key(self._address, trust.presented, expected))

    async def _start(self, connection: asyncssh.SSHClientConnection) -> asyncssh.SFTPClient:
        return await connection.start_sftp_client(path_errors="backslashreplace")

    async def _listing(self) -> dict[str, asyncssh.SFTPAttrs]:
        return {str(entry.filename): entry.attrs async for entry in self._client.scandir(self._address.path)}

    def _stamp(self, name: str, attributes: asyncssh.SFTPAttrs) -> Stamp | None:
        if attributes.type not in (asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_UNKNOWN):
            return None
        size, mtime_ns = attributes.size or 0, int(attributes.mtime or 0) * 1_000_000_000
        seen = self._earlier.get(name)
        is_known = seen is not None and (seen.size, seen.mtime_ns) == (size, mtime_ns)
        return seen if is_known else Stamp(size, mtime_ns, self._now_ns)

    def _within(self, seconds: float, call: Callable[..., Awaitable[Result]], *given: Any) -> Result:
        async def limited() -> Result:
            async with asyncio.timeout(seconds):
                return await call(*given)

        return self._portal.call(limited)

    @contextmanager
    def _reached(self, what: str) -> Iterator[None]:
        """Make ours of what goes wrong, without anything that the server says in its own words."""
        server = f"{self._address.host}:{self._address.port}"
        try:
            yield
        except asyncssh.HostKeyNotVerifiable:
            raise
        except asyncssh.PermissionDenied:
            refused = f"{server} refuses our sign-in: check the user, and the password or key, with the district"
        except asyncssh.KeyExchangeFailed:
            refused = (
                f"{server} offers only weak algorithms: it has to be brought up to date before its files can be"
                " fetched safely"
            )
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPPermissionDenied) as error:
            reason = "permission denied" if isinstance(error, asyncssh.SFTPPermissionDenied) else "not found"
            raise SourceUnreachable(
                f"{what} cannot be read ({reason}): check that it is there, and that the user may read it"
            ) from None
        except (OSError, asyncssh.Error) as error:
            number = getattr(error, "errno", None) or 0
            # asyncio's own words name addresses.
            reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or type(error).__name__
            raise SourceUnreachable(
                f"{what} cannot be read: {server} does not answer, or the connection broke ({reason}). Check that the"
                " server is up, that its address is right, and that it lets this machine in"
            ) from None
        else:
            return
        raise SourceRefused(refused)


class _RemoteFile(io.RawIOBase):
    """A file on the server, read from its beginning to its end."""

    def __init__(self, folder: SftpFolder, name: str, opened: Any) -> None:
        self._folder, self._name, self._opened = folder, name, opened

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size >= 0:
            return self._folder.read(self._name, self._opened, size)
        return b"".join(iter(lambda: self._folder.read(self._name, self._opened, _CHUNK), b""))

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._folder.close(self._opened)


async def _closed(connection: asyncssh.SSHClientConnection) -> None:
    connection.close()
    try:
        async with asyncio.timeout(5):
            await connection.wait_closed()
    except (OSError, asyncssh.Error):
        connection.abort()


def _wrong_host_key(address: Address, presented: str, expected: tuple[str, ...]) -> str:
    server = f"{address.host}:{address.port}"
    if not presented:
        return f"{server} shows no host key that can be checked, or a revoked one: ask the district about it"
    if expected:
        return (
            f"the host key of {server} has changed: it is {presented}, and was to be {listed(expected, len(expected))}."
            " It may be somebody else's server. Only if the district confirms the new key, name it in the setup file's"
            " host_keys or in known_hosts"
        )
    return (
        f"the host key of {server} is not known: it is {presented}. Once the district confirms that it is theirs, name"
        " it in the setup file's host_keys or in known_hosts"
    )
