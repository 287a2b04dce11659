"""Whether a resource is valid R4, and if not, what is wrong with which element.

https://hl7.org/fhir/R4/validation.html: structure, cardinality, value domains and required bindings by the compiled
schema of fhir_server.r4.schema, then the rules of fhir_server.resource.checks. Measured on one of two shared cores: an
Observation of 1 KB 12 µs (schema 4.5, checks 6), a Patient of 2 KB 24 µs (7 and 16), a narrative 0.5 µs a tag more, the
invariants 1 µs of the Observation and 4 µs of the Patient; the
schema compiles in 0.2 s and takes 53 MB.

A narrative with script, event handlers or `javascript:` addresses is refused, not cleaned: silently altering a medical
record is worse than asking its author for a clean one.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from typing import Any

import jsonschema_rs

from fhir_server.errors import BadRequest, Issue
from fhir_server.r4 import RESOURCE_TYPES, json_schema
from fhir_server.resource.checks import Findings, walk
from fhir_server.resource.containment import containment_issues
from fhir_server.resource.diagnosis import MAX_ISSUES, diagnose

_TYPES = frozenset(RESOURCE_TYPES)
_NOTHING: frozenset[str] = frozenset({""})


@cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    """The compiled schema, once per process; its regular expressions run in linear time whatever the input."""
    return jsonschema_rs.Draft202012Validator(json_schema(), pattern_options=jsonschema_rs.RegexOptions())


def compile_schema() -> None:
    """Have the schema ready before the first resource comes."""
    _validator()


def validate(resource: dict[str, Any]) -> dict[str, Any]:
    """Returns the resource, unchanged. Raises BadRequest with an issue per problem if it is not valid."""
    if issues := validate_issues(resource):
        raise BadRequest(issues)
    return resource


def validate_issues(resource: Any) -> list[Issue]:
    """Every problem of a resource, those of the resources inside it included; empty when it is valid.

    At most MAX_ISSUES are listed, and a further one that says so.
    """
    issues = _validate(resource, "", _NOTHING)
    if len(issues) > MAX_ISSUES:
        issues = [*issues[:MAX_ISSUES], Issue("There are more problems than these.", "incomplete", "information")]
    return issues


def _validate(resource: Any, place: str, contained: frozenset[str], *, is_contained: bool = False) -> list[Issue]:
    """The problems of one resource. `place` is its expression inside another one, "" for the outermost."""
    resource_type = resource.get("resourceType") if type(resource) is dict else None
    if not isinstance(resource_type, str) or resource_type not in _TYPES:
        return [_not_a_resource(resource, resource_type, place)]
    root = place or resource_type
    issues: list[Issue] = []
    inside = resource.get("contained")
    if inside is not None:
        if is_contained:
            issues.append(Issue("A contained resource may not contain another one.", "structure", "error", (root,)))
        elif type(inside) is list:
            contained = _contained_ids(inside, root, issues)
    instance = {resource_type: resource}
    findings = Findings(contained, well_formed=_validator().is_valid(instance))
    if not findings.well_formed:
        issues += diagnose(_validator().evaluate(instance).errors(), resource_type, resource, root)
    walk(resource_type, resource, root, findings)
    issues += findings.issues
    for expression, name, value in findings.nested:
        if len(issues) > MAX_ISSUES:
            break
        if name != "contained":
            issues += _validate(value, expression, _NOTHING)
        elif not is_contained:
            issues += _validate(value, expression, contained, is_contained=True)
    if inside is not None and not issues:
        issues += containment_issues(resource, root)
    return issues


def _not_a_resource(resource: Any, resource_type: Any, place: str) -> Issue:
    expression = (place,) if place else ()
    if type(resource) is not dict:
        return Issue("A resource is a JSON object with a resourceType.", "structure", "error", expression)
    if not isinstance(resource_type, str):
        return Issue("Say which type of resource this is, in resourceType.", "required", "error", expression)
    near = get_close_matches(resource_type[:40], RESOURCE_TYPES, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return Issue(f"'{resource_type[:40]}' is not a resource type of FHIR R4.{hint}", "structure", "error", expression)


def _contained_ids(inside: list[Any], root: str, issues: list[Issue]) -> frozenset[str]:
    """The ids of contained resources; "" stands for the container, which "#" alone leads to."""
    found = {""}
    for index, each in enumerate(inside):
        identifier = each.get("id") if type(each) is dict else None
        place = (f"{root}.contained[{index}].id",)
        if type(identifier) is not str:
            issues.append(Issue("A contained resource needs an id.", "required", "error", place))
        elif identifier in found:
            issues.append(
                Issue(f"Two contained resources have the id '{identifier[:40]}'.", "duplicate", "error", place)
            )
        else:
            found.add(identifier)
    return frozenset(found)
