"""The registered clients: facilities' systems (backend services) and apps, and what each may ask for.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html#registering-a-client-communicating-public-keys
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mongoengine import BooleanField, DateTimeField, DictField, Document, IntField, ListField, StringField
from mongoengine.errors import NotUniqueError

from . import keys, scopes
from .context import EMERGENCY, OPERATIONS, PATIENT_REQUEST, TREATMENT
from .documents import documents, now
from .tokens import end_tokens_of

_ID = re.compile(r"[A-Za-z0-9._~-]{1,80}")
# https://www.rfc-editor.org/rfc/rfc8252#section-7.1: a scheme of an app's own is a reversed domain name.
_OWN_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+", re.ASCII)
_PLAIN_URI = re.compile(r"[!#-+\--:<-~]+", re.ASCII)  # no blank, quote, comma or semicolon: it goes into a CSP
PURPOSES = (TREATMENT, OPERATIONS, PATIENT_REQUEST, "HPAYMT", "PUBHLTH", "HRESCH", EMERGENCY)
"""Purposes of https://terminology.hl7.org/ValueSet-v3-PurposeOfUse.html that a client may be allowed to claim."""


class ClientRefused(ValueError):
    """A client cannot be registered or changed as asked; the message says why."""


class Client(Document):
    """One client. A client without keys is a public app; one without redirect URIs is a backend service alone."""

    id = StringField(primary_key=True)
    name = StringField(required=True)
    jwks = ListField(DictField())
    jwks_url = StringField()
    scopes = ListField(StringField(), required=True)
    redirect_uris = ListField(StringField())
    facility = StringField()
    narrowed = BooleanField(required=True, default=False)
    labels = ListField(StringField())
    purposes = ListField(StringField(), required=True)
    break_glass = BooleanField(required=True, default=False)
    introspects = BooleanField(required=True, default=False)
    active = BooleanField(required=True, default=True)
    version = IntField(required=True, default=1)
    created = DateTimeField(required=True)

    meta = {"collection": "smart_clients", "auto_create_index": False}

    @property
    def is_public(self) -> bool:
        """Whether it has no key to prove who it is: PKCE alone ties its code to it."""
        return not self.jwks and not self.jwks_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What is asked for when a client is registered. `labels` are the restricted security labels it may see."""

    id: str
    name: str
    scopes: Sequence[str]
    jwks: Mapping[str, Any] | None = None
    jwks_url: str | None = None
    redirect_uris: Sequence[str] = ()
    facility: str | None = None
    narrowed: bool = False
    labels: Sequence[str] = ()
    purposes: Sequence[str] = field(default=(TREATMENT,))
    break_glass: bool = False
    introspects: bool = False


def register(database: Any, asked: Registration) -> None:
    """Register a client. Raises ClientRefused."""
    _check(asked)
    client = Client(
        id=asked.id,
        name=asked.name,
        jwks=keys.public_keys(asked.jwks) if asked.jwks is not None else [],
        jwks_url=asked.jwks_url,
        scopes=[word for text in asked.scopes for word in text.split()],
        redirect_uris=list(asked.redirect_uris),
        facility=asked.facility,
        narrowed=asked.narrowed,
        labels=list(asked.labels),
        purposes=list(asked.purposes),
        break_glass=asked.break_glass,
        introspects=asked.introspects,
        created=now(),
    )
    try:
        documents(database, Client).insert(client, load_bulk=False)
    except NotUniqueError:
        raise ClientRefused(f"There is a client {asked.id} already.") from None


def active_client(database: Any, client_id: str) -> Client | None:
    """The client of an id while it is not disabled."""
    return documents(database, Client).filter(id=client_id, active=True).first()


def is_unchanged(database: Any, client_id: str, version: int) -> bool:
    """Whether a client is still the one that was read before, and not disabled."""
    return bool(documents(database, Client).filter(id=client_id, version=version, active=True).count())


def all_clients(database: Any) -> list[Client]:
    """Every client, by id."""
    return list(documents(database, Client).order_by("id"))


def disable(database: Any, client_id: str) -> None:
    """Close a client: its tokens end at once. Raises ClientRefused."""
    if not documents(database, Client).filter(id=client_id).update_one(set__active=False, inc__version=1):
        raise ClientRefused(f"There is no client {client_id}.")
    end_tokens_of(database, client_id)


def _check(asked: Registration) -> None:
    if not _ID.fullmatch(asked.id):
        raise ClientRefused("A client's id has 1 to 80 letters, digits, and . _ ~ -")
    if not asked.name.strip() or len(asked.name) > 200:
        raise ClientRefused("A client's name, which people see when they consent, has 1 to 200 characters.")
    words = [word for text in asked.scopes for word in text.split()]
    unknown = [w for w in words if scopes.parse(w) is None and w not in (scopes.LAUNCH_PATIENT, scopes.OFFLINE)]
    if unknown or not any(scopes.parse(word) for word in words):
        what = f"{unknown[0]} is none" if unknown else "none was given"
        raise ClientRefused(f"A client needs scopes such as system/Observation.rs or patient/*.rs, and {what}.")
    if asked.jwks is not None and asked.jwks_url is not None:
        raise ClientRefused("A client has its keys in a file or at a URL, not both.")
    if asked.jwks is None and asked.jwks_url is None and not asked.redirect_uris:
        raise ClientRefused("A backend service needs keys (a JWKS file or URL), an app needs a redirect URI.")
    for uri in asked.redirect_uris:
        if not _is_redirect_uri(uri):
            raise ClientRefused(
                f"{uri} cannot be a redirect URI: https, http on this very device, or an app's own scheme "
                "(com.example.app:/callback), without a fragment."
            )
    for purpose in asked.purposes:
        if purpose not in PURPOSES:
            raise ClientRefused(f"{purpose} is no purpose of use; there are {', '.join(PURPOSES)}.")
    if not asked.purposes:
        raise ClientRefused("A client needs a purpose of use, such as TREAT.")
    if asked.narrowed and not asked.facility:
        raise ClientRefused("Narrowed to the facility's own patients: then the facility's code is needed.")
    try:
        if asked.jwks is not None:
            keys.public_keys(asked.jwks)
        if asked.jwks_url is not None:
            keys.check_url(asked.jwks_url)
    except keys.KeysRefused as error:
        raise ClientRefused(str(error)) from error


def _is_redirect_uri(uri: str) -> bool:
    if not _PLAIN_URI.fullmatch(uri) or "#" in uri or len(uri) > 500:
        return False
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if parts.username is not None or parts.password is not None:
        return False
    if parts.scheme == "https":
        return bool(host)
    if parts.scheme == "http":
        return host == "localhost" or _is_loopback(host)
    return bool(_OWN_SCHEME.fullmatch(parts.scheme))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
