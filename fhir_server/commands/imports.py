"""Imports of files with a progress bar, and what became of each row, visit or declaration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from fhir_server.access import audit_record
from fhir_server.access.context import AccessContext

if TYPE_CHECKING:
    from fhir_server.intake import Progress as Report
    from fhir_server.intake.roster import RosterSource
    from fhir_server.intake.roster_whole import Whole
    from fhir_server.repository import Repository

SHOWN_REASONS = 10
VIETNAM = timezone(timedelta(hours=7))
_WAITING = "This file is being imported by another process, or was until it was killed a moment ago: waiting for it."


def import_roster(
    console: Console,
    repository: Repository,
    path: Path,
    rejected: Path | None,
    *,
    source: RosterSource | None = None,
    whole: Whole | None = None,
) -> int:
    """Import a roster, print its summary, and return how many rows were rejected. Raises UnreadableInput."""
    from fhir_server.intake import roster

    with _bar(console, f"Danh sách BHYT · {path.name}") as report:
        done = roster.import_roster(
            repository,
            _importer(),
            path,
            rejected_path=rejected,
            progress=report,
            source=source,
            whole=whole,
            waits=_once(lambda: console.print(_WAITING, markup=False)),
        )
    counts = {"created": done.created, "updated": done.updated, "unchanged": done.unchanged, "rejected": done.rejected}
    _print_counts(console, f"{done.read} rows", counts | ({"cards ended": done.ended} if whole else {}))
    if done.continued:
        console.print(f"{done.continued:,} of them were done by an import that had been interrupted.", markup=False)
    if whole and done.ended:
        console.print(f"The cards that were ended: {whole.listed}", markup=False)
    if done.unread_columns:
        console.print(f"Columns that were not read: {', '.join(done.unread_columns)}", markup=False)
    _print_reasons(console, [f"{count} × {reason}" for reason, count in done.warning_reasons.most_common()])
    if done.rejected and rejected is not None:
        console.print(f"The rejected rows and why: {rejected}", markup=False)
    elif not done.rejected and rejected is not None:
        rejected.unlink(missing_ok=True)
    return done.rejected


def whole_list(path: Path, of: str, as_of: datetime | None, confirmed: bool) -> Whole:
    """What the file is the whole list of; its day is that of the file unless one is given. Raises UnreadableInput."""
    from fhir_server.intake.roster_whole import Whole

    changed = datetime.fromtimestamp(path.stat().st_mtime, tz=VIETNAM)
    return Whole(of, (as_of or changed).date(), confirmed, path.with_name(f"{path.name}.ended.csv"))


def import_residents(console: Console, repository: Repository, path: Path) -> int:
    """Receive the lines of a file, print what became of them, and return how many could not be taken."""
    from fhir_server.commands.listed_imports import listed
    from fhir_server.intake import residents

    with listed(repository, _importer(), "residents", path.name) as listing:
        receipts = residents.import_changes(repository, _importer(), path)
        statuses = [receipt.status for _, receipt in receipts]
        counts = {
            name: statuses.count(name) for name in ("applied", "waiting", "duplicate", "refused", "conflict", "invalid")
        }
        lost = counts["refused"] + counts["conflict"] + counts["invalid"]
        listing.counts = {"read": len(receipts), "updated": counts["applied"], "rejected": lost}
    _print_counts(console, f"{len(receipts)} messages", counts)
    failed = [(number, it) for number, it in receipts if it.status in ("refused", "conflict", "invalid")]
    waiting = [(number, it) for number, it in receipts if it.status == "waiting"]
    places = (
        (number, it.reason or f"{', '.join(it.errors)}: {next(iter(it.errors.values()))[0]}")
        for number, it in [*failed, *waiting]
    )
    _print_reasons(console, [f"line {number}: {reason}" for number, reason in places])
    return len(failed)


def import_visits(console: Console, repository: Repository, paths: Sequence[Path]) -> int:
    """Import visit files, print their summary, and return how many visits were rejected."""
    from fhir_server.commands.listed_imports import listed
    from fhir_server.intake import visits

    names = paths[0].name + (f" + {len(paths) - 1}" if len(paths) > 1 else "")
    with listed(repository, _importer(), "visits", names) as listing:
        with _bar(console, f"Lượt khám · {len(paths)} files") as report:
            done = visits.import_visits(repository, _importer(), paths, progress=listing.beside(report))
        counts = {
            "created": done.created,
            "updated": done.updated,
            "unchanged": done.unchanged,
            "rejected": len(done.rejected),
        }
        listing.counts = {"read": done.visits} | counts
    _print_counts(console, f"{done.visits} visits", counts)
    _print_reasons(console, [f"{count} × {remark}" for remark, count in done.remarks.most_common()])
    _print_reasons(console, [f"{Path(file).name}: {field}: {reason}" for file, _, field, reason in done.rejected])
    return len(done.rejected)


def import_self_declared(console: Console, repository: Repository, path: Path) -> int:
    """Import a file of citizens' declarations, print its summary, and return how many were rejected."""
    from fhir_server.commands.listed_imports import listed
    from fhir_server.intake import self_declared

    with listed(repository, _importer(), "self-declared", path.name) as listing:
        with _bar(console, f"Tự khai · {path.name}") as report:
            done = self_declared.import_self_declared(repository, _importer(), path, progress=listing.beside(report))
        counts = {"created": done.created, "existing": done.existing, "rejected": len(done.rejected)}
        listing.counts = {"read": done.declarations, "unchanged": done.existing} | counts
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
        TextColumn("{task.fields[done]:,} ({task.fields[rate]:,.0f}/s)"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=1.0, done=0, rate=0.0)
        first: tuple[float, int] | None = None

        def report(done: int, share: float) -> None:
            nonlocal first
            now = progress.get_time()
            # The first report may stand for all that an interrupted import had done.
            first = first or (now, done)
            rate = (done - first[1]) / max(now - first[0], 1e-9)
            progress.update(task, completed=share, done=done, rate=rate)

        yield report
        progress.update(task, completed=1.0)


def _print_counts(console: Console, what: str, counts: dict[str, int]) -> None:
    """Tell what an import came to: whoever reads it here, and the audit trail."""
    audit_record.counted(counts)
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


def _once(call: Callable[[], None]) -> Callable[[], None]:
    left = [call]
    return lambda: left.pop()() if left else None
