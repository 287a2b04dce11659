"""What is valid R4 comes back as it was; what is not is refused with the element and the reason."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.errors import BadRequest, Issue
from fhir_server.resource.diagnosis import MAX_ISSUES
from fhir_server.resource.validation import validate, validate_issues

Json = dict[str, Any]

PATIENT: Json = {
    "resourceType": "Patient",
    "id": "p-1",
    "identifier": [
        {"system": "http://example.org/card", "value": "GD4790000012345", "period": {"start": "2024-01-01"}}
    ],
    "active": True,
    "name": [{"text": "Nguyễn Thị Mẫu", "family": "Nguyễn", "given": ["Thị", "Mẫu"]}],
    "gender": "female",
    "birthDate": "1984-02-29",
    "managingOrganization": {"reference": "Organization/79001"},
}
OBSERVATION: Json = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    "subject": {"reference": "Patient/p-1"},
    "effectiveDateTime": "2024-06-01T08:30:00+07:00",
    "valueQuantity": {"value": Decimal("61.50"), "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
}
ALLERGY: Json = {
    "resourceType": "AllergyIntolerance",
    "clinicalStatus": {
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"},
        ]
    },
    "patient": {"reference": "Patient/p-1"},
}
ENCOUNTER: Json = {
    "resourceType": "Encounter",
    "status": "finished",
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    "subject": {"reference": "Patient/p-1"},
}


def patient(**changes: Any) -> Json:
    return deepcopy(PATIENT) | changes


def observation(**changes: Any) -> Json:
    return deepcopy(OBSERVATION) | changes


def found(resource: Any) -> list[tuple[str, str]]:
    """(expression, code) of each issue."""
    return [(issue.expression[0] if issue.expression else "", issue.code) for issue in validate_issues(resource)]


@pytest.mark.parametrize("resource", [PATIENT, OBSERVATION, ALLERGY, ENCOUNTER], ids=lambda each: each["resourceType"])
def test_a_valid_resource_comes_back_as_it_was(resource: Json) -> None:
    before = deepcopy(resource)
    assert validate(resource) is resource
    assert resource == before


REFUSED = [
    # structure
    ("unknown element", patient(nationality="VN"), "Patient.nationality", "structure"),
    ("misspelt inner element", patient(name=[{"familly": "Trần"}]), "Patient.name[0].familly", "structure"),
    ("element of another type", observation(birthDate="2020"), "Observation.birthDate", "structure"),
    ("resourceType inside", patient(name=[{"resourceType": "HumanName"}]), "Patient.name[0].resourceType", "structure"),
    ("value instead of list", patient(name={"family": "Trần"}), "Patient.name", "structure"),
    ("list instead of value", patient(gender=["female"]), "Patient.gender", "structure"),
    ("text instead of object", patient(name=["Trần"]), "Patient.name[0]", "structure"),
    ("object instead of text", patient(birthDate={"year": 1984}), "Patient.birthDate", "structure"),
    ("empty list", patient(telecom=[]), "Patient.telecom", "structure"),
    ("empty object", patient(contact=[{"name": {}}]), "Patient.contact[0].name", "structure"),
    ("null", patient(birthDate=None), "Patient.birthDate", "structure"),
    ("boolean as text", patient(active="true"), "Patient.active", "structure"),
    ("number as text", observation(valueQuantity={"value": "61.5"}), "Observation.value.value", "structure"),
    ("two of a choice", observation(valueString="61.5"), "Observation.value", "structure"),
    ("extension of another choice", observation(_valueString={"extension": [{"url": "http://a.vn/x", "valueCode": "a"}]}),
     "Observation.value", "structure"),
    ("unknown primitive sibling", patient(_name={"id": "a"}), "Patient.name", "structure"),
    # cardinality
    ("missing code", patient(link=[{"other": {"reference": "Patient/2"}}]), "Patient.link[0].type", "required"),
    ("missing choice", {"resourceType": "Immunization", "status": "completed", "vaccineCode": {"text": "BCG"},
                        "patient": {"reference": "Patient/1"}}, "Immunization.occurrence", "required"),
    ("extension without url", patient(extension=[{"valueCode": "a"}]), "Patient.extension[0].url", "required"),
    # values
    ("30 February", patient(birthDate="2024-02-30"), "Patient.birthDate", "value"),
    ("29 February of a common year", patient(birthDate="1900-02-29"), "Patient.birthDate", "value"),
    ("Vietnamese date", patient(birthDate="29/02/1984"), "Patient.birthDate", "value"),
    ("time without zone", observation(effectiveDateTime="2024-06-01T08:30:00"), "Observation.effective", "value"),
    ("instant without time", observation(issued="2024-06-01"), "Observation.issued", "value"),
    ("hour 25", observation(effectiveDateTime="2024-06-01T25:30:00Z"), "Observation.effective", "value"),
    ("empty text", patient(name=[{"family": ""}]), "Patient.name[0].family", "value"),
    ("text of blanks", patient(name=[{"family": " \u00a0"}]), "Patient.name[0].family", "value"),
    ("NUL in text", patient(name=[{"family": "a\x00b"}]), "Patient.name[0].family", "value"),
    ("noncharacter in text", patient(name=[{"family": "a\uffffb"}]), "Patient.name[0].family", "value"),
    ("control character in markdown", patient(extension=[{"url": "http://a.vn/x", "valueMarkdown": "a\x0bb"}]),
     "Patient.extension[0].value", "value"),
    ("control character in a uri", patient(identifier=[{"system": "http://a.vn/\x01"}]),
     "Patient.identifier[0].system", "value"),
    ("control character in a code", patient(language="v\x02i"), "Patient.language", "value"),
    ("noncharacter in a code", patient(language="v\ufffei"), "Patient.language", "value"),
    ("control character in a reference", patient(generalPractitioner=[{"reference": "urn:x:\x1f"}]),
     "Patient.generalPractitioner[0].reference", "value"),
    ("noncharacter in a reference", patient(generalPractitioner=[{"reference": "http://a.vn/\uffff"}]),
     "Patient.generalPractitioner[0].reference", "value"),
    ("form feed in base64", patient(photo=[{"data": "QUJD\x0cQUJD"}]), "Patient.photo[0].data", "value"),
    ("control character in a narrative", patient(text={"status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml">a\x07b</div>'}), "Patient.text.div", "value"),
    ("blank in an id", patient(id="p 1"), "Patient.id", "value"),
    ("65 characters in an id", patient(id="p" * 65), "Patient.id", "value"),
    ("blank in a uri", patient(identifier=[{"system": "the card"}]), "Patient.identifier[0].system", "value"),
    ("blank at the end of a code", patient(language="vi "), "Patient.language", "value"),
    ("base64 cut short", patient(photo=[{"data": "QUJDR"}]), "Patient.photo[0].data", "value"),
    ("negative rank", patient(telecom=[{"rank": 0}]), "Patient.telecom[0].rank", "value"),
    ("integer beyond 32 bits", patient(multipleBirthInteger=2**31), "Patient.multipleBirth", "value"),
    ("integer with a point", patient(multipleBirthInteger=Decimal("1.0")), "Patient.multipleBirth", "value"),
    ("integer with a point in a list", {"resourceType": "ClaimResponse", "status": "active", "type": {"text": "x"},
        "use": "claim", "patient": {"reference": "Patient/1"}, "created": "2024-06-01", "outcome": "complete",
        "insurer": {"display": "BHXH"}, "addItem": [{"itemSequence": [1, Decimal("2.0")],
        "productOrService": {"text": "x"}, "adjudication": [{"category": {"text": "x"}}]}]},
     "ClaimResponse.addItem[0].itemSequence[1]", "value"),
    ("fraction for an integer", patient(multipleBirthInteger=Decimal("1.5")), "Patient.multipleBirth", "structure"),
    ("upper case uuid", {"resourceType": "Parameters", "parameter": [
        {"name": "a", "valueUuid": "urn:uuid:C757873D-EC9A-4326-A141-556F43239520"}
    ]}, "Parameters.parameter[0].value", "value"),
    # codes
    ("code in Vietnamese", patient(gender="nữ"), "Patient.gender", "code-invalid"),
    ("status of another type", observation(status="done"), "Observation.status", "code-invalid"),
    ("code deep inside", patient(name=[{"use": "legal"}]), "Patient.name[0].use", "code-invalid"),
    ("concept of another value set", ALLERGY | {"clinicalStatus": {"coding": [{"code": "alive"}]}},
     "AllergyIntolerance.clinicalStatus", "code-invalid"),
    ("concept without system", ALLERGY | {"clinicalStatus": {"coding": [{"code": "active"}]}},
     "AllergyIntolerance.clinicalStatus", "code-invalid"),
    ("concept of text alone", ALLERGY | {"clinicalStatus": {"text": "active"}},
     "AllergyIntolerance.clinicalStatus", "code-invalid"),
    # references
    ("reference to a wrong type", observation(subject={"reference": "Encounter/1"}),
     "Observation.subject.reference", "value"),
    ("absolute reference to a wrong type", observation(subject={"reference": "http://a.vn/fhir/Encounter/1"}),
     "Observation.subject.reference", "value"),
    ("conditional reference to a wrong type", observation(subject={"reference": "Encounter?identifier=1"}),
     "Observation.subject.reference", "value"),
    ("reference to no type", patient(managingOrganization={"reference": "Hospital/1"}),
     "Patient.managingOrganization.reference", "value"),
    ("reference without type", patient(managingOrganization={"reference": "79001"}),
     "Patient.managingOrganization.reference", "value"),
    ("reference that claims a wrong type", observation(subject={"type": "Encounter", "display": "x"}),
     "Observation.subject.type", "value"),
    ("fragment that leads nowhere", patient(managingOrganization={"reference": "#o"}),
     "Patient.managingOrganization.reference", "not-found"),
    # contained
    ("contained without id", patient(contained=[{"resourceType": "Organization", "name": "x"}]),
     "Patient.contained[0].id", "required"),
    ("contained of no type", patient(contained=[{"resourceType": "Hospital", "id": "o"}]),
     "Patient.contained[0]", "structure"),
    ("error in a contained one", patient(contained=[{"resourceType": "Organization", "id": "o", "name": "x", "active": 1}]),
     "Patient.contained[0].active", "structure"),
    ("twice the same contained id", patient(contained=[{"resourceType": "Organization", "id": "o", "name": "x"}] * 2),
     "Patient.contained[1].id", "duplicate"),
    ("contained in a contained one", patient(contained=[
        {"resourceType": "Organization", "id": "o", "name": "x", "contained": [{"resourceType": "Basic", "id": "b"}]}
    ]), "Patient.contained[0]", "structure"),
    # lists of primitives
    ("null without extension", patient(name=[{"given": ["Thị", None]}]), "Patient.name[0].given[1]", "value"),
    ("lists of unequal length", patient(name=[{"given": ["Thị", "Mẫu"], "_given": [{"id": "a"}]}]),
     "Patient.name[0].given", "structure"),
    ("null beside null", patient(name=[{"given": ["Thị", None], "_given": [None, None]}]),
     "Patient.name[0].given[1]", "value"),
    # periods
    ("period that ends before it starts", ENCOUNTER | {"period": {"start": "2024-05-02", "end": "2024-05-01"}},
     "Encounter.period", "invariant"),
    ("period that ends before it starts in another zone", ENCOUNTER | {
        "period": {"start": "2024-05-01T08:00:00+07:00", "end": "2024-05-01T00:59:59Z"}}, "Encounter.period", "invariant"),
    # what holds resources
    ("entry of a bundle", {"resourceType": "Bundle", "type": "collection", "entry": [
        {"resource": PATIENT}, {"resource": PATIENT | {"gender": "nam"}}
    ]}, "Bundle.entry[1].resource.gender", "code-invalid"),
    ("fragment out of an entry", {"resourceType": "Bundle", "type": "collection", "entry": [
        {"resource": PATIENT | {"managingOrganization": {"reference": "#o"}}}
    ]}, "Bundle.entry[0].resource.managingOrganization.reference", "not-found"),
    ("parameter", {"resourceType": "Parameters", "parameter": [{"name": "a", "resource": {"resourceType": "Patien"}}]},
     "Parameters.parameter[0].resource", "structure"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "expression", "code"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED]
)
def test_a_mistake_is_refused_once_with_its_element_and_kind(resource: Json, expression: str, code: str) -> None:
    assert found(resource) == [(expression, code)]


ACCEPTED = [
    ("non-breaking space", patient(name=[{"family": "Nguyễn\u00a0Văn"}])),
    ("line breaks in text", patient(name=[{"text": "Nguyễn\r\n\tMẫu"}])),
    ("year only", patient(birthDate="1984")),
    ("29 February of 2000", patient(birthDate="2000-02-29")),
    ("leap second", observation(effectiveDateTime="2016-12-31T23:59:60Z")),
    ("absent primitive with an extension", patient(_birthDate={"extension": [{"url": "http://a.vn", "valueCode": "x"}]})),
    ("missing required primitive with an extension", {
        "resourceType": "Observation", "code": {"text": "x"}, "_status": {"extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}}),
    ("aligned extensions", patient(name=[{"given": ["Thị", None], "_given": [
        {"id": "a"}, {"extension": [{"url": "http://a.vn/x", "valueCode": "a"}]}]}])),
    ("choice with its own extension", {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
                                       "valueString": "a", "_valueString": {"id": "b"}}),
    ("two different choices", observation(component=[{"code": {"text": "x"}, "valueBoolean": True}])),
    ("whole number for a decimal", observation(valueQuantity={"value": 61})),
    ("reference with version", observation(subject={"reference": "Patient/p-1/_history/3"})),
    ("absolute reference", observation(subject={"reference": "https://other.example.vn/fhir/Patient/9"})),
    ("reference by uuid", observation(subject={"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"})),
    ("reference by oid", observation(subject={"reference": "urn:oid:1.2.3"})),
    ("conditional reference", observation(subject={"reference": "Patient?identifier=http://a.vn|79"})),
    ("reference to something that is not FHIR", observation(subject={"reference": "http://a.vn/card?no=79"})),
    ("reference by identifier", observation(subject={"identifier": {"value": "79"}, "type": "Patient"})),
    ("reference to any type", observation(focus=[{"reference": "Claim/1"}])),
    ("fragment", patient(contained=[{"resourceType": "Organization", "id": "o", "name": "x"}],
                         managingOrganization={"reference": "#o"})),
    ("fragment from one contained resource to another and back", patient(
        contained=[{"resourceType": "Organization", "id": "o", "name": "y", "partOf": {"reference": "#q"}},
                   {"resourceType": "Organization", "id": "q", "name": "x"},
                   {"resourceType": "Provenance", "id": "v", "target": [{"reference": "#"}],
                    "recorded": "2024-06-01T08:30:00Z", "agent": [{"who": {"reference": "#o"}}]}],
        managingOrganization={"reference": "#o"})),
    ("one coding of the value set among others", ALLERGY | {"clinicalStatus": {"coding": [
        {"system": "http://a.vn", "code": "x"}, *ALLERGY["clinicalStatus"]["coding"]]}}),
    ("code of a value set that cannot be listed", patient(photo=[{"contentType": "image/png", "data": "QUJD\nRA=="}])),
    ("period of one day", ENCOUNTER | {"period": {"start": "2024-05-02T10:00:00+07:00", "end": "2024-05-02"}}),
    ("period that ends later in another zone", ENCOUNTER | {
        "period": {"start": "2024-05-02T00:30:00+07:00", "end": "2024-05-01T23:00:00Z"}}),
    ("period within a year", ENCOUNTER | {"period": {"start": "2024-05", "end": "2024"}}),
    ("nested items", {"resourceType": "Questionnaire", "status": "draft", "item": [
        {"linkId": "1", "type": "group", "item": [{"linkId": "1.1", "type": "boolean"}]}]}),
    ("empty resource", {"resourceType": "Basic", "code": {"text": "x"}}),
]  # fmt: skip


@pytest.mark.parametrize("resource", [each[1] for each in ACCEPTED], ids=[each[0] for each in ACCEPTED])
def test_what_only_looks_wrong_is_accepted(resource: Json) -> None:
    assert validate_issues(resource) == []


def message(resource: Any) -> str:
    (issue,) = validate_issues(resource)
    return issue.diagnostics


def test_an_unknown_element_is_answered_with_the_nearest_known_one() -> None:
    assert message(patient(birthdate="1984")) == "Patient has no element 'birthdate'. Did you mean birthDate?"
    assert message(patient(zzz=1)) == "Patient has no element 'zzz'."


def test_a_wrong_code_is_answered_with_the_allowed_ones() -> None:
    assert message(patient(gender="nam")) == '"nam" is not one of female, male, other, unknown.'


def test_at_most_twelve_allowed_codes_are_listed() -> None:
    item = {"linkId": "1", "type": "tekst"}
    assert message({"resourceType": "Questionnaire", "status": "draft", "item": [item]}) == (
        '"tekst" is not one of attachment, boolean, choice, date, dateTime, decimal, display, group, integer, '
        "open-choice, quantity, reference and 4 more."
    )


def test_a_wrong_reference_is_answered_with_the_types_it_may_lead_to() -> None:
    assert message(observation(encounter={"reference": "Patient/1"})) == (
        '"Patient/1" may not be referred to here: only Encounter.'
    )


def test_a_wrong_date_is_answered_with_how_to_write_one() -> None:
    assert message(patient(birthDate="2023-02-29")) == (
        'birthDate must be a date of the calendar: 2024, 2024-02 or 2024-02-29, not "2023-02-29".'
    )


def test_a_missing_choice_is_answered_with_its_alternatives() -> None:
    resource = {"resourceType": "Immunization", "status": "completed", "vaccineCode": {"text": "BCG"}}
    assert message(resource | {"patient": {"reference": "Patient/1"}}) == (
        "Immunization.occurrence is required. Write one of occurrenceDateTime, occurrenceString."
    )


def test_a_long_value_is_cut_and_free_text_is_not_repeated() -> None:
    assert message(patient(gender="x" * 10_000)) == f'"{"x" * 39}… is not one of female, male, other, unknown.'
    assert "Mẫu" not in message(patient(name=[{"text": "Mẫu\x00"}]))


@pytest.mark.parametrize("body", [None, 5, "Patient", [PATIENT], True])
def test_what_is_not_an_object_is_not_a_resource(body: Any) -> None:
    assert validate_issues(body) == [
        Issue("A resource is a JSON object with a resourceType.", "structure", "error", ())
    ]


def test_a_resource_says_its_type() -> None:
    assert found({"id": "1"}) == [("", "required")]
    assert found({"resourceType": ["Patient"]}) == [("", "required")]
    assert message({"resourceType": "patient"}) == "'patient' is not a resource type of FHIR R4. Did you mean Patient?"
    assert found({"resourceType": "DomainResource"}) == [("", "structure")]


def test_every_problem_is_named_at_once() -> None:
    resource = patient(
        gender="nam",
        birthDate="1984-13-01",
        nationality="VN",
        name=[{"period": {"start": "2024", "end": "2023"}}],
        contained=[{"resourceType": "Organization", "id": "o", "active": "yes"}],
    )
    with pytest.raises(BadRequest) as refused:
        validate(resource)
    assert {issue.expression for issue in refused.value.issues} == {
        ("Patient.gender",),
        ("Patient.birthDate",),
        ("Patient.nationality",),
        ("Patient.name[0].period",),
        ("Patient.contained[0].active",),
    }
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "resource",
    [
        patient(name=[{f"x{n}": 1} for n in range(5_000)]),
        patient(**{f"x{n}": 1 for n in range(5_000)}),
        {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": patient(gender="nam")}] * 5_000},
        patient(contact=[{"period": {"start": "2024", "end": "2023"}}] * 5_000),
    ],
    ids=["in a list", "in one object", "in a bundle", "of the walk"],
)
def test_a_flood_of_problems_is_cut_off(resource: Json) -> None:
    issues = validate_issues(resource)
    assert len(issues) == MAX_ISSUES + 1
    assert issues[-1] == Issue("There are more problems than these.", "incomplete", "information")


@pytest.mark.parametrize("value", [10**33, Decimal("1e6000"), Decimal("-0.00"), Decimal("1E-12")])
def test_a_decimal_of_any_size_is_a_decimal(value: Any) -> None:
    assert validate_issues(observation(valueQuantity={"value": value})) == []
