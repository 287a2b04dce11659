"""MongoDB filters as search builds them, and what building them depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

Filter = dict[str, Any]


Owner = str | Filter | None
"""What a caller bound to a patient may see: the condition on the owner of a record, None for everything."""

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


class Hierarchies(Protocol):
    """What stands above and below a record in a hierarchy of its type. Raises FhirError where that is too much."""

    def related(self, type: str, reference: str, direction: str) -> list[str]:
        """The reference and those of all records that it is `above` or `below` of, as `Type/id`."""


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
    """What :in, :not-in, :above and :below of codes ask; without it these modifiers are refused."""
    hierarchies: Hierarchies | None = None
    """What :above and :below of references ask; without it these modifiers are refused."""
    merged: Callable[[list[str]], list[str]] = lambda ids: []
    """The Patients whose records are found by asking for these: those that were merged into them."""


def any_of(filters: list[Filter]) -> Filter:
    """The filter that holds where any of these does."""
    return filters[0] if len(filters) == 1 else {"$or": filters}


def all_of(filters: list[Filter]) -> Filter:
    """The filter that holds where all of these do."""
    if not filters:
        return {}
    return filters[0] if len(filters) == 1 else {"$and": filters}
