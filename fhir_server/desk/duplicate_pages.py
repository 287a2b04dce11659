"""The queue of those who may be one person: side by side, then merged, or told apart, or parted again.

https://hl7.org/fhir/R4/task.html and https://hl7.org/fhir/R4/patient.html#links
"""

from __future__ import annotations

from typing import Any

from flask import Response, g, request, url_for

from fhir_server.desk.finding import Shown, shown
from fhir_server.desk.paging import behind, cursor_of
from fhir_server.desk.visiting import Visiting, see
from fhir_server.errors import Conflict, FhirError, Gone, NotFound
from fhir_server.intake.matching import POSSIBLE_DUPLICATE
from fhir_server.resource import exact
from mappings.identity import Verdict, judge

WAITING = 50
Resource = dict[str, Any]


class DuplicatePages(Visiting):
    """What a person decides about two records."""

    def queue(self) -> Response:
        """The pairs that wait, the oldest first."""
        query = [("code", POSSIBLE_DUPLICATE), ("status", "requested"), ("_sort", "_lastUpdated")]
        query += [("_count", str(WAITING)), ("_total", "accurate")]
        page = self.repository.search(self.ctx, "Task", behind(query, request.args.get("next", "")))
        tasks = [exact.parse(stored.json or b"{}") for _, stored in page.entries]
        wanted = {_id(task[side]) for task in tasks for side in ("focus", "for")}
        names = {id: person.name for id in sorted(wanted) if (person := self._person(id)) is not None}
        rows = [(task, names.get(_id(task["focus"]), ""), names.get(_id(task["for"]), "")) for task in tasks]
        return self.page("desk/duplicates.html", rows=rows, total=page.total, why=self._why, following=cursor_of(page))

    def pair(self, id: str) -> Response:
        """Both records beside each other, with what speaks for and against."""
        task, newer, known = self._pair(id)
        if task is None or newer is None or known is None:
            return self.missing()
        verdict: Verdict = judge(newer, known)
        return self.page(
            "desk/pair.html", task=task, people=[shown(known), shown(newer)], reasons=verdict.reasons, told=""
        )

    def decide(self, id: str) -> Response:
        """Merge the pair into the one that is chosen, or note that they are two people."""
        task, newer, known = self._pair(id)
        if task is None or newer is None or known is None:
            return self.missing()
        action, ids = request.form.get("action", ""), [known["id"], newer["id"]]
        if action == "apart":
            self._close(task, "rejected")
            return see(url_for("desk.duplicates"))
        kept = request.form.get("kept", "")
        if action != "merge" or kept not in ids:
            return self.refuse("desk.refused.choice")
        try:
            self.repository.merging.merge(self.ctx, ids[1 - ids.index(kept)], kept)
        except Conflict:
            return self.refuse("desk.refused.merged")
        self._close(task, "completed")
        return see(url_for("desk.person", id=kept, told="merged"))

    def part(self, id: str) -> Response:
        """Take a merge back: each record has what it had, and what was written to it since."""
        try:
            self.repository.merging.unmerge(self.ctx, id)
        except (NotFound, Gone):
            return self.missing()
        except Conflict:
            return self.refuse("desk.refused.merged")
        return see(url_for("desk.person", id=id, told="unmerged"))

    def _pair(self, id: str) -> tuple[Resource | None, Resource | None, Resource | None]:
        """(the Task while it waits, the newer Patient, the known one)."""
        try:
            task = exact.parse(self.repository.read(self.ctx, "Task", id).json or b"{}")
        except (NotFound, Gone):
            return None, None, None
        codes = {each.get("code") for each in task.get("code", {}).get("coding", ())}
        if task.get("status") != "requested" or POSSIBLE_DUPLICATE not in codes:
            return None, None, None
        return task, self._read(_id(task["focus"])), self._read(_id(task["for"]))

    def _read(self, id: str) -> Resource | None:
        try:
            return exact.parse(self.repository.read(self.ctx, "Patient", id).json or b"{}")
        except FhirError as error:
            if error.status in (404, 410):
                return None
            raise

    def _person(self, id: str) -> Shown | None:
        patient = self._read(id)
        return shown(patient) if patient is not None else None

    def _close(self, task: Resource, status: str) -> None:
        version = int(task["meta"]["versionId"])
        self.repository.update(self.ctx, "Task", task["id"], {**task, "status": status}, if_match=version)

    def _why(self, task: Resource) -> str:
        """The reasons in the language of the page."""
        told = [each.get("valueString", "") for each in task.get("input", ())]
        return "" if not told else told[0] if g.language == "vi" else told[-1]


def _id(reference: Resource) -> str:
    return str(reference.get("reference", "")).removeprefix("Patient/")
