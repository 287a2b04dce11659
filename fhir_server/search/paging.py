"""Positions in a result: where the next page begins, as the values the last match was sorted by.

A page starts behind a position and never behind a number of matches, so that writes in between neither repeat nor
hide a match. https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..errors import BadRequest
from .intervals import milliseconds

Filter = dict[str, Any]
_SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True)
class SortKey:
    """One field that matches are ordered by."""

    field: str
    descending: bool = False

    @property
    def direction(self) -> int:
        """1 or -1, as MongoDB writes it."""
        return -1 if self.descending else 1


def encode_cursor(values: list[Any]) -> str:
    """The position as an opaque token for a link."""
    return base64.urlsafe_b64encode(msgspec.json.encode([_plain(value) for value in values])).decode().rstrip("=")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"t": milliseconds(value)}
    # MongoDB's 64-bit integers come back as a subclass of int.
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def decode_cursor(cursor: str, length: int) -> list[Any]:
    """The values in a token made by `encode_cursor`. Raises BadRequest for anything else."""
    try:
        values = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if len(values) != length:
            raise ValueError("another search")
        return [_value(value) for value in values]
    except (ValueError, TypeError, KeyError, OverflowError, binascii.Error, msgspec.DecodeError):
        raise BadRequest("The paging link is not one this server made for this search; start again.") from None


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return datetime.fromtimestamp(value["t"] / 1000, UTC)
    if not isinstance(value, _SCALARS):
        raise ValueError("not a position")
    return value


def behind(keys: list[SortKey], values: list[Any]) -> Filter:
    """What holds for everything that comes after the position; a missing value sorts before every other."""
    alternatives: list[Filter] = []
    for number, (key, value) in enumerate(zip(keys, values, strict=True)):
        later = _later(key, value)
        if later is None:
            continue
        same = [{each.field: at} for each, at in zip(keys[:number], values[:number], strict=True)]
        alternatives.append({"$and": [*same, later]} if same else later)
    if not alternatives:
        return {"_id": {"$in": []}}
    return alternatives[0] if len(alternatives) == 1 else {"$or": alternatives}


def _later(key: SortKey, value: Any) -> Filter | None:
    if value is None:
        return None if key.descending else {key.field: {"$ne": None}}
    if key.descending:
        return (
            {"$or": [{key.field: {"$lt": value}}, {key.field: None}]} if key.field != "_id" else {"_id": {"$lt": value}}
        )
    return {key.field: {"$gt": value}}
