"""Clause -> MongoDB filter on the stored document (x tokens, r intervals, resource: the native copy).

Every condition that an index can serve is an equality or a range on `x` or on one interval field; what is left is
checked on the native copy of the resources that remain. https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from .. import r4
from ..errors import BadRequest
from .clauses import Clause, Composite, CompositeBase, split_escaped, unescape
from .entries import MAX_STRING, local_reference
from .fold import fold
from .intervals import (
    DATE_WIDTHS,
    NUMBER_WIDTHS,
    Bound,
    Interval,
    date_bounds,
    date_interval,
    milliseconds,
    number_bounds,
    split_prefix,
)
from .parameters import DOCUMENT_FIELDS, RANGE_TYPES, range_field, token_key
from .sources import Route, Source
from .units import UCUM, Convert, comparable

Filter = dict[str, Any]

LAST = "\U0010ffff"  # sorts after every continuation of a token
NOTHING: Filter = {"_id": {"$in": []}}
_NAME_PARTS = ("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")


class Terminology(Protocol):
    """The codes a search needs to know of. Raises FhirError for an unknown or too large value set or code system."""

    def codes_in(self, value_set_url: str) -> list[tuple[str, str]]:
        """(system, code) of everything in a value set."""

    def system(self, url: str) -> Any:
        """A code system, or None when it is not held."""

    def below(self, system: str, code: str) -> list[str]:
        """The code and all that are subsumed by it."""

    def above(self, system: str, code: str) -> list[str]:
        """The code and all that subsume it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What turning clauses into filters depends on beside the clauses."""

    base_url: str
    now: datetime
    edges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Interval field -> bounds on its `low` that the position in the result adds."""
    units: Callable[[str], frozenset[str]] = lambda name: frozenset()
    """Range field, without its `r.` -> the UCUM codes it is stored in."""
    terminology: Terminology | None = None
    """What :in, :not-in, :above and :below ask; without it these modifiers are refused."""


def conditions(clauses: list[Clause], reading: Reading) -> list[Filter]:
    """One filter for each clause, except that clauses on the same dates or amounts are read as one interval.

    Raises BadRequest for a value that is none of its type.
    """
    ranges: dict[str, list[Clause]] = {}
    filters = []
    for clause in clauses:
        if is_range(clause):
            ranges.setdefault(clause.parameter.code, []).append(clause)
        else:
            filters.append(_condition(clause, reading))
    for several in ranges.values():
        sources = several[0].parameter.sources
        if len(sources) == 1:
            filters.append(_range(several, sources[0], reading))
        else:
            filters += [any_of([_range([clause], source, reading) for source in sources]) for clause in several]
    return filters


def is_range(clause: Clause) -> bool:
    """Whether a clause compares intervals of the resource."""
    return (
        clause.parameter.type in RANGE_TYPES
        and clause.modifier != "missing"
        and clause.parameter.code not in DOCUMENT_FIELDS
    )


def _condition(clause: Clause, reading: Reading) -> Filter:
    modifier, kind = clause.modifier, clause.parameter.type
    if modifier == "missing":
        return _missing(clause)
    if clause.parameter.code in DOCUMENT_FIELDS:
        return _document_field(clause, reading.now)
    if modifier == "text":
        return {}  # no index entry tells; the texts are read
    if kind == "string":
        sources = clause.parameter.sources
        return any_of([_string(clause, source, value) for value in clause.values for source in sources])
    if kind == "uri" and modifier in ("above", "below"):
        return any_of([_uri(clause, unescape(value)) for value in clause.values])
    if kind == "token" and modifier in ("in", "not-in", "above", "below"):
        found = any_of([_coded(clause, unescape(value), reading.terminology) for value in clause.values])
        return {"$nor": [found]} if modifier == "not-in" else found
    if kind == "token" and modifier == "of-type":
        return any_of([_of_type(clause, value) for value in clause.values])
    if kind == "reference" and modifier == "identifier":
        return any_of([_logical(clause, value) for value in clause.values])
    if kind == "reference":
        found = _tokens([_reference(clause, value, reading.base_url) for value in clause.values])
    else:
        found = _tokens([_token(clause, value) for value in clause.values])
    return {"$nor": [found]} if modifier == "not" else found


def composite_filters(composite: Composite, base: CompositeBase, reading: Reading) -> list[list[Filter]]:
    """For each alternative of a composite what its components ask, each on its own."""
    return [
        [
            each
            for parameter, value in zip(base.components, values, strict=True)
            for each in conditions([Clause(parameter, "", (value,))], reading)
        ]
        for values in composite.values
    ]


def any_of(filters: list[Filter]) -> Filter:
    """The filter that holds where any of these does."""
    return filters[0] if len(filters) == 1 else {"$or": filters}


def all_of(filters: list[Filter]) -> Filter:
    """The filter that holds where all of these do."""
    if not filters:
        return {}
    return filters[0] if len(filters) == 1 else {"$and": filters}


def _tokens(alternatives: list[tuple[list[str], list[Filter]]]) -> Filter:
    """Bare tokens become one $in, which an index serves in order; the others stand beside them."""
    tokens = [token for bare, _ in alternatives for token in bare]
    filters = [each for _, others in alternatives for each in others]
    if tokens:
        filters.insert(0, {"x": tokens[0] if len(tokens) == 1 else {"$in": list(dict.fromkeys(tokens))}})
    return any_of(filters) if filters else NOTHING


# ---- token, uri ----------------------------------------------------------------------------------------------------


def _token(clause: Clause, value: str) -> tuple[list[str], list[Filter]]:
    parts = [unescape(part) for part in split_escaped(value, "|")]
    if clause.parameter.type == "uri":
        text = unescape(value)
        return [token_key(source, "uri") + text for source in clause.parameter.sources], []
    if len(parts) > 2:
        raise BadRequest(f"'{clause.parameter.code}={value[:60]}': a token is code, system|code, system| or |code.")
    if len(parts) == 1:
        return [token_key(source, "token") + parts[0] for source in clause.parameter.sources], []
    system, code = parts
    bare: list[str] = []
    filters: list[Filter] = []
    for source in clause.parameter.sources:
        key = token_key(source, "token")
        if not code:
            bare.append(f"{key[:-1]}@|{system}")
        else:
            pairs = [found for route in source.routes if (found := _pair(route, system, code)) is not None]
            if any(not pair for pair in pairs):
                bare.append(key + code)
            elif pairs:
                filters.append({"$and": [{"x": key + code}, any_of(pairs)]})
    return bare, filters


def _pair(route: Route, system: str, code: str) -> Filter | None:
    """What must hold beside the token so that code and system stand together; {} nothing, None: it never can."""
    wanted: Any = system if system else {"$exists": False}
    if route.datatype == "CodeableConcept":
        return native(route, {"coding": {"$elemMatch": {"code": code, "system": wanted}}})
    if route.datatype == "Coding":
        return native(route, {"code": code, "system": wanted})
    if route.datatype in ("Identifier", "ContactPoint"):
        return native(route, {"value": code, "system": wanted})
    if not system:
        return {}
    if route.datatype == "code" and route.element is not None and route.element.binding:
        return {} if r4.code_system_of(route.element.binding) == system else None
    return None


def _of_type(clause: Clause, value: str) -> Filter:
    """`identifier:of-type=system|code|value`: the identifier has the value and a type with this coding."""
    parts = [unescape(part) for part in split_escaped(value, "|")]
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise BadRequest(f"'{clause.parameter.code}:of-type' takes system|code|value.")
    system, code, wanted = parts
    coding = {"code": code} | ({"system": system} if system else {})
    found = [
        {
            "$and": [
                {"x": token_key(source, "token") + wanted},
                native(route, {"value": wanted, "type.coding": {"$elemMatch": coding}}),
            ]
        }
        for source in clause.parameter.sources
        for route in source.routes
        if route.datatype == "Identifier"
    ]
    if not found:
        raise BadRequest(f"'{clause.parameter.code}' is no identifier; ':of-type' asks for the type of one.")
    return any_of(found)


def _coded(clause: Clause, value: str, terminology: Terminology | None) -> Filter:
    """:in and :not-in a value set, :above and :below a code: the codes are known before the search."""
    if terminology is None:
        raise BadRequest(f"':{clause.modifier}' needs a terminology service.", code="not-supported")
    if clause.modifier in ("in", "not-in"):
        codes = terminology.codes_in(value)
    else:
        system, bar, code = value.partition("|")
        if not bar or not system or not code:
            raise BadRequest(f"'{clause.parameter.code}:{clause.modifier}' takes system|code.")
        if terminology.system(system) is None:
            raise BadRequest(
                f"The code system '{system[:80]}' is not held here, so it is not known what ':{clause.modifier}' means.",
                code="not-supported",
            )
        related = terminology.below if clause.modifier == "below" else terminology.above
        codes = [(system, each) for each in related(system, code)]
    by_system: dict[str, list[str]] = {}
    for system, code in codes:
        by_system.setdefault(system, []).append(code)
    found = []
    for source in clause.parameter.sources:
        key = token_key(source, "token")
        for system, several in by_system.items():
            pairs = [each for route in source.routes if (each := _any_pair(route, system, several)) is not None]
            tokens: Filter = {"x": {"$in": [key + code for code in several]}}
            if pairs:
                found.append(tokens if any(not pair for pair in pairs) else {"$and": [tokens, any_of(pairs)]})
    return any_of(found) if found else NOTHING


def _any_pair(route: Route, system: str, codes: list[str]) -> Filter | None:
    """Like `_pair`, for any of several codes of one system."""
    among = {"$in": codes}
    if route.datatype == "CodeableConcept":
        return native(route, {"coding": {"$elemMatch": {"code": among, "system": system}}})
    if route.datatype == "Coding":
        return native(route, {"code": among, "system": system})
    return _pair(route, system, codes[0]) if route.datatype == "code" else None


def _uri(clause: Clause, value: str) -> Filter:
    """:below is the address and what its path leads to, :above the address and what leads to it."""
    found: list[Filter] = []
    parents = [value]
    while clause.modifier == "above" and "/" in parents[-1].partition("://")[2]:
        parents.append(parents[-1].rpartition("/")[0])
    for source in clause.parameter.sources:
        key = token_key(source, "uri")
        found.append({"x": {"$in": [key + each for each in parents]}})
        if clause.modifier == "below":
            found.append(starting_with(key + value.rstrip("/") + "/"))
    return any_of(found)


def native(route: Route, wanted: Filter) -> Filter:
    """`wanted` (property -> condition) of one and the same item at the end of a route, on the native copy."""
    keys = route.keys
    last_list = max((number for number, key in enumerate(keys) if key.many), default=-1)
    outer = ".".join(["resource", *(key.name for key in keys[: last_list + 1])])
    inner = "".join(key.name + "." for key in keys[last_list + 1 :])
    if last_list < 0:
        return {f"{outer}.{inner}{name}": each for name, each in wanted.items()}
    return {outer: {"$elemMatch": {inner + name: each for name, each in wanted.items()}}}


# ---- reference -----------------------------------------------------------------------------------------------------


def _reference(clause: Clause, value: str, base_url: str) -> tuple[list[str], list[Filter]]:
    text = local_reference(unescape(value), base_url)
    tokens: list[str] = []
    for source in clause.parameter.sources:
        key = token_key(source, "reference")
        kind, slash, _ = text.partition("/")
        if ":" in text:
            if not source.target or f"/{source.target}/" in text:
                tokens.append(key + text)
        elif slash:
            if kind not in r4.RESOURCE_TYPES:
                raise BadRequest(f"'{clause.parameter.code}={value[:60]}': '{kind[:40]}' is no resource type.")
            if (not source.target or kind == source.target) and clause.modifier in ("", kind):
                tokens.append(key + text)
        else:
            tokens += [f"{key}{target}/{text}" for target in _targets(clause, source)]
    return tokens, []


def _logical(clause: Clause, value: str) -> Filter:
    """`subject:identifier=system|value`: the reference itself carries the identifier."""
    system, bar, wanted = unescape(value).partition("|")
    if not bar:
        system, wanted = "", unescape(value)
    found: list[Filter] = []
    for source in clause.parameter.sources:
        token: Filter = {"x": f"{source.key}.identifier|{wanted}"}
        if not bar:
            found.append(token)
            continue
        held: Any = system or {"$exists": False}
        pairs = [native(route, {"identifier.value": wanted, "identifier.system": held}) for route in source.routes]
        found.append({"$and": [token, any_of(pairs)]})
    return any_of(found)


def _targets(clause: Clause, source: Source) -> tuple[str, ...]:
    """The types that a bare logical id may belong to."""
    if clause.modifier:
        return (clause.modifier,)
    if source.target:
        return (source.target,)
    allowed = {target for route in source.routes if route.element for target in route.element.targets}
    named = clause.parameter.targets or r4.RESOURCE_TYPES
    return tuple(target for target in named if target in allowed) if allowed else tuple(named)


# ---- string --------------------------------------------------------------------------------------------------------


def folded_prefix(clause: Clause, source: Source, value: str) -> str:
    """The beginning of every token that matches a string value."""
    text = fold(unescape(value))
    if len(text) > MAX_STRING:
        raise BadRequest(f"'{clause.parameter.code}': at most {MAX_STRING} letters can be searched for.")
    return token_key(source, "string") + text


def starting_with(prefix: str) -> Filter:
    """Tokens that start with `prefix`; $elemMatch, since on an array two bare bounds may be met by two items."""
    return {"x": {"$elemMatch": {"$gte": prefix, "$lt": prefix + LAST}}}


def _string(clause: Clause, source: Source, value: str) -> Filter:
    prefix = folded_prefix(clause, source, value)
    if clause.modifier == "contains":
        key = token_key(source, "string")
        return {"x": {"$regex": f"^{re.escape(key)}.*{re.escape(prefix[len(key) :])}"}}
    if clause.modifier == "ends":  # of _filter
        key = token_key(source, "string")
        return {"x": {"$regex": f"^{re.escape(key)}.*{re.escape(prefix[len(key) :])}$"}}
    if clause.modifier == "whole":  # of _filter: all of the text, without regard to case and diacritics
        return {"x": prefix}
    if clause.modifier == "exact":
        return {"$and": [starting_with(prefix), any_of([_exactly(route, unescape(value)) for route in source.routes])]}
    return starting_with(prefix)


def exactly(clause: Clause) -> Filter:
    """What :exact asks beside the beginning of a token: the text as it was written."""
    sources = clause.parameter.sources
    routes = [route for source in sources for route in source.routes]
    return any_of([_exactly(route, unescape(value)) for value in clause.values for route in routes])


def _exactly(route: Route, value: str) -> Filter:
    parts = {"HumanName": _NAME_PARTS, "Address": _ADDRESS_PARTS}.get(route.datatype)
    path = ".".join(["resource", *(key.name for key in route.keys)])
    if parts is None:
        return {path: value}
    return {"$or": [{f"{path}.{part}": value} for part in parts]}


# ---- date, number, quantity ----------------------------------------------------------------------------------------


def _range(clauses: list[Clause], source: Source, reading: Reading) -> Filter:
    """All clauses on one source: bounds on `low` in each class of widths, which the index (width, low, _id) is read
    by, and beside them exactly what each clause asks."""
    if clauses[0].parameter.type == "quantity":
        return all_of([_quantity(clause, source, reading) for clause in clauses])
    name = range_field(source)
    checks = []
    for clause in clauses:
        alternatives = [each for value in clause.values for each in _bounds(clause, value, reading.now)]
        checks.append(any_of([_check(name, bound, {}, source.many) for bound in alternatives]))
    limits = _limits(
        [[each for value in c.values for each in _bounds(c, value, reading.now)] for c in clauses], source, reading
    )
    return all_of([_driver(name, limits), *checks])


def _quantity(clause: Clause, source: Source, reading: Reading) -> Filter:
    """The alternatives of a quantity, each in a unit of its own and with bounds of its own."""
    name = range_field(source)
    found = []
    for value in clause.values:
        for bounds, unit in _amounts(clause, value, reading.units(name[2:])):
            check = any_of([_check(name, bound, unit, source.many) for bound in bounds])
            driver = _driver(name, _limits([bounds], source, reading))
            if "code" in unit and not source.many:
                driver = _of_unit(name, driver, unit["code"])
            found.append(all_of([driver, check]))
    return any_of(found)


def _of_unit(name: str, driver: Filter, code: str) -> Filter:
    """The bounds with the unit, which an index of its own begins with."""
    if "$or" in driver:
        return {"$or": [{f"{name}.code": code, **each} for each in driver["$or"]]}
    return {f"{name}.code": code, **driver}


def low_limits(clauses: list[Clause], source: Source, reading: Reading) -> tuple[float, float]:
    """The least and the greatest `low` that a match of all the clauses on a source can have."""
    wanted = [[each for value in clause.values for each in _bounds(clause, value, reading.now)] for clause in clauses]
    limits = _limits(wanted, source, reading)
    return min(lower for lower, _ in limits), max(upper for _, upper in limits)


def _limits(wanted: list[list[Bound]], source: Source, reading: Reading) -> list[tuple[float, float]]:
    """The same for each class of widths; of each list of bounds any may hold, and of the lists all must."""
    floor, ceiling = reading.edges.get(range_field(source), (-math.inf, math.inf))
    dates = any(route.datatype in ("date", "dateTime", "instant", "Period", "Timing") for route in source.routes)
    limits = []
    for width in DATE_WIDTHS if dates else NUMBER_WIDTHS:
        lower, upper = floor, ceiling
        for bounds in wanted:
            lower = max(lower, min(_lower(bound, width, source.many) for bound in bounds))
            upper = min(upper, max(_upper(bound) for bound in bounds))
        limits.append((lower, upper))
    return limits


def _driver(name: str, limits: list[tuple[float, float]]) -> Filter:
    ranges = [{"$gte": lower} | ({} if upper == math.inf else {"$lte": upper}) for lower, upper in limits]
    if all(each == ranges[0] for each in ranges):
        return {f"{name}.width": {"$in": list(range(len(ranges)))}, f"{name}.low": ranges[0]}
    return any_of([{f"{name}.width": number, f"{name}.low": each} for number, each in enumerate(ranges)])


def _lower(bound: Bound, width: Any, many: bool) -> Any:
    """The least `low` an interval no longer than `width` can have. Where several intervals stand behind one span, the
    span begins up to its width before the one that matches."""
    lower = -math.inf
    if bound.low_from is not None:
        lower = bound.low_from - width if many else bound.low_from
    return lower if bound.high_above is None else max(lower, bound.high_above - width)


def _upper(bound: Bound) -> Any:
    return min(limit for limit in (bound.low_below, bound.high_to, math.inf) if limit is not None)


def _bounds(clause: Clause, value: str, now: datetime) -> list[Bound]:
    """The alternatives of one date or number."""
    prefix, text = split_prefix(unescape(value))
    if clause.parameter.type == "date":
        return date_bounds(prefix, sought_dates(clause, text), milliseconds(now))
    return number_bounds(prefix, text)


def _amounts(clause: Clause, value: str, held: frozenset[str]) -> list[tuple[list[Bound], Filter]]:
    """(bounds, condition on the unit) for every unit that one quantity can be stored in."""
    parts = [unescape(part) for part in split_escaped(value, "|")]
    prefix, text = split_prefix(parts[0])
    bounds = number_bounds(prefix, text)
    if len(parts) == 1:
        return [(bounds, {})]
    if len(parts) != 3:
        raise BadRequest(f"'{clause.parameter.code}': a quantity is number, number|system|code or number||unit.")
    _, system, code = parts
    if system != UCUM or not code:
        return [(bounds, _unit(system, code))]
    return [
        ([_converted(bound, convert) for bound in bounds], {"system": system, "code": other})
        for other, convert in comparable(code)
        if other == code or other in held
    ]


def _converted(bound: Bound, convert: Convert) -> Bound:
    limits = (bound.low_from, bound.low_below, bound.high_above, bound.high_to)
    return Bound(*(None if limit is None else convert(limit) for limit in limits))


def _check(field: str, bound: Bound, unit: Filter, many: bool) -> Filter:
    """Exactly what the prefix asks, of one and the same interval."""
    if many:
        return {f"{field}.all": {"$elemMatch": _exact(bound) | unit}}
    return all_of([_prefixed(field, each) for each in (_exact(bound), unit) if each])


def sought_dates(clause: Clause, text: str) -> Interval:
    """The interval that a searched date stands for. Raises BadRequest."""
    try:
        return date_interval(text.replace(" ", "+"))  # an unencoded + arrives as a space
    except (ValueError, OverflowError):
        raise BadRequest(
            f"'{clause.parameter.code}': '{text[:40]}' is no date; write yyyy, yyyy-mm, yyyy-mm-dd or "
            "yyyy-mm-ddThh:mm:ss+07:00, with a prefix such as ge in front if wanted."
        ) from None


def _unit(system: str, code: str) -> Filter:
    """https://hl7.org/fhir/R4/search.html#quantity: number|system|code or number||code-or-unit."""
    if system:
        return {"system": system, "code": code} if code else {"system": system}
    return {"$or": [{"code": code}, {"unit": code}]}


def _exact(bound: Bound) -> Filter:
    low: Filter = {}
    high: Filter = {}
    if bound.low_from is not None:
        low["$gte"] = bound.low_from
    if bound.low_below is not None:
        low["$lt"] = bound.low_below
    if bound.high_above is not None:
        high["$gt"] = bound.high_above
    if bound.high_to is not None:
        high["$lte"] = bound.high_to
    return ({"low": low} if low else {}) | ({"high": high} if high else {})


def _prefixed(field: str, wanted: Filter) -> Filter:
    if "$or" in wanted:
        return {"$or": [_prefixed(field, each) for each in wanted["$or"]]}
    return {f"{field}.{name}": each for name, each in wanted.items()}


# ---- _id, _lastUpdated, :missing -----------------------------------------------------------------------------------


def _document_field(clause: Clause, now: datetime) -> Filter:
    if clause.parameter.code == "_id":
        found: Filter = {"_id": {"$in": [unescape(value) for value in clause.values]}}
        return {"$nor": [found]} if clause.modifier == "not" else found
    filters = []
    for value in clause.values:
        prefix, text = split_prefix(unescape(value))
        for bound in date_bounds(prefix, sought_dates(clause, text), milliseconds(now)):
            filters.append(_instant(bound))
    return any_of(filters)


def _instant(bound: Bound) -> Filter:
    """A bound on `t`, an instant of one millisecond: low = t, high = t + 1 ms."""
    limits = (
        ("$gte", bound.low_from),
        ("$lt", bound.low_below),
        ("$gte", bound.high_above),
        ("$lt", bound.high_to),
    )
    return all_of([{"t": {operator: _moment(limit)}} for operator, limit in limits if limit is not None])


def _moment(limit: int) -> datetime:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=limit)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if limit > 0 else datetime.min.replace(tzinfo=UTC)


def _missing(clause: Clause) -> Filter:
    if clause.parameter.code in DOCUMENT_FIELDS:
        return NOTHING if clause.values[0] == "true" else {}
    present = [each for source in clause.parameter.sources for each in _present(clause, source)]
    return {"$nor": present} if clause.values[0] == "true" else any_of(present)


def _present(clause: Clause, source: Source) -> list[Filter]:
    """https://hl7.org/fhir/R4/search.html#missing: an element counts as present when it has a value."""
    if not all(route.plain for route in source.routes) or not source.routes:
        return [starting_with(token_key(source, clause.parameter.type))]
    return [{".".join(["resource", *(key.name for key in route.keys)]): {"$exists": True}} for route in source.routes]
