"""Fetching what somebody else's address names, without being made to reach into the network the server stands in.

https://owasp.org/www-community/attacks/Server_Side_Request_Forgery: https alone, no redirect, a bound on size and time,
and no address that is not public. The name is resolved once and the connection goes to the very address that was
checked, so a name that answers differently the second time (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

MAX_BYTES = 64 * 1024
SECONDS = 5.0


class NotFetched(Exception):
    """Nothing was fetched; the message says why, without what lies behind the address."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public Internet, and so is any that it wraps."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None or ip in _TRANSLATED:
            return False
        wrapped = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if any(each is not None for each in wrapped):
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Network:
    """How names are resolved, which addresses may be reached, and which certificates are trusted."""

    resolve: Callable[[str, int], list[str]] = resolve
    may_reach: Callable[[str], bool] = is_public
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context)


def check_url(url: str) -> SplitResult:
    """The parts of an https address without user or fragment. Raises NotFetched."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme == "https" and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if (
        not sound
        or parts.username is not None
        or parts.fragment
        or not url.isascii()
        or not url.isprintable()
        or " " in url
    ):
        raise NotFetched("Only an https address is fetched, without user name, blanks or fragment.")
    return parts


def fetch(url: str, network: Network, *, accept: str = "application/json") -> bytes:
    """The body of a 200 answer of at most 64 KiB that is complete within 5 seconds. Raises NotFetched."""
    parts = check_url(url)
    host, port = parts.hostname or "", parts.port or 443
    try:
        addresses = network.resolve(host, port)
        if not addresses or not all(map(network.may_reach, addresses)):
            raise NotFetched(f"{host} is not an address of the public Internet.")
        connection = _Pinned(host, port, addresses[0], network.tls)
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"Accept": accept, "Accept-Encoding": "identity"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise NotFetched(f"{host} answered with status {answer.status}; only 200 counts, and no redirect.")
            body = answer.read(MAX_BYTES + 1)
            if len(body) > MAX_BYTES:
                raise NotFetched(f"{host} answered with more than {MAX_BYTES} bytes.")
            return body
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotFetched(f"{host} did not answer: {type(error).__name__}.") from error


class _Hurried(ssl.SSLSocket):
    """A connection that may be read from until a moment: a timeout alone starts anew with every byte that trickles in."""

    ends: float

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.settimeout(left)
        return super().recv_into(*args, **kwargs)


class _Pinned(http.client.HTTPSConnection):
    """A connection to an address that was looked at, under the name whose certificate it must show."""

    def __init__(self, host: str, port: int, address: str, tls: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=SECONDS, context=tls)
        self._address, self._tls = address, tls
        self._ends = time.monotonic() + SECONDS

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), SECONDS)
        try:
            self._tls.sslsocket_class = _Hurried
            secured = self._tls.wrap_socket(plain, server_hostname=self.host)
            assert isinstance(secured, _Hurried)
            secured.ends = self._ends
            self.sock = secured
        except BaseException:
            plain.close()
            raise
