"""What is stored of a visit: its Encounter, and everything that came with it.

https://hl7.org/fhir/R4/encounter.html
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.intake.people import resource_of
from fhir_server.repository import Repository
from mappings import profile_names, systems
from mappings.person import concept
from mappings.resend import identifier_of

Resource = dict[str, Any]
# What a visit writes besides its Encounter, and what a resend may therefore withdraw.
PARTS = (
    "Condition",
    "Procedure",
    "Observation",
    "DiagnosticReport",
    "MedicationRequest",
    "ServiceRequest",
    "DeviceRequest",
    "CarePlan",
    "ClinicalImpression",
    "Composition",
    "DocumentReference",
)
# The key of the DocumentReference that holds the visit as it was sent.
ARCHIVE_KEY = "GOC"
CANCELLED = {"system": systems.VISIT_STATE, "code": "cancelled", "display": "Hồ sơ đã hủy"}


def parts_of(repository: Repository, ctx: AccessContext, encounter: Resource) -> Iterator[Resource]:
    """The parts of a stored Encounter that came with its visit, those in error among them."""
    for part in PARTS:
        query: list[tuple[str, str]] | None = [("encounter", f"Encounter/{encounter['id']}"), ("_count", "500")]
        while query:
            page = repository.search(ctx, part, query)
            for _, stored in page.entries:
                resource = resource_of(stored)
                # Others may have written about this visit too; only what came with it is its own to withdraw.
                if identifier_of(resource).get("system", "").startswith(systems.VISIT_ROW_BASE):
                    yield resource
            query = page.next


def key_of(part: Resource, ma_lk: str) -> str:
    """The row key of a part, such as XML4/3."""
    value: str = identifier_of(part).get("value", "")
    return value.removeprefix(f"{ma_lk}/")


def is_cancelled(resource: Resource) -> bool:
    """Whether a resource stands in error because its visit was cancelled."""
    return any(tag.get("code") == CANCELLED["code"] for tag in resource["meta"].get("tag", ()) if _is_state(tag))


def _is_state(tag: Resource) -> bool:
    return tag.get("system") == systems.VISIT_STATE


def provenance(targets: Sequence[str], agent: Resource, activity: str, source: Resource, reason: str = "") -> Resource:
    """The entry that tells where `targets` (references) come from: `source` is a Reference, `agent` who answers for it.

    https://hl7.org/fhir/R4/provenance.html
    """
    resource: Resource = {
        "resourceType": "Provenance",
        "meta": {"profile": [profile_names.VISIT_PROVENANCE]},
        "target": [{"reference": target} for target in targets],
        "recorded": datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        "activity": {"text": activity},
        "agent": [{"type": concept(systems.PROVENANCE_ROLE, "author"), "who": agent}],
        "entity": [{"role": "source", "what": source}],
    }
    if reason:
        resource["reason"] = [{"text": reason}]
    return {"resource": resource, "request": {"method": "POST", "url": "Provenance"}}
