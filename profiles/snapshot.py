"""A profile's snapshot: the elements of its base type, each said in short, with what the differential says put in.

Only for `python -m profiles.build`, which is given the official definitions of R4. Of the base it keeps what a reader
and a validator of the profile need; R4's own constraints, comments and mappings stay where they are defined.
https://hl7.org/fhir/R4/profiling.html#snapshot
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

Element = dict[str, Any]

_KEPT = ("id", "path", "short", "min", "max", "base", "contentReference", "type", "isModifier", "isModifierReason")
_KEPT_OF_BINDING = ("strength", "valueSet")


@cache
def _base(folder: Path, name: str) -> dict[str, Element]:
    """The elements of a type of R4 by id, shortened."""
    text = (folder / f"StructureDefinition-{name}.json").read_text(encoding="utf-8")
    return {element["id"]: _short(element) for element in json.loads(text)["snapshot"]["element"]}


def _short(element: Element) -> Element:
    kept = {key: element[key] for key in _KEPT if key in element}
    # sdf-3 wants a definition of every element; the short one will do.
    kept["definition"] = element.get("short") or element["definition"]
    if element.get("isSummary"):
        kept["isSummary"] = True
    if binding := element.get("binding"):
        kept["binding"] = {key: binding[key] for key in _KEPT_OF_BINDING if key in binding}
    return kept


def snapshot(folder: Path, kind: str, differential: Iterable[Element]) -> list[Element]:
    """The elements of the snapshot, in order. Raises KeyError for an element that the base does not have."""
    elements = [dict(element) for element in _base(folder, kind).values()]
    for said in differential:
        _say(folder, elements, said)
    return elements


def _say(folder: Path, elements: list[Element], said: Element) -> None:
    """Puts one element of a differential in, after those it stands in."""
    position = _position(elements, said["id"])
    if position is not None:
        elements[position] |= said
        return
    above = _above(said["id"])
    if _position(elements, above) is None:
        _say(folder, elements, {"id": above, "path": said["path"].rpartition(".")[0]})
    elements.insert(_end_of(elements, above), {**_origin(folder, elements, said["id"]), **said})


def _position(elements: list[Element], identifier: str) -> int | None:
    return next((position for position, each in enumerate(elements) if each["id"] == identifier), None)


def _above(identifier: str) -> str:
    """What an element that is not in the base stands in: of a slice the sliced element, of a child its parent."""
    parent, _, last = identifier.rpartition(".")
    name, is_slice, _ = last.partition(":")
    return f"{parent}.{name}" if is_slice else parent


def _end_of(elements: list[Element], identifier: str) -> int:
    """The position after an element and everything in it."""
    inside = (f"{identifier}.", f"{identifier}:")
    return 1 + max(
        position for position, each in enumerate(elements) if each["id"] == identifier or each["id"].startswith(inside)
    )


def _origin(folder: Path, elements: list[Element], identifier: str) -> Element:
    """The definition that an element starts from: the sliced element's, or that of its parent's type."""
    above = elements[_position(elements, _above(identifier)) or 0]
    if identifier.rpartition(".")[2].partition(":")[1]:
        return {key: value for key, value in above.items() if key != "slicing"}
    kind = above["type"][0]["code"]
    return _base(folder, kind)[f"{kind}.{identifier.rpartition('.')[2]}"]
