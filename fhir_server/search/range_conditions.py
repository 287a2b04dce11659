"""Clauses on dates, numbers and quantities -> MongoDB filter on the intervals of the stored document.

https://hl7.org/fhir/R4/search.html#date, #number and #quantity. The index (width, low, _id) is read between bounds on `low` in
each class of widths; what each prefix asks exactly is checked beside them.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import BadRequest
from .clauses import Clause, split_escaped, unescape
from .filters import Filter, Reading, all_of, any_of
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
from .parameters import DOCUMENT_FIELDS, RANGE_TYPES, range_field
from .sources import Source
from .units import UCUM, Convert, comparable


def is_range(clause: Clause) -> bool:
    """Whether a clause compares intervals of the resource."""
    return (
        clause.parameter.type in RANGE_TYPES
        and clause.modifier != "missing"
        and clause.parameter.code not in DOCUMENT_FIELDS
    )


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


def range_condition(clauses: list[Clause], source: Source, reading: Reading) -> Filter:
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
    if bound.high_above is None or width == math.inf:
        return lower
    # Strictly behind: a weight that hundreds have would otherwise be read before the first that is greater.
    return max(lower, math.nextafter(bound.high_above - width, math.inf))


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


def document_field_condition(clause: Clause, now: datetime) -> Filter:
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
