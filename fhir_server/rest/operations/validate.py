"""$validate: whether a resource would be taken, by the rules of R4 and of the profiles it names or is asked against.

https://hl7.org/fhir/R4/resource-operation-validate.html. The answer is 200 with an OperationOutcome whatever it says; an
error status means that the question could not be understood.
"""

from __future__ import annotations

from typing import Any

from ...errors import BadRequest, FhirError, Forbidden, Issue, NotFound, operation_outcome
from ...profile_enforcement import MAX_PROFILES, claimed
from ...resource.exact import parse
from ...resource.invariants_by_fhirpath import invariant_issues
from ...resource.validation import validate_issues
from ..call import Answer, Call, Service
from . import answers
from .inputs import Inputs

Json = dict[str, Any]
_MODES = ("create", "update", "delete", "profile")


def validate(service: Service, call: Call) -> Answer:
    """Errors, warnings and information; one issue "All OK" when there is nothing to say. Raises BadRequest, Forbidden."""
    if call.context.patient is not None:
        raise Forbidden("This caller may read one patient's record, and not have others checked.")
    inputs = Inputs(call, body="resource")
    mode = inputs.text("mode") or ""
    if mode not in ("", *_MODES):
        raise BadRequest(f"'mode' takes {', '.join(_MODES)}, not '{mode[:20]}'.", code="value")
    asked = inputs.texts("profile")
    if mode == "profile" and not asked:
        raise BadRequest("The mode 'profile' needs the parameter 'profile'.", code="required")
    resource = inputs.resource("resource") if inputs.values("resource") else None
    issues = _of_mode(service, call, mode, resource)
    if resource is None and call.id and mode != "delete" and not issues:
        resource = parse(service.repository.read(call.context, call.type, call.id).json or b"{}")
    if resource is not None:
        issues += _of_resource(service, call, resource, asked)
    elif mode != "delete" and not issues:
        raise BadRequest(
            "Send the resource that is to be checked, or ask at the address of a stored one.", code="required"
        )
    return answers.resource(operation_outcome(issues or [Issue("All OK", "informational", "information")]))


def _of_mode(service: Service, call: Call, mode: str, resource: Json | None) -> list[Issue]:
    """What would stand in the way of the interaction itself."""
    if call.id and mode in ("update", "delete"):
        try:
            service.repository.read(call.context, call.type, call.id)
        except FhirError as error:
            if mode == "delete":
                return list(error.issues)
    if mode == "delete" and not call.id:
        return [Issue("A deletion is checked at the address of the resource: <type>/<id>/$validate.", "required")]
    if mode == "update" and not call.id and resource is not None and "id" not in resource:
        where = (f"{resource.get('resourceType')}.id",)
        return [Issue("An update needs the id of the resource.", "required", "error", where)]
    if call.id and resource is not None and mode == "update" and resource.get("id") != call.id:
        where = (f"{call.type}.id",)
        return [Issue(f"The id in the body must be the one in the address, '{call.id}'.", "value", "error", where)]
    return []


def _of_resource(service: Service, call: Call, resource: Json, asked: list[str]) -> list[Issue]:
    kind = resource.get("resourceType")
    if call.type and kind != call.type:
        text = f"The address is for {call.type}, and the resource is a {str(kind)[:40]}."
        return [Issue(text, "structure", "error", ("resourceType",))]
    issues = validate_issues(resource)
    if any(issue.severity == "error" for issue in issues):
        return issues  # invariants and profiles speak of resources that are well formed
    issues += invariant_issues(resource)
    profiles = list(dict.fromkeys([*asked, *claimed(resource)]))
    for profile in profiles[:MAX_PROFILES]:
        issues += _of_profile(service, resource, profile, profile in asked)
    if len(profiles) > MAX_PROFILES:
        issues.append(Issue(f"Only the first {MAX_PROFILES} profiles were checked.", "incomplete", "warning"))
    return issues


def _of_profile(service: Service, resource: Json, profile: str, asked: bool) -> list[Issue]:
    found = service.repository.conformance.issues(resource, profile)
    if found is not None:
        return found
    text = (
        f"The profile {profile[:200]} is not on this server: it was not checked. Create its StructureDefinition first."
    )
    if asked:
        return [Issue(text, NotFound.code, "error")]
    return [Issue(text, NotFound.code, "warning", (f"{resource['resourceType']}.meta.profile",))]
