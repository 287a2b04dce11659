"""A message sent again, against what it left before: what changed is written, what vanished is withdrawn.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fhir_server.resource.exact import same_content
from mappings import systems
from mappings.person import concept

Resource = dict[str, Any]
_Key = tuple[str, str, str]


def changes(
    bundle: Resource, earlier: Iterable[Resource], *, silent: Callable[[Resource], bool] = lambda _: False
) -> list[Resource]:
    """The entries of a bundle that the earlier resources (with id and meta.versionId) do not say already.

    An earlier resource is recognised by its first identifier. One that the bundle no longer holds gets an entry that
    marks it entered-in-error, so that nobody takes it for valid; it is never deleted. One the sending is `silent` about
    stays as it is.
    """
    known = {_key(resource): resource for resource in earlier}
    references = {
        entry["fullUrl"]: _reference(known[_key(entry["resource"])])
        for entry in bundle["entry"]
        if _key(entry["resource"]) in known
    }
    entries = []
    for entry in bundle["entry"]:
        resource = _with_references(entry["resource"], references)
        stored = known.pop(_key(resource), None)
        if stored is None:
            entries.append({**entry, "resource": resource})
            continue
        if entry["request"]["method"] == "POST":
            # Created where there is none: https://hl7.org/fhir/R4/http.html#ccreate
            continue
        meta = {**stored["meta"], **resource.get("meta", {})}
        wanted = {**_kept(stored, resource), "id": stored["id"], "meta": meta}
        if not same_content(stored, wanted):
            entries.append(replacement(stored, wanted))
    withdrawn = ((stored, in_error(stored)) for stored in known.values() if not silent(stored))
    return entries + [replacement(stored, wanted) for stored, wanted in withdrawn if not same_content(stored, wanted)]


# How far a result has come; a resend that has less of it takes nothing back.
_PROGRESS = ("registered", "partial", "final")


def _kept(stored: Resource, resource: Resource) -> Resource:
    """The resource, with the result that is known already where the resend brings none."""
    if resource["resourceType"] not in ("Observation", "DiagnosticReport"):
        return resource
    now, before = resource["status"], stored.get("status")
    if now not in _PROGRESS or before not in _PROGRESS or _PROGRESS.index(now) >= _PROGRESS.index(before):
        return resource
    if resource["resourceType"] == "Observation":
        return {**stored, **{name: resource[name] for name in ("subject", "encounter") if name in resource}}
    # A report that has come to hold more rows is as far as those are.
    return {**stored, **resource, "status": before} if resource.get("result") == stored.get("result") else resource


def replacement(stored: Mapping[str, Any], wanted: Resource) -> Resource:
    """A transaction entry that replaces a stored resource, provided that nobody else has changed it meanwhile."""
    url = f"{stored['resourceType']}/{stored['id']}"
    request = {"method": "PUT", "url": url, "ifMatch": f'W/"{stored["meta"]["versionId"]}"'}
    return {"fullUrl": url, "resource": {**wanted, "id": stored["id"]}, "request": request}


def in_error(resource: Resource) -> Resource:
    """The resource marked as entered in error, in the way of its type."""
    if resource["resourceType"] == "RelatedPerson":
        return {**resource, "active": False}
    if resource["resourceType"] not in _VERIFIED:
        return {**resource, "status": "entered-in-error"}
    # In error it has no clinical status: https://hl7.org/fhir/R4/condition.html#invs con-5, and ait-2 of allergies.
    marked = {key: value for key, value in resource.items() if key != "clinicalStatus"}
    return {**marked, "verificationStatus": concept(_VERIFIED[resource["resourceType"]], "entered-in-error")}


_VERIFIED = {
    "Condition": systems.CONDITION_VERIFICATION,
    "AllergyIntolerance": "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification",
}


def _key(resource: Mapping[str, Any]) -> _Key:
    identifier = identifier_of(resource)
    return resource["resourceType"], identifier.get("system", ""), identifier.get("value", "")


def identifier_of(resource: Mapping[str, Any]) -> Resource:
    """The identifier that a resource of a visit is recognised by; empty when it has none."""
    identifiers = resource.get("identifier") or {}
    found: Resource = identifiers[0] if isinstance(identifiers, list) else identifiers
    return found


def _reference(resource: Mapping[str, Any]) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _with_references(value: Any, references: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: references.get(item, item) if key == "reference" else _with_references(item, references)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_references(item, references) for item in value]
    return value
