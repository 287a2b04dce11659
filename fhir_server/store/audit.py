"""The hash chains of AuditEvents in MongoDB, and how far each has come.

A chain is what one spool directory has shipped. An event's id is its chain and its number in it; `a` holds its place:
`n` the number, `p` the hash of the event before, `h` its own. `audit_heads` holds the last number and hash of each
chain, changed in the transaction that adds events: what is cut off at the end is missed there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ..errors import Conflict
from .failures import speaking_plainly
from .records import Document, Store

AUDITED = "AuditEvent"
BEGINNING = "0" * 64
"""What the first event of a chain has for the hash of the one before."""
_DIGITS = 12
_STREAMED = 500  # documents that MongoDB sends at a time


def event_id(chain: str, number: int) -> str:
    """The logical id of an event: those of a chain stand together, in their order."""
    return f"{chain}-{number:0{_DIGITS}d}"


def place_of(logical_id: str) -> tuple[str, int] | None:
    """(chain, number) in an id that `event_id` has made; None for another one."""
    chain, _, number = logical_id.rpartition("-")
    return (chain, int(number)) if chain and len(number) == _DIGITS and number.isdecimal() else None


def link(previous: str, logical_id: str, text: str) -> str:
    """The hash of an event: over the hash before, its id, and its text as it is served."""
    return hashlib.sha256(f"{previous}\n{logical_id}\n{text}".encode()).hexdigest()


class AuditChains:
    """The chains in one database."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._heads = store.database["audit_heads"]

    def head(self, chain: str) -> Document:
        """`n`, `h` and `spool` (segment -> how much of it was shipped) of a chain; of a new one, those of its beginning."""
        with speaking_plainly():
            found = self._heads.find_one({"_id": chain})
        return found or {"_id": chain, "n": 0, "h": BEGINNING, "spool": []}

    def append(self, head: Document, documents: list[Document], spool: dict[str, int], moment: datetime) -> Document:
        """Add events, numbered and linked already, behind a head; all of them or none. The new head.

        `spool` is where the spool was read up to. Raises Conflict when another process has added to the chain.
        """
        collection = self._store.collection(AUDITED)
        last = documents[-1]["a"] if documents else head
        positions = [{"segment": name, "position": position} for name, position in sorted(spool.items())]
        new: Document = {"_id": head["_id"], "n": last["n"], "h": last["h"], "t": moment, "spool": positions}

        def work(session: Any) -> None:
            if documents:
                collection.insert_many(documents, session=session, ordered=True)
            if head["n"] == 0 and not head["spool"]:
                self._heads.insert_one(new, session=session)
            elif not self._heads.replace_one(
                {"_id": head["_id"], "n": head["n"], "h": head["h"]}, new, session=session
            ).matched_count:
                raise Conflict(f"Two processes add to the audit chain {head['_id']}: its spool directory was copied.")

        self._store.transact(work)
        return new

    def heads(self) -> Iterator[Document]:
        """All heads, by the name of their chain."""
        with speaking_plainly():
            yield from self._heads.find({}, {"spool": 0}).sort([("_id", 1)])

    def events(self) -> Iterator[Document]:
        """All AuditEvents in the order of their ids: chain by chain, event by event. Holds a batch of them at a time."""
        with speaking_plainly():
            yield from self._store.collection(AUDITED).find({}, batch_size=_STREAMED).sort([("_id", 1)])
