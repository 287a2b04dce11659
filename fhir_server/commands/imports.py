"""Imports of files with a progress bar, and what became of each row, visit or declaration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from fhir_server.access.context import AccessContext

if TYPE_CHECKING:
    from fhir_server.intake import Progress as Report
    from fhir_server.repository import Repository

SHOWN_REASONS = 10


def import_roster(console: Console, repository: Repository, path: Path, rejected: Path | None) -> int:
    """Import a roster, print its summary, and return how many rows were rejected. Raises UnreadableInput."""
    from fhir_server.intake import roster

    with _bar(console, f"Danh sách BHYT · {path.name}") as report:
        done = roster.import_roster(repository, _importer(), path, rejected_path=rejected, progress=report)
    _print_counts(
        console,
        f"{done.read} rows",
        {"created": done.created, "updated": done.updated, "unchanged": done.unchanged, "rejected": done.rejected},
    )
    if done.unread_columns:
        console.print(f"Columns that were not read: {', '.join(done.unread_columns)}", markup=False)
    _print_reasons(console, [f"{count} × {reason}" for reason, count in done.warning_reasons.most_common()])
    if done.rejected and rejected is not None:
        console.print(f"The rejected rows and why: {rejected}", markup=False)
    elif not done.rejected and rejected is not None:
        rejected.unlink(missing_ok=True)
    return done.rejected


def import_visits(console: Console, repository: Repository, paths: Sequence[Path]) -> int:
    """Import visit files, print their summary, and return how many visits were rejected."""
    from fhir_server.intake import visits

    with _bar(console, f"Lượt khám · {len(paths)} files") as report:
        done = visits.import_visits(repository, _importer(), paths, progress=report)
    counts = {
        "created": done.created,
        "updated": done.updated,
        "unchanged": done.unchanged,
        "rejected": len(done.rejected),
    }
    _print_counts(console, f"{done.visits} visits", counts)
    _print_reasons(console, [f"{count} × {remark}" for remark, count in done.remarks.most_common()])
    _print_reasons(console, [f"{Path(file).name}: {field}: {reason}" for file, _, field, reason in done.rejected])
    return len(done.rejected)


def import_self_declared(console: Console, repository: Repository, path: Path) -> int:
    """Import a file of citizens' declarations, print its summary, and return how many were rejected."""
    from fhir_server.intake import self_declared

    with _bar(console, f"Tự khai · {path.name}") as report:
        done = self_declared.import_self_declared(repository, _importer(), path, progress=report)
    counts = {"created": done.created, "existing": done.existing, "rejected": len(done.rejected)}
    _print_counts(console, f"{done.declarations} declarations", counts)
    _print_reasons(console, [f"number {position}: {reason}" for position, reason in done.rejected])
    return len(done.rejected)


def _importer() -> AccessContext:
    return AccessContext.unrestricted("import")


@contextmanager
def _bar(console: Console, title: str) -> Iterator[Report]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[done]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=1.0, done=0)

        def report(done: int, share: float) -> None:
            progress.update(task, completed=share, done=done)

        yield report
        progress.update(task, completed=1.0)


def _print_counts(console: Console, what: str, counts: dict[str, int]) -> None:
    table = Table.grid(padding=(0, 1))
    for word, count in counts.items():
        table.add_row(f"{count:>9,}", word)
    console.print(f"{what}:", markup=False)
    console.print(table)


def _print_reasons(console: Console, reasons: Sequence[str]) -> None:
    for reason in reasons[:SHOWN_REASONS]:
        console.print(f"  · {reason}", markup=False)
    if len(reasons) > SHOWN_REASONS:
        console.print(f"  · … and {len(reasons) - SHOWN_REASONS} more")
