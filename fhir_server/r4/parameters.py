"""The registry of R4 search parameters: https://hl7.org/fhir/R4/searchparameter-registry.html"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from fhir_server.r4.structures import RESOURCE_TYPES, base_type, load


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter: https://hl7.org/fhir/R4/searchparameter.html

    `expressions` has one entry per concrete resource type it applies to: the FHIRPath that starts at that type. For
    the parameters of all resources it starts with the word Resource ("Resource.meta.tag"), whatever the type; those
    that are not about content (_text, _content, _query, _filter) have none.
    """

    code: str
    url: str
    type: str
    """number, date, string, token, reference, composite, quantity, uri or special."""
    base: tuple[str, ...]
    expressions: Mapping[str, str]
    target: tuple[str, ...]
    comparators: tuple[str, ...]
    modifiers: tuple[str, ...]
    components: tuple[tuple[str, str], ...]
    """(URL of the parameter, FHIRPath from the composite's own element to the value) of each part of a composite."""


def _concrete(base: str) -> tuple[str, ...]:
    """The resource types that a parameter with this base applies to."""
    if base == "Resource":
        return RESOURCE_TYPES
    if base == "DomainResource":
        return tuple(name for name in RESOURCE_TYPES if base_type(name) == "DomainResource")
    return (base,)


@cache
def _by_url() -> dict[str, SearchParameter]:
    found = {}
    for url, row in load("search_parameters")["parameters"].items():
        expressions = {
            concrete: expression
            for base, expression in row.get("expressions", {}).items()
            for concrete in _concrete(base)
        }
        found[url] = SearchParameter(
            code=row["code"],
            url=url,
            type=row["type"],
            base=tuple(row["base"]),
            expressions=MappingProxyType(expressions),
            target=tuple(row.get("target", ())),
            comparators=tuple(row.get("comparators", ())),
            modifiers=tuple(row.get("modifiers", ())),
            components=tuple((definition, expression) for definition, expression in row.get("components", ())),
        )
    return found


@cache
def _by_type() -> dict[str, dict[str, SearchParameter]]:
    found: dict[str, dict[str, SearchParameter]] = {name: {} for name in RESOURCE_TYPES}
    for parameter in _by_url().values():
        for base in parameter.base:
            for concrete in _concrete(base):
                if found[concrete].setdefault(parameter.code, parameter) is not parameter:
                    raise RuntimeError(f"Two search parameters of {concrete} are called {parameter.code}.")
    return {name: dict(sorted(by_code.items())) for name, by_code in found.items()}


def search_parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """`code -> SearchParameter` of a resource type, those of all resources (_id, _lastUpdated...) included.

    KeyError if there is no such resource type.
    """
    return MappingProxyType(_by_type()[resource_type])


def search_parameter_by_url(url: str) -> SearchParameter:
    """The search parameter with this canonical URL (no version). KeyError if there is none."""
    return _by_url()[url]
