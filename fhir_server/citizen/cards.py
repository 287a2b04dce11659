"""QR cards: a link with a 128-bit token that opens one patient's record; only a hash of the token is kept.

The token sits in the fragment of the link, which browsers never send, so it reaches no server log on the way in. The
same 128 bits are printed under the QR as a code of letters and digits that is easy to read aloud and to type.
"""

from __future__ import annotations

import base64
import hashlib
import io
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import qrcode
from mongoengine import DateTimeField, Document, IntField, StringField
from qrcode.image.svg import SvgPathImage

from fhir_server.access import audit_record
from fhir_server.access.context import PATIENT_REQUEST, AccessContext
from fhir_server.citizen import card_code
from fhir_server.citizen.documents import documents, ensure_indexes, now
from fhir_server.citizen.person import Person, birth_day, person_of
from fhir_server.citizen.pins import new_pin, set_pin
from fhir_server.resource import exact

if TYPE_CHECKING:
    from fhir_server.repository import Repository

TOKEN_BYTES = 16
CARD_LIFETIME = timedelta(days=730)


class Card(Document):
    """One printed card. `version` goes up when it is revoked, which ends every session that it opened."""

    id = StringField(primary_key=True)
    patient = StringField(required=True)
    token_hash = StringField(required=True)
    issued = DateTimeField(required=True)
    expires = DateTimeField(required=True)
    revoked = DateTimeField()
    version = IntField(required=True, default=1)

    meta = {"auto_create_index": False}


@dataclass(frozen=True, slots=True, repr=False)
class IssuedCard:
    """What is printed: shown once, since the token cannot be found again from its hash."""

    id: str
    link: str
    token: str
    code: str
    pin: str
    person: Person
    expires: datetime

    def qr_svg(self) -> str:
        """The link as a QR drawing, to be placed in a page."""
        drawing = _qr(self.link).make_image(image_factory=SvgPathImage)
        return drawing.to_string(encoding="unicode")

    def qr_modules(self) -> list[list[bool]]:
        """The link as rows of dark (True) and light modules, the quiet border with them."""
        return _qr(self.link).get_matrix()

    def qr_png(self) -> bytes:
        """The link as a QR picture."""
        picture = io.BytesIO()
        _qr(self.link).make_image().save(picture, "PNG")
        return picture.getvalue()


def issue_card(
    repository: Repository,
    ctx: AccessContext,
    patient_id: str,
    *,
    public_url: str,
    lifetime: timedelta = CARD_LIFETIME,
) -> IssuedCard:
    """Make a card for a patient that the caller may read (else NotFound, Gone). `public_url` is where `/q` answers.

    Its PIN must be changed at the first use. The cards that the patient has stay as they are: see `reissue_card`.
    """
    patient = repository.read(ctx, "Patient", patient_id)
    person = person_of(exact.parse(patient.json or b"{}"))
    ensure_indexes(repository)
    secret = secrets.token_bytes(TOKEN_BYTES)
    issued = now()
    card = Card(
        id=secrets.token_hex(8),
        patient=patient.id,
        token_hash=_hash(secret),
        issued=issued,
        expires=issued + lifetime,
    )
    pin = new_pin(birth_day(person))
    set_pin(repository, card.id, pin, change=True)
    documents(repository, Card).insert(card, load_bulk=False)
    audit_record.credential("card-issued", patient=patient.id)
    token = base64.urlsafe_b64encode(secret).rstrip(b"=").decode("ascii")
    return IssuedCard(
        id=card.id,
        link=f"{public_url.rstrip('/')}/q#{token}",
        token=token,
        code=card_code.written(secret),
        pin=pin,
        person=person,
        expires=card.expires,
    )


def reissue_card(
    repository: Repository,
    ctx: AccessContext,
    patient_id: str,
    *,
    public_url: str,
    lifetime: timedelta = CARD_LIFETIME,
) -> IssuedCard:
    """A new card in place of all that the patient has, which are locked for good."""
    held = [card.id for card in cards_in_force(repository, patient_id)]
    issued = issue_card(repository, ctx, patient_id, public_url=public_url, lifetime=lifetime)
    for card in held:
        revoke_card(repository, card)
    audit_record.credential("card-reissued", patient=patient_id)
    return issued


def cards_in_force(repository: Repository, patient_id: str) -> list[Card]:
    """The cards that open a patient's record now, the oldest first."""
    held = documents(repository, Card).filter(patient=patient_id, revoked=None, expires__gt=now())
    return list(held.order_by("issued"))


def reset_pin(repository: Repository, card_id: str) -> str | None:
    """A new PIN, to be told to the person it belongs to, and the end of the card's sessions; None for no such card.

    Whoever calls this has seen who stands before them, and notes the reason.
    """
    card = documents(repository, Card).filter(id=card_id, revoked=None).modify(inc__version=1)
    if card is None:
        return None
    audit_record.credential("pin-reset", patient=card.patient)
    pin = new_pin()
    set_pin(repository, card_id, pin, change=True)
    return pin


def open_card(repository: Repository, typed: str) -> Card | None:
    """The card that a token or typed code belongs to; None alike for unknown, revoked and expired ones."""
    found = _in_force(repository, typed)
    if found is None:
        audit_record.tried("card", "card:unknown", outcome="wrong")
    else:
        audit_record.tried("card", f"card:{found.id}", patient=found.patient, outcome="right")
    return found


def holder_of(repository: Repository, typed: str) -> str:
    """The Patient of the card in force that staff were shown, which opens nothing by this; "" for no such card."""
    card = _in_force(repository, typed)
    return "" if card is None else str(card.patient)


def _in_force(repository: Repository, typed: str) -> Card | None:
    secret = card_code.read(typed)
    # What cannot be a token is looked up all the same, so that the answer takes as long as for any other wrong one.
    token_hash = _hash(secret if secret is not None else b"")
    return documents(repository, Card).filter(token_hash=token_hash, revoked=None, expires__gt=now()).first()


def card_in_force(repository: Repository, card_id: str, version: int) -> Card | None:
    """The card when it is still the one a session was opened with."""
    return documents(repository, Card).filter(id=card_id, version=version, revoked=None, expires__gt=now()).first()


def is_merged_away(repository: Repository, patient: str, card_id: str) -> bool:
    """Whether staff have merged the record that a card was made for into another one, until they take that back.

    Such a card opens neither record: a merge may be wrong, and the other record somebody else's.
    docs/decisions/0005-merging-people.md
    """
    asker = AccessContext(actor=f"card:{card_id}", purpose=PATIENT_REQUEST)
    return bool(repository.merged_away(asker, [patient]))


def revoke_card(repository: Repository, card_id: str) -> bool:
    """Lock a card for good and end its sessions; False when there is no such card or it is locked already."""
    in_force = documents(repository, Card).filter(id=card_id, revoked=None)
    locked = in_force.modify(set__revoked=now(), inc__version=1)
    if locked is not None:
        audit_record.credential("card-revoked", patient=locked.patient)
    return locked is not None


def _hash(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()


def _qr(link: str) -> qrcode.QRCode:
    drawing = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=4)
    drawing.add_data(link)
    drawing.make(fit=True)
    return drawing
