"""Part of a resource instead of all of it: `_summary` and `_elements`.

https://hl7.org/fhir/R4/search.html#summary and https://hl7.org/fhir/R4/search.html#elements. What is cut says so in its
meta, and is refused when it comes back as if it were the whole: storing it would lose what had been left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from .. import r4
from ..errors import BadRequest, Unprocessable
from .exact import Resource

SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}

CUTTING = frozenset({"true", "text", "data"})
"""The values of _summary that leave out elements; `false` leaves out nothing, `count` every resource."""

# Both can turn the meaning of everything else round, so that what is without them would say something else.
_ALWAYS = frozenset({"resourceType", "id", "meta", "implicitRules", "modifierExtension"})
_WHOLE = frozenset({"Extension", "Resource", "Meta"})


@dataclass(frozen=True, slots=True)
class Subset:
    """What of each resource is asked for: `summary` is true, text, data or "", then `elements` are the names."""

    summary: str = ""
    elements: frozenset[str] = frozenset()


def subset_of(pairs: Iterable[tuple[str, str]], resource_type: str = "") -> Subset | None:
    """The subset that the parameters of a request ask for, None for whole resources.

    `resource_type` is the type that is asked for, "" for any. Raises BadRequest for values and names there are not.
    """
    summary, elements = "", set()
    for name, value in pairs:
        if name == "_elements":
            elements |= {each.strip() for each in value.split(",") if each.strip()}
        elif name == "_summary" and value in CUTTING:
            summary = value
    if summary and elements:
        raise BadRequest("Ask for either _summary or _elements: each says differently what to leave out.")
    for each in sorted(elements - element_names(resource_type)):
        raise BadRequest(
            f"_elements takes names of elements of {resource_type or 'a resource'} itself, such as "
            f"'{'name' if resource_type == 'Patient' else 'identifier'}'; '{each[:40]}' is none.",
            code="value",
        )
    return Subset(summary, frozenset(elements)) if summary or elements else None


def cut(resource: Resource, subset: Subset) -> Resource:
    """A copy with the elements of the subset and those that no resource of the type may be without, marked SUBSETTED."""
    known = r4.properties(resource["resourceType"])
    kept = {
        key: _summarised(known[name].type, value) if subset.summary == "true" and name in known else value
        for key, value in resource.items()
        if (name := key.removeprefix("_")) in _ALWAYS or _is_asked(known[name], name, subset)
    }
    meta = dict(kept.get("meta") or {})
    if not is_subset(resource):
        meta["tag"] = [*meta.get("tag", []), SUBSETTED]
    start: Resource = {key: kept[key] for key in ("resourceType", "id") if key in kept}
    return {**start, "meta": meta, **{key: value for key, value in kept.items() if key not in (*start, "meta")}}


def is_subset(resource: Resource) -> bool:
    """Whether the resource says that it is not all there."""
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    return isinstance(tags, list) and any(isinstance(tag, dict) and tag.get("code") == "SUBSETTED" for tag in tags)


def refuse_subset(resource: Resource) -> None:
    """Raises Unprocessable for a resource that is to be stored and says that it is not all there."""
    if is_subset(resource):
        raise Unprocessable(
            "This is a part of the resource (its meta.tag says SUBSETTED), and storing it would lose the rest: "
            "read the whole resource, without _summary and _elements, and change that.",
            expression=(f"{resource.get('resourceType')}.meta.tag",),
        )


def _is_asked(found: r4.Property, name: str, subset: Subset) -> bool:
    element = found.element
    if subset.summary == "data":
        return name != "text"
    if element.min > 0:
        return True
    if subset.summary == "text":
        return name == "text"
    if subset.summary == "true":
        return element.summary
    return bool(subset.elements & {name, element.name, f"{element.name}[x]"})


def _summarised(path: str, value: Any) -> Any:
    """What the summary keeps inside an element: of every object the parts that are marked, or may not be missing."""
    if path in _WHOLE or path in r4.PRIMITIVES:
        return value
    if isinstance(value, list):
        return [_summarised(path, each) for each in value]
    kept = {}
    for key, each in value.items():
        name = key.removeprefix("_")
        element, inside = r4.properties(path)[name]
        if element.summary or element.modifier or element.min > 0:
            kept[key] = each if key != name else _summarised(inside, each)
    # An object that has nothing of it left would be no FHIR: it then stays as it was.
    return kept or value


@cache
def element_names(resource_type: str) -> frozenset[str]:
    """What may stand in _elements: the names of a type's elements, choices in each of their forms."""
    if not resource_type:
        return frozenset().union(*(element_names(each) for each in r4.RESOURCE_TYPES))
    found = set()
    for name, (element, _) in r4.properties(resource_type).items():
        found |= {name, element.name} | ({f"{element.name}[x]"} if element.choice else set())
    return frozenset(found)
