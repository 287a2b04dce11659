"""From what the schema refuses to what a person can correct: the element, what is wrong with it, what it should be.

The validator says which rule failed at which place; the place is looked up in the element definitions, so that an issue
names the element as FHIRPath (`Patient.contact[0].name`) and what R4 expects there. Codes are those of
https://hl7.org/fhir/R4/valueset-issue-type.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from fhir_server.errors import Issue
from fhir_server.r4 import PRIMITIVES, RESOURCE_TYPES, Element, elements, has_sibling, properties, required_codes

MAX_ISSUES = 100
"""How many problems are explained; a hostile body can hold a hundred thousand, and explaining costs time."""
SHOWN_CODES = 12
SHOWN_CHARACTERS = 40

_FREE_TEXT = frozenset({"string", "markdown", "xhtml", "base64Binary"})
_EXPECTED = {
    "boolean": "true or false, without quotes",
    "integer": "a whole number between -2147483648 and 2147483647",
    "unsignedInt": "a whole number between 0 and 2147483647",
    "positiveInt": "a whole number between 1 and 2147483647",
    "decimal": "a number, without quotes",
    "string": "text that is not empty, has no control characters and is at most 1 MB",
    "markdown": "text that is not empty, has no control characters and is at most 1 MB",
    "xhtml": "XHTML in a <div>",
    "code": "a code: text without blanks at its ends or two in a row",
    "id": "1 to 64 characters of A-Z a-z 0-9 - and .",
    "uri": "a URI without blanks",
    "url": "a URL without blanks",
    "canonical": "a canonical URL without blanks",
    "oid": "an OID such as urn:oid:1.2.3",
    "uuid": "a UUID such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520, in lower case",
    "date": "a date of the calendar: 2024, 2024-02 or 2024-02-29",
    "dateTime": "a date of the calendar (2024, 2024-02, 2024-02-29) or with time and zone 2024-02-29T08:30:00+07:00",
    "instant": "a moment with seconds and zone: 2024-02-29T08:30:00+07:00",
    "time": "a time with seconds: 08:30:00",
    "base64Binary": "base64",
}
_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")


@dataclass(frozen=True, slots=True)
class _Place:
    """A place in the resource: what is written there, and what the definitions say about it."""

    expression: str
    name: str
    value: Any
    type: str
    element: Element | None
    targets: tuple[str, ...]


def diagnose(errors: Iterable[Mapping[str, Any]], resource_type: str, resource: Any, root: str) -> list[Issue]:
    """Issues for the errors of the compiled schema (`Evaluation.errors()`), one per problem, in document order.

    Stops soon after MAX_ISSUES.
    `root` is the expression of the resource itself. What the schema says about resources inside it is left out.
    """
    issues: dict[tuple[str, str], list[Issue]] = {}
    for error in errors:
        where = str(error["instanceLocation"])
        _, _, definition, *rule = str(error["schemaLocation"]).split("/")
        if definition == "Resource":
            continue
        if len(issues) > MAX_ISSUES:
            break
        kind = rule[-1]
        if definition == "reference" and kind == "pattern":
            kind = "literal"
        elif definition.startswith("Reference:") and kind in ("pattern", "enum"):
            kind = "target"
        elif definition.startswith("CodeableConcept.code.") and kind in ("required", "contains"):
            where, kind = where.removesuffix("/coding"), "concept"
        if (where, kind) not in issues:
            place = _locate(where, resource_type, resource, root)
            issues[where, kind] = _EXPLANATIONS[kind](place)
    return [issue for found in issues.values() for issue in found]


def _locate(pointer: str, resource_type: str, resource: Any, root: str) -> _Place:
    """The place a JSON pointer `/Patient/name/0` leads to."""
    expression, type_name, value, name = root, resource_type, resource, resource_type
    element: Element | None = None
    targets: tuple[str, ...] = ()
    for part in (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[2:]):
        if isinstance(value, list):
            expression, value = f"{expression}[{part}]", value[int(part)]
            continue
        name, value = part, value[part]
        if name == "resourceType":
            return _Place(f"{expression}.resourceType", name, value, "code", None, ())
        if element is not None and type_name == "Reference":
            targets = element.targets
        plain = name.removeprefix("_")
        element, inside = properties(type_name)[plain]
        type_name = inside if plain == name else "Element"
        expression = f"{expression}.{element.name}"
    return _Place(expression, name, value, type_name, element, targets)


def _issue(place: _Place, diagnostics: str, code: str) -> list[Issue]:
    return [Issue(diagnostics, code, "error", (place.expression,))]


def _shown(value: Any) -> str:
    """A refused value as JSON, cut short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def _but_is(place: _Place) -> str:
    """The refused value, for the end of a sentence; free text is about people and is not repeated."""
    return "" if place.type in _FREE_TEXT else f", not {_shown(place.value)}"


def _alternatives(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - SHOWN_CODES} more" if len(names) > SHOWN_CODES else ""
    return ", ".join(names[:SHOWN_CODES]) + more


def _unknown(place: _Place) -> list[Issue]:
    known = {*properties(place.type), *(f"_{name}" for name in properties(place.type) if has_sibling(place.type, name))}
    if place.type in RESOURCE_TYPES:
        known.add("resourceType")
    issues = []
    for name in [name for name in place.value if name not in known][: MAX_ISSUES + 1]:
        near = get_close_matches(name[:64], known, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        at = f"{place.expression}.{name.removeprefix('_')}" if _NAME.fullmatch(name) else place.expression
        issues.append(Issue(f"{place.type} has no element '{name[:40]}'.{hint}", "structure", "error", (at,)))
    return issues


def _missing(place: _Place) -> list[Issue]:
    issues = []
    for element in elements(place.type).values():
        names = element.json_names()
        if element.min and not any(name in place.value or f"_{name}" in place.value for name in names):
            ways = f" Write one of {_alternatives(names)}." if element.choice else ""
            at = f"{place.expression}.{element.name}"
            issues.append(Issue(f"{place.type}.{element.name} is required.{ways}", "required", "error", (at,)))
    return issues


def _wrong_type(place: _Place) -> list[Issue]:
    many = place.element is not None and place.element.is_list and not place.expression.endswith("]")
    if place.value is None:
        message = f"{place.name} may not be null: leave it out."
    elif many and not isinstance(place.value, list):
        message = f"{place.name} is a list, even of one: put it in square brackets."
    elif isinstance(place.value, list):
        message = f"{place.name} is one value, not a list: leave out the square brackets."
    elif place.type in PRIMITIVES:
        message = f"{place.name} must be {_EXPECTED[place.type]}."
    else:
        message = f"{place.name} must be a JSON object ({place.type})."
    return _issue(place, message, "structure")


def _empty(place: _Place) -> list[Issue]:
    return _issue(place, f"{place.name} is empty: leave it out.", "structure")


def _value(place: _Place) -> list[Issue]:
    return _issue(place, f"{place.name} must be {_EXPECTED[place.type]}{_but_is(place)}.", "value")


def _literal(place: _Place) -> list[Issue]:
    ways = "Type/id with a type of FHIR R4, a URL, urn:uuid:… or #id of a contained resource"
    return _issue(place, f"reference must be {ways}, not {_shown(place.value)}.", "value")


def _target(place: _Place) -> list[Issue]:
    message = f"{_shown(place.value)} may not be referred to here: only {_alternatives(place.targets)}."
    return _issue(place, message, "value")


def _code(place: _Place) -> list[Issue]:
    if not isinstance(place.value, str):
        return _wrong_type(place)
    return _issue(place, f"{_shown(place.value)} is not one of {_alternatives(_allowed(place))}.", "code-invalid")


def _allowed(place: _Place) -> frozenset[str]:
    binding = place.element.binding if place.element else None
    return (required_codes(binding) if binding else None) or frozenset()


def _concept(place: _Place) -> list[Issue]:
    value_set = place.element.binding if place.element else None
    message = f"{place.name} needs a coding with one of the codes {_alternatives(_allowed(place))} of {value_set}."
    return _issue(place, message, "code-invalid")


_EXPLANATIONS: dict[str, Callable[[_Place], list[Issue]]] = {
    "additionalProperties": _unknown,
    "required": _missing,
    "type": _wrong_type,
    "minItems": _empty,
    "minProperties": _empty,
    "pattern": _value,
    "minLength": _value,
    "maxLength": _value,
    "minimum": _value,
    "maximum": _value,
    "enum": _code,
    "literal": _literal,
    "target": _target,
    "concept": _concept,
}
