"""Who has seen a citizen's record: the audit trail, read through the door by the citizen.

https://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fhir_server.access.audit_events import BROKEN_GLASS
from fhir_server.access.context import PATIENT_REQUEST, AccessContext
from fhir_server.resource import exact
from mappings.systems import FACILITY

if TYPE_CHECKING:
    from datetime import datetime

    from fhir_server.repository import Repository

SHOWN = 50
OWN_ACTORS = ("card",)
KINDS = ("card", "staff", "facility", "client", "import", "open", "cli")
PURPOSES = frozenset({"TREAT", "HPAYMT", "HOPERAT", "PUBHLTH", "HRESCH", "PATRQT"})
EMERGENCIES = frozenset({"BTG", "ETREAT"})
_CREDENTIAL = "110137"
ACTIONS = {"C": "wrote", "R": "read", "U": "wrote", "D": "wrote", "E": "used"}


class Sighting(NamedTuple):
    """One access: when, what kind of actor and its name, for which facility, what it did and what for.

    `purpose` is one of PURPOSES, "" for another one; `emergency` says that the glass was broken, `refused` that nothing
    was given out.
    """

    when: str
    kind: str
    name: str
    facility: str
    action: str
    purpose: str
    emergency: bool
    refused: bool


def seen(repository: Repository, ctx: AccessContext, *, own: bool = False) -> list[Sighting]:
    """The newest accesses to the record of the patient that `ctx` is bound to; those by card only when `own`."""
    query = [("patient", f"Patient/{ctx.patient}"), ("_sort", "-date"), ("_count", str(SHOWN))]
    events = (exact.parse(stored.json or b"{}") for _, stored in repository.search(ctx, "AuditEvent", query).entries)
    sightings = [each for each in map(_sighting, events) if own or each.kind not in OWN_ACTORS]
    names = _names(repository, ctx, {each.facility for each in sightings if each.facility.isalnum()})
    return [each._replace(facility=names.get(each.facility, each.facility)) for each in sightings]


def opened_in_emergency(repository: Repository, ctx: AccessContext, since: datetime) -> bool:
    """Whether anybody has broken the glass to see the record of the patient that `ctx` is bound to, since a moment."""
    query = [("patient", f"Patient/{ctx.patient}"), ("subtype", BROKEN_GLASS), ("date", f"ge{exact.instant(since)}")]
    return bool(repository.search(ctx, "AuditEvent", [*query, ("_count", "1"), ("_total", "none")]).entries)


def _names(repository: Repository, ctx: AccessContext, codes: set[str]) -> dict[str, str]:
    """`code -> name with the code` of the facilities that the server knows: a directory, which tells of no patient."""
    if not codes:
        return {}
    finder = AccessContext(actor=ctx.actor, purpose=PATIENT_REQUEST, may_write=frozenset())
    wanted = ",".join(f"{FACILITY}|{code}" for code in sorted(codes))
    found = {}
    for _, stored in repository.search(finder, "Organization", [("identifier", wanted)]).entries:
        organization = exact.parse(stored.json or b"{}")
        for each in organization.get("identifier", ()):
            if each.get("system") == FACILITY and each.get("value") in codes and organization.get("name"):
                found[each["value"]] = f"{organization['name']} ({each['value']})"
    return found


def _sighting(event: dict[str, Any]) -> Sighting:
    agents = [str(each.get("altId", "")).partition(":") for each in event.get("agent", [])]
    agent: dict[str, Any] = next(iter(event.get("agent", [])), {})
    kind, _, name = next(iter(agents), ("", "", ""))
    facility = next((code for sort, _, code in agents if sort == "facility"), "")
    subtypes = {coding.get("code") for coding in event.get("subtype", ())}
    purposes = [coding.get("code") for each in event.get("purposeOfEvent", []) for coding in each.get("coding", [])]
    return Sighting(
        when=event.get("recorded", ""),
        kind=kind if kind in KINDS else "other",
        # A card's own number says nothing to anybody; a programme, a person or a facility goes by its name.
        name=agent.get("who", {}).get("display", "") or ("" if kind in ("card", "facility") else name),
        facility=facility,
        action="credential" if _CREDENTIAL in subtypes else ACTIONS.get(event.get("action", ""), "used"),
        purpose=next((each for each in purposes if each in PURPOSES), ""),
        emergency=not EMERGENCIES.isdisjoint(purposes),
        refused=event.get("outcome", "0") != "0",
    )
