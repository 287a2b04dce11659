"""A message sent again, against what it left before: what changed is written, what vanished is withdrawn.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_server.resource.exact import same_content
from mappings import systems
from mappings.person import concept

Resource = dict[str, Any]
_Key = tuple[str, str, str]


def changes(bundle: Resource, earlier: Iterable[Resource]) -> list[Resource]:
    """The entries of a bundle that the earlier resources (with id and meta.versionId) do not say already.

    An earlier resource is recognised by its first identifier. One that the bundle no longer holds gets an entry that
    marks it entered-in-error, so that nobody takes it for valid; it is never deleted.
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
        wanted = {**resource, "id": stored["id"], "meta": stored["meta"]}
        if not same_content(stored, wanted):
            entries.append(replacement(stored, wanted))
    withdrawn = ((stored, in_error(stored)) for stored in known.values())
    return entries + [replacement(stored, wanted) for stored, wanted in withdrawn if not same_content(stored, wanted)]


def replacement(stored: Mapping[str, Any], wanted: Resource) -> Resource:
    """A transaction entry that replaces a stored resource, provided that nobody else has changed it meanwhile."""
    url = f"{stored['resourceType']}/{stored['id']}"
    request = {"method": "PUT", "url": url, "ifMatch": f'W/"{stored["meta"]["versionId"]}"'}
    return {"fullUrl": url, "resource": {**wanted, "id": stored["id"]}, "request": request}


def in_error(resource: Resource) -> Resource:
    """The resource marked as entered in error, in the way of its type."""
    if resource["resourceType"] != "Condition":
        return {**resource, "status": "entered-in-error"}
    # A Condition in error has no clinical status: https://hl7.org/fhir/R4/condition.html#invs con-5
    marked = {key: value for key, value in resource.items() if key != "clinicalStatus"}
    return {**marked, "verificationStatus": concept(systems.CONDITION_VERIFICATION, "entered-in-error")}


def _key(resource: Mapping[str, Any]) -> _Key:
    identifier = (resource.get("identifier") or [{}])[0]
    return resource["resourceType"], identifier.get("system", ""), identifier.get("value", "")


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
