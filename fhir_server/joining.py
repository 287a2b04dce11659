"""Filters that no single index answers: chains, _has, lists, composites, words; as MongoDB filters where the other side
is small, else as checks on a batch of documents.

https://hl7.org/fhir/R4/search.html#chaining and #has. Never more than a bounded number of ids is held: the side that is
searched for is read first when it has few matches, and otherwise asked batch by batch about the documents at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .errors import BadRequest, Unprocessable
from .resource.exact import parse
from .search import checks
from .search.clauses import AnyClause, Chain, Clause, Composite, Either, Has, Listed, Near, Words
from .search.conditions import conditions
from .search.filters import NOTHING, Filter, Reading, all_of, any_of
from .search.parameters import token_key
from .store.records import Document, Session, Store

FEW = 1000  # ids that one side of a join may be turned into
READ = 2000  # documents that are read to find them
LISTED = 5000  # entries of a List

BatchCheck = Callable[[list[Document]], list[Document]]
"""The documents (with `json` and `tokens`) that pass."""

BESIDE = {"tokens": "$x"}  # what a batch check reads beside what is served


@dataclass(frozen=True, slots=True)
class Parts:
    """What a clause becomes: a filter that all its matches fulfil, and checks that leave nothing but them."""

    filter: Filter
    checks: tuple[BatchCheck, ...] = ()


class Joining:
    """The joins of one search, in the name of one caller."""

    def __init__(self, store: Store, reading: Reading, owner: str | None, session: Session) -> None:
        self.store = store
        self.reading = reading
        self.owner = owner
        self.session = session
        self._known: dict[tuple[str, int], Parts] = {}

    def parts(self, type: str, clause: AnyClause) -> Parts:
        """What a clause on a type becomes. Raises FhirError."""
        key = (type, id(clause))
        if key not in self._known:
            self._known[key] = self._parts(type, clause)
        return self._known[key]

    def _parts(self, type: str, clause: AnyClause) -> Parts:
        match clause:
            case Clause():
                filter = all_of([each for each in conditions([clause], self.reading) if each])
                return Parts(filter, (_each(checks.texts(clause)),) if clause.modifier == "text" else ())
            case Composite():
                filter, check = checks.composite(type, clause, self.reading, self.reading.base_url)
                return Parts(filter, (_each(check),) if check else ())
            case Words():
                return Parts({}, (_each(checks.words(clause)),))
            case Near():
                return Parts({"resource.position": {"$exists": True}}, (_each(checks.near(clause)),))
            case Listed():
                return Parts(self._listed(type, clause))
            case Either():
                return self._either(type, clause)
            case Chain():
                return self._chain(clause)
            case Has():
                return self._has(type, clause)

    def _either(self, type: str, clause: Either) -> Parts:
        parts = [self.parts(type, each) for each in clause.parts]
        if clause.operator == "and":
            return Parts(
                all_of([each.filter for each in parts if each.filter]), tuple(c for p in parts for c in p.checks)
            )
        if any(part.checks for part in parts):
            raise BadRequest(
                f"This _filter has under '{clause.operator}' what can only be combined by 'and'.", code="not-supported"
            )
        filters = [part.filter for part in parts]
        return Parts(any_of(filters) if clause.operator == "or" else {"$nor": filters})

    # ---- chains: what a reference points to ----------------------------------------------------------------------

    def _chain(self, chain: Chain) -> Parts:
        found: list[str] = []
        for target, inner in chain.inner.items():
            ids = self._ids(target, inner)
            if ids is None:
                return Parts({}, (self._chain_check(chain),))
            found += [f"{key}{target}/{each}" for key in _keys(chain, target) for each in ids]
        return Parts({"x": {"$in": found}} if found else NOTHING)

    def _ids(self, type: str, clause: AnyClause) -> list[str] | None:
        """The ids of a clause's matches; None when there are more than a few."""
        parts = self.parts(type, clause)
        if not parts.checks:
            found = self._find(type, parts.filter, FEW + 1)
            return None if len(found) > FEW else [each["_id"] for each in found]
        found = self._find(type, parts.filter, READ + 1, BESIDE, texts=True)
        if len(found) > READ:
            return None
        passed = passing(found, parts.checks)
        return None if len(passed) > FEW else [each["_id"] for each in passed]

    def _chain_check(self, chain: Chain) -> BatchCheck:
        def check(documents: list[Document]) -> list[Document]:
            allowed: set[str] = set()
            for target, inner in chain.inner.items():
                beginnings = tuple(f"{key}{target}/" for key in _keys(chain, target))
                tokens = {token for each in documents for token in each["tokens"] if token.startswith(beginnings)}
                ids = {token.rpartition("/")[2] for token in tokens}
                passing = self._among(target, inner, sorted(ids))
                allowed |= {token for token in tokens if token.rpartition("/")[2] in passing}
            return [each for each in documents if not allowed.isdisjoint(each["tokens"])]

        return check

    def _among(self, type: str, clause: AnyClause, ids: list[str]) -> set[str]:
        """Which of some resources fulfil a clause."""
        if not ids:
            return set()
        parts = self.parts(type, clause)
        wanted = all_of([{"_id": {"$in": ids}}, *([parts.filter] if parts.filter else [])])
        found = self._find(type, wanted, 0, BESIDE if parts.checks else {}, texts=bool(parts.checks))
        return {each["_id"] for each in passing(found, parts.checks)}

    # ---- _has: what refers to a resource -------------------------------------------------------------------------

    def _has(self, type: str, has: Has) -> Parts:
        beginnings = tuple(f"{key}{type}/" for key in _keys(has, type))
        parts = self.parts(has.source, has.inner)
        found = self._find(has.source, parts.filter, READ + 1, BESIDE, texts=bool(parts.checks))
        if len(found) <= READ:
            referring = passing(found, parts.checks)
            tokens = {token for each in referring for token in each["tokens"] if token.startswith(beginnings)}
            ids = {token.rpartition("/")[2] for token in tokens}
            if len(ids) <= FEW:
                return Parts({"_id": {"$in": sorted(ids)}})
        return Parts({}, (self._has_check(type, has),))

    def _has_check(self, type: str, has: Has) -> BatchCheck:
        keys = _keys(has, type)
        parts = self.parts(has.source, has.inner)

        def check(documents: list[Document]) -> list[Document]:
            by_token = {f"{key}{type}/{each['_id']}": each["_id"] for key in keys for each in documents}
            tokens = list(by_token)
            wanted = all_of([{"x": {"$in": tokens}}, *([parts.filter] if parts.filter else []), *self._owned()])
            if parts.checks:
                found = self._find(has.source, wanted, 2 * READ + 1, BESIDE, texts=True)
                if len(found) > 2 * READ:
                    raise Unprocessable("This _has reads too much; narrow the search.", code="too-costly")
                held = {token for each in passing(found, parts.checks) for token in each["tokens"]}
            else:
                held = self.store.referring_tokens(has.source, wanted, tokens, session=self.session)
            kept = {by_token[token] for token in tokens if token in held}
            return [each for each in documents if each["_id"] in kept]

        return check

    # ---- lists ----------------------------------------------------------------------------------------------------

    def _listed(self, type: str, listed: Listed) -> Filter:
        """https://hl7.org/fhir/R4/search.html#list: functional lists ($current-...) are not kept by this server."""
        if listed.list_id.startswith("$"):
            raise BadRequest("Functional lists such as $current-problems are not supported.", code="not-supported")
        found = self._find("List", {"_id": listed.list_id}, 1, BESIDE)
        beginning = f"entry.item|{type}/"
        tokens = [token for each in found for token in each["tokens"] if token.startswith(beginning)]
        if len(tokens) > LISTED:
            raise Unprocessable(f"The List has more than {LISTED} entries.", code="too-costly")
        return {"_id": {"$in": [token.rpartition("/")[2] for token in tokens]}}

    def _owned(self) -> list[Filter]:
        return [] if self.owner is None else [{"o": self.owner}]

    def _find(
        self, type: str, wanted: Filter, limit: int, fields: Document | None = None, *, texts: bool = False
    ) -> list[Document]:
        """The caller's documents that fulfil a filter; with their texts only where checks will read them."""
        owned = all_of([*self._owned(), *([wanted] if wanted else [])])
        read = self.store.currents if texts else self.store.bare
        return read(type, owned, fields=fields or {}, limit=limit, session=self.session)


def _keys(join: Chain | Has, target: str) -> list[str]:
    """The beginnings of the tokens by which a parameter refers to a type."""
    sources = join.parameter.sources
    return [token_key(source, "reference") for source in sources if source.target in ("", target)]


def _each(check: checks.Check) -> BatchCheck:
    def batch(documents: list[Document]) -> list[Document]:
        return [document for document in documents if check(parse(document["json"]))]

    return batch


def passing(documents: list[Document], several: Iterable[BatchCheck]) -> list[Document]:
    """The documents that pass all checks."""
    for check in several:
        if documents:
            documents = check(documents)
    return documents
