"""From a code to what a concept map says of it: https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

NO_MATCH = frozenset({"unmatched", "disjoint"})
# The other way round a wider target is a narrower one: https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html
_REVERSED = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}


@dataclass(frozen=True, slots=True)
class Match:
    """One code the map leads to."""

    equivalence: str
    system: str
    code: str
    display: str
    source: str
    """Canonical of the concept map that says so."""


def translate(
    concept_map: Json, code: str, system: str | None, target_system: str | None = None, *, reverse: bool = False
) -> list[Match]:
    """What a map says of a code, in its order; the map's rule for unmapped codes where it says nothing."""
    matches: list[Match] = []
    for group in concept_map.get("group", ()):
        here, there = group.get("source"), group.get("target")
        if reverse:
            here, there = there, here
        if system not in (None, here) or target_system not in (None, there):
            continue
        found = _backwards(group, code, concept_map) if reverse else _forwards(group, code, concept_map)
        if not found and not reverse:
            found = _unmapped(group, code, concept_map)
        matches += found
    return matches


def _forwards(group: Json, code: str, concept_map: Json) -> list[Match]:
    return [
        _match(target.get("equivalence", "relatedto"), group.get("target"), target, concept_map)
        for element in group.get("element", ())
        if element.get("code") == code
        for target in element.get("target", ())
    ]


def _backwards(group: Json, code: str, concept_map: Json) -> list[Match]:
    found = []
    for element in group.get("element", ()):
        for target in element.get("target", ()):
            if target.get("code") == code:
                equivalence = target.get("equivalence", "relatedto")
                equivalence = _REVERSED.get(equivalence, equivalence)
                found.append(_match(equivalence, group.get("source"), element, concept_map))
    return found


def _unmapped(group: Json, code: str, concept_map: Json) -> list[Match]:
    rule = group.get("unmapped", {})
    if rule.get("mode") == "provided":
        return [_match("equal", group.get("target"), {"code": code}, concept_map)]
    if rule.get("mode") == "fixed":
        return [_match("inexact", group.get("target"), rule, concept_map)]
    return []


def _match(equivalence: str, system: str | None, row: Json, concept_map: Json) -> Match:
    return Match(equivalence, system or "", row.get("code", ""), row.get("display", ""), concept_map.get("url", ""))
