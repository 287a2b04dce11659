"""The values a profile looks at: an element's occurrences with their types, and how they compare.

https://hl7.org/fhir/R4/elementdefinition.html#ElementDefinition.pattern[x]
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import cache
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
    value = item.value
    if not isinstance(value, dict):
        return []
    ways = ways_of(item.type, name)
    where = f"{item.expression}.{name}"
    if len(ways) == 1:
        return _of_way(value, ways[next(iter(ways))], where)
    # Of a choice few types are there and many could be: a property is looked up among them, not they in the resource.
    found: list[Item] = []
    met: set[str] = set()
    for json_name in value:
        way = ways.get(json_name)
        if way is not None and way.name not in met:
            met.add(way.name)
            found += _of_way(value, way, where)
    return found


class Way(NamedTuple):
    """A JSON property in which an element may be written."""

    name: str
    beside: str
    is_list: bool
    type: str


@cache
def ways_of(kind: str, name: str) -> dict[str, Way]:
    """The ways of an element by the properties that show it is there; of a choice those beside primitives are in it."""
    known = [(each, row) for each, row in properties(kind).items() if row.element.name == name]
    ways = [Way(each, "_" + each, row.element.is_list, row.type) for each, row in known]
    found = {way.name: way for way in ways}
    return found if len(found) == 1 else found | {way.beside: way for way in ways}


def _of_way(value: Json, way: Way, where: str) -> list[Item]:
    held, beside = value.get(way.name), value.get(way.beside)
    if held is None and beside is None:
        return []
    if not way.is_list:
        return [Item(held, _kind(way.type, held), where, beside)]
    values = held if isinstance(held, list) else []
    siblings = beside if isinstance(beside, list) else []
    found = []
    for index in range(max(len(values), len(siblings))):
        each = values[index] if index < len(values) else None
        sibling = siblings[index] if index < len(siblings) else None
        found.append(Item(each, _kind(way.type, each), f"{where}[{index}]", sibling))
    return found


def _kind(kind: str, value: Any) -> str:
    if kind == "Resource" and isinstance(value, dict) and value.get("resourceType") in _TYPES:
        return str(value["resourceType"])
    return kind


def _of_sibling(item: Item, name: str) -> list[Item]:
    """id and extension of a primitive."""
    if item.sibling is None or name not in ("id", "extension"):
        return []
    return occurrences(Item(item.sibling, "Element", item.expression, None), name)


def is_of(kind: str, code: str) -> bool:
    """Whether a value of a type (of a backbone its path) is of the type that a profile names."""
    if code == kind or ("." in kind and code in ("BackboneElement", "Element")):
        return True
    return code in ("Resource", "DomainResource", "Element") or (code == "string" and kind == "id")


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


def beyond(given: Any, low: tuple[Any, ...], high: tuple[Any, ...]) -> str:
    """ "least" when the value is below minValue[x], "most" when it is above maxValue[x], "" when it keeps both.

    Dates are compared as far as both are written, quantities in one unit only: what cannot be compared is kept.
    https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.minValue_x_
    """
    if low and _compared(given, low[0]) == -1:
        return "least"
    return "most" if high and _compared(given, high[0]) == 1 else ""


def _compared(given: Any, limit: Any) -> int | None:
    """-1, 0 or 1 as the value is below, at or above the limit; None when they cannot be compared."""
    if isinstance(limit, dict) and isinstance(given, dict):
        if any(given.get(part) != limit[part] for part in ("system", "code") if part in limit):
            return None
        return _compared(given.get("value"), limit.get("value"))
    if isinstance(limit, str) and isinstance(given, str):
        one, other = _comparable(given, limit)
    elif isinstance(limit, _NUMBER) and isinstance(given, _NUMBER) and not isinstance(given, bool):
        one, other = Decimal(str(given)), Decimal(str(limit))
    else:
        return None
    return (one > other) - (one < other)


_NUMBER = (int, float, Decimal)


def _moment(written: str) -> datetime:
    return datetime.fromisoformat(written.replace(":60", ":59"))  # a leap second is no time to Python


def _comparable(given: str, limit: str) -> tuple[Any, Any]:
    if "T" in given and "T" in limit:
        try:
            return _moment(given), _moment(limit)
        except ValueError:  # not a moment after all: compared as far as the day
            pass
    written = len(limit) if ":" in limit[:3] else min(len(given), len(limit), 10)
    return given[:written], limit[:written]
