"""CodeSystem/$lookup and $subsumes: what a code means, and how two codes stand to each other.

https://hl7.org/fhir/R4/codesystem-operation-lookup.html and
https://hl7.org/fhir/R4/codesystem-operation-subsumes.html
"""

from __future__ import annotations

from typing import Any

from ...errors import BadRequest
from ...terminology.systems import Concept, System
from ..call import Answer, Call, Service
from . import answers, terms
from .inputs import Inputs

Json = dict[str, Any]


def lookup(service: Service, call: Call) -> Answer:
    """200 with name, display, designations and properties of the code. Raises NotFound, BadRequest, Forbidden."""
    inputs = Inputs(call)
    [(code, url, _)] = terms.coded(inputs)[:1]
    if not url:
        raise BadRequest("Say of which system the code is: 'system'.", code="required")
    terminology = service.repository.conformance.terminology
    system = terminology.known_system(terms.canonical(inputs, url, "version"))
    concept = terminology.concept(system, code)
    return answers.parameters(_described(system, concept, set(inputs.texts("property"))))


def _described(system: System, concept: Concept, wanted: set[str]) -> list[Json]:
    results: list[Json] = [{"name": "name", "valueString": system.name or system.url}]
    if system.version:
        results.append({"name": "version", "valueString": system.version})
    results.append({"name": "display", "valueString": concept.display or concept.code})
    for designation in concept.designation:
        parts = [
            {"name": "language", "valueCode": designation.get("language")},
            {"name": "use", "valueCoding": designation.get("use")},
            {"name": "value", "valueString": designation.get("value")},
        ]
        results.append({"name": "designation", "part": [each for each in parts if list(each.values())[1] is not None]})
    rows: list[tuple[str, str, Any]] = [("definition", "valueString", concept.definition)] if concept.definition else []
    rows += [("parent", "valueCode", each) for each in concept.parents]
    rows += [("child", "valueCode", each) for each in concept.children]
    rows += [
        (str(each.get("code")), name, value)
        for each in concept.properties
        for name, value in each.items()
        if name.startswith("value") and each.get("code") not in ("parent", "child")
    ]
    for code, kind, value in rows:
        if not wanted or code in wanted:
            parts = [{"name": "code", "valueCode": code}, {"name": "value", kind: value}]
            results.append({"name": "property", "part": parts})
    return results


def subsumes(service: Service, call: Call) -> Answer:
    """200 with the outcome: equivalent, subsumes, subsumed-by, not-subsumed. Raises NotFound, BadRequest, Forbidden."""
    inputs = Inputs(call)
    terminology = service.repository.conformance.terminology
    codes, urls = [], set()
    for name in ("A", "B"):
        coding = next(iter(inputs.complex(f"coding{name}", "Coding")), None)
        codes.append(str(coding.get("code", "")) if coding else inputs.required(f"code{name}"))
        if coding and "system" in coding:
            urls.add(str(coding["system"]))
    if url := inputs.text("system"):
        urls.add(url)
    if call.id:
        resource = terms.definition(service, call, inputs, "codeSystem") or {}
        system = terminology.laid_out(resource)
    elif len(urls) == 1:
        system = terminology.known_system(terms.canonical(inputs, urls.pop(), "version"))
    else:
        raise BadRequest("Both codes must be of one system; say which in 'system'.", code="required")
    return answers.parameters([{"name": "outcome", "valueCode": terminology.subsumes(system, codes[0], codes[1])}])
