"""Lists go on behind their first page, by the door's own signed positions where the door is searched."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest

from fhir_server.desk import audit_pages, duplicate_pages, finding, intake_pages, timeline
from fhir_server.intake import resident_inbox
from fhir_server.intake.matching import queue_item
from mappings.identity import judge
from tests.access.test_door_facility import consent
from tests.desk.conftest import OPEN, send
from tests.desk.test_desk_lists import event, visit

ROW = re.compile(r"<tbody>.*?</tbody>", re.DOTALL)


def next_fields(page: Any) -> dict[str, str]:
    """The hidden fields of the form that asks for the next page; {} when there is none."""
    forms = [each for each in re.findall(r"<form.*?</form>", page.text, re.DOTALL) if "Trang sau" in each]
    return (
        {}
        if not forms
        else {name: unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', forms[0])}
    )


def next_link(page: Any) -> str:
    found = re.search(r'rel="next" href="([^"]+)"', page.text)
    return unescape(found[1]) if found else ""


def rows(page: Any) -> list[str]:
    return re.findall(r"<tr><td.*?</tr>", page.text, re.DOTALL)


def walked_forms(browser: Any, address: str, page: Any) -> list[str]:
    found = rows(page)
    while sent := next_fields(page):
        page = browser.post(address, data=sent)
        assert page.status_code == 200
        found += rows(page)
    return found


def walked_links(browser: Any, address: str) -> list[str]:
    found = []
    while address:
        page = browser.get(address)
        assert page.status_code == 200
        found += rows(page)
        address = next_link(page)
    return found


@pytest.fixture
def small(monkeypatch) -> None:
    """Pages of two rows."""
    for module, name in (
        (finding, "FOUND"),
        (duplicate_pages, "WAITING"),
        (audit_pages, "SHOWN"),
        (audit_pages, "READ"),
        (intake_pages, "SHOWN"),
        (intake_pages, "WAITING"),
        (timeline, "EACH"),
    ):
        monkeypatch.setattr(module, name, 2)


@pytest.mark.parametrize("asked", ["nguyen thi", "thi hoa"])
def test_people_of_a_common_name_are_all_reached(browser_of, add_person, small, asked):
    wanted = {add_person(f"Nguyễn Thị Hoa {number}") for number in "abcde"}
    add_person("Lê Văn Bình")
    browser = browser_of("registrar")
    first = send(browser, "/desk/find", q=asked)
    found = [re.search(r"/desk/person/([^\"]+)", row)[1] for row in walked_forms(browser, "/desk/find", first)]
    assert sorted(found) == sorted(wanted)


def test_a_position_of_another_search_or_another_person_is_refused(browser_of, add_person, small):
    for number in "abc":
        add_person(f"Nguyễn Thị Hoa {number}")
    browser = browser_of("registrar")
    sent = next_fields(send(browser, "/desk/find", q="nguyen thi"))
    assert browser.post("/desk/find", data=sent | {"q": "nguyen"}).status_code == 400
    assert browser.post("/desk/find", data=sent | {"next": sent["next"][:-2] + "xx"}).status_code == 400
    other = browser_of("clinician")
    assert send(other, "/desk/find", q="nguyen thi", next=sent["next"]).status_code == 400
    assert browser.post("/desk/find", data=sent | {"next": "nowhere"}).status_code == 200


def test_all_pairs_that_wait_are_reached(browser_of, add_person, repository, small):
    patient = {"resourceType": "Patient", "name": [{"text": "Lê Hoa"}], "gender": "female", "birthDate": "1980-03-05"}
    for _ in range(5):
        one, other = (repository.create(OPEN, "Patient", patient).stored.address for _ in range(2))
        repository.create(OPEN, "Task", queue_item(one, other, judge(patient, patient)))
    found = walked_links(browser_of("registrar"), "/desk/duplicates")
    assert len(found) == len(set(found)) == 5


def test_each_kind_of_a_record_is_read_to_its_end(browser_of, add_person, repository, small):
    person = add_person("Trần Văn Bình")
    for number in range(5):
        condition = {
            "resourceType": "Condition",
            "subject": {"reference": f"Patient/{person}"},
            "code": {"text": f"Bệnh {number}"},
            "recordedDate": f"2026-02-0{number + 1}",
        }
        repository.create(OPEN, "Condition", condition)
    browser = browser_of("clinician")
    address = f"/desk/person/{person}?type=Condition"
    assert f'href="{address}"' in browser.get(f"/desk/person/{person}").text
    found = [re.search(r"Bệnh \d", row)[0] for row in walked_links(browser, address)]
    assert found == [f"Bệnh {number}" for number in reversed(range(5))]
    # What the roles do not open is not listed by its type either.
    assert "Bệnh" not in browser_of("registrar").get(address).text


def test_the_audit_trail_is_read_to_its_end_on_the_page_and_in_the_file(
    browser_of, add_person, repository, small, monkeypatch
):
    person = add_person("Trần Văn Bình")
    for number in range(5):
        event(repository, person, f"client:c{number}", f"2026-02-0{number + 1}", "")
    browser = browser_of("auditor")
    first = send(browser, "/desk/audit", action="show", patient=person)
    found = [re.search(r"client:c\d", row)[0] for row in walked_forms(browser, "/desk/audit", first)]
    assert found == [f"client:c{number}" for number in reversed(range(5))]
    file = send(browser, "/desk/audit", action="csv", patient=person).text
    assert re.findall(r"client:c\d", file) == found
    assert "Còn nhiều hơn" not in file
    monkeypatch.setattr(audit_pages, "IN_FILE", 3)
    assert "Còn nhiều hơn" in send(browser, "/desk/audit", action="csv", patient=person).text


def test_visits_and_changes_that_wait_are_all_reached(browser_of, repository, small):
    at = datetime.now(UTC)
    for number in range(5):
        visit(repository, "79001", f"LK-{number}", "VALID")
        message = resident_inbox.ResidentMessage(
            id=f"so|{number}",
            sender="so",
            content_hash="h",
            payload={"a": 1},
            status=resident_inbox.WAITING,
            reason="x",
            actor="a",
            received=at + timedelta(seconds=number),
            tried=at,
        )
        resident_inbox.messages(repository).insert(message, load_bulk=False)
    admin = browser_of("admin")
    found = [re.search(r"LK-\d", row)[0] for row in walked_forms(admin, "/desk/gateway", admin.get("/desk/gateway"))]
    assert sorted(found) == [f"LK-{number}" for number in range(5)]
    assert len(set(walked_links(admin, "/desk/residents"))) == 5
    assert len(rows(admin.get("/desk/residents?page=x"))) == 2


@pytest.mark.parametrize("type", ["Coverage", "Consent"])
def test_what_stands_beside_a_record_is_read_to_its_end_the_newest_first(browser_of, add_person, repository, type):
    person = add_person("Nguyễn Văn An")
    for day in range(1, 29):
        if type == "Consent":
            resource = consent(f"c{day}", person, "permit", dateTime=f"2026-02-{day:02}")
            resource["dateTime"] = resource["provision"].pop("dateTime")
        else:
            resource = {
                "resourceType": "Coverage",
                "id": f"c{day}",
                "status": "active",
                "beneficiary": {"reference": f"Patient/{person}"},
                "payor": [{"display": "BHXH"}],
                "period": {"start": f"2026-02-{day:02}"},
            }
        repository.update(OPEN, type, f"c{day}", resource)
    browser, address, pages = browser_of("registrar"), f"/desk/person/{person}", []
    heading = {"Coverage": "covers", "Consent": "consents"}[type]
    while address:
        page = browser.get(address)
        assert page.status_code == 200
        (part,) = re.findall(rf'aria-labelledby="{heading}".*?</section>', page.text, re.DOTALL)
        pages.append(re.findall(r"(\d\d)/02/2026", part))
        found = re.search(r'rel="next" href="([^"]+)"', part)
        address = unescape(found[1]) if found else ""
    assert [len(each) for each in pages] == [20, 8]
    assert [day for page in pages for day in page] == [f"{day:02}" for day in range(28, 0, -1)]
