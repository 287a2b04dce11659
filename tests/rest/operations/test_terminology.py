"""The terminology operations over HTTP: expansion, validation, look-up, subsumption and translation of codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.errors import Forbidden
from fhir_server.rest.call import Answer, Call, Service
from fhir_server.rest.capabilities import Capabilities
from fhir_server.rest.interactions import INTERACTIONS
from fhir_server.rest.operations.registry import OPERATIONS

Json = dict[str, Any]
BASE = "http://hososuckhoe.example.vn/fhir"
DISEASES = f"{BASE}/CodeSystem/diseases"
ALL = f"{BASE}/ValueSet/all"
BLOOD = f"{BASE}/CodeSystem/blood-group"
GENDER = "http://hl7.org/fhir/ValueSet/administrative-gender"


@pytest.fixture(autouse=True)
def definitions(put) -> None:
    put("CodeSystem/diseases", url=DISEASES, version="2", name="Diseases", title="Bệnh", status="active",
        content="complete", concept=[
            {"code": "A", "display": "Bệnh truyền nhiễm",
             "property": [{"code": "notSelectable", "valueBoolean": True}], "concept": [
                {"code": "A1", "display": "Lao phổi", "definition": "Bệnh lao ở phổi",
                 "designation": [{"language": "en", "value": "Pulmonary tuberculosis"}]},
                {"code": "A2", "display": "Đậu mùa", "property": [{"code": "status", "valueCode": "retired"}]}]},
            {"code": "B", "display": "Đái tháo đường"}])  # fmt: skip
    put("ValueSet/all", url=ALL, status="active", compose={"include": [{"system": DISEASES}]})


@pytest.fixture
def told(send) -> Callable[..., Json]:
    """The results of an operation by name; those that come several times as a list."""

    def told(address: str, body: Any = None) -> Json:
        response = send("POST" if body else "GET", f"/fhir/{address}", body)
        assert response.status_code == 200, response.text
        several: dict[str, list[Any]] = {}
        for each in json.loads(response.data)["parameter"]:
            several.setdefault(each["name"], []).append(next(each[key] for key in each if key != "name"))
        return {name: values[0] if len(values) == 1 else values for name, values in several.items()}

    return told


def expansion(answer: Json) -> list[str]:
    return [each["code"] for each in answer["expansion"].get("contains", ())]


# --- $expand ------------------------------------------------------------------------------------------------------------


def test_an_expansion_lists_codes_with_their_displays(get) -> None:
    answer = get(f"ValueSet/$expand?url={ALL}")
    assert (answer["url"], answer["expansion"]["total"]) == (ALL, 4)
    assert "compose" not in answer
    assert answer["expansion"]["contains"] == [
        {"system": DISEASES, "version": "2", "abstract": True, "code": "A", "display": "Bệnh truyền nhiễm"},
        {"system": DISEASES, "version": "2", "code": "A1", "display": "Lao phổi"},
        {"system": DISEASES, "version": "2", "inactive": True, "code": "A2", "display": "Đậu mùa"},
        {"system": DISEASES, "version": "2", "code": "B", "display": "Đái tháo đường"},
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filter=dai thao", ["B"]),
        ("filter=ĐẬU", ["A2"]),
        ("filter=tuberculosis", ["A1"]),
        ("filter=xyz", []),
        ("activeOnly=true", ["A", "A1", "B"]),
        ("excludeNotForUI=true", ["A1", "A2", "B"]),
        ("count=2", ["A", "A1"]),
        ("count=2&offset=2", ["A2", "B"]),
        ("count=0", []),
    ],
)
def test_an_expansion_is_filtered_and_paged(get, query: str, expected: list[str]) -> None:
    assert expansion(get(f"ValueSet/all/$expand?{query}")) == expected


def test_a_page_says_how_many_there_are_and_which_was_asked_for(get) -> None:
    answer = get("ValueSet/all/$expand?count=1&offset=3")["expansion"]
    assert (answer["total"], answer["offset"]) == (4, 3)
    assert answer["parameter"] == [{"name": "offset", "valueInteger": 3}, {"name": "count", "valueInteger": 1}]


def test_a_value_set_in_the_body_and_one_of_r4_are_expanded(send, get) -> None:
    made = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [{"system": BLOOD}]}}
    for body in (made, {"resourceType": "Parameters", "parameter": [{"name": "valueSet", "resource": made}]}):
        answer = json.loads(send("POST", "/fhir/ValueSet/$expand", body).data)
        assert answer["expansion"]["total"] == 14
        assert answer["expansion"]["contains"][0] == {"system": BLOOD, "code": "A", "display": "Nhóm A"}
    genders = get(f"ValueSet/$expand?url={GENDER}")["expansion"]["contains"]
    assert genders[0] == {
        "system": "http://hl7.org/fhir/administrative-gender",
        "version": "4.0.1",
        "code": "female",
        "display": "Female",
    }


def test_designations_and_definition_come_when_asked_for(get) -> None:
    answer = get("ValueSet/all/$expand?includeDesignations=true&includeDefinition=true")
    assert answer["compose"] == {"include": [{"system": DISEASES}]}
    assert answer["expansion"]["contains"][1]["designation"] == [{"language": "en", "value": "Pulmonary tuberculosis"}]


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("ValueSet/$expand", 400, "required"),
        ("ValueSet/$expand?url=http://a.vn/none", 404, "not-found"),
        ("ValueSet/none/$expand", 404, "not-found"),
        ("ValueSet/all/$expand?count=x", 400, "value"),
    ],
)
def test_what_cannot_be_expanded_is_refused(send, issue, address: str, status: int, code: str) -> None:
    response = send("GET", f"/fhir/{address}")
    assert (response.status_code, issue(response)["code"]) == (status, code)


def test_an_expansion_of_too_many_codes_needs_a_count(put, send, issue, get) -> None:
    put("CodeSystem/many", url="http://a.vn/many", status="active", content="complete",
        concept=[{"code": str(number)} for number in range(10_001)])  # fmt: skip
    put("ValueSet/many", url="http://a.vn/v", status="active", compose={"include": [{"system": "http://a.vn/many"}]})
    response = send("GET", "/fhir/ValueSet/many/$expand")
    assert (response.status_code, issue(response)["code"]) == (422, "too-costly")
    assert expansion(get("ValueSet/many/$expand?count=1&offset=10000")) == ["10000"]


# --- $validate-code -----------------------------------------------------------------------------------------------------


def test_a_code_of_a_value_set(told) -> None:
    assert told(f"ValueSet/$validate-code?url={ALL}&system={DISEASES}&code=B") == {
        "result": True,
        "display": "Đái tháo đường",
    }
    assert told("ValueSet/all/$validate-code?code=Z") == {
        "result": False,
        "message": f"The code 'Z' is not in {ALL}.",
    }


def test_one_coding_of_a_concept_is_enough(told) -> None:
    concept = {"coding": [{"system": "http://a.vn", "code": "Z"}, {"system": DISEASES, "code": "B"}]}
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "codeableConcept", "valueCodeableConcept": concept}],
    }
    assert told("ValueSet/all/$validate-code", body)["result"] is True


def test_a_code_of_a_system(told) -> None:
    assert told(f"CodeSystem/$validate-code?url={DISEASES}&code=A1&display=Lao phổi")["result"] is True
    assert told("CodeSystem/diseases/$validate-code?code=Z") == {
        "result": False,
        "message": f"The code 'Z' of {DISEASES} is not in the code system.",
    }
    coding = {"name": "coding", "valueCoding": {"system": "http://a.vn", "code": "A1"}}
    body = {"resourceType": "Parameters", "parameter": [{"name": "url", "valueUri": DISEASES}, coding]}
    assert told("CodeSystem/$validate-code", body)["result"] is False


# --- $lookup, $subsumes -------------------------------------------------------------------------------------------------


def test_a_code_is_looked_up(told) -> None:
    answer = told(f"CodeSystem/$lookup?system={DISEASES}&code=A1")
    assert (answer["name"], answer["version"], answer["display"]) == ("Bệnh", "2", "Lao phổi")
    assert answer["designation"] == [
        {"name": "language", "valueCode": "en"},
        {"name": "value", "valueString": "Pulmonary tuberculosis"},
    ]
    assert answer["property"] == [
        [{"name": "code", "valueCode": "definition"}, {"name": "value", "valueString": "Bệnh lao ở phổi"}],
        [{"name": "code", "valueCode": "parent"}, {"name": "value", "valueCode": "A"}],
    ]
    parents = told(f"CodeSystem/$lookup?system={DISEASES}&code=A1&property=parent")["property"]
    assert parents == [{"name": "code", "valueCode": "parent"}, {"name": "value", "valueCode": "A"}]
    assert told("CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=male")["display"] == "Male"
    assert told(f"CodeSystem/$lookup?system={BLOOD}&code=AB-neg")["display"] == "AB Rh-"


@pytest.mark.parametrize(
    ("query", "status"), [(f"system={DISEASES}&code=Z", 404), ("system=http://a.vn&code=A", 404), ("code=A", 400)]
)
def test_what_cannot_be_looked_up_is_refused(send, query: str, status: int) -> None:
    assert send("GET", f"/fhir/CodeSystem/$lookup?{query}").status_code == status


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [("A", "A1", "subsumes"), ("A1", "A", "subsumed-by"), ("A", "A", "equivalent"), ("A", "B", "not-subsumed")],
)
def test_two_codes_stand_to_each_other(told, one: str, other: str, outcome: str) -> None:
    assert told(f"CodeSystem/$subsumes?system={DISEASES}&codeA={one}&codeB={other}") == {"outcome": outcome}
    assert told(f"CodeSystem/diseases/$subsumes?codeA={one}&codeB={other}") == {"outcome": outcome}


def test_two_codings_stand_to_each_other(told) -> None:
    codings = [
        {"name": f"coding{name}", "valueCoding": {"system": DISEASES, "code": code}}
        for name, code in (("A", "A"), ("B", "A2"))
    ]
    body = {"resourceType": "Parameters", "parameter": codings}
    assert told("CodeSystem/$subsumes", body) == {"outcome": "subsumes"}


# --- $translate ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def icd(put) -> str:
    url = f"{BASE}/ConceptMap/icd"
    put("ConceptMap/icd", url=url, status="active", sourceUri=ALL, targetUri="http://a.vn/ValueSet/icd", group=[
        {"source": DISEASES, "target": "http://hl7.org/fhir/sid/icd-10", "element": [
            {"code": "A1", "target": [{"code": "A15", "display": "Lao", "equivalence": "wider"}]},
            {"code": "A2", "target": [{"equivalence": "unmatched"}]}]}])  # fmt: skip
    return url


@pytest.mark.parametrize(
    "address",
    [
        "ConceptMap/icd/$translate?code=A1",
        f"ConceptMap/$translate?url={BASE}/ConceptMap/icd&code=A1&system={DISEASES}",
        f"ConceptMap/$translate?source={ALL}&code=A1&system={DISEASES}",
        f"ConceptMap/$translate?code=A1&system={DISEASES}&targetsystem=http://hl7.org/fhir/sid/icd-10",
        f"ConceptMap/$translate?code=A1&system={DISEASES}",
    ],
)
def test_a_code_is_translated(told, icd: str, address: str) -> None:
    answer = told(address)
    assert answer["result"] is True
    assert answer["match"] == [
        {"name": "equivalence", "valueCode": "wider"},
        {"name": "concept", "valueCoding": {
            "system": "http://hl7.org/fhir/sid/icd-10", "code": "A15", "display": "Lao"}},
        {"name": "source", "valueUri": icd},
    ]  # fmt: skip


def test_a_code_is_translated_back_and_one_without_a_match_is_said_to_have_none(told, icd: str) -> None:
    back = told("ConceptMap/icd/$translate?code=A15&reverse=true")
    assert back["match"][:2] == [
        {"name": "equivalence", "valueCode": "narrower"},
        {"name": "concept", "valueCoding": {"system": DISEASES, "code": "A1"}},
    ]
    unmatched = told("ConceptMap/icd/$translate?code=A2")
    assert (unmatched["result"], unmatched["match"][0]["valueCode"]) == (False, "unmatched")
    assert told("ConceptMap/icd/$translate?code=Z") == {
        "result": False,
        "message": "No concept map here says anything of this code.",
    }


# --- who may ask --------------------------------------------------------------------------------------------------------


BOUND = AccessContext.for_patient("a", "card:1")


def perform(repository, config, type: str, operation: str, **asked: Any) -> Answer:
    row = next(each for each in OPERATIONS if each.name == operation and each.is_at("type", type))
    service = Service(repository, config, INTERACTIONS, Capabilities(INTERACTIONS))
    return row.perform(service, Call(context=BOUND, base="http://x", type=type, **asked))


@pytest.mark.parametrize(
    ("type", "operation", "query"),
    [
        ("ValueSet", "expand", {"url": ALL}),
        ("ValueSet", "validate-code", {"url": ALL, "system": DISEASES, "code": "A1"}),
        ("CodeSystem", "validate-code", {"url": DISEASES, "code": "A1"}),
        ("CodeSystem", "lookup", {"system": DISEASES, "code": "A1"}),
        ("CodeSystem", "subsumes", {"system": DISEASES, "codeA": "A", "codeB": "A1"}),
        ("ConceptMap", "translate", {"system": DISEASES, "code": "A1"}),
    ],
)
def test_a_caller_bound_to_a_patient_is_told_what_everybody_is(
    repository, config, get, type: str, operation: str, query: Json
) -> None:
    told = json.loads(perform(repository, config, type, operation, query=list(query.items())).body)
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    known = get(f"{type}/${operation}?{asked}")
    for each in (told, known):
        if operation == "expand":
            del each["expansion"]["identifier"], each["expansion"]["timestamp"]
    assert told == known


@pytest.mark.parametrize(
    ("type", "operation", "parameter"),
    [
        ("ValueSet", "expand", "valueSet"),
        ("ValueSet", "validate-code", "valueSet"),
        ("CodeSystem", "validate-code", "codeSystem"),
        ("ConceptMap", "translate", "conceptMap"),
    ],
)
def test_a_caller_bound_to_a_patient_brings_no_definition(
    repository, config, type: str, operation: str, parameter: str
) -> None:
    given = {"name": parameter, "resource": {"resourceType": type, "status": "active"}}
    body = {"resourceType": "Parameters", "parameter": [given, {"name": "code", "valueCode": "A1"}]}
    with pytest.raises(Forbidden, match="not bring a"):
        perform(repository, config, type, operation, resource=body)


def test_a_caller_bound_to_a_patient_has_no_resource_checked(repository, config) -> None:
    with pytest.raises(Forbidden):
        perform(repository, config, "Patient", "validate", resource={"resourceType": "Patient"})
