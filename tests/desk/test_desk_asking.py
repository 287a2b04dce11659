"""A facility shows its code; who scans it and agrees opens their record to it for half an hour, and to nobody else."""

from __future__ import annotations

import base64
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from tests.desk.conftest import OPEN, hidden, send
from tests.desk.test_desk_people import stored

FACILITY = "http://fhir.ehealth.gov.vn/core/sid/provider-code"


@pytest.fixture
def clinic(repository: Any) -> str:
    organization = {
        "resourceType": "Organization",
        "name": "Trạm y tế Phường Thử",
        "identifier": [{"system": FACILITY, "value": "79001"}],
    }
    repository.create(OPEN, "Organization", organization)
    return "79001"


def code_on(page: Any) -> str:
    return re.search(r'class="printed">(\w{4}-\w{4})<', page.text)[1]


def agree(phone: Any, code: str) -> Any:
    """What a citizen does after the scan: sees who asks, and agrees. The answer is the page that asked them."""
    token = hidden(phone.get("/c/facility"))["form_token"]
    page = phone.post("/c/facility", data={"form_token": token, "code": code})
    sent = hidden(page) | {"agreed": re.search(r'name="agreed" value="([^"]+)"', page.text)[1]}
    assert phone.post("/c/facility", data=sent).headers["Location"] == "/c/?done=1"
    return page


def condition(repository: Any, person: str) -> None:
    resource = {
        "resourceType": "Condition",
        "subject": {"reference": f"Patient/{person}"},
        "code": {"text": "Viêm họng"},
        "recordedDate": "2026-02-01",
    }
    repository.create(OPEN, "Condition", resource)


def test_the_code_is_shown_as_a_picture_that_says_where_to_agree(browser_of, clinic, app):
    desk = browser_of("clinician", facility=clinic)
    assert "data:image/png" not in desk.get("/desk/asking").text
    assert send(desk, "/desk/asking").location == "/desk/asking"
    page = desk.get("/desk/asking")
    assert "Trạm y tế Phường Thử" in page.text
    picture = Image.open(io.BytesIO(base64.b64decode(re.search(r'src="data:image/png;base64,([^"]+)"', page.text)[1])))
    (read,) = zxingcpp.read_barcodes(picture)
    assert read.text.endswith("/c/facility#" + code_on(page).replace("-", ""))
    assert code_on(desk.get("/desk/asking")) == code_on(page)


def test_whoever_agrees_is_led_to_for_half_an_hour(browser_of, clinic, phone_of, add_person, repository):
    person, other = add_person("Trần Văn Bình"), add_person("Lê Thị Hoa")
    condition(repository, person)
    desk = browser_of("clinician", facility=clinic)
    elsewhere = browser_of("clinician", name="xa", facility="79002")
    send(desk, "/desk/asking")
    address = f"/desk/shared/{person}"
    assert desk.get(address).status_code == 404
    assert "Trạm y tế Phường Thử" in agree(phone_of(person), code_on(desk.get("/desk/asking"))).text

    page = desk.get("/desk/asking").text
    assert f'href="{address}"' in page
    assert "Trần Văn Bình" in page
    assert "Lê Thị Hoa" not in page
    shown = desk.get(address)
    assert "Viêm họng" in shown.text
    assert "đã mở hồ sơ này cho cơ sở đến" in shown.text
    assert desk.get(f"/desk/shared/{other}").status_code == 404
    assert elsewhere.get(address).status_code == 404
    assert "Trần Văn Bình" not in elsewhere.get("/desk/asking").text

    # The half hour is over.
    (consent,) = [each for each in stored(repository, "Consent") if "actor" in each["provision"]]
    now = datetime.now(UTC)
    over = {"start": (now - timedelta(hours=1)).isoformat(), "end": (now - timedelta(seconds=1)).isoformat()}
    consent["provision"]["period"] = over
    repository.update(OPEN, "Consent", consent["id"], consent)
    closed = desk.get(address)
    assert (closed.status_code, "Viêm họng" in closed.text) == (404, False)
    assert "Trần Văn Bình" not in desk.get("/desk/asking").text


def test_what_is_withdrawn_closes_at_once(browser_of, clinic, phone_of, add_person, repository):
    person = add_person("Trần Văn Bình")
    desk, phone = browser_of("registrar", facility=clinic), phone_of(person)
    send(desk, "/desk/asking")
    agree(phone, code_on(desk.get("/desk/asking")))
    assert desk.get(f"/desk/shared/{person}").status_code == 200
    (consent,) = [each for each in stored(repository, "Consent") if "actor" in each["provision"]]
    token = hidden(phone.get("/c/consent"))["form_token"]
    assert phone.post("/c/consent/withdraw", data={"form_token": token, "id": consent["id"]}).status_code == 303
    assert desk.get(f"/desk/shared/{person}").status_code == 404


def test_an_account_without_a_facility_has_no_code_to_show(browser_of):
    desk = browser_of("clinician")
    assert desk.get("/desk/asking").status_code == 422
    assert send(desk, "/desk/asking").status_code == 422
    assert desk.get("/desk/shared/nobody").status_code == 404


def test_a_facility_that_is_in_no_register_is_named_by_its_code(browser_of):
    desk = browser_of("registrar", facility="79009")
    send(desk, "/desk/asking")
    assert "Cơ sở 79009" in desk.get("/desk/asking").text
