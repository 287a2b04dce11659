"""Every official example that is valid is created, and read back as it was, digits included."""

from __future__ import annotations

import pytest

from fhir_server.errors import Unprocessable
from fhir_server.resource.exact import parse, same_content
from tests.repository.people import OPEN, ids
from tests.resource.test_official_examples import NOT_VALID, examples

REFUSED = {"Subscription/example"}
"""Valid, and asks for what this server does not do: tests/rest/test_subscription.py."""


def test_all_official_examples_are_stored_read_back_equal_and_found(repository):
    stored = 0
    for example in examples():
        type, logical_id = example["resourceType"], example["id"]
        if f"{type}/{logical_id}" in NOT_VALID:
            continue
        if f"{type}/{logical_id}" in REFUSED:
            with pytest.raises(Unprocessable):
                repository.update(OPEN, type, logical_id, example)
            continue
        repository.update(OPEN, type, logical_id, example)
        back = parse(repository.read(OPEN, type, logical_id).json)
        assert same_content(back, example), (type, logical_id)
        assert ids(repository.search(OPEN, type, [("_id", logical_id)])) == [logical_id]
        stored += 1
    assert stored == 722 - len(REFUSED)
