"""Query -> Plan: the filter, the order in which an index gives the matches, and where the page begins.

Matches come in the order of an index that the filter is read by, so that a page costs a page and not the whole list:
by logical id where codes or references are asked for, by date where only dates are, by word where only names are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .clauses import UNINDEXED, Clause
from .conditions import conditions, exactly, folded_prefix
from .filters import LAST, Filter, Owner, Reading, all_of
from .paging import SortKey, behind, check_position
from .parameters import DOCUMENT_FIELDS, RANGE_TYPES, main_sort, newest_of, parameters, range_field, token_key
from .query import Query
from .range_conditions import is_range, low_limits
from .units import UCUM

BY_ID = SortKey("_id")

# What records of a type say of who may see a patient's record: `g` opens it, `n` hides it (fhir_server/access/care.py).
RULES = {**dict.fromkeys(("Patient", "Encounter", "EpisodeOfCare", "Coverage"), ("g",)), "Consent": ("g", "n")}


@dataclass(slots=True)
class Plan:
    """How a query is carried out on one collection."""

    filter: Filter
    """All matches, whatever the page."""
    keys: list[SortKey]
    """The order, ending in _id."""
    hint: list[tuple[str, int]] | None = None
    """The index to read by where there is no choice, which spares MongoDB the trial of others."""
    start: Filter | None = None
    """What comes after the cursor."""
    words: list[tuple[str, str]] = field(default_factory=list)
    """Disjoint [low, high) ranges of tokens, ascending: the matches are read in the order of their tokens."""
    rest: Filter = field(default_factory=dict)
    """What matches fulfil beside having a token in those ranges."""
    word_start: tuple[str, str] | None = None
    """(token, _id) behind which the page begins."""
    computed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Sort field -> beginnings of the tokens whose smallest it is, for orders that no index keeps."""


def plan(
    query: Query,
    reading: Reading,
    *,
    owner: Owner = None,
    extra: Sequence[Filter] = (),
    position: list[Any] | None = None,
) -> Plan:
    """How to carry out the query. `owner` narrows it to one patient's records before anything else happens, `extra`
    is what the filters beside the simple ones ask; the page begins behind `position`."""
    choosing = owner is not None or not all(_only_hides(each) for each in extra)
    driver = None if choosing or query.sort else _word_driver(query.clauses)
    whole = _narrowed([*extra, *conditions(query.clauses, reading)], owner)
    if driver is not None:
        return _word_plan(query, driver, whole, [*extra], reading, position)
    keys, computed = _order(query)
    if keys[0].field == "s":
        whole = _in_date_order(_dated(query, whole, reading), newest_of(query.resource_type))
    made = Plan(whole, keys, computed=computed, hint=_hint(whole, keys))
    if not choosing:
        made.hint = made.hint or _unit_hint(query, keys)
    if position is not None:
        check_position(position, len(keys))
        edge = _edge(keys[0], position[0])
        made.start = behind(keys, position)
        if edge is not None:
            edged = conditions(query.clauses, replace(reading, edges=edge))
            made.start = all_of([made.start, _narrowed(edged, None)])
    return made


def _hint(filter: Filter, keys: list[SortKey]) -> list[tuple[str, int]] | None:
    """The index of a filter that is nothing but one token: trying others took 4 ms of 5 at a million records."""
    parts = [each for each in filter.get("$and", [filter]) if not _only_hides(each)]
    wanted = parts[0] if len(parts) == 1 and len(parts[0]) == 1 else {}
    if isinstance(wanted.get("x"), str) and keys == [BY_ID]:
        return [("x", 1), ("_id", 1)]
    if isinstance(wanted.get("k"), str) and [key.field for key in keys] == ["s", "_id"]:
        return [("k", 1), ("s", 1), ("_id", 1)]
    return None


def _only_hides(filter: Filter) -> bool:
    """Whether a filter only leaves matches out, such as what a patient hides: it is no way to find any."""
    return filter.keys() == {"$nor"}


def _unit_hint(query: Query, keys: list[SortKey]) -> list[tuple[str, int]] | None:
    """The index of an amount in a unit, where that is all that is asked for."""
    clause = query.clauses[0] if len(query.clauses) == 1 else None
    if clause is None or clause.parameter.type != "quantity" or clause.modifier or query.sort:
        return None
    source = clause.parameter.sources[0]
    name = range_field(source)
    in_unit = all(value.count("|") == 2 and f"|{UCUM}|" in value and value[-1] != "|" for value in clause.values)
    if not in_unit or source.many or keys[0].field != f"{name}.low":
        return None
    return [(f"{name}.code", 1), (f"{name}.width", 1), (f"{name}.low", 1), ("_id", 1)]


def _narrowed(filters: list[Filter], owner: Owner) -> Filter:
    owned = [] if owner is None else [{"o": owner}]
    return all_of([*owned, *(each for each in filters if each)])


def _edge(key: SortKey, value: Any) -> dict[str, tuple[float, float]] | None:
    """The bound that a position in the order of an interval field puts on that field, so that no page reads the ones
    before it again."""
    if not key.field.startswith("r.") or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return {key.field.removesuffix(".low"): (-math.inf, value) if key.descending else (value, math.inf)}


def _dated(query: Query, whole: Filter, reading: Reading) -> Filter:
    """The filter with bounds on the sort key where the dates that are asked for give some."""
    order = main_sort(query.resource_type)
    dates = [clause for clause in query.clauses if order and clause.parameter == order and is_range(clause)]
    if not dates or order is None:
        return whole
    lower, upper = low_limits(dates, order.sources[0], reading)
    bounds = ({"$gte": lower} if lower > -math.inf else {}) | ({"$lte": upper} if upper < math.inf else {})
    return all_of([{"s": bounds}, whole]) if bounds else whole


def _word_plan(
    query: Query, driver: Clause, whole: Filter, extra: list[Filter], reading: Reading, position: list[Any] | None
) -> Plan:
    others = [each for each in query.clauses if each is not driver]
    rest = [*extra, *conditions(others, reading), *([exactly(driver)] if driver.modifier == "exact" else [])]
    made = Plan(whole, [SortKey("x"), BY_ID], words=_words(driver), rest=_narrowed(rest, None))
    if position is not None:
        check_position(position, 2)
        made.word_start = (str(position[0]), str(position[1]))
    return made


def _in_date_order(filter: Filter, newest: tuple[str, ...]) -> Filter:
    """The filter with the tokens that are also kept in date order asked for there."""
    if not newest:
        return filter
    made: Filter = {}
    for name, wanted in filter.items():
        if name in ("$and", "$or"):
            made[name] = [_in_date_order(each, newest) for each in wanted]
        elif name == "x" and _all_start_with(wanted, newest):
            made["k"] = wanted
        else:
            made[name] = wanted
    return made


def _all_start_with(wanted: Any, newest: tuple[str, ...]) -> bool:
    tokens = wanted.get("$in", [""]) if isinstance(wanted, dict) else [wanted]
    return all(token.startswith(newest) for token in tokens)


def _word_driver(clauses: list[Clause]) -> Clause | None:
    """The clause whose tokens are read in order when beginnings of strings are asked for and nothing else that an
    index could serve better; the longest, since it has the fewest matches."""
    strings = [clause for clause in clauses if clause.parameter.type == "string"]
    if any(clause.modifier not in UNINDEXED for clause in clauses if clause not in strings):
        return None
    drivers = [clause for clause in strings if clause.modifier in ("", "exact")]
    return max(drivers, key=lambda clause: min(len(value) for value in clause.values), default=None)


def _words(driver: Clause) -> list[tuple[str, str]]:
    """The token ranges of a clause, disjoint and ascending."""
    prefixes = sorted(
        {folded_prefix(driver, source, value) for value in driver.values for source in driver.parameter.sources}
    )
    ranges: list[tuple[str, str]] = []
    for prefix in prefixes:
        if not ranges or not prefix.startswith(ranges[-1][0]):
            ranges.append((prefix, prefix + LAST))
    return ranges


def _order(query: Query) -> tuple[list[SortKey], dict[str, tuple[str, ...]]]:
    keys: list[SortKey] = []
    computed: dict[str, tuple[str, ...]] = {}
    for code, descending in query.sort:
        name, tokens = _sort_field(query.resource_type, code)
        if tokens:
            name = f"c{len(keys)}"
            computed[name] = tokens
        keys.append(SortKey(name, descending))
        if name == "_id":
            return keys, computed
    if not keys:
        keys = _implied_order(query)
    # Ties are broken in the direction of the last key, so that an index gives them too.
    return [*keys, SortKey("_id", bool(keys) and keys[-1].descending)], computed


def _implied_order(query: Query) -> list[SortKey]:
    """The order without _sort: the one an index gives for the filters at hand; [] is by logical id."""
    ranged = next((clause.parameter for clause in query.clauses if is_range(clause)), None)
    others = [clause for clause in query.clauses if not is_range(clause) and clause.modifier not in UNINDEXED]
    served = [clause for clause in others if clause.parameter.type != "string"]
    if ranged is None:
        instants = [clause for clause in served if clause.parameter.code == "_lastUpdated"]
        return [SortKey("t")] if instants and len(instants) == len(others) else []
    if not served:
        return [SortKey(range_field(ranged.sources[0]) + ".low")] if len(ranged.sources) == 1 else []
    dated = ranged == main_sort(query.resource_type) and any(
        token_key(source, clause.parameter.type) in newest_of(query.resource_type)
        for clause in served
        for source in clause.parameter.sources
    )
    return [SortKey("s", descending=True)] if dated else []


def _sort_field(resource_type: str, code: str) -> tuple[str, tuple[str, ...]]:
    """(field, ()) where a field keeps the order, ("", token beginnings) where it is computed."""
    parameter = parameters(resource_type)[code]
    if code in DOCUMENT_FIELDS:
        return DOCUMENT_FIELDS[code], ()
    order = main_sort(resource_type)
    if order is not None and order.code == code:
        return "s", ()
    if parameter.type in RANGE_TYPES:
        return range_field(parameter.sources[0]) + ".low", ()
    return "", tuple(token_key(source, parameter.type) for source in parameter.sources)


def indexes(resource_type: str) -> list[tuple[list[tuple[str, int]], dict[str, Any]]]:
    """The (keys, options) of the indexes that a type's collection carries."""
    found: list[tuple[list[tuple[str, int]], dict[str, Any]]] = [
        ([("x", 1), ("_id", 1)], {}),
        ([("o", 1), ("_id", 1)], {"partialFilterExpression": {"o": {"$exists": True}}}),
        ([("t", 1), ("_id", 1)], {}),
    ]
    for name in RULES.get(resource_type, ()):
        found.append(([("o", 1), (f"{name}.f", 1)], {"partialFilterExpression": {f"{name}.f": {"$exists": True}}}))
    if resource_type == "Consent":
        found.append(([("n.f", 1)], {"partialFilterExpression": {"n.f": {"$exists": True}}}))
    order = main_sort(resource_type)
    if order is not None:
        found.append(([("s", 1), ("_id", 1)], {}))
        if order.type == "date":
            found.append(([("k", 1), ("s", 1), ("_id", 1)], {}))
    kept = parameters(resource_type).values()
    ranged = {range_field(source) for each in kept if each.type in RANGE_TYPES for source in each.sources}
    # Kilograms stand among centimetres and beats a minute: an amount in a unit is sought among its own.
    united = {range_field(s) for each in kept if each.type == "quantity" for s in each.sources if not s.many}
    for name in sorted(ranged):
        keys = [(f"{name}.width", 1), (f"{name}.low", 1), ("_id", 1)]
        present = {"partialFilterExpression": {f"{name}.low": {"$exists": True}}}
        found.append((keys, present))
    for name in sorted(united):
        keys = [(f"{name}.code", 1), (f"{name}.width", 1), (f"{name}.low", 1), ("_id", 1)]
        found.append((keys, {"partialFilterExpression": {f"{name}.code": {"$exists": True}}}))
    return found
