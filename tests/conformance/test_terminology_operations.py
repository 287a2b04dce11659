"""Operations on terminology and $validate: https://hl7.org/fhir/R4/terminology-service.html"""

from __future__ import annotations

import json

from tests.conformance.world import CODES, ICD, LOINC

WEIGHTS = "http://example.vn/fhir/ValueSet/weights"


def _asked(world, address, **parameters):
    response = world.get(f"/fhir/{address}", query_string=parameters)
    assert response.status_code == 200, response.text
    return json.loads(response.data)


def _values(parameters):
    """The parameters of an answer by name, each with its one value."""
    return {
        each["name"]: next(value for key, value in each.items() if key != "name") for each in parameters["parameter"]
    }


def test_expand_lists_the_codes_of_a_value_set(world):
    expected = [{"system": LOINC, "code": "29463-7"}]
    assert _asked(world, "ValueSet/$expand", url=WEIGHTS)["expansion"]["contains"] == expected
    assert _asked(world, "ValueSet/weights/$expand")["expansion"]["contains"] == expected


def test_expand_filters_and_pages_as_the_terminology_capabilities_say(world):
    told = _asked(world, "metadata", mode="terminology")["expansion"]
    assert told["paging"] is True
    genders = "http://hl7.org/fhir/ValueSet/administrative-gender"
    page = _asked(world, "ValueSet/$expand", url=genders, count="2", offset="1")["expansion"]
    assert (page["total"], page["offset"], len(page["contains"])) == (4, 1, 2)
    found = _asked(world, "ValueSet/$expand", url=genders, filter="FEM")["expansion"]["contains"]
    assert [each["code"] for each in found] == ["female"]


def test_a_code_is_in_a_value_set_or_not(world):
    for code, result in (("29463-7", True), ("718-7", False)):
        answer = _asked(world, "ValueSet/$validate-code", url=WEIGHTS, system=LOINC, code=code)
        assert _values(answer)["result"] is result


def test_a_code_is_in_a_code_system_or_not(world):
    for code, result in (("asthma", True), ("gout", False)):
        assert _values(_asked(world, "CodeSystem/$validate-code", url=CODES, code=code))["result"] is result


def test_lookup_tells_of_a_code(world):
    answer = _asked(world, "CodeSystem/$lookup", system=CODES, code="asthma")
    parents = [each["part"] for each in answer["parameter"] if each["name"] == "property"]
    assert parents == [[{"name": "code", "valueCode": "parent"}, {"name": "value", "valueCode": "lung"}]]


def test_subsumes_tells_how_two_codes_stand(world):
    for one, other, outcome in (
        ("lung", "asthma", "subsumes"),
        ("asthma", "lung", "subsumed-by"),
        ("lung", "lung", "equivalent"),
        ("lung", "skin", "not-subsumed"),
    ):
        answer = _asked(world, "CodeSystem/$subsumes", system=CODES, codeA=one, codeB=other)
        assert _values(answer) == {"outcome": outcome}


def test_translate_finds_what_a_concept_map_says(world):
    answer = _asked(
        world, "ConceptMap/$translate", url="http://example.vn/fhir/ConceptMap/to-icd", system=CODES, code="asthma"
    )
    values = _values(answer)
    assert values["result"] is True
    assert {"name": "concept", "valueCoding": {"system": ICD, "code": "J45"}} in values["match"]


def test_validate_names_the_element_that_is_wrong_and_stores_nothing(world):
    wrong = world.post("/fhir/Patient/$validate", json={"resourceType": "Patient", "gender": "nam"})
    assert wrong.status_code == 200
    (issue,) = [each for each in json.loads(wrong.data)["issue"] if each["severity"] == "error"]
    assert (issue["code"], issue["expression"]) == ("code-invalid", ["Patient.gender"])
    right = json.loads(world.post("/fhir/Patient/$validate", json={"resourceType": "Patient", "gender": "male"}).data)
    assert {"error", "fatal"} & {each["severity"] for each in right["issue"]} == set()
    assert json.loads(world.get("/fhir/Patient?_summary=count").data)["total"] == 3
