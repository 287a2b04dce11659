"""The PIN of a card: six digits kept as argon2id with a pepper; the attempt is spent before the PIN is looked at.

https://www.rfc-editor.org/rfc/rfc9106. Six digits are guessed in seconds by whoever may try as often as they like, so
what protects a card is the count, and the count is taken by MongoDB itself, before any work is done.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import secrets
import threading
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from mongoengine import BooleanField, DateTimeField, Document, IntField, StringField
from mongoengine.queryset import Q

from fhir_server.access import audit_record
from fhir_server.citizen.documents import documents, now
from fhir_server.store.secrets import shared_secret

if TYPE_CHECKING:
    from fhir_server.repository import Repository

PIN_LENGTH = 6
WRONG_ALLOWED = 5
WAIT = timedelta(minutes=15)
WRONG_IN_ALL = 20
"""Wrong PINs since the last right one after which only staff can open the card again."""

# 19 MiB, two passes, one lane: some 22 ms on one of two shared cores.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
HASHES_AT_ONCE = 4
HASH_WAIT_SECONDS = 5.0
_hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)
# What the PIN of an unknown card is compared with, so that its refusal takes as long as any other.
_NOBODY = _hasher.hash(secrets.token_urlsafe(32))
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

Outcome = Literal["right", "wrong", "wait", "locked"]


class CardPin(Document):
    """The PIN of one card. `spent` counts wrong tries up to a wait, `wrong` all of them since the last right one."""

    id = StringField(primary_key=True)
    hash = StringField(required=True)
    change = BooleanField(required=True, default=True)
    spent = IntField(required=True, default=0)
    wrong = IntField(required=True, default=0)
    until = DateTimeField(required=True)

    meta = {"auto_create_index": False}


class PinRefused(ValueError):
    """A PIN that may not be chosen; the message is the key of the words that say why."""


class TooBusy(Exception):
    """More PINs are being checked than this process takes at once; nothing was spent."""


def new_pin(born: date | None = None) -> str:
    """A random PIN that is not an easy one."""
    while True:
        pin = f"{secrets.randbelow(10**PIN_LENGTH):0{PIN_LENGTH}d}"
        if not is_easy(pin, born):
            return pin


def is_easy(pin: str, born: date | None) -> bool:
    """Whether a PIN is among the first that somebody would try: runs, repetitions and the birth date."""
    digits = [int(digit) for digit in pin]
    steps = {(after - before) % 10 for before, after in itertools.pairwise(digits)}
    if steps in ({0}, {1}, {9}) or len(set(digits)) < 3 or pin[:3] == pin[3:]:
        return True
    return born is not None and pin in {born.strftime(form) for form in ("%d%m%y", "%y%m%d", "%m%d%y", "%m%Y", "%Y%m")}


def set_pin(repository: Repository, card: str, pin: str, *, change: bool) -> None:
    """Give a card a PIN and forget the wrong tries. `change` asks for another one at the next use."""
    entry = documents(repository, CardPin).filter(id=card)
    entry.update_one(
        upsert=True,
        set__hash=_hasher.hash(_peppered(repository, card, pin)),
        set__change=change,
        set__spent=0,
        set__wrong=0,
        set__until=_LONG_AGO,
    )


def change_pin(repository: Repository, card: str, pin: str, again: str, born: date | None) -> None:
    """Set the PIN that a citizen chose. Raises PinRefused."""
    if not (len(pin) == PIN_LENGTH and pin.isascii() and pin.isdigit()):
        raise PinRefused("pin.six_digits")
    if pin != again:
        raise PinRefused("pin.not_the_same")
    if is_easy(pin, born):
        raise PinRefused("pin.easy")
    entry = documents(repository, CardPin).filter(id=card).first()
    if entry is not None and entry.change and _matches(entry.hash, _peppered(repository, card, pin)):
        raise PinRefused("pin.printed")
    set_pin(repository, card, pin, change=False)
    audit_record.credential("pin-changed")


def try_pin(repository: Repository, card: str | None, pin: str, *, patient: str = "") -> Outcome:
    """Spend one attempt on a card and compare; None stands for a card that is not there. Raises TooBusy.

    `patient` is whose record the card opens: the audit trail tells them of every try.
    """
    if not _hashing.acquire(timeout=HASH_WAIT_SECONDS):
        raise TooBusy
    try:
        entry = _spend(repository, card) if card is not None else None
        if card is not None and entry is None:
            refused: Outcome = "locked" if is_locked(repository, card) else "wait"
            audit_record.tried("pin", f"card:{card}", patient=patient, outcome=refused)
            return refused
        known = entry.hash if entry is not None else _NOBODY
        right = _matches(known, _peppered(repository, card or "", pin[: PIN_LENGTH + 1]))
    finally:
        _hashing.release()
    outcome: Outcome = "right" if entry is not None and right else "wrong"
    audit_record.tried("pin", f"card:{card or 'unknown'}", patient=patient, outcome=outcome)
    if outcome == "wrong":
        return outcome
    documents(repository, CardPin).filter(id=card).update_one(set__spent=0, set__wrong=0, set__until=_LONG_AGO)
    return "right"


def must_change(repository: Repository, card: str) -> bool:
    """Whether the PIN is still the printed one."""
    return documents(repository, CardPin).filter(id=card, change=True).first() is not None


def is_locked(repository: Repository, card: str) -> bool:
    """Whether only staff can open the card again."""
    return documents(repository, CardPin).filter(id=card, wrong__gte=WRONG_IN_ALL).first() is not None


def _spend(repository: Repository, card: str) -> CardPin | None:
    """Take an attempt by one atomic step, of this run of wrong ones or of a new run; None when there is none left."""
    entry = documents(repository, CardPin).filter(id=card, wrong__lt=WRONG_IN_ALL)
    at = now()
    counted = {"inc__wrong": 1, "set__until": at + WAIT, "new": True}
    # A run is over when nobody has tried for the length of the wait. Whoever starts the next one ends this condition,
    # so it is tried first: of those who come at the same moment one starts it, and the others find it begun.
    started = entry.filter(until__lte=at).modify(set__spent=1, **counted)
    return started or entry.filter(Q(until__gt=at) & Q(spent__lt=WRONG_ALLOWED)).modify(inc__spent=1, **counted)


def _matches(known: str, pin: str) -> bool:
    try:
        return _hasher.verify(known, pin)
    except VerifyMismatchError:
        return False


def _peppered(repository: Repository, card: str, pin: str) -> str:
    """What is hashed: without the pepper nobody who has the hashes can try a million PINs on them."""
    pepper = shared_secret(repository.store.database, "pin-pepper")
    return hmac.new(pepper, f"{card}|{pin}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
