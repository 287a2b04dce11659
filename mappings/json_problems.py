"""What is wrong with a JSON message, by JSON path, in Vietnamese and English; and its form as a JSON Schema.

https://json-schema.org/draft/2020-12, https://marshmallow.readthedocs.io/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from marshmallow import Schema, fields, validate

_END = "\\Z"
# What the library says, in both languages; messages of ours are so already.
_TOLD = {
    "Missing data for required field.": "Thiếu trường bắt buộc / a required field is missing",
    "Unknown field.": "Trường không có trong quy định / there is no such field",
}
_TYPES: tuple[tuple[type[fields.Field[Any]], dict[str, str]], ...] = (
    (fields.Integer, {"type": "integer"}),
    (fields.Decimal, {"type": "number"}),
    (fields.String, {"type": "string"}),
)


def by_path(messages: Any) -> dict[str, list[str]]:
    """The messages of a marshmallow ValidationError by JSON path ($.vitals.pulse, $.diagnoses[0].code)."""
    return dict(_paths("$", messages))


def _paths(path: str, messages: Any) -> Iterator[tuple[str, list[str]]]:
    if isinstance(messages, dict):
        for name, below in messages.items():
            at = f"{path}[{name}]" if isinstance(name, int) else path if name == "_schema" else f"{path}.{name}"
            yield from _paths(at, below)
    else:
        yield path, [_told(str(message)) for message in messages]


def _told(message: str) -> str:
    return message if " / " in message else _TOLD.get(message, f"Không hợp lệ / not valid: {message}")


def json_schema(schema: Schema) -> dict[str, Any]:
    """The form of a marshmallow Schema as a JSON Schema object."""
    properties = {name: _property(field) for name, field in schema.fields.items()}
    required = [name for name, field in schema.fields.items() if field.required]
    found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, **({"required": required} if required else {})}


def _property(field: fields.Field[Any]) -> dict[str, Any]:
    if isinstance(field, fields.Nested):
        return json_schema(field.schema)
    if isinstance(field, fields.List):
        return {"type": "array", "items": _property(field.inner), **_limits(field, "Items")}
    found: dict[str, Any] = dict(next(shape for kind, shape in _TYPES if isinstance(field, kind)))
    return {**found, **_limits(field, "Length"), **field.metadata}


def _limits(field: fields.Field[Any], what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in field.validators:
        if isinstance(each, validate.OneOf):
            found["enum"] = list(each.choices)
        elif isinstance(each, validate.Length):
            found |= {f"min{what}": each.min, f"max{what}": each.max}
        elif isinstance(each, validate.Range):
            found |= {"minimum": _plain(each.min), "maximum": _plain(each.max)}
        elif isinstance(each, validate.Regexp):
            # Python's own end of text is unknown to JSON Schema, which takes a match anywhere.
            found["pattern"] = f"^(?:{str(each.regex.pattern).removesuffix(_END)})$"
    return {name: value for name, value in found.items() if value is not None}


def _plain(number: Any) -> int | float:
    return int(number) if number == int(number) else float(number)
