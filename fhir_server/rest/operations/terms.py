"""What the terminology operations share: the resource or canonical a question is about.

The definitions here are public knowledge, so whoever is logged in may ask about them, an app bound to a patient too.
https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from typing import Any

from ...errors import BadRequest, Forbidden, NotFound
from ...resource.exact import parse
from ..call import Call, Service
from .inputs import Inputs

Json = dict[str, Any]


def definition(service: Service, call: Call, inputs: Inputs, parameter: str) -> Json | None:
    """The definition that the address names, the body carries or the parameter `url` names; None when nothing does.

    `parameter` is the name under which the resource itself may be given; a caller bound to a patient asks about what is
    here, and brings no definition to be worked out. Raises NotFound, BadRequest, Forbidden.
    """
    if call.id:
        stored = service.repository.read(call.context, call.type, call.id)
        return parse(stored.json or b"{}")
    given = inputs.resource(parameter) if inputs.values(parameter) else None
    if given is not None:
        if call.context.patient is not None:
            raise Forbidden(
                f"This caller may ask about definitions of this server by url, and not bring a {call.type}."
            )
        if given.get("resourceType") != call.type:
            raise BadRequest(f"'{parameter}' must be a {call.type}.", code="structure")
        return given
    url = inputs.text("url")
    if not url:
        return None
    return by_canonical(service, call.type, canonical(inputs, url, f"{parameter}Version", "version"))


def canonical(inputs: Inputs, url: str, *version_parameters: str) -> str:
    """`url|version` where a version is asked for."""
    for name in version_parameters:
        if version := inputs.text(name):
            return f"{url.partition('|')[0]}|{version}"
    return url


def by_canonical(service: Service, resource_type: str, url: str) -> Json:
    """The stored, packaged or R4 definition. Raises NotFound."""
    conformance = service.repository.conformance
    found = conformance.definitions.find(resource_type, url)
    if found is None and resource_type == "ValueSet":
        found = conformance.terminology.value_set(url)
    if found is None:
        raise NotFound(f"There is no {resource_type} with the url {url[:200]} on this server: create it first.")
    return found


def coded(inputs: Inputs) -> list[tuple[str, str | None, str | None]]:
    """(code, system, display) of what a question is about: code + system, a Coding, or a CodeableConcept."""
    if code := inputs.text("code"):
        return [(code, inputs.text("system"), inputs.text("display"))]
    codings = inputs.complex("coding", "Coding")
    for concept in inputs.complex("codeableConcept", "CodeableConcept"):
        codings = codings + [each for each in concept.get("coding", ()) if isinstance(each, dict)]
    found = [(each.get("code"), each.get("system"), each.get("display")) for each in codings]
    if not found or not all(isinstance(code, str) and code for code, _, _ in found):
        raise BadRequest(
            "Say which code is meant: 'code' and 'system', 'coding' or 'codeableConcept'.", code="required"
        )
    return [(str(code), system, display) for code, system, display in found]
