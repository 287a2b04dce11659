"""Profiles: discriminators that lead through references, types and extensions; limits of values; repeated content."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.resource.profiles import lay_out
from fhir_server.resource.profiles_validation import Profiles
from tests.resource.test_profiles import (
    BASE,
    CCCD,
    CCCD_SLICE,
    ETHNICITY,
    LOINC,
    WITH_ETHNICITY,
    Json,
    definition,
    element,
    found,
    observation,
    patient,
    sliced,
)


def reference_to(*profiles: str) -> list[Json]:
    return [{"code": "Reference", "targetProfile": list(profiles)}]


# --- resolve() ----------------------------------------------------------------------------------------------------------

NURSE = definition("Practitioner", element("Practitioner.gender", min=1, fixedCode="female"), name="nurse")
BY_NURSE = element("Observation.performer:nurse", min=1, type=reference_to(NURSE["url"]))


def contained(**practitioner: Any) -> Json:
    held = {"resourceType": "Practitioner", "id": "n", **practitioner}
    return observation(contained=[held], performer=[{"reference": "#n"}])


@pytest.mark.parametrize(("kind", "path"), [("profile", "resolve()"), ("value", "resolve().gender")])
def test_slices_by_what_a_reference_into_the_resource_leads_to(kind: str, path: str) -> None:
    asks = definition("Observation", sliced("Observation.performer", kind, path), BY_NURSE)
    assert found(contained(gender="female"), asks, NURSE) == []
    assert found(contained(gender="male"), asks, NURSE) == [
        ("Observation.performer", "'performer:nurse' must be there.")
    ]


def test_slices_by_the_type_of_what_is_contained() -> None:
    asks = definition("Observation", sliced("Observation.performer", "type", "resolve()"), BY_NURSE)
    assert found(contained(), asks, NURSE) == []
    group: Json = {"resourceType": "Organization", "id": "n", "name": "x"}
    assert found(contained() | {"contained": [group]}, asks, NURSE) == [
        ("Observation.performer", "'performer:nurse' must be there.")
    ]


def test_slices_by_the_profile_of_another_entry_of_the_bundle() -> None:
    asks = definition(
        "Bundle",
        element("Bundle.entry.resource", type=[{"code": "Composition", "profile": [f"{BASE}/report"]}]),
    )
    report = definition(
        "Composition",
        sliced("Composition.section.entry", "profile", "resolve()"),
        element("Composition.section.entry:named", min=1, type=reference_to(f"{BASE}/named")),
        name="report",
    )
    named = definition("Patient", element("Patient.name", min=1), name="named")

    def bundle(reference: str, full_url: str, **person: Any) -> Json:
        composition = {"resourceType": "Composition", "section": [{"entry": [{"reference": reference}]}]}
        entries = [
            {"fullUrl": "http://b.vn/fhir/Composition/c", "resource": composition},
            {"fullUrl": full_url, "resource": patient(**person)},
        ]
        return {"resourceType": "Bundle", "type": "document", "entry": entries}

    def missing(resource: Json) -> bool:
        told = [text for _, text in found(resource, asks, report, named)]
        return "'entry:named' must be there." in told

    name = [{"text": "x"}]
    for reference, full_url in (
        ("Patient/1", "http://b.vn/fhir/Patient/1"),
        ("http://b.vn/fhir/Patient/1", "http://b.vn/fhir/Patient/1"),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"),
    ):
        assert not missing(bundle(reference, full_url, name=name))
        assert missing(bundle(reference, full_url))
    assert missing(bundle("Group/1", "http://other.vn/fhir/Patient/1", name=name))


def test_a_reference_that_leaves_the_resource_is_held_against_its_type_or_said_not_to_be_checked() -> None:
    by_profile = definition("Observation", sliced("Observation.performer", "profile", "resolve()"), BY_NURSE)
    outside = observation(performer=[{"reference": "Practitioner/1"}])
    assert found(outside, by_profile, NURSE) == []
    by_value = definition("Observation", sliced("Observation.performer", "value", "resolve().gender"), BY_NURSE)
    assert found(outside, by_value, NURSE) == []
    assert found(outside, by_value, NURSE, severity="information") == [
        (
            "Observation.performer",
            "The slice 'nurse' was not checked: its discriminator follows a reference out of the resource.",
        )
    ]


# --- ofType() and extension() -------------------------------------------------------------------------------------------


def test_slices_by_a_value_of_one_type() -> None:
    asks = definition(
        "Observation",
        sliced("Observation.component", "value", "value.ofType(CodeableConcept).coding.code"),
        element("Observation.component:positive", max="1"),
        element("Observation.component:positive.value[x]", patternCodeableConcept={"coding": [{"code": "positive"}]}),
    )
    positive = {"code": {"text": "x"}, "valueCodeableConcept": {"coding": [{"code": "positive"}]}}
    other = {"code": {"text": "x"}, "valueString": "positive"}
    assert found(observation(component=[positive, other, other]), asks) == []
    assert found(observation(component=[positive, positive]), asks) == [
        ("Observation.component", "'component:positive' may be there at most 1 times, not 2.")
    ]


@pytest.mark.parametrize("quote", ["'", '"'])
@pytest.mark.parametrize(
    "named",
    [{"type": [{"code": "Extension", "profile": [ETHNICITY]}]}, {"url": ETHNICITY}],
    ids=["by its profile", "by its url"],
)
def test_slices_by_an_extension(quote: str, named: Json) -> None:
    own = [element("Patient.contact:kinh.extension:ethnicity", min=1, type=named.get("type", [{"code": "Extension"}]))]
    if "url" in named:
        own.append(element("Patient.contact:kinh.extension:ethnicity.url", fixedUri=ETHNICITY))
    asks = definition(
        "Patient",
        sliced("Patient.contact", "value", f"extension({quote}{ETHNICITY}{quote}).value"),
        element("Patient.contact:kinh", max="1"),
        *own,
        element("Patient.contact:kinh.extension:ethnicity.value[x]", patternCodeableConcept={"text": "Kinh"}),
    )
    kinh, tay = (
        {"extension": [{"url": ETHNICITY, "valueCodeableConcept": {"text": text}}], "name": {"text": "x"}}
        for text in ("Kinh", "Tày")
    )
    assert found(patient(contact=[kinh, tay, tay]), asks) == []
    assert found(patient(contact=[kinh, kinh]), asks) == [
        ("Patient.contact", "'contact:kinh' may be there at most 1 times, not 2.")
    ]


def test_several_discriminators_must_all_hold() -> None:
    slicing = {"discriminator": [{"type": "value", "path": "system"}, {"type": "value", "path": "use"}]}
    asks = definition(
        "Patient",
        element("Patient.identifier", slicing=slicing | {"rules": "open"}),
        element("Patient.identifier:old", max="0"),
        element("Patient.identifier:old.system", fixedUri=CCCD),
        element("Patient.identifier:old.use", fixedCode="old"),
    )
    assert found(patient(identifier=[{"system": CCCD}, {"use": "old"}]), asks) == []
    assert found(patient(identifier=[{"system": CCCD, "use": "old"}]), asks) == [
        ("Patient.identifier", "'identifier:old' must not be there.")
    ]


# --- one text tells the slices apart ------------------------------------------------------------------------------------


def test_slices_that_one_text_tells_apart_are_looked_up_in_one_table() -> None:
    identifiers = definition("Patient", sliced("Patient.identifier", "value", "system"), *CCCD_SLICE)
    assert lay_out(identifiers, lambda _: None).root.children["identifier"].keys == {CCCD: "cccd"}
    assert lay_out(WITH_ETHNICITY, lambda _: None).root.children["extension"].keys == {ETHNICITY: "ethnicity"}
    by_code = definition(
        "Observation",
        sliced("Observation.category", "pattern", "$this"),
        element("Observation.category:lab", patternCodeableConcept={"text": "lab"}),
    )
    assert lay_out(by_code, lambda _: None).root.children["category"].keys is None


# --- limits of values, repeated content ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "asks", "expected"),
    [
        (patient(multipleBirthInteger=0), element("Patient.multipleBirth[x]", minValueInteger=1),
         [("Patient.multipleBirth", "The value must be at least 1.")]),
        (patient(multipleBirthInteger=1), element("Patient.multipleBirth[x]", minValueInteger=1), []),
        (patient(multipleBirthBoolean=False), element("Patient.multipleBirth[x]", minValueInteger=1), []),
        (patient(birthDate="1899-12-31"), element("Patient.birthDate", minValueDate="1900-01-01"),
         [("Patient.birthDate", "The value must be at least 1900-01-01.")]),
        (patient(birthDate="1900"), element("Patient.birthDate", minValueDate="1900-01-01"), []),
        (observation(effectiveDateTime="2026-01-01T08:00:00+07:00"),
         element("Observation.effective[x]", maxValueDateTime="2026-01-01T00:00:00Z"),
         [("Observation.effective", "The value must be at most 2026-01-01T00:00:00Z.")]),
        (observation(effectiveDateTime="2026-01-01T07:00:00+07:00"),
         element("Observation.effective[x]", maxValueDateTime="2026-01-01T00:00:00Z"), []),
        (observation(valueTime="08:30:00"), element("Observation.value[x]", maxValueTime="08:00:00"),
         [("Observation.value", "The value must be at most 08:00:00.")]),
        (observation(valueQuantity={"value": 300, "code": "kg"}),
         element("Observation.value[x]", maxValueQuantity={"value": 250, "code": "kg"}),
         [("Observation.value", "The value must be at most {'value': 250, 'code': 'kg'}.")]),
        (observation(valueQuantity={"value": 300, "code": "g"}),
         element("Observation.value[x]", maxValueQuantity={"value": 250, "code": "kg"}), []),
    ],
)  # fmt: skip
def test_the_least_and_the_most_a_value_may_be(resource: Json, asks: Json, expected: list[tuple[str, str]]) -> None:
    assert found(resource, definition(resource["resourceType"], asks)) == expected


def test_an_item_in_an_item_keeps_what_the_outer_one_keeps() -> None:
    asks = definition(
        "Questionnaire",
        element("Questionnaire.item.text", min=1),
        element("Questionnaire.item.item", contentReference="#Questionnaire.item"),
    )
    item: Json = {"linkId": "1", "type": "group", "text": "x"}
    inner: Json = {"linkId": "1.1.1", "type": "string"}
    nested = item | {"item": [item | {"linkId": "1.1", "item": [inner]}]}
    assert found({"resourceType": "Questionnaire", "status": "draft", "item": [nested]}, asks) == [
        ("Questionnaire.item[0].item[0].item[0].text", "'text' must be there.")
    ]


def test_a_constraint_of_an_element_in_the_middle_is_evaluated_there() -> None:
    rule = {"key": "vn-4", "severity": "error", "human": "x", "expression": "system.exists() or %resource.active"}
    asks = definition("Patient", element("Patient.identifier", constraint=[rule]))
    identifiers = [{"system": CCCD, "value": "1"}, {"value": "2"}]
    assert found(patient(identifier=identifiers, active=True), asks) == []
    assert found(patient(identifier=identifiers, active=False), asks) == [("Patient.identifier[1]", "vn-4: x")]


def test_the_resource_is_left_as_it_was() -> None:
    rule = {"key": "vn-5", "severity": "error", "human": "x", "expression": "code.coding.all(code.exists())"}
    resource = observation(code={"coding": [{"system": LOINC, "code": "1-8"}]})
    asks = definition("Observation", element("Observation", constraint=[rule]))
    before = str(resource)
    assert Profiles(lambda _: asks, lambda *_: None).issues(resource, asks["url"]) == []
    assert str(resource) == before
