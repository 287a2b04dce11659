"""Which codes a value set's compose comes to: https://hl7.org/fhir/R4/valueset.html#compositions

An include is a system, narrowed by listed concepts or by filters, and by the value sets it must be in too; includes add
up, and what is excluded goes. Bounded: more than MAX_CODES is refused as too costly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fhir_server.errors import BadRequest, NotFound, Unprocessable
from fhir_server.resource.fhirpath import NotEvaluated, pattern_found
from fhir_server.terminology.systems import Concept, System

Json = dict[str, Any]
Key = tuple[str, str]

MAX_CODES = 50_000
MAX_DEPTH = 16


@dataclass(slots=True)
class Member:
    """A code in a value set."""

    system: str
    code: str
    display: str = ""
    inactive: bool = False
    abstract: bool = False
    designation: list[Json] | None = None
    version: str = ""


class Composition:
    """Carries out composes with the systems and value sets it is given ways to find.

    `system_of` and `value_set_of` take a canonical and return None when there is none such.
    """

    def __init__(self, system_of: Callable[[str], System | None], value_set_of: Callable[[str], Json | None]) -> None:
        self._system_of = system_of
        self._value_set_of = value_set_of

    def members(self, value_set: Json, inside: tuple[str, ...] = ()) -> dict[Key, Member]:
        """The codes of a value set, in order. Raises NotFound, BadRequest, Unprocessable (too costly)."""
        url = value_set.get("url", "")
        if url and url in inside:
            raise Unprocessable(f"The value set {url} includes itself.", code="processing")
        if len(inside) > MAX_DEPTH:
            raise too_costly(f"Value sets include each other more than {MAX_DEPTH} levels deep.")
        path = (*inside, url)
        compose = value_set.get("compose")
        if compose is None:
            return _expanded(value_set)
        found: dict[Key, Member] = {}
        for include in compose.get("include", ()):
            for member in self._included(include, path):
                found.setdefault((member.system, member.code), member)
                if len(found) > MAX_CODES:
                    raise too_costly(f"The value set has more than {MAX_CODES} codes.")
        for exclude in compose.get("exclude", ()):
            for member in self._included(exclude, path):
                found.pop((member.system, member.code), None)
        if compose.get("inactive") is False:
            found = {key: member for key, member in found.items() if not member.inactive}
        return found

    def _included(self, include: Json, path: tuple[str, ...]) -> list[Member]:
        imports = [self._imported(url, path) for url in include.get("valueSet", ())]
        if "system" in include:
            members = list(self._of_system(include))
        elif imports:
            members = list(imports.pop(0).values())
        else:
            raise BadRequest("An include needs a system or a value set.", code="invariant")
        for several in imports:
            members = [each for each in members if (each.system, each.code) in several]
        return members

    def _imported(self, canonical: str, path: tuple[str, ...]) -> dict[Key, Member]:
        value_set = self._value_set_of(canonical)
        if value_set is None:
            raise NotFound(f"The value set {canonical[:200]} is not on this server: create it first.")
        return self.members(value_set, path)

    def _of_system(self, include: Json) -> Iterator[Member]:
        url = include["system"]
        system = self._system_of(f"{url}|{include['version']}" if "version" in include else url)
        if "concept" in include:
            for row in include["concept"]:
                yield _listed(url, row, system)
            return
        if system is None or not system.complete:
            raise NotFound(f"The code system {url[:200]} is not on this server in full, so its codes cannot be listed.")
        filters = [
            (each.get("property", ""), each.get("op", ""), each.get("value", "")) for each in include.get("filter", ())
        ]
        candidates = list(system.concepts())
        for property_code, operator, value in filters:
            keep = _filter(system, property_code, operator, value)
            candidates = [each for each in candidates if keep(each)]
        for concept in candidates:
            yield member_of(system, concept)


def member_of(system: System, concept: Concept) -> Member:
    """The concept as a member of a value set."""
    return Member(
        system.url,
        concept.code,
        concept.display,
        concept.inactive,
        concept.abstract,
        concept.designation,
        system.version,
    )


def _listed(url: str, row: Json, system: System | None) -> Member:
    concept = system.find(row["code"]) if system is not None else None
    member = Member(url, row["code"]) if system is None or concept is None else member_of(system, concept)
    member.display = row.get("display") or member.display
    member.designation = row.get("designation") or member.designation
    return member


def _filter(system: System, property_code: str, operator: str, value: str) -> Callable[[Concept], bool]:
    """https://hl7.org/fhir/R4/valueset-filter-operator.html"""
    if operator in ("is-a", "descendent-of", "is-not-a", "generalizes"):
        reached = system.above(value) if operator == "generalizes" else system.below(value)
        codes = {each.code for each in reached}
        if operator == "is-not-a":
            return lambda concept: concept.code not in codes
        if operator == "descendent-of":
            codes -= {each.code for each in reached[:1]}
        return lambda concept: concept.code in codes

    def texts(concept: Concept) -> list[str]:
        if property_code in ("code", "concept"):
            return [concept.code]
        if property_code == "display":
            return [concept.display]
        if property_code in ("parent", "child") and not concept.values(property_code):
            return concept.parents if property_code == "parent" else concept.children
        return concept.values(property_code)

    if operator == "=":
        return lambda concept: value in texts(concept)
    if operator in ("in", "not-in"):
        wanted = {each.strip() for each in value.split(",")}
        return lambda concept: wanted.isdisjoint(texts(concept)) == (operator == "not-in")
    if operator == "exists":
        return lambda concept: bool(texts(concept)) == (value == "true")
    if operator == "regex":
        return lambda concept: any(_matches(value, each) for each in texts(concept))
    raise BadRequest(f"The filter operator '{operator[:20]}' is not one of R4.", code="value")


def _matches(pattern: str, text: str) -> bool:
    try:
        return pattern_found(f"^(?:{pattern})$", text)
    except NotEvaluated as error:
        raise BadRequest(f"A filter of the value set cannot be used: {error}.", code="value") from None


def _expanded(value_set: Json) -> dict[Key, Member]:
    """The codes of a value set that comes with its expansion and without what it was made from."""
    found: dict[Key, Member] = {}
    pending = list(reversed(value_set.get("expansion", {}).get("contains", ())))
    while pending:
        row = pending.pop()
        if "code" in row:
            member = Member(
                row.get("system", ""), row["code"], row.get("display", ""),
                row.get("inactive", False), row.get("abstract", False), row.get("designation"), row.get("version", ""),
            )  # fmt: skip
            found.setdefault((member.system, member.code), member)
        pending += reversed(row.get("contains", ()))
        if len(found) > MAX_CODES:
            raise too_costly(f"The value set has more than {MAX_CODES} codes.")
    return found


def too_costly(text: str) -> Unprocessable:
    """The refusal of an expansion that would take too much."""
    return Unprocessable(f"{text} Narrow it with a filter, or ask whether one code is in it.", code="too-costly")
