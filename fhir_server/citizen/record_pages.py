"""The open record: what is in it, who has seen it, what one agreed to, one's own entries, the family, the card."""

from __future__ import annotations

from datetime import timedelta

from flask import Response, g, request, url_for

from fhir_server.citizen import consents, own_entries
from fhir_server.citizen.cards import revoke_card
from fhir_server.citizen.charts import chart
from fhir_server.citizen.drafts import kept_draft
from fhir_server.citizen.frame import problem_page
from fhir_server.citizen.record import read_record
from fhir_server.citizen.seen import opened_in_emergency, seen
from fhir_server.citizen.sessions import turn_to
from fhir_server.citizen.visiting import Visiting, clock, see
from fhir_server.translation import now_here

EMERGENCIES_TOLD = timedelta(days=30)
"""How long the first page of a record says that somebody has opened it in an emergency."""


class RecordPages(Visiting):
    """The views of the record and of what one may do with it."""

    def record(self) -> Response:
        given = consents.agreements(self.repository, self.context)
        if not given and "later" not in request.args and "saved" not in request.args:
            return see(url_for("citizen.consent"))
        return self.page(
            "citizen/record.html",
            record=read_record(self.repository, self.context),
            chart=chart,
            draft=kept_draft(self.repository, self.session) is not None,
            family=self.members(),
            emergency=opened_in_emergency(self.repository, self.context, now_here() - EMERGENCIES_TOLD),
            notice=next((name for name in ("saved", "kept", "locked", "done") if name in request.args), None),
        )

    def consent(self) -> Response:
        given = consents.agreements(self.repository, self.context)
        return self.page(
            "citizen/consent.html",
            purposes=consents.PURPOSES,
            agreed={each.purpose for each in given if each.active},
            given=[each for each in given if each.active],
            to=request.args.get("to", ""),
        )

    def agree(self) -> Response:
        for purpose in consents.PURPOSES:
            if request.form.get(purpose):
                consents.agree(self.repository, self.context, purpose, now_here())
        to_form = request.form.get("to") == "declare" and consents.agrees(self.repository, self.context, "declare")
        return see(url_for("citizen.declare") if to_form else url_for("citizen.record", later=1))

    def withdraw_consent(self) -> Response:
        consents.withdraw(self.repository, self.context, request.form.get("id", ""))
        return see(url_for("citizen.consent"))

    def entries(self) -> Response:
        return self.page(
            "citizen/entries.html", entries=own_entries.own_entries(self.repository, self.context, g.language)
        )

    def withdraw_entry(self) -> Response:
        form = request.form
        own_entries.withdraw(self.repository, self.context, form.get("type", ""), form.get("id", ""))
        return see(url_for("citizen.entries"))

    def seen(self) -> Response:
        own = "own" in request.args
        return self.page(
            "citizen/seen.html", sightings=seen(self.repository, self.context, own=own), own=own, clock=clock
        )

    def family(self) -> Response:
        return self.page("citizen/family.html", family=self.members(), own=self.session.patient)

    def turn(self) -> Response:
        chosen = request.form.get("person", "")
        if chosen not in {self.session.patient, *(each.patient for each in self.members())}:
            return problem_page(403, "forbidden")
        turn_to(self.repository, self.session, chosen)
        return see(url_for("citizen.record", later=1))

    def lock(self) -> Response:
        return self.page("citizen/lock.html")

    def locked(self) -> Response:
        revoke_card(self.repository, self.session.card)
        return self.entry_page(200, "lock.done")
