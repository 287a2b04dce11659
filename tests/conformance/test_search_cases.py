"""Each type of parameter, modifier, prefix and filter of https://hl7.org/fhir/R4/search.html finds what it must."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from tests.conformance.search_cases import CASES


@pytest.mark.parametrize("row", CASES)
def test_it_finds_what_the_specification_says(world, row):
    for search, expected in CASES[row]:
        path, _, parameters = search.partition("?")
        pairs = [(name, value) for name, _, value in (each.partition("=") for each in parameters.split("&"))]
        response = world.get(f"/fhir/{path}".rstrip("/"), query_string=urlencode(pairs))
        assert response.status_code == 200, (search, response.text)
        entries = json.loads(response.data).get("entry", [])
        found = [entry["resource"]["id"] for entry in entries if entry["search"]["mode"] != "outcome"]
        assert len(found) == len(set(found)), search
        assert set(found) == expected, search


@pytest.mark.parametrize(
    ("address", "form", "expected"),
    [
        ("_search", {"_type": "Patient,Location", "_id": "dao,saigon"}, {"dao", "saigon"}),
        ("Patient/dao/Observation/_search", {"status": "amended"}, {"dao-pressure"}),
    ],
)
def test_by_post_it_finds_the_same(world, address, form, expected):
    response = world.post(f"/fhir/{address}", data=form)
    assert response.status_code == 200, response.text
    assert {entry["resource"]["id"] for entry in json.loads(response.data)["entry"]} == expected
