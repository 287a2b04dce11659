"""Profiles: what each thing a StructureDefinition can ask makes of a resource that does and does not do it."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.resource.profiles import Problem, lay_out
from fhir_server.resource.profiles_validation import Profiles

Json = dict[str, Any]
CORE = "http://hl7.org/fhir/StructureDefinition"
BASE = "http://hososuckhoe.example.vn/fhir/StructureDefinition"
URL = f"{BASE}/asked"
CCCD = "http://fhir.ehealth.gov.vn/core/sid/cccd"
LOINC = "http://loinc.org"


def definition(kind: str, *elements: Json, name: str = "asked", base: str = "", **more: Any) -> Json:
    return {
        "resourceType": "StructureDefinition",
        "url": f"{BASE}/{name}",
        "type": kind,
        "baseDefinition": base or f"{CORE}/{kind}",
        "derivation": "constraint",
        "differential": {"element": list(elements)},
        **more,
    }


def element(identifier: str, **asks: Any) -> Json:
    path = ".".join(part.partition(":")[0] for part in identifier.split("."))
    name = identifier.rpartition(".")[2].partition(":")[2]
    return {"id": identifier, "path": path, **({"sliceName": name} if name else {}), **asks}


def found(resource: Json, *definitions: Json, severity: str = "error") -> list[tuple[str, str]]:
    """(expression, what is said) of the issues against the first definition; the others are held too."""
    by_url = {each["url"]: each for each in definitions}
    profiles = Profiles(lambda canonical: by_url.get(canonical.partition("|")[0]), code_check)
    issues = profiles.issues(deepcopy(resource), definitions[0]["url"])
    assert issues is not None
    if any(each.severity == "error" for each in issues):
        assert not profiles.surely_kept(deepcopy(resource), definitions[0]["url"])
    return [(each.expression[0], each.diagnostics.partition(": ")[2]) for each in issues if each.severity == severity]


def code_check(value: Any, kind: str, value_set: str) -> bool | None:
    """Of the value set `lungs` the code A1; of no other anything is known."""
    if not value_set.endswith("lungs"):
        return None
    codes = [each["code"] for each in value["coding"]] if kind == "CodeableConcept" else [value]
    return "A1" in codes


def patient(**more: Any) -> Json:
    return {"resourceType": "Patient", **more}


def observation(**more: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **more}


# --- cardinality, values, types ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "asks", "expected"),
    [
        (patient(), element("Patient.birthDate", min=1), [("Patient.birthDate", "'birthDate' must be there.")]),
        (patient(birthDate="2000"), element("Patient.birthDate", min=1), []),
        (patient(_birthDate={"extension": [{"url": "http://a.vn", "valueCode": "x"}]}),
         element("Patient.birthDate", min=1), []),
        (patient(name=[{"text": "x"}] * 2), element("Patient.name", max="1"),
         [("Patient.name", "'name' may be there at most 1 times, not 2.")]),
        (patient(photo=[{"url": "http://a.vn"}]), element("Patient.photo", max="0"),
         [("Patient.photo", "'photo' must not be there.")]),
        (patient(name=[{"text": "x"}, {"family": "y"}]), element("Patient.name.family", min=1),
         [("Patient.name[0].family", "'family' must be there.")]),
        (patient(), element("Patient.name.family", min=1), []),
        (patient(name=[{"given": ["x"]}]), element("Patient.name.given", min=2),
         [("Patient.name[0].given", "'given' must be there 2 times; it is there 1 times.")]),
        (patient(contact=[{"name": {"text": "x"}}]), element("Patient.contact.relationship", min=1),
         [("Patient.contact[0].relationship", "'relationship' must be there.")]),
        (patient(gender="male"), element("Patient.gender", fixedCode="female"),
         [("Patient.gender", "The value must be female.")]),
        (observation(valueQuantity={"value": Decimal("1.0")}), element("Observation.value[x]",
         fixedQuantity={"value": Decimal("1.00")}), [("Observation.value", "The value must be {'value': Decimal('1.00')}.")]),
        (observation(code={"coding": [{"system": LOINC, "code": "1-8"}, {"code": "z"}], "text": "x"}),
         element("Observation.code", patternCodeableConcept={"coding": [{"system": LOINC, "code": "1-8"}]}), []),
        (observation(code={"coding": [{"system": LOINC, "code": "2-6"}]}),
         element("Observation.code", patternCodeableConcept={"coding": [{"code": "1-8"}]}),
         [("Observation.code", "The value must have {'coding': [{'code': '1-8'}]}.")]),
        (patient(name=[{"text": "Nguyễn"}]), element("Patient.name.text", maxLength=5),
         [("Patient.name[0].text", "The text may have 5 characters.")]),
        (observation(valueString="x"), element("Observation.value[x]", type=[{"code": "Quantity"}]),
         [("Observation.value", "The value must be of the type Quantity, not string.")]),
        (observation(valueQuantity={"value": 1}), element("Observation.value[x]", type=[{"code": "Quantity"}]), []),
        (observation(valueQuantity={"value": 1}), element("Observation.valueQuantity.code", min=1),
         [("Observation.value.code", "'code' must be there.")]),
        (observation(valueString="x"), element("Observation.value[x]:valueQuantity", min=1),
         [("Observation.value", "'value:valueQuantity' must be there.")]),
        (observation(subject={"reference": "Group/1"}), element("Observation.subject", type=[
            {"code": "Reference", "targetProfile": [f"{CORE}/Patient"]}]),
         [("Observation.subject", "The reference must be to Patient, not to a Group.")]),
        (observation(subject={"reference": "http://b.vn/fhir/Patient/1"}), element("Observation.subject", type=[
            {"code": "Reference", "targetProfile": [f"{CORE}/Patient"]}]), []),
        (observation(subject={"display": "x"}), element("Observation.subject", type=[
            {"code": "Reference", "targetProfile": [f"{CORE}/Patient"]}]), []),
        (observation(code={"coding": [{"code": "B"}]}), element("Observation.code", binding={
            "strength": "required", "valueSet": "http://a.vn/lungs"}),
         [("Observation.code", "The code must be from http://a.vn/lungs.")]),
        (observation(code={"coding": [{"code": "A1"}]}), element("Observation.code", binding={
            "strength": "required", "valueSet": "http://a.vn/lungs"}), []),
        (observation(code={"coding": [{"code": "B"}]}), element("Observation.code", binding={
            "strength": "extensible", "valueSet": "http://a.vn/lungs"}), []),
        (patient(), element("Patient.name", mustSupport=True), []),
    ],
)  # fmt: skip
def test_what_an_element_definition_asks(resource: Json, asks: Json, expected: list[tuple[str, str]]) -> None:
    assert found(resource, definition(resource["resourceType"], asks)) == expected


def test_a_binding_that_cannot_be_told_is_said_and_is_no_error() -> None:
    asks = element("Observation.code", binding={"strength": "required", "valueSet": "http://a.vn/other"})
    resource = observation(code={"coding": [{"code": "B"}]})
    assert found(resource, definition("Observation", asks)) == []
    assert found(resource, definition("Observation", asks), severity="information") == [
        ("Observation.code", "Whether the code is from http://a.vn/other cannot be told here.")
    ]


def test_a_profile_is_of_one_type() -> None:
    assert found(patient(), definition("Observation")) == [("Patient", "It is for Observation, and this is a Patient.")]


@pytest.mark.parametrize(
    ("severity", "expression", "expected"),
    [
        ("error", "name.exists()", [("Patient", "vn-1: Một người có tên.")]),
        ("error", "birthDate.exists()", []),
        ("warning", "name.exists()", []),
    ],
)
def test_constraints_are_evaluated(severity: str, expression: str, expected: list[tuple[str, str]]) -> None:
    rule = {"key": "vn-1", "severity": severity, "human": "Một người có tên.", "expression": expression}
    assert found(patient(birthDate="2000"), definition("Patient", element("Patient", constraint=[rule]))) == expected


def test_a_constraint_that_cannot_be_evaluated_is_named_and_is_no_error() -> None:
    rule = {"key": "vn-2", "severity": "error", "human": "x", "expression": "name.conformsTo('x')"}
    asks = definition("Patient", element("Patient", constraint=[rule]))
    assert found(patient(), asks) == []
    [(_, text)] = found(patient(), asks, severity="information")
    assert text.startswith("The constraint vn-2 was not evaluated")


def test_a_constraint_that_backtracks_takes_no_time() -> None:
    rule = {"key": "vn-3", "severity": "error", "human": "x", "expression": "name.text.matches('^(a+)+b$')"}
    resource = patient(name=[{"text": "a" * 100_000}])
    assert found(resource, definition("Patient", element("Patient", constraint=[rule]))) == [("Patient", "vn-3: x")]


# --- slices -------------------------------------------------------------------------------------------------------------


def sliced(path: str, kind: str, by: str, rules: str = "open", **more: Any) -> Json:
    return element(path, slicing={"discriminator": [{"type": kind, "path": by}], "rules": rules, **more})


CCCD_SLICE = (
    element("Patient.identifier:cccd", min=1, max="1"),
    element("Patient.identifier:cccd.system", min=1, fixedUri=CCCD),
    element("Patient.identifier:cccd.value", min=1, maxLength=12),
)


@pytest.mark.parametrize(
    ("identifiers", "expected"),
    [
        ([], [("Patient.identifier", "'identifier:cccd' must be there.")]),
        ([{"system": "http://a.vn", "value": "1"}], [("Patient.identifier", "'identifier:cccd' must be there.")]),
        ([{"system": "http://a.vn", "value": "1"}, {"system": CCCD, "value": "1"}], []),
        ([{"system": CCCD, "value": "1"}] * 2,
         [("Patient.identifier", "'identifier:cccd' may be there at most 1 times, not 2.")]),
        ([{"system": CCCD}], [("Patient.identifier[0].value", "'value' must be there.")]),
        ([{"system": CCCD, "value": "0" * 13}], [("Patient.identifier[0].value", "The text may have 12 characters.")]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["value", "pattern"])
def test_slices_by_value(kind: str, identifiers: list[Json], expected: list[tuple[str, str]]) -> None:
    asks = definition("Patient", sliced("Patient.identifier", kind, "system"), *CCCD_SLICE)
    resource = patient(identifier=identifiers) if identifiers else patient()
    assert found(resource, asks) == expected


def test_a_closed_slicing_takes_nothing_else() -> None:
    asks = definition("Patient", sliced("Patient.identifier", "value", "system", "closed"), *CCCD_SLICE)
    resource = patient(identifier=[{"system": CCCD, "value": "1"}, {"system": "http://a.vn", "value": "1"}])
    assert found(resource, asks) == [("Patient.identifier[1]", "It is none of the slices that are allowed here.")]


def test_ordered_slices_stand_in_their_order() -> None:
    asks = definition(
        "Patient",
        sliced("Patient.name", "value", "use", ordered=True),
        element("Patient.name:official"),
        element("Patient.name:official.use", fixedCode="official"),
        element("Patient.name:nickname"),
        element("Patient.name:nickname.use", fixedCode="nickname"),
    )
    official, nickname = {"use": "official", "text": "x"}, {"use": "nickname", "text": "y"}
    assert found(patient(name=[official, {"text": "z"}, nickname]), asks) == []
    assert found(patient(name=[nickname, official]), asks) == [
        ("Patient.name", "The slices must stand in this order: official, nickname.")
    ]


def test_slices_by_a_pattern_above_the_discriminator() -> None:
    asks = definition(
        "Observation",
        sliced("Observation.component", "pattern", "code"),
        element("Observation.component:systolic", min=1),
        element("Observation.component:systolic.code", patternCodeableConcept={"coding": [{"code": "8480-6"}]}),
        element("Observation.component:systolic.value[x]", min=1, type=[{"code": "Quantity"}]),
    )
    component = {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueQuantity": {"value": 120}}
    assert found(observation(component=[component]), asks) == []
    assert found(observation(component=[component | {"code": {"text": "x"}}]), asks) == [
        ("Observation.component", "'component:systolic' must be there.")
    ]
    del component["valueQuantity"]
    assert found(observation(component=[component]), asks) == [
        ("Observation.component[0].value", "'value' must be there.")
    ]


def test_slices_by_existence_by_type_and_by_the_type_a_reference_leads_to() -> None:
    exists = definition(
        "Patient",
        sliced("Patient.telecom", "exists", "period"),
        element("Patient.telecom:ended", max="1"),
        element("Patient.telecom:ended.period", min=1),
        element("Patient.telecom:current", max="1"),
        element("Patient.telecom:current.period", max="0"),
    )
    ended, current = {"system": "phone", "value": "1", "period": {"end": "2024"}}, {"system": "phone", "value": "2"}
    assert found(patient(telecom=[ended, current]), exists) == []
    assert found(patient(telecom=[current, current]), exists) == [
        ("Patient.telecom", "'telecom:current' may be there at most 1 times, not 2.")
    ]
    by_type = definition(
        "Bundle",
        sliced("Bundle.entry", "type", "resource"),
        element("Bundle.entry:person", min=1),
        element("Bundle.entry:person.resource", type=[{"code": "Patient"}]),
    )
    bundle: Json = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": observation()}]}
    assert found(bundle, by_type) == [("Bundle.entry", "'entry:person' must be there.")]
    bundle["entry"] += [{"resource": patient()}]
    assert found(bundle, by_type) == []
    by_target = definition(
        "Observation",
        sliced("Observation.performer", "type", "resolve()"),
        element("Observation.performer:who", min=1, type=[
            {"code": "Reference", "targetProfile": [f"{CORE}/Practitioner"]}]),
    )  # fmt: skip
    assert found(observation(performer=[{"reference": "Practitioner/1"}]), by_target) == []
    assert found(observation(performer=[{"reference": "Organization/1"}]), by_target) == [
        ("Observation.performer", "'performer:who' must be there.")
    ]


def test_slices_by_the_profile_of_what_is_inside() -> None:
    named = definition("Patient", element("Patient.name", min=1), name="named")
    asks = definition(
        "Bundle",
        sliced("Bundle.entry", "profile", "resource"),
        element("Bundle.entry:named", min=1),
        element("Bundle.entry:named.resource", type=[{"code": "Patient", "profile": [named["url"]]}]),
    )
    bundle: Json = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient()}]}
    assert found(bundle, asks, named) == [("Bundle.entry", "'entry:named' must be there.")]
    bundle["entry"][0]["resource"]["name"] = [{"text": "x"}]
    assert found(bundle, asks, named) == []


def test_a_discriminator_that_is_not_understood_is_said_and_is_no_error() -> None:
    asks = definition("Patient", sliced("Patient.name", "value", "where(use='x')"), element("Patient.name:a", min=1))
    assert found(patient(name=[{"text": "x"}]), asks) == []
    told = found(patient(name=[{"text": "x"}]), asks, severity="information")
    assert told == [("Patient.name", "The slice 'a' was not checked: its discriminator path is 'where(use='x')'.")]


# --- extensions ---------------------------------------------------------------------------------------------------------

ETHNICITY = f"{BASE}/ethnicity"
ETHNICITY_DEFINITION = definition(
    "Extension",
    element("Extension.url", fixedUri=ETHNICITY),
    element("Extension.value[x]", min=1, type=[{"code": "CodeableConcept"}]),
    name="ethnicity",
)
WITH_ETHNICITY = definition(
    "Patient", element("Patient.extension:ethnicity", min=1, type=[{"code": "Extension", "profile": [ETHNICITY]}])
)


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        ([{"url": ETHNICITY, "valueCodeableConcept": {"text": "Kinh"}}], []),
        ([{"url": "http://a.vn/x", "valueCode": "x"}], [("Patient.extension", "'extension:ethnicity' must be there.")]),
        ([{"url": ETHNICITY, "valueString": "Kinh"}],
         [("Patient.extension[0].value", "The value must be of the type CodeableConcept, not string.")]),
    ],
)  # fmt: skip
def test_an_extension_is_found_by_its_url_and_keeps_its_own_profile(
    extensions: list[Json], expected: list[tuple[str, str]]
) -> None:
    assert found(patient(extension=extensions), WITH_ETHNICITY, ETHNICITY_DEFINITION) == expected


def test_an_extension_whose_profile_is_not_held_is_said() -> None:
    resource = patient(extension=[{"url": ETHNICITY, "valueString": "Kinh"}])
    assert found(resource, WITH_ETHNICITY) == []
    assert found(resource, WITH_ETHNICITY, severity="information") == [
        ("Patient.extension[0]", f"The profile {ETHNICITY} of this element is not on this server: it was not checked.")
    ]


def test_an_extension_of_a_primitive_is_looked_at() -> None:
    asks = definition(
        "Patient",
        element("Patient.birthDate.extension:time", min=1, type=[{"code": "Extension", "profile": [f"{BASE}/time"]}]),
    )
    timed = {"extension": [{"url": f"{BASE}/time", "valueTime": "08:00:00"}]}
    assert found(patient(birthDate="2000-01-01", _birthDate=timed), asks) == []
    assert found(patient(birthDate="2000-01-01"), asks) == [
        ("Patient.birthDate.extension", "'extension:time' must be there.")
    ]


# --- where a profile comes from -----------------------------------------------------------------------------------------


def test_a_profile_adds_to_the_one_it_is_derived_from() -> None:
    base = definition("Patient", sliced("Patient.identifier", "value", "system"), *CCCD_SLICE, name="base")
    derived = definition("Patient", element("Patient.identifier:cccd.period", min=1), base=base["url"])
    resource = patient(identifier=[{"system": CCCD}])
    assert found(resource, derived, base) == [
        ("Patient.identifier[0].value", "'value' must be there."),
        ("Patient.identifier[0].period", "'period' must be there."),
    ]
    assert found(resource, derived, severity="information")[0] == (
        "Patient",
        f"Its base {base['url']} is not on this server: only what it adds was checked.",
    )


def test_a_snapshot_is_taken_before_a_differential_and_what_r4_asks_anyway_is_left_out() -> None:
    snapshot = [
        element("Observation"),
        element("Observation.status", min=1, max="1", type=[{"code": "code"}]),
        element("Observation.code", min=1, max="1", type=[{"code": "CodeableConcept"}]),
        element("Observation.subject", min=1, max="1", type=[{"code": "Reference"}]),
    ]
    profile = lay_out(definition("Observation", snapshot={"element": snapshot}), lambda _: None)
    assert list(profile.root.children) == ["subject"]


def test_elements_without_ids_are_placed_by_path_and_slice_name() -> None:
    asks = definition("Patient", sliced("Patient.identifier", "value", "system"), *CCCD_SLICE)
    for each in asks["differential"]["element"]:
        del each["id"]
    assert found(patient(identifier=[{"system": CCCD}]), asks) == [
        ("Patient.identifier[0].value", "'value' must be there.")
    ]


def test_base_profiles_in_a_circle_and_elements_that_cannot_be_read_are_a_problem_and_no_crash() -> None:
    one = definition("Patient", name="one", base=f"{BASE}/two")
    two = definition("Patient", name="two", base=f"{BASE}/one")
    held = {one["url"]: one, two["url"]: two}
    with pytest.raises(Problem, match="circle"):
        lay_out(one, held.get)
    with pytest.raises(Problem, match="cannot be read"):
        lay_out(definition("Patient", {"id": "Patient.name", "path": "Patient.name", "max": "many"}), held.get)
    broken = definition("Patient", {"id": "Patient.name", "path": "Patient.name", "max": "many"})
    profiles = Profiles(lambda _: broken, code_check)
    [issue] = profiles.issues(patient(), URL) or []
    assert (issue.severity, issue.code) == ("warning", "processing")


def test_profiles_that_name_each_other_over_and_over_are_given_up_with_a_warning() -> None:
    urls = [f"{BASE}/e{number}" for number in range(20)]
    every = [{"code": "Extension", "profile": urls}]
    inner = element("Extension.extension:more", type=every), element("Extension.extension:more.url", fixedUri=ETHNICITY)
    several = [definition("Extension", *inner, element("Extension.id", min=1), name=f"e{n}") for n in range(20)]
    asks = definition("Patient", element("Patient.extension", type=every))
    nested: Json = {"url": ETHNICITY, "valueString": "x"}
    for _ in range(10):
        nested = {"url": ETHNICITY, "extension": [nested]}
    told = found(patient(extension=[nested]), asks, *several, severity="warning")
    assert told == [("Patient", "It asks too much of a resource of this size: what follows was not checked.")]


def test_a_profile_is_laid_out_once_and_anew_when_it_or_its_base_changes() -> None:
    base = definition("Patient", name="base")
    held = {base["url"]: base, URL: definition("Patient", base=base["url"])}
    profiles = Profiles(lambda canonical: held.get(canonical), code_check)
    first = profiles.profile(URL)
    assert profiles.profile(URL) is first
    held[base["url"]] = definition("Patient", element("Patient.name", min=1), name="base")
    second = profiles.profile(URL)
    assert second is not first
    assert profiles.issues(patient(), URL) != []


def test_a_profile_that_is_not_held_is_none() -> None:
    assert Profiles(lambda _: None, code_check).issues(patient(), URL) is None
