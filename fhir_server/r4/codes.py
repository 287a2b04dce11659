"""The codes that required bindings allow: https://hl7.org/fhir/R4/terminologies.html#required"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from fhir_server.r4.structures import load


@cache
def _value_sets() -> dict[str, dict[str, list[str]] | None]:
    rows: dict[str, dict[str, list[str]] | None] = load("value_sets")["value_sets"]
    return rows


@cache
def required_codes(value_set: str) -> frozenset[str] | None:
    """Every code of a value set that R4 binds as required, given by its URL without version.

    None when the codes cannot be listed (currencies, MIME types, UCUM units, one LOINC list). KeyError for others.
    """
    systems = _value_sets()[value_set]
    return None if systems is None else frozenset(code for codes in systems.values() for code in codes)


def required_value_sets() -> tuple[str, ...]:
    """The URLs of the value sets that R4 binds as required."""
    return tuple(_value_sets())


def code_system_of(value_set: str) -> str | None:
    """The one code system a required value set draws from; None when there are several or it cannot be listed."""
    systems = _value_sets()[value_set]
    return next(iter(systems)) if systems is not None and len(systems) == 1 else None


def value_set_content(value_set: str) -> Mapping[str, list[str]] | None:
    """`system -> codes` of a required value set; None when they cannot be listed, or R4 binds no such value set."""
    return _value_sets().get(value_set)


class DefinedSystem(NamedTuple):
    """A code system that R4 defines in full."""

    name: str
    concepts: list[list[str]]
    """`[code, display]` or `[code, display, parent code]`, parents before children."""


@cache
def _systems() -> dict[str, DefinedSystem]:
    rows = load("code_systems")["code_systems"]
    return {url: DefinedSystem(row["name"], row["concepts"]) for url, row in rows.items()}


def defined_system(url: str) -> DefinedSystem | None:
    """The code system with this URL, if a required value set draws from it."""
    return _systems().get(url)
