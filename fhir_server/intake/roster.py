"""Imports a health-insurance roster file: people found or made, cards added, nothing written that is already so.

Rows go in batches, each one transaction together with how far the import has come: one that was killed goes on behind its
last batch when it is started again. A row that cannot be stored goes to the rejection file and stops nothing.
https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.errors import Conflict, FhirError, PreconditionFailed, Unavailable
from fhir_server.importing import Imports, Job, Step
from fhir_server.intake import Progress
from fhir_server.intake.people import known_people, maybe_known
from fhir_server.intake.rejections import RejectionFile, element_of
from fhir_server.intake.roster_batch import Person, plan, write
from fhir_server.intake.roster_order import RosterOrder, file_hash
from fhir_server.intake.roster_preparing import Preparing, ReadyRow, Work
from fhir_server.intake.roster_summary import RosterSummary
from fhir_server.intake.roster_whole import Whole
from fhir_server.intake.tables import TextRow
from fhir_server.repository import Repository
from mappings.problems import Problem, problem
from mappings.roster import Refused, RosterSource

__all__ = ["RosterSource", "RosterSummary", "import_roster"]

BATCH_ROWS = 1_000
# A batch whose people others change at that moment is planned anew so often.
_TRIES = 5


def import_roster(
    repository: Repository,
    ctx: AccessContext,
    path: Path,
    *,
    rejected_path: Path | None = None,
    progress: Progress | None = None,
    source: RosterSource | None = None,
    whole: Whole | None = None,
    imports: Imports | None = None,
    named: str = "",
    waits: Callable[[], None] = lambda: None,
    batch_rows: int = BATCH_ROWS,
) -> RosterSummary:
    """Import a file; rejected rows go to `rejected_path`. Importing the same file again writes nothing.

    `named` is what people know the file by, else it is its name. `whole`: the file is the whole list of a province or facility, so that a card it does not hold is ended. `waits` is
    called while another process imports the same file. Raises UnreadableInput when it is not a roster at all (nothing
    has been written then), TooManyEnded, and Unavailable when the store is away.
    """
    source = source or RosterSource()
    imports = imports or Imports(repository)
    with RosterOrder(path) as order:
        coding = sorted(source.sex.items())
        name = file_hash(path, str(coding), source.sent_on, str(batch_rows))
        job = imports.begin(ctx, f"roster {name}", file=named or path.name, waits=waits)
        with imports.keeping(job):
            running = _Import(repository, imports, job, order, Work(ctx, order.layout, source), batch_rows)
            summary = running.run(rejected_path, progress)
            if whole:
                summary.ended = whole.end_vanished(repository, ctx, order)
            imports.finish(job, summary.as_document())
    return summary


class _Import:
    """One run of the import of a file."""

    def __init__(
        self,
        repository: Repository,
        imports: Imports,
        job: Job,
        order: RosterOrder,
        work: Work,
        batch_rows: int,
    ) -> None:
        self.repository = repository
        self.work = work
        self.imports = imports
        self.job = job
        self.order = order
        self.batch_rows = batch_rows
        before: dict[str, Any] = job.progress
        self.batches: int = before.get("batches", 0)
        self.summary = RosterSummary(unread_columns=order.layout.unknown)
        if before:
            self.summary = RosterSummary.from_document(before["summary"])
            self.summary.continued = self.summary.read
        self._kept: int = before.get("rejected_bytes", 0)

    def run(self, rejected_path: Path | None, progress: Progress | None) -> RosterSummary:
        """All batches behind those that were done."""
        left = self.order.rows - self.summary.read
        with (
            RejectionFile(rejected_path, kept=self._kept) as rejections,
            Preparing(self.repository, self.work, left) as preparing,
        ):
            batches = islice(self.order.batches(self.batch_rows), self.batches, None)
            for batch, ready in preparing.batches(batches):
                known = self._store(rejections, batch, ready)
                # Where most rows are of people who are known, it is idle work to make them ready as new ones.
                preparing.encoding = known * 2 <= len(ready)
                if progress:
                    progress(self.summary.read, self.summary.read / self.order.rows)
        return self.summary

    def _store(self, rejections: RejectionFile, rows: list[TextRow], ready: Sequence[ReadyRow | Refused]) -> int:
        """Write a batch, and return how many of its numbers led to somebody."""
        begin = rejections.size()
        for left in reversed(range(_TRIES)):
            batch = _Batch(self.repository, self.work, rows, ready, self.summary.copy())
            try:
                self._keep(batch, rejections, len(rows))
                break
            except (Conflict, PreconditionFailed, FhirError) as error:
                rejections.cut(begin)
                if isinstance(error, Unavailable):
                    raise
                if isinstance(error, Conflict | PreconditionFailed) and left:
                    continue
                # Something is refused: person by person, to find out whose it is.
                batch = _Batch(self.repository, self.work, rows, ready, self.summary.copy())
                batch.write_changed()
                self._keep(batch, rejections, len(rows))
                break
        self.summary = batch.summary
        self.batches += 1
        return batch.known

    def _keep(self, batch: _Batch, rejections: RejectionFile, read: int) -> None:
        batch.count(read)
        for number, problems in batch.rejected:
            rejections.add(number, problems)
        progress = {
            "batches": self.batches + 1,
            "summary": batch.summary.as_document(),
            "rejected_bytes": rejections.size(),
        }
        self.imports.step(self.work.ctx, self.job, batch.step(), progress)


class _Batch:
    """One batch as it is to be written: what is new and ready, who has changed, what is rejected."""

    def __init__(
        self,
        repository: Repository,
        work: Work,
        read: list[TextRow],
        ready: Sequence[ReadyRow | Refused],
        summary: RosterSummary,
    ) -> None:
        self.repository = repository
        self.ctx = ctx = work.ctx
        self.summary = summary
        self.rejected: list[tuple[int, Sequence[Problem]]] = []
        rows = []
        for row in ready:
            if isinstance(row, Refused):
                self.rejected.append((row.number, row.problems))
            else:
                rows.append(row)
        found = known_people(repository, ctx, {key for row in rows for key in row.keys})
        known = {key for key, people in found.items() if people}
        self.known = sum(any(key in known for key in row.keys) for row in rows)
        self.absent = {
            f"{key[0]}|{key[1]}": claim
            for row in rows
            for key, claim in zip(row.keys, row.claims, strict=True)
            if key not in known
        }
        fresh = [row for row in rows if row.encoded and not any(key in known for key in row.keys)]
        alike = maybe_known(repository, ctx, [(row.keys, row.likenesses) for row in fresh])
        self.new = [row for row, is_alike in zip(fresh, alike, strict=True) if not is_alike]
        new = {row.number for row in self.new}
        cells = {row.line: row.cells for row in read}
        mapped = [row.mapped(work, cells[row.number]) for row in rows if row.number not in new]
        self.people, doubts = plan(repository, ctx, mapped, found)
        self.rejected += [(row.number, (doubt,)) for row, doubt in doubts]
        self.changed: list[tuple[Person, list[dict[str, Any]]]] = []
        self.written: list[Person] = []
        for person in self.people:
            entries = person.entries()
            if entries:
                self.changed.append((person, entries))
            else:
                self.summary.unchanged += len(person.rows)
                self._remark(person)

    def write_changed(self) -> None:
        """Write those who have changed one by one, and keep of the step what is ready."""
        for person, error in write(self.repository, self.ctx, self.changed):
            if error is None:
                self.written.append(person)
            else:
                self.rejected += [(row.number, _server_reasons(error)) for row in person.rows]
        self.changed = []
        ready = {f"{key[0]}|{key[1]}" for row in self.new for key in row.keys}
        self.absent = {number: claim for number, claim in self.absent.items() if number in ready}

    def step(self) -> Step:
        """What the door is to write."""
        entries = [entry for _, entries in self.changed for entry in entries]
        return Step(entries, [each for row in self.new for each in row.encoded], self.absent)

    def count(self, read: int) -> None:
        """Add to the summary what becomes of the rows when the step is kept."""
        self.summary.read += read
        self.summary.rejected += len(self.rejected)
        self.summary.created += len(self.new)
        self.summary.remark([reason for row in self.new for reason in row.warnings])
        for person in [*self.written, *(person for person, _ in self.changed)]:
            new = person.stored is None
            self.summary.created += new
            self.summary.updated += len(person.rows) - new
            self._remark(person)
        self.rejected.sort(key=lambda each: each[0])

    def _remark(self, person: Person) -> None:
        self.summary.remark([warning.reason_vi for warning in person.warnings])


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
