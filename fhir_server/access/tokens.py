"""Access and refresh tokens: 256 random bits, of which only the SHA-256 is stored.

https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html#issue-access-token and, for refresh tokens that change
at every use, https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mongoengine import BooleanField, DateTimeField, Document, IntField, ListField, StringField

from ..epochs import Epochs, take_away
from .documents import documents, hash_of, new_secret, now

if TYPE_CHECKING:
    from .clients import Client

ACCESS, REFRESH = "access", "refresh"
ACCESS_SECONDS = 300
REFRESH_LIFETIME = timedelta(days=90)
COLLECTION = "smart_tokens"


class Token(Document):
    """A token that was given out. What its client may do is copied into it, so that a request needs one read.

    `family` is shared by all that came from one authorization: they end together. `used` is when a refresh token was
    exchanged for its successor.
    """

    id = StringField(primary_key=True)
    kind = StringField(required=True)
    family = StringField(required=True)
    client = StringField(required=True)
    scope = StringField(required=True)
    patient = StringField()
    card = StringField()
    card_version = IntField()
    facility = StringField()
    narrowed = BooleanField()
    labels = ListField(StringField())
    purposes = ListField(StringField())
    break_glass = BooleanField()
    used = DateTimeField()
    issued = DateTimeField(required=True)
    expires = DateTimeField(required=True)

    meta = {"collection": COLLECTION, "auto_create_index": False}


@dataclass(frozen=True, slots=True)
class Authorization:
    """What somebody agreed to: the scopes, and for an app the patient and the card that was shown."""

    family: str
    scope: str
    patient: str | None = None
    card: str | None = None
    card_version: int | None = None

    @classmethod
    def new(cls, scope: str, **of: Any) -> Authorization:
        """An authorization of its own family."""
        return cls(secrets.token_hex(16), scope, **of)


def ensure_indexes(database: Any) -> None:
    """MongoDB removes tokens that are over; families and clients are what tokens end by."""
    tokens = database[COLLECTION]
    tokens.create_index("expires", expireAfterSeconds=0)
    tokens.create_index("family")
    tokens.create_index("client")


def issue(database: Any, client: Client, given: Authorization, kind: str = ACCESS) -> str:
    """A new token. Access tokens live for 300 seconds, refresh tokens for 90 days unless they are used."""
    secret, issued = new_secret(), now()
    lifetime = timedelta(seconds=ACCESS_SECONDS) if kind == ACCESS else REFRESH_LIFETIME
    token = Token(
        id=hash_of(secret),
        kind=kind,
        family=given.family,
        client=client.id,
        scope=given.scope,
        patient=given.patient,
        card=given.card,
        card_version=given.card_version,
        facility=client.facility,
        narrowed=client.narrowed,
        labels=client.labels,
        purposes=client.purposes,
        break_glass=client.break_glass,
        issued=issued,
        expires=issued + lifetime,
    )
    documents(database, Token).insert(token, load_bulk=False)
    return secret


def find(database: Any, secret: str) -> Mapping[str, Any] | None:
    """The document of an access token in force, as MongoDB has it; None when it is unknown, over or revoked.

    One read by `_id` alone, which MongoDB answers without planning a query. It goes past the classes, which take several
    times as long.
    """
    found: dict[str, Any] | None = database[COLLECTION].find_one({"_id": hash_of(secret)})
    return found if found is not None and found["kind"] == ACCESS and not is_over(found) else None


def is_over(token: Mapping[str, Any]) -> bool:
    """Whether the time of a token has passed."""
    return bool(token["expires"] <= now())


def exchange(database: Any, secret: str, client_id: str) -> Authorization | None:
    """Spend a refresh token: what it stood for, once. Using it again ends everything that came from it."""
    spent = (
        documents(database, Token)
        .filter(id=hash_of(secret), kind=REFRESH, client=client_id, used=None, expires__gt=now())
        .modify(set__used=now())
    )
    if spent is not None:
        return Authorization(spent.family, spent.scope, spent.patient, spent.card, spent.card_version)
    reused = documents(database, Token).filter(id=hash_of(secret), kind=REFRESH, used__ne=None).first()
    if reused is not None:
        end_family(database, reused.family)
    return None


def is_remembered(database: Any, secret: str) -> bool:
    """Whether a spent refresh token's family was not ended meanwhile: asked after its successors were issued."""
    return bool(documents(database, Token).filter(id=hash_of(secret)).count())


def revoke(database: Any, secret: str, client_id: str) -> None:
    """End a client's own token; a refresh token takes its whole family with it. Any other text changes nothing."""
    token = documents(database, Token).filter(id=hash_of(secret), client=client_id).first()
    if token is None:
        Epochs.wait()  # somebody else may have ended it just now, and not waited long enough yet
    elif token.kind == REFRESH:
        end_family(database, token.family)
    else:
        _end(database, {"_id": token.id})


def end_family(database: Any, family: str) -> None:
    """End everything that one authorization gave."""
    _end(database, {"family": family})


def end_tokens_of(database: Any, client_id: str) -> None:
    """End every token of a client."""
    _end(database, {"client": client_id})


def _end(database: Any, wanted: Mapping[str, Any]) -> None:
    """End tokens: when this returns, no worker takes them any more. Those of a patient are looked up at each request."""

    def work(session: Any) -> bool:
        remembered = database[COLLECTION].find_one({**wanted, "patient": None}, {"_id": 1}, session=session)
        database[COLLECTION].delete_many(wanted, session=session)
        return remembered is not None

    take_away(database, work)
