"""The 727 official examples are valid, but for those that are not valid by the definitions they illustrate."""

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server.r4 import RESOURCE_TYPES
from fhir_server.resource.validation import validate, validate_issues

EXAMPLES = Path(__file__).parents[1] / "data" / "r4_examples.jsonl.gz"

NOT_VALID = {
    "DeviceMetric/example": "its parent is a DeviceDefinition; R4 allows a Device",
    "DeviceUseStatement/example": "its reason is a Procedure; R4 allows Condition, Observation, DiagnosticReport, "
    "DocumentReference and Media",
    "MedicationRequest/medrx0301": "its dispenser is a Practitioner; R4 allows an Organization",
    "Observation/clinical-gender": "its performer is an Encounter; R4 allows people and organizations",
    "Questionnaire/qs1": "32 nested items have no linkId, which R4 requires",
}


def examples() -> Iterator[dict[str, Any]]:
    with gzip.open(EXAMPLES, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line, parse_float=Decimal)


@pytest.fixture(scope="module")
def refused() -> dict[str, list[str]]:
    """`Type/id` of each example that is refused, with the expressions."""
    found = {}
    for each in examples():
        if issues := validate_issues(each):
            found[f"{each['resourceType']}/{each['id']}"] = [issue.expression[0] for issue in issues]
    return found


def test_there_are_727_examples_of_134_types() -> None:
    types = [each["resourceType"] for each in examples()]
    assert len(types) == 727
    assert sorted(set(RESOURCE_TYPES) - set(types)) == [
        *("CodeSystem", "ConceptMap", "OperationDefinition", "Parameters", "SearchParameter", "StructureDefinition"),
        *("SubstanceNucleicAcid", "SubstancePolymer", "SubstanceProtein", "SubstanceReferenceInformation"),
        *("SubstanceSourceMaterial", "ValueSet"),
    ]


def test_all_are_valid_but_those_that_break_the_definitions(refused: dict[str, list[str]]) -> None:
    assert sorted(refused) == sorted(NOT_VALID)


def test_the_few_are_refused_for_the_known_reason(refused: dict[str, list[str]]) -> None:
    assert refused["DeviceMetric/example"] == ["DeviceMetric.parent.reference"]
    assert refused["DeviceUseStatement/example"] == ["DeviceUseStatement.reasonReference[0].reference"]
    assert refused["MedicationRequest/medrx0301"] == ["MedicationRequest.dispenseRequest.performer.reference"]
    assert refused["Observation/clinical-gender"] == ["Observation.performer[0].reference"]
    assert len(refused["Questionnaire/qs1"]) == 32
    assert {expression.rpartition(".")[2] for expression in refused["Questionnaire/qs1"]} == {"linkId"}


def test_validation_changes_nothing() -> None:
    for each in examples():
        if f"{each['resourceType']}/{each['id']}" not in NOT_VALID:
            before = json.dumps(each, default=str)
            assert json.dumps(validate(each), default=str) == before
