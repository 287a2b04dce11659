"""Positions in a result: where the next page begins, as the values the last match was sorted by.

A page starts behind a position and never behind a number of matches, so that writes in between neither repeat nor
hide a match. https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cmp_to_key
from typing import Any

import msgspec

from ..errors import BadRequest
from .intervals import milliseconds

Filter = dict[str, Any]
MAX_PAGES_BACK = 20  # pages that a chain of previous links leads back
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
    return _base64(msgspec.json.encode([_plain(value) for value in values]))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"t": milliseconds(value)}
    # MongoDB's 64-bit integers come back as a subclass of int.
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def decode_cursor(cursor: str, length: int) -> list[Any]:
    """The values in a token made by `encode_cursor`. Raises BadRequest for anything else."""
    try:
        values = msgspec.json.decode(_unbase64(cursor))
        if len(values) != length:
            raise ValueError("another search")
        return [_value(value) for value in values]
    except (ValueError, TypeError, KeyError, OverflowError, binascii.Error, msgspec.DecodeError):
        raise _foreign() from None


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return datetime.fromtimestamp(value["t"] / 1000, UTC)
    if not isinstance(value, _SCALARS):
        raise ValueError("not a position")
    return value


def check_position(values: list[Any], length: int) -> None:
    """Raises BadRequest when a position is one in another order."""
    if len(values) != length:
        raise _foreign()


def _foreign() -> BadRequest:
    return BadRequest("The paging link is not one this server made for this search; start again.")


class Cursors:
    """The tokens in paging links: the positions behind which this page and those before it begin, signed.

    A token is good for the search and the caller it was made for. `secret` is the same in every process of a server.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, context: str, positions: list[list[Any]]) -> str:
        """The token for a page that begins behind the last position."""
        kept = positions[-MAX_PAGES_BACK:]
        text = msgspec.json.encode([[_plain(value) for value in position] for position in kept])
        return f"{_base64(text)}.{_base64(self._signature(context, text))}"

    def verify(self, context: str, token: str) -> list[list[Any]]:
        """The positions in a token. Raises BadRequest for one that was not made here, for this search and caller."""
        text, _, signature = token.partition(".")
        try:
            content = _unbase64(text)
            if not hmac.compare_digest(self._signature(context, content), _unbase64(signature)):
                raise _foreign()
            return [[_value(value) for value in position] for position in msgspec.json.decode(content)]
        except (ValueError, TypeError, KeyError, OverflowError, binascii.Error, msgspec.DecodeError):
            raise _foreign() from None

    def _signature(self, context: str, text: bytes) -> bytes:
        return hmac.digest(self._secret, context.encode() + b"\0" + text, "sha256")[:16]


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def order_of(keys: list[SortKey]) -> Callable[[list[Any]], Any]:
    """What positions are sorted by to stand as MongoDB sorts them; a missing value before every other."""

    def compare(one: list[Any], other: list[Any]) -> int:
        for key, first, second in zip(keys, one, other, strict=True):
            if first != second:
                before = second is not None and (first is None or first < second)
                return -key.direction if before else key.direction
        return 0

    return cmp_to_key(compare)


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
