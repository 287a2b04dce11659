"""Roster files at the desk: hand one in, see how far it is, and what was not taken and why."""

from __future__ import annotations

import csv
import io
from pathlib import PurePath
from typing import TYPE_CHECKING

from flask import Response, request, url_for

from fhir_server.access import audit_record
from fhir_server.desk.paging import numbered, page_number
from fhir_server.desk.uploads import Uploads
from fhir_server.desk.visiting import Visiting, see
from fhir_server.importing import Imports, Job

if TYPE_CHECKING:
    from fhir_server.config import Config
    from fhir_server.repository import Repository

SHOWN, ROWS_SHOWN = 30, 200
SUFFIXES = (".csv", ".xlsx")


class ImportPages(Visiting):
    """What those do who bring in lists."""

    def __init__(self, repository: Repository, config: Config) -> None:
        super().__init__(repository, config)
        self.uploads = Uploads(repository, config)
        self.jobs = Imports(repository)

    def imports(self) -> Response:
        """The newest imports, and the field for a file."""
        uploads, following = numbered(self.uploads.newest(), request.args.get("page", ""), SHOWN)
        jobs, further = self._jobs(page_number(request.args.get("jobs", "")))
        working = any(each.state in ("waiting", "running") and not each.stopped for each in uploads)
        return self.page(
            "desk/imports.html", uploads=uploads, working=working, following=following, jobs=jobs, further=further
        )

    def _jobs(self, number: int) -> tuple[list[Job], int]:
        """A page of what was imported on the command line, and the number of the next one or 0."""
        jobs = self.jobs.newest((number - 1) * SHOWN, SHOWN + 1)
        elsewhere = [each for each in jobs[:SHOWN] if not each.actor.startswith("staff:")]
        return elsewhere, number + 1 if len(jobs) > SHOWN else 0

    def take(self) -> Response:
        """Begin to import a file, or go on with one whose process ended."""
        audit_record.happened("import", self.ctx)
        again = self.uploads.get(request.form.get("again", ""))
        if again is not None and again.stopped:
            self.uploads.begin(again, self.ctx)
            return see(url_for("desk.imports"))
        file = request.files.get("file")
        name = PurePath((file.filename or "").replace("\\", "/")).name[:100] if file is not None else ""
        if file is None or PurePath(name).suffix.lower() not in SUFFIXES:
            return self.refuse("desk.refused.file")
        self.uploads.take(name, file.read(), self.ctx)
        return see(url_for("desk.imports"))

    def rejected(self, id: str) -> Response:
        """The first rejected rows with the reasons."""
        upload = self.uploads.get(id)
        if upload is None:
            return self.missing()
        path = self.uploads.rejected(upload)
        text = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
        rows = list(csv.reader(io.StringIO(text)))
        return self.page(
            "desk/rejected.html", upload=upload, header=rows[:1], rows=rows[1 : ROWS_SHOWN + 1], total=len(rows[1:])
        )

    def download(self, id: str) -> Response:
        """All rejected rows, as a CSV that no spreadsheet takes for formulas."""
        upload = self.uploads.get(id)
        path = self.uploads.rejected(upload) if upload is not None else None
        if path is None or not path.is_file():
            return self.missing()
        response = Response(path.read_bytes(), mimetype="text/csv")
        response.headers["Content-Disposition"] = 'attachment; filename="rejected.csv"'
        return response
