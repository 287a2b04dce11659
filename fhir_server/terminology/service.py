"""The terminology service: expansion, validation, look-up, subsumption and translation of codes, without HTTP or store.

https://hl7.org/fhir/R4/terminology-service.html. What is stored comes first, then the value sets and code systems of R4
itself that fhir_server.r4 holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal

from fhir_server.errors import NotFound
from fhir_server.r4 import FHIR_VERSION, defined_system, value_set_content
from fhir_server.terminology.expansion import Composition, Key, Member, too_costly
from fhir_server.terminology.systems import Concept, System

Json = dict[str, Any]
RepositoryLookup = Callable[[str, str], Json | None]
"""(resource type, canonical URL with or without |version) -> the resource, None when there is none."""

MAX_LISTED = 10_000
"""How many codes a search may be handed, and an expansion without `count` may have."""
_KEPT = 64

Subsumption = Literal["equivalent", "subsumes", "subsumed-by", "not-subsumed"]


@dataclass(frozen=True, slots=True)
class Validation:
    """Whether a code is in a value set or system; `message` says why not."""

    result: bool
    message: str = ""
    display: str = ""
    system: str = ""


class Terminology:
    """Thread-safe; keeps what it has laid out of the resources last used, by their identity."""

    def __init__(self, repository_lookup: RepositoryLookup) -> None:
        self._lookup = repository_lookup
        self._composition = Composition(self.system, self.value_set)
        self._laid_out: dict[int, tuple[Json, System]] = {}
        self._lock = Lock()

    # ---- what there is ------------------------------------------------------------------------------------------------

    def system(self, canonical: str) -> System | None:
        """The code system with this URL (and version), None when it is not known."""
        resource = self._lookup("CodeSystem", canonical)
        if resource is not None:
            return self.laid_out(resource)
        url, _, version = canonical.partition("|")
        defined = defined_system(url)
        if defined is None or version not in ("", FHIR_VERSION):
            return None
        return System.of_table(url, defined, FHIR_VERSION)

    def laid_out(self, resource: Json) -> System:
        """The system of a CodeSystem resource."""
        with self._lock:
            kept = self._laid_out.get(id(resource))
            if kept is not None and kept[0] is resource:
                return kept[1]
        system = System.of_resource(resource)
        with self._lock:
            while len(self._laid_out) >= _KEPT:
                self._laid_out.pop(next(iter(self._laid_out)))
            self._laid_out[id(resource)] = (resource, system)
        return system

    def value_set(self, canonical: str) -> Json | None:
        """The ValueSet with this URL (and version), None when it is not known."""
        resource = self._lookup("ValueSet", canonical)
        if resource is not None:
            return resource
        url, _, version = canonical.partition("|")
        content = value_set_content(url)
        if content is None or version not in ("", FHIR_VERSION):
            return None
        include = [
            {"system": system, "concept": [{"code": each} for each in codes]} for system, codes in content.items()
        ]
        return {
            "resourceType": "ValueSet",
            "url": url,
            "version": FHIR_VERSION,
            "status": "active",
            "compose": {"include": include},
        }

    # ---- value sets ---------------------------------------------------------------------------------------------------

    def members(self, value_set: str | Json) -> dict[Key, Member]:
        """Every code of a value set. Raises NotFound, BadRequest, Unprocessable (too costly)."""
        return self._composition.members(self._value_set(value_set))

    def codes_in(self, value_set_url: str) -> list[Key]:
        """(system, code) of every code in a value set, for `:in` and `:not-in`. Raises as `members`."""
        found = list(self.members(value_set_url))
        if len(found) > MAX_LISTED:
            raise too_costly(f"The value set has more than {MAX_LISTED} codes.")
        return found

    def validate_code(
        self, value_set: str | Json, code: str, system: str | None = None, display: str | None = None
    ) -> Validation:
        """Whether the code is in the value set. Without a system it must be the code of exactly one."""
        content = self._value_set(value_set)
        found = [
            each
            for each in self._composition.members(content).values()
            if each.code == code and (system is None or each.system == system)
        ]
        name = content.get("url") or "the value set"
        if not found:
            return Validation(False, f"The code {_shown(system, code)} is not in {name}.")
        if len({each.system for each in found}) > 1:
            return Validation(False, f"Several systems in {name} have the code '{code[:80]}': say which is meant.")
        member = found[0]
        return _with_display(member.display, member.designation, display, member.system, code)

    def _value_set(self, value_set: str | Json) -> Json:
        if not isinstance(value_set, str):
            return value_set
        found = self.value_set(value_set)
        if found is None:
            raise NotFound(f"The value set {value_set[:200]} is not on this server: create it first.")
        return found

    # ---- code systems -------------------------------------------------------------------------------------------------

    def validate_in_system(self, system: System, code: str, display: str | None = None) -> Validation:
        """Whether the code is one of the system."""
        concept = system.find(code)
        if concept is None:
            return Validation(False, f"The code {_shown(system.url, code)} is not in the code system.")
        return _with_display(concept.display, concept.designation, display, system.url, code)

    def concept(self, system: System, code: str) -> Concept:
        """The concept of a code. Raises NotFound."""
        found = system.find(code)
        if found is None:
            raise NotFound(f"The code system {system.url} has no code '{code[:80]}'.")
        return found

    def known_system(self, canonical: str) -> System:
        """As `system`. Raises NotFound."""
        found = self.system(canonical)
        if found is None:
            raise NotFound(f"The code system {canonical[:200]} is not on this server: create it first.")
        return found

    def subsumes(self, system: System, one: str, other: str) -> Subsumption:
        """How two codes of a system stand to each other. Raises NotFound."""
        first, second = self.concept(system, one).code, self.concept(system, other).code
        if first == second:
            return "equivalent"
        if any(each.code == second for each in system.below(first)):
            return "subsumes"
        if any(each.code == first for each in system.below(second)):
            return "subsumed-by"
        return "not-subsumed"

    def below(self, system: str, code: str) -> list[str]:
        """The code and all it subsumes, for `:below`; the code alone when the system is not known."""
        return self._reached(system, code, System.below)

    def above(self, system: str, code: str) -> list[str]:
        """The code and all that subsume it, for `:above`."""
        return self._reached(system, code, System.above)

    def _reached(self, url: str, code: str, step: Callable[[System, str], list[Concept]]) -> list[str]:
        system = self.system(url)
        found = step(system, code) if system is not None else []
        if len(found) > MAX_LISTED:
            raise too_costly(f"The code '{code[:80]}' stands for more than {MAX_LISTED} codes.")
        return [each.code for each in found] or [code]


def _with_display(
    preferred: str, designation: list[Json] | None, display: str | None, system: str, code: str
) -> Validation:
    known = [preferred, *(str(each.get("value", "")) for each in designation or ())]
    if display is None or any(display.casefold() == each.casefold() for each in known):
        return Validation(True, display=preferred, system=system)
    return Validation(False, f"The code '{code[:80]}' is called '{preferred}'.", preferred, system)


def _shown(system: str | None, code: str) -> str:
    return f"'{code[:80]}'" if system is None else f"'{code[:80]}' of {system[:200]}"
