"""What the conformance tests share: the records of `world` on a server of their own, made once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from fhir_server.app import create_app
from fhir_server.config import Config
from fhir_server.repository import Repository
from fhir_server.store.records import Store
from tests.conformance.world import RESOURCES


@pytest.fixture(scope="module")
def world(mongod_uri: str) -> Iterator[FlaskClient]:
    """A client of a server that holds the records of `world`. Tests read them and change nothing."""
    store = Store.open(mongod_uri, database=f"test_{uuid.uuid4().hex}")
    client = create_app(Repository(store), config=Config.from_environment({})).test_client()
    for resource in RESOURCES:
        address = f"/fhir/{resource['resourceType']}/{resource['id']}"
        response = client.put(address, data=json.dumps(resource), content_type="application/fhir+json")
        assert response.status_code == 201, response.text
    yield client
    store.client.drop_database(store.database.name)
    store.client.close()
