"""Contained matches as a search gives them: each container once, in the order of the search.

https://hl7.org/fhir/R4/search.html#contained. A container that holds several matches stands at the first of them, and
one that matches by itself, where both are searched, at its own place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .joining import BESIDE, passing
from .records import Stored, stored_of
from .search.filters import all_of
from .search.paging import SortKey, order_of
from .search.plan import Plan
from .sight import BatchCheck, Sight
from .store.records import Document, Session, Store

Position = list[Any]
Part = tuple[list[tuple[Position, Document]], Position | None]
"""(matches with their places, the place behind which there may be more) of one of the lists that are merged."""


def first_in_container(
    store: Store, type: str, plan: Callable[[], Plan], checks: Sequence[BatchCheck], session: Session
) -> BatchCheck:
    """Of the matches in one container the first one passes."""

    def check(documents: list[Document]) -> list[Document]:
        several = {each["c"]: each["n"] for each in documents if each["n"] > 1}
        if not several:
            return documents
        fields = {"c": 1, **(BESIDE if checks else {})}
        found = store.siblings(type, plan(), list(several), sum(several.values()), fields, session=session)
        first: dict[str, str] = {}
        for each in passing(found, checks):
            first.setdefault(each["c"], each["_id"])
        return [each for each in documents if first.get(each["c"], each["_id"]) == each["_id"]]

    return check


def container_unmatched(
    store: Store, type: str, plan: Callable[[], Plan], checks: Sequence[BatchCheck], session: Session
) -> BatchCheck:
    """What stands in a container that is a free-standing match itself does not pass."""

    def check(documents: list[Document]) -> list[Document]:
        ids = [each["c"].partition("/")[2] for each in documents if each["c"].startswith(f"{type}/")]
        if not ids:
            return documents
        whole = plan().filter
        wanted = all_of([{"_id": {"$in": ids}}, *([whole] if whole else [])])
        found = store.currents(type, wanted, fields=BESIDE if checks else {}, session=session)
        given = {f"{type}/{each['_id']}" for each in passing(found, checks)}
        return [each for each in documents if each["c"] not in given]

    return check


def in_containers(store: Store, type: str, documents: list[Document], sight: Sight, session: Session) -> list[Stored]:
    """The matches of a page with their containers in the place of contained ones."""
    wanted: dict[str, list[str]] = {}
    for document in documents:
        if "c" in document:
            kind, _, logical_id = document["c"].partition("/")
            wanted.setdefault(kind, []).append(logical_id)
    held: dict[str, Stored] = {}
    for kind, ids in wanted.items():
        if not sight.may(kind):
            continue
        found = store.currents(kind, sight.wanted(kind, {"_id": {"$in": ids}}), session=session)
        for each in passing(found, sight.checks(kind)):
            held[f"{kind}/{each['_id']}"] = stored_of(kind, each)
    # A container that was deleted since the matches were read is left out.
    given = [held.get(each["c"]) if "c" in each else stored_of(type, each) for each in documents]
    return [each for each in given if each is not None]


def merged(keys: list[SortKey], parts: Sequence[Part], count: int) -> tuple[list[Document], Position | None]:
    """(at most `count` matches of several lists in one order, the place behind which there may be more)."""
    order = order_of(keys)
    found = sorted((each for matches, _ in parts for each in matches), key=lambda each: order(each[0]))
    end = min((following for _, following in parts if following is not None), key=order, default=None)
    if end is not None:
        found = [each for each in found if order(each[0]) <= order(end)]
    if len(found) > count:
        found, end = found[:count], found[count - 1][0]
    return [document for _, document in found], end
