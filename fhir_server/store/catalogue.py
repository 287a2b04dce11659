"""The search parameters that were added to R4's, how far the records are indexed for them, and the rewriting itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pymongo import ReturnDocument, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

Document = dict[str, Any]
SEARCH_FIELDS = ("x", "k", "r", "s")
ABANDONED = timedelta(minutes=2)  # a run that has not been heard of for so long is taken over


class StoredCatalogue:
    """One document of the collection `setup`."""

    def __init__(self, database: Database[Document]) -> None:
        self._setup = database["setup"]
        self._wanted = {"_id": "parameters"}

    def read(self) -> Document:
        """`generation`, `definitions` and the state of the last run; generation 0 when there is none."""
        return self._setup.find_one(self._wanted) or {"generation": 0, "definitions": [], "state": "none"}

    def begin(self, definitions: list[Document], problems: list[str], total: int, moment: datetime) -> Document | None:
        """Start a run unless one goes on. The new state, or None."""
        state = {"state": "running", "definitions": definitions, "problems": problems, "done": 0, "total": total}
        free = {"$or": [{"state": {"$ne": "running"}}, {"heard": {"$lt": moment - ABANDONED}}]}
        try:
            return self._setup.find_one_and_update(
                {**self._wanted, **free},
                {"$set": {**state, "started": moment, "heard": moment}, "$inc": {"generation": 1}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:
            return None

    def advance(self, done: int, moment: datetime) -> None:
        """Say how far the run is."""
        self._setup.update_one(self._wanted, {"$set": {"done": done, "heard": moment}})

    def end(self, state: str, definitions: list[Document], moment: datetime) -> None:
        """`state` is done or failed."""
        change = {"state": state, "definitions": definitions, "heard": moment}
        self._setup.update_one(self._wanted, {"$set": change, "$inc": {"generation": 1}})


def documents_behind(collection: Collection[Document], behind: str, limit: int) -> list[Document]:
    """The next documents in the order of their ids, with what is needed to index them anew."""
    return list(collection.find({"_id": {"$gt": behind}}, {"json": 1, "v": 1}).sort([("_id", 1)]).limit(limit))


def rewrite_search_fields(collection: Collection[Document], fields: list[tuple[str, int, Document]]) -> None:
    """Give (id, version, search fields) new search fields; a document that has changed meanwhile has them already."""
    changes = []
    for logical_id, version, made in fields:
        change: Document = {"$set": made}
        absent = {name: "" for name in SEARCH_FIELDS if name not in made}
        if absent:
            change["$unset"] = absent
        changes.append(UpdateOne({"_id": logical_id, "v": version}, change))
    if changes:
        collection.bulk_write(changes, ordered=False)
