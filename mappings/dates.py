"""The date forms Vietnamese rosters and visits use, into FHIR dates of the precision that is really known.

https://hl7.org/fhir/R4/datatypes.html#date
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from functools import lru_cache

from mappings.names import clean

# Vietnam has had one offset and no summer time since 1975.
VIETNAM_OFFSET = "+07:00"
EARLIEST_YEAR = 1880
LATEST_YEAR = 2200

_TIME = r"(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?"
_DAY_FIRST = re.compile(r"(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4})" + _TIME)
_YEAR_FIRST = re.compile(r"(\d{4})[/.\-](\d{1,2})[/.\-](\d{1,2})" + _TIME)
_MONTH_YEAR = re.compile(r"(\d{1,2})[/.\-](\d{4})")
_DIGITS = re.compile(r"(\d{4})(\d{2})(\d{2})(?:\d{4}|\d{6})?")
_TIMESTAMP = re.compile(r"(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})?")


@dataclass(frozen=True, slots=True)
class PartialDate:
    """A FHIR date (`1962`, `1962-05` or `1962-05-03`). `doubtful`: 1 January, which often stands for "year only"."""

    value: str
    doubtful: bool = False


@lru_cache(maxsize=50_000)  # the same days come again and again
def parse_date(text: str) -> PartialDate | None:
    """dd/MM/yyyy, d/M/yyyy, yyyy-MM-dd (a time behind is passed over), yyyyMMdd[HHmm[ss]], MM/yyyy, yyyy; 00: unknown.

    None when it is not a date in one of these forms, or not a day of the calendar.
    """
    text = clean(text)
    if match := _DAY_FIRST.fullmatch(text):
        day, month, year = match.groups()
    elif (match := _YEAR_FIRST.fullmatch(text)) or (match := _DIGITS.fullmatch(text)):
        year, month, day = match.groups()
    elif match := _MONTH_YEAR.fullmatch(text):
        month, year = match.groups()
        day = "00"
    elif re.fullmatch(r"\d{4}", text):
        year, month, day = text, "00", "00"
    else:
        return None
    return _partial(int(year), int(month), int(day))


def _partial(year: int, month: int, day: int) -> PartialDate | None:
    if not EARLIEST_YEAR <= year <= LATEST_YEAR:
        return None
    if month == 0:
        return PartialDate(f"{year:04}") if day == 0 else None
    if day == 0:
        return PartialDate(f"{year:04}-{month:02}") if month <= 12 else None
    try:
        exact = datetime.date(year, month, day)
    except ValueError:
        return None
    return PartialDate(exact.isoformat(), doubtful=(month, day) == (1, 1))


def parse_timestamp(text: str) -> str | None:
    """yyyyMMddHHmm[ss] in Vietnamese time as a FHIR dateTime; yyyyMMdd as a date; None when unreadable or empty."""
    text = clean(text)
    if match := _TIMESTAMP.fullmatch(text):
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        try:
            moment = datetime.datetime(year, month, day, hour, minute, second)
        except ValueError:
            return None
        if not EARLIEST_YEAR <= year <= LATEST_YEAR:
            return None
        return moment.isoformat(timespec="seconds") + VIETNAM_OFFSET
    if re.fullmatch(r"\d{8}", text):
        date = parse_date(text)
        return date.value if date and len(date.value) == 10 else None
    return None


def agree(one: str, other: str) -> bool:
    """Whether two FHIR dates may be the same day: equal as far as both are known."""
    known = min(len(one), len(other))
    return known > 0 and one[:known] == other[:known]


def period(start: str | None, end: str | None) -> dict[str, str]:
    """A FHIR Period of what is known; empty when nothing is."""
    return {key: value for key, value in (("start", start), ("end", end)) if value}
