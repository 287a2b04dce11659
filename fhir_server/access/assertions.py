"""Client authentication by `private_key_jwt`: every rule an assertion must keep.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html#authenticating-to-the-token-endpoint and
https://www.rfc-editor.org/rfc/rfc7523#section-3
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from mongoengine import DateTimeField, Document, StringField
from mongoengine.errors import NotUniqueError

from .clients import Client, active_client
from .documents import documents, hash_of, now
from .keys import ALGORITHMS, FetchedKeys, PublicKey, candidates

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_LENGTH = 8_000
MAX_AHEAD = 300
"""Seconds that `exp` may lie ahead."""
LEEWAY = 5
"""Seconds that the clocks of client and server may differ."""

# Only these may stand in the header: whatever else (jwk, x5u, x5c, crit, b64...) would have the sender choose the key or the rules.
_HEADER = frozenset({"alg", "kid", "typ", "jku"})


class AssertionRefused(Exception):
    """The assertion proves nothing. The message is for the client's developer and says which rule it breaks."""


class UsedAssertion(Document):
    """An assertion that was accepted, so that it is not accepted again."""

    id = StringField(primary_key=True)
    expires = DateTimeField(required=True)

    meta = {"collection": "smart_assertions", "auto_create_index": False}


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks assertions made for one audience, the address of the token endpoint."""

    database: Any
    audience: str
    fetched: FetchedKeys

    def client_of(self, assertion: str) -> Client:
        """The client that made the assertion. Raises AssertionRefused."""
        header, claims = _parts(assertion)
        algorithm, key_id = _checked_header(header)
        client_id = _checked_parties(claims, self.audience)
        expires = _checked_times(claims, now().timestamp())
        client = active_client(self.database, client_id)
        # An unknown client, an unknown key and a wrong signature are told alike.
        if client is None or not any(
            _is_signed(assertion, key, algorithm) for key in self._keys(client, header, algorithm, key_id)
        ):
            raise AssertionRefused("No key registered for this client (iss, kid, alg) made the signature.")
        self._use_once(client_id, claims.get("jti"), expires)
        return client

    def _keys(self, client: Client, header: Mapping[str, Any], algorithm: str, key_id: str) -> list[PublicKey]:
        # A jku may only repeat what is registered; it is never what is fetched.
        if "jku" in header and (client.jwks_url is None or header["jku"] != client.jwks_url):
            return []
        if client.jwks_url is not None:
            return self.fetched.candidates(client.jwks_url, algorithm, key_id)
        return candidates(client.jwks, algorithm, key_id)

    def _use_once(self, client_id: str, jti: Any, expires: float) -> None:
        if not isinstance(jti, str) or not 0 < len(jti) <= 255:
            raise AssertionRefused("jti must be a text of 1 to 255 characters, new for each assertion.")
        used = UsedAssertion(
            id=hash_of(f"{client_id}\n{jti}"), expires=datetime.fromtimestamp(expires + 2 * LEEWAY, UTC)
        )
        try:
            documents(self.database, UsedAssertion).insert(used, load_bulk=False)
        except NotUniqueError:
            raise AssertionRefused("This jti was used before: make a new assertion for each request.") from None


def ensure_indexes(database: Any) -> None:
    """An assertion that is over needs no remembering; `_id` is what keeps it from being used twice."""
    database[UsedAssertion._get_collection_name()].create_index("expires", expireAfterSeconds=0)


def _parts(assertion: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims, neither of them believed yet."""
    try:
        if len(assertion) > MAX_LENGTH:
            raise ValueError
        compact = jws.extract_compact(assertion.encode("ascii"))
        header, claims = compact.headers(), json.loads(compact.payload, object_pairs_hook=_once)
        if not isinstance(header, dict) or not isinstance(claims, dict):
            raise ValueError
    except (JoseError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        raise AssertionRefused("client_assertion must be a JWT in compact form, of at most 8000 characters.") from None
    return header, claims


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _checked_header(header: Mapping[str, Any]) -> tuple[str, str]:
    surplus = sorted(set(header) - _HEADER)
    if surplus:
        raise AssertionRefused(
            f"The header may hold alg, kid, typ and jku, and nothing else: {surplus[0][:20]} must go."
        )
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise AssertionRefused(f"alg must be {' or '.join(ALGORITHMS)}.")
    if not isinstance(key_id, str) or not key_id:
        raise AssertionRefused("kid must name the key that signed.")
    if not isinstance(kind, str) or kind.upper() != "JWT":
        raise AssertionRefused("typ must be JWT.")
    return algorithm, key_id


def _checked_parties(claims: Mapping[str, Any], audience: str) -> str:
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer or claims.get("sub") != issuer:
        raise AssertionRefused("iss and sub must both be the client_id.")
    if claims.get("aud") not in (audience, [audience]):
        raise AssertionRefused(f"aud must be the address of the token endpoint, {audience}")
    return issuer


def _checked_times(claims: Mapping[str, Any], at: float) -> float:
    """The moment the assertion ends, in seconds of the epoch."""
    expires = _moment(claims, "exp")
    if expires is None or not at - LEEWAY < expires <= at + MAX_AHEAD + LEEWAY:
        raise AssertionRefused("exp must lie ahead, by five minutes at most.")
    for name in ("nbf", "iat"):
        begins = _moment(claims, name)
        if begins is not None and begins > at + LEEWAY:
            raise AssertionRefused(f"{name} must not lie ahead.")
    return expires


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise AssertionRefused(f"{name} must be a number of seconds.")
    return float(value)


def _is_signed(assertion: str, key: PublicKey, algorithm: str) -> bool:
    try:
        jws.deserialize_compact(assertion, key, algorithms=[algorithm])
    except (JoseError, ValueError, TypeError):
        return False
    return True
