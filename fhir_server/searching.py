"""Search as the door carries it out: parse, plan, read a page, add what it includes.

https://hl7.org/fhir/R4/search.html. Only the repository calls this; it has checked the type and the caller by then.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from .access.context import AccessContext
from .errors import BadRequest, Issue
from .records import SearchPage, Stored, now, stored_of
from .search.includes import carries, included_ids, referring_tokens, system_and_code
from .search.paging import encode_cursor
from .search.plan import Plan, plan
from .search.query import Pair, Query, parse_query
from .store.records import Document, Session, Store


class RecordSearch:
    """Search in the records of one store."""

    def __init__(self, store: Store, base_url: str, default_count: int, max_count: int) -> None:
        self.store = store
        self.base_url = base_url
        self._default_count = default_count
        self._max_count = max_count

    def page(
        self, ctx: AccessContext, type: str, query: list[Pair], *, lenient: bool = False, session: Session = None
    ) -> SearchPage:
        """One page of matches. Raises BadRequest. https://hl7.org/fhir/R4/http.html#search"""
        parsed = parse_query(type, query, lenient=lenient, default_count=self._default_count, max_count=self._max_count)
        made = plan(parsed, base_url=self.base_url, now=now(), owner=ctx.patient)
        issues = list(parsed.issues)
        if parsed.count == 0:
            return SearchPage([], issues, self.store.count(type, made, session=session), parsed.applied)
        fields = {"tokens": "$x"} if parsed.includes else {}
        found = self.store.search(type, made, parsed.count + 1, fields, session=session)
        more = len(found.documents) > parsed.count
        documents = found.documents[: parsed.count]
        entries = [("match", stored_of(type, document)) for document in documents]
        entries += [("include", each) for each in self._included(ctx, parsed, documents, issues, session)]
        following = None
        if more:
            kept = [pair for pair in parsed.applied if pair[0] != "_cursor"]
            following = [*kept, ("_cursor", encode_cursor(found.position(parsed.count - 1)))]
        total = self._total(type, parsed, made, None if more else len(documents), issues, session)
        return SearchPage(entries, issues, total, parsed.applied, following)

    def _total(
        self, type: str, query: Query, made: Plan, seen: int | None, issues: list[Issue], session: Session
    ) -> int | None:
        """The number of matches: where it is known without counting, and where it was asked for."""
        if query.total == "none":
            return None
        if seen is not None and not query.cursor:
            return seen
        if query.total == "accurate":
            return self.store.count(type, made, session=session)
        if query.total == "estimate":
            counted = self.store.count(type, made, bounded=True, session=session)
            issues.append(
                Issue("The total is an estimate; large ones are counted in part.", "informational", "information")
            )
            return counted
        return None

    def _included(
        self, ctx: AccessContext, query: Query, documents: list[Document], issues: list[Issue], session: Session
    ) -> list[Stored]:
        """What _include and _revinclude add to a page: https://hl7.org/fhir/R4/search.html#include"""
        seen = {(query.resource_type, document["_id"]) for document in documents}
        found: list[Stored] = []

        def add(type: str, wanted: Document) -> None:
            if ctx.patient is not None:
                wanted = {"$and": [{"o": ctx.patient}, wanted]}
            several = self.store.currents(type, wanted, limit=self._max_count + 1, session=session)
            if len(several) > self._max_count:
                text = f"More than {self._max_count} resources of type {type} would be included; the rest is left out."
                issues.append(Issue(text, "incomplete", "warning"))
            for document in several[: self._max_count]:
                if (type, document["_id"]) not in seen:
                    seen.add((type, document["_id"]))
                    found.append(stored_of(type, document))

        for include in query.includes:
            for type, ids in included_ids(include, documents).items():
                add(type, {"_id": {"$in": ids}})
        for include in query.revincludes:
            tokens = referring_tokens(include, query.resource_type, documents)
            if tokens:
                add(include.source, {"x": {"$in": tokens}})
        return found

    def lookup(self, ctx: AccessContext, type: str, param: str, values: list[str]) -> dict[str, list[Stored]]:
        """`value -> live resources` for many values of one token parameter at once ("system|code" or "code")."""
        found: dict[str, list[Stored]] = {value: [] for value in values}
        for start in range(0, len(values), 200):
            some = values[start : start + 200]
            for document, matched in self._lookup(ctx, type, param, some):
                for value in matched:
                    found[value].append(stored_of(type, document))
        return found

    def _lookup(self, ctx: AccessContext, type: str, param: str, values: list[str]) -> list[tuple[Document, list[str]]]:
        codes = sorted({system_and_code(value)[1] for value in values})
        made = plan(
            parse_query(type, [(param, ",".join(_escape(code) for code in codes))]),
            base_url=self.base_url,
            now=now(),
            owner=ctx.patient,
        )
        fields = {"x": 1, "resource.identifier": 1}
        documents = self.store.currents(type, made.filter, fields=fields, session=None)
        return [(each, [value for value in values if carries(type, param, each, value)]) for each in documents]

    def matches(self, ctx: AccessContext, type: str, criteria: str, *, session: Session = None) -> list[Document]:
        """At most two live documents that fulfil the criteria of a conditional interaction. Raises BadRequest."""
        pairs = parse_qsl(criteria.lstrip("?"), keep_blank_values=True)
        if not pairs:
            raise BadRequest(f"The condition '{criteria[:60]}' has no search parameter; write name=value.")
        query = parse_query(type, pairs)
        if not query.clauses or len(query.clauses) != len(pairs):
            raise BadRequest("A condition takes search parameters only, no _sort, _count or _include.")
        made = plan(query, base_url=self.base_url, now=now(), owner=ctx.patient)
        return self.store.currents(type, made.filter, fields={"o": 1}, limit=2, session=session)


def _escape(code: str) -> str:
    for letter in "\\,|$":
        code = code.replace(letter, "\\" + letter)
    return code
