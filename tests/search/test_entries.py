"""What is indexed of a resource, checked value by value against a FHIRPath interpreter on all official examples."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest

from fhir_server.search.entries import document_fields, extract
from fhir_server.search.parameters import COMPUTED, DOCUMENT_FIELDS, parameters, range_field, token_key
from tests.search import reference

EXAMPLES = Path(__file__).parents[1] / "data" / "r4_examples.jsonl.gz"

# What the interpreter itself cannot evaluate (an inline resource as a reference); tested by itself below, as are the
# parameters on extensions, whose expressions name the extension and mean its value.
NOT_INTERPRETED = {
    "Bundle-composition",
    "Bundle-message",
    "questionnaireresponse-extensions-QuestionnaireResponse-item-subject",  # hasExtension()
}


def examples():
    with gzip.open(EXAMPLES, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line, parse_float=Decimal)


def expected_tokens(value, parameter_type):
    """The bare codes, references or texts that a value must be found by."""
    if parameter_type == "reference":
        if isinstance(value, str):
            return {value.partition("|")[0]}
        text = value.get("reference", "#")
        return set() if text.startswith("#") else {text.partition("/_history/")[0]}
    if parameter_type == "string":
        return {reference.plain(text)[:200] for text in reference.strings(value)} - {""}
    return {code for _, code in reference.token_pairs(value) if code is not None}


def test_every_value_an_official_expression_selects_is_indexed_and_nothing_else():
    compared = 0
    for resource in examples():
        entries = extract(resource["resourceType"], resource)
        for code, parameter in parameters(resource["resourceType"]).items():
            if code in DOCUMENT_FIELDS or parameter.url in COMPUTED or not parameter.sources:
                continue
            of_extension = any("extension[" in source.key for source in parameter.sources)
            if parameter.url.rpartition("/")[2] in NOT_INTERPRETED or of_extension:
                continue
            found = reference.values(resource, code)
            where = (resource["resourceType"], resource.get("id"), code)
            if parameter.type in ("date", "number", "quantity"):
                held = sum(len(entries.ranges.get(range_field(source)[2:], [])) for source in parameter.sources)
                countable = [each for each in found if is_countable(each, parameter.type)]
                assert held == len(countable), where
                compared += held
                continue
            expected = set().union(*(expected_tokens(value, parameter.type) for value in found)) if found else set()
            keys = tuple(token_key(source, parameter.type) for source in parameter.sources)
            targets = {source.target for source in parameter.sources}
            indexed = {token.partition(key)[2] for key in keys for token in entries.tokens if token.startswith(key)}
            if targets != {""}:
                indexed = {each for each in indexed if any(f"{target}/" in each for target in targets)}
            if parameter.type == "string":
                # A part that the full text says already has no entry of its own.
                assert all(any(each.startswith(text) for each in indexed) for text in expected), where
                assert not expected or all(
                    any(text.endswith(each) or each in text or text in each for text in expected) or " " in each
                    for each in indexed
                ), where
            else:
                assert indexed >= expected, where
                assert indexed - expected <= {each for each in indexed if "|" in each}, where
            compared += len(expected)
    assert compared > 6000


def is_countable(value, parameter_type):
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, str):
        return value[:4].isdigit()  # some texts stand where a date may
    if not isinstance(value, dict):
        return True
    if parameter_type == "date":
        return bool({"start", "end", "event"} & value.keys() or "boundsPeriod" in value.get("repeat", {}))
    return "value" in value or "value" in value.get("low", {}) or "value" in value.get("high", {})


def test_a_vietnamese_name_is_indexed_from_each_of_its_words():
    patient = {
        "resourceType": "Patient",
        "name": [{"text": "Nguyễn Thị Ánh Đào", "family": "Nguyễn", "given": ["Thị", "Ánh", "Đào"]}],
    }
    fields = document_fields("Patient", patient)
    assert [token for token in fields["x"] if token.startswith("name")] == [
        "name.family~nguyen",
        "name.given~anh",
        "name.given~dao",
        "name.given~thi",
        "name~anh dao",
        "name~dao",
        "name~nguyen thi anh dao",
        "name~thi anh dao",
    ]
    assert fields["s"] == "dao nguyen thi anh"


def test_an_observation_keeps_few_tokens_its_interval_and_its_amount():
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": "http://me/fhir/Patient/1/_history/3"},
        "effectiveDateTime": "2026-11-20T08:10:00+07:00",
        "valueQuantity": {"value": Decimal("58.50"), "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }
    assert document_fields("Observation", observation, "http://me/fhir") == {
        "x": ["code@|http://loinc.org", "code|29463-7", "status|final", "subject|Patient/1"],
        "k": ["code|29463-7", "subject|Patient/1"],
        "r": {
            "effective": {"low": 1795137000000, "high": 1795137001000, "width": 0},
            "valueQuantity": {
                "low": 58.5,
                "high": 58.5,
                "code": "kg",
                "system": "http://unitsofmeasure.org",
                "unit": "kg",
                "width": 0,
            },
        },
        "s": 1795137000000,
    }


@pytest.mark.parametrize(
    ("deceased", "token"),
    [
        ({}, "deceased|false"),
        ({"deceasedBoolean": False}, "deceased|false"),
        ({"deceasedBoolean": True}, "deceased|true"),
        ({"deceasedDateTime": "2026-01-01"}, "deceased|true"),
    ],
)
def test_whether_a_patient_is_deceased_is_computed(deceased, token):
    tokens = document_fields("Patient", {"resourceType": "Patient", **deceased})["x"]
    assert [each for each in tokens if each.startswith("deceased")] == [token]


def test_the_first_entry_of_a_document_bundle_is_indexed():
    bundle = {
        "resourceType": "Bundle",
        "type": "document",
        "entry": [
            {"resource": {"resourceType": "Composition", "id": "c"}},
            {"resource": {"resourceType": "Patient", "id": "p"}},
        ],
    }
    assert "entry.resource|Composition/c" in document_fields("Bundle", bundle)["x"]


def test_a_date_that_is_none_is_passed_over():
    assert "r" not in document_fields("Patient", {"resourceType": "Patient", "birthDate": "2026-02-30"})


def test_a_parameter_on_an_extension_reads_the_value_of_the_extension():
    url = "http://hl7.org/fhir/StructureDefinition/observation-geneticsGene"
    gene = {"coding": [{"system": "http://www.genenames.org", "code": "12014"}]}
    observation = {
        "resourceType": "Observation",
        "extension": [{"url": url, "valueCodeableConcept": gene}, {"url": "http://other", "valueString": "x"}],
    }
    assert document_fields("Observation", observation)["x"] == [
        "extension[observation-geneticsGene]@|http://www.genenames.org",
        "extension[observation-geneticsGene]|12014",
    ]


def test_item_subject_reads_answers_of_items_that_carry_the_extension_only():
    marked = [{"url": "http://hl7.org/fhir/StructureDefinition/questionnaireresponse-isSubject", "valueBoolean": True}]
    answer = [{"valueReference": {"reference": "Patient/1"}}]
    other = [{"valueReference": {"reference": "Patient/2"}}]
    response = {
        "resourceType": "QuestionnaireResponse",
        "item": [{"linkId": "1", "extension": marked, "answer": answer}, {"linkId": "2", "answer": other}],
    }
    tokens = document_fields("QuestionnaireResponse", response)["x"]
    assert [token for token in tokens if "Patient" in token] == [
        "item[questionnaireresponse-isSubject].answer.valueReference|Patient/1"
    ]
