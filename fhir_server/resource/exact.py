"""JSON that keeps every digit: parse, check and write a resource without changing what it says.

https://hl7.org/fhir/R4/json.html and https://hl7.org/fhir/R4/datatypes.html#decimal (1.50 is not 1.5).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from ..errors import BadRequest

Resource = dict[str, Any]

MAX_DEPTH = 64
MAX_DIGITS = 34  # what a MongoDB Decimal128 holds; FHIR asks for 18
_MAX_EXPONENT = 6000

_encoder = msgspec.json.Encoder(decimal_format="number")
_rereader = msgspec.json.Decoder(float_hook=Decimal)


class _Refused(ValueError):
    """A JSON text that is well formed and still not acceptable."""


def _decimal(literal: str) -> Decimal:
    value = Decimal(literal)
    if (len(literal) > MAX_DIGITS or "e" in literal or "E" in literal) and (
        len(value.as_tuple().digits) > MAX_DIGITS or abs(value.adjusted()) > _MAX_EXPONENT
    ):
        raise _Refused(f"the number {literal[:40]} has more digits than can be kept exactly (at most {MAX_DIGITS})")
    return value


def _integer(literal: str) -> int:
    if len(literal) > MAX_DIGITS:
        raise _Refused(f"the number {literal[:40]}... has more digits than can be kept exactly (at most {MAX_DIGITS})")
    return int(literal)


def _constant(literal: str) -> Any:
    raise _Refused(f"{literal} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Refused(f"the property '{twice[:40]}' stands twice in one object")
    return made


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_decimal, parse_int=_integer, parse_constant=_constant
)


def parse_value(data: bytes | str) -> Any:
    """The JSON value in `data` (UTF-8), decimals as Decimal. Raises BadRequest with what is wrong and where."""
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8 text (byte {error.start}).", code="structure") from None
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise BadRequest(
            f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.", code="structure"
        ) from None
    except _Refused as error:
        raise BadRequest(f"The body is not acceptable JSON: {error}.", code="structure") from None
    except RecursionError:
        raise BadRequest(f"The body is nested deeper than {MAX_DEPTH} levels.", code="structure") from None
    if text.count("{") + text.count("[") > MAX_DEPTH:
        _check_depth(value)
    if "\\u" in text:
        _check_surrogates(value)
    return value


def parse(data: bytes | str) -> Resource:
    """The resource in `data`: a JSON object with a resourceType. Raises BadRequest."""
    value = parse_value(data)
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise BadRequest("The body is not a FHIR resource: a JSON object with a 'resourceType'.", code="structure")
    return value


def reread(text: bytes) -> Resource:
    """The resource in a text that `dump` wrote: nothing is checked again, and every digit is kept."""
    return _rereader.decode(text)


def dump(value: Any) -> bytes:
    """Compact UTF-8 JSON; a Decimal is written with the digits it was read with."""
    return _encoder.encode(value)


def stamp(resource: Resource, resource_type: str, logical_id: str, version: int, updated: datetime) -> Resource:
    """A copy that carries its id, meta.versionId and meta.lastUpdated; everything else as it came, in its order.

    https://hl7.org/fhir/R4/resource.html#Meta
    """
    meta: dict[str, Any] = {"versionId": str(version), "lastUpdated": instant(updated)}
    for key, value in (resource.get("meta") or {}).items():
        meta.setdefault(key, value)
    stamped: Resource = {"resourceType": resource_type, "id": logical_id, "meta": meta}
    for key, value in resource.items():
        if key not in stamped:
            stamped[key] = value
    return stamped


def instant(moment: datetime) -> str:
    """`moment` as a FHIR instant in UTC with milliseconds: 2026-11-24T06:44:01.123Z."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def same_content(one: Resource, other: Resource) -> bool:
    """Whether two resources say the same, digits included, apart from id, meta.versionId and meta.lastUpdated."""
    return dump(_content(one)) == dump(_content(other))


def _content(resource: Resource) -> Resource:
    content = {key: value for key, value in resource.items() if key not in ("id", "meta")}
    meta = {k: v for k, v in (resource.get("meta") or {}).items() if k not in ("versionId", "lastUpdated")}
    if meta:
        content["meta"] = meta
    return dict(sorted(content.items()))


def _check_depth(value: Any) -> None:
    level: Iterable[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise BadRequest(f"The body is nested deeper than {MAX_DEPTH} levels.", code="structure")


def _check_surrogates(value: Any) -> None:
    try:
        dump(value)
    except UnicodeEncodeError:
        raise BadRequest(
            "The body holds half of a surrogate pair (\\ud800 to \\udfff), which is no character.", code="structure"
        ) from None
