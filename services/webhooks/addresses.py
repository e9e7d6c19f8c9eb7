"""Which addresses a webhook may post to: none inside our own network, whatever a name resolves to."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from errors import NotPossible

LONGEST = 2_000
# Rule: of IPv6 only global unicast; ranges that carry an IPv4 address in them could lead anywhere.
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_CARRIES_IPV4 = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))


def checked_url(url: str, *, allow_private: bool) -> str:
    """Return a webhook's address as it is kept.

    Raises:
        NotPossible: it is none, not HTTPS, or holds a user or password. allow_private: HTTP is fine too.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise NotPossible("that is not a web address") from None
    if parts.scheme not in (("https", "http") if allow_private else ("https",)) or not parts.hostname:
        raise NotPossible("the address must begin with https://")
    if len(url) > LONGEST or not url.isprintable() or " " in url or not url.isascii() or port == 0:
        raise NotPossible("that is not a web address")
    if parts.username or parts.password or parts.fragment:
        raise NotPossible("the address must not hold a user, a password or a #")
    return url


def resolved(host: str, port: int, *, allow_private: bool) -> str | None:
    """The network address to post to; None where the name has none, or any that is inside our own network.

    The address given is the one to connect to: asked again, the name could resolve to another.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None
    addresses = [str(each[4][0]) for each in found]
    if not addresses or not (allow_private or all(is_public(address) for address in addresses)):
        return None
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether a network address is one of the internet's."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        return (
            found.is_global
            and found in _GLOBAL_IPV6
            and not any(found in network for network in _CARRIES_IPV4)
            and not found.is_multicast
        )
    return found.is_global and not found.is_multicast
