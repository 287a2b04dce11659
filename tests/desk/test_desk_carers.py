"""Family carers: staff who have seen the proof let one card open another person's record, and take it back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from fhir_server.access import audit_record, staff
from fhir_server.app import create_app
from fhir_server.config import Config
from mappings.systems import CARER, CARER_PROOF, CCCD
from tests.desk.conftest import OPEN, PASSWORD, hidden, send, sign_in
from tests.desk.test_desk_people import stored

WHY = "đã xem bản chính"
TRUST = {"action": "entrust", "proof": "birth-certificate", "reason": WHY}


def turn(phone: Any, person: str) -> int:
    """What the family page answers when its holder asks for a record."""
    token = hidden(phone.get("/c/family"))["form_token"]
    return int(phone.post("/c/family", data={"form_token": token, "person": person}).status_code)


def test_a_carer_is_looked_for_named_and_opens_the_record_with_an_own_card_and_nobody_else(
    browser_of, phone_of, add_person, repository
):
    mother = add_person("Nguyễn Thị Ánh", identifier=[{"system": CCCD, "value": "001185999999"}])
    child, stranger = add_person("Trần Văn Bé", "2022-03-05"), add_person("Lê Văn Bình")
    desk, address = browser_of("registrar"), f"/desk/person/{child}/carers"
    carer, other = phone_of(mother), phone_of(stranger)
    assert turn(carer, child) == 403
    page = send(desk, address, action="look", q="001185999999")
    assert f'name="carer" value="{mother}" required checked' in page.text
    assert "001185999999" not in page.text.replace('value="001185999999"', "")
    assert f'href="{address}"' in desk.get(f"/desk/person/{child}").text
    assert send(desk, address, carer=mother, **TRUST, until="2040-03-05").location.endswith("?told=entrusted")
    shown = desk.get(address).text
    assert "Giấy khai sinh" in shown
    assert "05/03/2040" in shown
    (related,) = stored(repository, "RelatedPerson")
    assert related["patient"] == {"reference": f"Patient/{child}"}
    assert related["identifier"] == [{"system": CARER, "value": mother}]
    assert related["extension"] == [{"url": CARER_PROOF, "valueCode": "birth-certificate"}]

    assert (turn(carer, child), turn(other, child)) == (303, 403)
    assert "Trần Văn Bé" in carer.get("/c/?later=1").text
    assert "Trần Văn Bé" not in other.get("/c/family").text
    # Being cared for opens nothing of the carer's.
    assert turn(phone_of(child), mother) == 403


def test_what_is_taken_back_ends_in_the_midst_of_a_session(browser_of, phone_of, add_person, repository):
    mother, child = add_person("Nguyễn Thị Ánh"), add_person("Trần Văn Bé", "2022-03-05")
    desk, address = browser_of("registrar"), f"/desk/person/{child}/carers"
    send(desk, address, carer=mother, **TRUST)
    carer = phone_of(mother)
    assert turn(carer, child) == 303
    (related,) = stored(repository, "RelatedPerson")
    assert send(desk, address, action="back", trust=related["id"], reason=" ").status_code == 422
    assert send(desk, address, action="back", trust="nobody", reason=WHY).status_code == 404
    other = add_person("Lê Văn Bình")
    assert send(desk, f"/desk/person/{other}/carers", action="back", trust=related["id"], reason=WHY).status_code == 404
    assert "Trần Văn Bé" in carer.get("/c/?later=1").text
    assert send(desk, address, action="back", trust=related["id"], reason=WHY).status_code == 303
    assert [each["active"] for each in stored(repository, "RelatedPerson")] == [False]
    assert carer.get("/c/declare").status_code == 303
    page = carer.get("/c/?later=1").text
    assert "Trần Văn Bé" not in page
    assert "Nguyễn Thị Ánh" in page
    assert turn(carer, child) == 403


def test_a_trust_ends_behind_its_last_day_in_the_midst_of_a_session(browser_of, phone_of, add_person, repository):
    mother, child = add_person("Nguyễn Thị Ánh"), add_person("Trần Văn Bé", "2022-03-05")
    send(browser_of("registrar"), f"/desk/person/{child}/carers", carer=mother, **TRUST)
    carer = phone_of(mother)
    assert turn(carer, child) == 303
    (related,) = stored(repository, "RelatedPerson")
    yesterday = (datetime.now(UTC).date() - timedelta(days=2)).isoformat()
    repository.update(OPEN, "RelatedPerson", related["id"], {**related, "period": {"end": yesterday}})
    carer.get("/c/declare")
    assert "Trần Văn Bé" not in carer.get("/c/?later=1").text


def test_naming_a_carer_again_replaces_what_was_named_before(browser_of, add_person, repository):
    mother, child = add_person("Nguyễn Thị Ánh"), add_person("Trần Văn Bé", "2022-03-05")
    desk, address = browser_of("registrar"), f"/desk/person/{child}/carers"
    until = date.today() + timedelta(days=400)
    for typed in ({}, {"until": until.isoformat()}):
        assert send(desk, address, carer=mother, **TRUST, **typed).status_code == 303
    active = [each for each in stored(repository, "RelatedPerson") if each["active"]]
    assert [each["period"]["end"] for each in active] == [until.isoformat()]


def test_nobody_is_named_without_proof_reason_a_day_to_come_and_another_person(browser_of, add_person, repository):
    mother, child, gone = add_person("Nguyễn Thị Ánh"), add_person("Trần Văn Bé"), add_person("Nguyễn Thị Ánh")
    repository.merging.merge(OPEN, gone, mother)
    desk, address = browser_of("registrar"), f"/desk/person/{child}/carers"
    for changed, status in (
        ({"reason": "x"}, 422),
        ({"proof": "a smile"}, 422),
        ({"until": "2020-01-01"}, 422),
        ({"until": "2199-01-01"}, 422),
        ({"until": "mai"}, 422),
        ({"carer": child}, 422),
        ({"carer": gone}, 422),
        ({"carer": "nobody"}, 404),
        ({"carer": "../x"}, 404),
        ({"action": "x"}, 404),
    ):
        assert send(desk, address, **{"carer": mother, **TRUST, **changed}).status_code == status, changed
    assert send(desk, "/desk/person/nobody/carers", carer=mother, **TRUST).status_code == 404
    assert desk.get("/desk/person/nobody/carers").status_code == 404
    assert stored(repository, "RelatedPerson") == []


def test_the_audit_trail_is_told_who_named_a_carer_and_by_which_proof(repository, add_person, tmp_path):
    config = Config.from_environment({}, data=tmp_path, audit="yes")
    desk = create_app(repository, config=config).test_client()
    staff.add_account(repository.store.database, "lan", PASSWORD, roles=["registrar"])
    sign_in(desk, "lan")
    mother, child = add_person("Nguyễn Thị Ánh"), add_person("Trần Văn Bé")
    assert send(desk, f"/desk/person/{child}/carers", carer=mother, **TRUST).status_code == 303
    lines = b"".join(path.read_bytes() for path in config.audit_spool.rglob("*.spool")).splitlines()
    record = audit_record.from_line(lines[-1])
    assert (record.kind, record.actor, record.reason) == ("create", "staff:lan", f"birth-certificate: {WHY}")
    assert {(each.type, each.owner) for each in record.touched} >= {("RelatedPerson", child), ("Patient", mother)}
