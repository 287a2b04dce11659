"""Imports clinic visits in the XML of QĐ 130: finds or makes the person, then writes the visit as one transaction.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.errors import FhirError, Unavailable
from fhir_server.intake import Progress
from fhir_server.intake.people import known_people, known_resources, resource_of
from fhir_server.intake.rejections import element_of
from fhir_server.repository import Repository, Stored
from mappings import systems
from mappings.giamdinhhs import MAX_BYTES, Visit, read_envelope
from mappings.identity import Key, match
from mappings.person import urn
from mappings.problems import Problem, UnreadableInput
from mappings.resend import changes
from mappings.visits import mapped, patient_from_visit, patient_keys, refusals

Resource = dict[str, Any]
# What a visit writes besides its Encounter, and what a resend may therefore withdraw.
_PARTS = ("Condition", "Observation", "ClinicalImpression")


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


def import_visits(
    repository: Repository, ctx: AccessContext, paths: Sequence[Path], *, progress: Progress | None = None
) -> VisitsSummary:
    """Import GIAMDINHHS files. A file or visit that cannot be read is rejected and stops nothing.

    A visit is known by its facility and MA_LK: sent again it replaces the earlier sending, or changes nothing.
    """
    summary = VisitsSummary()
    for position, path in enumerate(paths, start=1):
        summary.files += 1
        try:
            envelope = read_envelope(_bounded(path))
        except UnreadableInput as error:
            summary.rejected.append((path.name, "", "", str(error)))
            continue
        for refused in envelope.refused:
            summary.visits += 1
            _reject(summary, path, refused.ma_lk, refused.problems)
        sender = _FileImport(repository, ctx, envelope.visits)
        for visit in envelope.visits:
            summary.visits += 1
            _import(sender, visit, path, summary)
        if progress:
            progress(summary.visits, position / len(paths))
    return summary


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _import(sender: _FileImport, visit: Visit, path: Path, summary: VisitsSummary) -> None:
    problems = refusals(visit)
    if problems:
        _reject(summary, path, visit.ma_lk, problems)
        return
    try:
        outcome, remarks = sender.store(visit)
    except Unavailable:
        raise
    except FhirError as error:
        for issue in error.issues:
            reason = f"Máy chủ không nhận / not accepted: {issue.diagnostics}"
            summary.rejected.append((path.name, visit.ma_lk, ", ".join(map(element_of, issue.expression)), reason))
        return
    if outcome == "rejected":
        _reject(summary, path, visit.ma_lk, remarks)
        return
    setattr(summary, outcome, getattr(summary, outcome) + 1)
    summary.remarks.update(f"{remark.field}: {remark.reason_vi}" for remark in remarks)


def _reject(summary: VisitsSummary, path: Path, ma_lk: str, problems: Iterable[Problem]) -> None:
    for found in problems:
        summary.rejected.append((path.name, ma_lk, found.field, f"{found.reason_vi} / {found.reason_en}"))


class _FileImport:
    """The visits of one file on their way into the repository, with what is known about their people looked up once."""

    def __init__(self, repository: Repository, ctx: AccessContext, visits: Sequence[Visit]) -> None:
        self._repository = repository
        self._ctx = ctx
        people = [patient_from_visit(visit)[0] for visit in visits]
        self._people = known_people(repository, ctx, {key for patient in people for key in patient_keys(patient)})
        keys = {_visit_key(visit) for visit in visits}
        self._encounters: dict[Key, list[Stored]] = known_resources(repository, ctx, "Encounter", keys)

    def store(self, visit: Visit) -> tuple[str, list[Problem]]:
        """(created, updated, unchanged or rejected; remarks). Raises FhirError when the repository refuses it."""
        encounter = next((resource_of(stored) for stored in self._encounters.get(_visit_key(visit), ())), None)
        described, remarks = patient_from_visit(visit)
        found = match(described, patient_keys(described), self._people, by_name=False)
        if found.doubt:
            return "rejected", [found.doubt]
        entries: list[Resource] = []
        if found.patient is not None:
            reference = f"Patient/{found.patient['id']}"
        elif encounter is not None:
            reference = encounter["subject"]["reference"]
        else:
            reference = urn(f"{systems.visit_system(visit.facility)}/patient", visit.ma_lk)
            request = {"method": "POST", "url": "Patient"}
            entries.append({"fullUrl": reference, "resource": described, "request": request})
        bundle, more = mapped(visit, reference)
        entries += changes(bundle, [encounter, *self._parts_of(encounter)]) if encounter else bundle["entry"]
        if entries:
            self._write(entries, visit)
        outcome = "created" if encounter is None else "updated" if entries else "unchanged"
        return outcome, remarks + more

    def _parts_of(self, encounter: Resource) -> Iterator[Resource]:
        for part in _PARTS:
            query: list[tuple[str, str]] | None = [("encounter", f"Encounter/{encounter['id']}"), ("_count", "500")]
            while query:
                page = self._repository.search(self._ctx, part, query)
                for _, stored in page.entries:
                    resource = resource_of(stored)
                    # Others may have written about this visit too; only what came with it is its own to withdraw.
                    if resource.get("identifier", [{}])[0].get("system", "").startswith(systems.VISIT_ROW_BASE):
                        yield resource
                query = page.next

    def _write(self, entries: list[Resource], visit: Visit) -> None:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        results = self._repository.transaction(self._ctx, bundle)
        # A file may hold the same person, or the same visit, again.
        for entry, result in zip(entries, results, strict=True):
            if result.stored is None:
                continue
            if entry["resource"]["resourceType"] == "Encounter":
                self._encounters[_visit_key(visit)] = [result.stored]
            elif entry["resource"]["resourceType"] == "Patient":
                patient = resource_of(result.stored)
                for key in patient_keys(patient):
                    self._people.setdefault(key, []).append(patient)


def _visit_key(visit: Visit) -> Key:
    return systems.visit_system(visit.facility), visit.ma_lk
