"""One population for all tests of a module that only read."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.repository import Repository
from fhir_server.store.records import Store
from tests.repository.people import OPEN, bundle, observation, patient


@pytest.fixture(scope="module")
def population(mongod_uri):
    """(repository, `type -> id -> resource`): 40 patients and 120 observations."""
    store = Store.open(mongod_uri, database=f"test_{uuid.uuid4().hex}")
    repository = Repository(store)
    patients = repository.transaction(OPEN, bundle([patient(number) for number in range(40)]))
    known = [result.stored.id for result in patients]
    observations = repository.transaction(OPEN, bundle([observation(number, known) for number in range(120)]))
    held: dict[str, dict[str, Any]] = {"Patient": {}, "Observation": {}}
    for result in [*patients, *observations]:
        assert result.stored.json
        held[result.stored.type][result.stored.id] = json.loads(result.stored.json, parse_float=Decimal)
    yield repository, held
    store.client.drop_database(store.database_name)
    store.close()
