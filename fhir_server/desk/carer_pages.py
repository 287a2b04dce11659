"""Who cares for a person and may open their record with an own card: staff see the proof, name the carer, take it back.

https://hl7.org/fhir/R4/relatedperson.html
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from flask import Response, g, request, url_for

from fhir_server.access import audit_record
from fhir_server.citizen import carers
from fhir_server.desk.finding import Shown, find, shown
from fhir_server.desk.visiting import Visiting, see
from fhir_server.errors import Gone, NotFound
from fhir_server.resource import exact
from fhir_server.translation import now_here
from mappings.problems import UnreadableInput

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext

FOUND = 5
YEARS = 20
"""Nobody is entrusted with a record for longer than a child takes to grow up."""


class CarerPages(Visiting):
    """The carers of one person."""

    def carers(self, id: str) -> Response:
        """Who may open the record, and the field to look for another carer with."""
        return self._shown(id)

    def act(self, id: str) -> Response:
        """Look for a carer, entrust the one who was chosen, or take it back, each of these with a reason."""
        action = request.form.get("action", "")
        if action == "look":
            return self._look(id)
        ctx = self.because()
        if ctx is None:
            return self.refuse("desk.refused.reason")
        if action == "entrust":
            return self._entrust(ctx, id)
        if action == "back":
            return self._take_back(ctx, id)
        return self.missing()

    def _look(self, id: str) -> Response:
        asked = request.form.get("q", "").strip()
        told = ""
        people: list[Shown] = []
        try:
            found = find(self.repository, self.ctx, asked).people
            people = [each for each in found if each.id != id and each.active]
        except UnreadableInput as error:
            told = error.reason_vi if g.language == "vi" else error.reason_en
        return self._shown(id, people=people[:FOUND], more=len(people) > FOUND, asked=asked, told=told)

    def _entrust(self, ctx: AccessContext, id: str) -> Response:
        carer, proof = request.form.get("carer", ""), request.form.get("proof", "")
        asked = request.form.get("until", "").strip()
        until = _last_day(asked)
        if proof not in carers.PROOFS or (asked and until is None):
            return self.refuse("desk.carers.wrong")
        ctx = replace(ctx, reason=f"{proof}: {ctx.reason}")
        if carer == id or self.repository.merged_away(ctx, [id, carer]):
            return self.refuse("desk.carers.self")
        audit_record.asked("create", "RelatedPerson")
        try:
            before = [each for each in carers.trusts(self.repository, ctx, id) if each.carer == carer]
            carers.entrust(self.repository, ctx, id, carer, until=until, proof=proof)
        except (NotFound, Gone):
            return self.missing()
        for each in before:
            carers.take_back(self.repository, ctx, each.id)
        return see(url_for("desk.carers", id=id, told="entrusted"))

    def _take_back(self, ctx: AccessContext, id: str) -> Response:
        trust = request.form.get("trust", "")
        if trust not in {each.id for each in carers.trusts(self.repository, ctx, id)}:
            return self.missing()
        audit_record.asked("update", f"RelatedPerson/{trust}")
        carers.take_back(self.repository, ctx, trust)
        return see(url_for("desk.carers", id=id, told="taken_back"))

    def _shown(self, id: str, **found: Any) -> Response:
        try:
            patient = exact.parse(self.repository.read(self.ctx, "Patient", id).json or b"{}")
        except (NotFound, Gone):
            return self.missing()
        told = request.args.get("told", "")
        values: dict[str, Any] = {"people": None, "more": False, "asked": "", "told": ""}
        return self.page(
            "desk/carers.html",
            person=shown(patient),
            trusts=carers.trusts(self.repository, self.ctx, id),
            proofs=carers.PROOFS,
            done=told if told in ("entrusted", "taken_back") else "",
            today=now_here().date().isoformat(),
            **{**values, **found},
        )


def _last_day(text: str) -> date | None:
    """The day, when it is one that a trust may last until."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    today = now_here().date()
    return day if today <= day and day.year <= today.year + YEARS else None
