"""Dates, numbers and quantities as half-open intervals, and what each prefix asks of them.

https://hl7.org/fhir/R4/search.html#prefix, #date, #number: a date of any precision is the interval it covers, a
searched number stands for the interval its digits leave open.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from ..errors import BadRequest

FOREVER = 9_007_199_254_740_991  # milliseconds; the open end of a period
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
DEFAULT_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")  # for dates and times that carry no zone

_DAY = 86_400_000
# Index entries are kept apart by how long they last, so that a search for one month looks at the entries of that
# month and not at everything that began before it: up to a day, a month, a year, longer.
DATE_WIDTHS = (_DAY, 31 * _DAY, 366 * _DAY, 2 * FOREVER)
NUMBER_WIDTHS = (0.0, math.inf)  # single values, ranges

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)


@dataclass(frozen=True, slots=True)
class Interval:
    """[low, high): milliseconds since 1970 for dates, plain numbers for numbers and quantities."""

    low: Any
    high: Any

    def width(self, widths: tuple[Any, ...]) -> int:
        """Index of the shortest of `widths` (DATE_WIDTHS, NUMBER_WIDTHS) that this interval fits in."""
        length = self.high - self.low
        return next((number for number, limit in enumerate(widths) if length <= limit), len(widths) - 1)


def date_interval(text: str, zone: ZoneInfo = DEFAULT_ZONE) -> Interval:
    """The instants that a FHIR date, dateTime or instant covers. Raises ValueError.

    '2026' covers the year in `zone`; a time with a zone covers its second, millisecond or minute.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text[:40]}' is not a date (yyyy, yyyy-mm, yyyy-mm-dd or yyyy-mm-ddThh:mm:ss+zz:zz)")
    part = match.groupdict()
    year, month, day = int(part["year"]), int(part["month"] or 1), int(part["day"] or 1)
    second = min(int(part["second"] or 0), 59)  # a leap second is kept in the record and searched as :59
    start = datetime(year, month, day, int(part["hour"] or 0), int(part["minute"] or 0), second)
    if part["zone"] and part["zone"] != "Z":
        start = datetime.fromisoformat(start.isoformat() + part["zone"])
    else:
        start = start.replace(tzinfo=ZoneInfo("UTC") if part["zone"] else zone)
    low = milliseconds(start)
    if part["month"] is None:
        high = milliseconds(start.replace(year=year + 1)) if year < 9999 else low + 366 * _DAY
    elif part["day"] is None:
        following = start.replace(year=year + month // 12, month=month % 12 + 1) if year < 9999 or month < 12 else None
        high = milliseconds(following) if following else low + 31 * _DAY
    elif part["hour"] is None:
        high = low + _DAY
    elif part["second"] is None:
        high = low + 60_000
    elif part["fraction"]:
        low += int(part["fraction"][:3].ljust(3, "0"))
        high = low + 1
    else:
        high = low + 1000
    return Interval(low, high)


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00Z of an aware datetime, rounded down."""
    return (moment - datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))) // timedelta(milliseconds=1)


def period_interval(period: dict[str, Any]) -> Interval | None:
    """What a Period covers; a missing end is open. https://hl7.org/fhir/R4/datatypes.html#Period"""
    start, end = period.get("start"), period.get("end")
    if start is None and end is None:
        return None
    low = date_interval(start).low if start else -FOREVER
    return Interval(low, max(date_interval(end).high, low) if end else FOREVER)


def envelope(intervals: Iterable[Interval]) -> Interval:
    """The shortest interval around all of them."""
    several = list(intervals)
    return Interval(min(each.low for each in several), max(each.high for each in several))


def split_prefix(text: str) -> tuple[str, str]:
    """('ge', '2026') of 'ge2026'; 'eq' where there is no prefix."""
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def number(text: str) -> Decimal:
    """The decimal in a search value. Raises BadRequest."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise BadRequest(f"'{text[:40]}' is not a number.") from None
    if not value.is_finite() or abs(value.adjusted()) > 300:
        raise BadRequest(f"'{text[:40]}' is not a number that can be searched.")
    return value


def number_interval(text: str) -> Interval:
    """What a number without prefix stands for: 100 is [99.5, 100.5), 100.00 is [99.995, 100.005)."""
    value = number(text)
    exponent = value.as_tuple().exponent
    half = Decimal(5).scaleb((exponent if isinstance(exponent, int) else 0) - 1)
    return Interval(float(value - half), float(value + half))


@dataclass(frozen=True, slots=True)
class Bound:
    """A conjunction on one entry: low >= / low < and high > / high <= limits; None where there is no limit."""

    low_from: Any = None
    low_below: Any = None
    high_above: Any = None
    high_to: Any = None


def date_bounds(prefix: str, sought: Interval, now: int) -> list[Bound]:
    """The alternatives (any may hold) that a date entry must meet for `prefix`. `now` is for 'ap', in milliseconds."""
    low, high = sought.low, sought.high
    if prefix == "eq":
        return [Bound(low_from=low, high_to=high)]
    if prefix == "ne":
        return [Bound(low_below=low), Bound(high_above=high)]
    if prefix == "gt":
        return [Bound(high_above=high)]
    if prefix == "lt":
        return [Bound(low_below=low)]
    if prefix == "ge":
        return [Bound(high_above=high), Bound(low_from=low, high_to=high)]
    if prefix == "le":
        return [Bound(low_below=low), Bound(low_from=low, high_to=high)]
    if prefix == "sa":
        return [Bound(low_from=high)]
    if prefix == "eb":
        return [Bound(high_to=low)]
    slack = max(abs(now - low), abs(now - high)) // 10
    return [Bound(low_below=high + slack, high_above=low - slack)]


def number_bounds(prefix: str, text: str) -> list[Bound]:
    """The alternatives that a number entry (low = high = value, or a range) must meet for `prefix`.

    Explicit comparisons take the number as exact; eq, ne and no prefix leave open what its digits leave open.
    """
    exact = float(number(text))
    if prefix in ("eq", "ne"):
        around = number_interval(text)
        if prefix == "eq":
            return [Bound(low_from=around.low, high_to=around.high, low_below=around.high)]
        return [Bound(low_below=around.low), Bound(high_above=around.high), Bound(low_from=around.high)]
    if prefix in ("gt", "sa"):
        return [Bound(high_above=exact)] if prefix == "gt" else [Bound(low_from=_after(exact))]
    if prefix in ("lt", "eb"):
        return [Bound(low_below=exact)] if prefix == "lt" else [Bound(high_to=_before(exact))]
    if prefix == "ge":
        return [Bound(high_above=_before(exact))]
    if prefix == "le":
        return [Bound(low_below=_after(exact))]
    slack = abs(exact) / 10
    return [Bound(low_below=_after(exact + slack), high_above=_before(exact - slack))]


def _after(value: float) -> float:
    return math.nextafter(value, math.inf)


def _before(value: float) -> float:
    return math.nextafter(value, -math.inf)
