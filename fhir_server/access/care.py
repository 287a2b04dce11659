"""Which facilities treat whom, read from the records that say so: what a facility narrowed to its own patients sees.

A grant is {"f": facility} and where it comes from a Consent more (fhir_server/access/consents.py). It is kept beside the
record that gives it, under `g`, so that it ends at the moment the record changes. docs/decisions/0006-narrowed-access.md
"""

from __future__ import annotations

from typing import Any

from .consents import consent_fields, facilities

Resource = dict[str, Any]

# Type -> the element that names the facility, and the states in which it does not count.
CARE: dict[str, tuple[str, frozenset[str]]] = {
    "Encounter": ("serviceProvider", frozenset({"cancelled", "entered-in-error"})),
    "EpisodeOfCare": ("managingOrganization", frozenset({"cancelled", "entered-in-error"})),
    "Patient": ("managingOrganization", frozenset()),
    "Coverage": ("network", frozenset({"cancelled", "draft", "entered-in-error"})),
}


def care_fields(resource: Resource, base_url: str) -> dict[str, Any]:
    """`g` grants and `n` denials that a resource gives, as they are stored beside it; {} for most."""
    type = resource["resourceType"]
    if type == "Consent":
        return consent_fields(resource, base_url)
    if type not in CARE:
        return {}
    element, without = CARE[type]
    if resource.get("status") in without or element not in resource:
        return {}
    named = resource[element]
    places = [named] if isinstance(named, str) else list(facilities(named, base_url))
    return {"g": [{"f": each} for each in places]} if places else {}
