"""Records in MongoDB: one collection for each resource type, `history` for superseded versions, `claims` for
conditional creates.

A document: `_id` logical id, `v` version, `t` last updated, `m` the method that made the version, `o` the patient whose
record it belongs to, `l` its restricted labels, `a` the patient who made the version, `g` and `n` what it opens and hides
(fhir_server/access/), `json` the exact text, `resource` the native copy, and the search fields x, k, r, s
(fhir_server/search/entries.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from time import monotonic
from typing import Any, TypeVar

from bson.codec_options import CodecOptions, TypeEncoder, TypeRegistry
from bson.decimal128 import Decimal128
from pymongo import DeleteMany, IndexModel, InsertOne, MongoClient, ReplaceOne, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from .. import r4
from ..epochs import Epochs
from ..errors import MethodNotAllowed, Unavailable
from ..search.plan import Plan, indexes
from .care import StoredCare, hides
from .connection import connect
from .contained import APART, ContainedRecords, inner_documents, without_contained
from .counters import StoredCounters
from .distinct import distinct_tokens
from .failures import speaking_plainly, too_large_to_keep, was_aborted
from .merges import StoredMerges
from .pages import Found, find_page, referring_tokens
from .units import SeenUnits

Document = dict[str, Any]
Session = ClientSession | None
Result = TypeVar("Result")

SERVED = {"json": 1, "v": 1, "t": 1, "m": 1, "o": 1, "l": 1, "a": 1}
CLAIM_SECONDS = 24 * 3600
SEARCH_MILLISECONDS = 30_000
LARGE_TRANSACTIONS = 4  # more at a time overwhelm WiredTiger
WAIT_SECONDS: float = 30
ABORTED_TRIES = 10  # of one transaction; what the cache cannot hold is aborted every time, in about half a second
TRANSACTION_SECONDS: float = 60  # MongoDB's own default for transactionLifetimeLimitSeconds
DELETIONS = [("type", 1), ("id", 1), ("t", 1)]
COUNT_BOUND = 10_000  # matches that an estimate counts one by one


class _DecimalEncoder(TypeEncoder):
    """A decimal keeps its digits in the native copy too."""

    python_type = Decimal

    def transform_python(self, value: Decimal) -> Decimal128:
        return Decimal128(value)


CODEC: CodecOptions[Document] = CodecOptions(type_registry=TypeRegistry([_DecimalEncoder()]), tz_aware=True)


class Store:
    """The records of one database. Thread-safe; one for each process."""

    def __init__(self, client: MongoClient[Document], database_name: str, uri: str = "") -> None:
        self.client = client
        self.uri = uri
        self.database_name = database_name
        self.database = client.get_database(
            database_name, codec_options=CODEC, write_concern=WriteConcern("majority", j=True)
        )
        self.units = SeenUnits(self.database)
        self.contained = ContainedRecords(self.database)
        self.merges = StoredMerges(self.database)
        self.counters = StoredCounters(self.database)
        self.care = StoredCare(self.database)
        self.epochs = Epochs(self.database)
        self._ready: dict[str, Collection[Document]] = {}
        self._preparing = threading.Lock()
        self._large = threading.BoundedSemaphore(LARGE_TRANSACTIONS)
        self.sealed: frozenset[str] = frozenset()
        """Types that nobody writes through here: this server itself adds to them in another way."""
        self.wait_seconds = WAIT_SECONDS
        self.transaction_seconds = TRANSACTION_SECONDS
        self.history = self.database["history"]
        self.claims = self.database["claims"]
        self.history.create_indexes(
            [
                IndexModel([("type", 1), ("id", 1), ("v", -1)]),
                # `e` is read from the index where a moment of the past is asked for: most versions had ended by then.
                IndexModel([("type", 1), ("t", -1), ("id", -1), ("e", 1)]),
                IndexModel([("t", -1), ("type", -1), ("id", -1), ("e", 1)]),
                # An export looks for deletions, which are few, in the order of their ids.
                IndexModel(DELETIONS, partialFilterExpression={"m": "DELETE"}),
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

    def collections(self, resource_type: str) -> tuple[Collection[Document], Collection[Document]]:
        """Where the resources of a type are: the free-standing ones, and the contained ones."""
        return self.collection(resource_type), self.contained.collection(resource_type)

    def forget_collections(self) -> None:
        """Have each collection's indexes made anew on its next use: the search parameters have changed."""
        self._ready = {}
        self.contained.forget_collections()

    def types(self) -> list[str]:
        """The resource types that have a collection."""
        return sorted(set(self.database.list_collection_names()) & set(r4.RESOURCE_TYPES))

    def estimated_count(self, resource_type: str) -> int:
        """About how many resources of a type there are, contained ones too, from the collections' metadata."""
        return sum(each.estimated_document_count() for each in self.collections(resource_type))

    # ---- reading ----------------------------------------------------------------------------------------------------

    def current(self, resource_type: str, logical_id: str, *, session: Session = None) -> Any:
        """The live document, or None."""
        with speaking_plainly(session):
            return self.collection(resource_type).find_one({"_id": logical_id}, SERVED, session=session)

    def currents(
        self, resource_type: str, wanted: Document, *, fields: Document | None = None, limit: int = 0, session: Session
    ) -> list[Document]:
        """The live documents that fulfil a filter, as they are served and with `fields` beside."""
        return self.bare(resource_type, wanted, SERVED | (fields or {}), limit=limit, session=session)

    def bare(
        self, resource_type: str, wanted: Document, fields: Document, *, limit: int = 0, session: Session
    ) -> list[Document]:
        """The same with their ids and `fields` only: no text is fetched that nobody reads."""
        with speaking_plainly(session):
            found = self.collection(resource_type).find(
                wanted, {"_id": 1, **fields}, limit=limit, session=session, max_time_ms=SEARCH_MILLISECONDS
            )
            return list(found)

    def distinct(self, resource_type: str, beginning: str, limit: int) -> list[str]:
        """At most `limit` different tokens of a type that begin so, ascending, without the beginning."""
        collection = self.collection(resource_type)
        return distinct_tokens(collection, beginning, limit, milliseconds=SEARCH_MILLISECONDS)

    def last_version(self, resource_type: str, logical_id: str, *, session: Session = None) -> Document | None:
        """The newest superseded version or deletion of a resource, or None."""
        with speaking_plainly(session):
            return self.history.find_one({"type": resource_type, "id": logical_id}, sort=[("v", -1)], session=session)

    def last_versions(self, resource_type: str, ids: list[str], *, session: Session = None) -> dict[str, Document]:
        """The same for several resources, by id, without the texts."""
        wanted = {"type": resource_type, "id": {"$in": ids}}
        with speaking_plainly(session):
            found = self.history.find(wanted, {"json": 0}, session=session).sort([("v", 1)])
            return {document["id"]: document for document in found}

    def version(self, resource_type: str, logical_id: str, version: int, *, session: Session = None) -> Document | None:
        """A superseded version or deletion, or None."""
        with speaking_plainly(session):
            return self.history.find_one({"_id": version_key(resource_type, logical_id, version)}, session=session)

    def search(
        self,
        resource_type: str,
        plan: Plan,
        limit: int,
        fields: Document,
        *,
        contained: bool = False,
        session: Session = None,
    ) -> Found:
        """At most `limit` matches from where the page begins, free-standing or contained ones."""
        with speaking_plainly(session):
            return find_page(
                self.contained.collection(resource_type) if contained else self.collection(resource_type),
                plan,
                limit,
                SERVED | fields,
                session=session,
                milliseconds=SEARCH_MILLISECONDS,
            )

    def referring_tokens(
        self, resource_type: str, wanted: Document, tokens: list[str], *, session: Session = None
    ) -> set[str]:
        """Which of some tokens the matches of a filter hold."""
        with speaking_plainly(session):
            return referring_tokens(self.collection(resource_type), wanted, tokens, session)

    def siblings(
        self,
        resource_type: str,
        plan: Plan,
        containers: list[str],
        limit: int,
        fields: Document,
        *,
        session: Session = None,
    ) -> list[Document]:
        """All contained matches, at most `limit`, in some containers, in the order of the plan."""
        with speaking_plainly(session):
            return self.contained.siblings(
                resource_type,
                plan,
                containers,
                SERVED | fields,
                limit,
                session=session,
                milliseconds=SEARCH_MILLISECONDS,
            )

    def count_containers(
        self, resource_type: str, plan: Plan, *, bounded: bool = False, session: Session = None
    ) -> int:
        """How many resources contain a match; bounded as in `count`."""
        bound = COUNT_BOUND if bounded else None
        with speaking_plainly(session):
            return self.contained.count_containers(
                resource_type, plan, bound, session=session, maxTimeMS=SEARCH_MILLISECONDS
            )

    def count(
        self,
        resource_type: str,
        plan: Plan,
        *,
        bounded: bool = False,
        contained: bool = False,
        session: Session = None,
    ) -> int:
        """How many matches there are; bounded: COUNT_BOUND stands for that many or more."""
        collection = self.contained.collection(resource_type) if contained else self.collection(resource_type)
        with speaking_plainly(session):
            if not plan.filter and session is None:
                return collection.count_documents({}) if not bounded else collection.estimated_document_count()
            options: Document = {"limit": COUNT_BOUND} if bounded else {}
            return collection.count_documents(plan.filter, session=session, maxTimeMS=SEARCH_MILLISECONDS, **options)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def insert(self, resource_type: str, document: Document) -> None:
        """Store the first version of a resource. Raises Conflict if the id is taken, MethodNotAllowed for a sealed type."""
        self.refuse_sealed(resource_type)
        if APART in document or hides(resource_type, [document]):
            creates = {resource_type: [document]}
            self.collection(resource_type)
            return self.transact(
                lambda session: self.write(session, creates=creates, replaces={}, deletes={}, superseded=[])
            )
        self.units.note([document])
        with speaking_plainly():
            self.collection(resource_type).insert_one(document)

    def transact(self, work: Callable[[ClientSession], Result], *, large: bool = False) -> Result:
        """Run `work` in one transaction, again on a conflict with another one: all of it is kept, or nothing.

        Raises Unavailable when too many large ones run, TooLarge when MongoDB cannot carry it to its end.
        """
        if large and not self._large.acquire(timeout=self.wait_seconds):
            raise Unavailable("Too many large transactions run at once; send this one again later.", retry_after=10)
        aborted = 0

        def attempt(session: ClientSession) -> Result:
            nonlocal aborted
            began = monotonic()
            try:
                return work(session)
            except PyMongoError as error:
                aborted += was_aborted(error)
                lasted = monotonic() - began
                if was_aborted(error) and (lasted >= self.transaction_seconds or aborted == ABORTED_TRIES):
                    raise too_large_to_keep(lasted, self.transaction_seconds) from error
                raise

        try:
            with speaking_plainly(), self.client.start_session() as session:
                result = session.with_transaction(
                    attempt, read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority", j=True)
                )
        finally:
            if large:
                self._large.release()
        if self.epochs.began_in(session):
            self.epochs.wait()
        return result

    def claim(self, keys: Iterable[str], moment: datetime, session: ClientSession) -> None:
        """Make this transaction collide with every other one that claims one of the keys."""
        change = {"$set": {"at": moment}, "$inc": {"n": 1}}
        wanted = [{"_id": key} for key in sorted(set(keys))]
        if len(wanted) == 1:
            self.claims.update_one(wanted[0], change, upsert=True, session=session)
        elif wanted:
            self.claims.bulk_write([UpdateOne(each, change, upsert=True) for each in wanted], session=session)

    def write(
        self,
        session: ClientSession,
        *,
        creates: dict[str, list[Document]],
        replaces: dict[str, list[Document]],
        deletes: dict[str, list[str]],
        superseded: list[Document],
    ) -> None:
        """All writes of a transaction: one bulk for each collection. Raises MethodNotAllowed for a sealed type."""
        self.refuse_sealed(*creates, *replaces, *deletes)
        written = [document for several in (*creates.values(), *replaces.values()) for document in several]
        self.units.note([*written, *inner_documents(written)])
        self.contained.write(session, written, superseded)
        if superseded:
            self.history.insert_many(superseded, session=session, ordered=False)
        if self.care.is_changed(session, creates, replaces, deletes):
            self.epochs.begin_in(session)
        for resource_type in sorted({*creates, *replaces, *deletes}):
            new = [without_contained(document) for document in creates.get(resource_type, ())]
            changed = [without_contained(document) for document in replaces.get(resource_type, ())]
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

    def refuse_sealed(self, *types: str) -> None:
        """Raises MethodNotAllowed where one of these types is written by the server alone."""
        for each in self.sealed.intersection(types):
            raise MethodNotAllowed(
                f"{each} resources are written by this server alone, and never changed or deleted: read them.",
                allow="GET",
            )


def version_key(resource_type: str, logical_id: str, version: int) -> str:
    """The key of a version in `history`."""
    return f"{resource_type}/{logical_id}/{version:010d}"


def superseded_version(resource_type: str, document: Document, until: datetime) -> Document:
    """What is kept in `history` of a document that is replaced or deleted then: its text, not its search fields."""
    kept: Document = {name: document[name] for name in ("v", "t", "m", "o", "l", "a", "json") if name in document}
    return {
        "_id": version_key(resource_type, document["_id"], document["v"]),
        "type": resource_type,
        "id": document["_id"],
        "e": until,
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
        "e": moment + timedelta(milliseconds=1),
        "m": "DELETE",
    }
    return made | {name: document[name] for name in ("o", "l") if name in document}
