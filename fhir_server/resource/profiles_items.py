"""The values a profile looks at: an element's occurrences with their types, and how they compare.

https://hl7.org/fhir/R4/elementdefinition.html#ElementDefinition.pattern[x]
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from fhir_server.r4 import PRIMITIVES, RESOURCE_TYPES, properties

Json = dict[str, Any]
_TYPES = frozenset(RESOURCE_TYPES)


class Item(NamedTuple):
    """One occurrence of an element."""

    value: Any
    """None for a primitive that has nothing but extensions."""
    type: str
    """Of a backbone its path."""
    expression: str
    sibling: Json | None
    """The id and extensions of a primitive."""


def root_item(resource: Json, expression: str) -> Item:
    return Item(resource, resource["resourceType"], expression, None)


def occurrences(item: Item, name: str) -> list[Item]:
    """The occurrences of a child element, by its name without [x]."""
    if item.type in PRIMITIVES:
        return _of_sibling(item, name)
    if not isinstance(item.value, dict):
        return []
    found: list[Item] = []
    for json_name, (element, kind) in _ways(item.type, name):
        value, sibling = item.value.get(json_name), item.value.get("_" + json_name)
        if value is None and sibling is None:
            continue
        where = f"{item.expression}.{name}"
        if element.is_list:
            values = value if isinstance(value, list) else []
            siblings = sibling if isinstance(sibling, list) else []
            for index in range(max(len(values), len(siblings))):
                each = values[index] if index < len(values) else None
                beside = siblings[index] if index < len(siblings) else None
                found.append(Item(each, _kind(kind, each), f"{where}[{index}]", beside))
        else:
            found.append(Item(value, _kind(kind, value), where, sibling))
    return found


def _ways(kind: str, name: str) -> Iterator[tuple[str, Any]]:
    for json_name, known in properties(kind).items():
        if known.element.name == name:
            yield json_name, known


def _kind(kind: str, value: Any) -> str:
    if kind == "Resource" and isinstance(value, dict) and value.get("resourceType") in _TYPES:
        return str(value["resourceType"])
    return kind


def _of_sibling(item: Item, name: str) -> list[Item]:
    """id and extension of a primitive."""
    if item.sibling is None or name not in ("id", "extension"):
        return []
    return occurrences(Item(item.sibling, "Element", item.expression, None), name)


def same(given: Any, wanted: Any) -> bool:
    """Exact equality, as fixed[x] asks; 1.0 is not 1.00."""
    if isinstance(wanted, dict):
        return (
            isinstance(given, dict)
            and given.keys() == wanted.keys()
            and all(same(given[key], value) for key, value in wanted.items())
        )
    if isinstance(wanted, list):
        return (
            isinstance(given, list)
            and len(given) == len(wanted)
            and all(same(one, other) for one, other in zip(given, wanted, strict=True))
        )
    return _plain_same(given, wanted)


def fits(given: Any, wanted: Any) -> bool:
    """Whether everything the pattern says is there: of a list, an item for each of the pattern's."""
    if isinstance(wanted, dict):
        return isinstance(given, dict) and all(
            key in given and fits(given[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(given, list) and all(any(fits(each, value) for each in given) for value in wanted)
    return _plain_same(given, wanted)


def _plain_same(given: Any, wanted: Any) -> bool:
    if isinstance(given, bool) or isinstance(wanted, bool):
        return given is wanted
    if isinstance(wanted, int | float | Decimal):
        return isinstance(given, int | float | Decimal) and str(given) == str(wanted)
    return bool(given == wanted)
