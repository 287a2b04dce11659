"""The invariants of R4 as data: https://hl7.org/fhir/R4/conformance-rules.html#constraints"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from fhir_server.r4.structures import load


class Invariant(NamedTuple):
    """A rule that every value at its context must keep."""

    key: str
    severity: str
    """error or warning"""
    human: str
    expression: str
    """FHIRPath, evaluated at the value."""
    context: str
    """A type ("Period", "Element" for everything), a backbone ("Patient.contact") or an element ("Organization.telecom")."""


@cache
def invariants() -> Mapping[str, tuple[Invariant, ...]]:
    """`context -> its invariants`."""
    rows: dict[str, list[tuple[str, str, str, str]]] = load("invariants")["invariants"]
    return MappingProxyType(
        {context: tuple(Invariant(*row, context) for row in several) for context, several in rows.items()}
    )
