"""What the tests of SMART on FHIR share: a server with it, clients with real keys, and a person with a card and a PIN."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.access.world import BASE, App, Backend, World, patient


@pytest.fixture
def config(tmp_path: Any) -> Any:
    """The configuration of these tests: SMART on FHIR at https addresses."""
    from fhir_server.config import Config

    return Config.from_environment(
        {
            "FHIR_ACCESS": "smart",
            "FHIR_PUBLIC_URL": BASE,
            "FHIR_DATA": str(tmp_path),
            "FHIR_AUDIT": "no",
            "FHIR_CORS_ORIGINS": "https://app.example.vn",
        }
    )


@pytest.fixture
def world(app: Flask, repository: Any, config: Any) -> World:
    """The server, and what is done at it."""
    return World(app, repository, config)


@pytest.fixture
def backend(world: World) -> Backend:
    """A facility's system that may read and search everything and create observations."""
    return world.backend("clinic", ["system/*.rs", "system/Observation.cruds"])


@pytest.fixture
def person(world: World) -> str:
    """The id of an invented person's Patient."""
    return patient(world.repository)


@pytest.fixture
def phone_app(world: World) -> App:
    """A public app for citizens."""
    return world.app("phone", ["patient/*.rs", "launch/patient", "offline_access"])
