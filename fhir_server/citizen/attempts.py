"""A limit on wrong card codes per address, counted atomically in MongoDB so that it holds across workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mongoengine import DateTimeField, Document, IntField, StringField

from fhir_server.citizen.documents import documents, now

if TYPE_CHECKING:
    from fhir_server.repository import Repository

# A commune station's computers share one address, so the limit leaves room for honest slips. The code has 128 bits.
WRONG_CODES_ALLOWED = 30
WINDOW = timedelta(minutes=15)


class WrongCodes(Document):
    """The wrong codes of one address in one window of time; MongoDB deletes it when the window is over."""

    id = StringField(primary_key=True)
    count = IntField(required=True, default=0)
    expires = DateTimeField()

    meta = {"auto_create_index": False}


def spend_attempt(repository: Repository, address: str, *, allowed: int = WRONG_CODES_ALLOWED) -> bool:
    """Take one attempt before the code is looked at; False when the address has none left in this window.

    The gateway counts wrong passwords the same way, and names accounts as well as addresses.
    """
    key, ends = _window(address, now())
    counted = (
        documents(repository, WrongCodes).filter(id=key).modify(upsert=True, new=True, inc__count=1, set__expires=ends)
    )
    return counted.count <= allowed


def return_attempt(repository: Repository, address: str) -> None:
    """Give the attempt back: the code was right."""
    key, _ = _window(address, now())
    documents(repository, WrongCodes).filter(id=key, count__gt=0).update_one(dec__count=1)


def _window(address: str, at: datetime) -> tuple[str, datetime]:
    length = int(WINDOW.total_seconds())
    number = int(at.timestamp()) // length
    return f"{address}|{number}", datetime.fromtimestamp((number + 1) * length, UTC)
