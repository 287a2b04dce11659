"""MongoDB filters as search builds them, and what building them depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

Filter = dict[str, Any]


LAST = "\U0010ffff"  # sorts after every continuation of a token


NOTHING: Filter = {"_id": {"$in": []}}


class Terminology(Protocol):
    """The codes a search needs to know of. Raises FhirError for an unknown or too large value set or code system."""

    def codes_in(self, value_set_url: str) -> list[tuple[str, str]]:
        """(system, code) of everything in a value set."""

    def system(self, url: str) -> Any:
        """A code system, or None when it is not held."""

    def below(self, system: str, code: str) -> list[str]:
        """The code and all that are subsumed by it."""

    def above(self, system: str, code: str) -> list[str]:
        """The code and all that subsume it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What turning clauses into filters depends on beside the clauses."""

    base_url: str
    now: datetime
    edges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Interval field -> bounds on its `low` that the position in the result adds."""
    units: Callable[[str], frozenset[str]] = lambda name: frozenset()
    """Range field, without its `r.` -> the UCUM codes it is stored in."""
    terminology: Terminology | None = None
    """What :in, :not-in, :above and :below ask; without it these modifiers are refused."""


def any_of(filters: list[Filter]) -> Filter:
    """The filter that holds where any of these does."""
    return filters[0] if len(filters) == 1 else {"$or": filters}


def all_of(filters: list[Filter]) -> Filter:
    """The filter that holds where all of these do."""
    if not filters:
        return {}
    return filters[0] if len(filters) == 1 else {"$and": filters}
