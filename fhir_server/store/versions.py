"""Versions of records: read what stands in `history` and what is current as one list.

A superseded version carries `t`, when it came, and `e`, when the next one did; a deletion ends as it begins, since
nothing was current after it. A current version has no end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .failures import speaking_plainly

if TYPE_CHECKING:
    from .records import Document, Session, Store

SERVED = {"json": 1, "v": 1, "t": 1, "m": 1, "o": 1}
MILLISECONDS = 30_000

Position = tuple[datetime, str, str]
"""(t, type, id) of the version that a page starts behind."""


@dataclass(frozen=True, slots=True)
class Versions:
    """Which versions are wanted: not older than `since`, current at some moment of `at` [low, high).

    `seen` are filters on owner and labels, which all versions keep: what their reader may see.
    """

    since: datetime | None = None
    at: tuple[datetime, datetime] | None = None
    seen: tuple[Document, ...] = ()

    @property
    def current(self) -> list[Document]:
        """The filters on a collection of records."""
        return [*self._moments(), *self.seen]

    @property
    def superseded(self) -> list[Document]:
        """The filters on `history`."""
        return self.current + ([{"e": {"$gt": self.at[0]}}] if self.at else [])

    def includes(self, current: Document) -> bool:
        """Whether the current version, read already, is wanted."""
        moment: datetime = current["t"]
        return (self.since is None or moment >= self.since) and (self.at is None or moment < self.at[1])

    def _moments(self) -> list[Document]:
        wanted: list[Document] = [] if self.since is None else [{"t": {"$gte": self.since}}]
        return wanted + ([{"t": {"$lt": self.at[1]}}] if self.at else [])


def page(
    store: Store,
    type: str | None,
    wanted: Versions,
    *,
    behind: Position | None,
    ascending: bool,
    limit: int,
    session: Session = None,
) -> list[Document]:
    """Versions and deletions of all resources of a type, or of all, in the order of their moments, at most `limit`.

    Each has `type` and `id`. One that is superseded between the two readings is in both, and is given once.
    """
    way = 1 if ascending else -1
    found: dict[tuple[str, str, int], Document] = {}
    with speaking_plainly(session):
        for each in _types(store, type):
            filters = [*wanted.current, _behind_of_type(behind, each, ascending)]
            current = store.collection(each).find(
                _all(filters), SERVED, session=session, max_time_ms=MILLISECONDS, sort=[("t", way), ("_id", way)]
            )
            for document in current.limit(limit):
                found[each, document["_id"], document["v"]] = {**document, "type": each, "id": document["_id"]}
        filters = [_of_type(type), *wanted.superseded, _behind(behind, ascending)]
        order = [("t", way), ("type", way), ("id", way)]
        superseded = store.history.find(_all(filters), session=session, max_time_ms=MILLISECONDS, sort=order)
        for document in superseded.limit(limit):
            found[document["type"], document["id"], document["v"]] = document
    ordered = sorted(found.values(), key=lambda each: (each["t"], each["type"], each["id"]), reverse=not ascending)
    return ordered[:limit]


def count(store: Store, type: str | None, wanted: Versions, bound: int, session: Session = None) -> int | None:
    """How many versions there are, None when they are more than `bound`."""
    total = 0
    with speaking_plainly(session):
        for collection, filters in _everywhere(store, type, wanted):
            total += collection.count_documents(
                _all(filters), limit=bound + 1 - total, session=session, maxTimeMS=MILLISECONDS
            )
            if total > bound:
                return None
    return total


def _everywhere(store: Store, type: str | None, wanted: Versions) -> Iterator[tuple[Any, list[Document]]]:
    for each in _types(store, type):
        yield store.collection(each), wanted.current
    yield store.history, [_of_type(type), *wanted.superseded]


def of_one(
    store: Store,
    type: str,
    id: str,
    wanted: Versions,
    *,
    above: int | None = None,
    below: int | None = None,
    ascending: bool = False,
    limit: int,
    session: Session = None,
) -> list[Document]:
    """Superseded versions and deletions of one resource, between the two version numbers."""
    limits = {name: value for name, value in (("$gt", above), ("$lt", below)) if value is not None}
    filters = [{"type": type, "id": id}, *wanted.superseded, {"v": limits} if limits else {}]
    with speaking_plainly(session):
        found = store.history.find(_all(filters), session=session, max_time_ms=MILLISECONDS)
        return list(found.sort([("v", 1 if ascending else -1)]).limit(limit))


def count_of_one(
    store: Store, type: str, id: str, wanted: Versions, *, below: int | None, session: Session = None
) -> int:
    """How many superseded versions and deletions a resource has below a version number."""
    filters = [{"type": type, "id": id}, *wanted.superseded, {} if below is None else {"v": {"$lt": below}}]
    with speaking_plainly(session):
        return store.history.count_documents(_all(filters), session=session, maxTimeMS=MILLISECONDS)


def _types(store: Store, type: str | None) -> list[str]:
    return store.types() if type is None else [type]


def _of_type(type: str | None) -> Document:
    return {} if type is None else {"type": type}


def _all(filters: list[Document]) -> Document:
    kept = [each for each in filters if each]
    return {"$and": kept} if kept else {}


def _behind_of_type(behind: Position | None, type: str, ascending: bool) -> Document:
    if behind is None:
        return {}
    later = "$gt" if ascending else "$lt"
    moment, at_type, at_id = behind
    if type == at_type:
        return {"$or": [{"t": {later: moment}}, {"t": moment, "_id": {later: at_id}}]}
    comes_after = type > at_type if ascending else type < at_type
    return {"t": {f"{later}e" if comes_after else later: moment}}


def _behind(behind: Position | None, ascending: bool) -> Document:
    if behind is None:
        return {}
    later = "$gt" if ascending else "$lt"
    moment, at_type, at_id = behind
    return {
        "$or": [
            {"t": {later: moment}},
            {"t": moment, "type": {later: at_type}},
            {"t": moment, "type": at_type, "id": {later: at_id}},
        ]
    }
