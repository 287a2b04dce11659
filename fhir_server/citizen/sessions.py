"""Sessions of citizens: a record on the server, found by a random cookie, bound to the card's version, short-lived."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from mongoengine import DateTimeField, Document, IntField, StringField

from fhir_server.access.context import AccessContext
from fhir_server.access.documents import hash_of
from fhir_server.citizen.cards import Card, card_in_force
from fhir_server.citizen.documents import documents, now

if TYPE_CHECKING:
    from fhir_server.repository import Repository

IDLE = timedelta(minutes=20)
REMEMBERED = timedelta(days=1)
"""How long after its end a session still says whose half-filled form it is that a browser sends."""

Stage = Literal["pin", "change", "confirm", "open"]
"""What a session waits for: the PIN, another PIN than the printed one, "this is me", or nothing more."""


class CitizenSession(Document):
    """An opened card. The id is a hash of the cookie, so that what is stored opens nothing.

    `person` is whose record is open: the holder of the card, or a member of the family that they care for.
    """

    id = StringField(primary_key=True)
    card = StringField(required=True)
    card_version = IntField(required=True)
    patient = StringField(required=True)
    person = StringField(required=True)
    stage = StringField(required=True)
    started = DateTimeField(required=True)
    expires = DateTimeField(required=True)
    forgotten = DateTimeField(required=True)

    meta = {"auto_create_index": False}

    @property
    def context(self) -> AccessContext:
        """The caller of everything that is read or written in this session: one patient, nothing else."""
        return AccessContext.for_patient(self.person, actor=f"card:{self.card}")

    @property
    def caring(self) -> bool:
        """Whether the record is another person's than the card's."""
        return bool(self.person != self.patient)


def start_session(repository: Repository, card: Card, stage: Stage = "open") -> str:
    """Open a session for a card; the answer is the secret that goes into the cookie."""
    secret = secrets.token_urlsafe(32)
    started = now()
    session = CitizenSession(
        id=hash_of(secret),
        card=card.id,
        card_version=card.version,
        patient=card.patient,
        person=card.patient,
        stage=stage,
        started=started,
        expires=started + IDLE,
        forgotten=started + REMEMBERED,
    )
    documents(repository, CitizenSession).insert(session, load_bulk=False)
    return secret


def current_session(repository: Repository, secret: str | None) -> CitizenSession | None:
    """The session behind a cookie, kept alive for another 20 minutes; None when it ended or its card is locked."""
    if not secret:
        return None
    at = now()
    alive = documents(repository, CitizenSession).filter(id=hash_of(secret), expires__gt=at)
    session = alive.modify(new=True, set__expires=at + IDLE, set__forgotten=at + REMEMBERED)
    if session is None:
        return None
    if card_in_force(repository, session.card, session.card_version) is None:
        end_session(repository, secret)
        return None
    return session


def ended_session(repository: Repository, secret: str | None) -> CitizenSession | None:
    """The open session behind a cookie that was idle for too long, while its card is still in force. It opens nothing."""
    if not secret:
        return None
    session = documents(repository, CitizenSession).filter(id=hash_of(secret), expires__lte=now(), stage="open").first()
    if session is None or card_in_force(repository, session.card, session.card_version) is None:
        return None
    return session


def advance(repository: Repository, secret: str | None, stage: Stage) -> str:
    """The same session at another stage under another secret, so that one that was known before opens nothing."""
    renewed = secrets.token_urlsafe(32)
    session = documents(repository, CitizenSession).filter(id=hash_of(secret or "")).first()
    if session is not None:
        end_session(repository, secret)
        kept = {name: session[name] for name in CitizenSession._fields if name not in ("id", "stage")}
        renewal = CitizenSession(id=hash_of(renewed), stage=stage, **kept)
        documents(repository, CitizenSession).insert(renewal, load_bulk=False)
    return renewed


def turn_to(repository: Repository, session: CitizenSession, person: str) -> None:
    """Have the session show another person's record. Whether it may is asked before."""
    documents(repository, CitizenSession).filter(id=session.id).update_one(set__person=person)


def end_session(repository: Repository, secret: str | None) -> None:
    """Forget the session behind a cookie, if there is one."""
    if secret:
        documents(repository, CitizenSession).filter(id=hash_of(secret)).delete()


def form_token(secret: str) -> str:
    """The value a form must carry to count as sent from our own page: derived from the cookie, useless without it."""
    return hmac.new(secret.encode("utf-8"), b"form", hashlib.sha256).hexdigest()


def form_token_matches(secret: str | None, sent: str | None) -> bool:
    """Whether a form was made by this browser's own page."""
    if not secret or not sent:
        return False
    return hmac.compare_digest(form_token(secret).encode("ascii"), sent.encode("utf-8"))
