"""Carry out a Plan on a collection: read one page of matches, and where the next one begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bson.min_key import MinKey
from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from ..errors import Unprocessable
from ..search.plan import Plan

Document = dict[str, Any]

WORD_INDEX = [("x", 1), ("_id", 1)]
SORTED = 100_000
"""Matches that are sorted for one page in an order that no index keeps."""


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
    wanted = both(plan.filter, plan.start)
    if plan.computed:
        return _computed(collection, plan, limit, fields, session, milliseconds)
    order = [(key.field, key.direction) for key in plan.keys]
    sort_fields = {key.field: 1 for key in plan.keys if key.field not in ("_id", "t")}
    cursor = collection.find(wanted, fields | sort_fields, session=session, max_time_ms=milliseconds, hint=plan.hint)
    return _found(list(cursor.sort(order).limit(limit)), plan)


def both(one: Document | None, other: Document | None) -> Document:
    """The filter that holds where both do."""
    kept = [each for each in (one, other) if each]
    return {} if not kept else kept[0] if len(kept) == 1 else {"$and": kept}


def _found(documents: list[Document], plan: Plan) -> Found:
    return Found(documents, lambda number: place(plan, documents[number]))


def place(plan: Plan, document: Document) -> list[Any]:
    """Where a document that was read by a plan stands in its order."""
    if plan.words:
        return [document["x"][0], document["_id"]]
    return [_at(document, key.field) for key in plan.keys]


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
    """An order that no index keeps: the least token of each match, computed for all matches and sorted.

    Raises Unprocessable for more than SORTED matches: each page would read all of them again.
    """
    if collection.count_documents(plan.filter, limit=SORTED + 1, session=session, maxTimeMS=milliseconds) > SORTED:
        raise Unprocessable(
            f"This _sort has no index, so all matches are sorted for each page, and there are more than {SORTED:,}: "
            "narrow the search, or sort by _lastUpdated, by _id or by the date of the records.",
            code="too-costly",
        )
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
    return _found(list(found), plan)


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
    earlier: list[Document] = []  # what was given before: by an earlier token, or as the last match
    for low, high in plan.words:
        start: tuple[str, Any] = (low, MinKey())
        if plan.word_start is not None:
            token, logical_id = plan.word_start
            if high <= token:
                earlier.append(_between(low, high))
                continue
            if low <= token:
                start = plan.word_start
                earlier += [_between(low, token)] if low < token else []
                earlier.append({"x": token, "_id": {"$lte": logical_id}})
        # Bounds are given to the index as they are, since another condition on x could be taken for them. Tokens are
        # stored in order: the first one in the range, which is all that is fetched, is the least.
        cursor = collection.find(
            both(plan.rest, {"$nor": list(earlier)} if earlier else None),
            fields | {"x": {"$elemMatch": {"$gte": start[0], "$lt": high}}},
            session=session,
            max_time_ms=milliseconds,
            hint=WORD_INDEX,
            limit=limit - len(found),
        )
        begin: Any = [("x", start[0]), ("_id", start[1])]
        end: Any = [("x", high), ("_id", MinKey())]
        found.extend(cursor.min(begin).max(end))
        if len(found) >= limit:
            break
        earlier.append(_between(low, high))
    return _found(found, plan)


def _between(low: str, high: str) -> Document:
    return {"x": {"$elemMatch": {"$gte": low, "$lt": high}}}


def referring_tokens(
    collection: Collection[Document], wanted: Document, tokens: list[str], session: ClientSession | None
) -> set[str]:
    """Which of some tokens the matches of a filter hold: what a batch of resources is referred to by."""
    stages: list[Document] = [
        {"$match": wanted},
        {"$project": {"token": {"$setIntersection": ["$x", tokens]}}},
        {"$unwind": "$token"},
        {"$group": {"_id": "$token"}},
    ]
    return {each["_id"] for each in collection.aggregate(stages, session=session, maxTimeMS=30_000)}
