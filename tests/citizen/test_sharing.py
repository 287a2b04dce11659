"""Sharing: a SMART Health Link, one look for a doctor, half an hour for a facility, and the family."""

from __future__ import annotations

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey

from fhir_server.access.context import AccessContext
from fhir_server.citizen import carers, health_links
from fhir_server.citizen.facility_asking import ask
from tests.citizen.conftest import declare, hidden_fields

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from fhir_server.repository import Repository

OPEN = AccessContext.unrestricted("test")


def send(browser: FlaskClient, address: str, form: str | None = None, **typed: str) -> TestResponse:
    return browser.post(address, data=hidden_fields(browser.get(form or address)) | typed)


@pytest.fixture
def health_link(opened: FlaskClient) -> tuple[dict[str, Any], str]:
    """What a link says, and its passcode."""
    declare(opened, weight="58,5", allergy="yes", kind="food", substance="Tôm")
    page = send(opened, "/c/share", kind="link", label="Đi khám ở tỉnh", time="hour")
    (payload,) = re.findall(r"shlink:/([\w-]+)", page.text)
    (passcode,) = re.findall(r'class="printed">(\d{6})<', page.text)
    return json.loads(base64.urlsafe_b64decode(payload + "==")), passcode


def manifest(browser: FlaskClient, link: dict[str, Any], passcode: str, **more: Any) -> TestResponse:
    path = link["url"].partition("8080")[2]
    return browser.post(path, json={"recipient": "Bác sĩ Thử", "passcode": passcode, **more})


def opened_file(link: dict[str, Any], sealed: str) -> dict[str, Any]:
    key = OctKey.import_key(base64.urlsafe_b64decode(link["key"] + "=="))
    found = jwe.decrypt_compact(sealed, key)
    assert found.headers() == {"alg": "dir", "enc": "A256GCM", "cty": "application/fhir+json"}
    return json.loads(found.plaintext or b"")


def test_a_health_link_gives_the_sealed_summary_for_its_passcode(app: Flask, health_link, person_a: str):
    link, passcode = health_link
    assert (link["flag"], link["v"], link["label"]) == ("P", 1, "Đi khám ở tỉnh")
    assert len(link["url"]) <= 128
    assert len(link["key"]) == 43
    viewer = app.test_client()
    answer = manifest(viewer, link, passcode)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    (file,) = answer.get_json()["files"]
    document = opened_file(link, file["embedded"])
    assert (document["type"], file["contentType"]) == ("document", "application/fhir+json")
    assert any(entry["resource"].get("id") == person_a for entry in document["entry"])
    assert "Tôm" in json.dumps(document, ensure_ascii=False)
    (file,) = manifest(viewer, link, passcode, embeddedLengthMax=10).get_json()["files"]
    fetched = viewer.get(file["location"].partition("8080")[2])
    assert fetched.mimetype == "application/jose"
    assert opened_file(link, fetched.text)["type"] == "document"
    assert viewer.get(file["location"].partition("8080")[2][:-1] + "x").status_code == 404
    assert viewer.post(link["url"].partition("8080")[2], json={"passcode": passcode}).status_code == 400


def test_what_is_stored_of_a_link_opens_nothing(repository: Repository, health_link):
    link, passcode = health_link
    stored = str(repository.store.database["health_links"].find_one())
    for secret in (link["url"].rpartition("/")[2], link["key"], passcode, "Tôm"):
        assert secret not in stored


def test_wrong_passcodes_are_counted_for_the_life_of_a_link_however_many_try_at_once(app: Flask, health_link):
    link, passcode = health_link
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: manifest(app.test_client(), link, f"x{number}"), range(100)))
    refused = [answer.get_json()["remainingAttempts"] for answer in answers if answer.status_code == 401]
    assert sorted(refused) == [0, 1, 2, 3, 4]
    assert [answer.status_code for answer in answers].count(404) == 95
    assert manifest(app.test_client(), link, passcode).status_code == 404


def test_a_right_passcode_costs_no_attempt_and_a_revoked_or_expired_link_is_gone(
    app: Flask, opened: FlaskClient, repository: Repository, health_link
):
    link, passcode = health_link
    assert [manifest(app.test_client(), link, passcode).status_code for _ in range(7)] == [200] * 7
    assert manifest(app.test_client(), link, "x").get_json() == {"remainingAttempts": 4}
    location = manifest(app.test_client(), link, passcode, embeddedLengthMax=1).get_json()["files"][0]["location"]
    assert send(opened, "/c/share/end", "/c/share").status_code == 303
    assert manifest(app.test_client(), link, passcode).status_code == 404
    assert app.test_client().get(location.partition("8080")[2]).status_code == 404
    ctx = AccessContext.for_patient(repository.store.database["health_links"].find_one()["patient"], "card:x")
    over = health_links.make_link(
        repository, ctx, public_url="http://x.example:8080", label="", lifetime=timedelta(seconds=-1)
    )
    old = json.loads(base64.urlsafe_b64decode(over.link.removeprefix("shlink:/") + "=="))
    assert manifest(app.test_client(), old, over.passcode).status_code == 404


def test_a_doctor_looks_once(app: Flask, opened: FlaskClient):
    declare(opened, weight="58,5")
    page = send(opened, "/c/share", kind="doctor").text
    (token,) = re.findall(r"/s#([\w-]{43})<", page)
    (code,) = re.findall(r'class="printed">(\d{6})<', page)
    doctor = app.test_client()
    wrong = send(doctor, "/s", token=token, code="x")
    assert (wrong.status_code, "Mã không đúng" in wrong.text, "Ánh" in wrong.text) == (403, True, False)
    shown = send(doctor, "/s", token=token, code=code)
    assert "Nguyễn Thị Ánh Đào" in shown.text
    assert "58,5 kg" in shown.text
    assert "/c/declare" not in shown.text
    again = send(doctor, "/s", token=token, code=code)
    assert (again.status_code, "không còn dùng được" in again.text) == (403, True)
    assert doctor.get("/c/").status_code == 401


def test_a_facility_is_let_in_for_half_an_hour(opened: FlaskClient, repository: Repository, person_a: str):
    code = ask(repository, "79999", "Trạm y tế Phường Thử")
    assert send(opened, "/c/facility", code="AAAAAAAA").status_code == 404
    page = send(opened, "/c/facility", code=f"{code[:4]}-{code[4:]}".lower())
    assert "Trạm y tế Phường Thử" in page.text
    assert opened.get(f"/fhir/Consent?patient={person_a}&_summary=count").get_json()["total"] == 1
    agreed = opened.post("/c/facility", data=hidden_fields(page) | {"agreed": "79999"})
    assert agreed.headers["Location"] == "/c/?done=1"
    consents = [entry["resource"] for entry in opened.get(f"/fhir/Consent?patient={person_a}").get_json()["entry"]]
    (given,) = [each["provision"] for each in consents if "actor" in each["provision"]]
    assert given["actor"][0]["reference"]["identifier"]["value"] == "79999"
    start, end = (given["period"][name] for name in ("start", "end"))
    from datetime import datetime

    assert datetime.fromisoformat(end) - datetime.fromisoformat(start) == timedelta(minutes=30)


def test_a_carer_opens_whom_staff_entrusted_and_nobody_else(
    opened: FlaskClient, repository: Repository, person_a: str, person_b: str
):
    assert send(opened, "/c/family", person=person_b).status_code == 403
    carers.entrust(repository, OPEN, person_b, person_a, until=date(2000, 1, 1))
    assert send(opened, "/c/family", person=person_b).status_code == 403
    carers.entrust(repository, OPEN, person_b, person_a, until=None)
    assert send(opened, "/c/family", person=person_b).status_code == 303
    page = opened.get("/c/?later=1").text
    assert "Bạn đang xem hồ sơ của người khác: Trần Văn Đức" in page
    assert "77,7 kg" in page
    assert "Nguyễn Thị Ánh Đào" not in page
    assert send(opened, "/c/family", person=person_a).status_code == 303
    assert "Trần Văn Đức" not in opened.get("/c/?later=1").text
