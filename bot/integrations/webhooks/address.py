"""Prevents SSRF: resolves the host of an outbound call once, and checks every address it has."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import httpx

from core.model.errors import PermanentError, TransientError

IPAddress = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""All addresses of a host, as text."""

_NUMERIC: Final = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)(?:\.(?:0[xX][0-9a-fA-F]*|[0-9]+)){0,3}\.?")
"""What `inet_aton` reads as an IPv4 address: 127.0.0.1, but also 127.1, 0177.0.0.1, 0x7f000001 and 2130706433."""
_HOST: Final = re.compile(r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]{2,45}(?:%\w+)?")
_EMBEDDING: Final = tuple(
    map(IPv6Network, ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fec0::/10", "5f00::/16"))
)
"""IPv6 networks that embed IPv4 or site addresses: IPv4-compatible, NAT64 (RFC 6052, 8215), Teredo, 6to4."""

_NEVER: Final = frozenset(map(ip_address, ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")))
"""Cloud metadata addresses that are not link-local: Azure, Alibaba, Oracle, AWS over IPv6."""
_RELAY: Final = IPv4Network("192.88.99.0/24")
"""6to4 relays (RFC 7526)."""


@dataclass(frozen=True, slots=True)
class ResolvedTarget:
    """Where to connect: the checked address, and the host, port and path of the request."""

    address: IPAddress
    host: str
    port: int
    scheme: str
    path: str

    @property
    def url(self) -> str:
        """The request's URL, with the checked address in place of the host."""
        where = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{self.scheme}://{where}:{self.port}{self.path}"

    @property
    def host_header(self) -> str:
        """The ``Host`` header."""
        default_port = {"https": 443, "http": 80}[self.scheme]
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == default_port else f"{host}:{self.port}"


async def target_of(url: str, *, allow_private: bool, resolve: Resolve | None = None) -> ResolvedTarget:
    """Where a call to `url` goes.

    Raises `PermanentError` ``address_refused`` for an address that must not be called, and `TransientError` for a name
    that cannot be resolved now. One refused address among many is enough, because any of them could be used.
    """
    parsed = _parsed(url)
    host = parsed.raw_host.decode("ascii")
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    if _NUMERIC.fullmatch(host) and not _is_plain_ipv4(host):
        raise refused(host, "it is a number written in an unusual way")
    addresses = [_address(text) for text in await _addresses(host, port, resolve or _resolved)]
    for address in addresses:
        why = objection(address, allow_private=allow_private)
        if why is not None:
            raise refused(host, why)
        if parsed.scheme == "http" and not address.is_loopback:
            raise refused(host, "http without encryption is allowed only for this host itself")
    return ResolvedTarget(addresses[0], host, port, parsed.scheme, parsed.raw_path.decode("ascii"))


def objection(address: IPAddress, *, allow_private: bool) -> str | None:
    """Why an address must not be called, or None; link-local addresses, where clouds serve secrets, never may be."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return "it is an IPv4 address in IPv6 notation"
        embeds = any(address in network for network in _EMBEDDING) and not address.is_loopback
        if embeds or address.scope_id is not None:
            return "it embeds another address"
    if address.is_link_local or address in _NEVER:
        return "clouds serve their metadata there"
    if (
        address in _RELAY
        or address.is_multicast
        or address.is_unspecified
        or (address.is_reserved and not address.is_loopback)
    ):
        return "it does not belong to one host"
    if not address.is_global and not allow_private:
        return "it is not on the public internet"
    return None


def check_url(url: str, *, allow_private: bool) -> str | None:
    """Why a configured URL will be refused, as far as is known without resolving it, or None."""
    try:
        parsed = _parsed(url)
    except PermanentError as error:
        return error.problem.message
    if parsed.scheme == "http" and not allow_private:
        return "is not encrypted; use https"
    return None


def refused(host: str, why: str) -> PermanentError:
    """The error for an address that must not be called."""
    return PermanentError("address_refused", f"{host[:100]} is not called: {why}", "Name a public https address.")


def _parsed(url: str) -> httpx.URL:
    """Parse a URL; errors do not repeat it, because it may contain a secret."""
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError, TypeError, ValueError) as error:
        raise PermanentError("address_refused", "the address is not a valid URL", "Write https://HOST/PATH.") from error
    if parsed.scheme not in ("https", "http") or not host:
        raise PermanentError("address_refused", "the address is not https", "Write https://HOST/PATH.")
    if parsed.userinfo:
        raise PermanentError("address_refused", "the address contains a name or password", "Use the hook's secret.")
    if not _HOST.fullmatch(host) or not 0 < (parsed.port or 1) < 65536:
        raise PermanentError("address_refused", "the address does not name a host", "Write https://HOST/PATH.")
    return parsed


def _is_plain_ipv4(host: str) -> bool:
    try:
        return str(IPv4Address(host)) == host
    except ValueError:
        return False


def _address(text: str) -> IPAddress:
    try:
        return ip_address(text)
    except ValueError as error:
        raise refused(text, "it resolves to something that is not an address") from error


async def _addresses(host: str, port: int, resolve: Resolve) -> list[str]:
    try:
        return [str(ip_address(host))]  # already an address
    except ValueError:
        addresses = await resolve(host, port)
    if not addresses:
        raise TransientError("not_resolved", f"{host[:100]} has no address", "Check its name.")
    return addresses


async def _resolved(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise TransientError("not_resolved", f"{host[:100]} cannot be resolved", "Check its name.") from error
    return [str(info[4][0]) for info in infos]
