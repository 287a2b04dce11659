"""Observation/$stats: average, median, extremes and the like of one person's values.

https://hl7.org/fhir/R4/observation-operation-stats.html
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from ...errors import BadRequest
from ...operations.distribution import ALIASES, STATISTICS
from ...operations.moments import is_moment
from ...operations.stats import stats as compute
from ...records import now
from ...resource import exact
from ..call import Answer, Call, Pairs, Service
from . import answers
from .inputs import Inputs

_MAX_HOURS = Decimal(24 * 366 * 150)


def stats(service: Service, call: Call) -> Answer:
    """Parameters with `statistics` for each code, and the `source` Observations when they are asked for.

    Raises BadRequest, NotFound.
    """
    inputs = Inputs(call)
    found = compute(
        service.repository, call.context, inputs.text("subject"), _codes(inputs), _statistics(inputs), _dates(inputs)
    )
    results: list[dict[str, Any]] = [{"name": "statistics", "resource": each} for each in found.computed]
    if inputs.flag("include"):
        limit = inputs.number("limit", service.config.max_count, service.config.max_count)
        sources = found.sources[:limit]
        results += [{"name": "source", "resource": exact.parse(each.json or b"{}")} for each in sources]
    return answers.parameters(results)


def _codes(inputs: Inputs) -> list[tuple[str, str]]:
    """(system or "", code) of `coding`s, of `code`s with the one `system`, and of `system|code` in the URL."""
    system = inputs.text("system") or ""
    codes = []
    for kind, value in inputs.values("coding"):
        if kind == "valueCoding" and isinstance(value, dict) and value.get("code"):
            codes.append((str(value.get("system", "")), str(value["code"])))
        elif kind == "valueString":
            codes.append(_split(value, system))
        else:
            raise BadRequest("'coding' takes a Coding with its code.", code="structure")
    codes += [_split(text, system) for text in inputs.texts("code")]
    if not codes:
        raise BadRequest("This operation needs a 'code' with its 'system', or a 'coding'.", code="required")
    return list(dict.fromkeys(codes))


def _split(text: str, system: str) -> tuple[str, str]:
    own, bar, code = text.rpartition("|")
    return (own, code) if bar else (system, text)


def _statistics(inputs: Inputs) -> list[str]:
    asked = [each for text in inputs.texts("statistic") for each in text.split(",") if each]
    wanted = list(dict.fromkeys(ALIASES.get(each, each) for each in asked))
    if not wanted:
        raise BadRequest("This operation needs at least one 'statistic'.", code="required")
    unknown = [each for each in wanted if each not in STATISTICS]
    if unknown:
        raise BadRequest(
            f"There is no statistic '{unknown[0][:40]}'; there are: {', '.join(STATISTICS)}.", code="value"
        )
    return wanted


def _dates(inputs: Inputs) -> Pairs:
    duration, periods = inputs.text("duration"), inputs.complex("period", "Period")
    if duration is not None:
        return [("date", f"ge{exact.instant(now() - timedelta(hours=float(_hours(duration))))}")]
    if not periods:
        return []
    if len(periods) > 1:
        raise BadRequest("'period' may be given once.", code="value")
    limits = [(prefix, periods[0].get(name)) for prefix, name in (("ge", "start"), ("le", "end"))]
    for _, value in limits:
        if value is not None and not (isinstance(value, str) and is_moment(value)):
            raise BadRequest("'period' takes dates such as 2026-11-24 as start and end.", code="value")
    return [("date", f"{prefix}{value}") for prefix, value in limits if value]


def _hours(duration: str) -> Decimal:
    try:
        hours = Decimal(duration)
    except InvalidOperation:
        hours = Decimal(0)
    if not hours.is_finite() or not 0 < hours <= _MAX_HOURS:
        raise BadRequest(f"'duration' takes a number of hours above 0, not '{duration[:40]}'.", code="value")
    return hours
