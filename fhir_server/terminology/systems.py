"""A code system laid out for questions: a code's concept, what is below and above it.

https://hl7.org/fhir/R4/codesystem.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_server.r4 import DefinedSystem

Json = dict[str, Any]

# https://hl7.org/fhir/R4/codesystem.html#properties: how a system says it of a concept
_INACTIVE = {("status", "retired"), ("status", "inactive"), ("status", "deprecated"), ("inactive", True)}
_ABSTRACT = {("notSelectable", True), ("abstract", True)}


@dataclass(slots=True)
class Concept:
    """One code of a code system."""

    code: str
    display: str = ""
    definition: str = ""
    designation: list[Json] = field(default_factory=list)
    properties: list[Json] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)

    @property
    def inactive(self) -> bool:
        return any(pair in _INACTIVE for pair in self._pairs())

    @property
    def abstract(self) -> bool:
        """Whether it only groups others and is not for use in a record."""
        return any(pair in _ABSTRACT for pair in self._pairs())

    def _pairs(self) -> Iterator[tuple[str, Any]]:
        for each in self.properties:
            for value in _values(each):
                if not isinstance(value, dict):
                    yield str(each.get("code")), value

    def values(self, property_code: str) -> list[str]:
        """The values of one property as text; of a Coding its code."""
        found = []
        for each in self.properties:
            if each.get("code") == property_code:
                for value in _values(each):
                    if isinstance(value, bool):
                        value = str(value).lower()
                    found.append(str(value.get("code", "")) if isinstance(value, dict) else str(value))
        return found


def _values(property_: Json) -> Iterator[Any]:
    return (value for name, value in property_.items() if name.startswith("value"))


class System:
    """The concepts of one code system, in the order they are written."""

    def __init__(self, url: str, *, name: str = "", version: str = "", case_sensitive: bool = True) -> None:
        self.url = url
        self.name = name
        self.version = version
        self.complete = True
        self._case_sensitive = case_sensitive
        self._concepts: dict[str, Concept] = {}
        self._by_folded: dict[str, str] = {}

    @classmethod
    def of_resource(cls, resource: Json) -> System:
        """The system a CodeSystem resource defines, hierarchies by nesting and by parent or child properties alike."""
        system = cls(
            resource.get("url", ""),
            name=resource.get("title") or resource.get("name", ""),
            version=resource.get("version", ""),
            case_sensitive=resource.get("caseSensitive", True),
        )
        system.complete = resource.get("content") == "complete"
        pending: list[tuple[Json, str]] = [(each, "") for each in reversed(resource.get("concept", ()))]
        while pending:
            row, parent = pending.pop()
            concept = Concept(
                row["code"],
                row.get("display", ""),
                row.get("definition", ""),
                row.get("designation", []),
                row.get("property", []),
            )
            system._add(concept, parent)
            pending += [(each, concept.code) for each in reversed(row.get("concept", ()))]
        system._link(
            {"parent"} | _codes_of(resource, "parent"),
            {"child"} | _codes_of(resource, "child"),
        )
        return system

    @classmethod
    def of_table(cls, url: str, defined: DefinedSystem, version: str) -> System:
        """The system R4 defines."""
        system = cls(url, name=defined.name, version=version)
        for code, display, *parent in defined.concepts:
            system._add(Concept(code, display), parent[0] if parent else "")
        return system

    def _add(self, concept: Concept, parent: str) -> None:
        self._concepts[concept.code] = concept
        self._by_folded.setdefault(concept.code.casefold(), concept.code)
        if parent:
            self._join(parent, concept.code)

    def _join(self, parent: str, child: str) -> None:
        if parent in self._concepts and child in self._concepts:
            if child not in self._concepts[parent].children:
                self._concepts[parent].children.append(child)
            if parent not in self._concepts[child].parents:
                self._concepts[child].parents.append(parent)

    def _link(self, parent_properties: Iterable[str], child_properties: Iterable[str]) -> None:
        for concept in list(self._concepts.values()):
            if not concept.properties:
                continue
            for name in parent_properties:
                for code in concept.values(name):
                    self._join(code, concept.code)
            for name in child_properties:
                for code in concept.values(name):
                    self._join(concept.code, code)

    def find(self, code: str) -> Concept | None:
        """The concept of a code; letter case counts only where the system says so."""
        found = self._concepts.get(code)
        if found is None and not self._case_sensitive:
            found = self._concepts.get(self._by_folded.get(code.casefold(), ""))
        return found

    def concepts(self) -> Iterable[Concept]:
        return self._concepts.values()

    def below(self, code: str) -> list[Concept]:
        """The concept and everything it subsumes, each once; empty when there is no such code."""
        return self._reached(code, {each.code: each.children for each in self._concepts.values()})

    def above(self, code: str) -> list[Concept]:
        """The concept and everything that subsumes it."""
        return self._reached(code, {each.code: each.parents for each in self._concepts.values()})

    def _reached(self, code: str, steps: Mapping[str, list[str]]) -> list[Concept]:
        start = self.find(code)
        if start is None:
            return []
        seen = {start.code: None}
        pending = [start.code]
        while pending:
            for following in steps[pending.pop()]:
                if following not in seen:
                    seen[following] = None
                    pending.append(following)
        return [self._concepts[each] for each in seen]


def _codes_of(resource: Json, relation: str) -> set[str]:
    """What a code system calls the property that R4 knows as `parent` or `child`."""
    uri = f"http://hl7.org/fhir/concept-properties#{relation}"
    return {each["code"] for each in resource.get("property", ()) if each.get("uri") == uri and "code" in each}
