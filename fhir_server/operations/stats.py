"""Statistics over the values of one person's observations.

https://hl7.org/fhir/R4/observation-operation-stats.html

Values are compared and added as decimals, and only with values in the same unit: one observation of statistics for
each code and unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from ..access.context import AccessContext
from ..errors import Issue
from ..repository import Repository, Stored
from ..resource.exact import Resource
from ..search.intervals import date_interval
from ..search.query import Pair
from .observations import read_newest, whose

STATISTICS_SYSTEM = "http://terminology.hl7.org/CodeSystem/observation-statistics"

Values = Sequence[Decimal]
"""In ascending order, at least one."""

_MORE_DIGITS = 2  # behind the point, of a mean of values than of the values


def _mean(values: Values) -> Decimal:
    return _rounded(sum(values, Decimal(0)) / len(values), values)


def _percentile(part: str) -> Callable[[Values], Decimal]:
    """The value below which `part` of the values lie, between two values in proportion."""

    def statistic(values: Values) -> Decimal:
        place = Decimal(part) * (len(values) - 1)
        below = int(place)
        above = min(below + 1, len(values) - 1)
        return _rounded(values[below] + (values[above] - values[below]) * (place - below), values)

    return statistic


def _variance(values: Values) -> Decimal:
    """Of a sample: over n - 1. Zero for a single value."""
    mean = sum(values, Decimal(0)) / len(values)
    return sum(((value - mean) ** 2 for value in values), Decimal(0)) / max(len(values) - 1, 1)


def _rounded(value: Decimal, values: Values) -> Decimal:
    places = max(0, *(-int(each.as_tuple().exponent) for each in values)) + _MORE_DIGITS
    rounded = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    return rounded.normalize() if rounded % 1 else rounded.quantize(Decimal(1))


# code -> (what people call it, how it is computed)
STATISTICS: dict[str, tuple[str, Callable[[Values], Decimal]]] = {
    "average": ("Average", _mean),
    "maximum": ("Maximum", lambda values: values[-1]),
    "minimum": ("Minimum", lambda values: values[0]),
    "count": ("Count", lambda values: Decimal(len(values))),
    "total-count": ("Total Count", lambda values: Decimal(len(values))),
    "median": ("Median", _percentile("0.5")),
    "sum": ("Sum", lambda values: sum(values, Decimal(0))),
    "std-dev": ("Standard Deviation", lambda values: _rounded(_variance(values).sqrt(), values)),
    "variance": ("Variance", lambda values: _rounded(_variance(values), values)),
    "20-percent": ("20th Percentile", _percentile("0.2")),
    "80-percent": ("80th Percentile", _percentile("0.8")),
    "4-lower": ("Lower Quartile", _percentile("0.25")),
    "4-upper": ("Upper Quartile", _percentile("0.75")),
    "5-1": ("1st Quintile", _percentile("0.2")),
    "5-2": ("2nd Quintile", _percentile("0.4")),
    "5-3": ("3rd Quintile", _percentile("0.6")),
    "5-4": ("4th Quintile", _percentile("0.8")),
}
ALIASES = {"max": "maximum", "min": "minimum"}  # as the operation's own page of R4 writes them
_UNITLESS = frozenset({"count", "total-count"})
_SQUARED = frozenset({"variance"})


@dataclass(slots=True)
class Statistics:
    """`computed` are Observations, one for each code and unit; `sources` what they rest on, newest first."""

    computed: list[Resource] = field(default_factory=list)
    sources: list[Stored] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


@dataclass(slots=True)
class _Measured:
    unit: dict[str, str]
    values: list[Decimal] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)


def stats(
    repository: Repository,
    ctx: AccessContext,
    subject: str | None,
    codes: list[tuple[str, str]],
    wanted: list[str],
    dates: list[Pair],
) -> Statistics:
    """The `wanted` statistics of each of the codes ((system or "", code)). Raises BadRequest, NotFound."""
    person = whose(repository, ctx, subject)
    made = Statistics()
    seen: set[str] = set()
    for system, code in codes:
        token = f"{_escape(system)}|{_escape(code)}" if system else _escape(code)
        found: list[tuple[Stored, Resource]] = []
        for parameter in ("code", "component-code"):
            known = {stored.id for stored, _ in found}
            several = read_newest(repository, ctx, [person, (parameter, token), *dates], made.issues)
            found += [each for each in several if each[0].id not in known]
        made.sources += [stored for stored, _ in found if stored.id not in seen]
        seen |= {stored.id for stored, _ in found}
        made.computed += _of_code((system, code), person[1], [resource for _, resource in found], wanted, dates)
    made.sources.sort(key=lambda stored: stored.id)
    return made


def _of_code(
    code: tuple[str, str], subject: str, observations: list[Resource], wanted: list[str], dates: list[Pair]
) -> Iterator[Resource]:
    measured: dict[str, _Measured] = {}
    coding: dict[str, Any] = {"system": code[0], "code": code[1]} if code[0] else {"code": code[1]}
    for observation in observations:
        for holder in (observation, *observation.get("component", ())):
            if not _has_code(holder, code):
                continue
            quantity = holder.get("valueQuantity", {})
            if "value" not in quantity or "comparator" in quantity:
                continue
            coding = next(each for each in holder["code"]["coding"] if _is(each, code))
            unit = {part: quantity[part] for part in ("unit", "system", "code") if part in quantity}
            of_unit = measured.setdefault(quantity.get("code") or quantity.get("unit", ""), _Measured(unit))
            of_unit.values.append(Decimal(quantity["value"]))
            of_unit.dates += _effective(observation)
    if not measured:  # nothing to compute from is an answer too: the counts are 0
        measured[""] = _Measured({})
    for _, each in sorted(measured.items()):
        yield _observation(coding, subject, each, wanted, len(observations), dates)


def _observation(
    coding: dict[str, Any], subject: str, measured: _Measured, wanted: list[str], total: int, dates: list[Pair]
) -> Resource:
    values = sorted(measured.values)
    made: Resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [coding]},
        "subject": {"reference": subject},
    }
    if period := _period(dates, measured.dates):
        made["effectivePeriod"] = period
    components = []
    for name in wanted:
        display, compute = STATISTICS[name]
        component: dict[str, Any] = {
            "code": {"coding": [{"system": STATISTICS_SYSTEM, "code": name, "display": display}]}
        }
        if name == "total-count":
            component["valueQuantity"] = {"value": total}
        elif values or name in _UNITLESS:
            value = compute(values) if values else Decimal(0)
            unit = {} if name in _UNITLESS else _squared(measured.unit) if name in _SQUARED else measured.unit
            component["valueQuantity"] = {"value": value, **unit}
        else:
            component["dataAbsentReason"] = {"coding": [{"system": _ABSENT, "code": "unknown"}]}
        components.append(component)
    made["component"] = components
    return made


_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


def _squared(unit: dict[str, str]) -> dict[str, str]:
    """The unit of a variance, in words only: UCUM has no square of every unit."""
    return {"unit": f"({unit['unit']})²"} if "unit" in unit else {}


def _period(dates: list[Pair], measured: list[str]) -> dict[str, str]:
    asked = {value[:2]: value[2:] for _, value in dates}
    in_order = sorted(measured, key=lambda date: date_interval(date).low)
    start, end = asked.get("ge") or next(iter(in_order), ""), asked.get("le") or next(reversed(in_order), "")
    return {key: value for key, value in (("start", start), ("end", end)) if value}


def _effective(observation: Resource) -> list[str]:
    period = observation.get("effectivePeriod", {})
    moments = (observation.get("effectiveDateTime"), observation.get("effectiveInstant"))
    return [each for each in (*moments, period.get("start"), period.get("end")) if each]


def _has_code(holder: Resource, code: tuple[str, str]) -> bool:
    return any(_is(each, code) for each in holder.get("code", {}).get("coding", ()))


def _is(coding: dict[str, Any], code: tuple[str, str]) -> bool:
    return coding.get("code") == code[1] and code[0] in ("", coding.get("system"))


def _escape(text: str) -> str:
    for letter in "\\,|$":
        text = text.replace(letter, "\\" + letter)
    return text
