"""What stands above and below a record: locations in locations, organizations in organizations, tasks in tasks.

https://hl7.org/fhir/R4/search.html#recursive. Level by level through the index, one query each, bounded in depth and in
number: a hierarchy that is larger is refused, since part of it would be a wrong answer. A circle ends where it began.
"""

from __future__ import annotations

from .errors import Unprocessable
from .search.filters import all_of
from .search.parameters import parent_source, token_key
from .sight import Sight
from .store.records import Session, Store

MAX_LEVELS = 32
MAX_RELATED = 2000


class RecordHierarchies:
    """The hierarchies of one search, in the name of one caller; what was walked once is kept for its other pages."""

    def __init__(self, store: Store, sight: Sight, session: Session) -> None:
        self._store = store
        self._sight = sight
        self._session = session
        self._walked: dict[tuple[str, str, str], list[str]] = {}

    def related(self, type: str, reference: str, direction: str) -> list[str]:
        """`reference` and those it leads to, `above` or `below`. Raises Unprocessable for a larger hierarchy."""
        key = (type, reference, direction)
        if key not in self._walked:
            self._walked[key] = self._walk(type, reference, direction)
        return self._walked[key]

    def _walk(self, type: str, reference: str, direction: str) -> list[str]:
        source = parent_source(type)
        if source is None:
            return [reference]
        beginning = token_key(source, "reference")
        step = self._children if direction == "below" else self._parents
        seen = {reference: None}
        level = [reference]
        for _ in range(MAX_LEVELS):
            level = [each for each in dict.fromkeys(step(type, beginning, level)) if each not in seen]
            seen |= dict.fromkeys(level)
            if len(seen) > MAX_RELATED:
                raise _too_large(reference, direction, f"more than {MAX_RELATED} records")
            if not level:
                return list(seen)
        raise _too_large(reference, direction, f"more than {MAX_LEVELS} levels")

    def _children(self, type: str, beginning: str, level: list[str]) -> list[str]:
        wanted = all_of([*self._sight.filters(type), {"x": {"$in": [beginning + each for each in level]}}])
        found = self._store.bare(type, wanted, {}, limit=MAX_RELATED + 1, session=self._session)
        return [f"{type}/{each['_id']}" for each in found]

    def _parents(self, type: str, beginning: str, level: list[str]) -> list[str]:
        ids = [each.removeprefix(f"{type}/") for each in level]
        wanted = all_of([*self._sight.filters(type), {"_id": {"$in": ids}}])
        found = self._store.bare(type, wanted, {"tokens": "$x"}, session=self._session)
        tokens = [token for each in found for token in each["tokens"] if token.startswith(f"{beginning}{type}/")]
        return [token.removeprefix(beginning) for token in tokens]


def _too_large(reference: str, direction: str, what: str) -> Unprocessable:
    return Unprocessable(
        f"{what[0].upper()}{what[1:]} stand {direction} {reference[:80]}: search {direction} a "
        f"{'lower' if direction == 'below' else 'higher'} one, or in several parts.",
        code="too-costly",
    )
