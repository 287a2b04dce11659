"""Who has done what with whose record: the audit trail by patient, actor and day, on the page and as a CSV.

https://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any, NamedTuple

from flask import Response, g, request

from fhir_server.access.audit_events import BROKEN_GLASS
from fhir_server.desk.paging import Pair, behind, cursor_of
from fhir_server.desk.visiting import Visiting
from fhir_server.intake.rejections import harmless
from fhir_server.resource import exact
from fhir_server.translation import translate

SHOWN, READ, IN_FILE = 100, 1_000, 20_000
"""Events on a page, read at once for a file, and in one file at most: its last line says when there are more."""


class Event(NamedTuple):
    """One line: an instant, who, what they did, to whose record, from where, why, and whether it was refused."""

    when: str
    actor: str
    action: str
    patient: str
    origin: str
    purpose: str
    reason: str
    refused: bool


class AuditPages(Visiting):
    """What auditors ask."""

    def audit(self) -> Response:
        """The form."""
        return self.page("desk/audit.html", events=None, asked={}, wrong=False, following="")

    def events(self) -> Response:
        """The newest events that fit, in a form so that no address and no log says whom it was about."""
        asked = {
            name: request.form.get(name, "").strip()[:100] for name in ("patient", "actor", "begin", "end", "emergency")
        }
        query = _query(asked)
        if query is None:
            return self.page("desk/audit.html", 422, events=None, asked=asked, wrong=True, following="")
        if request.form.get("action") == "csv":
            return self._file(query)
        events, following = self._search(query, SHOWN, request.form.get("next", ""))
        return self.page("desk/audit.html", events=events, asked=asked, wrong=False, following=following)

    def _search(self, query: list[Pair], most: int, cursor: str) -> tuple[list[Event], str]:
        query = [*query, ("_sort", "-date"), ("_count", str(most)), ("_total", "none")]
        page = self.repository.search(self.ctx, "AuditEvent", behind(query, cursor))
        return [_event(exact.parse(stored.json or b"{}")) for _, stored in page.entries], cursor_of(page)

    def _file(self, query: list[Pair]) -> Response:
        events, cursor = self._search(query, READ, "")
        while cursor and len(events) < IN_FILE:
            more, cursor = self._search(query, READ, cursor)
            events += more
        return _csv(events, translate("desk.audit.cut", g.language) if cursor else "")


def _query(asked: dict[str, str]) -> list[Pair] | None:
    """The search, or None when a day cannot be read or a name is no name."""
    query = []
    if patient := asked["patient"].removeprefix("Patient/"):
        if not patient.replace("-", "").replace(".", "").isalnum():
            return None
        query.append(("patient", f"Patient/{patient}"))
    if actor := asked["actor"]:
        if any(letter in "\\,|$" for letter in actor):
            return None
        query.append(("altid", actor))
    if asked["emergency"]:
        query.append(("subtype", BROKEN_GLASS))
    for name, prefix in (("begin", "ge"), ("end", "le")):
        if asked[name]:
            try:
                query.append(("date", f"{prefix}{date.fromisoformat(asked[name])}"))
            except ValueError:
                return None
    return query


def _event(event: dict[str, Any]) -> Event:
    agent: dict[str, Any] = next(iter(event.get("agent", [])), {})
    purpose: dict[str, Any] = next(iter(event.get("purposeOfEvent", [])), {})
    codes = [each.get("code", "") for each in event.get("subtype", [])]
    whats = [each.get("what", {}).get("reference", "") for each in event.get("entity", [])]
    return Event(
        when=event.get("recorded", ""),
        actor=agent.get("altId", ""),
        action=" ".join(filter(None, codes)),
        patient=next((each for each in whats if each.startswith("Patient/") and "/_history" not in each), ""),
        origin=agent.get("network", {}).get("address", ""),
        purpose=" ".join(each.get("code", "") for each in purpose.get("coding", [])),
        reason=purpose.get("text", ""),
        refused=event.get("outcome", "0") != "0",
    )


def _csv(events: list[Event], cut: str) -> Response:
    """A file that no spreadsheet takes for formulas, with the mark by which it knows UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(Event._fields)
    writer.writerows([harmless(str(cell)) for cell in event] for event in events)
    if cut:
        writer.writerow([cut])
    response = Response("\ufeff" + text.getvalue(), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
    return response
