"""Numbers that are given once each, counted up under a name in the collection `counters`."""

from __future__ import annotations

from typing import Any

from pymongo import ReturnDocument
from pymongo.database import Database

from .failures import speaking_plainly


class StoredCounters:
    """The counters of one database."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._collection = database["counters"]

    def next(self, name: str) -> int:
        """The next number under a name, from 1; nobody else is given it, however many ask at once."""
        with speaking_plainly():
            found = self._collection.find_one_and_update(
                {"_id": name}, {"$inc": {"last": 1}}, upsert=True, return_document=ReturnDocument.AFTER
            )
        assert found is not None  # upserted
        number: int = found["last"]
        return number
