"""Cancels a visit, and brings a cancelled one back.

A cancelled visit stands entered-in-error, whole, and tagged so that it is told from rows that a resend withdrew. Sending
it again is refused until it is restored: a late retry of a client's queue must not undo a person's decision.
"""

from __future__ import annotations

from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.errors import NotFound
from fhir_server.intake.people import known_resources, resource_of
from fhir_server.intake.visit_outcomes import VisitOutcome
from fhir_server.intake.visit_records import CANCELLED, is_cancelled, parts_of, provenance
from fhir_server.intake.visit_storing import visit_key
from fhir_server.repository import Repository
from fhir_server.resource import exact
from mappings import systems
from mappings.resend import in_error, replacement

Resource = dict[str, Any]


def cancel_visit(
    repository: Repository, ctx: AccessContext, facility: str, ma_lk: str, reason: str, request_id: str
) -> VisitOutcome:
    """Mark a visit and all that came with it entered-in-error; a Provenance keeps the reason and the request's id.

    The outcome is unchanged when the visit is cancelled already. Raises NotFound when it was never received.
    """
    encounter = _encounter(repository, ctx, facility, ma_lk)
    whole = [encounter, *parts_of(repository, ctx, encounter)]
    entries = []
    for resource in whole if not is_cancelled(encounter) else ():
        wanted = in_error(resource)
        # What a resend withdrew before is not this cancellation's to bring back.
        if not exact.same_content(wanted, resource):
            meta = {**resource["meta"], "tag": [*resource["meta"].get("tag", ()), CANCELLED]}
            entries.append(replacement(resource, {**wanted, "meta": meta}))
    return _carried_out(repository, ctx, (facility, ma_lk), encounter, entries, ("Hủy hồ sơ", reason, request_id))


def restore_visit(
    repository: Repository, ctx: AccessContext, facility: str, ma_lk: str, reason: str, request_id: str
) -> VisitOutcome:
    """Bring everything a cancellation marked back to what it was before.

    The outcome is unchanged when the visit is not cancelled. Raises NotFound when it was never received.
    """
    encounter = _encounter(repository, ctx, facility, ma_lk)
    whole = [encounter, *parts_of(repository, ctx, encounter)]
    entries = [replacement(it, _before(repository, ctx, it)) for it in whole if is_cancelled(it)]
    return _carried_out(repository, ctx, (facility, ma_lk), encounter, entries, ("Khôi phục hồ sơ", reason, request_id))


def _encounter(repository: Repository, ctx: AccessContext, facility: str, ma_lk: str) -> Resource:
    key = visit_key(facility, ma_lk)
    found = known_resources(repository, ctx, "Encounter", [key]).get(key)
    if not found:
        raise NotFound(f"Không có hồ sơ {ma_lk[:100]} của cơ sở {facility[:10]} / no such visit was received.")
    return resource_of(found[0])


def _before(repository: Repository, ctx: AccessContext, resource: Resource) -> Resource:
    """The newest version that the cancellation had not touched."""
    version = int(resource["meta"]["versionId"])
    while is_cancelled(resource) and version > 1:
        version -= 1
        resource = resource_of(repository.vread(ctx, resource["resourceType"], resource["id"], str(version)))
    return resource


def _carried_out(
    repository: Repository,
    ctx: AccessContext,
    visit: tuple[str, str],
    encounter: Resource,
    entries: list[Resource],
    why: tuple[str, str, str],
) -> VisitOutcome:
    facility, ma_lk = visit
    activity, reason, request_id = why
    if entries:
        source = {"identifier": {"system": systems.VISIT_REQUEST, "value": request_id}}
        agent = {"identifier": {"system": systems.FACILITY, "value": facility}}
        told = provenance([entry["fullUrl"] for entry in entries], agent, activity, source, reason)
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [*entries, told]}
        repository.transaction(ctx, bundle)
    return VisitOutcome(
        ma_lk, facility, "updated" if entries else "unchanged", encounter=f"Encounter/{encounter['id']}"
    )
