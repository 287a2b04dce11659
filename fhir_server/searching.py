"""Search as the door carries it out: parse, plan, read a page, add what it includes.

https://hl7.org/fhir/R4/search.html. Only the repository calls this; it has checked the type and the caller by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from . import r4
from .access.context import AccessContext
from .catalogue import ParameterCatalogue
from .errors import BadRequest, Issue, Unprocessable
from .inclusion import Inclusion
from .joining import BESIDE, BatchCheck, Joining, passing
from .records import SearchPage, Stored, now, stored_of
from .search.clauses import AnyClause, escape
from .search.filters import Filter, Reading, Terminology
from .search.includes import carries, system_and_code
from .search.paging import Cursors
from .search.parameters import parameters, token_key
from .search.plan import Plan, plan
from .search.query import Pair, Query, parse_query
from .store.records import Document, Session, Store
from .store.secrets import shared_secret

BATCH = 200  # documents that checks look at together
SCANNED = 5000  # documents that checks look at for one page; the next page goes on behind them
COUNTED = 100_000  # the same for a count

Position = list[Any]
Compartment = tuple[str, str]


@dataclass(slots=True)
class _Run:
    """One query on one type, ready to be read page by page."""

    type: str
    query: Query
    reading: Reading
    owner: str | None
    extra: list[Filter]
    checks: list[BatchCheck]
    session: Session

    def plan(self, position: Position | None = None) -> Plan:
        return plan(self.query, self.reading, owner=self.owner, extra=self.extra, position=position)


class RecordSearch:
    """Search in the records of one store."""

    def __init__(self, store: Store, base_url: str, default_count: int, max_count: int) -> None:
        self.store = store
        self.base_url = base_url
        self.terminology: Terminology | None = None
        self.catalogue = ParameterCatalogue(store, base_url)
        self._default_count = default_count
        self._max_count = max_count
        self._made_cursors: Cursors | None = None

    @property
    def _cursors(self) -> Cursors:
        if self._made_cursors is None:
            self._made_cursors = Cursors(shared_secret(self.store.database, "paging"))
        return self._made_cursors

    def page(
        self,
        ctx: AccessContext,
        type: str,
        pairs: list[Pair],
        *,
        lenient: bool = False,
        session: Session = None,
        compartment: Compartment | None = None,
    ) -> SearchPage:
        """One page of the matches of one type. Raises BadRequest, Unprocessable."""
        query = self._parse(type, pairs, lenient)
        issues = list(query.issues)
        run = self._run(ctx, type, query, session, compartment)
        if query.count == 0:
            return SearchPage([], issues, self._count(run), query.applied)
        context = _context(ctx, [type, *(compartment or ())], query)
        behind = self._cursors.verify(context, query.cursor) if query.cursor else []
        documents, following = self._read(run, query.count, behind[-1] if behind else None)
        entries = [("match", stored_of(type, document)) for document in documents]
        if query.includes or query.revincludes:
            include = Inclusion(self.store, ctx.patient, self._max_count, issues, session)
            entries += [("include", each) for each in include.of(query, documents)]
        total = self._total(run, None if following or query.cursor else len(documents), issues)
        return SearchPage(
            entries,
            issues,
            total,
            query.applied,
            None if following is None else self._link(context, query, [*behind, following]),
            self._link(context, query, behind[:-1]) if behind else None,
        )

    def system_page(
        self,
        ctx: AccessContext,
        pairs: list[Pair],
        *,
        lenient: bool = False,
        session: Session = None,
        compartment: Compartment | None = None,
    ) -> SearchPage:
        """One page of the matches of several types (_type, else all that are held), type by type."""
        types, rest = self._types(pairs, compartment)
        first = self._parse(types[0], rest, lenient) if types else Query("")
        if first.includes or first.revincludes or first.sort:
            raise BadRequest(
                "A search over several types takes no _include, _revinclude or _sort.", code="not-supported"
            )
        runs = [self._run(ctx, type, self._parse(type, rest, lenient), session, compartment) for type in types]
        if not runs or first.count == 0 or first.total == "accurate":
            total = sum(self._count(run) for run in runs)
            if not runs or first.count == 0:
                return SearchPage([], first.issues, total, [*pairs])
        else:
            total = None
        context = _context(ctx, [*types, *(compartment or ())], first)
        behind = self._cursors.verify(context, first.cursor) if first.cursor else []
        entries, following = self._read_types(runs, first.count, behind[-1] if behind else [types[0]])
        applied = [pair for pair in pairs if pair[0] == "_type"] + first.applied
        query = Query("", applied=applied)
        return SearchPage(
            [("match", each) for each in entries],
            first.issues,
            total if total is not None else len(entries) if following is None and not behind else None,
            applied,
            None if following is None else self._link(context, query, [*behind, following]),
            self._link(context, query, behind[:-1]) if behind else None,
        )

    def _read_types(self, runs: list[_Run], count: int, start: Position) -> tuple[list[Stored], Position | None]:
        """(matches, [type, *position] behind which there are more)."""
        found: list[Stored] = []
        begin = next((number for number, run in enumerate(runs) if run.type == start[0]), len(runs))
        for number, run in enumerate(runs[begin:], begin):
            position = start[1:] if number == begin and len(start) > 1 else None
            documents, following = self._read(run, count - len(found), position)
            found += [stored_of(run.type, document) for document in documents]
            if following is not None:
                return found, [run.type, *following]
            if len(found) == count and number + 1 < len(runs):
                return found, [runs[number + 1].type]
        return found, None

    def _types(self, pairs: list[Pair], compartment: Compartment | None) -> tuple[list[str], list[Pair]]:
        named = [each for name, value in pairs if name == "_type" for each in value.split(",") if each]
        for each in named:
            if each not in r4.RESOURCE_TYPES:
                raise BadRequest(f"_type={each[:40]}: that is no resource type.")
        held = self.store.types()
        if compartment is not None:
            members = {name for name, codes in r4.compartment(compartment[0]).items() if codes}
            held = [name for name in held if name in members]
        types = [name for name in held if not named or name in named]
        return types, [pair for pair in pairs if pair[0] != "_type"]

    # ---- one query on one type ---------------------------------------------------------------------------------------

    def _parse(self, type: str, pairs: list[Pair], lenient: bool = False) -> Query:
        self.catalogue.refresh()
        return parse_query(type, pairs, lenient=lenient, default_count=self._default_count, max_count=self._max_count)

    def _run(
        self, ctx: AccessContext, type: str, query: Query, session: Session, compartment: Compartment | None = None
    ) -> _Run:
        reading = Reading(self.base_url, now(), units=self.store.units.of, terminology=self.terminology)
        joining = Joining(self.store, reading, ctx.patient, session)
        several: list[AnyClause] = list(query.others)
        several += [clause for clause in query.clauses if clause.modifier == "text"]
        parts = [joining.parts(type, clause) for clause in several]
        extra = [each.filter for each in parts if each.filter]
        if compartment is not None:
            extra.insert(0, compartment_filter(type, compartment))
        checks = [check for each in parts for check in each.checks]
        return _Run(type, query, reading, ctx.patient, extra, checks, session)

    def _read(self, run: _Run, count: int, position: Position | None) -> tuple[list[Document], Position | None]:
        """(at most `count` matches behind a position, the position behind which there are more)."""
        fields = dict(BESIDE) if run.checks or run.query.includes else {}
        if not run.checks:
            found = self.store.search(run.type, run.plan(position), count + 1, fields, session=run.session)
            more = len(found.documents) > count
            return found.documents[:count], found.position(count - 1) if more else None
        matches: list[Document] = []
        for _ in range(SCANNED // BATCH):
            found = self.store.search(run.type, run.plan(position), BATCH, fields, session=run.session)
            places = {document["_id"]: number for number, document in enumerate(found.documents)}
            for document in passing(found.documents, run.checks):
                if len(matches) == count:
                    return matches, position
                matches.append(document)
                position = found.position(places[document["_id"]])
            if len(found.documents) < BATCH:
                return matches, None
            position = found.position(BATCH - 1)
        return matches, position

    def _count(self, run: _Run, *, bounded: bool = False) -> int:
        if not run.checks:
            return self.store.count(run.type, run.plan(), bounded=bounded, session=run.session)
        counted, position = 0, None
        for _ in range(COUNTED // BATCH):
            found = self.store.search(run.type, run.plan(position), BATCH, BESIDE, session=run.session)
            counted += len(passing(found.documents, run.checks))
            if len(found.documents) < BATCH:
                return counted
            position = found.position(BATCH - 1)
        raise Unprocessable("There is too much to count; narrow the search, or ask for no total.", code="too-costly")

    def _total(self, run: _Run, seen: int | None, issues: list[Issue]) -> int | None:
        """The number of matches: where it is known without counting, and where it was asked for."""
        if run.query.total == "none":
            return None
        if seen is not None:
            return seen
        if run.query.total == "accurate":
            return self._count(run)
        if run.query.total == "estimate":
            text = "The total is an estimate; large ones are counted in part."
            issues.append(Issue(text, "informational", "information"))
            return self._count(run, bounded=True)
        return None

    def _link(self, context: str, query: Query, positions: list[Position]) -> list[Pair]:
        kept = [pair for pair in query.applied if pair[0] != "_cursor"]
        return [*kept, ("_cursor", self._cursors.sign(context, positions))] if positions else kept

    # ---- what the writes ask -----------------------------------------------------------------------------------------

    def lookup(self, ctx: AccessContext, type: str, param: str, values: list[str]) -> dict[str, list[Stored]]:
        """`value -> live resources` for many values of one token parameter at once ("system|code" or "code")."""
        found: dict[str, list[Stored]] = {value: [] for value in values}
        for start in range(0, len(values), 200):
            some = values[start : start + 200]
            codes = sorted({system_and_code(value)[1] for value in some})
            query = parse_query(type, [(param, ",".join(escape(code) for code in codes))])
            made = self._run(ctx, type, query, None).plan()
            fields = {"x": 1, "resource.identifier": 1}
            for document in self.store.currents(type, made.filter, fields=fields, session=None):
                for value in some:
                    if carries(type, param, document, value):
                        found[value].append(stored_of(type, document))
        return found

    def matches(
        self, ctx: AccessContext, type: str, criteria: str, *, limit: int = 2, session: Session = None
    ) -> list[Document]:
        """At most `limit` live documents that fulfil the criteria of a conditional interaction. Raises BadRequest."""
        pairs = parse_qsl(criteria.lstrip("?"), keep_blank_values=True)
        if not pairs:
            raise BadRequest(f"The condition '{criteria[:60]}' has no search parameter; write name=value.")
        query = parse_query(type, pairs)
        if (not query.clauses and not query.others) or len(query.clauses) + len(query.others) != len(pairs):
            raise BadRequest("A condition takes search parameters only, no _sort, _count or _include.")
        run = self._run(ctx, type, query, session)
        if run.checks:
            return self._read(run, limit, None)[0]
        return self.store.currents(type, run.plan().filter, fields={"o": 1}, limit=limit, session=session)


def compartment_filter(type: str, compartment: Compartment) -> Filter:
    """What is in somebody's compartment: https://hl7.org/fhir/R4/compartmentdefinition.html. Raises BadRequest."""
    name, logical_id = compartment
    codes = r4.compartment(name).get(type, ())
    if type == name:
        return {"_id": logical_id}
    known = parameters(type)
    tokens = [
        f"{token_key(source, 'reference')}{name}/{logical_id}"
        for code in codes
        if code in known and known[code].type == "reference"
        for source in known[code].sources
        if source.target in ("", name)
    ]
    if not tokens:
        raise BadRequest(f"A {type} is never in the compartment of a {name}.", code="not-supported")
    return {"x": {"$in": tokens}}


def _context(ctx: AccessContext, scope: Sequence[str], query: Query) -> str:
    """What a paging link is good for: this caller, these types, these parameters."""
    pairs = [pair for pair in query.applied if pair[0] not in ("_cursor", "_count")]
    return repr((ctx.patient, list(scope), sorted(pairs)))
