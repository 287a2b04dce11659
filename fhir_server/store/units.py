"""Which units each kind of quantity was ever stored in: a search in grams looks for the units that are there.

Noted before the write that brings a new one, so that no stored unit is ever missing here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pymongo.database import Database

Document = dict[str, Any]


class SeenUnits:
    """Range field -> UCUM codes, kept in the collection `units`. One for each process."""

    def __init__(self, database: Database[Document]) -> None:
        self._collection = database["units"]
        self._known: set[tuple[str, str]] = set()

    def note(self, documents: Iterable[Document]) -> None:
        """Remember the units of documents about to be written."""
        for document in documents:
            for name, entry in document.get("r", {}).items():
                for each in entry.get("all") or (entry,):
                    code = each.get("code")
                    if code is not None and (name, code) not in self._known:
                        self._collection.update_one({"_id": name}, {"$addToSet": {"codes": code}}, upsert=True)
                        self._known.add((name, code))

    def of(self, name: str) -> frozenset[str]:
        """The units a range field was ever stored in."""
        found = self._collection.find_one({"_id": name}) or {}
        return frozenset(found.get("codes", ()))
