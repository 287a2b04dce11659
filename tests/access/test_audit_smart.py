"""The audit trail of a server with SMART on FHIR: who was refused what and why, and who has seen a record."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from fhir_server.access.context import AccessContext
from fhir_server.app import create_app
from fhir_server.citizen.cards import revoke_card
from fhir_server.config import Config
from fhir_server.repository import Repository
from fhir_server.store.records import Store
from fhir_server.translation import VIETNAM
from tests.access.audited import Trail, said
from tests.access.world import BASE, PIN, World, hidden, patient

Json = dict[str, Any]
OPEN = AccessContext.unrestricted("test")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    settings = {"FHIR_ACCESS": "smart", "FHIR_PUBLIC_URL": BASE, "FHIR_DATA": str(tmp_path)}
    return Config.from_environment(settings)


@pytest.fixture
def app(repository: Repository, config: Config) -> Flask:
    return create_app(repository, config=config)


@pytest.fixture
def trail(world: World, store: Store) -> Trail:
    """The trail of the world's server."""
    return Trail(store, world.config, world.repository, world.http)


def _of_requests(trail: Trail) -> list[Json]:
    """The events since the last time, but those of logging in."""
    return [each for each in trail.new_events() if said(each)[0] not in ("110122", "card right", "pin right")]


def _who(event: Json) -> list[str]:
    return [each["altId"] for each in event["agent"]]


REFUSED = [
    ("GET", "Observation/x", {}, ("read", "R", "4", ["Observation/x"]), "Observation", "system/Observation.r"),
    ("GET", "Condition?code=x", {}, ("search-type", "E", "4", []), "Condition", "system/Condition.s"),
    ("DELETE", "Patient/x", {}, ("delete", "D", "4", ["Patient/x"]), "Patient", "system/Patient.d"),
    ("GET", "Patient/x", {"X-Purpose-Of-Use": "HRESCH"}, ("110132 GET", "E", "4", ["Patient/x"]), "Patient", ""),
    (
        "GET",
        "Patient/x",
        {"X-Break-Glass-Reason": "lý do bí mật"},
        ("110132 GET", "E", "4", ["Patient/x"]),
        "Patient",
        "",
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected", "type", "scope"), REFUSED, ids=[f"{row[0]} {row[1]}" for row in REFUSED]
)
def test_a_refusal_says_which_client_which_type_and_which_scope_was_missing(
    world: World,
    trail: Trail,
    method: str,
    path: str,
    headers: dict[str, str],
    expected: tuple[str, str, str, list[str]],
    type: str,
    scope: str,
) -> None:
    token = world.backend("clinic", ["system/Patient.rs"], facility="79001").token("system/Patient.rs")
    trail.events()
    assert world.fhir(token, path, method, **headers).status_code == 403
    (event,) = trail.new_events()
    assert said(event) == expected
    assert event["outcomeDesc"] == f"403 forbidden {scope}".rstrip()
    assert _who(event) == ["client:clinic", "facility:79001"]
    assert type in [each.get("type", {}).get("code") for each in event["entity"]] or "query" in event["entity"][0]
    assert token not in str(event)
    assert "lý do" not in str(event)


def test_a_request_without_a_token_that_counts_says_what_it_was_for_and_nobody(world: World, trail: Trail) -> None:
    trail.events()
    for token in (None, "unknown-but-secret"):
        assert world.fhir(token, "Patient/x").status_code == 401
        (event,) = trail.new_events()
        assert said(event) == ("110132 GET", "E", "4", ["Patient/x"])
        assert (event["outcomeDesc"], _who(event)) == ("401 login", ["unknown"])
        assert "unknown-but-secret" not in str(event)


def test_a_token_whose_card_was_locked_is_refused_under_the_name_of_its_app(
    world: World, trail: Trail, person: str, phone_app: Any
) -> None:
    card = world.card(person)
    token = phone_app.tokens(card.code)["access_token"]
    revoke_card(world.repository, card.id)
    trail.events()
    assert world.fhir(token, f"Patient/{person}").status_code == 401
    (event,) = trail.new_events()
    assert (said(event)[0], _who(event), event["outcomeDesc"]) == ("110132 GET", ["client:phone"], "401 login")


def test_an_entry_of_a_batch_says_why_it_was_refused(world: World, trail: Trail) -> None:
    token = world.backend("clinic", ["system/Patient.rs"]).token("system/Patient.rs")
    trail.events()
    entry = {"request": {"method": "GET", "url": "Observation/x"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    sent = {"Authorization": f"Bearer {token}"}
    assert world.http.post("/fhir", json=bundle, base_url=BASE, headers=sent).status_code == 200
    _, event = trail.new_events()
    assert (said(event)[0], event["outcomeDesc"]) == ("read", "403 forbidden system/Observation.r")
    assert _who(event) == ["client:clinic"]


ORGANIZATION = {
    "resourceType": "Organization",
    "identifier": [{"system": "http://fhir.ehealth.gov.vn/core/sid/provider-code", "value": "79001"}],
    "name": "Trạm y tế Mẫu",
}


def _open_card(world: World, code: str) -> FlaskClient:
    """A phone on which somebody has opened their record by card and PIN."""
    phone, where = world.flask.test_client(), {"base_url": BASE, "headers": {"Referer": f"{BASE}/q"}}
    for page, typed in (("/q", {"code": code}), ("/q/pin", {"pin": PIN}), ("/q/you", {"me": "yes"})):
        answer = phone.post(page, data=hidden(phone.get(page, base_url=BASE)) | typed, **where)
        assert answer.status_code == 303, answer.text
    return phone


def test_who_reads_a_record_over_smart_is_shown_to_its_citizen_with_facility_time_and_purpose(
    world: World, trail: Trail, person: str
) -> None:
    world.repository.create(OPEN, "Organization", ORGANIZATION)
    other = patient(world.repository, "Trần")
    clinic = world.backend("clinic", ["system/*.rs"], facility="79001", purposes=["TREAT", "HPAYMT"], break_glass=True)
    token = clinic.token()
    for whose, claimed in (
        (person, {}),
        (person, {"X-Purpose-Of-Use": "HPAYMT"}),
        (person, {"X-Break-Glass-Reason": quote("tai nạn giao thông")}),
        (other, {}),
    ):
        assert world.fhir(token, f"Patient/{whose}", **claimed).status_code == 200
    world.backend("stranger", ["system/Organization.r"]).token("system/Organization.r")
    phone = _open_card(world, world.card(person).code)
    trail.events()
    page = phone.get("/c/seen", base_url=BASE)
    sightings = re.findall(r"<li>(.*?)</li>", page.text, re.DOTALL)
    told = [" ".join(re.sub(r"<[^>]+>", " ", each).split()) for each in sightings]
    moments = [each["recorded"] for each in trail.events() if f"Patient/{person}" in said(each)[3][:1]][:3]
    clocks = [f"{datetime.fromisoformat(each).astimezone(VIETNAM):%H:%M, %d/%m/%Y}" for each in moments]
    assert told == [
        f"Ứng dụng clinic · Cơ sở y tế Trạm y tế Mẫu (79001) {when} {rest}"
        for when, rest in zip(
            reversed(clocks),
            (
                "Đã xem Cấp cứu",
                "Đã xem Mục đích: thanh toán bảo hiểm y tế",
                "Đã xem Mục đích: khám, chữa bệnh",
            ),
            strict=True,
        )
    ]
    assert other not in page.text
