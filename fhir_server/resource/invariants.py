"""The invariants of R4 that run on every write, as plain Python: https://hl7.org/fhir/R4/conformance-rules.html#constraints

A row per invariant: its key and a predicate on the value it is about. Tests hold each row against its FHIRPath, as
fhirpathpy evaluates it, on the official examples and on changed ones; the others are left to $validate. Predicates see
values that the schema has passed. As in FHIRPath an extension alone makes an element exist, and what is not there makes
nothing false.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from fhir_server.r4 import Invariant, base_type, has_sibling, invariants, properties

Json = dict[str, Any]
Predicate = Callable[[Json], bool]
Maker = Callable[[str], Predicate]
"""A predicate that needs to know of its context which JSON names an element has (value: valueString, _valueString...)."""

UCUM = "http://unitsofmeasure.org"
_TERMS = "http://terminology.hl7.org/CodeSystem/"


def json_names(context: str, *elements: str) -> frozenset[str]:
    """The JSON properties that write any of the elements of a type or backbone, those of their extensions included."""
    found = {name for name, each in properties(context).items() if each.element.name in elements}
    return frozenset(found | {"_" + name for name in found if has_sibling(context, name)})


# --- the shapes most invariants have ---------------------------------------------------------------------------------


def any_of(*elements: str) -> Maker:
    def make(context: str) -> Predicate:
        names = json_names(context, *elements)
        return lambda value: not names.isdisjoint(value)

    return make


def not_both(one: str, other: str) -> Maker:
    def make(context: str) -> Predicate:
        first, second = json_names(context, one), json_names(context, other)
        return lambda value: first.isdisjoint(value) or second.isdisjoint(value)

    return make


def needs(one: str, other: str) -> Maker:
    """`other` is there when `one` is."""

    def make(context: str) -> Predicate:
        first, second = json_names(context, one), json_names(context, other)
        return lambda value: first.isdisjoint(value) or not second.isdisjoint(value)

    return make


def one_of(one: str, other: str) -> Maker:
    """Exactly one of the two."""

    def make(context: str) -> Predicate:
        first, second = json_names(context, one), json_names(context, other)
        return lambda value: first.isdisjoint(value) != second.isdisjoint(value)

    return make


def plain(predicate: Predicate) -> Maker:
    return lambda _: predicate


def coded(concept: Any, system: str, codes: Iterable[str]) -> bool:
    """Whether a CodeableConcept has a coding of the system with one of the codes."""
    codings = concept.get("coding", ()) if concept is not None else ()
    return any(each.get("system") == system and each.get("code") in codes for each in codings)


# --- the others ------------------------------------------------------------------------------------------------------


def _ait_1(value: Json) -> bool:
    if "clinicalStatus" in value:
        return True
    return coded(value.get("verificationStatus"), _TERMS + "allergyintolerance-verification", ("entered-in-error",))


def _ait_2(value: Json) -> bool:
    if "clinicalStatus" not in value:
        return True
    return not coded(value.get("verificationStatus"), _TERMS + "allergyintolerance-verification", ("entered-in-error",))


def _con_4(context: str) -> Predicate:
    names = json_names(context, "abatement")
    return lambda value: (
        names.isdisjoint(value)
        or coded(value.get("clinicalStatus"), _TERMS + "condition-clinical", ("resolved", "remission", "inactive"))
    )


def _con_5(value: Json) -> bool:
    if "clinicalStatus" not in value:
        return True
    return not coded(value.get("verificationStatus"), _TERMS + "condition-ver-status", ("entered-in-error",))


def _obs_7(context: str) -> Predicate:
    names = json_names(context, "value")

    def check(value: Json) -> bool:
        if "component" not in value or names.isdisjoint(value):
            return True
        codings = value["code"].get("coding", ())
        return not any(each in codings for part in value["component"] for each in part["code"].get("coding", ()))

    return check


def _distinct_full_urls(value: Json) -> bool:
    if value.get("type") == "history":
        return True
    seen = set()
    for entry in value.get("entry", ()):
        if "fullUrl" in entry:
            resource = entry.get("resource")
            meta = resource.get("meta") if resource is not None else None
            key = entry["fullUrl"], str(meta.get("versionId", "")) if isinstance(meta, dict) else ""
            if key in seen:
                return False
            seen.add(key)
    return True


def _entries(part: str, *kinds: str) -> Maker:
    """Every entry has the part if and only if the bundle is of one of the kinds."""
    return plain(lambda value: all((part in entry) == (value.get("type") in kinds) for entry in value.get("entry", ())))


def _starts_with(kind: str, resource_type: str) -> Maker:
    def check(value: Json) -> bool:
        if value.get("type") != kind or not value.get("entry"):
            return True
        resource = value["entry"][0].get("resource")
        return resource is None or resource.get("resourceType") == resource_type

    return plain(check)


def _document_identified(value: Json) -> bool:
    if value.get("type") != "document":
        return True
    identifier = value.get("identifier", {})
    return ("system" in identifier or "_system" in identifier) and ("value" in identifier or "_value" in identifier)


def _ordered(value: Json) -> bool:
    """rng-2, told where both ends are of the same unit."""
    low, high = value.get("low"), value.get("high")
    if low is None or high is None or "value" not in low or "value" not in high:
        return True
    if any(low.get(part) != high.get(part) for part in ("system", "code", "unit")):
        return True
    return bool(Decimal(str(low["value"])) <= Decimal(str(high["value"])))


def _in_ucum(value: Json) -> bool:
    """What Age and Distance ask of their unit: a code beside a value, and of UCUM."""
    has_code = "code" in value or "_code" in value or ("value" not in value and "_value" not in value)
    return has_code and value.get("system", UCUM) == UCUM


def _age(value: Json) -> bool:
    return _in_ucum(value) and value.get("value", 1) > 0


def _count(value: Json) -> bool:
    return _in_ucum(value) and value.get("code", "1") == "1" and "." not in str(value.get("value", ""))


def _duration(value: Json) -> bool:
    if "code" not in value and "_code" not in value:
        return True
    return value.get("system", UCUM) == UCUM and ("value" in value or "_value" in value)


def _ratio(value: Json) -> bool:
    if ("numerator" in value) != ("denominator" in value):
        return False
    return "numerator" in value or "extension" in value


def _tim_9(value: Json) -> bool:
    if "offset" not in value and "_offset" not in value:
        return True
    moments = value.get("when", ())
    return bool(moments or "_when" in value) and not any(each in ("C", "CM", "CD", "CV") for each in moments)


def _not_at_home(element: str) -> Maker:
    return plain(lambda value: all(each.get("use") != "home" for each in value.get(element, ())))


def _on_behalf_of(value: Json) -> bool:
    """ctm-1, told where the reference says of which type the member is."""
    if "onBehalfOf" not in value or "member" not in value:
        return True
    member = value["member"]
    kind = member.get("type") or str(member.get("reference", "")).rpartition("/")[0].rpartition("/")[2]
    return kind in ("", "Practitioner")


def _boolean_answer(context: str) -> Predicate:
    answers = json_names(context, "answer") - {"answerBoolean", "_answerBoolean"}
    return lambda value: value.get("operator") != "exists" or answers.isdisjoint(value)


RULES: Mapping[str, Mapping[str, Maker]] = {
    "Age": {"age-1": plain(_age)},
    "AllergyIntolerance": {"ait-1": plain(_ait_1), "ait-2": plain(_ait_2)},
    "Appointment.participant": {"app-1": any_of("type", "actor")},
    "AppointmentResponse": {"apr-1": any_of("participantType", "actor")},
    "Attachment": {"att-1": needs("data", "contentType")},
    "AuditEvent.entity": {"sev-1": not_both("name", "query")},
    "Bundle": {
        "bdl-1": plain(lambda value: "total" not in value or value.get("type") in ("searchset", "history")),
        "bdl-2": plain(
            lambda value: (
                value.get("type") == "searchset" or all("search" not in each for each in value.get("entry", ()))
            )
        ),
        "bdl-3": _entries("request", "batch", "transaction", "history"),
        "bdl-4": _entries("response", "batch-response", "transaction-response", "history"),
        "bdl-7": plain(_distinct_full_urls),
        "bdl-9": plain(_document_identified),
        "bdl-10": plain(lambda value: value.get("type") != "document" or "timestamp" in value),
        "bdl-11": _starts_with("document", "Composition"),
        "bdl-12": _starts_with("message", "MessageHeader"),
    },
    "Bundle.entry": {
        "bdl-5": any_of("resource", "request", "response"),
        "bdl-8": plain(lambda value: "/_history/" not in value.get("fullUrl", "")),
    },
    "CarePlan.activity": {"cpl-3": not_both("detail", "reference")},
    "CareTeam.participant": {"ctm-1": plain(_on_behalf_of)},
    "Composition.section": {
        "cmp-1": any_of("text", "entry", "section"),
        "cmp-2": not_both("emptyReason", "entry"),
    },
    "Condition": {"con-4": _con_4, "con-5": plain(_con_5)},
    "Condition.evidence": {"con-2": any_of("code", "detail")},
    "Condition.stage": {"con-1": any_of("summary", "assessment")},
    "Consent": {"ppc-1": any_of("policy", "policyRule")},
    "ContactPoint": {"cpt-2": needs("value", "system")},
    "Count": {"cnt-3": plain(_count)},
    "Distance": {"dis-1": plain(_in_ucum)},
    "Duration": {"drt-1": plain(_duration)},
    "Expression": {"exp-1": any_of("expression", "reference")},
    "Extension": {"ext-1": one_of("extension", "value")},
    "FamilyMemberHistory": {"fhs-1": not_both("age", "born"), "fhs-2": needs("estimatedAge", "age")},
    "Goal.target": {"gol-1": needs("detail", "measure")},
    "Immunization.education": {"imm-1": any_of("documentType", "reference")},
    "ImmunizationRecommendation.recommendation": {"imr-1": any_of("vaccineCode", "targetDisease")},
    "List": {"lst-1": not_both("emptyReason", "entry")},
    "MedicationAdministration.dosage": {"mad-1": any_of("dose", "rate")},
    "Observation": {"obs-6": not_both("dataAbsentReason", "value"), "obs-7": _obs_7},
    "Observation.referenceRange": {"obs-3": any_of("low", "high", "text")},
    "Organization": {
        "org-1": any_of("identifier", "name"),
        "org-2": _not_at_home("address"),
        "org-3": _not_at_home("telecom"),
    },
    "Patient.contact": {"pat-1": any_of("name", "telecom", "address", "organization")},
    "Quantity": {"qty-3": needs("code", "system")},
    "Questionnaire.item": {"que-4": not_both("answerOption", "answerValueSet")},
    "Questionnaire.item.enableWhen": {"que-7": _boolean_answer},
    "QuestionnaireResponse.item": {"qrs-1": not_both("answer", "item")},
    "Range": {"rng-2": plain(_ordered)},
    "Ratio": {"rat-1": plain(_ratio)},
    "ServiceRequest": {"prr-1": needs("orderDetail", "code")},
    "Timing.repeat": {
        "tim-1": needs("duration", "durationUnit"),
        "tim-2": needs("period", "periodUnit"),
        "tim-4": plain(lambda value: value.get("duration", 0) >= 0),
        "tim-5": plain(lambda value: value.get("period", 0) >= 0),
        "tim-6": needs("periodMax", "period"),
        "tim-7": needs("durationMax", "duration"),
        "tim-8": needs("countMax", "count"),
        "tim-9": plain(_tim_9),
        "tim-10": not_both("timeOfDay", "when"),
    },
    "TriggerDefinition": {"trd-1": not_both("data", "timing"), "trd-2": needs("condition", "data")},
}
"""`context -> key -> what makes the predicate`. org-2 and org-3 are about one element, and are seen from its parent."""

ELSEWHERE = {
    "dom-2": "fhir_server.resource.validation",
    "dom-3": "fhir_server.resource.containment",
    "dom-4": "fhir_server.resource.containment",
    "dom-5": "fhir_server.resource.containment",
    "ele-1": "fhir_server.resource.checks",
    "per-1": "fhir_server.resource.checks",
    "ref-1": "fhir_server.resource.checks",
    "txt-1": "fhir_server.resource.narrative",
    "txt-2": "fhir_server.resource.narrative",
}
"""Invariants that run on every write too and need more than the value: where they are."""

ON_WRITE = frozenset(key for rows in RULES.values() for key in rows) | frozenset(ELSEWHERE)
"""The keys of all invariants that run on every write."""


def rules_of(context: str) -> tuple[tuple[str, Predicate], ...]:
    """(key, predicate) of a type or backbone, those of the types it is derived from included."""
    found = []
    at = context
    while at:
        found += [(key, make(context)) for key, make in RULES.get(at, {}).items()]
        at = base_type(at)
    return tuple(found)


@cache
def _declared() -> dict[tuple[str, str], Invariant]:
    return {(each.key, context): each for context, several in invariants().items() for each in several}


@cache
def message(key: str, context: str) -> str:
    """What an invariant says, for people: its key and its text."""
    for (declared_key, at), invariant in _declared().items():
        if declared_key == key and (at == context or key in ON_WRITE):
            return f"{key}: {invariant.human}"
    raise KeyError(key)
