"""What a citizen agrees to, purpose by purpose, as Consent resources that can be shown and withdrawn.

https://hl7.org/fhir/R4/consent.html. Nothing is agreed to by silence: what was not ticked makes no Consent.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from fhir_server.access.consents import FACILITY
from fhir_server.access.context import AccessContext
from fhir_server.citizen.stewardship import as_steward
from fhir_server.errors import NotFound
from fhir_server.resource import exact
from mappings.systems import CONSENT_PURPOSE

if TYPE_CHECKING:
    from fhir_server.repository import Repository

# purpose of the pages -> v3 PurposeOfUse, https://terminology.hl7.org/ValueSet-v3-PurposeOfUse.html
PURPOSES = {"declare": "PATRQT", "care": "TREAT", "statistics": "PUBHLTH"}
TO_FACILITY = "facility"
FACILITY_TIME = timedelta(minutes=30)
CONSENTS_READ = 200
_SCOPE = {"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}
_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_POLICY = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


class Agreement(NamedTuple):
    """A Consent as the pages show it. `purpose` is one of PURPOSES or TO_FACILITY, `until` an instant or None."""

    id: str
    purpose: str
    given: str
    active: bool
    to: str
    until: str | None


def agreements(repository: Repository, ctx: AccessContext) -> list[Agreement]:
    """What the citizen agreed to in these pages, the newest first; withdrawn ones too."""
    query = [("patient", f"Patient/{ctx.patient}"), ("_sort", "-date,-_lastUpdated"), ("_count", str(CONSENTS_READ))]
    found = repository.search(ctx, "Consent", query).entries
    return [each for _, stored in found for each in _agreement(exact.parse(stored.json or b"{}"))]


def agrees(repository: Repository, ctx: AccessContext, purpose: str) -> bool:
    """Whether the citizen agreed to a purpose and has not withdrawn."""
    return any(each.active and each.purpose == purpose for each in agreements(repository, ctx))


def agree(repository: Repository, ctx: AccessContext, purpose: str, at: datetime) -> None:
    """Keep that the citizen agreed to one of PURPOSES; once, however often it is said."""
    provision = {"type": "permit", "purpose": [{"system": _REASON, "code": PURPOSES[purpose]}]}
    once = f"patient=Patient/{ctx.patient}&status=active&category={CONSENT_PURPOSE}|{purpose}"
    repository.create(ctx, "Consent", _consent(ctx, purpose, at, provision), if_none_exist=once)


def open_to_facility(repository: Repository, ctx: AccessContext, code: str, name: str, at: datetime) -> None:
    """Open the record to a facility for half an hour from now."""
    place = {"identifier": {"system": FACILITY, "value": code}, "display": name}
    role = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
    provision = {
        "type": "permit",
        "period": {"start": exact.instant(at), "end": exact.instant(at + FACILITY_TIME)},
        "actor": [{"role": {"coding": [role]}, "reference": place}],
        "purpose": [{"system": _REASON, "code": "TREAT"}],
    }
    repository.create(ctx, "Consent", _consent(ctx, TO_FACILITY, at, provision))


def withdraw(repository: Repository, ctx: AccessContext, consent: str) -> None:
    """Make a Consent of one's own inactive. Raises NotFound for anybody else's."""
    resource = exact.parse(repository.read(ctx, "Consent", consent).json or b"{}")
    if not list(_agreement(resource)):
        raise NotFound("There is no such consent of this person.")
    if resource.get("status") == "active":
        repository.update(as_steward(ctx, "Consent"), "Consent", consent, {**resource, "status": "inactive"})


def _consent(ctx: AccessContext, purpose: str, at: datetime, provision: dict[str, Any]) -> dict[str, Any]:
    person = {"reference": f"Patient/{ctx.patient}"}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [_SCOPE]},
        "category": [
            {"coding": [{"system": "http://loinc.org", "code": "59284-0", "display": "Consent Document"}]},
            {"coding": [{"system": CONSENT_PURPOSE, "code": purpose}]},
        ],
        "patient": person,
        "dateTime": exact.instant(at),
        "performer": [person],
        "policyRule": {"coding": [{"system": _POLICY, "code": "OPTIN"}]},
        "provision": provision,
    }


def _agreement(consent: dict[str, Any]) -> Iterator[Agreement]:
    codings = [coding for category in consent.get("category", []) for coding in category.get("coding", [])]
    purpose = next((coding.get("code") for coding in codings if coding.get("system") == CONSENT_PURPOSE), None)
    if purpose in PURPOSES or purpose == TO_FACILITY:
        provision = consent.get("provision", {})
        actor: dict[str, Any] = next(iter(provision.get("actor", [])), {})
        yield Agreement(
            consent["id"],
            purpose,
            consent.get("dateTime", ""),
            consent.get("status") == "active",
            actor.get("reference", {}).get("display", ""),
            provision.get("period", {}).get("end"),
        )
