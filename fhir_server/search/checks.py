"""What is checked on the resources themselves, since no index entry tells: words in texts, distances, values that
stand together in one element. Each is a predicate on a resource as it was stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from ..resource.exact import Resource
from .clauses import Clause, Composite, CompositeBase, Near, Words, unescape
from .conditions import composite_filters
from .entries import document_fields
from .filters import Filter, Reading, all_of, any_of
from .fold import fold
from .matching import holds
from .sources import First, Key, Route, Where

Check = Callable[[Resource], bool]
_EARTH_KM = 6371.0088


def composite(resource_type: str, wanted: Composite, reading: Reading, base_url: str) -> tuple[Filter, Check | None]:
    """(what the index tells, what is to be checked) of a composite; None when the index tells all."""
    several = [(base, composite_filters(wanted, base, reading)) for base in wanted.bases]
    indexed = any_of([all_of(filters) for _, alternatives in several for filters in alternatives])
    if all(not any(key.many for key in base.keys) for base, _ in several):
        return indexed, None

    def check(resource: Resource) -> bool:
        for base, alternatives in several:
            for alone in _each_alone(resource, base):
                document = document_fields(resource_type, alone, base_url) | {"resource": alone}
                if any(holds(all_of(filters), document) for filters in alternatives):
                    return True
        return False

    return indexed, check


def _each_alone(resource: Resource, base: CompositeBase) -> Iterator[Resource]:
    """The resource with one item at a time of the list that a composite looks into, and nothing else."""
    if not base.keys:
        yield resource
        return
    name = base.keys[0].name
    held = resource.get(name, [])
    for item in held if isinstance(held, list) else [held]:
        for inner in _items(item, base.keys[1:]):
            yield {"resourceType": resource["resourceType"], name: [inner] if base.keys[0].many else inner}


def _items(item: Any, keys: tuple[Key, ...]) -> Iterator[Any]:
    if not keys:
        yield item
        return
    held = item.get(keys[0].name, []) if isinstance(item, dict) else []
    for inner in held if isinstance(held, list) else [held]:
        for each in _items(inner, keys[1:]):
            yield {keys[0].name: [each] if keys[0].many else each}


def words(wanted: Words) -> Check:
    """All words stand in the narrative (_text) or anywhere in the resource (_content), without regard to diacritics."""

    def check(resource: Resource) -> bool:
        if wanted.code == "_text":
            text = (resource.get("text") or {}).get("div", "")
            held = _words_of(_without_tags(text))
        else:
            held = _words_of(" ".join(_strings(resource)))
        return all(word in held for word in wanted.words)

    return check


def _words_of(text: str) -> set[str]:
    return set("".join(letter if letter.isalnum() else " " for letter in fold(text)).split())


def _without_tags(div: str) -> str:
    parts = div.split("<")
    return " ".join([parts[0], *(part.partition(">")[2] for part in parts[1:])])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "div" and isinstance(inner, str):
                yield _without_tags(inner)
            else:
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        yield value


def texts(clause: Clause) -> Check:
    """`code:text=x`: a text or display of the token begins with it, at any of its words."""
    sought = [fold(unescape(value)) for value in clause.values]
    routes = [route for source in clause.parameter.sources for route in source.routes]

    def check(resource: Resource) -> bool:
        for route in routes:
            for value in values_at(route, resource):
                for text in _displayed(value):
                    folded = f" {fold(text)}"
                    if any(f" {each}" in folded for each in sought):
                        return True
        return False

    return check


def _displayed(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        held = [value.get("text"), value.get("display"), *(each.get("display") for each in value.get("coding", ()))]
        held += [value["type"].get("text")] if isinstance(value.get("type"), dict) else []
        yield from (each for each in held if each)


def values_at(route: Route, resource: Resource) -> Iterator[Any]:
    """The values that a route leads to."""
    values: list[Any] = [resource]
    for step in route.steps:
        if isinstance(step, Key):
            found = [value[step.name] for value in values if isinstance(value, dict) and step.name in value]
            values = [item for value in found for item in (value if isinstance(value, list) else [value])]
        elif isinstance(step, First):
            values = values[:1]
        elif isinstance(step, Where):
            values = [value for value in values if isinstance(value, dict) and value.get(step.name) == step.value]
    yield from values


def near(wanted: Near) -> Check:
    """Within so many kilometres along the earth's surface."""

    def check(resource: Resource) -> bool:
        position = resource.get("position")
        if not position:
            return False
        latitude, longitude = float(position["latitude"]), float(position["longitude"])
        return _distance(wanted.latitude, wanted.longitude, latitude, longitude) <= wanted.kilometres

    return check


def _distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Kilometres between two places, by the haversine formula."""
    one, other = math.radians(latitude), math.radians(other_latitude)
    half = math.sin((other - one) / 2) ** 2
    half += math.cos(one) * math.cos(other) * math.sin(math.radians(other_longitude - longitude) / 2) ** 2
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(half)))
