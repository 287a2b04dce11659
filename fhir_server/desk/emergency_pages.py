"""Breaking the glass at the desk: what a patient hides, and patients of others, for half an hour and with a reason.

https://hl7.org/fhir/R4/security-labels.html#break-the-glass: every record that is opened then is told apart in the audit
trail, and its citizen is told on the first page of the record.
"""

from __future__ import annotations

from flask import Response, g, request, url_for

from fhir_server.access import audit_record, staff
from fhir_server.desk.visiting import Visiting, see


class EmergencyPages(Visiting):
    """The page of those who may break the glass."""

    def emergency(self) -> Response:
        """Why, or until when it lasts."""
        if not g.staff.break_glass:
            return self.refuse("desk.emergency.not_allowed")
        return self.page("desk/emergency.html", wrong=False)

    def declare(self) -> Response:
        """Begin, with a reason, or end."""
        if not g.staff.break_glass:
            return self.refuse("desk.emergency.not_allowed")
        if request.form.get("action") == "end":
            staff.declare_emergency(self.database, self.secret, "")
            return see(url_for("desk.emergency"))
        ctx = self.because()
        if ctx is None:
            return self.page("desk/emergency.html", 422, wrong=True)
        staff.declare_emergency(self.database, self.secret, ctx.reason)
        audit_record.happened("emergency", g.staff.context(ctx.origin, ctx.reason))
        return see(url_for("desk.find"))
