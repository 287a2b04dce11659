"""SMART Health Links: a summary of the record for whoever holds the link and knows its passcode.

https://docs.smarthealthit.org/smart-health-links/spec. The summary is sealed when the link is made, and the key is in
the link alone: what is stored here cannot be read by this server either.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from joserfc import jwe
from joserfc.jwk import OctKey
from mongoengine import DateTimeField, Document, IntField, StringField

from fhir_server.access.documents import hash_of
from fhir_server.citizen.documents import documents, now
from fhir_server.operations.summary import summary
from fhir_server.resource import exact
from fhir_server.store.secrets import shared_secret

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.repository import Repository

TIMES = {"hour": timedelta(hours=1), "day": timedelta(days=1), "month": timedelta(days=30)}
DOCTOR_TIME = timedelta(minutes=15)
WRONG_ALLOWED = 5
"""Wrong passcodes in the whole life of a link."""

TICKET_SECONDS = 3_600  # the most that the specification allows
LABEL_LENGTH = 80
CODE_LENGTH = 6
_REMEMBERED = timedelta(days=90)

Kind = Literal["link", "doctor"]


class HealthLink(Document):
    """A link that was given out. `left` are the wrong passcodes it still takes."""

    id = StringField(primary_key=True)
    kind = StringField(required=True)
    patient = StringField(required=True)
    card = StringField(required=True)
    label = StringField(default="")
    passcode_hash = StringField(required=True)
    left = IntField(required=True, default=WRONG_ALLOWED)
    sealed = StringField(default="")
    made = DateTimeField(required=True)
    expires = DateTimeField(required=True)
    ended = DateTimeField()
    opened = IntField(required=True, default=0)
    forgotten = DateTimeField(required=True)

    meta = {"auto_create_index": False}


class MadeLink(NamedTuple):
    """What is shown once: the link and its passcode."""

    link: str
    passcode: str
    expires: datetime


class Opened(NamedTuple):
    """The answer to a passcode: the link when it was right, else how many wrong ones are left (0: it is over)."""

    link: HealthLink | None
    left: int


def make_link(
    repository: Repository, ctx: AccessContext, *, public_url: str, label: str, lifetime: timedelta
) -> MadeLink:
    """Seal the summary of the citizen's record and give out a `shlink:/` for it. Raises NotFound, Gone."""
    assert ctx.patient is not None
    made = now()
    document = summary(repository, ctx, ctx.patient, repository.base_url, made)
    key = secrets.token_bytes(32)
    header = {"alg": "dir", "enc": "A256GCM", "cty": "application/fhir+json"}
    sealed = jwe.encrypt_compact(header, exact.dump(document), OctKey.import_key(key))
    link, passcode = _keep(repository, ctx, "link", made, lifetime, label=label[:LABEL_LENGTH], sealed=sealed)
    payload = {
        "url": f"{public_url.rstrip('/')}/shl/{link}",
        "key": _base64url(key),
        "exp": int((made + lifetime).timestamp()),
        "flag": "P",
        "label": label[:LABEL_LENGTH],
        "v": 1,
    }
    encoded = _base64url(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())
    return MadeLink(f"shlink:/{encoded}", passcode, made + lifetime)


def share_with_doctor(repository: Repository, ctx: AccessContext, *, public_url: str) -> MadeLink:
    """A page for one look at the record within 15 minutes, opened by a one-time code."""
    made = now()
    link, passcode = _keep(repository, ctx, "doctor", made, DOCTOR_TIME)
    return MadeLink(f"{public_url.rstrip('/')}/s#{link}", passcode, made + DOCTOR_TIME)


def open_link(repository: Repository, kind: Kind, id: str, passcode: str) -> Opened | None:
    """Try a passcode; None for a link that is unknown, over, or revoked. A doctor's link opens once."""
    alive = documents(repository, HealthLink).filter(
        id=hash_of(id), kind=kind, ended=None, expires__gt=now(), left__gt=0
    )
    # The attempt is spent before the passcode is looked at, so that no number of parallel tries makes it more.
    link = alive.modify(new=True, dec__left=1)
    if link is None:
        return None
    if not hmac.compare_digest(link.passcode_hash, _passcode_hash(repository, id, passcode)):
        return Opened(None, link.left)
    entry = documents(repository, HealthLink).filter(id=link.id, ended=None)
    if kind == "doctor":
        taken = entry.modify(new=True, set__ended=now(), inc__opened=1)
        return None if taken is None else Opened(taken, 0)
    return Opened(entry.modify(new=True, inc__left=1, inc__opened=1) or link, link.left + 1)


def links(repository: Repository, patient: str) -> list[HealthLink]:
    """The links of a person that still open something, the newest first."""
    alive = documents(repository, HealthLink).filter(patient=patient, ended=None, expires__gt=now(), left__gt=0)
    return list(alive.order_by("-made"))


def end_link(repository: Repository, patient: str, id: str) -> bool:
    """Revoke a link of a person, by the id that is stored."""
    entry = documents(repository, HealthLink).filter(id=id, patient=patient, ended=None)
    return bool(entry.update_one(set__ended=now()))


def ticket(repository: Repository, id: str) -> str:
    """What opens the file of a link for an hour without the passcode."""
    until = int(now().timestamp()) + TICKET_SECONDS
    return f"{until}.{_sign(repository, id, until)}"


def sealed_file(repository: Repository, id: str, given: str) -> str | None:
    """The sealed summary for a ticket in force; None for any other, and when the link has ended since."""
    until, _, signature = given.partition(".")
    if not (until.isascii() and until.isdigit() and len(until) < 12) or int(until) < now().timestamp():
        return None
    if not hmac.compare_digest(signature.encode(), _sign(repository, id, int(until)).encode()):
        return None
    link = documents(repository, HealthLink).filter(id=hash_of(id), kind="link", ended=None, expires__gt=now()).first()
    return None if link is None else str(link.sealed)


def _keep(
    repository: Repository,
    ctx: AccessContext,
    kind: Kind,
    made: datetime,
    lifetime: timedelta,
    *,
    label: str = "",
    sealed: str = "",
) -> tuple[str, str]:
    id, passcode = _base64url(secrets.token_bytes(32)), f"{secrets.randbelow(10**CODE_LENGTH):0{CODE_LENGTH}d}"
    link = HealthLink(
        id=hash_of(id),
        kind=kind,
        patient=ctx.patient,
        card=ctx.actor,
        label=label,
        passcode_hash=_passcode_hash(repository, id, passcode),
        sealed=sealed,
        made=made,
        expires=made + lifetime,
        forgotten=made + lifetime + _REMEMBERED,
    )
    documents(repository, HealthLink).insert(link, load_bulk=False)
    return id, passcode


def _passcode_hash(repository: Repository, id: str, passcode: str) -> str:
    pepper = shared_secret(repository.store.database, "pin-pepper")
    return hmac.new(pepper, f"{id}|{passcode}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _sign(repository: Repository, id: str, until: int) -> str:
    key = shared_secret(repository.store.database, "health-link-tickets")
    return hmac.new(key, f"{id}|{until}".encode(), hashlib.sha256).hexdigest()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
