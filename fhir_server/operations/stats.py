"""Statistics over the values of one person's observations.

https://hl7.org/fhir/R4/observation-operation-stats.html

Values are compared and added as decimals, and only with values in the same unit: one observation of statistics for
each code and unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from ..access.context import AccessContext
from ..errors import Issue
from ..repository import Repository, Stored
from ..resource.exact import Resource
from ..search.clauses import escape
from ..search.intervals import date_interval
from ..search.query import Pair
from .distribution import REGRESSION, STATISTICS, regression
from .observations import read_newest, whose

UCUM = "http://unitsofmeasure.org"
STATISTICS_SYSTEM = "http://terminology.hl7.org/CodeSystem/observation-statistics"

_COUNTS = frozenset({"count", "total-count"})
_MILLISECONDS_OF_A_DAY = 86_400_000


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
    points: list[tuple[int, Decimal]] = field(default_factory=list)
    """(milliseconds since 1970, value) of those of which it is known when they were."""


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
        token = f"{escape(system)}|{escape(code)}" if system else escape(code)
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
            of_unit.dates += (dates_of := _effective(observation))
            if dates_of:
                of_unit.points.append((date_interval(dates_of[0]).low, Decimal(quantity["value"])))
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
    made["component"] = [each for name in wanted for each in _components(name, values, measured, total)]
    return made


def _components(name: str, values: list[Decimal], measured: _Measured, total: int) -> list[dict[str, Any]]:
    """What is told of one statistic; the gradient and the intercept of a regression are two."""
    statistic = STATISTICS[name]
    code: dict[str, Any] = {
        "coding": [{"system": STATISTICS_SYSTEM, "code": name, "display": statistic.display}],
    }
    if name == REGRESSION:
        units = {"gradient": _per_day(measured.unit), "intercept": measured.unit}
        line = regression(_in_days(measured.points)) if measured.points else None
        found = line or (None, None)
        return [
            {"code": {**code, "text": part}, **_quantity(value, unit, values)}
            for (part, unit), value in zip(units.items(), found, strict=True)
        ]
    if name in _COUNTS:
        return [{"code": code, "valueQuantity": {"value": total if name == "total-count" else len(values)}}]
    unit = {"value": measured.unit, "square": _squared(measured.unit), "none": {}}[statistic.unit]
    return [{"code": code, **_quantity(statistic.compute(values) if values else None, unit, values)}]


def _quantity(value: Decimal | None, unit: dict[str, str], values: list[Decimal]) -> dict[str, Any]:
    if value is not None:
        return {"valueQuantity": {"value": value, **unit}}
    # Without values nothing is known; of one value, or of the same ones, there is no such number.
    reason = "not-a-number" if values else "unknown"
    return {"dataAbsentReason": {"coding": [{"system": _ABSENT, "code": reason}]}}


def _in_days(points: list[tuple[int, Decimal]]) -> list[tuple[Decimal, Decimal]]:
    first = min(moment for moment, _ in points)
    return [(Decimal(moment - first) / _MILLISECONDS_OF_A_DAY, value) for moment, value in points]


_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


def _squared(unit: dict[str, str]) -> dict[str, str]:
    """The unit of a variance, in words only: UCUM has no square of every unit."""
    return {"unit": f"({unit['unit']})²"} if "unit" in unit else {}


def _per_day(unit: dict[str, str]) -> dict[str, str]:
    """The unit of a change in a day; as a code too where the values have a unit of UCUM."""
    made = {"unit": f"{unit['unit']}/d"} if "unit" in unit else {}
    if unit.get("system") == UCUM and "code" in unit:
        made |= {"system": UCUM, "code": f"{unit['code']}/d"}
    return made


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
