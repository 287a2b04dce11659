"""What an export is asked to hold, as it is kept with its job.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#query-parameters
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qsl

from . import r4
from .errors import BadRequest
from .resource.summary import Subset, subset_of
from .search.intervals import date_interval
from .search.query import Pair

FORMATS = ("application/fhir+ndjson", "application/ndjson", "ndjson")
MAX_PATIENTS = 5_000
"""Patients that an export may be limited to, by `patient` or as the members of a Group."""

Level = Literal["system", "patient", "group"]

# A comma parts two queries where a type and its question mark follow; any other one is part of a search value.
_BETWEEN_QUERIES = re.compile(r",(?=[A-Za-z]{1,40}\?)")
_PATIENT = re.compile(r"(?:[^?#]{0,500}/)?Patient/([A-Za-z0-9.-]{1,64})")
_MEMBERS = frozenset(name for name, codes in r4.compartment("Patient").items() if codes) | {"Patient"}


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """An export. `types` () are all; `patients` None are all; `filters` are ("Type", "search=parameters")."""

    level: Level = "system"
    types: tuple[str, ...] = ()
    since: datetime | None = None
    filters: tuple[tuple[str, str], ...] = ()
    elements: tuple[str, ...] = ()
    patients: tuple[str, ...] | None = None

    def as_document(self) -> dict[str, Any]:
        """The order as MongoDB keeps it."""
        return asdict(self)

    @classmethod
    def of_document(cls, kept: dict[str, Any]) -> ExportOrder:
        """The order that was kept."""
        patients = kept["patients"]
        return cls(
            level=kept["level"],
            types=tuple(kept["types"]),
            since=kept["since"],
            filters=tuple((type, query) for type, query in kept["filters"]),
            elements=tuple(kept["elements"]),
            patients=None if patients is None else tuple(patients),
        )

    def wants(self, type: str) -> bool:
        """Whether resources of a type are asked for."""
        return (not self.types or type in self.types) and (self.level == "system" or type in _MEMBERS)

    def queries(self, type: str) -> list[list[Pair]]:
        """The searches of a type, one of which each resource is to match; [] when there are none."""
        return [parse_qsl(query, keep_blank_values=True) for name, query in self.filters if name == type]

    def subset(self, type: str) -> Subset | None:
        """What of each resource of a type is asked for, None for all of it. Raises BadRequest for unknown elements."""
        named = [each.rpartition(".") for each in self.elements]
        general = subset_of([("_elements", name) for of, _, name in named if not of])
        typed = subset_of([("_elements", name) for of, _, name in named if of == type], type)
        found = [each.elements for each in (general, typed) if each is not None]
        return Subset("", frozenset().union(*found)) if found else None


def check_format(name: str | None) -> None:
    """Raises BadRequest unless it is one of the names of ndjson, or none."""
    # In a query string "+" is a space, and clients forget to escape it.
    if name is not None and name.replace(" ", "+") not in FORMATS:
        raise BadRequest(f"_outputFormat can be {' or '.join(FORMATS)}, not '{name[:40]}'.", code="not-supported")


def read_types(level: Level, texts: Iterable[str], *, lenient: bool) -> tuple[str, ...]:
    """The types in `_type`. Raises BadRequest for what is none, or is never in a patient's compartment there."""
    names = tuple(dict.fromkeys(each for text in texts for each in text.split(",") if each))
    for name in names:
        if name not in r4.RESOURCE_TYPES:
            raise BadRequest(f"_type takes names of resource types; '{name[:40]}' is none.", code="value")
    kept = tuple(name for name in names if level == "system" or name in _MEMBERS)
    strange = sorted(set(names) - set(kept))
    if strange and (not kept or not lenient):
        raise BadRequest(
            f"A {strange[0]} belongs to no patient's compartment: ask for it with an $export of the whole system.",
            code="not-supported",
        )
    return kept


def read_since(text: str | None) -> datetime | None:
    """The instant in `_since`. Raises BadRequest."""
    if text is None:
        return None
    try:
        return datetime.fromtimestamp(date_interval(text.replace(" ", "+")).low / 1000, UTC)
    except (ValueError, OverflowError, BadRequest):
        raise BadRequest(
            f"_since takes an instant such as 2026-11-24T08:00:00+07:00, not '{text[:40]}'.", code="value"
        ) from None


def read_filters(texts: Iterable[str], types: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The queries in `_typeFilter`, each of the form Type?search=parameters. Raises BadRequest."""
    found = []
    for each in (query for text in texts for query in _BETWEEN_QUERIES.split(text) if query):
        type, mark, query = each.partition("?")
        if not mark or not query or type not in r4.RESOURCE_TYPES:
            raise BadRequest(
                f"_typeFilter takes searches such as Observation?status=final, not '{each[:60]}'.", code="value"
            )
        if types and type not in types:
            raise BadRequest(f"_typeFilter narrows {type}, which is not among the types in _type.", code="value")
        found.append((type, query))
    return tuple(found)


def read_patients(references: Iterable[str]) -> tuple[str, ...]:
    """The ids in references to patients. Raises BadRequest for others, and for more than MAX_PATIENTS."""
    ids: dict[str, None] = {}
    for reference in references:
        matched = _PATIENT.fullmatch(reference)
        if matched is None:
            raise BadRequest(f"'{reference[:60]}' is no reference to a patient such as Patient/123.", code="value")
        ids[matched[1]] = None
    if len(ids) > MAX_PATIENTS:
        raise BadRequest(
            f"An export can be limited to {MAX_PATIENTS:,} patients, and these are {len(ids):,}: ask in several.",
            code="too-costly",
        )
    return tuple(ids)
