"""One resource in one line, for a Vietnamese reader: the narrative of the sections of a summary.

https://hl7.org/fhir/R4/narrative.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

from ..resource.exact import Resource

_CRITICALITY = {"low": "nguy cơ thấp", "high": "nguy cơ cao", "unable-to-assess": "chưa đánh giá được nguy cơ"}
_DATES = (
    "effectiveDateTime effectiveInstant onsetDateTime occurrenceDateTime performedDateTime authoredOn dateAsserted "
    "recordedDate recordedOn date created issued"
).split()
_PERIODS = ("effectivePeriod", "onsetPeriod", "performedPeriod", "period")


def div(vietnamese: str, english: str, lines: Sequence[str], empty: str) -> dict[str, Any]:
    """The Narrative of a section: its title in both languages, then its lines, or the sentence for none."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    body = f"<ul>{items}</ul>" if lines else f"<p>{escape(empty)}</p>"
    title = f"<p><b>{escape(vietnamese)}</b> ({escape(english)})</p>"
    return {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml" lang="vi" xml:lang="vi">{title}{body}</div>',
    }


def line(resource: Resource) -> str:
    """What a resource says, in one line: what, how much or how, when."""
    tell = _TELLERS.get(resource["resourceType"], _plain)
    return "; ".join(part for part in (*tell(resource), day(resource)) if part)


def moment(resource: Resource) -> str:
    """When it was: the FHIR date or the beginning of the period that the resource tells, "" for none."""
    for name in _DATES:
        if isinstance(resource.get(name), str):
            return str(resource[name])
    for name in _PERIODS:
        period = resource.get(name)
        if isinstance(period, dict) and (period.get("start") or period.get("end")):
            return str(period.get("start") or period["end"])
    return ""


def day(resource: Resource) -> str:
    """The date as it is written in Vietnam: 05/03/2026, 03/2026 or 2026."""
    return "/".join(reversed(moment(resource)[:10].split("-")))


def words(concept: Any) -> str:
    """A CodeableConcept in words: its text, else a display, else a code."""
    if not isinstance(concept, dict):
        return ""
    codings = concept.get("coding", [])
    found = [concept.get("text"), *(each.get("display") for each in codings), *(each.get("code") for each in codings)]
    return next((text for text in found if text), "")


def value_of(holder: Resource) -> str:
    """value[x] of an Observation or component in words."""
    quantity = holder.get("valueQuantity")
    if quantity:
        return f"{quantity.get('comparator', '')}{quantity.get('value', '')} {quantity.get('unit', '')}".strip()
    if "valueCodeableConcept" in holder:
        return words(holder["valueCodeableConcept"])
    if "valueBoolean" in holder:
        return "có" if holder["valueBoolean"] else "không"
    plain = ("valueString", "valueInteger", "valueDateTime", "valueTime")
    return next((str(holder[name]) for name in plain if name in holder), "")


def _plain(resource: Resource) -> Iterable[str]:
    return (words(resource.get("code")),)


def _allergy(resource: Resource) -> Iterable[str]:
    signs = [words(each) for reaction in resource.get("reaction", ()) for each in reaction.get("manifestation", ())]
    code = words(resource.get("code"))
    return (code, _CRITICALITY.get(resource.get("criticality", ""), ""), ", ".join(sign for sign in signs if sign))


def _medication(resource: Resource) -> Iterable[str]:
    reference = resource.get("medicationReference", {})
    what = (
        words(resource.get("medicationCodeableConcept")) or reference.get("display") or reference.get("reference", "")
    )
    dosages = resource.get("dosage") or resource.get("dosageInstruction") or ()
    return (what, ", ".join(each["text"] for each in dosages if each.get("text")))


def _immunization(resource: Resource) -> Iterable[str]:
    doses = [each.get("doseNumberPositiveInt") for each in resource.get("protocolApplied", ())]
    return (words(resource.get("vaccineCode")), ", ".join(f"mũi {number}" for number in doses if number))


def _observation(resource: Resource) -> Iterable[str]:
    parts = [(words(each.get("code")), value_of(each)) for each in resource.get("component", ())]
    return (
        f"{words(resource.get('code'))}: {value_of(resource)}".removesuffix(": "),
        ", ".join(f"{name}: {value}" for name, value in parts if value),
    )


def _report(resource: Resource) -> Iterable[str]:
    return (words(resource.get("code")), resource.get("conclusion", ""))


def _device(resource: Resource) -> Iterable[str]:
    device = resource.get("device", {})
    return (device.get("display") or device.get("reference", ""),)


def _plan(resource: Resource) -> Iterable[str]:
    return (resource.get("title", ""), resource.get("description", ""))


_TELLERS: dict[str, Callable[[Resource], Iterable[str]]] = {
    "AllergyIntolerance": _allergy,
    "CarePlan": _plan,
    "DeviceUseStatement": _device,
    "DiagnosticReport": _report,
    "Immunization": _immunization,
    "MedicationRequest": _medication,
    "MedicationStatement": _medication,
    "Observation": _observation,
}
