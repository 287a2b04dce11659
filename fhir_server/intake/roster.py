"""Imports a health-insurance roster file: people found or made, cards added, nothing written that is already so.

Rows go in batches, each one transaction. A row that cannot be stored goes to the rejection file and stops nothing.
https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from fhir_server.access.context import AccessContext
from fhir_server.errors import FhirError
from fhir_server.intake import Progress
from fhir_server.intake.rejections import RejectionFile, element_of
from fhir_server.intake.roster_batch import Person, plan, write
from fhir_server.intake.tables import TextRow, read_rows
from fhir_server.repository import Repository
from mappings.problems import Problem, UnreadableInput, problem
from mappings.roster import Layout, Refused, RosterRow, RosterSource, map_row

BATCH_ROWS = 200
# Exports put a title above the header row.
_HEADER_WITHIN_ROWS = 20


@dataclass(slots=True)
class RosterSummary:
    """What became of the rows: each one read is created, updated, unchanged or rejected.

    `warnings` counts remarks on accepted rows, `warning_reasons` by reason; `unread_columns` are headers nobody knows.
    """

    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    warnings: int = 0
    warning_reasons: Counter[str] = field(default_factory=Counter)
    unread_columns: tuple[str, ...] = ()


def import_roster(
    repository: Repository,
    ctx: AccessContext,
    path: Path,
    *,
    rejected_path: Path | None = None,
    progress: Progress | None = None,
    source: RosterSource | None = None,
) -> RosterSummary:
    """Import a CSV file; rejected rows go to `rejected_path`. Importing the same file again writes nothing.

    Raises UnreadableInput when it is not a roster at all (nothing has been written then, unless a later line is not
    text), and Unavailable when the store is away.
    """
    text_rows = read_rows(path)
    layout = _find_header(text_rows)
    summary = RosterSummary(unread_columns=layout.unknown)
    with RejectionFile(rejected_path) as rejections:
        while batch := list(islice(text_rows, BATCH_ROWS)):
            rows = []
            for text_row in batch:
                outcome = map_row(layout, text_row.line, text_row.cells, source)
                if isinstance(outcome, Refused):
                    _reject(summary, rejections, outcome.number, outcome.problems)
                else:
                    rows.append(outcome)
            _store(repository, ctx, rows, summary, rejections)
            summary.read += len(batch)
            if progress:
                progress(summary.read, batch[-1].share)
    return summary


def _find_header(rows: Iterator[TextRow]) -> Layout:
    failure = UnreadableInput("Tệp không có dòng nào", "the file has no rows")
    for row in islice(rows, _HEADER_WITHIN_ROWS):
        try:
            return Layout.from_header(row.cells)
        except UnreadableInput as error:
            failure = error
    raise failure


def _reject(summary: RosterSummary, rejections: RejectionFile, row: int, problems: Sequence[Problem]) -> None:
    summary.rejected += 1
    rejections.add(row, problems)


def _store(
    repository: Repository, ctx: AccessContext, rows: list[RosterRow], summary: RosterSummary, rejections: RejectionFile
) -> None:
    people, doubts = plan(repository, ctx, rows)
    for row, doubt in doubts:
        _reject(summary, rejections, row.number, (doubt,))
    changed = []
    for person in people:
        entries = person.entries()
        if entries:
            changed.append((person, entries))
        else:
            summary.unchanged += len(person.rows)
            _count_warnings(summary, person)
    for person, error in write(repository, ctx, changed):
        if error:
            for row in person.rows:
                _reject(summary, rejections, row.number, _server_reasons(error))
            continue
        new = person.stored is None
        summary.created += new
        summary.updated += len(person.rows) - new
        _count_warnings(summary, person)


def _server_reasons(error: FhirError) -> list[Problem]:
    return [
        problem(
            ", ".join(element_of(expression) for expression in issue.expression),
            "",
            f"Máy chủ không nhận hồ sơ: {issue.diagnostics}",
            issue.diagnostics,
        )
        for issue in error.issues
    ]


def _count_warnings(summary: RosterSummary, person: Person) -> None:
    for warning in person.warnings:
        summary.warnings += 1
        summary.warning_reasons[warning.reason_vi] += 1
