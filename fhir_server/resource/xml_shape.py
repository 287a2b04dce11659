"""How each R4 type looks in XML: the order of its elements, and which of them are attributes.

https://hl7.org/fhir/R4/xml.html
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final, Literal, NamedTuple

from .. import r4

FHIR: Final = "http://hl7.org/fhir"
XHTML: Final = "http://www.w3.org/1999/xhtml"
XML: Final = "http://www.w3.org/XML/1998/namespace"

Kind = Literal["attribute", "primitive", "complex", "resource", "xhtml"]

_RESOURCES = frozenset(r4.RESOURCE_TYPES)


class Row(NamedTuple):
    """One property of a type: its place in the order, and how it is written."""

    place: int
    name: str
    kind: Kind
    type: str
    """A primitive, or the path that the inside of the value is described under."""
    is_list: bool
    has_sibling: bool


@cache
def rows(path: str) -> Mapping[str, Row]:
    """The properties of a type or backbone by JSON name, and those of primitives by `_name` as well. KeyError."""
    found = {}
    for place, (name, (element, type_name)) in enumerate(r4.properties(path).items()):
        has_sibling = r4.has_sibling(path, name)
        row = Row(place, name, _kind(path, name, type_name), type_name, element.is_list, has_sibling)
        found[name] = row
        if has_sibling:
            found[f"_{name}"] = row
    return found


def is_resource(name: str) -> bool:
    """Whether this is the name of a resource type."""
    return name in _RESOURCES


def _kind(path: str, name: str, type_name: str) -> Kind:
    if (name == "id" and path not in _RESOURCES) or (path, name) == ("Extension", "url"):
        return "attribute"
    if type_name == "Resource":
        return "resource"
    if type_name == "xhtml":
        return "xhtml"
    return "primitive" if type_name in r4.PRIMITIVES else "complex"
