"""Part of a resource: https://hl7.org/fhir/R4/search.html#summary"""

from __future__ import annotations

import copy
import gzip
from pathlib import Path
from typing import Any

import pytest

from fhir_server import r4
from fhir_server.errors import BadRequest, Unprocessable
from fhir_server.resource import exact
from fhir_server.resource.summary import SUBSETTED, Subset, cut, refuse_subset, subset_of
from fhir_server.resource.validation import validate_issues

EXAMPLES = Path(__file__).parents[1] / "data" / "r4_examples.jsonl.gz"
NOTE = {"url": "http://example.vn/x", "valueString": "y"}

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"versionId": "3", "tag": [{"code": "own"}]},
    "implicitRules": "http://example.vn/rules",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">a</div>'},
    "contained": [{"resourceType": "Practitioner", "id": "p"}],
    "extension": [NOTE],
    "modifierExtension": [NOTE],
    "status": "final",
    "_status": {"extension": [NOTE]},
    "category": [{"text": "vital signs"}],
    "code": {"text": "cân nặng", "extension": [NOTE], "coding": [{"code": "29463-7", "userSelected": True}]},
    "valueQuantity": {"value": exact.parse_value("1.50"), "unit": "kg", "id": "q"},
    "note": [{"text": "không có gì"}],
    "component": [{"code": {"text": "c"}, "valueInteger": 1, "interpretation": [{"text": "i"}]}],
}
META = {"versionId": "3", "tag": [{"code": "own"}, SUBSETTED]}


def names(resource: dict[str, Any]) -> list[str]:
    return list(resource)


def test_the_summary_holds_what_the_definitions_mark_at_every_level() -> None:
    before = copy.deepcopy(OBSERVATION)
    assert cut(OBSERVATION, Subset("true")) == {
        "resourceType": "Observation",
        "id": "o1",
        "meta": META,
        "implicitRules": "http://example.vn/rules",
        "modifierExtension": [NOTE],
        "status": "final",
        "_status": {"extension": [NOTE]},
        "code": {"text": "cân nặng", "coding": [{"code": "29463-7", "userSelected": True}]},
        "valueQuantity": {"value": exact.parse_value("1.50"), "unit": "kg"},
        "component": [{"code": {"text": "c"}, "valueInteger": 1}],
    }
    assert before == OBSERVATION


def test_text_leaves_the_narrative_and_what_is_mandatory() -> None:
    expected = ["resourceType", "id", "meta", "implicitRules", "text", "modifierExtension", "status", "_status", "code"]
    assert names(cut(OBSERVATION, Subset("text"))) == expected


def test_data_leaves_out_the_narrative_alone() -> None:
    shown = cut(OBSERVATION, Subset("data"))
    assert set(OBSERVATION) - set(shown) == {"text"}
    assert shown["meta"] == META


def test_elements_leave_what_is_named_and_what_is_mandatory() -> None:
    shown = cut(OBSERVATION, Subset(elements=frozenset({"note"})))
    expected = ["resourceType", "id", "meta", "implicitRules", "modifierExtension", "status", "_status", "code", "note"]
    assert names(shown) == expected
    assert shown["code"] == OBSERVATION["code"]


@pytest.mark.parametrize("name", ["value", "value[x]", "valueQuantity"])
def test_a_choice_can_be_named_in_each_of_its_forms(name: str) -> None:
    subset = subset_of([("_elements", name)], "Observation")
    assert subset is not None
    assert cut(OBSERVATION, subset)["valueQuantity"] == OBSERVATION["valueQuantity"]


def test_a_resource_without_meta_gets_one_that_says_so() -> None:
    resource = {"resourceType": "Patient", "id": "1", "active": True}
    assert cut(resource, Subset("data")) == {
        "resourceType": "Patient",
        "id": "1",
        "meta": {"tag": [SUBSETTED]},
        "active": True,
    }


def test_what_is_cut_twice_is_marked_once() -> None:
    once = cut(OBSERVATION, Subset("true"))
    assert cut(once, Subset("true")) == once


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], None),
        ([("_pretty", "true"), ("_summary", "false")], None),
        ([("_summary", "text")], Subset("text")),
        ([("_elements", "name, gender"), ("_elements", "name,")], Subset(elements=frozenset({"name", "gender"}))),
        ([("_elements", "")], None),
        ([("_elements", "birthDate"), ("_summary", "false")], Subset(elements=frozenset({"birthDate"}))),
    ],
)
def test_the_parameters_of_a_request_say_which_part(pairs: list[tuple[str, str]], expected: Subset | None) -> None:
    assert subset_of(pairs, "Patient") == expected


@pytest.mark.parametrize(
    ("pairs", "resource_type"),
    [
        ([("_elements", "colour")], "Patient"),
        ([("_elements", "status")], "Patient"),
        ([("_elements", "name.family")], "Patient"),
        ([("_elements", "colour")], ""),
        ([("_elements", "name"), ("_summary", "true")], "Patient"),
    ],
)
def test_what_there_is_not_is_refused(pairs: list[tuple[str, str]], resource_type: str) -> None:
    with pytest.raises(BadRequest):
        subset_of(pairs, resource_type)


def test_a_part_is_refused_as_a_whole() -> None:
    refuse_subset(OBSERVATION)
    refuse_subset({"resourceType": "Patient", "meta": {"tag": "SUBSETTED"}})
    with pytest.raises(Unprocessable) as caught:
        refuse_subset(cut(OBSERVATION, Subset("true")))
    assert caught.value.issues[0].expression == ("Observation.meta.tag",)


@pytest.mark.parametrize("subset", [Subset("true"), Subset("data"), Subset("text"), Subset(elements=frozenset({"id"}))])
def test_every_part_of_a_valid_example_has_what_is_mandatory(subset: Subset) -> None:
    """All 727 examples. A summary may drop the contained resource a reference points to; nothing else becomes wrong."""
    with gzip.open(EXAMPLES) as lines:
        resources = [exact.parse(line) for line in lines]
    assert len(resources) == 727
    wrong = []
    for resource in resources:
        before = {issue.expression for issue in validate_issues(resource)}
        shown = cut(resource, subset)
        mandatory = {each.name for each in r4.elements(resource["resourceType"]).values() if each.min}
        assert {name for name in mandatory if name in resource} <= set(shown)
        wrong += [
            (resource["resourceType"], resource["id"], issue.diagnostics)
            for issue in validate_issues(shown)
            if issue.code in ("required", "structure") and issue.expression not in before
        ]
    assert wrong == []
