"""Carry out a Plan on a collection: read one page of matches, and where the next one begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from ..search.paging import SortKey
from ..search.plan import Plan

Document = dict[str, Any]

WORD_INDEX = [("x", 1), ("_id", 1)]


@dataclass(frozen=True, slots=True)
class Found:
    """The documents of a page, and behind which values the next one begins."""

    documents: list[Document]
    position: Callable[[int], list[Any]]
    """The place of the document with this number in the order of the plan."""


def find_page(
    collection: Collection[Document],
    plan: Plan,
    limit: int,
    fields: Document,
    *,
    session: ClientSession | None,
    milliseconds: int,
) -> Found:
    """At most `limit` documents in the order of the plan."""
    if plan.words:
        return _by_words(collection, plan, limit, fields, session, milliseconds)
    wanted = _both(plan.filter, plan.start)
    if plan.computed:
        return _computed(collection, plan, limit, fields, session, milliseconds)
    order = [(key.field, key.direction) for key in plan.keys]
    sort_fields = {key.field: 1 for key in plan.keys if key.field not in ("_id", "t")}
    cursor = collection.find(wanted, fields | sort_fields, session=session, max_time_ms=milliseconds)
    return _found(list(cursor.sort(order).limit(limit)), plan.keys)


def _both(one: Document | None, other: Document | None) -> Document:
    kept = [each for each in (one, other) if each]
    return {} if not kept else kept[0] if len(kept) == 1 else {"$and": kept}


def _found(documents: list[Document], keys: list[SortKey]) -> Found:
    return Found(documents, lambda number: [_at(documents[number], key.field) for key in keys])


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _computed(
    collection: Collection[Document],
    plan: Plan,
    limit: int,
    fields: Document,
    session: ClientSession | None,
    milliseconds: int,
) -> Found:
    """An order that no index keeps: the least token of each match, computed for all matches and sorted."""
    stages: list[Document] = [{"$match": plan.filter}]
    stages.append({"$addFields": {name: _least_token(keys) for name, keys in plan.computed.items()}})
    if plan.start:
        stages.append({"$match": plan.start})
    stages += [
        {"$sort": {key.field: key.direction for key in plan.keys}},
        {"$limit": limit},
        {"$project": fields | {key.field: 1 for key in plan.keys}},
    ]
    found = collection.aggregate(stages, session=session, maxTimeMS=milliseconds, allowDiskUse=True)
    return _found(list(found), plan.keys)


def _least_token(beginnings: tuple[str, ...]) -> Document:
    ranges = [{"$and": [{"$gte": ["$$token", key]}, {"$lt": ["$$token", key + "\U0010ffff"]}]} for key in beginnings]
    return {"$min": {"$filter": {"input": "$x", "as": "token", "cond": {"$or": ranges}}}}


def _by_words(
    collection: Collection[Document],
    plan: Plan,
    limit: int,
    fields: Document,
    session: ClientSession | None,
    milliseconds: int,
) -> Found:
    """Matches in the order of the token they are found by, read off the index; each is given at its least token.

    A name that a third of the people bear costs a page, not a sort of all of them.
    """
    found: list[Document] = []

    def read(wanted: Document, low: str, high: str) -> None:
        # Tokens are stored in order: the first one in the range, which is all that is fetched, is the least.
        token = {"x": {"$elemMatch": {"$gte": low, "$lt": high}}}
        cursor = collection.find(
            _both(plan.rest, wanted),
            fields | token,
            session=session,
            max_time_ms=milliseconds,
            hint=WORD_INDEX,
            limit=limit - len(found),
        )
        found.extend(cursor)

    earlier: list[Document] = []  # tokens by which a match was given before
    for low, high in plan.words:
        if plan.word_start is not None:
            at, logical_id = plan.word_start
            if high <= at:
                earlier.append(_between(low, high))
                continue
            if low <= at:
                earlier += [_between(low, at)] if low < at else []
                read(_without({"x": at, "_id": {"$gt": logical_id}}, earlier), at, high)
                earlier.append({"x": at})
                low = at + "\0"
        if len(found) < limit and low < high:
            read(_without(_between(low, high), earlier), low, high)
        earlier.append(_between(low, high))
        if len(found) >= limit:
            break
    return Found(found, lambda number: [found[number]["x"][0], found[number]["_id"]])


def _between(low: str, high: str) -> Document:
    return {"x": {"$elemMatch": {"$gte": low, "$lt": high}}}


def _without(wanted: Document, earlier: list[Document]) -> Document:
    return {"$and": [wanted, {"$nor": list(earlier)}]} if earlier else wanted
