"""History as the door carries it out: the versions of a resource, of a type, or of everything.

https://hl7.org/fhir/R4/http.html#history. Only the repository calls this; it has checked the type by then.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from .access.context import AccessContext
from .errors import BadRequest, Forbidden, NotFound
from .records import HistoryPage, stored_of
from .search.intervals import Interval, date_interval
from .search.paging import decode_cursor, encode_cursor
from .search.query import Pair
from .sight import Outlook, Sight
from .store import versions
from .store.records import Document, Session, Store
from .store.versions import Versions

PARAMETERS = ("_since", "_at", "_count", "_sort")
COUNT_BOUND = 10_000
"""A history of a type or of everything is counted this far; a longer one has no total unless _count=0 asks for it."""
EVERY_TYPE = ""
_UNBOUNDED = 2**31 - 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class HistoryQuery:
    """What is asked of a history."""

    count: int
    wanted: Versions = field(default_factory=Versions)
    ascending: bool = False
    cursor: str = ""
    kept: tuple[Pair, ...] = ()
    """The pairs that the link to the next page repeats."""


def parse_history_query(pairs: list[Pair], default_count: int, max_count: int) -> HistoryQuery:
    """The query in the decoded pairs. Raises BadRequest: a version that is left out unasked is a lost record."""
    query = HistoryQuery(default_count)
    since, at = None, None
    given: set[str] = set()
    for name, value in pairs:
        if name in ("_format", "_pretty"):
            continue
        if name in given:
            raise BadRequest(f"A history takes {name[:40]} once.")
        given.add(name)
        if name == "_cursor":
            query.cursor = value
            continue
        if name == "_count":
            if not value.isascii() or not value.isdigit():
                raise BadRequest(f"_count takes a number from 0 to {max_count}, not '{value[:40]}'.")
            query.count = min(int(value[:9]), max_count)
        elif name == "_since":
            since = _moments("_since", value)[0]
        elif name == "_at":
            at = _moments("_at", value)
        elif name == "_sort":
            if value not in ("_lastUpdated", "-_lastUpdated"):
                raise BadRequest(f"A history is sorted by _lastUpdated or -_lastUpdated, not by '{value[:40]}'.")
            query.ascending = value == "_lastUpdated"
        else:
            raise BadRequest(f"A history takes {', '.join(PARAMETERS)}, not '{name[:40]}'.", code="not-supported")
        query.kept = (*query.kept, (name, value))
    query.wanted = Versions(since, at)
    return query


def _moments(name: str, value: str) -> tuple[datetime, datetime]:
    """The interval [from, until) that an instant or a date of less precision covers."""
    try:
        interval: Interval = date_interval(value.replace(" ", "+"))
        return _EPOCH + timedelta(milliseconds=interval.low), _EPOCH + timedelta(milliseconds=interval.high)
    except (ValueError, OverflowError, BadRequest):
        raise BadRequest(
            f"{name} takes an instant such as 2026-11-24T08:00:00+07:00 or a date, not '{value[:40]}'."
        ) from None


class RecordHistory:
    """The histories of one store."""

    def __init__(self, store: Store, outlook: Outlook, default_count: int, max_count: int) -> None:
        self.store = store
        self._outlook = outlook
        self._default_count = default_count
        self._max_count = max_count

    def page(
        self, ctx: AccessContext, type: str | None, id: str | None, pairs: list[Pair], *, session: Session = None
    ) -> HistoryPage:
        """One page. Raises BadRequest, NotFound, and Forbidden for all but a caller's own records."""
        query = parse_history_query(pairs, self._default_count, self._max_count)
        sight = self._outlook.of(ctx, "r", session)
        query.wanted = replace(query.wanted, seen=tuple(sight.kept(type or EVERY_TYPE)))
        if type is not None and id is not None:
            return self._of_one(sight, type, id, query, session)
        if ctx.patient is not None or not sight.in_full(type or EVERY_TYPE):
            raise Forbidden("The history of all records is not open to this caller.")
        if query.count == 0:
            return HistoryPage([], versions.count(self.store, type, query.wanted, _UNBOUNDED, session))
        found = versions.page(
            self.store,
            type,
            query.wanted,
            behind=_position(query.cursor),
            ascending=query.ascending,
            limit=query.count + 1,
            session=session,
        )
        following = None
        if len(found) > query.count:
            last = found[query.count - 1]
            following = [*query.kept, ("_cursor", encode_cursor([last["t"], last["type"], last["id"]]))]
        total = None
        if not query.cursor:
            # Counting costs up to 5 ms a page for COUNT_BOUND; further pages are not counted again.
            complete = following is None
            total = len(found) if complete else versions.count(self.store, type, query.wanted, COUNT_BOUND, session)
        return HistoryPage([stored_of(each["type"], each) for each in found[: query.count]], total, following)

    def _of_one(self, sight: Sight, type: str, id: str, query: HistoryQuery, session: Session) -> HistoryPage:
        current = sight.current(type, id)
        if current is None and (sight.limited(type) or self.store.last_version(type, id, session=session) is None):
            raise NotFound(f"There is no {type} with the id '{id}'.")
        if current is not None and not sight.in_full(type):
            # A version that was somebody else's is not given to who sees the current one.
            seen = (*query.wanted.seen, {"o": current["o"]} if "o" in current else {"o": {"$exists": False}})
            query.wanted = replace(query.wanted, seen=seen)
        shown = current is not None and query.wanted.includes(current)
        top = None if current is None else current["v"]
        total = versions.count_of_one(self.store, type, id, query.wanted, below=top, session=session) + shown
        if query.count == 0:
            return HistoryPage([], total if sight.in_full(type) else None)
        found = self._versions(type, id, current, query, session)
        following = None
        if len(found) > query.count:
            following = [*query.kept, ("_cursor", encode_cursor([found[query.count - 1]["v"]]))]
        given = found[: query.count]
        if not sight.in_full(type):
            given = [each for each in given if sight.sees_version(type, each)]
            return HistoryPage([stored_of(type, each) for each in given], None, following)
        return HistoryPage([stored_of(type, each) for each in given], total, following)

    def _versions(
        self, type: str, id: str, current: Document | None, query: HistoryQuery, session: Session
    ) -> list[Document]:
        """The versions of a page and one more. Of what is superseded while this reads, `current` holds the version."""
        at = decode_cursor(query.cursor, 1)[0] if query.cursor else None
        if at is not None and (not isinstance(at, int) or isinstance(at, bool)):
            raise BadRequest("The paging link is not one this server made; start again.")
        top: int | None = None if current is None else current["v"]
        above, below = (
            (at, top)
            if query.ascending
            else (None, min((each for each in (at, top) if each is not None), default=None))
        )
        found = versions.of_one(
            self.store,
            type,
            id,
            query.wanted,
            above=above,
            below=below,
            ascending=query.ascending,
            limit=query.count + 1,
            session=session,
        )
        if current is None or not query.wanted.includes(current):
            return found
        if query.ascending:
            return [*found, current] if at is None or current["v"] > at else found
        return [current, *found] if at is None or current["v"] < at else found


def _position(cursor: str) -> tuple[datetime, str, str] | None:
    if not cursor:
        return None
    values: list[Any] = decode_cursor(cursor, 3)
    moment, type, id = values
    if not isinstance(moment, datetime) or not isinstance(type, str) or not isinstance(id, str):
        raise BadRequest("The paging link is not one this server made; start again.")
    return moment, type, id
