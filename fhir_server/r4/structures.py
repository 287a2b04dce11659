"""The elements of every R4 type: names, types, cardinality, bindings, reference targets.

https://hl7.org/fhir/R4/structuredefinition.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

FHIR_VERSION: Final = "4.0.1"


def load(table: str) -> dict[str, Any]:
    """One table of fhir_server/r4/data; its first keys say which package and version it was built from."""
    content: dict[str, Any] = json.loads(Path(__file__).with_name("data").joinpath(f"{table}.json").read_bytes())
    if content["version"] != FHIR_VERSION:
        raise RuntimeError(f"{table}.json holds FHIR {content['version']}; rebuild it from {FHIR_VERSION}.")
    return content


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type. `name` is without `[x]`; a choice element is written as `name` + a type (valueQuantity)."""

    name: str
    types: tuple[str, ...]
    min: int
    max: int | None
    """None means any number: the element is a list. So does every number above 1."""
    choice: bool
    binding: str | None
    """Canonical URL (no version) of the value set the codes must come from; weaker bindings are not kept."""
    targets: tuple[str, ...]
    """Resource types a Reference or canonical may point to; none means any."""
    content_reference: str | None
    """Path whose elements this one repeats, such as Questionnaire.item for Questionnaire.item.item."""
    summary: bool
    modifier: bool

    @property
    def is_list(self) -> bool:
        return self.max is None or self.max > 1

    def json_names(self) -> dict[str, str]:
        """`JSON property name -> type`: one per type of a choice, one otherwise (its type, or its content's path)."""
        if self.choice:
            return {self.name + type_name[0].upper() + type_name[1:]: type_name for type_name in self.types}
        return {self.name: self.content_reference or self.types[0]}


_table = load("elements")
_types: dict[str, Any] = _table["types"]

PRIMITIVES: Final[Mapping[str, str]] = MappingProxyType(_table["primitives"])
"""The primitive types, each with the regular expression of its JSON value ("" for xhtml)."""

RESOURCE_TYPES: Final[tuple[str, ...]] = tuple(
    sorted(name for name, row in _types.items() if row["kind"] == "resource" and "abstract" not in row)
)
"""The 146 types a resource can have, in alphabetical order."""

PATHS: Final[tuple[str, ...]] = tuple(_types)
"""Every type and backbone path that `elements` knows."""


@cache
def elements(path: str) -> Mapping[str, Element]:
    """The elements of a type ("Patient", "HumanName") or backbone ("Patient.contact", "Timing.repeat"), inherited ones
    included, by name without `[x]` and in the order of the specification. KeyError if there is no such path."""
    found = {}
    for key, row in _types[path]["elements"].items():
        name = key.removesuffix("[x]")
        found[name] = Element(
            name=name,
            types=tuple(row["types"]),
            min=row.get("min", 0),
            max=row.get("max", 1),
            choice=name != key,
            binding=row.get("binding"),
            targets=tuple(row.get("targets", ())),
            content_reference=row.get("content"),
            summary=row.get("summary", False),
            modifier=row.get("modifier", False),
        )
    return MappingProxyType(found)


class Property(NamedTuple):
    """One JSON property of a type: the element it writes, and where the inside of its value is described."""

    element: Element
    type: str
    """A primitive, a type, a backbone path (for contentReference the one repeated), or "Resource" for a whole one."""


@cache
def properties(path: str) -> Mapping[str, Property]:
    """The JSON properties of a type or backbone by name, choices spelled out; `resourceType` and `_name` are not in it.

    KeyError if there is no such path.
    """
    found = {}
    for element in elements(path).values():
        nested = f"{path}.{element.name}"
        for name, type_name in element.json_names().items():
            found[name] = Property(element, nested if nested in _types and not element.choice else type_name)
    return MappingProxyType(found)


def has_sibling(path: str, name: str) -> bool:
    """Whether the JSON property may have its id and extensions beside it, in `_name`: primitives do, except ids, the
    url of an extension and the XHTML of a narrative."""
    found = properties(path)[name].type
    return found in PRIMITIVES and found != "xhtml" and name != "id" and (path, name) != ("Extension", "url")


def base_type(path: str) -> str:
    """The type that a type is derived from ("Patient" -> "DomainResource"); "" for backbones and for the roots."""
    return str(_types[path].get("base", ""))
