"""What became of a visit that was sent in: what the sender is told, place by place, in two languages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from fhir_server.errors import FhirError
from fhir_server.intake.rejections import element_of
from mappings.problems import Problem
from mappings.qd130.places import place_of


@dataclass(frozen=True, slots=True)
class VisitError:
    """One finding. `severity` is error (the visit was not stored) or warning (it was, without this or in doubt).

    `table` (XML4), `row` (from 1; 0 where the finding is about no single row), `field` (GIA_TRI) and `xpath` say where,
    each empty where the finding has no such place; `code` is for programs: invalid, refused, cancelled.
    """

    severity: Literal["error", "warning"]
    code: str
    table: str
    row: int
    field: str
    xpath: str
    message_vi: str
    message_en: str


@dataclass(slots=True)
class VisitOutcome:
    """One visit of a message. `outcome`: created, updated, unchanged, or rejected with at least one error.

    `ma_lk` and `facility` are empty where not even they could be read; `encounter` is the reference of what is stored.
    """

    ma_lk: str
    facility: str
    outcome: Literal["created", "updated", "unchanged", "rejected"]
    errors: list[VisitError] = field(default_factory=list)
    warnings: list[VisitError] = field(default_factory=list)
    encounter: str = ""


def errors_of(problems: Iterable[Problem], record: int, code: str = "invalid") -> list[VisitError]:
    """The problems of the record-th HOSO as errors."""
    return [_finding("error", code, found, record) for found in problems]


def warnings_of(problems: Iterable[Problem], record: int) -> list[VisitError]:
    """The problems of the record-th HOSO as warnings."""
    return [_finding("warning", "invalid", found, record) for found in problems]


def refused_by_the_server(error: FhirError) -> list[VisitError]:
    """What the repository has against a visit, as errors that name the FHIR element."""
    return [
        VisitError(
            "error",
            "refused",
            "",
            0,
            ", ".join(map(element_of, issue.expression)),
            "",
            f"Máy chủ không nhận: {issue.diagnostics}",
            f"not accepted: {issue.diagnostics}",
        )
        for issue in error.issues
    ]


def _finding(severity: Literal["error", "warning"], code: str, found: Problem, record: int) -> VisitError:
    place = place_of(found.field, record)
    return VisitError(
        severity, code, place.table, place.row, place.field, place.xpath, found.reason_vi, found.reason_en
    )
