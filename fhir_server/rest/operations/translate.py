"""ConceptMap/$translate: what a code is in another code system.

https://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from __future__ import annotations

from typing import Any

from ...errors import BadRequest
from ...resource.exact import parse
from ...terminology.translation import NO_MATCH, Match, translate
from ..call import Answer, Call, Service
from . import answers, terms
from .inputs import Inputs

MAX_MAPS = 50


def translate_code(service: Service, call: Call) -> Answer:
    """200 with result and matches. Raises NotFound, BadRequest, Forbidden."""
    inputs = Inputs(call)
    maps = _maps(service, call, inputs)
    reverse = inputs.flag("reverse")
    target = inputs.text("targetsystem")
    matches = [
        match
        for code, system, _ in terms.coded(inputs)
        for each in maps
        for match in translate(each, code, system, target, reverse=reverse)
    ]
    results: list[dict[str, Any]] = [
        {"name": "result", "valueBoolean": any(each.equivalence not in NO_MATCH for each in matches)}
    ]
    if not matches:
        results.append({"name": "message", "valueString": "No concept map here says anything of this code."})
    results += [{"name": "match", "part": _parts(each)} for each in dict.fromkeys(matches)]
    return answers.parameters(results)


def _maps(service: Service, call: Call, inputs: Inputs) -> list[dict[str, Any]]:
    """The map that is named, or those between the value sets or systems that are."""
    named = terms.definition(service, call, inputs, "conceptMap")
    if named is not None:
        return [named]
    between = {name: value for name in ("source", "target") if (value := inputs.text(name))}
    target = inputs.text("targetsystem")
    systems = {"target-system": target} if target else {}
    sources = sorted({system for _, system, _ in terms.coded(inputs) if system})
    if not inputs.flag("reverse") and not between and sources:
        systems["source-system"] = ",".join(sources)
    if not between and not systems:
        raise BadRequest(
            "Say which map: 'url', the address ConceptMap/<id>, or 'source', 'target', 'targetsystem'.", code="required"
        )
    if not between:
        return _stored(service, call, systems)
    # A map says between which value sets it is as canonical or as uri, and these are two search parameters.
    as_uri = {f"{name}-uri": value for name, value in between.items()}
    return _stored(service, call, systems | between) + _stored(service, call, systems | as_uri)


def _stored(service: Service, call: Call, wanted: dict[str, str]) -> list[dict[str, Any]]:
    escaped = [
        (name, value.replace("\\", "\\\\").replace("|", "\\|").replace("$", "\\$")) for name, value in wanted.items()
    ]
    page = service.repository.search(call.context, "ConceptMap", [*escaped, ("_count", str(MAX_MAPS))])
    return [parse(stored.json) for kind, stored in page.entries if kind == "match" and stored.json is not None]


def _parts(match: Match) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"name": "equivalence", "valueCode": match.equivalence}]
    if match.code:
        coding = {"system": match.system, "code": match.code, "display": match.display}
        parts.append({"name": "concept", "valueCoding": {key: value for key, value in coding.items() if value}})
    if match.source:
        parts.append({"name": "source", "valueUri": match.source})
    return parts
