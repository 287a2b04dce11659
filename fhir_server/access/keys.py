"""The public keys of clients: read from a JSON Web Key Set that was registered, or fetched from its URL.

https://www.rfc-editor.org/rfc/rfc7517 and
https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwk
from joserfc.errors import JoseError

from . import outbound

CACHE_SECONDS = 300.0
RETRY_SECONDS = 30.0
CACHED = 256
MAX_KEYS = 20
RSA_BITS = 2048

ALGORITHMS: dict[str, tuple[str, str | None]] = {"RS384": ("RSA", None), "ES384": ("EC", "P-384")}
"""What a client may sign with, and the key type and curve each needs."""

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

PublicKey = jwk.RSAKey | jwk.ECKey


class KeysRefused(ValueError):
    """A key set cannot be used; the message says why."""


def public_keys(jwks: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The usable keys of a key set. Raises KeysRefused when there is none, or when a private one is among them."""
    found = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(found, list) or not 0 < len(found) <= MAX_KEYS or not all(isinstance(key, dict) for key in found):
        raise KeysRefused(f'A JWKS is {{"keys": [...]}} with 1 to {MAX_KEYS} keys.')
    if any(_PRIVATE & set(key) for key in found):
        raise KeysRefused("The JWKS holds a private or secret key: give the public ones only, and replace that one.")
    usable = [key for key in found if any(_fits(key, algorithm) for algorithm in ALGORITHMS)]
    if not usable:
        raise KeysRefused("The JWKS has no key with a kid that RS384 (RSA, 2048 bits) or ES384 (EC, P-384) can use.")
    return usable


def check_url(url: str) -> None:
    """Raises KeysRefused for an address that keys would never be fetched from."""
    try:
        outbound.check_url(url)
    except outbound.NotFetched as error:
        raise KeysRefused(str(error)) from error


def candidates(keys: list[dict[str, Any]], algorithm: str, key_id: str) -> list[PublicKey]:
    """The keys of a set that have the id and fit the algorithm."""
    return [_imported(key) for key in keys if key.get("kid") == key_id and _fits(key, algorithm)]


def _fits(key: dict[str, Any], algorithm: str) -> bool:
    kind, curve = ALGORITHMS[algorithm]
    if key.get("kty") != kind or (curve is not None and key.get("crv") != curve):
        return False
    if not isinstance(key.get("kid"), str) or not key["kid"]:
        return False
    if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
        return False
    try:
        if kind == "RSA" and _bits(key["n"]) < RSA_BITS:
            return False
        _imported(key)
    except (JoseError, ValueError, TypeError, KeyError):
        return False
    return True


def _bits(number: str) -> int:
    """How long a number of a key is."""
    return int.from_bytes(base64.urlsafe_b64decode(number + "=" * (-len(number) % 4)), "big").bit_length()


def _imported(key: dict[str, Any]) -> PublicKey:
    plain = {name: value for name, value in key.items() if name not in ("key_ops", "x5c", "x5u", "x5t", "x5t#S256")}
    return jwk.RSAKey.import_key(plain) if key["kty"] == "RSA" else jwk.ECKey.import_key(plain)


@dataclass(slots=True)
class _Kept:
    keys: list[dict[str, Any]]
    fetched: float
    tried: float


@dataclass(slots=True)
class FetchedKeys:
    """The key sets behind URLs, kept for five minutes in each process. Thread-safe.

    An unknown key id has the set fetched again, since a client announces a new key there; never more than once in 30
    seconds, so that wrong assertions cannot make this server call another one at their own pace.
    """

    network: outbound.Network = field(default_factory=outbound.Network)
    clock: Callable[[], float] = time.monotonic
    _kept: OrderedDict[str, _Kept] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def candidates(self, url: str, algorithm: str, key_id: str) -> list[PublicKey]:
        """The keys behind a URL that have the id and fit the algorithm; none when nothing can be fetched."""
        kept = self._get(url, CACHE_SECONDS)
        found = candidates(kept.keys, algorithm, key_id)
        return found or candidates(self._get(url, RETRY_SECONDS).keys, algorithm, key_id)

    def _get(self, url: str, age: float) -> _Kept:
        with self._lock:
            kept = self._kept.get(url)
        now = self.clock()
        if kept is not None and (now - kept.fetched < age or now - kept.tried < RETRY_SECONDS):
            return kept
        keys = self._fetch(url)
        if not keys and kept is not None and now - kept.fetched < CACHE_SECONDS:
            fresh = _Kept(kept.keys, kept.fetched, now)  # a failure in between must not lock the client out
        else:
            fresh = _Kept(keys, now if keys else -CACHE_SECONDS, now)
        with self._lock:
            self._kept[url] = fresh
            self._kept.move_to_end(url)
            while len(self._kept) > CACHED:
                self._kept.popitem(last=False)
        return fresh

    def _fetch(self, url: str) -> list[dict[str, Any]]:
        try:
            return public_keys(json.loads(outbound.fetch(url, self.network)))
        except (outbound.NotFetched, KeysRefused, ValueError, RecursionError):
            return []
