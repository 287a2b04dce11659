"""The parameters of a history interaction: https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .errors import BadRequest
from .search.intervals import date_interval
from .search.query import Pair


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which versions are asked for."""

    wanted: dict[str, Any]
    count: int
    cursor: str
    kept: list[Pair]
    """The pairs that the link to the next page repeats."""


def parse_history_query(pairs: list[Pair], default_count: int, max_count: int) -> HistoryQuery:
    """The query in the decoded pairs. Raises BadRequest: a version that is left out unasked is a lost record."""
    wanted: dict[str, Any] = {}
    count, cursor, kept = default_count, "", []
    for name, value in pairs:
        if name == "_count":
            if not value.isascii() or not value.isdigit() or int(value[:9]) < 1:
                raise BadRequest(f"_count takes a number from 1 to {max_count}, not '{value[:40]}'.")
            count = min(int(value[:9]), max_count)
        elif name == "_since":
            wanted = {"t": {"$gte": _since(value)}}
        elif name == "_cursor":
            cursor = value
            continue
        elif name in ("_format", "_pretty"):
            continue
        else:
            raise BadRequest(f"A history takes _since and _count, not '{name[:40]}'.", code="not-supported")
        kept.append((name, value))
    return HistoryQuery(wanted, count, cursor, kept)


def _since(value: str) -> datetime:
    try:
        low = date_interval(value.replace(" ", "+")).low
    except (ValueError, OverflowError):
        raise BadRequest(f"_since takes an instant such as 2026-11-24T08:00:00+07:00, not '{value[:40]}'.") from None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=low)
