"""The records as they stood at one moment, read part by part for as long as it takes.

MongoDB keeps a snapshot for minutes, and reading a population takes hours. So a snapshot is opened once, shortly, to
mark the records that were written just before it: which of those writes it holds. Of everything else the time stamps
tell, since nothing is committed later than SETTLED after its stamp. Each part is a range of ids read in one transaction:
what has not changed since then from the collection, what has from `history`. So a record is in exactly one part, in the
version of that moment, and a transaction is seen whole or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure

from .failures import speaking_plainly
from .records import DELETIONS, Document, Store, version_key

SETTLED = timedelta(minutes=2)
"""A version is stamped, then committed; MongoDB ends a transaction after 60 s, and looks for such ones every 30 s."""
READ = 1_000  # documents of a part
PART_BYTES = 4_000_000  # of text; a part is kept as one document
FEW = 5_000  # changes that are sorted for each part
_SLICE = 100  # changed ones whose texts are read together
_TRIES, _PAUSE = 20, 0.1
_SNAPSHOT_UNAVAILABLE = 246  # a collection or an index was made this instant
_BY_ID, _BY_TIME = [("_id", 1)], [("t", 1), ("_id", 1)]
_VERSIONS = [("type", 1), ("id", 1), ("v", -1)]
_FIELDS = {"json": 1, "v": 1, "t": 1, "o": 1, "l": 1}


@dataclass(frozen=True, slots=True)
class Part:
    """Records of a range of ids: `same` stand in the collection as they did then, `changed` come from wherever they are.

    Each has `_id`, `v`, `t` and `json`; `behind` is the id that the next part begins behind, None after the last one.
    """

    same: list[Document]
    changed: list[Document]
    behind: str | None


class Moment:
    """One moment, under a name that is given once and never to another moment."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._marks = store.database["moments"]

    def mark(self, floor: datetime, beat: Callable[[], None]) -> list[str]:
        """Make now the moment: the types there are. `floor` is SETTLED before now; `beat` is called while it goes on."""
        for tries in range(1, _TRIES + 1):
            try:
                return self._mark(floor, beat)
            except OperationFailure as error:
                if error.code != _SNAPSHOT_UNAVAILABLE or tries == _TRIES:
                    raise
                self._forget()
                time.sleep(_PAUSE)
        raise AssertionError

    def _mark(self, floor: datetime, beat: Callable[[], None]) -> list[str]:
        with self._store.client.start_session(snapshot=True) as session:
            recent = {"m": "DELETE", "t": {"$gt": floor}}
            gone = self._store.history.find(recent, {"type": 1, "id": 1}, session=session)
            self._note(((each["type"], each["id"], 0) for each in gone), beat)
            types = self._store.types()  # after the first read, which made the snapshot: none of it can be missing
            for type in types:
                found = self._store.collection(type).find({"t": {"$gt": floor}}, {"v": 1}, session=session)
                self._note(((type, each["_id"], each["v"]) for each in found), beat)
        return types

    def _note(self, versions: Iterator[tuple[str, str, int]], beat: Callable[[], None]) -> None:
        while some := list(islice(versions, READ)):
            changes = [UpdateOne({"_id": self._key(t, i)}, {"$set": {"v": v}}, upsert=True) for t, i, v in some]
            self._marks.bulk_write(changes, ordered=False)
            beat()

    def overtaken(self, floor: datetime, until: datetime, beat: Callable[[], None]) -> datetime | None:
        """The earliest stamp up to `until` of a record that was committed after the moment, None when there is none.

        Whoever asks for what has changed since `until` would never see it.
        """
        stamps: list[datetime] = []
        with speaking_plainly():
            for type in self._store.types():
                between = {"t": {"$gt": floor, "$lte": until}}
                found = iter(self._store.collection(type).find(between, {"v": 1, "t": 1}))
                while some := {self._key(type, each["_id"]): each for each in islice(found, READ)}:
                    marked = {each["_id"]: each["v"] for each in self._marks.find({"_id": {"$in": list(some)}})}
                    late = [each["t"] for key, each in some.items() if marked.get(key) != each["v"]]
                    stamps += [min(late)] if late else []
                    beat()
        return min(stamps, default=None)

    def _forget(self) -> None:
        self._marks.delete_many({"_id": {"$gte": f"{self._name}/", "$lt": f"{self._name}0"}})

    def part(
        self,
        type: str,
        floor: datetime,
        behind: str,
        wanted: Document,
        fields: Document,
        session: ClientSession,
        since: datetime | None = None,
    ) -> Part:
        """The next records of a type behind an id: of the unchanged those that fulfil `wanted`, of the others all.

        With `since` only those that were stamped after it.
        """
        same, edge = self._current(type, behind, wanted, fields, session, since)
        changed, edge = self._changed(type, floor, behind, edge, session)
        return Part(
            [each for each in same if each["t"] <= floor and (edge is None or each["_id"] <= edge)],
            [each for each in changed if since is None or each["t"] > since],
            edge,
        )

    def _current(
        self,
        type: str,
        behind: str,
        wanted: Document,
        fields: Document,
        session: ClientSession,
        since: datetime | None,
    ) -> tuple[list[Document], str | None]:
        """The current records behind an id, and the id up to which these are all.

        Changed ones among them are read for nothing; to leave them out would be to read through all of them each time.
        """
        collection = self._store.collection(type)
        recent: Document = {} if since is None else {"t": {"$gt": since}}
        asked = {"$and": [{"_id": {"$gt": behind}}, *(each for each in (recent, wanted) if each)]}
        hint = None if wanted else _BY_ID if since is None else self._way(type, since, session)
        cursor = collection.find(asked, _FIELDS | fields, session=session, hint=hint).sort("_id").limit(READ)
        found: list[Document] = []
        size = 0
        for document in cursor:
            found.append(document)
            size += len(document["json"])
            if size >= PART_BYTES:
                cursor.close()
                return found, document["_id"]
        return found, found[-1]["_id"] if len(found) == READ else None

    def _way(self, type: str, since: datetime, session: ClientSession) -> list[tuple[str, int]]:
        """The index by which to read in the order of ids what was stamped after a moment: bounded whichever it is.

        MongoDB's own choice is made for one part and kept for others, where it may sort all changes again for each.
        """
        recent = {"t": {"$gt": since}}
        several = self._store.collection(type).count_documents(recent, limit=FEW, hint=_BY_TIME, session=session)
        return _BY_TIME if several < FEW else _BY_ID

    def _changed(
        self, type: str, floor: datetime, behind: str, edge: str | None, session: ClientSession
    ) -> tuple[list[Document], str | None]:
        """The records behind an id that have changed since, as they were, and the id up to which these are all."""
        between: Document = {"$gt": behind} | ({} if edge is None else {"$lte": edge})
        recent = {"t": {"$gt": floor}}
        way = self._way(type, floor, session)
        found = self._store.collection(type).find({"_id": between, **recent}, {"v": 1}, session=session, hint=way)
        live = {each["_id"]: each["v"] for each in found.sort("_id").limit(READ)}
        deleted = {"type": type, "m": "DELETE", "id": between, **recent}
        ends = self._store.history.find(deleted, {"id": 1}, session=session, hint=DELETIONS).sort("id").limit(READ)
        gone = [each["id"] for each in ends]
        edge = min((max(several) for several in (live, gone) if len(several) == READ), default=edge)
        ids = sorted(each for each in {*live, *gone} if edge is None or each <= edge)
        documents: list[Document] = []
        size = 0
        for start in range(0, len(ids), _SLICE):
            some = ids[start : start + _SLICE]
            as_they_were = self._as_they_were(type, floor, some, live, session)
            documents += as_they_were
            size += sum(len(each["json"]) for each in as_they_were)
            if size >= PART_BYTES and start + _SLICE < len(ids):
                return documents, some[-1]
        return documents, edge

    def _as_they_were(
        self, type: str, floor: datetime, ids: list[str], live: dict[str, int], session: ClientSession
    ) -> list[Document]:
        keys = {self._key(type, id): id for id in ids}
        marks = self._marks.find({"_id": {"$in": list(keys)}}, session=session)
        marked = {keys[each["_id"]]: each["v"] for each in marks}
        here = [id for id, version in marked.items() if version and live.get(id) == version]
        kept = [version_key(type, id, v) for id, v in marked.items() if v and live.get(id) != v]
        older = [id for id in ids if id not in marked]
        history, collection = self._store.history, self._store.collection(type)
        then = {"type": type, "id": {"$in": older}, "t": {"$lte": floor}, "e": {"$gt": floor}}
        found = [
            *_read(collection.find({"_id": {"$in": here}}, _FIELDS, session=session)),
            *_read(history.find({"_id": {"$in": kept}}, _FIELDS | {"id": 1}, session=session)),
            *_read(history.find(then, _FIELDS | {"id": 1}, session=session, hint=_VERSIONS)),
        ]
        return sorted((each for each in found if "json" in each), key=lambda each: each["_id"])

    def _key(self, type: str, id: str) -> str:
        return f"{self._name}/{type}/{id}"


def moment_name(job_id: str, attempt: int) -> str:
    """A name for the moment of a job: a process that takes the job up anew makes another one."""
    return f"{job_id}.{attempt}"


def forget_moments(store: Store, job_id: str) -> None:
    """Remove the marks of all moments of a job."""
    with speaking_plainly():
        store.database["moments"].delete_many({"_id": {"$gte": f"{job_id}.", "$lt": f"{job_id}/"}})


def _read(documents: Iterable[Any]) -> Iterator[Document]:
    """The versions under the ids of their records."""
    for each in documents:
        yield {**each, "_id": each.get("id", each["_id"])}
