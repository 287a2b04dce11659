"""Imports that are not taken up in their midst, told of in the list of the desk while they go on and afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fhir_server.importing import Imports, Job

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.intake import Progress as Report
    from fhir_server.repository import Repository


class Listing:
    """How far an import is, and what it comes to: `counts` has read, created, updated, unchanged and rejected."""

    def __init__(self, imports: Imports, job: Job) -> None:
        self.counts: dict[str, int] = {}
        self._imports, self._job, self._percent = imports, job, -1

    def beside(self, report: Report) -> Report:
        """The same report, noted at each per cent as well."""

        def both(done: int, share: float) -> None:
            report(done, share)
            if int(share * 100) > self._percent:
                self._percent = int(share * 100)
                self._imports.tell(self._job, {"summary": {"read": done}, "share": share})

        return both


@contextmanager
def listed(repository: Repository, ctx: AccessContext, what: str, file: str) -> Iterator[Listing]:
    """List an import of `what` from a file. What ends it before it is through is told by its name alone."""
    imports = Imports(repository)
    # The name is of this run alone: no other takes it up, and none waits for it.
    job = imports.begin(ctx, f"{what} {secrets.token_hex(8)}", file=file)
    listing = Listing(imports, job)
    try:
        yield listing
    except BaseException as error:
        imports.fail(job, type(error).__name__)
        raise
    imports.finish(job, listing.counts)
