"""What registrars and clinicians do: find, look, enter, decide who is one person, and give out cards."""

from __future__ import annotations

import re
from typing import Any

from fhir_server.access import audit_record, staff
from fhir_server.app import create_app
from fhir_server.citizen.cards import cards_in_force, issue_card
from fhir_server.config import Config
from fhir_server.intake.matching import queue_item
from fhir_server.resource.exact import parse
from mappings.identity import judge
from tests.desk.conftest import OPEN, PASSWORD, send, sign_in

CCCD = "http://fhir.ehealth.gov.vn/core/sid/citizen_id"
EVIL = "<script>alert(1)</script><b>Ác \"Ý'"


def stored(repository: Any, type: str, **query: str) -> list[dict[str, Any]]:
    return [parse(each.json) for _, each in repository.search(OPEN, type, [*query.items()]).entries]


def test_a_person_is_found_by_name_without_diacritics_and_by_birth_year(browser_of, add_person):
    add_person("Nguyễn Thị Ánh Đào")
    add_person("Nguyễn Thị Ánh Đào", "1990-01-05")
    browser = browser_of("registrar")
    page = send(browser, "/desk/find", q="nguyen thi anh dao")
    assert page.text.count('data-name="Giới tính"') == 2
    one = send(browser, "/desk/find", q="anh dao", born="1990")
    assert one.text.count('data-name="Giới tính"') == 1
    assert "05/01/1990" in one.text
    assert "Không tìm thấy ai" in send(browser, "/desk/find", q="trần").text


def test_a_person_is_found_by_number_and_by_the_text_of_a_qr_code(browser_of):
    browser = browser_of("registrar")
    entered = send(
        browser, "/desk/enter", name="Trần Văn Bình", birth_date="05/03/1980", sex="nam", cccd="001080999999"
    )
    assert entered.status_code == 303
    found = send(browser, "/desk/find", q="001080 999999").text
    assert "Trần Văn Bình" in found
    assert "001080999999" not in found.replace('value="001080 999999"', "")
    qr = "001080999999||Trần Văn Bình|05031980|Nam|Hà Nội|01012021"
    assert "Trần Văn Bình" in send(browser, "/desk/find", q=qr).text
    assert "Mã QR này không phải" in send(browser, "/desk/find", q="a|b|c").text


def test_names_and_values_are_shown_as_text(browser_of, add_person, repository):
    person = add_person(EVIL, address=[{"text": EVIL}])
    repository.create(
        OPEN,
        "Observation",
        {
            "resourceType": "Observation",
            "status": "final",
            "subject": {"reference": f"Patient/{person}"},
            "code": {"text": EVIL},
            "valueString": EVIL,
        },
    )
    browser = browser_of("registrar", "clinician")
    pages = [send(browser, "/desk/find", q="<script>alert"), browser.get(f"/desk/person/{person}")]
    pages.append(send(browser, "/desk/find", q=EVIL))
    pages.append(send(browser, "/desk/enter", name=EVIL, birth_date=EVIL, sex="nam"))
    for page in pages:
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert" in page.text


def test_a_record_is_shown_as_far_as_the_roles_go(browser_of, add_person, repository):
    person = add_person("Nguyễn Văn An")
    subject = {"reference": f"Patient/{person}"}
    for text, label in (("Viêm họng", None), ("Bệnh kín", "HIV")):
        condition = {
            "resourceType": "Condition",
            "subject": subject,
            "code": {"text": text},
            "recordedDate": "2026-02-01",
        }
        if label:
            condition["meta"] = {
                "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": label}]
            }
        repository.create(OPEN, "Condition", condition)
    clinician = browser_of("clinician").get(f"/desk/person/{person}").text
    assert "Viêm họng" in clinician
    assert "01/02/2026" in clinician
    assert "Bệnh kín" not in clinician
    assert "Cấp thẻ" not in clinician
    registrar = browser_of("registrar").get(f"/desk/person/{person}").text
    assert "Viêm họng" not in registrar
    assert "Cấp thẻ" in registrar
    assert browser_of("registrar", name="lan").get("/desk/person/nobody").status_code == 404


def test_who_has_no_number_is_given_a_temporary_one(browser_of, repository):
    browser = browser_of("registrar", facility="79001")
    entered = send(browser, "/desk/enter", name="Lê Thị Hoa", birth_date="1999", sex="nữ")
    assert "told=entered" in entered.location
    (patient,) = stored(repository, "Patient")
    assert patient["identifier"][0]["value"].startswith("VD-79001-")
    assert patient["birthDate"] == "1999"


def test_who_is_known_is_not_entered_twice(browser_of, repository):
    browser = browser_of("registrar")
    facts = {"name": "Trần Văn Bình", "birth_date": "05/03/1980", "sex": "nam", "cccd": "001080999999"}
    first, second = (send(browser, "/desk/enter", **facts) for _ in range(2))
    assert "told=known" in second.location
    assert first.location.partition("?")[0] == second.location.partition("?")[0]
    assert len(stored(repository, "Patient")) == 1
    qr = "001080999999||Trần Văn Bình|05031980|Nam|Hà Nội|01012021"
    assert "told=known" in send(browser, "/desk/enter", qr=qr).location


def test_whoever_may_be_known_is_asked_about_before_anything_is_stored(browser_of, repository):
    browser = browser_of("registrar", facility="79001")
    facts = {"name": "Lê Thị Hoa", "birth_date": "05/03/1980", "sex": "nữ"}
    first = send(browser, "/desk/enter", **facts, cccd="001180999999").location
    page = send(browser, "/desk/enter", **facts)
    assert "Có phải người này không?" in page.text
    assert "cùng họ tên" in page.text
    assert len(stored(repository, "Patient")) == 1
    known, new = re.findall(r'name="decided" value="([^"]+)"', page.text)
    assert send(browser, "/desk/enter", **facts, decided=known).location.partition("?")[0] in first
    assert len(stored(repository, "Patient")) == 1
    assert "told=entered" in send(browser, "/desk/enter", **facts, decided=new).location
    assert len(stored(repository, "Patient")) == 2
    assert send(browser, "/desk/enter", **facts, decided="somebody").status_code == 422


def test_a_form_with_mistakes_keeps_what_was_typed_and_says_what_to_mend(browser_of, repository):
    page = send(browser_of("registrar"), "/desk/enter", name="Lê Hoa", birth_date="hôm qua", sex="nữ", cccd="12")
    assert page.status_code == 422
    assert 'value="Lê Hoa"' in page.text
    assert "Ngày sinh không đọc được" in page.text
    assert "Số CCCD có 12 chữ số" in page.text
    assert stored(repository, "Patient") == []


def doubtful_pair(repository: Any) -> None:
    """Two records alike, and the Task that an intake leaves for them."""
    people = [
        {"resourceType": "Patient", "name": [{"text": "Lê Thị Hoa"}], "gender": "female", "birthDate": "1980-03-05"}
        for _ in range(2)
    ]
    known, newer = (repository.create(OPEN, "Patient", each).stored.address for each in people)
    repository.create(OPEN, "Task", queue_item(newer, known, judge(*people)))


def first_pair(browser: Any) -> str:
    return re.search(r'href="(/desk/duplicates/[^"]+)"', browser.get("/desk/duplicates").text)[1]


def test_a_doubtful_pair_is_merged_and_parted_again(browser_of, repository):
    browser = browser_of("registrar")
    doubtful_pair(repository)
    address = first_pair(browser)
    page = browser.get(address)
    assert "cùng họ tên" in page.text
    kept, other = re.findall(r'name="kept" value="([^"]+)"', page.text)
    assert send(browser, address, action="merge", kept="somebody").status_code == 422
    assert send(browser, address, action="merge", kept=kept).location == f"/desk/person/{kept}?told=merged"
    assert [task["status"] for task in stored(repository, "Task")] == ["completed"]
    assert f"/desk/person/{kept}" in browser.get(f"/desk/person/{other}").text
    assert browser.get(address).status_code == 404
    assert send(browser, f"/desk/person/{other}/part").status_code == 303
    assert "link" not in parse(repository.read(OPEN, "Patient", kept).json)
    assert send(browser, f"/desk/person/{other}/part").status_code == 422


def test_a_pair_that_is_two_people_leaves_the_queue(browser_of, repository):
    browser = browser_of("registrar")
    doubtful_pair(repository)
    assert send(browser, first_pair(browser), action="apart").status_code == 303
    assert [task["status"] for task in stored(repository, "Task")] == ["rejected"]
    assert len(stored(repository, "Patient")) == 2
    assert "Tất cả: 0" in browser.get("/desk/duplicates").text


def test_cards_are_issued_reissued_and_revoked_with_a_reason(browser_of, add_person, repository):
    browser = browser_of("registrar")
    person = add_person("Nguyễn Văn An")
    address = f"/desk/person/{person}/cards"
    assert send(browser, address, action="issue", reason=" x ").status_code == 422
    assert cards_in_force(repository, person) == []
    issued = send(browser, address, action="issue", reason="khách mất thẻ giấy")
    assert re.search(r'class="printed">\d{6}<', issued.text)
    assert "data:image/png;base64," in issued.text
    (first,) = cards_in_force(repository, person)
    send(browser, address, action="reissue", reason="khách mất thẻ giấy")
    (second,) = cards_in_force(repository, person)
    assert first.id != second.id
    assert send(browser, address, action="revoke", card=second.id, reason="khách báo mất").status_code == 303
    assert cards_in_force(repository, person) == []


def test_a_pin_is_reset_for_the_card_of_this_person_only(browser_of, add_person, repository):
    browser = browser_of("registrar")
    person, other = add_person("Nguyễn Văn An"), add_person("Lê Văn Bình")
    issued = issue_card(repository, OPEN, person, public_url="https://so.example.vn")
    reason = "khách quên mã, đã xem CCCD"
    assert send(browser, f"/desk/person/{other}/cards", action="pin", card=issued.id, reason=reason).status_code == 404
    page = send(browser, f"/desk/person/{person}/cards", action="pin", card=issued.id, reason=reason)
    assert re.search(r'class="printed">(\d{6})<', page.text)[1] != issued.pin
    (card,) = cards_in_force(repository, person)
    assert card.version == 2


def test_cards_of_a_list_come_as_one_pdf_and_only_when_every_line_names_somebody(browser_of, add_person, repository):
    browser = browser_of("admin")
    people = [add_person("Nguyễn Văn An", address=[{"text": "xã Tân Hội"}], active=True), add_person("Lê Văn Bình")]
    why = "phát thẻ theo tổ dân phố"
    assert "Không rõ dòng số: 2" in send(browser, "/desk/cards", list=f"{people[0]}\nnobody", reason=why).text
    assert send(browser, "/desk/cards", list=people[0]).status_code == 422
    assert send(browser, "/desk/cards", reason=why).status_code == 422
    assert repository.store.database["cards"].count_documents({}) == 0
    made = send(browser, "/desk/cards", list="\n".join(people), reason=why)
    assert made.mimetype == "application/pdf"
    assert made.data.startswith(b"%PDF-")
    assert repository.store.database["cards"].count_documents({}) == 2
    assert send(browser, "/desk/cards", ward="tan hoi", reason=why).mimetype == "application/pdf"
    assert [len(cards_in_force(repository, person)) for person in people] == [2, 1]


def test_the_audit_trail_is_told_who_did_it_and_why(repository, add_person, tmp_path):
    config = Config.from_environment({}, data=tmp_path, audit="yes")
    browser = create_app(repository, config=config).test_client()
    staff.add_account(repository.store.database, "lan", PASSWORD, roles=["registrar"])
    assert sign_in(browser, "lan").status_code == 303
    person = add_person("Nguyễn Văn An")
    issued = issue_card(repository, OPEN, person, public_url="https://so.example.vn")
    send(browser, f"/desk/person/{person}/cards", action="pin", card=issued.id, reason="khách quên mã")
    lines = b"".join(path.read_bytes() for path in config.audit_spool.rglob("*.spool")).splitlines()
    record = audit_record.from_line(lines[-1])
    done = (record.kind, record.name, record.actor, record.reason)
    assert done == ("credential", "pin-reset", "staff:lan", "khách quên mã")
    assert record.address == f"Patient/{person}"
    assert audit_record.from_line(lines[0]).kind == "login"
