"""Which references place a resource in whose compartment: https://hl7.org/fhir/R4/compartmentdefinition.html"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from fhir_server.r4.structures import load


@cache
def compartment(name: str) -> Mapping[str, tuple[str, ...]]:
    """`resource type -> search parameter codes` of a compartment: a resource is in it when one of them leads there.

    `name` is Patient, Encounter, Practitioner, RelatedPerson or Device; KeyError otherwise. The code "{def}" stands for
    the compartment's own resource itself. Types that are never in the compartment are absent.
    """
    rows = load("compartments")["compartments"][name]
    return MappingProxyType({resource_type: tuple(codes) for resource_type, codes in rows.items()})
