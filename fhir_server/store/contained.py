"""The collections of contained resources, one for each of their types, written with the records that contain them.

`contained.Medication` holds every Medication inside another resource: https://hl7.org/fhir/R4/search.html#contained. A
record without contained resources, before and after a write, costs nothing here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pymongo import DeleteMany, IndexModel, InsertOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database

from ..resource.exact import reread
from ..search.contained import BY_CONTAINER, contained_indexes, contained_types
from ..search.paging import SortKey
from ..search.plan import Plan
from .pages import both, find_page

Document = dict[str, Any]

APART = "contained"
"""The key under which a document to be written carries the documents of what it contains: type -> documents."""


class ContainedRecords:
    """The contained resources of one database. One for each process."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._ready: dict[str, Collection[Document]] = {}
        self._preparing = threading.Lock()

    def collection(self, resource_type: str) -> Collection[Document]:
        """The collection of a contained type, with its indexes; made on first use."""
        found = self._ready.get(resource_type)
        if found is None:
            with self._preparing:
                found = self._database[f"contained.{resource_type}"]
                found.create_indexes(
                    [IndexModel(keys, **options) for keys, options in contained_indexes(resource_type)]
                )
                self._ready[resource_type] = found
        return found

    def prepare(self, types: Iterable[str]) -> None:
        """Make the collections before a transaction begins, which could not see them otherwise."""
        for each in types:
            self.collection(each)

    def forget_collections(self) -> None:
        """Have the indexes made anew on the next use."""
        self._ready = {}

    def write(self, session: ClientSession, documents: Iterable[Document], superseded: Iterable[Document]) -> None:
        """Within a transaction: what the superseded versions contained goes, what the documents contain comes."""
        gone: dict[str, list[str]] = {}
        for version in superseded:
            if '"contained"' in (version.get("json") or ""):
                for kind in contained_types(reread(version["json"].encode())):
                    gone.setdefault(kind, []).append(f"{version['type']}/{version['id']}")
        new: dict[str, list[Document]] = {}
        for document in documents:
            for kind, several in document.get(APART, {}).items():
                new.setdefault(kind, []).extend(several)
        for kind in sorted({*gone, *new}):
            operations: list[Any] = [DeleteMany({"c": {"$in": gone[kind]}})] if kind in gone else []
            operations += [InsertOne(document) for document in new.get(kind, ())]
            self.collection(kind).bulk_write(operations, session=session)

    def siblings(
        self, resource_type: str, plan: Plan, containers: list[str], fields: Document, limit: int, **options: Any
    ) -> list[Document]:
        """The matches of a plan in some containers, in its order, wherever the page begins."""
        wanted = both(plan.filter, {"c": {"$in": containers}})
        keys = [SortKey("_id")] if plan.words else plan.keys
        narrowed = replace(plan, filter=wanted, keys=keys, start=None, words=[], word_start=None, hint=BY_CONTAINER)
        words = {"x": 1} if plan.words else {}
        found = find_page(self.collection(resource_type), narrowed, limit, fields | words, **options).documents
        if plan.words:
            found.sort(key=lambda each: _least_word(each["x"], plan.words))
        return found

    def count_containers(self, resource_type: str, plan: Plan, bound: int | None, **options: Any) -> int:
        """How many resources contain a match, at most `bound`."""
        stages: list[Document] = [{"$match": plan.filter}, {"$group": {"_id": "$c"}}]
        stages += [{"$limit": bound}] if bound else []
        counted = list(self.collection(resource_type).aggregate([*stages, {"$count": "n"}], **options))
        return counted[0]["n"] if counted else 0


def inner_documents(documents: Iterable[Document]) -> list[Document]:
    """The documents of all that some documents contain."""
    return [each for document in documents for several in document.get(APART, {}).values() for each in several]


def without_contained(document: Document) -> Document:
    """The document as it is stored in the collection of its own type."""
    return {name: each for name, each in document.items() if name != APART} if APART in document else document


def _least_word(tokens: list[str], words: list[tuple[str, str]]) -> str:
    """By which of its tokens a match is read."""
    return min(token for token in tokens if any(low <= token < high for low, high in words))
