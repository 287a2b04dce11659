"""Search as the door carries it out: parse, plan, read a page, add what it includes.

https://hl7.org/fhir/R4/search.html. Only the repository calls this; it has checked the type and the caller by then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import r4
from .access import guard
from .access.context import AccessContext
from .catalogue import ParameterCatalogue
from .containing import container_unmatched, first_in_container, in_containers, merged
from .errors import BadRequest, Issue, Unprocessable
from .hierarchies import RecordHierarchies
from .inclusion import Inclusion
from .joining import BESIDE, Joining, passing
from .records import SearchPage, Stored, now, stored_of
from .search.clauses import AnyClause
from .search.contained import BESIDE as BESIDE_CONTAINED
from .search.contained import compartment_keys, refuse_uncontainable
from .search.filters import Filter, Reading, Terminology
from .search.paging import Cursors
from .search.plan import Plan, plan
from .search.query import Pair, Query, parse_query
from .sight import CONTAINED, BatchCheck, Outlook, Sight
from .store.pages import Found, place
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
    sight: Sight
    extra: list[Filter]
    checks: list[BatchCheck]
    session: Session
    contained: bool = False
    """Whether it reads contained resources instead of free-standing ones."""
    repeats: list[BatchCheck] = field(default_factory=list)
    """What leaves out the matches whose container is given for another one, and what is not the caller's to see."""

    def plan(self, position: Position | None = None) -> Plan:
        return plan(
            self.query,
            self.reading,
            owner=self.sight.owner(CONTAINED if self.contained else self.type),
            extra=self.extra,
            position=position,
        )


class RecordSearch:
    """Search in the records of one store."""

    def __init__(self, store: Store, base_url: str, default_count: int, max_count: int) -> None:
        self.store = store
        self.base_url = base_url
        self.terminology: Terminology | None = None
        self.catalogue = ParameterCatalogue(store, base_url)
        self.outlook = Outlook(store, base_url, lambda: self.terminology)
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
        guard.require_names(ctx, [name for name, _ in pairs])
        query = self._parse(type, pairs, lenient)
        issues = list(query.issues)
        sight = self.outlook.of(ctx, "s", session)
        runs = self._runs(sight, type, query, session, compartment)
        if query.count == 0:
            return SearchPage([], issues, sum(self._count(run) for run in runs), query.applied)
        context = _context(ctx, [type, *(compartment or ())], query)
        behind = self._cursors.verify(context, query.cursor) if query.cursor else []
        documents, following = self._read_runs(runs, query.count, behind[-1] if behind else None)
        if query.contained != "false" and query.contained_type == "container":
            matches = in_containers(self.store, type, documents, sight, session)
        else:
            matches = [stored_of(type, document) for document in documents]
        entries = [("match", each) for each in matches]
        if query.includes or query.revincludes:
            include = Inclusion(self.store, sight, self._max_count, issues, session)
            entries += [("include", each) for each in include.of(query, documents)]
        total = self._total(runs, None if following or query.cursor else len(documents), issues)
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
        guard.require_names(ctx, [name for name, _ in pairs])
        sight = self.outlook.of(ctx, "s", session)
        types, rest = self._types(sight, pairs, compartment)
        first = self._parse(types[0], rest, lenient) if types else Query("")
        if first.includes or first.revincludes or first.sort:
            raise BadRequest(
                "A search over several types takes no _include, _revinclude or _sort.", code="not-supported"
            )
        if first.contained != "false":
            raise BadRequest(
                f"A search over several types takes no _contained={first.contained}; ask for one type.",
                code="not-supported",
            )
        runs = [self._run(sight, type, self._parse(type, rest, lenient), session, compartment) for type in types]
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

    def _types(self, sight: Sight, pairs: list[Pair], compartment: Compartment | None) -> tuple[list[str], list[Pair]]:
        named = [each for name, value in pairs if name == "_type" for each in value.split(",") if each]
        for each in named:
            if each not in r4.RESOURCE_TYPES:
                raise BadRequest(f"_type={each[:40]}: that is no resource type.")
            guard.require(sight.ctx, "s", each)
        held = [name for name in self.store.types() if sight.may(name)]
        if compartment is not None:
            members = {name for name, codes in r4.compartment(compartment[0]).items() if codes}
            held = [name for name in held if name in members]
        types = [name for name in held if not named or name in named]
        return types, [pair for pair in pairs if pair[0] != "_type"]

    # ---- one query on one type ---------------------------------------------------------------------------------------

    def _parse(self, type: str, pairs: list[Pair], lenient: bool = False) -> Query:
        self.catalogue.refresh()
        return parse_query(type, pairs, lenient=lenient, default_count=self._default_count, max_count=self._max_count)

    def _runs(
        self, sight: Sight, type: str, query: Query, session: Session, compartment: Compartment | None
    ) -> list[_Run]:
        """The query on the free-standing resources of a type, on the contained ones, or on both."""
        runs = [] if query.contained == "true" else [self._run(sight, type, query, session, compartment)]
        if query.contained == "false":
            return runs
        refuse_uncontainable(query)
        run = self._run(sight, type, query, session, compartment, contained=True)
        if query.contained_type == "container":
            run.repeats += [first_in_container(self.store, type, run.plan, run.checks, session)]
            run.repeats += [container_unmatched(self.store, type, each.plan, each.checks, session) for each in runs]
        return [*runs, run]

    def _run(
        self,
        sight: Sight,
        type: str,
        query: Query,
        session: Session,
        compartment: Compartment | None = None,
        *,
        contained: bool = False,
    ) -> _Run:
        guard.require_searchable(sight.ctx, query)
        guard.require(sight.ctx, "s", type)
        seen = CONTAINED if contained else type
        reading = Reading(
            self.base_url,
            now(),
            units=self.store.units.of,
            terminology=self.terminology,
            hierarchies=RecordHierarchies(self.store, sight, session),
            merged=cache_of_merges(self.store, session),
        )
        joining = Joining(self.store, reading, sight, session)
        several: list[AnyClause] = list(query.others)
        several += [clause for clause in query.clauses if clause.modifier == "text"]
        parts = [joining.parts(type, clause) for clause in several]
        extra = [*sight.beside_owner(seen), *(each.filter for each in parts if each.filter)]
        if compartment is not None:
            name, logical_id = compartment
            ids = [logical_id, *(reading.merged([logical_id]) if name == "Patient" else ())]
            held = {"p": {"$in": [f"{name}/{each}" for each in ids]}}
            within = held if contained else compartment_filter(type, name, ids)
            extra.insert(0, within)
        checks = [check for each in parts for check in each.checks]
        return _Run(type, query, reading, sight, extra, checks, session, contained, sight.checks(seen))

    def _read_runs(
        self, runs: list[_Run], count: int, position: Position | None
    ) -> tuple[list[Document], Position | None]:
        """`_read` of one run, or of several as one list."""
        if len(runs) == 1:
            return self._read(runs[0], count, position)
        plans = [run.plan() for run in runs]
        parts = []
        for run, made in zip(runs, plans, strict=True):
            documents, following = self._read(run, count, position)
            parts.append(([(place(made, each), each) for each in documents], following))
        return merged(plans[0].keys, parts, count)

    def _read(self, run: _Run, count: int, position: Position | None) -> tuple[list[Document], Position | None]:
        """(at most `count` matches behind a position, the position behind which there are more)."""
        fields: Document = dict(BESIDE) if run.checks or run.query.includes else {}
        fields |= BESIDE_CONTAINED if run.contained else {}
        checks = [*run.checks, *run.repeats]
        if not checks:
            found = self._found(run, position, count + 1, fields)
            more = len(found.documents) > count
            return found.documents[:count], found.position(count - 1) if more else None
        matches: list[Document] = []
        batch = BATCH if run.checks else count + 1
        for _ in range(SCANNED // BATCH):
            found = self._found(run, position, batch, fields)
            places = {document["_id"]: number for number, document in enumerate(found.documents)}
            for document in passing(found.documents, checks):
                if len(matches) == count:
                    return matches, position
                matches.append(document)
                position = found.position(places[document["_id"]])
            if len(found.documents) < batch:
                return matches, None
            position = found.position(batch - 1)
        return matches, position

    def _found(self, run: _Run, position: Position | None, limit: int, fields: Document) -> Found:
        return self.store.search(
            run.type, run.plan(position), limit, fields, contained=run.contained, session=run.session
        )

    def _count(self, run: _Run, *, bounded: bool = False) -> int:
        checks = [*run.checks, *run.repeats]
        if not checks:
            return self.store.count(run.type, run.plan(), bounded=bounded, contained=run.contained, session=run.session)
        if run.contained and not run.checks and len(run.repeats) == 1 and not run.sight.checks(CONTAINED):
            return self.store.count_containers(run.type, run.plan(), bounded=bounded, session=run.session)
        counted, position = 0, None
        fields: Document = {**BESIDE, **(BESIDE_CONTAINED if run.contained else {})}
        for _ in range(COUNTED // BATCH):
            found = self._found(run, position, BATCH, fields)
            counted += len(passing(found.documents, checks))
            if len(found.documents) < BATCH:
                return counted
            position = found.position(BATCH - 1)
        raise Unprocessable("There is too much to count; narrow the search, or ask for no total.", code="too-costly")

    def _total(self, runs: list[_Run], seen: int | None, issues: list[Issue]) -> int | None:
        """The number of matches: where it is known without counting, and where it was asked for."""
        asked = runs[0].query.total
        if asked == "none":
            return None
        if seen is not None:
            return seen
        if asked == "accurate":
            return sum(self._count(run) for run in runs)
        if asked == "estimate":
            text = "The total is an estimate; large ones are counted in part."
            issues.append(Issue(text, "informational", "information"))
            return sum(self._count(run, bounded=True) for run in runs)
        return None

    def _link(self, context: str, query: Query, positions: list[Position]) -> list[Pair]:
        kept = [pair for pair in query.applied if pair[0] != "_cursor"]
        return [*kept, ("_cursor", self._cursors.sign(context, positions))] if positions else kept


def cache_of_merges(store: Store, session: Session) -> Callable[[list[str]], list[str]]:
    """`Patients -> those merged into them`, each asked for once in a search."""
    known: dict[tuple[str, ...], list[str]] = {}

    def merged(ids: list[str]) -> list[str]:
        key = tuple(ids)
        if key not in known:
            known[key] = store.merges.behind(ids, session)
        return known[key]

    return merged


def compartment_filter(type: str, name: str, ids: Sequence[str]) -> Filter:
    """What is in somebody's compartment: https://hl7.org/fhir/R4/compartmentdefinition.html. Raises BadRequest.

    `ids` is who it is, and then whoever was merged into this one.
    """
    if type == name:
        return {"_id": ids[0]}
    tokens = [key + each for key in compartment_keys(type, name) for each in ids]
    if not tokens:
        raise BadRequest(f"A {type} is never in the compartment of a {name}.", code="not-supported")
    return {"x": {"$in": tokens}}


def _context(ctx: AccessContext, scope: Sequence[str], query: Query) -> str:
    """What a paging link is good for: this caller, these types, these parameters."""
    pairs = [pair for pair in query.applied if pair[0] not in ("_cursor", "_count")]
    return repr((ctx.actor, ctx.patient, list(scope), sorted(pairs)))
