"""What is read of the records in one question with the token of a facility: a record, or who has a number.

Each question to MongoDB costs as much as what else there is to a read. The door decides afterwards on what was read, as on
what it reads itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .access.consents import ANYBODY
from .access.context import Foreseen
from .search.query import Pair
from .searching import RecordSearch
from .sight import DENIALS, places_of
from .store.foresight import matches_stage, record_stage, told_apart
from .store.records import Document

_NOTHING = Foreseen(())


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a request asks for, where it is read with the token. `letter` is the interaction a scope has to grant."""

    letter: str
    stage: Document
    asked: Foreseen
    """Without what was found."""


class Foresight:
    """Reads ahead. Only for callers of whom it is known that they are bound to no patient."""

    def __init__(self, searching: RecordSearch) -> None:
        self._searching = searching
        self._store = searching.store

    def record(self, type: str, id: str) -> Ahead:
        """The record with an id."""
        return Ahead("r", record_stage(type, id), Foreseen((), type, id))

    def search(self, type: str, pairs: Sequence[Pair]) -> Ahead | None:
        """The first page of a search by one number; None for any other search."""
        found = self._searching.by_number(type, [*pairs])
        if found is None:
            return None
        query, plan = found
        asked = Foreseen((), type, pairs=tuple(pairs), query=query)
        return Ahead("s", matches_stage(type, plan, query.count + 1), asked)

    def stages(self, facility: str | None, ahead: Ahead | None) -> list[Document]:
        """What is to be added to the look-up of the token: what is asked for, and the Consents that hide something."""
        hiding = self._store.care.denials_stage(places_of(self._store, facility), ANYBODY, DENIALS + 1)
        return [ahead.stage, hiding] if ahead else [hiding]

    def foreseen(self, found: Sequence[Document], ahead: Ahead | None) -> Foreseen:
        """What the stages found."""
        documents, denials = told_apart(found)
        asked = ahead.asked if ahead else _NOTHING
        return asked._replace(denials=tuple(denials), documents=tuple(documents))
