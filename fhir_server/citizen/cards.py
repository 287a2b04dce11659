"""QR cards: a link with a 128-bit token that opens one patient's record; only a hash of the token is kept.

The token sits in the fragment of the link, which browsers never send, so it reaches no server log on the way in. The
same 128 bits are printed under the QR as a code of letters and digits that is easy to read aloud and to type.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import qrcode
from mongoengine import DateTimeField, Document, IntField, StringField
from qrcode.image.svg import SvgPathImage

from fhir_server.citizen.documents import documents, ensure_indexes, now

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.repository import Repository

TOKEN_BYTES = 16
CARD_LIFETIME = timedelta(days=730)

# Crockford's base 32 leaves out I, L, O and U; what people write instead of a digit is read as that digit.
CODE_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 26
CODE_GROUP = 4
MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})
# Dashes that phone keyboards put in place of the hyphen are dropped with the blanks.
SEPARATORS = str.maketrans("", "", " \t\r\n.-\u2010\u2011\u2012\u2013\u2014")


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


@dataclass(frozen=True, slots=True)
class IssuedCard:
    """What is printed: shown once, since the token cannot be found again from its hash."""

    id: str
    link: str
    token: str
    code: str

    def qr_svg(self) -> str:
        """The link as a QR drawing, to be placed in a page."""
        drawing = _qr(self.link).make_image(image_factory=SvgPathImage)
        return drawing.to_string(encoding="unicode")

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
    """Make a card for a patient that the caller may read (else NotFound, Gone). `public_url` is where `/q` answers."""
    patient = repository.read(ctx, "Patient", patient_id)
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
    documents(repository, Card).insert(card, load_bulk=False)
    token = base64.urlsafe_b64encode(secret).rstrip(b"=").decode("ascii")
    return IssuedCard(id=card.id, link=f"{public_url.rstrip('/')}/q#{token}", token=token, code=_code(secret))


def open_card(repository: Repository, typed: str) -> Card | None:
    """The card that a token or typed code belongs to; None alike for unknown, revoked and expired ones."""
    secret = _secret(typed)
    # What cannot be a token is looked up all the same, so that the answer takes as long as for any other wrong one.
    token_hash = _hash(secret if secret is not None else b"")
    return documents(repository, Card).filter(token_hash=token_hash, revoked=None, expires__gt=now()).first()


def card_in_force(repository: Repository, card_id: str, version: int) -> Card | None:
    """The card when it is still the one a session was opened with."""
    return documents(repository, Card).filter(id=card_id, version=version, revoked=None, expires__gt=now()).first()


def revoke_card(repository: Repository, card_id: str) -> bool:
    """Lock a card for good and end its sessions; False when there is no such card or it is locked already."""
    locked = documents(repository, Card).filter(id=card_id, revoked=None)
    return bool(locked.update_one(set__revoked=now(), inc__version=1))


def _hash(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()


def _code(secret: bytes) -> str:
    number = int.from_bytes(secret, "big")
    letters = "".join(CODE_LETTERS[number >> (5 * place) & 31] for place in reversed(range(CODE_LENGTH)))
    return "-".join(letters[start : start + CODE_GROUP] for start in range(0, CODE_LENGTH, CODE_GROUP))


def _secret(typed: str) -> bytes | None:
    """The 16 bytes behind a base64url token (22 characters) or a typed code (26), None for anything else."""
    token = typed.strip()
    if len(token) == 22:
        try:
            return base64.b64decode(token + "==", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
    letters = token.translate(SEPARATORS).upper().translate(MISREAD)
    if len(letters) != CODE_LENGTH or any(letter not in CODE_LETTERS for letter in letters):
        return None
    number = 0
    for letter in letters:
        number = number * 32 + CODE_LETTERS.index(letter)
    return number.to_bytes(17, "big")[1:] if number >> 128 == 0 else None


def _qr(link: str) -> qrcode.QRCode:
    drawing = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=4)
    drawing.add_data(link)
    drawing.make(fit=True)
    return drawing
