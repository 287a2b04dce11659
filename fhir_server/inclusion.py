"""What _include and _revinclude add to a page: https://hl7.org/fhir/R4/search.html#include"""

from __future__ import annotations

from .errors import Issue
from .joining import BESIDE, passing
from .records import Stored, stored_of
from .search.includes import included_ids, referring_tokens
from .search.query import Include, Query
from .sight import Sight
from .store.records import Document, Session, Store

ROUNDS = 8  # how far :iterate follows


class Inclusion:
    """The resources that one page includes, each once, for one caller; at most `limit`, with a warning beyond."""

    def __init__(self, store: Store, sight: Sight, limit: int, issues: list[Issue], session: Session) -> None:
        self.store = store
        self.sight = sight
        self.limit = limit
        self.issues = issues
        self.session = session
        self.seen: set[tuple[str, str]] = set()
        self.found: list[Stored] = []

    def of(self, query: Query, documents: list[Document]) -> list[Stored]:
        """What the matches include, and with :iterate what that includes in turn."""
        self.seen = {(query.resource_type, document["_id"]) for document in documents}
        latest = {query.resource_type: documents}
        for number in range(ROUNDS):
            added: dict[str, list[Document]] = {}
            for include in query.includes:
                if (number == 0 or include.iterate) and include.source in latest:
                    for type, ids in included_ids(include, latest[include.source]).items():
                        self._add(type, {"_id": {"$in": ids}}, added)
            for include in query.revincludes:
                for type, several in latest.items():
                    if number == 0 or include.iterate:
                        self._add_referring(include, type, several, added)
            if not added or not any(each.iterate for each in (*query.includes, *query.revincludes)):
                break
            latest = added
        return self.found

    def _add_referring(
        self, include: Include, type: str, documents: list[Document], added: dict[str, list[Document]]
    ) -> None:
        if type == "Patient" and documents:  # what refers to those merged into them belongs to them as well
            behind = self.store.merges.behind([each["_id"] for each in documents], self.session)
            documents = [*documents, *({"_id": each} for each in behind)]
        tokens = referring_tokens(include, type, documents)
        if tokens:
            self._add(include.source, {"x": {"$in": tokens}}, added)

    def _add(self, type: str, wanted: Document, added: dict[str, list[Document]]) -> None:
        if not self.sight.may(type):
            return  # a reference may lead to any type: those without a scope are left out
        room = self.limit - len(self.found)
        found = self.store.currents(
            type, self.sight.wanted(type, wanted), fields=BESIDE, limit=self.limit + 1, session=self.session
        )
        for document in passing(found, self.sight.checks(type)):
            key = (type, document["_id"])
            if key in self.seen:
                continue
            if room <= 0:
                self._warn()
                return
            room -= 1
            self.seen.add(key)
            self.found.append(stored_of(type, document))
            added.setdefault(type, []).append(document)

    def _warn(self) -> None:
        text = f"More than {self.limit} resources would be included; the rest is left out."
        if all(issue.diagnostics != text for issue in self.issues):
            self.issues.append(Issue(text, "incomplete", "warning"))
