"""What came by the gateways and what became of it: visits and records received, their errors, and changes that wait."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from flask import Response, g, request, url_for

from fhir_server.desk.paging import numbered
from fhir_server.desk.visiting import Visiting, see
from fhir_server.errors import Conflict
from fhir_server.intake import resident_inbox, residents
from fhir_server.intake.gateway.documents import GatewayRequest, GatewayVisit, documents
from fhir_server.intake.gateway.lists import ERROR_STATUS
from fhir_server.intake.gateway.visit_states import status_of
from fhir_server.translation import VIETNAM, now_here

SHOWN, WAITING = 100, 200
WINDOW = timedelta(days=30)


class IntakePages(Visiting):
    """What integrators reconcile with."""

    def gateway(self) -> Response:
        """Visits whose last sending came in a window of days, of one facility or all, by what became of them."""
        sent = request.form
        today = now_here().date()
        begin = _day(sent.get("begin", "")) or today - WINDOW
        end = _day(sent.get("end", "")) or today
        status = sent.get("status", "all") if sent.get("status") in ERROR_STATUS else "all"
        # Whoever works for a facility reconciles its own.
        facility = g.staff.facility or sent.get("facility", "").strip()[:20]
        found = documents(self.repository, GatewayVisit).filter(
            ERROR_STATUS[status],
            received__gte=datetime.combine(begin, datetime.min.time(), VIETNAM),
            received__lt=datetime.combine(end + timedelta(days=1), datetime.min.time(), VIETNAM),
        )
        if facility:
            found = found.filter(facility=facility)
        visits, following = numbered(found.order_by("-received", "id"), sent.get("page", ""), SHOWN)
        asked = {"begin": begin.isoformat(), "end": end.isoformat(), "status": status, "facility": facility}
        return self.page(
            "desk/gateway.html",
            visits=[(each, status_of(each)) for each in visits],
            errors=self._errors(visits),
            total=found.count(),
            asked=asked,
            statuses=tuple(ERROR_STATUS),
            bound=bool(g.staff.facility),
            following=following,
        )

    def _errors(self, visits: list[GatewayVisit]) -> dict[str, list[dict[str, str]]]:
        """`id of a visit -> what was found wrong with its last sending`, by table, row and field."""
        last = documents(self.repository, GatewayRequest).filter(id__in=[each.latest_tracking_id for each in visits])
        return {f"{result['facility']}|{result['ma_lk']}": result["errors"] for sent in last for result in sent.results}

    def residents(self) -> Response:
        """Changes of the population register that wait for a person, and why."""
        waiting = resident_inbox.messages(self.repository).filter(status=resident_inbox.WAITING)
        rows, following = numbered(waiting.order_by("received", "id"), request.args.get("page", ""), WAITING)
        return self.page("desk/residents.html", rows=rows, total=waiting.count(), following=following)

    def decided(self) -> Response:
        """Apply a change that waits to whom it is about, or drop it."""
        name, _, patient = request.form.get("choice", "").rpartition("|")
        try:
            residents.decide(self.repository, self.ctx, name, patient)
        except Conflict:
            return self.refuse("desk.refused.resident")
        return see(url_for("desk.residents"))


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2100 else None
