"""Who has seen a citizen's record: the audit trail, read through the door by the citizen.

https://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fhir_server.resource import exact

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.repository import Repository

SHOWN = 50
OWN_ACTORS = ("card",)
KINDS = ("card", "staff", "facility", "client", "import", "open", "cli")
ACTIONS = {"C": "wrote", "R": "read", "U": "wrote", "D": "wrote", "E": "used"}


class Sighting(NamedTuple):
    """One access: when, what kind of actor and its name, what it did, whether in an emergency, whether refused."""

    when: str
    kind: str
    name: str
    action: str
    emergency: bool
    refused: bool


def seen(repository: Repository, ctx: AccessContext, *, own: bool = False) -> list[Sighting]:
    """The newest accesses to the record of the patient that `ctx` is bound to; those by card only when `own`."""
    query = [("patient", f"Patient/{ctx.patient}"), ("_sort", "-date"), ("_count", str(SHOWN))]
    events = (exact.parse(stored.json or b"{}") for _, stored in repository.search(ctx, "AuditEvent", query).entries)
    return [each for each in map(_sighting, events) if own or each.kind not in OWN_ACTORS]


def _sighting(event: dict[str, Any]) -> Sighting:
    agent: dict[str, Any] = next(iter(event.get("agent", [])), {})
    kind, _, name = str(agent.get("altId", "")).partition(":")
    purposes = [coding.get("code") for each in event.get("purposeOfEvent", []) for coding in each.get("coding", [])]
    return Sighting(
        when=event.get("recorded", ""),
        kind=kind if kind in KINDS else "other",
        # A card's own number says nothing to anybody; a programme, a person or a facility goes by its name.
        name=agent.get("who", {}).get("display", "") or ("" if kind == "card" else name),
        action=ACTIONS.get(event.get("action", ""), "used"),
        emergency="BTG" in purposes or "ETREAT" in purposes,
        refused=event.get("outcome", "0") != "0",
    )
