"""Fixtures every room's tests share: a real mongod for the session, a fresh database for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from fhir_server.store.connection import connect
from fhir_server.store.mongod import Mongod

# The rooms are imported where they are used: a broken room must not take the other rooms' tests with it.
if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from fhir_server.config import Config
    from fhir_server.repository import Repository
    from fhir_server.store.records import Store


@pytest.fixture(scope="session")
def mongod_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a replica set: FHIR_MONGODB_URI when set, else an embedded mongod that lives for the session."""
    if uri := os.environ.get("FHIR_MONGODB_URI"):
        yield uri
        return
    with Mongod(tmp_path_factory.mktemp("mongod"), purpose="test") as mongod:
        yield mongod.uri


@pytest.fixture
def database(mongod_uri: str) -> Iterator[str]:
    """The name of a database without a document, and emptied after the test.

    One for all tests: to make the indexes of a few types anew for each would take longer than most tests do.
    """
    name = f"test_{os.getpid()}"
    yield name
    with connect(mongod_uri) as client:
        for collection in client[name].list_collection_names():
            if collection.startswith("system."):
                client[name].drop_collection(collection)
            else:
                client[name][collection].delete_many({})


@pytest.fixture
def store(mongod_uri: str, database: str) -> Iterator[Store]:
    """A Store on an empty database."""
    from fhir_server.store.records import Store

    store = Store.open(mongod_uri, database=database)
    yield store
    store.client.close()


@pytest.fixture
def repository(store: Store) -> Repository:
    """The repository on an empty database."""
    from fhir_server.repository import Repository

    return Repository(store)


@pytest.fixture
def config() -> Config:
    """The configuration with every default: open access on loopback."""
    from fhir_server.config import Config

    return Config.from_environment({})


@pytest.fixture
def app(repository: Repository, config: Config) -> Flask:
    """The web application on an empty database."""
    from fhir_server.app import create_app

    app = create_app(repository, config=config)
    app.testing = True
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of the application that needs no network."""
    return app.test_client()
