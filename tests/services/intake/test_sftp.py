"""A drop folder on an SFTP server: whom it is trusted, what is seen there, and what goes wrong on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from pydantic import SecretStr

from errors import SourceRefused, SourceUnreachable
from services.intake.drop_folder import Stamp
from services.intake.sftp import Access, Address, SftpFolder
from tests.everything_up import free_port
from tests.sftp_server import PASSWORD, USER, Server, access, fingerprint, new_key, serving

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NOW_NS = int(NOW.timestamp() * 1e9)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "server") as server:
        yield server


def folder_of(
    server: Server, given: Access | None = None, *, host_keys: tuple[str, ...] | None = None, **options: Any
) -> SftpFolder:
    address = options.pop("address", None) or Address.of(server.url)
    options = {"earlier": {}, "now": NOW, **options}
    keys = server.pins if host_keys is None else host_keys
    return SftpFolder(address, given or access(), source_id="unified/files", host_keys=keys, **options)


def refusal(folder: SftpFolder) -> str:
    with pytest.raises(SourceRefused) as raised, folder:
        pass
    return str(raised.value)


# --- addresses ---


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("sftp://u@Files.Example:22/a//b/", Address("u", "files.example", 22, "/a/b"), "sftp://u@files.example/a/b"),
        ("sftp://u@h", Address("u", "h", 22, "/"), "sftp://u@h/"),
        ("sftp://a%40b@h:2222/x%20y", Address("a@b", "h", 2222, "/x y"), "sftp://a%40b@h:2222/x%20y"),
        ("sftp://u@[::1]:2222/x", Address("u", "::1", 2222, "/x"), "sftp://u@[::1]:2222/x"),
    ],
)
def test_an_address_reads_the_same_however_it_is_written(url: str, address: Address, shown: str) -> None:
    assert (Address.of(url), str(address)) == (address, shown)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("sftp://u:secret@h/x", "must not hold a password: see ROLLCALL_SFTP_PASSWORDS"),
        *(
            (url, "must be an address such as sftp://USER@HOST:22/PATH")
            for url in (
                "sftp://h/x",
                "ftp://u@h/x",
                "sftp://u@/x",
                "sftp://u@h:0x/x",
                "sftp://u@h/x?y",
                "sftp://u@h h/",
            )
        ),
    ],
)
def test_what_is_no_address(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        Address.of(url)
    assert "secret" not in str(raised.value)


# --- trust ---


def test_a_key_that_the_setup_names_is_trusted_also_as_the_second_of_two(server: Server) -> None:
    other = fingerprint(new_key())
    for pins in (server.pins, (other, *server.pins)):
        with folder_of(server, host_keys=pins) as folder:
            assert folder.entries() == {}


def test_an_unknown_key_is_refused_with_its_fingerprint(server: Server) -> None:
    assert refusal(folder_of(server, host_keys=())) == (
        f"the host key of 127.0.0.1:{server.port} is not known: it is {server.pins[0]}. Once the district confirms that"
        " it is theirs, name it in the setup file's host_keys or in known_hosts"
    )


def test_a_changed_key_is_refused_with_both_fingerprints(server: Server) -> None:
    old = fingerprint(new_key())
    assert refusal(folder_of(server, host_keys=(old,))) == (
        f"the host key of 127.0.0.1:{server.port} has changed: it is {server.pins[0]}, and was to be {old}. It may be"
        " somebody else's server. Only if the district confirms the new key, name it in the setup file's host_keys"
        " or in known_hosts"
    )


def known_hosts(path: Path, server: Server, *keys: Any, marker: str = "") -> Access:
    lines = [f"{marker}[127.0.0.1]:{server.port} {key.export_public_key().decode()}" for key in keys]
    path.write_text("\n".join(lines))
    return access(known_hosts=path)


def test_a_key_in_known_hosts_is_trusted_and_another_one_has_changed(server: Server, tmp_path: Path) -> None:
    known = known_hosts(tmp_path / "known", server, server.host_keys[0])
    with folder_of(server, known, host_keys=()) as folder:
        assert folder.entries() == {}
    old = new_key()
    changed = refusal(folder_of(server, known_hosts(tmp_path / "old", server, old), host_keys=()))
    assert f"has changed: it is {server.pins[0]}, and was to be {fingerprint(old)}" in changed
    other_kind = new_key("ecdsa-sha2-nistp256")
    changed = refusal(folder_of(server, known_hosts(tmp_path / "kind", server, other_kind), host_keys=()))
    assert f"has changed: it is {server.pins[0]}, and was to be {fingerprint(other_kind)}" in changed


def test_keys_of_the_setup_go_before_known_hosts(server: Server, tmp_path: Path) -> None:
    known = known_hosts(tmp_path / "known", server, server.host_keys[0])
    assert "has changed" in refusal(folder_of(server, known, host_keys=(fingerprint(new_key()),)))


def test_a_revoked_key_is_refused_and_so_is_a_file_that_makes_no_sense(server: Server, tmp_path: Path) -> None:
    key = server.host_keys[0]
    known = known_hosts(tmp_path / "known", server, key)
    with (tmp_path / "known").open("a") as file:
        file.write(f"\n@revoked [127.0.0.1]:{server.port} {key.export_public_key().decode()}")
    assert "is not known" in refusal(folder_of(server, known, host_keys=()))
    (tmp_path / "known").write_text("nonsense")
    assert "ROLLCALL_SFTP_KNOWN_HOSTS" in refusal(folder_of(server, known, host_keys=()))
    (tmp_path / "known").unlink()
    assert "is not known" in refusal(folder_of(server, known, host_keys=()))


def test_a_server_with_keys_of_several_kinds_is_asked_for_the_known_one(tmp_path: Path) -> None:
    keys = [new_key("ssh-rsa"), new_key("ssh-ed25519"), new_key("ecdsa-sha2-nistp256")]
    with serving(tmp_path, host_keys=keys) as server:
        for key in keys:
            with folder_of(server, known_hosts(tmp_path / "known", server, key), host_keys=()) as folder:
                assert folder.entries() == {}


@pytest.mark.parametrize(
    "weak",
    [
        {"kex_algs": ["diffie-hellman-group14-sha1"]},
        {"encryption_algs": ["aes256-cbc"]},
        {"mac_algs": ["hmac-sha1"], "encryption_algs": ["aes256-ctr"]},
        {"sha1": True},
    ],
    ids=["key exchange", "encryption", "MAC", "host key"],
)
def test_a_server_that_offers_only_weak_algorithms_is_refused(tmp_path: Path, weak: dict[str, Any]) -> None:
    weak = dict(weak)
    if weak.pop("sha1", False):
        (pair,) = asyncssh.load_keypairs([new_key("ssh-rsa")])
        pair.host_key_algorithms = [b"ssh-rsa"]
        weak["host_keys"] = [pair]
    with serving(tmp_path, **weak) as server:
        for _ in range(20):
            with suppress(SourceUnreachable):  # the server may hang up before its offer is read
                assert refusal(folder_of(server, host_keys=())) == (
                    f"127.0.0.1:{server.port} offers only weak algorithms: it has to be brought up to date before its"
                    " files can be fetched safely"
                )
                return
    raise AssertionError("never said why")


# --- signing in ---


def test_a_wrong_password_or_user_is_refused(server: Server) -> None:
    said = f"127.0.0.1:{server.port} refuses our sign-in: check the user, and the password or key, with the district"
    assert refusal(folder_of(server, access(password="wrong"))) == said
    other = Address("somebody", "127.0.0.1", server.port, "/")
    assert refusal(folder_of(server, address=other)) == said


def test_without_a_password_or_key_nobody_is_asked(server: Server) -> None:
    assert refusal(folder_of(server, access("other/files"))) == (
        f"there is no password or key for {server.url}: set ROLLCALL_SFTP_PASSWORDS or ROLLCALL_SFTP_KEY, or make a"
        " Secret block"
    )
    assert server.connections == 0


def test_a_key_signs_in_from_a_file_with_a_passphrase_or_from_a_block(tmp_path: Path) -> None:
    key = new_key()
    file = tmp_path / "key"
    file.write_bytes(key.export_private_key(passphrase="pass"))
    text = key.export_private_key().decode()
    with serving(tmp_path / "server", client_key=key) as server:
        for given in (
            Access(key=file, passphrase=SecretStr("pass")),
            Access(secret={"rollcall-sftp-key": text}.get),  # type: ignore[arg-type]
        ):
            with folder_of(server, given) as folder:
                assert folder.entries() == {}
        assert "ROLLCALL_SFTP_KEY_PASSPHRASE" in refusal(folder_of(server, Access(key=file)))


def test_a_password_may_be_in_a_block_of_the_sources_own(server: Server) -> None:
    asked: list[str] = []

    def secret(block: str) -> str:
        asked.append(block)
        return PASSWORD if "password" in block else ""

    with folder_of(server, Access(secret=secret)) as folder:
        assert folder.entries() == {}
    assert asked == ["rollcall-sftp-password-unified-files", "rollcall-sftp-key"]


def test_no_secret_is_in_a_representation() -> None:
    assert PASSWORD not in repr(access())


def test_a_server_that_does_not_answer_is_unreachable(server: Server) -> None:
    address = Address(USER, "127.0.0.1", free_port(), "/out")
    with pytest.raises(SourceUnreachable) as raised, folder_of(server, address=address):
        pass
    assert str(raised.value) == (
        f"the server cannot be read: 127.0.0.1:{address.port} does not answer, or the connection broke (Connection"
        " refused). Check that the server is up, that its address is right, and that it lets this machine in"
    )


# --- what lies there ---


def test_what_lies_in_the_folder(server: Server) -> None:
    (server.drop / "students.csv").write_bytes(b"four")
    (server.drop / "teachers.csv").symlink_to("students.csv")
    (server.drop / "schools.csv").mkdir()
    os.utime(server.drop / "students.csv", ns=(0, 1_700_000_000_900_000_000))
    with folder_of(server) as folder:
        assert folder.entries() == {
            "students.csv": Stamp(4, 1_700_000_000_000_000_000, NOW_NS),
            "teachers.csv": None,
            "schools.csv": None,
        }
        with folder.open("students.csv") as content:
            assert (content.read(3), content.read(), content.read(3)) == (b"fou", b"r", b"")
    assert server.connections == 1


@pytest.mark.parametrize("ahead", [-90_000_000, 90_000_000])
def test_a_file_changed_when_it_was_first_seen_so_whatever_the_servers_clock_says(server: Server, ahead: int) -> None:
    server.ahead = ahead
    (server.drop / "students.csv").write_bytes(b"four")
    with folder_of(server) as folder:
        first = folder.entries()
    assert first["students.csv"] is not None
    assert first["students.csv"].changed_at == NOW
    later = NOW + timedelta(hours=1)
    with folder_of(server, earlier=first, now=later) as folder:
        assert folder.entries() == first
        (server.drop / "students.csv").write_bytes(b"fours")
        again = folder.entries()["students.csv"]
    assert again is not None
    assert (again.size, again.changed_at) == (5, later)


def test_a_folder_that_is_not_there_is_named(server: Server) -> None:
    server.drop.rmdir()
    with folder_of(server) as folder, pytest.raises(SourceUnreachable) as raised:
        folder.entries()
    assert str(raised.value) == (
        f"{server.url} cannot be read (not found): check that it is there, and that the user may read it"
    )


def test_a_file_that_went_meanwhile_is_named(server: Server) -> None:
    with (
        folder_of(server) as folder,
        pytest.raises(SourceUnreachable, match=r"students\.csv in sftp://.* \(not found\)"),
    ):
        folder.open("students.csv")


def test_a_connection_that_breaks_at_half_a_file_is_unreachable(server: Server) -> None:
    (server.drop / "students.csv").write_bytes(os.urandom(3 << 20))
    server.breaks_after = 1 << 20
    broken = pytest.raises(SourceUnreachable, match=r"students\.csv in .*the connection broke")
    with folder_of(server) as folder, broken, folder.open("students.csv") as content:
        assert len(content.read(1 << 20)) == 1 << 20
        content.read()


def test_twenty_thousand_old_files_are_one_listing(server: Server) -> None:
    for number in range(20_000):
        (server.drop / f"old_{number}.csv").touch()
    with folder_of(server) as folder:
        assert len(folder.entries()) == 20_000
    assert server.listings == 1
