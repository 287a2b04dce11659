"""Find a person, see their record in the order of time and what they carry, and enter who is in no roster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Response, g, request, url_for

from fhir_server.access import guard
from fhir_server.citizen.cards import cards_in_force
from fhir_server.desk.asking_pages import opened_to
from fhir_server.desk.finding import Found, find, shown
from fhir_server.desk.timeline import TYPES, of_type, page_of, timeline
from fhir_server.desk.visiting import Visiting, see
from fhir_server.errors import Conflict, FhirError, Gone, NotFound
from fhir_server.intake.registration import NEW, register
from fhir_server.resource import exact
from fhir_server.translation import VIETNAM
from mappings.problems import Problem, UnreadableInput
from mappings.staff_form import InvalidForm, StaffForm

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext

FIELDS = tuple(StaffForm().fields)
BESIDE = 20


class Beside(NamedTuple):
    """A page of resources, and what the next one is asked with ("" when there is none)."""

    several: list[dict[str, Any]]
    next: str


class PeoplePages(Visiting):
    """The pages about people."""

    def find(self) -> Response:
        """The field to look for a person with."""
        return self.page("desk/find.html", people=None, asked="", born="", following="")

    def found(self) -> Response:
        """Who fits what was typed or scanned. It comes in a form, so that no address and no log holds it."""
        asked, born = request.form.get("q", "").strip(), request.form.get("born", "").strip()
        told = ""
        found = Found([])
        try:
            found = find(self.repository, self.ctx, asked, born, request.form.get("next", ""))
        except UnreadableInput as error:
            told = error.reason_vi if g.language == "vi" else error.reason_en
        return self.page("desk/find.html", people=found.people, asked=asked, born=born, told=told, following=found.next)

    def person(self, id: str) -> Response:
        """One person, as far as the caller's roles go."""
        return self._person(self.ctx, id)

    def shared(self, id: str) -> Response:
        """The record that its citizen opened to the facility of the account, for as long as that lasts.

        The caller is one narrowed to what is open to the facility, so that the door itself closes the record.
        """
        ctx = self.as_facility
        until = {each.patient: each.until for each in opened_to(self.repository, ctx)}.get(id)
        if until is None:
            return self.page("desk/refused.html", 404, why="desk.asking.over")
        return self._person(ctx, id, shared_until=f"{until.astimezone(VIETNAM):%H:%M}")

    def _person(self, ctx: AccessContext, id: str, shared_until: str = "") -> Response:
        kind, following = request.args.get("type", ""), ""
        try:
            stored = self.repository.read(ctx, "Patient", id)
        except (NotFound, Gone):
            return self.missing()
        patient = exact.parse(stored.json or b"{}")
        if kind in TYPES and guard.may(ctx, "s", kind):
            lines, following = of_type(self.repository, ctx, id, kind, request.args.get("next", ""))
        else:
            lines, kind = timeline(self.repository, ctx, id), ""
        registering = {"registrar", "admin"} & {*g.staff.roles}
        into = [each for each in patient.get("link", ()) if each.get("type") == "replaced-by"]
        return self.page(
            "desk/person.html",
            person=shown(patient),
            patient=patient,
            into=into[0]["other"]["reference"].removeprefix("Patient/") if into else "",
            behind=self.repository.merged_into(ctx, [id]),
            covers=self._newest(ctx, "Coverage", "-_lastUpdated", id),
            consents=self._newest(ctx, "Consent", "-date", id),
            lines=lines,
            kind=kind,
            kinds=[each for each in TYPES if guard.may(ctx, "s", each)],
            following=following,
            cards=cards_in_force(self.repository, id) if registering and not shared_until else None,
            shared_until=shared_until,
            told=request.args.get("told", "") if request.args.get("told") in TOLD else "",
        )

    def _newest(self, ctx: AccessContext, type: str, order: str, patient: str) -> Beside:
        """A page of a list that stands beside the record; the address says behind what it begins."""
        if not guard.may(ctx, "s", type):
            return Beside([], "")
        cursor = request.args.get(type, "")
        return Beside(*page_of(self.repository, ctx, type, patient, order, BESIDE, cursor))

    # ---- who is in no roster ------------------------------------------------------------------------------------------

    def entering(self) -> Response:
        """The form for a person who brings no insurance card."""
        return self._form({}, [])

    def enter(self) -> Response:
        """Keep the person, or ask whether it is somebody known, or say what is wrong with the form."""
        facts = {name: request.form.get(name, "") for name in FIELDS}
        qr, decided = request.form.get("qr", "").strip(), request.form.get("decided", "")
        told = qr or {name: value for name, value in facts.items() if value}
        try:
            done = register(self.repository, self.ctx, told, decided=decided)
        except InvalidForm as error:
            return self._form(facts, error.problems)
        except UnreadableInput as error:
            return self._form(facts, [Problem("qr", "", error.reason_vi, error.reason_en)])
        except FhirError as error:
            if not isinstance(error, Conflict) and error.status not in (400, 412, 422):
                raise
            return self._form(facts, [Problem("", "", str(error), str(error))])
        if done.patient is None:
            asked = [
                (shown(each.patient), each.why_vi if g.language == "vi" else each.why_en) for each in done.candidates
            ]
            return self.page("desk/confirm.html", asked=asked, facts={**facts, "qr": qr}, new=NEW)
        said = "entered" if done.outcome == "created" else "known"
        return see(url_for("desk.person", id=done.patient["id"], told=said))

    def _form(self, facts: dict[str, str], problems: list[Problem]) -> Response:
        wrong = {each.field: each.reason_vi if g.language == "vi" else each.reason_en for each in problems}
        return self.page("desk/enter.html", 422 if problems else 200, facts=facts, wrong=wrong, fields=FIELDS)


TOLD = frozenset({"known", "entered", "merged", "unmerged", "revoked"})
