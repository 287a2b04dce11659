"""The input parameters of an operation, whether they came in the URL or in a Parameters resource.

https://hl7.org/fhir/R4/operations.html#request and https://hl7.org/fhir/R4/parameters.html
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from ...errors import BadRequest
from ...operations.moments import is_moment
from ..call import Call, Pairs

Value = tuple[str, Any]
"""("valueString", the value), ("resource", the resource) or ("part", the list of parts)."""

_TRUTH = {"true": True, "false": False}


class Inputs:
    """The parameters of one call, by name. `body` is the name a bare resource in the body stands for."""

    def __init__(self, call: Call, *, body: str = "") -> None:
        self._values: list[tuple[str, Value]] = [(name, ("valueString", value)) for name, value in call.query]
        resource = call.resource
        if resource is None:
            return
        if resource.get("resourceType") == "Parameters":
            self._values += _parameters(resource)
        elif body:
            self._values.append((body, ("resource", resource)))
        else:
            raise BadRequest(
                "The body of this operation is a Parameters resource; a "
                f"{str(resource.get('resourceType'))[:40]} was sent.",
                expression=("resourceType",),
            )

    @property
    def names(self) -> list[str]:
        """The names in the order they came, each once."""
        return list(dict.fromkeys(name for name, _ in self._values))

    def values(self, name: str) -> list[Value]:
        """Everything given under a name, with the element it stood in."""
        return [value for each, value in self._values if each == name]

    def texts(self, name: str) -> list[str]:
        """The values of a name as the text they have in a URL. Raises BadRequest for a resource or a complex type."""
        return [_text(name, value) for value in self.values(name)]

    def text(self, name: str) -> str | None:
        """The one value of a name as text, None when it is absent. Raises BadRequest when there are several."""
        found = self.texts(name)
        if len(found) > 1:
            raise BadRequest(f"'{name}' may be given once, not {len(found)} times.")
        return found[0] if found else None

    def required(self, name: str) -> str:
        """The one value of a name as text. Raises BadRequest when it is absent."""
        found = self.text(name)
        if not found:
            raise BadRequest(f"This operation needs the parameter '{name}'.", code="required")
        return found

    def flag(self, name: str, default: bool = False) -> bool:
        """true or false. Raises BadRequest for anything else."""
        text = self.text(name)
        if text is None:
            return default
        if text not in _TRUTH:
            raise BadRequest(f"'{name}' takes true or false, not '{text[:40]}'.", code="value")
        return _TRUTH[text]

    def number(self, name: str, default: int, maximum: int) -> int:
        """A whole number from 1; what is above `maximum` becomes `maximum`. Raises BadRequest for anything else."""
        text = self.text(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or int(text[:9]) < 1:
            raise BadRequest(f"'{name}' takes a whole number from 1, not '{text[:40]}'.", code="value")
        return min(int(text[:9]), maximum)

    def moment(self, name: str) -> str | None:
        """A date or instant as it was written. Raises BadRequest when it is none."""
        text = self.text(name)
        if text is None:
            return None
        text = text.replace(" ", "+")  # a + that was not escaped in the URL
        if not is_moment(text):
            raise BadRequest(f"'{name}' takes a date such as 2026-11-24, not '{text[:40]}'.", code="value")
        return text

    def resource(self, name: str) -> dict[str, Any] | None:
        """The one resource under a name, None when there is none. Raises BadRequest."""
        found = [value for kind, value in self.values(name) if kind == "resource"]
        if len(found) != len(self.values(name)) or len(found) > 1:
            raise BadRequest(f"'{name}' must be one resource.", code="structure")
        return found[0] if found else None

    def complex(self, name: str, datatype: str) -> list[dict[str, Any]]:
        """The values of a name that are of a complex datatype such as Meta. Raises BadRequest for any other value."""
        found = [value for kind, value in self.values(name) if kind == f"value{datatype}" and isinstance(value, dict)]
        if len(found) != len(self.values(name)):
            raise BadRequest(f"'{name}' takes a {datatype}, in value{datatype} of a Parameters body.", code="structure")
        return found

    def pairs(self) -> Pairs:
        """Every parameter as a name and its text, as a search takes them. Raises BadRequest for what has no text."""
        return [(name, _text(name, value)) for name, value in self._values]


def _parameters(resource: dict[str, Any]) -> Iterator[tuple[str, Value]]:
    several = resource.get("parameter", [])
    if not isinstance(several, list):
        raise BadRequest("Parameters.parameter must be a list.", expression=("Parameters.parameter",))
    for number, each in enumerate(several):
        name = each.get("name") if isinstance(each, dict) else None
        held = [key for key in each if key.startswith("value") or key in ("resource", "part")] if name else []
        if not isinstance(name, str) or len(held) != 1:
            raise BadRequest(
                "A parameter has a name and one of value[x], resource or part.",
                code="structure",
                expression=(f"Parameters.parameter[{number}]",),
            )
        kind, given = held[0], each[held[0]]
        if not _has_its_shape(kind, given):
            raise BadRequest(
                f"'{name[:40]}': {kind[:40]} has the wrong shape.",
                code="structure",
                expression=(f"Parameters.parameter[{number}].{kind[:40]}",),
            )
        yield name, (kind, given)


# The JSON that the values of simple datatypes are written in, and those of all others: an object.
_TEXTS = "Base64Binary Canonical Code Date DateTime Id Instant Markdown Oid String Time Uri Url Uuid".split()
_SHAPES: dict[str, type | tuple[type, ...]] = {
    "part": list,
    "valueBoolean": bool,
    "valueDecimal": (int, Decimal),
    **{f"value{name}": int for name in ("Integer", "PositiveInt", "UnsignedInt")},
    **{f"value{name}": str for name in _TEXTS},
}


def _has_its_shape(kind: str, given: Any) -> bool:
    if isinstance(given, bool):
        return kind == "valueBoolean"  # which Python counts among the whole numbers
    return isinstance(given, _SHAPES.get(kind, dict))


def _text(name: str, value: Value) -> str:
    kind, given = value
    if kind == "valueReference" and isinstance(given, dict) and isinstance(given.get("reference"), str):
        return str(given["reference"])
    if isinstance(given, bool):
        return str(given).lower()
    if kind.startswith("value") and isinstance(given, str | int | Decimal):
        return str(given)
    raise BadRequest(f"'{name[:40]}' takes a simple value, not {kind[:40]}.", code="structure")
