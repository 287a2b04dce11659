"""$validate-code on ValueSet and CodeSystem: whether a code is one of them.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html and
https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import BadRequest
from ...terminology.service import Validation
from ..call import Answer, Call, Service
from . import answers, terms
from .inputs import Inputs

_Check = Callable[[str, str | None, str | None], Validation]


def validate_code_in_value_set(service: Service, call: Call) -> Answer:
    """200 with result, message and display. Raises NotFound, BadRequest, Unprocessable (too costly), Forbidden."""
    inputs = Inputs(call)
    value_set = terms.definition(service, call, inputs, "valueSet")
    if value_set is None:
        raise BadRequest("Say which value set: 'url', 'valueSet', or the address ValueSet/<id>.", code="required")
    terminology = service.repository.conformance.terminology
    return _answer(inputs, lambda code, system, display: terminology.validate_code(value_set, code, system, display))


def validate_code_in_system(service: Service, call: Call) -> Answer:
    """200 with result, message and display. Raises NotFound, BadRequest, Forbidden."""
    inputs = Inputs(call)
    terminology = service.repository.conformance.terminology
    if call.id or inputs.values("codeSystem"):
        resource = terms.definition(service, call, inputs, "codeSystem") or {}
        system = terminology.laid_out(resource)
    else:
        system = terminology.known_system(terms.canonical(inputs, inputs.required("url"), "version"))

    def check(code: str, of: str | None, display: str | None) -> Validation:
        if of is not None and of != system.url:
            return Validation(False, f"The coding is of the system {of[:200]}, not of {system.url}.")
        return terminology.validate_in_system(system, code, display)

    return _answer(inputs, check)


def _answer(inputs: Inputs, check: _Check) -> Answer:
    """The first coding that passes, or what is said of the first one."""
    found = [check(code, system, display) for code, system, display in terms.coded(inputs)]
    told = next((each for each in found if each.result), found[0])
    results: list[dict[str, Any]] = [{"name": "result", "valueBoolean": told.result}]
    if told.message:
        results.append({"name": "message", "valueString": told.message})
    if told.display:
        results.append({"name": "display", "valueString": told.display})
    return answers.parameters(results)
