"""An SFTP server on this machine, which lets one user into one folder, and misbehaves as a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
from anyio.from_thread import start_blocking_portal
from pydantic import SecretStr

from services.intake.sftp import Access

USER, PASSWORD = "unified", "not-a-secret"


def new_key(kind: str = "ssh-ed25519") -> asyncssh.SSHKey:
    return asyncssh.generate_private_key(kind)


def fingerprint(key: asyncssh.SSHKey) -> str:
    return key.get_fingerprint("sha256")


@dataclass
class Server:
    """What runs. breaks_after: of a file, so many bytes are sent before all is cut. ahead: its clock, in seconds."""

    folder: Path
    host_keys: list[asyncssh.SSHKey]
    port: int = 0
    client_key: asyncssh.SSHKey | None = None
    breaks_after: int | None = None
    ahead: int = 0
    connections: int = 0
    listings: int = 0
    open_files: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"sftp://{USER}@127.0.0.1:{self.port}/out"

    @property
    def pins(self) -> tuple[str, ...]:
        return tuple(map(fingerprint, self.host_keys))

    @property
    def drop(self) -> Path:
        return self.folder / "out"


def access(source_id: str = "unified/files", password: str = PASSWORD, **others: Any) -> Access:
    return Access({source_id: SecretStr(password)}, **others)


class _Door(asyncssh.SSHServer):
    def __init__(self, server: Server) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._server.connections += 1

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return self._server.client_key is not None

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        ours = self._server.client_key
        return ours is not None and key == ours.convert_to_public()


class _Files(asyncssh.SFTPServer):
    def __init__(self, chan: asyncssh.SSHServerChannel[bytes], server: Server) -> None:
        super().__init__(chan, chroot=str(server.folder).encode())
        self._server, self._chan_of = server, chan

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        self._server.listings += 1
        async for entry in super().scandir(path):
            entry.attrs.mtime = int(entry.attrs.mtime or 0) + self._server.ahead
            yield entry

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        self._server.open_files.append(path.decode())
        return super().open(path, pflags, attrs)

    def read(self, file_obj: object, offset: int, size: int) -> Any:
        if self._server.breaks_after is not None and offset >= self._server.breaks_after:
            self._chan_of.get_connection().abort()
        return super().read(file_obj, offset, size)


@contextmanager
def serving(folder: Path, **options: Any) -> Iterator[Server]:
    """A server whose folder `out` is the drop folder. options: of `Server`, and of asyncssh, such as algorithms."""
    own = {key: options.pop(key) for key in ("client_key", "breaks_after", "ahead") if key in options}
    server = Server(folder, options.pop("host_keys", None) or [new_key()], **own)
    server.drop.mkdir(parents=True, exist_ok=True)

    async def listen(port: int = 0) -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            lambda: _Door(server),
            "127.0.0.1",
            port,
            server_host_keys=server.host_keys,
            sftp_factory=lambda chan: _Files(chan, server),
            allow_scp=False,
            **options,
        )

    async def stop(acceptor: asyncssh.SSHAcceptor) -> None:
        acceptor.close()
        await acceptor.wait_closed()

    with start_blocking_portal() as portal:
        acceptor = portal.call(listen)
        server.port = acceptor.get_port()
        try:
            yield server
        finally:
            portal.call(stop, acceptor)
