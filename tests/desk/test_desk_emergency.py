"""A clinician who sees the facility's own patients only, and an emergency in which more is seen, and told of."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from fhir_server.access import staff
from fhir_server.access.passwords import AccountRefused
from fhir_server.audit_shipping import AuditShipping
from fhir_server.config import Config
from fhir_server.records import now
from tests.access.audited import said
from tests.access.test_door_facility import CLINIC, consent, encounter, put
from tests.desk.conftest import PASSWORD, send, sign_in
from tests.desk.test_desk_asking import agree, clinic, code_on, condition

__all__ = ["clinic"]

WHY = "Bệnh nhân bất tỉnh, không có người nhà"


@pytest.fixture
def config(tmp_path: Any) -> Config:
    return Config.from_environment({"FHIR_AUDIT": "yes"}, data=tmp_path)


@pytest.fixture
def app(repository: Any, config: Config) -> Any:
    from fhir_server.app import create_app

    app = create_app(repository, config=config)
    app.testing = True
    return app


@pytest.fixture
def clinician(app: Any, repository: Any) -> Any:
    """A browser of a clinician of 79001 with these limits."""

    def log_in(name: str = "minh", **limits: Any) -> Any:
        database = repository.store.database
        staff.add_account(database, name, PASSWORD, roles=["clinician"], facility="79001", **limits)
        browser = app.test_client()
        assert sign_in(browser, name).status_code == 303
        return browser

    return log_in


def ship(repository: Any, config: Config) -> list[Any]:
    """All events of the trail so far."""
    AuditShipping(repository.store, config.audit_spool, repository.base_url).ship()
    return [json.loads(each["json"]) for each in repository.store.database["AuditEvent"].find().sort("_id")]


def test_a_narrowed_clinician_sees_whom_the_facility_treats_and_who_opens_the_record(
    clinician, browser_of, phone_of, add_person, repository, clinic
):
    own, foreign = add_person("Nguyễn Văn An"), add_person("Nguyễn Thị Bình")
    put(repository, encounter("visit", own))
    condition(repository, foreign)
    desk = clinician(narrowed=True)
    found = send(desk, "/desk/find", q="nguyen").text
    assert ("Nguyễn Văn An" in found, "Nguyễn Thị Bình" in found) == (True, False)
    assert desk.get(f"/desk/person/{own}").status_code == 200
    assert desk.get(f"/desk/person/{foreign}").status_code == 404
    nobody = send(desk, "/desk/find", q="binh").text
    assert "chỉ thấy người bệnh của cơ sở" in nobody
    assert "/desk/emergency" not in nobody
    # Without the limit, as before.
    assert "Nguyễn Thị Bình" in send(clinician("lan"), "/desk/find", q="nguyen").text
    # The patient opens the record by the facility's code.
    send(desk, "/desk/asking")
    agree(phone_of(foreign), code_on(desk.get("/desk/asking")))
    assert "Viêm họng" in desk.get(f"/desk/shared/{foreign}").text
    assert "Nguyễn Thị Bình" in send(desk, "/desk/find", q="binh").text


def test_an_emergency_opens_what_is_closed_for_half_an_hour_and_is_told_of(
    clinician, browser_of, phone_of, add_person, repository, config, monkeypatch
):
    foreign, hiding = add_person("Nguyễn Thị Bình"), add_person("Lê Văn Kín", managingOrganization=CLINIC)
    condition(repository, foreign)
    put(repository, consent("hides", hiding, "deny", actor=None))
    desk = clinician(narrowed=True, break_glass=True)
    for id in (foreign, hiding):
        assert desk.get(f"/desk/person/{id}").status_code == 404
    assert "/desk/emergency" in send(desk, "/desk/find", q="binh").text
    for refused in ("", "vội", "x" * 301):
        assert send(desk, "/desk/emergency", action="begin", reason=refused).status_code == 422
    assert desk.get(f"/desk/person/{foreign}").status_code == 404
    phone = phone_of(foreign)
    assert "chế độ cấp cứu" not in phone.get("/c/?later=1").text

    ship(repository, config)
    before = repository.store.database["AuditEvent"].count_documents({})
    assert send(desk, "/desk/emergency", action="begin", reason=WHY).location == "/desk/find"
    assert "Nguyễn Thị Bình" in send(desk, "/desk/find", q="binh").text
    page = desk.get(f"/desk/person/{foreign}").text
    assert "Viêm họng" in page
    assert WHY in page
    assert desk.get(f"/desk/person/{hiding}").status_code == 200
    events = ship(repository, config)[before:]
    broken = [each for each in events if "110127" in said(each)[0]]
    assert said(broken[0])[0] == "110127"
    assert {each["purposeOfEvent"][0]["text"] for each in broken} == {WHY}
    assert {each["purposeOfEvent"][0]["coding"][0]["code"] for each in broken} == {"BTG"}
    assert any(f"Patient/{foreign}" in said(each)[3] for each in broken[1:])

    # The citizen is told, and who asks for emergencies finds this one.
    told = phone.get("/c/?later=1").text
    assert "chế độ cấp cứu" in told
    assert "Cấp cứu" in phone.get("/c/seen").text
    asked = send(browser_of("auditor"), "/desk/audit", action="show", emergency="yes").text
    assert WHY in asked
    assert asked.count('data-name="Ai"') == len(broken)

    # It is over by itself, with the log-out, and when it is ended.
    assert send(desk, "/desk/emergency", action="end").location == "/desk/emergency"
    assert desk.get(f"/desk/person/{foreign}").status_code == 404
    send(desk, "/desk/emergency", action="begin", reason=WHY)
    assert desk.get(f"/desk/person/{foreign}").status_code == 200
    later = now() + staff.EMERGENCY_TIME - timedelta(seconds=1)
    monkeypatch.setattr(staff, "IDLE", timedelta(hours=2))
    desk.get("/desk/find")
    monkeypatch.setattr(staff, "now", lambda: later)
    assert desk.get(f"/desk/person/{foreign}").status_code == 200
    monkeypatch.setattr(staff, "now", lambda: later + timedelta(seconds=3))
    assert desk.get(f"/desk/person/{foreign}").status_code == 404


def test_who_may_not_break_the_glass_is_refused_and_another_session_is_not_in_an_emergency(
    clinician, app, add_person, repository
):
    foreign = add_person("Nguyễn Thị Bình")
    plain = clinician("lan", narrowed=True)
    assert "/desk/emergency" not in plain.get("/desk/").text
    assert plain.get("/desk/emergency").status_code == 422
    assert send(plain, "/desk/emergency", action="begin", reason=WHY).status_code == 422
    assert plain.get(f"/desk/person/{foreign}").status_code == 404
    desk = clinician("minh", narrowed=True, break_glass=True)
    send(desk, "/desk/emergency", action="begin", reason=WHY)
    other = app.test_client()
    sign_in(other, "minh")
    assert desk.get(f"/desk/person/{foreign}").status_code == 200
    assert other.get(f"/desk/person/{foreign}").status_code == 404


def test_a_record_that_was_opened_to_the_facility_is_no_emergency(
    clinician, phone_of, add_person, repository, config, clinic
):
    person = add_person("Nguyễn Thị Bình")
    desk = clinician(narrowed=True, break_glass=True)
    send(desk, "/desk/asking")
    agree(phone_of(person), code_on(desk.get("/desk/asking")))
    send(desk, "/desk/emergency", action="begin", reason=WHY)
    ship(repository, config)
    before = repository.store.database["AuditEvent"].count_documents({})
    assert desk.get(f"/desk/shared/{person}").status_code == 200
    events = ship(repository, config)[before:]
    assert events
    assert not any("110127" in said(each)[0] for each in events)


def test_limits_are_for_clinicians_of_a_facility(repository):
    database = repository.store.database
    for roles in (["registrar"], ["clinician", "registrar"], ["auditor"]):
        with pytest.raises(AccountRefused, match="clinician alone"):
            staff.add_account(database, "lan", PASSWORD, roles=roles, facility="79001", narrowed=True)
    for roles in (["registrar"], ["auditor", "admin"]):
        with pytest.raises(AccountRefused, match="for clinicians"):
            staff.add_account(database, "lan", PASSWORD, roles=roles, facility="79001", break_glass=True)
    with pytest.raises(AccountRefused, match="facility's code"):
        staff.add_account(database, "lan", PASSWORD, roles=["clinician"], narrowed=True)
