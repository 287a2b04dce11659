"""The clinic's QR code: a citizen scans it and opens their record for half an hour, and staff are led to it from here.

https://hl7.org/fhir/R4/consent.html: what the citizen agrees to is a Consent that names the facility and its period.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from flask import Response, g, url_for

from fhir_server.citizen.consents import FACILITY_TIME, TO_FACILITY
from fhir_server.citizen.facility_asking import ask, asking_link, shown_by
from fhir_server.citizen.share_pages import picture
from fhir_server.desk.finding import Shown, shown
from fhir_server.desk.visiting import Visiting, see
from fhir_server.errors import Gone, NotFound
from fhir_server.resource import exact
from fhir_server.translation import VIETNAM, now_here, translate
from mappings.systems import CONSENT_PURPOSE, FACILITY

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.repository import Repository

SHOWN = 50


class Opened(NamedTuple):
    """A record that its citizen has opened: the Patient's id, and the moment it closes."""

    patient: str
    until: datetime


def opened_to(repository: Repository, ctx: AccessContext) -> list[Opened]:
    """What is open to the caller's facility at this moment by the scan of its code, the latest first, each once."""
    now = now_here()
    query = [
        ("actor:identifier", f"{FACILITY}|{ctx.facility}"),
        ("category", f"{CONSENT_PURPOSE}|{TO_FACILITY}"),
        ("status", "active"),
        ("_lastUpdated", f"ge{exact.instant(now - FACILITY_TIME - timedelta(minutes=1))}"),
        ("_sort", "-_lastUpdated"),
        ("_count", str(SHOWN)),
        ("_total", "none"),
    ]
    found: dict[str, Opened] = {}
    for _, stored in repository.search(ctx, "Consent", query).entries:
        consent = exact.parse(stored.json or b"{}")
        patient = consent["patient"].get("reference", "").removeprefix("Patient/")
        until = datetime.fromisoformat(consent["provision"]["period"]["end"].replace("Z", "+00:00"))
        if until > now:
            found.setdefault(patient, Opened(patient, until))
    return list(found.values())


class AskingPages(Visiting):
    """What those do who receive people at a facility."""

    def asking(self) -> Response:
        """The code to be scanned, and the records that are open because it was."""
        facility = g.staff.facility
        if not facility:
            return self.refuse("desk.asking.no_facility")
        asking = shown_by(self.repository, facility)
        ctx = self.as_facility
        opened = [(who, each.until) for each in opened_to(self.repository, ctx) if (who := self._person(ctx, each))]
        return self.page(
            "desk/asking.html",
            asking=asking,
            picture=picture(asking_link(self.config.public_url, asking.id)) if asking else "",
            opened=[(who, f"{until.astimezone(VIETNAM):%H:%M}") for who, until in opened],
        )

    def show(self) -> Response:
        """Show a new code; those that were printed or photographed before end with their shift."""
        facility = g.staff.facility
        if not facility:
            return self.refuse("desk.asking.no_facility")
        ask(self.repository, facility, self._name(facility))
        return see(url_for("desk.asking"))

    def _name(self, facility: str) -> str:
        """What the citizen is told who asks: the name in the register of facilities, else the code."""
        found = self.repository.lookup(self.ctx, "Organization", "identifier", [f"{FACILITY}|{facility}"])
        for stored in (each for several in found.values() for each in several):
            if name := exact.parse(stored.json or b"{}").get("name"):
                return str(name)[:200]
        return f"{translate('desk.facility', 'vi')} {facility}"

    def _person(self, ctx: AccessContext, opened: Opened) -> Shown | None:
        try:
            return shown(exact.parse(self.repository.read(ctx, "Patient", opened.patient).json or b"{}"))
        except (NotFound, Gone):
            return None
