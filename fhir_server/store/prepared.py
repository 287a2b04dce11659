"""Documents that were encoded where they were made, perhaps in another process, and are stored as they are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError

from .contained import APART
from .records import CODEC, Store

Document = dict[str, Any]


class AlreadyClaimed(Exception):
    """Somebody has claimed one of the keys lately: look again at what there is. Not a FhirError."""


def encode(document: Document) -> bytes | None:
    """The document as MongoDB takes it; None for one of which parts are stored apart."""
    return None if APART in document else bson.encode(document, codec_options=CODEC)


def insert(store: Store, session: ClientSession, type: str, documents: list[bytes]) -> None:
    """Store first versions; their units were noted when they were made."""
    if type == "Consent":
        store.epochs.begin_in(session)
    store.collection(type).insert_many([RawBSONDocument(each) for each in documents], session=session, ordered=False)


def claim_unclaimed(store: Store, session: ClientSession, keys: list[str], moment: datetime) -> None:
    """Claim keys that nobody has claimed lately, at half the cost of Store.claim. Raises AlreadyClaimed."""
    if not keys:
        return
    claims = [{"_id": key, "at": moment, "n": 1} for key in sorted(set(keys))]
    try:
        store.claims.insert_many(claims, session=session, ordered=False)
    except BulkWriteError as error:
        raise AlreadyClaimed from error
