"""One real server for all cases: two workers, SMART on, two patients whose records name each other, A's card."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from fhir_server.access.tokens import ACCESS_SECONDS
from fhir_server.citizen.cards import IssuedCard, issue_card
from fhir_server.citizen.pins import set_pin
from fhir_server.repository import Repository
from fhir_server.store.records import Store
from tests.abuse.crossed import OPEN, fill
from tests.abuse.site import Site, tokens
from tests.access.world import BASE, CALLBACK, JWKS, PIN, App
from tests.server_process import COMMAND, environment, start

CLIENTS: dict[str, tuple[str, ...]] = {
    "clinic": ("--scope", "system/*.cruds", "--facility", "79001"),
    "reader": ("--scope", "system/Observation.rs"),
    "flood": ("--scope", "system/*.rs"),
    "phone": ("--scope", "patient/*.cruds launch/patient offline_access", "--redirect-uri", CALLBACK),
}


def card_of(repository: Repository, patient: str, pin: str = PIN) -> IssuedCard:
    """A card with a PIN that its holder chose."""
    card = issue_card(repository, OPEN, patient, public_url=BASE)
    set_pin(repository, card.id, pin, change=False)
    return card


@pytest.fixture(scope="session")
def phone(site: Site) -> App:
    """A citizen's app: what it sends, without a server of its own."""
    return _phone()


def _phone() -> App:
    nowhere: Any = None
    return App(nowhere, "phone", scope="launch/patient patient/*.cruds offline_access")


@pytest.fixture(scope="session")
def site(mongod_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server. What a test adds to A's records it names so that the other tests do not meet it."""
    directory = tmp_path_factory.mktemp("abuse")
    settings = {
        "FHIR_ACCESS": "smart",
        "FHIR_MONGODB_URI": mongod_uri,
        "FHIR_DATABASE": f"abuse_{os.getpid()}",
        "FHIR_PUBLIC_URL": BASE,
        "FHIR_PROXIES": "1",
        "FHIR_ACCESS_LOG": "yes",
        "FHIR_LOG_LEVEL": "debug",
    }
    jwks = directory / "jwks.json"
    jwks.write_text(json.dumps(JWKS), encoding="utf-8")
    store = Store.open(mongod_uri, database=settings["FHIR_DATABASE"])
    repository = Repository(store)
    fill(repository)
    server = start(directory / "data", "--workers", "2", **settings)
    try:
        for name, options in CLIENTS.items():
            keys = () if name == "phone" else ("--jwks", str(jwks))
            command = [*COMMAND, "client", "add", name, "--name", name, *options, *keys]
            done = subprocess.run(command, env=environment(**settings), capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        made = Site(server, repository)
        made.card = card_of(repository, "a-patient")
        yield made
    finally:
        server.stop()
        store.client.drop_database(settings["FHIR_DATABASE"])
        store.client.close()


@pytest.fixture(autouse=True)
def _tokens_in_force(request: pytest.FixtureRequest) -> None:
    """A token is over after five minutes, and a process may have other tests between these."""
    if "site" in request.fixturenames:
        site: Site = request.getfixturevalue("site")
        if site.until < time.monotonic():
            site.until = time.monotonic() + ACCESS_SECONDS / 3
            site.token = tokens(site, _phone(), site.card.code)["access_token"]
            site.clinic = site.client("clinic", "system/*.cruds").json["access_token"]
