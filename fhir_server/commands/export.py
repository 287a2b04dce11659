"""Export of the records into ndjson files of a directory, by the engine of $export: a backup, or data for analytics.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from gzip import compress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from rich.console import Console

from fhir_server.access import audit_record
from fhir_server.commands import CommandFailed

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.exporting import Exports, Job
    from fhir_server.repository import Repository

POLL_SECONDS = 0.5
LEVEL = 6
MANIFEST = "manifest.json"


def export(
    console: Console,
    repository: Repository,
    caller: AccessContext,
    directory: Path,
    *,
    types: Sequence[str],
    since: str | None,
    gzip: bool,
) -> int:
    """Write the records into an empty directory, beside a manifest, and return how many. Raises CommandFailed."""
    from fhir_server.export_order import ExportOrder, read_since, read_types

    order = ExportOrder(types=read_types("system", types, lenient=False), since=read_since(since))
    _make_ready(directory)
    exports, began = repository.exports, time.monotonic()
    job_id = exports.start(caller, order, request="fhir-server export")
    try:
        job = _finished(exports, caller, job_id)
        for file in job.result["files"]:
            pieces = exports.file(caller, job_id, file["name"])
            with _new_file(directory / (file["name"] + ".gz" * gzip)) as written:
                written.writelines(_zipped(pieces) if gzip else pieces)
        _write_manifest(directory, job, gzip=gzip)
    finally:
        exports.remove(caller, job_id)
    lines: int = sum(file["lines"] for file in job.result["files"])
    audit_record.counted({file["name"]: file["lines"] for file in job.result["files"]})
    seconds = time.monotonic() - began
    console.print(f"{lines:,} resources in {len(job.result['files'])} files, {lines / seconds:,.0f}/s", markup=False)
    return lines


def _make_ready(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = any(directory.iterdir())
    except OSError as error:
        raise CommandFailed(f"{directory} cannot be written to ({error.strerror}).") from error
    if taken:
        raise CommandFailed(f"{directory} is not empty: name a directory that is, or a new one.")


def _finished(exports: Exports, caller: AccessContext, job_id: str) -> Job:
    """The job once it has ended, whether this process works on it or one of a running server does."""
    while (job := exports.status(caller, job_id)).state != "done":
        if job.state == "failed":
            raise CommandFailed(job.error)
        if not exports.work():
            time.sleep(POLL_SECONDS)
    return job


def _new_file(path: Path) -> BinaryIO:
    # Health records: for nobody but who asked for them.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _zipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Each piece as a gzip member; one behind the other they are a gzip file (RFC 1952, 2.2)."""
    return (compress(piece, LEVEL) for piece in pieces)


def _write_manifest(directory: Path, job: Job, *, gzip: bool) -> None:
    """When the records stood so, and how many of each type there are, as the manifest of a bulk export says it."""
    from fhir_server.exporting import manifest

    with _new_file(directory / MANIFEST) as written:
        written.write(manifest(job, lambda name: name + ".gz" * gzip, requires_token=False))
