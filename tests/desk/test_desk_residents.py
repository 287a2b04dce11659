"""Changes of residents that may be about somebody on record: the desk sees whom, applies them, or drops them."""

from __future__ import annotations

import re
from typing import Any

from fhir_server.intake import resident_inbox, residents
from fhir_server.resource import exact
from tests.desk.conftest import OPEN, send

PAGE = "/desk/residents"


def waiting(repository: Any, sequence: int, **changes: Any) -> None:
    message = {
        "sender": "CA79",
        "sequence": sequence,
        "recorded": f"2026-11-{sequence:02}T08:00:00+07:00",
        "kind": "correction",
        "person": {"name": "Lê Thị Mẫu", "birthDate": "1985-09-02"},
        "changes": changes,
    }
    assert residents.receive(repository, OPEN, message).status == "waiting"


def patient(repository: Any, id: str) -> dict[str, Any]:
    return exact.parse(repository.read(OPEN, "Patient", id).json)


def choices(page: str) -> list[str]:
    return re.findall(r'name="choice" value="([^"]+)"', page)


def test_a_change_is_applied_to_whom_the_desk_says_it_is_about(browser_of, repository, add_person):
    id = add_person("Lê Thị Mẫu")
    waiting(repository, 1, gender="male")
    desk = browser_of("registrar")
    page = desk.get(PAGE).text
    assert choices(page) == [f"CA79|1|{id}", "CA79|1|"]
    assert f"/desk/person/{id}" in page
    assert send(desk, PAGE, choice=f"CA79|1|{id}").status_code == 303
    assert (patient(repository, id)["gender"], choices(desk.get(PAGE).text)) == ("male", [])
    message = resident_inbox.message_called(repository, "CA79|1")
    assert (message.status, message.patient, message.decided) == ("applied", id, "staff:registrar")
    (told,) = repository.search(OPEN, "Provenance", [("target", f"Patient/{id}")]).entries
    assert '"value":"1"' in told[1].json.decode()


def test_a_change_is_dropped_and_stays_so(browser_of, repository, add_person):
    id = add_person("Lê Thị Mẫu")
    waiting(repository, 1, gender="male")
    desk = browser_of("registrar")
    assert send(desk, PAGE, choice="CA79|1|").status_code == 303
    residents.work_through(repository)
    message = resident_inbox.message_called(repository, "CA79|1")
    assert (message.status, message.reason) == ("refused", residents.DROPPED)
    assert patient(repository, id)["meta"]["versionId"] == "1"
    assert send(desk, PAGE, choice=f"CA79|1|{id}").status_code == 422


def test_a_change_is_not_applied_to_somebody_who_was_not_named(browser_of, repository, add_person):
    add_person("Lê Thị Mẫu")
    other = add_person("Phạm Văn Khác", "1971-01-02")
    waiting(repository, 1, gender="male")
    desk = browser_of("registrar")
    for choice in (f"CA79|1|{other}", "CA79|2|", "x", ""):
        answer = send(desk, PAGE, choice=choice)
        assert (answer.status_code, "không còn chờ" in answer.text) == (422, True), choice
    assert patient(repository, other)["meta"]["versionId"] == "1"


def test_of_two_who_may_be_meant_a_merge_is_followed(browser_of, repository, add_person):
    first, second = add_person("Lê Thị Mẫu"), add_person("Lê Thị Mẫu")
    waiting(repository, 1, gender="male")
    desk = browser_of("registrar")
    page = choices(desk.get(PAGE).text)
    assert sorted(page) == sorted([f"CA79|1|{first}", f"CA79|1|{second}", "CA79|1|"])
    repository.merging.merge(OPEN, second, first)
    assert send(desk, PAGE, choice=f"CA79|1|{second}").status_code == 303
    assert patient(repository, first)["gender"] == "male"
