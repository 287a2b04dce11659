"""Records in MongoDB: one collection for each resource type, `history` for superseded versions, `claims` for
conditional creates.

A document: `_id` logical id, `v` version, `t` last updated, `m` the method that made the version, `o` the patient whose
record it belongs to, `json` the exact text, `resource` the native copy, and the search fields x, k, r, s
(fhir_server/search/entries.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from bson.codec_options import CodecOptions, TypeEncoder, TypeRegistry
from bson.decimal128 import Decimal128
from pymongo import DeleteMany, IndexModel, InsertOne, MongoClient, ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import (
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from .. import r4
from ..errors import Conflict, FhirError, TooLarge, Unavailable, Unprocessable
from ..search.plan import Plan, indexes
from .connection import connect
from .pages import Found, find_page

Document = dict[str, Any]
Session = ClientSession | None
Result = TypeVar("Result")

SERVED = {"json": 1, "v": 1, "t": 1, "m": 1}
CLAIM_SECONDS = 24 * 3600
SEARCH_MILLISECONDS = 30_000
LARGE_TRANSACTIONS = 4  # more at a time overwhelm WiredTiger
WAIT_SECONDS = 30
_OVER_LIMITS = (17280, 10334, 17419, 17420)  # MongoDB's codes for a key or an object that is too large
COUNT_BOUND = 10_000  # matches that an estimate counts one by one


class _DecimalEncoder(TypeEncoder):
    """A decimal keeps its digits in the native copy too."""

    python_type = Decimal

    def transform_python(self, value: Decimal) -> Decimal128:
        return Decimal128(value)


_CODEC: CodecOptions[Document] = CodecOptions(type_registry=TypeRegistry([_DecimalEncoder()]), tz_aware=True)


class Store:
    """The records of one database. Thread-safe; one for each process."""

    def __init__(self, client: MongoClient[Document], database_name: str, uri: str = "") -> None:
        self.client = client
        self.uri = uri
        self.database_name = database_name
        self.database = client.get_database(
            database_name, codec_options=_CODEC, write_concern=WriteConcern("majority", j=True)
        )
        self._ready: dict[str, Collection[Document]] = {}
        self._preparing = threading.Lock()
        self._large = threading.BoundedSemaphore(LARGE_TRANSACTIONS)
        self.history = self.database["history"]
        self.claims = self.database["claims"]
        self.history.create_indexes(
            [
                IndexModel([("type", 1), ("id", 1), ("v", -1)]),
                IndexModel([("type", 1), ("t", -1), ("id", -1)]),
                IndexModel([("t", -1), ("type", -1), ("id", -1)]),
            ]
        )
        self.claims.create_index("at", expireAfterSeconds=CLAIM_SECONDS)

    @classmethod
    def open(cls, uri: str, database: str = "fhir") -> Store:
        """Connect to a replica set. Raises MongoDBUnusable with what to do."""
        return cls(connect(uri), database, uri)

    def close(self) -> None:
        """Give the connections back."""
        self.client.close()

    def ping(self) -> None:
        """Raises Unavailable when MongoDB does not answer."""
        with speaking_plainly():
            self.client.admin.command("ping")

    # ---- collections ------------------------------------------------------------------------------------------------

    def collection(self, resource_type: str) -> Collection[Document]:
        """The collection of a type, with its indexes; made on first use."""
        found = self._ready.get(resource_type)
        if found is None:
            if resource_type not in r4.RESOURCE_TYPES:
                raise KeyError(resource_type)
            with self._preparing:
                found = self._prepare(resource_type)
                self._ready[resource_type] = found
        return found

    def _prepare(self, resource_type: str) -> Collection[Document]:
        collection = self.database[resource_type]
        collection.create_indexes([IndexModel(keys, **options) for keys, options in indexes(resource_type)])
        return collection

    def types(self) -> list[str]:
        """The resource types that have a collection."""
        return sorted(set(self.database.list_collection_names()) & set(r4.RESOURCE_TYPES))

    def estimated_count(self, resource_type: str) -> int:
        """About how many records a type has, from the collection's metadata."""
        return self.collection(resource_type).estimated_document_count()

    # ---- reading ----------------------------------------------------------------------------------------------------

    def current(self, resource_type: str, logical_id: str, *, owner: str | None = None, session: Session = None) -> Any:
        """The live document, or None; with `owner`, None as well when it is another patient's."""
        wanted = {"_id": logical_id} if owner is None else {"_id": logical_id, "o": owner}
        with speaking_plainly(session):
            return self.collection(resource_type).find_one(wanted, {**SERVED, "o": 1}, session=session)

    def currents(
        self, resource_type: str, wanted: Document, *, fields: Document | None = None, limit: int = 0, session: Session
    ) -> list[Document]:
        """The live documents that fulfil a filter."""
        with speaking_plainly(session):
            found = self.collection(resource_type).find(
                wanted, SERVED | (fields or {}), limit=limit, session=session, max_time_ms=SEARCH_MILLISECONDS
            )
            return list(found)

    def last_version(self, resource_type: str, logical_id: str, *, session: Session = None) -> Document | None:
        """The newest superseded version or deletion of a resource, or None."""
        with speaking_plainly(session):
            return self.history.find_one({"type": resource_type, "id": logical_id}, sort=[("v", -1)], session=session)

    def version(self, resource_type: str, logical_id: str, version: int) -> Document | None:
        """A superseded version or deletion, or None."""
        with speaking_plainly():
            return self.history.find_one({"_id": version_key(resource_type, logical_id, version)})

    def search(self, resource_type: str, plan: Plan, limit: int, fields: Document, *, session: Session = None) -> Found:
        """At most `limit` matches from where the page begins."""
        with speaking_plainly(session):
            return find_page(
                self.collection(resource_type),
                plan,
                limit,
                SERVED | fields,
                session=session,
                milliseconds=SEARCH_MILLISECONDS,
            )

    def count(self, resource_type: str, plan: Plan, *, bounded: bool = False, session: Session = None) -> int:
        """How many matches there are; bounded: COUNT_BOUND stands for that many or more."""
        collection = self.collection(resource_type)
        with speaking_plainly(session):
            if not plan.filter and session is None:
                return collection.count_documents({}) if not bounded else collection.estimated_document_count()
            options: Document = {"limit": COUNT_BOUND} if bounded else {}
            return collection.count_documents(plan.filter, session=session, maxTimeMS=SEARCH_MILLISECONDS, **options)

    def history_page(
        self, types: Sequence[str], wanted: Document, behind: tuple[datetime, str, str] | None, limit: int
    ) -> list[Document]:
        """Versions and deletions of all resources of the types, newest first, `limit` at the most.

        Each has `type` and `id`. `behind` is the (t, type, id) the page starts after.
        """
        found: list[Document] = []
        order = [("t", -1), ("_id", -1)]
        with speaking_plainly():
            for each in types:
                filters = [wanted, _before(behind, each, "_id")]
                for document in self.collection(each).find(_all(filters), SERVED).sort(order).limit(limit):
                    found.append({**document, "type": each, "id": document["_id"]})
            superseded = [wanted, {"type": {"$in": list(types)}} if len(types) < len(r4.RESOURCE_TYPES) else {}]
            superseded.append(_history_before(behind))
            newest = [("t", -1), ("type", -1), ("id", -1)]
            found += self.history.find(_all(superseded)).sort(newest).limit(limit)
        found.sort(key=lambda document: (document["t"], document["type"], document["id"]), reverse=True)
        return found[:limit]

    def versions(
        self, resource_type: str, logical_id: str, wanted: Document, below: int | None, limit: int
    ) -> list[Document]:
        """Superseded versions and deletions of one resource, newest first."""
        filters = [{"type": resource_type, "id": logical_id}, wanted]
        if below is not None:
            filters.append({"v": {"$lt": below}})
        with speaking_plainly():
            return list(self.history.find(_all(filters)).sort([("v", -1)]).limit(limit))

    # ---- writing ----------------------------------------------------------------------------------------------------

    def insert(self, resource_type: str, document: Document) -> None:
        """Store the first version of a resource. Raises Conflict if the id is taken."""
        with speaking_plainly():
            self.collection(resource_type).insert_one(document)

    def transact(self, work: Callable[[ClientSession], Result], *, large: bool = False) -> Result:
        """Run `work` in one transaction, again on a conflict with another one: all of it is kept, or nothing."""
        if large and not self._large.acquire(timeout=WAIT_SECONDS):
            raise Unavailable("Too many large transactions run at once; send this one again later.", retry_after=10)
        try:
            with speaking_plainly(), self.client.start_session() as session:
                return session.with_transaction(
                    work, read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority", j=True)
                )
        finally:
            if large:
                self._large.release()

    def claim(self, keys: Iterable[str], moment: datetime, session: ClientSession) -> None:
        """Make this transaction collide with every other one that claims one of the keys."""
        for key in sorted(set(keys)):
            self.claims.update_one(
                {"_id": key}, {"$set": {"at": moment}, "$inc": {"n": 1}}, upsert=True, session=session
            )

    def write(
        self,
        session: ClientSession,
        *,
        creates: dict[str, list[Document]],
        replaces: dict[str, list[Document]],
        deletes: dict[str, list[str]],
        superseded: list[Document],
    ) -> None:
        """All writes of a transaction: one bulk for each collection."""
        if superseded:
            self.history.insert_many(superseded, session=session, ordered=False)
        for resource_type in sorted({*creates, *replaces, *deletes}):
            new, changed = creates.get(resource_type, []), replaces.get(resource_type, [])
            gone = deletes.get(resource_type, [])
            collection = self.collection(resource_type)
            if len(new) == 1 and not changed and not gone:
                collection.insert_one(new[0], session=session)
            elif len(changed) == 1 and not new and not gone:
                collection.replace_one({"_id": changed[0]["_id"]}, changed[0], session=session)
            elif new and not changed and not gone:
                collection.insert_many(new, session=session, ordered=False)
            else:
                operations: list[Any] = [InsertOne(document) for document in new]
                operations += [ReplaceOne({"_id": document["_id"]}, document) for document in changed]
                operations += [DeleteMany({"_id": {"$in": gone}})] if gone else []
                collection.bulk_write(operations, session=session, ordered=False)


def version_key(resource_type: str, logical_id: str, version: int) -> str:
    """The key of a version in `history`."""
    return f"{resource_type}/{logical_id}/{version:010d}"


def superseded_version(resource_type: str, document: Document) -> Document:
    """What is kept in `history` of a document that is replaced or deleted: its text, not its search fields."""
    kept: Document = {name: document[name] for name in ("v", "t", "m", "o", "json") if name in document}
    return {
        "_id": version_key(resource_type, document["_id"], document["v"]),
        "type": resource_type,
        "id": document["_id"],
        **kept,
    }


def deletion(resource_type: str, document: Document, moment: datetime) -> Document:
    """The version that a deletion makes: https://hl7.org/fhir/R4/http.html#delete"""
    version = document["v"] + 1
    made: Document = {
        "_id": version_key(resource_type, document["_id"], version),
        "type": resource_type,
        "id": document["_id"],
        "v": version,
        "t": moment,
        "m": "DELETE",
    }
    return made | ({"o": document["o"]} if "o" in document else {})


def _all(filters: list[Document]) -> Document:
    kept = [each for each in filters if each]
    return {"$and": kept} if kept else {}


def _before(behind: tuple[datetime, str, str] | None, resource_type: str, id_field: str) -> Document:
    if behind is None:
        return {}
    moment, at_type, at_id = behind
    if resource_type > at_type:
        return {"t": {"$lt": moment}}
    if resource_type < at_type:
        return {"t": {"$lte": moment}}
    return {"$or": [{"t": {"$lt": moment}}, {"t": moment, id_field: {"$lt": at_id}}]}


def _history_before(behind: tuple[datetime, str, str] | None) -> Document:
    if behind is None:
        return {}
    moment, at_type, at_id = behind
    return {
        "$or": [
            {"t": {"$lt": moment}},
            {"t": moment, "type": {"$lt": at_type}},
            {"t": moment, "type": at_type, "id": {"$lt": at_id}},
        ]
    }


@contextmanager
def speaking_plainly(session: Session = None) -> Iterator[None]:
    """Turn what the driver raises into what a caller can act on.

    Inside a transaction (with a session) nothing is turned: `transact` must see a conflict to run its work again.
    """
    try:
        yield
    except PyMongoError as error:
        if session is not None:
            raise
        raise _plain(error) from error
    except OverflowError:
        raise Unprocessable("The resource holds a whole number of more than 64 bits.") from None


def _plain(error: PyMongoError) -> FhirError:
    too_large = TooLarge("The resource is larger than can be stored (16 MB with its index entries).")
    if isinstance(error, DuplicateKeyError):
        return Conflict("A resource with this id was written at the same moment; read it and try again.")
    if isinstance(error, DocumentTooLarge):
        return too_large
    if isinstance(error, ExecutionTimeout):
        narrow = "The search took too long; narrow it, for example to a patient, a code or a date."
        return Unprocessable(narrow, code="too-costly")
    if error.has_error_label("TransientTransactionError"):
        return Unavailable("The write collided with others again and again; send it again.")
    if isinstance(error, OperationFailure):
        if error.code in _OVER_LIMITS:
            return too_large
        raise error
    return Unavailable("The database does not answer; try again.")
