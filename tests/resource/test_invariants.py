"""The invariants of R4: as plain Python on every write and by FHIRPath at $validate, and that both say the same."""

import gzip
import json
import random
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhir_server.r4 import invariants
from fhir_server.resource.fhirpath import NotEvaluated, holds
from fhir_server.resource.invariants import ELSEWHERE, ON_WRITE, RULES, rules_of
from fhir_server.resource.invariants_by_fhirpath import invariant_issues
from fhir_server.resource.places import Place, places
from fhir_server.resource.validation import validate_issues

Json = dict[str, Any]
EXAMPLES = Path(__file__).parents[1] / "data" / "r4_examples.jsonl.gz"

NOT_BY_THE_LIBRARY = {
    "ctm-1": "fhirpathpy has no resolve()",
    "dom-3": "as() of several values",
    "rng-2": "fhirpathpy does not compare quantities that are objects",
    "tim-9": "several values in `in`: only when there are several",
}
DISAGREES = {"que-7": "`answer is Boolean` asks for the boolean of FHIRPath, where R4 means its own"}
SEEN_FROM_THE_PARENT = {"org-2": "Organization.address", "org-3": "Organization.telecom"}


@cache
def examples() -> tuple[Json, ...]:
    with gzip.open(EXAMPLES, "rt", encoding="utf-8") as lines:
        return tuple(json.loads(line, parse_float=Decimal) for line in lines if len(line) < 40_000)


def concept(system: str, code: str) -> Json:
    return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": code}]}


def vital(**more: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "a"}]}, **more}


def bundle(type: str, *entries: Json, **more: Any) -> Json:
    return {"resourceType": "Bundle", "type": type, **more, **({"entry": list(entries)} if entries else {})}


def timing(**repeat: Any) -> Json:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": {"display": "x"},
        "occurrenceTiming": {"repeat": repeat},
    }


def quantity_of(kind: str, **quantity: Any) -> Json:
    """A value of a kind of Quantity, where an extension may carry it."""
    return patient(extension=[{"url": "http://a.vn/x", f"value{kind}": quantity}])


def patient(**more: Any) -> Json:
    return {"resourceType": "Patient", **more}


def condition(**more: Any) -> Json:
    return {"resourceType": "Condition", "subject": {"display": "x"}, **more}


def allergy(**more: Any) -> Json:
    return {"resourceType": "AllergyIntolerance", "patient": {"display": "x"}, **more}


def item(**more: Any) -> Json:
    return {"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type": "choice", **more}]}


def trigger(**more: Any) -> Json:
    return {"resourceType": "EventDefinition", "status": "draft", "trigger": [{"type": "data-added", **more}]}


def section(**more: Any) -> Json:
    return {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "x"},
        "date": "2024",
        "author": [{"display": "x"}],
        "title": "x",
        "section": [{"title": "y", **more}],
    }


MG = {"value": 1, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
IN_ERROR = "entered-in-error"

BROKEN: list[tuple[str, str, Json]] = [
    ("age-1", "Patient.extension[0].value", quantity_of("Age", value=-1, system=MG["system"], code="a")),
    ("ait-1", "AllergyIntolerance", allergy(code={"text": "x"})),
    ("ait-2", "AllergyIntolerance", allergy(
        clinicalStatus=concept("allergyintolerance-clinical", "active"),
        verificationStatus=concept("allergyintolerance-verification", IN_ERROR))),
    ("app-1", "Appointment.participant[0]", {
        "resourceType": "Appointment", "status": "proposed", "participant": [{"status": "accepted"}]}),
    ("apr-1", "AppointmentResponse", {
        "resourceType": "AppointmentResponse", "appointment": {"display": "x"}, "participantStatus": "accepted"}),
    ("att-1", "Patient.photo[0]", patient(photo=[{"data": "QUJD"}])),
    ("bdl-1", "Bundle", bundle("collection", total=1)),
    ("bdl-2", "Bundle", bundle("collection", {"resource": patient(), "search": {"mode": "match"}})),
    ("bdl-3", "Bundle", bundle("batch", {"resource": patient()})),
    ("bdl-4", "Bundle", bundle("batch-response", {"resource": patient()})),
    ("bdl-5", "Bundle.entry[0]", bundle("collection", {"fullUrl": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"})),
    ("bdl-7", "Bundle", bundle("collection", *[{"fullUrl": "http://a.vn/Patient/1", "resource": patient()}] * 2)),
    ("bdl-8", "Bundle.entry[0]", bundle("collection", {
        "fullUrl": "http://a.vn/Patient/1/_history/1", "resource": patient()})),
    ("bdl-9", "Bundle", bundle("document", {"resource": section(text=NARRATIVE)}, timestamp="2024-01-01T00:00:00Z")),
    ("bdl-10", "Bundle", bundle("document", {"resource": section(text=NARRATIVE)},
                                identifier={"system": "http://a.vn", "value": "1"})),
    ("bdl-11", "Bundle", bundle("document", {"resource": patient()}, timestamp="2024-01-01T00:00:00Z",
                                identifier={"system": "http://a.vn", "value": "1"})),
    ("bdl-12", "Bundle", bundle("message", {"resource": patient()})),
    ("cmp-1", "Composition.section[0]", section()),
    ("cmp-2", "Composition.section[0]", section(entry=[{"display": "x"}], emptyReason={"text": "x"})),
    ("cnt-3", "Patient.extension[0].value",
     quantity_of("Count", value=Decimal("1.5"), system=MG["system"], code="1")),
    ("con-1", "Condition.stage[0]", condition(stage=[{"type": {"text": "x"}}])),
    ("con-2", "Condition.evidence[0]",
     condition(evidence=[{"extension": [{"url": "http://a.vn/x", "valueCode": "a"}]}])),
    ("con-4", "Condition", condition(
        abatementDateTime="2024", clinicalStatus=concept("condition-clinical", "active"))),
    ("con-5", "Condition", condition(
        clinicalStatus=concept("condition-clinical", "active"),
        verificationStatus=concept("condition-ver-status", IN_ERROR))),
    ("cpl-3", "CarePlan.activity[0]", {
        "resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": {"display": "x"},
        "activity": [{"reference": {"display": "x"}, "detail": {"status": "scheduled"}}]}),
    ("cpt-2", "Patient.telecom[0]", patient(telecom=[{"value": "0900000000"}])),
    ("ctm-1", "CareTeam.participant[0]", {
        "resourceType": "CareTeam", "participant": [
            {"onBehalfOf": {"display": "x"}, "member": {"reference": "Patient/1"}}]}),
    ("dis-1", "Patient.extension[0].value", quantity_of("Distance", value=1, system="http://a.vn", code="km")),
    ("drt-1", "Patient.extension[0].value", quantity_of("Duration", system=MG["system"], code="h")),
    ("exp-1", "Patient.extension[0].value",
     patient(extension=[{"url": "http://a.vn/x", "valueExpression": {"language": "text/cql"}}])),
    ("ext-1", "Patient.extension[0]", patient(extension=[{"url": "http://a.vn/x"}])),
    ("fhs-1", "FamilyMemberHistory", {
        "resourceType": "FamilyMemberHistory", "status": "partial", "patient": {"display": "x"},
        "relationship": {"text": "x"}, "ageString": "x", "bornString": "y"}),
    ("fhs-2", "FamilyMemberHistory", {
        "resourceType": "FamilyMemberHistory", "status": "partial", "patient": {"display": "x"},
        "relationship": {"text": "x"}, "estimatedAge": True}),
    ("gol-1", "Goal.target[0]", {
        "resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "x"},
        "subject": {"display": "x"}, "target": [{"detailString": "x"}]}),
    ("imm-1", "Immunization.education[0]", {
        "resourceType": "Immunization", "status": "completed", "vaccineCode": {"text": "x"},
        "patient": {"display": "x"}, "occurrenceString": "x", "education": [{"publicationDate": "2024"}]}),
    ("imr-1", "ImmunizationRecommendation.recommendation[0]", {
        "resourceType": "ImmunizationRecommendation", "patient": {"display": "x"}, "date": "2024",
        "recommendation": [{"forecastStatus": {"text": "x"}}]}),
    ("lst-1", "List", {
        "resourceType": "List", "status": "current", "mode": "working",
        "entry": [{"item": {"display": "x"}}], "emptyReason": {"text": "x"}}),
    ("mad-1", "MedicationAdministration.dosage", {
        "resourceType": "MedicationAdministration", "status": "completed", "subject": {"display": "x"},
        "medicationReference": {"display": "x"}, "effectiveDateTime": "2024", "dosage": {"text": "x"}}),
    ("obs-3", "Observation.referenceRange[0]", vital(referenceRange=[{"type": {"text": "x"}}])),
    ("obs-6", "Observation", vital(valueString="x", dataAbsentReason={"text": "x"})),
    ("obs-7", "Observation", vital(valueString="x", component=[{"code": {"coding": [{"code": "a"}]}}])),
    ("org-1", "Organization", {"resourceType": "Organization", "active": True}),
    ("org-2", "Organization", {"resourceType": "Organization", "name": "x", "address": [{"use": "home"}]}),
    ("org-3", "Organization", {"resourceType": "Organization", "name": "x", "telecom": [{"use": "home"}]}),
    ("pat-1", "Patient.contact[0]", patient(contact=[{"gender": "female"}])),
    ("ppc-1", "Consent", {
        "resourceType": "Consent", "status": "active", "scope": {"text": "x"}, "category": [{"text": "x"}]}),
    ("prr-1", "ServiceRequest", {
        "resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": {"display": "x"},
        "orderDetail": [{"text": "x"}]}),
    ("qrs-1", "QuestionnaireResponse.item[0]", {
        "resourceType": "QuestionnaireResponse", "status": "completed",
        "item": [{"linkId": "1", "answer": [{"valueString": "x"}], "item": [{"linkId": "2"}]}]}),
    ("qty-3", "Observation.value", vital(valueQuantity={"value": 1, "code": "mg"})),
    ("que-4", "Questionnaire.item[0]",
     item(answerOption=[{"valueString": "x"}], answerValueSet="http://a.vn/ValueSet/x")),
    ("que-7", "Questionnaire.item[0].enableWhen[0]",
     item(enableWhen=[{"question": "0", "operator": "exists", "answerString": "x"}])),
    ("rat-1", "Observation.value", vital(valueRatio={"numerator": MG})),
    ("rng-2", "Observation.value", vital(valueRange={"low": MG | {"value": 2}, "high": MG})),
    ("sev-1", "AuditEvent.entity[0]", {
        "resourceType": "AuditEvent", "type": {"code": "rest"}, "recorded": "2024-01-01T00:00:00Z",
        "agent": [{"requestor": True}], "source": {"observer": {"display": "x"}},
        "entity": [{"name": "x", "query": "QUJD"}]}),
    ("tim-1", "ServiceRequest.occurrence.repeat", timing(duration=1)),
    ("tim-2", "ServiceRequest.occurrence.repeat", timing(period=1)),
    ("tim-4", "ServiceRequest.occurrence.repeat", timing(duration=-1, durationUnit="h")),
    ("tim-5", "ServiceRequest.occurrence.repeat", timing(period=-1, periodUnit="h")),
    ("tim-6", "ServiceRequest.occurrence.repeat", timing(periodMax=1)),
    ("tim-7", "ServiceRequest.occurrence.repeat", timing(durationMax=1)),
    ("tim-8", "ServiceRequest.occurrence.repeat", timing(countMax=1)),
    ("tim-9", "ServiceRequest.occurrence.repeat", timing(offset=1, when=["C"])),
    ("tim-10", "ServiceRequest.occurrence.repeat", timing(timeOfDay=["08:00:00"], when=["C"])),
    ("trd-1", "EventDefinition.trigger[0]", trigger(data=[{"type": "Patient"}], timingDate="2024")),
    ("trd-2", "EventDefinition.trigger[0]", trigger(type="named-event", name="x", condition={"language": "text/cql", "expression": "x"})),
]  # fmt: skip
"""key, the element it is reported at, a resource that breaks this invariant alone."""


@pytest.mark.parametrize(("key", "expression", "resource"), BROKEN, ids=[row[0] for row in BROKEN])
def test_a_resource_that_breaks_an_invariant_is_refused_with_its_key(key: str, expression: str, resource: Json) -> None:
    found = [(issue.diagnostics.split(":")[0], issue.code, issue.expression) for issue in validate_issues(resource)]
    assert found == [(key, "invariant", (expression,))]


@pytest.mark.parametrize(("key", "expression", "resource"), BROKEN, ids=[row[0] for row in BROKEN])
def test_the_library_finds_the_same_one_broken(key: str, expression: str, resource: Json) -> None:
    by_library = invariant_issues(resource, leave_out=set(ELSEWHERE) | {"dom-6"})
    broken = [issue.diagnostics.split(":")[0] for issue in by_library if issue.severity == "error"]
    if key in NOT_BY_THE_LIBRARY and key != "tim-9":
        assert broken == []
        assert [issue.diagnostics.split()[2] for issue in by_library] == [key]
    else:
        assert broken == [key]


def test_every_rule_has_a_resource_that_breaks_it() -> None:
    assert sorted(row[0] for row in BROKEN) == sorted(key for rows in RULES.values() for key in rows)


def _judged(place: Place) -> Iterator[tuple[str, bool, bool]]:
    """(key, by plain Python, by the library) of the rules about one place."""
    for context in place.types():
        for key, make in RULES.get(context, {}).items():
            if key in SEEN_FROM_THE_PARENT:
                continue
            declared = next(each for each in invariants()[context] if each.key == key)
            try:
                by_library = holds(declared.expression, place.value, place.path, place.resource, place.root)
            except NotEvaluated:
                assert key in NOT_BY_THE_LIBRARY, key
                continue
            yield key, make(place.path)(place.value), by_library


def test_plain_python_and_the_library_agree_on_the_official_examples() -> None:
    judged: Counter[str] = Counter()
    different = set()
    for resource in examples():
        for place in places(deepcopy(resource)):
            if isinstance(place.value, dict):
                for key, plain, by_library in _judged(place):
                    judged[key] += 1
                    if plain != by_library:
                        different.add((key, f"{resource['resourceType']}/{resource['id']}"))
    assert different == {("que-7", "Questionnaire/bb")}
    assert sum(judged.values()) > 4_000


def test_plain_python_and_the_library_agree_on_changed_examples() -> None:
    """Elements are taken away, and put in from other examples; what the schema refuses is not judged."""
    chance = random.Random(20241124)
    pool: dict[tuple[str, str], list[Any]] = {}
    for resource in examples():
        for place in places(resource):
            if isinstance(place.value, dict):
                for name, value in place.value.items():
                    pool.setdefault((place.path, name), []).append(value)
    names = {path: [name for at, name in pool if at == path] for path, _ in pool}
    broken: Counter[str] = Counter()
    for resource in examples():
        for _ in range(4):
            changed = _changed(resource, chance, pool, names)
            if any(issue.code != "invariant" for issue in validate_issues(changed)):
                continue
            for place in places(changed):
                if isinstance(place.value, dict):
                    for key, plain, by_library in _judged(place):
                        broken[key] += not by_library
                        assert plain == by_library or key in DISAGREES, (key, place.expression, place.value)
    assert len([key for key, count in broken.items() if count]) >= 15


def _changed(resource: Json, chance: random.Random, pool: dict[Any, list[Any]], names: dict[str, list[str]]) -> Json:
    changed = deepcopy(resource)
    for _ in range(3):
        place = chance.choice([place for place in places(changed) if isinstance(place.value, dict)])
        given = [name for name in place.value if name not in ("resourceType", "id")]
        if given and chance.random() < 0.5:
            del place.value[chance.choice(given)]
        elif place.path in names:
            name = chance.choice(names[place.path])
            if name not in ("resourceType", "id"):
                place.value[name] = deepcopy(chance.choice(pool[place.path, name]))
    return changed


def test_the_official_examples_break_no_invariant_of_severity_error_but_one() -> None:
    warnings: Counter[str] = Counter()
    errors, unknown = set(), set()
    for resource in examples():
        for issue in invariant_issues(resource, leave_out=ON_WRITE | {"dom-6"}):
            key = issue.diagnostics.split(":")[0]
            if issue.severity == "error":
                errors.add(key)
            elif issue.severity == "information":
                unknown.add(issue.diagnostics)
            else:
                warnings[key] += 1
    assert errors == set()
    assert unknown == set()
    assert warnings == {"pdf-0": 6, "tst-0": 1}


def test_an_invariant_the_library_cannot_evaluate_is_named() -> None:
    team = {
        "resourceType": "CareTeam",
        "participant": [{"onBehalfOf": {"display": "x"}, "member": {"reference": "Practitioner/1"}}],
    }
    [issue] = invariant_issues(team, leave_out={"dom-3", "dom-6"})
    assert issue.severity == "information"
    assert issue.diagnostics.startswith("The invariant ctm-1 was not evaluated")
    assert issue.expression == ("CareTeam.participant[0]",)


def test_a_resource_too_large_for_its_time_says_from_where_on_it_was_not_evaluated() -> None:
    [issue] = invariant_issues(patient(name=[{"text": "x"}]), leave_out={"dom-6"}, seconds=-1)
    assert (issue.severity, issue.code, issue.expression) == ("warning", "incomplete", ("Patient",))


CONTAINED = {"resourceType": "Organization", "id": "o", "name": "x"}


@pytest.mark.parametrize(
    ("contained", "expected"),
    [
        (CONTAINED, ("dom-3", "Patient.contained[0]")),
        (CONTAINED | {"endpoint": [{"reference": "#o"}]}, None),
        (CONTAINED | {"partOf": {"reference": "#"}}, None),
    ],
    ids=["named nowhere", "named by itself", "names its container"],
)
def test_a_contained_resource_is_named_by_its_container_or_names_it(
    contained: Json, expected: tuple[str, str] | None
) -> None:
    found = [
        (each.diagnostics.split(":")[0], each.expression[0]) for each in validate_issues(patient(contained=[contained]))
    ]
    assert found == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"versionId": "1"}, ("dom-4", "Patient.contained[0].meta")),
        ({"lastUpdated": "2024-01-01T00:00:00Z"}, ("dom-4", "Patient.contained[0].meta")),
        ({"security": [{"code": "R"}]}, ("dom-5", "Patient.contained[0].meta.security")),
    ],
)
def test_a_contained_resource_has_no_version_and_no_security_label(meta: Json, expected: tuple[str, str]) -> None:
    resource = patient(contained=[CONTAINED | {"meta": meta}], managingOrganization={"reference": "#o"})
    assert [(each.diagnostics.split(":")[0], each.expression[0]) for each in validate_issues(resource)] == [expected]


@pytest.mark.parametrize(
    ("resource", "expression"),
    [
        (patient(name=[{"id": "a"}]), "Patient.name[0]"),
        (patient(_birthDate={"id": "a"}), "Patient.birthDate"),
        (patient(name=[{"given": ["x", None], "_given": [None, {"id": "a"}]}]), "Patient.name[0].given[1]"),
        (patient(name=[{"_given": [{"id": "a"}]}]), "Patient.name[0].given[0]"),
    ],
)
def test_an_element_with_nothing_but_an_id_is_refused(resource: Json, expression: str) -> None:
    [issue] = validate_issues(resource)
    assert (issue.diagnostics.split(":")[0], issue.expression) == ("ele-1", (expression,))


def test_the_rules_of_a_derived_type_include_those_of_its_base() -> None:
    assert [key for key, _ in rules_of("Age")] == ["age-1", "qty-3"]
