"""Takes in clinic visits in the XML of QĐ 130, from files and from the gateway.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fhir_server.access.context import AccessContext
from fhir_server.errors import FhirError, Unavailable
from fhir_server.intake import Progress
from fhir_server.intake.visit_outcomes import (
    VisitError,
    VisitOutcome,
    errors_of,
    refused_by_the_server,
)
from fhir_server.intake.visit_storing import VisitStoring
from fhir_server.intake.visit_withdrawal import cancel_visit, restore_visit
from fhir_server.repository import Repository
from mappings.giamdinhhs import MAX_BYTES, Visit, read_envelope
from mappings.problems import UnreadableInput
from mappings.visits import refusals

__all__ = ["VisitError", "VisitOutcome", "VisitsSummary", "cancel_visit", "import_visits", "receive", "restore_visit"]


@dataclass(slots=True)
class VisitsSummary:
    """What became of the visits: each is created, updated, unchanged or rejected.

    `rejected` holds (file, MA_LK, field, reason) with the reason in Vietnamese and English; `remarks` counts what was
    doubtful about accepted visits, by field and reason.
    """

    files: int = 0
    visits: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: list[tuple[str, str, str, str]] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)


def receive(repository: Repository, ctx: AccessContext, xml: bytes) -> list[VisitOutcome]:
    """Store the visits of one GIAMDINHHS document; one outcome for each HOSO, in the document's order.

    A visit is known by its facility and MA_LK: sent again it replaces the earlier sending, or changes nothing. One that
    cannot be stored is rejected and stops no other. Raises UnreadableInput (`reason_vi`, `reason_en`) when the document
    is no envelope at all, and Unavailable when the store is: nothing is lost by calling again with the same document.
    """
    envelope = read_envelope(xml)
    storing = VisitStoring(repository, ctx, envelope.visits)
    refused = [
        (it.record, VisitOutcome(it.ma_lk, it.facility, "rejected", errors_of(it.problems, it.record)))
        for it in envelope.refused
    ]
    stored = [(visit.record, _received(storing, visit)) for visit in envelope.visits]
    return [outcome for _, outcome in sorted(refused + stored, key=lambda numbered: numbered[0])]


def _received(storing: VisitStoring, visit: Visit) -> VisitOutcome:
    outcome = VisitOutcome(visit.ma_lk, visit.facility, "rejected")
    if problems := refusals(visit):
        outcome.errors = errors_of(problems, visit.record)
        return outcome
    try:
        storing.store(visit, outcome)
    except Unavailable:
        raise
    except FhirError as error:
        outcome.errors = refused_by_the_server(error)
    return outcome


def import_visits(
    repository: Repository, ctx: AccessContext, paths: Sequence[Path], *, progress: Progress | None = None
) -> VisitsSummary:
    """Import GIAMDINHHS files as `receive` does. A file or visit that cannot be read is rejected and stops nothing."""
    summary = VisitsSummary()
    for position, path in enumerate(paths, start=1):
        summary.files += 1
        try:
            outcomes = receive(repository, ctx, _bounded(path))
        except UnreadableInput as error:
            summary.rejected.append((path.name, "", "", str(error)))
            continue
        for outcome in outcomes:
            _count(summary, path.name, outcome)
        if progress:
            progress(summary.visits, position / len(paths))
    return summary


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _count(summary: VisitsSummary, file: str, outcome: VisitOutcome) -> None:
    summary.visits += 1
    if outcome.outcome == "rejected":
        summary.rejected += [
            (file, outcome.ma_lk, _where(it), f"{it.message_vi} / {it.message_en}") for it in outcome.errors
        ]
        return
    setattr(summary, outcome.outcome, getattr(summary, outcome.outcome) + 1)
    summary.remarks.update(f"{_where(it)}: {it.message_vi}" for it in outcome.warnings)


def _where(found: VisitError) -> str:
    return "/".join(part for part in (found.table, found.field) if part)
