"""Sharing the record: with a doctor at hand, by a SMART Health Link, with a facility that shows its code."""

from __future__ import annotations

import base64
import io

import qrcode
from flask import Response, make_response, render_template, request, url_for

from fhir_server.access.context import AccessContext
from fhir_server.citizen import consents
from fhir_server.citizen.charts import chart
from fhir_server.citizen.facility_asking import asking_of
from fhir_server.citizen.frame import entry_token_matches, page_with_entry_token, problem_page
from fhir_server.citizen.health_links import TIMES, end_link, links, make_link, open_link, share_with_doctor
from fhir_server.citizen.record import read_record
from fhir_server.citizen.visiting import Visiting, clock, see
from fhir_server.translation import now_here


class SharePages(Visiting):
    """The views of sharing, and the one that a doctor sees."""

    def share(self) -> Response:
        given = [
            {"id": link.id, "kind": link.kind, "label": link.label, "until": clock(link.expires)}
            for link in links(self.repository, self.context.patient or "")
        ]
        return self.page("citizen/share.html", times=TIMES, given=given)

    def make(self) -> Response:
        public_url = self.config.public_url
        if request.form.get("kind") == "doctor":
            made = share_with_doctor(self.repository, self.context, public_url=public_url)
        else:
            lifetime = TIMES.get(request.form.get("time", ""), TIMES["hour"])
            label = request.form.get("label", "").strip()
            made = make_link(self.repository, self.context, public_url=public_url, label=label, lifetime=lifetime)
        kind = "doctor" if made.link.startswith("http") else "link"
        return self.page(
            "citizen/shared.html", made=made, kind=kind, picture=picture(made.link), until=clock(made.expires)
        )

    def end(self) -> Response:
        end_link(self.repository, self.context.patient or "", request.form.get("id", ""))
        return see(url_for("citizen.share"))

    def facility(self) -> Response:
        return self.page("citizen/facility.html")

    def facility_asked(self) -> Response:
        asking = asking_of(self.repository, request.form.get("code", ""))
        if asking is None:
            return self.page("citizen/facility.html", 404, message="facility.unknown")
        if request.form.get("agreed") == asking.facility:
            consents.open_to_facility(self.repository, self.context, asking.facility, asking.name, now_here())
            return see(url_for("citizen.record", done=1))
        return self.page("citizen/facility.html", asking=asking)

    def doctor(self) -> Response:
        return page_with_entry_token(self.config, "citizen/doctor.html")

    def doctor_opens(self) -> Response:
        if not entry_token_matches(self.config):
            return problem_page(403, "foreign_form")
        opened = open_link(self.repository, "doctor", request.form.get("token", ""), request.form.get("code", ""))
        if opened is None or opened.link is None:
            return page_with_entry_token(
                self.config,
                "citizen/doctor.html",
                403,
                message="doctor.wrong" if opened and opened.left else "doctor.over",
                token=request.form.get("token", "") if opened and opened.left else "",
            )
        # The doctor sees what the citizen sees, and writes nothing.
        ctx = AccessContext(actor=opened.link.card, patient=opened.link.patient, may_write=frozenset())
        record = read_record(self.repository, ctx)
        return make_response(render_template("citizen/shown.html", record=record, chart=chart))


def picture(link: str) -> str:
    """A link as a QR picture, to be placed in a page."""
    drawing = io.BytesIO()
    qrcode.make(link, error_correction=qrcode.constants.ERROR_CORRECT_L, border=4).save(drawing, "PNG")
    return "data:image/png;base64," + base64.b64encode(drawing.getvalue()).decode("ascii")
