"""Staff of every role, each with a browser of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.access import staff
from fhir_server.access.context import AccessContext
from fhir_server.app import create_app
from fhir_server.citizen.cards import issue_card
from fhir_server.citizen.pins import set_pin
from fhir_server.config import Config

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from fhir_server.repository import Repository

OPEN = AccessContext.unrestricted("test")
PASSWORD = "một mật khẩu dài"
PIN = "739105"
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')


@pytest.fixture
def app(repository: Repository, tmp_path: Path) -> Flask:
    app = create_app(repository, config=Config.from_environment({}, data=tmp_path))
    app.testing = True
    return app


@pytest.fixture
def browser_of(app: Flask, repository: Repository) -> Callable[..., FlaskClient]:
    """A browser in which an account with these roles is logged in."""

    def log_in(*roles: str, name: str = "", facility: str = "") -> FlaskClient:
        name = name or "-".join(roles)
        staff.add_account(repository.store.database, name, PASSWORD, roles=[*roles], facility=facility)
        browser = app.test_client()
        assert sign_in(browser, name).status_code == 303
        return browser

    return log_in


@pytest.fixture
def add_person(repository: Repository) -> Callable[..., str]:
    def add(name: str, born: str = "1985-09-02", **more: Any) -> str:
        patient = {"resourceType": "Patient", "name": [{"text": name}], "gender": "female", "birthDate": born, **more}
        return repository.create(OPEN, "Patient", patient).stored.id

    return add


@pytest.fixture
def phone_of(app: Flask, repository: Repository) -> Callable[[str], FlaskClient]:
    """A browser in which a new card of a person was opened with its PIN."""

    def open_card(patient: str) -> FlaskClient:
        card = issue_card(repository, OPEN, patient, public_url="https://so.example.vn")
        set_pin(repository, card.id, PIN, change=False)
        phone = app.test_client()
        for address, typed in (("/q", {"code": card.token}), ("/q/pin", {"pin": PIN}), ("/q/you", {"me": "yes"})):
            assert phone.post(address, data=hidden(phone.get(address)) | typed).status_code == 303
        return phone

    return open_card


def sign_in(browser: FlaskClient, name: str, password: str = PASSWORD) -> TestResponse:
    return browser.post("/desk/login", data=hidden(browser.get("/desk/login")) | {"name": name, "password": password})


def hidden(page: TestResponse) -> dict[str, str]:
    """The hidden fields of the forms on a page."""
    return dict(HIDDEN.findall(page.text))


def send(browser: FlaskClient, address: str, at: str = "/desk/", **typed: Any) -> TestResponse:
    """Send a form with the token of a page."""
    return browser.post(address, data={"form_token": hidden(browser.get(at))["form_token"], **typed})
