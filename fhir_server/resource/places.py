"""Every element of a resource with its type and its place, as $validate looks at them one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhir_server.r4 import PRIMITIVES, RESOURCE_TYPES, base_type, properties

_TYPES = frozenset(RESOURCE_TYPES)
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A resource, or an element in it."""

    value: Any
    path: str
    """Where the inside of the value is described: "Patient", "HumanName", "Patient.contact"; a primitive type."""
    element: str
    """The element as its definition names it ("Patient.contact", "Observation.value[x]"); "" for a resource."""
    expression: str
    resource: Json
    """The resource it is part of; itself for a resource."""
    root: Json
    """The resource that contains `resource`, or the same one."""

    def types(self) -> Iterator[str]:
        """Its type and those this is derived from ("Age", "Quantity", "Element")."""
        at = self.path
        while at:
            yield at
            plain = at in PRIMITIVES or "." in at
            at = "Element" if plain else base_type(at)


def places(resource: Json) -> Iterator[Place]:
    """The resource, its elements, and the resources inside it with theirs, in the order of the text."""
    if resource.get("resourceType") in _TYPES:
        yield from _resource(resource, resource, resource["resourceType"])


def _resource(resource: Json, root: Json, expression: str) -> Iterator[Place]:
    path = resource["resourceType"]
    yield Place(resource, path, "", expression, resource, root)
    yield from _elements(Place(resource, path, "", expression, resource, root))


def _elements(parent: Place) -> Iterator[Place]:
    known = properties(parent.path)
    for name, found in parent.value.items():
        if name not in known:
            continue
        element, kind = known[name]
        where = f"{parent.expression}.{element.name}"
        described = f"{parent.path}.{element.name}" + ("[x]" if element.choice else "")
        for index, each in enumerate(found if isinstance(found, list) else (found,)):
            if each is None:
                continue
            expression = f"{where}[{index}]" if isinstance(found, list) else where
            if kind == "Resource":
                if isinstance(each, dict) and each.get("resourceType") in _TYPES:
                    yield from _resource(each, parent.root if name == "contained" else each, expression)
                continue
            place = Place(each, kind, described, expression, parent.resource, parent.root)
            yield place
            if isinstance(each, dict) and kind not in PRIMITIVES:
                yield from _elements(place)
