"""What is kept of contained resources: https://hl7.org/fhir/R4/search.html#contained"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_server import r4
from fhir_server.errors import BadRequest
from fhir_server.records import document_of
from fhir_server.search.contained import contained_indexes, contained_types, refuse_uncontainable
from fhir_server.search.entries import document_fields
from fhir_server.search.paging import SortKey, order_of
from fhir_server.search.query import parse_query

EXAMPLES = Path(__file__).parents[1] / "data" / "r4_examples.jsonl.gz"
MOMENT = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


def _examples():
    with gzip.open(EXAMPLES, "rt", encoding="utf-8") as lines:
        return [each for line in lines if (each := json.loads(line, parse_float=Decimal)).get("contained")]


def test_each_official_contained_resource_is_kept_with_the_fields_of_a_free_standing_one():
    seen = 0
    for resource in _examples():
        kind, logical_id = resource["resourceType"], resource["id"]
        document = document_of(kind, logical_id, 3, resource, "PUT", MOMENT, "http://me/fhir")
        kept = {each["_id"]: each for several in document["contained"].values() for each in several}
        assert sorted(document["contained"]) == contained_types(resource)
        for inner in resource["contained"]:
            found = kept.pop(f"{kind}/{logical_id}#{inner['id']}")
            assert (found["c"], found["v"], found["t"], found.get("o")) == (
                f"{kind}/{logical_id}",
                3,
                MOMENT,
                document.get("o"),
            )
            fields = document_fields(inner["resourceType"], inner, "http://me/fhir")
            assert {name: found[name] for name in fields} == fields
            assert json.loads(found["json"], parse_float=Decimal) == found["resource"] == inner
            same = [each for each in resource["contained"] if each["resourceType"] == inner["resourceType"]]
            assert found["n"] == len(same)
            seen += 1
        assert kept == {}
    assert seen > 100


def test_a_contained_resource_is_in_the_compartments_of_its_container():
    resource = {
        "resourceType": "MedicationRequest",
        "contained": [{"resourceType": "Medication", "id": "m"}],
        "subject": {"reference": "http://me/fhir/Patient/1"},
        "encounter": {"reference": "Encounter/2"},
        "requester": {"reference": "Practitioner/3"},
        "insurance": [{"reference": "Coverage/4"}],
    }
    document = document_of("MedicationRequest", "x", 1, resource, "POST", MOMENT, "http://me/fhir")
    ((kept,),) = document["contained"].values()
    assert kept["p"] == ["Encounter/2", "Patient/1", "Practitioner/3"]


def test_a_resource_without_contained_ones_is_kept_as_it_always_was():
    assert "contained" not in document_of("Basic", "x", 1, {"resourceType": "Basic"}, "POST", MOMENT, "")


@pytest.mark.parametrize("resource_type", r4.RESOURCE_TYPES)
def test_no_type_has_more_indexes_than_mongodb_takes(resource_type):
    keys = [tuple(each for each, _ in keys) for keys, _ in contained_indexes(resource_type)]
    assert len(keys) == len(set(keys)) <= 63
    assert ("t", "_id") not in keys


def test_a_filter_expression_is_refused_for_what_stands_deep_inside_it():
    query = parse_query(
        "Patient", [("_contained", "true"), ("_filter", "not (gender eq male or organization.name eq x)")]
    )
    with pytest.raises(BadRequest, match="cannot be combined with a chained parameter"):
        refuse_uncontainable(query)
    refuse_uncontainable(parse_query("Patient", [("_contained", "true"), ("_filter", "not (gender eq male)")]))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([SortKey("s"), SortKey("_id")], [[None, "b"], ["a", "X/1#a"], ["a", "b"], ["đ", "a"]]),
        ([SortKey("s", True), SortKey("_id", True)], [["đ", "a"], ["a", "b"], ["a", "X/1#a"], [None, "b"]]),
    ],
)
def test_positions_of_two_lists_stand_in_the_order_of_mongodb(keys, expected):
    positions: list[list[Any]] = [["a", "b"], [None, "b"], ["đ", "a"], ["a", "X/1#a"]]
    assert sorted(positions, key=order_of(keys)) == expected
