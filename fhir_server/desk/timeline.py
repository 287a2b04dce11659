"""A patient's record in the order of time: a line for each thing that happened, as far as the caller may see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fhir_server.access import guard
from fhir_server.desk.paging import behind, cursor_of
from fhir_server.resource import exact

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.repository import Repository

Resource = dict[str, Any]

EACH, SHOWN = 40, 100
"""The newest lines of each type that are read, and all that are shown."""

# type -> (the parameter to sort by, the elements that tell when, the one that tells what)
TYPES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "Encounter": ("-date", ("period",), "class"),
    "Condition": ("-recorded-date", ("recordedDate", "onsetDateTime"), "code"),
    "Observation": ("-date", ("effectiveDateTime", "effectivePeriod", "issued"), "code"),
    "DiagnosticReport": ("-date", ("effectiveDateTime", "effectivePeriod", "issued"), "code"),
    "Procedure": ("-date", ("performedDateTime", "performedPeriod"), "code"),
    "MedicationRequest": ("-authoredon", ("authoredOn",), "medicationCodeableConcept"),
    "Immunization": ("-date", ("occurrenceDateTime",), "vaccineCode"),
    "AllergyIntolerance": ("-date", ("recordedDate",), "code"),
}


class Line(NamedTuple):
    """One line: a FHIR date or "", the resource type, what it is, and its value."""

    when: str
    type: str
    text: str
    value: str
    declared: bool


def timeline(repository: Repository, ctx: AccessContext, patient: str) -> list[Line]:
    """The newest SHOWN lines."""
    lines: list[Line] = []
    for type in TYPES:
        if guard.may(ctx, "s", type):
            lines += of_type(repository, ctx, patient, type, "")[0]
    return sorted(lines, key=lambda line: line.when, reverse=True)[:SHOWN]


def of_type(repository: Repository, ctx: AccessContext, patient: str, type: str, cursor: str) -> tuple[list[Line], str]:
    """A page of the lines of one of TYPES, the newest first, and what the next one is asked with ("" for none)."""
    several, following = page_of(repository, ctx, type, patient, TYPES[type][0], EACH, cursor)
    return [_line(type, each) for each in several], following


def page_of(
    repository: Repository, ctx: AccessContext, type: str, patient: str, order: str, count: int, cursor: str
) -> tuple[list[Resource], str]:
    """A page of what one patient has of a type, in an order, and what the next one is asked with ("" for none)."""
    query = [("patient", f"Patient/{patient}"), ("_sort", order), ("_count", str(count)), ("_total", "none")]
    page = repository.search(ctx, type, behind(query, cursor))
    return [exact.parse(stored.json or b"{}") for _, stored in page.entries], cursor_of(page)


def _line(type: str, resource: Resource) -> Line:
    _, moments, what = TYPES[type]
    when = next((resource[name] for name in moments if name in resource), "")
    if isinstance(when, dict):
        when = when.get("start") or when.get("end") or ""
    text = _words(resource.get(what)) or type
    if type == "Encounter":
        reasons = [_words(each) for each in resource.get("reasonCode", ())]
        place = resource.get("serviceProvider", {}).get("display", "")
        return Line(when, type, "; ".join(filter(None, reasons)) or text, place, _declared(resource))
    return Line(when, type, text, _value(resource), _declared(resource))


def _words(concept: Any) -> str:
    if not isinstance(concept, dict):
        return ""
    if "code" in concept or "display" in concept:
        return str(concept.get("display") or concept.get("code") or "")
    codings = [each.get("display") or each.get("code") or "" for each in concept.get("coding", ())]
    return concept.get("text") or next(filter(None, codings), "")


def _value(resource: Resource) -> str:
    parts = [resource, *resource.get("component", ())]
    values = [
        f"{each['valueQuantity'].get('value', '')} {each['valueQuantity'].get('unit', '')}".strip()
        if "valueQuantity" in each
        else _words(each.get("valueCodeableConcept")) or str(each.get("valueString", ""))
        for each in parts
    ]
    return " / ".join(filter(None, values))


def _declared(resource: Resource) -> bool:
    return any(each.get("code") == "PATAST" for each in resource.get("meta", {}).get("security", ()))
