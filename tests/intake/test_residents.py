"""Resident changes: applied at once, in any order, any number of times; nobody unknown is lost."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.intake import residents
from mappings import systems
from mappings.person import identifier
from mappings.systems import BIRTH_REGISTRATION_BASE, RESIDENT_CHANGE_BASE

CTX = AccessContext.unrestricted("test")
CCCD = "079190009001"
CALLS = "/residents/v1/changes"


def message(sequence: int, kind: str = "correction", sender: str = "CA79", **more: Any) -> dict[str, Any]:
    person = {"cccd": CCCD, "name": "Lê Văn Mẫu", "birthDate": "1990-05-06"}
    recorded = f"2026-11-{sequence:02}T08:00:00+07:00"
    whole = {"sender": sender, "sequence": sequence, "recorded": recorded, "kind": kind, "person": person}
    return whole | more


def known(repository: Any) -> str:
    patient = {
        "resourceType": "Patient",
        "identifier": [identifier("cccd", CCCD)],
        "name": [{"text": "Lê Văn Mẫu", "family": "Lê", "given": ["Văn", "Mẫu"]}],
        "gender": "male",
        "birthDate": "1990-05-06",
    }
    return repository.create(CTX, "Patient", patient).stored.id


def read(client: Any, path: str) -> dict[str, Any]:
    return json.loads(client.get(f"/fhir/{path}").data)


def content(patient: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in patient.items() if name not in ("id", "meta")}


def send(client: Any, sent: Any) -> Any:
    return client.post(CALLS, json=sent)


def test_a_correction_makes_one_version_with_a_provenance_that_names_sender_and_sequence(client, repository):
    id = known(repository)
    answer = send(client, message(7, changes={"name": "Lê Văn Mậu"}))
    assert (answer.status_code, answer.json["status"]) == (200, "applied")
    patient = read(client, f"Patient/{id}")
    assert (patient["name"][0]["text"], patient["meta"]["versionId"]) == ("Lê Văn Mậu", "2")
    (entry,) = read(client, f"Provenance?target=Patient/{id}")["entry"]
    assert entry["resource"]["agent"][0]["who"]["identifier"]["value"] == "CA79"
    assert entry["resource"]["entity"][0]["what"]["identifier"] == {
        "system": f"{RESIDENT_CHANGE_BASE}CA79",
        "value": "7",
    }


def test_an_earlier_correction_that_comes_late_undoes_nothing(client, repository):
    id = known(repository)
    send(client, message(9, changes={"name": "Lê Văn Chín"}))
    late = send(client, message(8, changes={"name": "Lê Văn Tám", "birthDate": "1990-05-07"}))
    assert late.json["status"] == "applied"
    patient = read(client, f"Patient/{id}")
    assert (patient["name"][0]["text"], patient["birthDate"]) == ("Lê Văn Chín", "1990-05-07")


def test_a_repeated_message_writes_nothing_and_another_of_its_number_is_a_conflict(client, repository):
    id = known(repository)
    send(client, message(3, "move", changes={"address": "5 Hai Bà Trưng"}))
    again = send(client, message(3, "move", changes={"address": "5 Hai Bà Trưng"}))
    assert (again.status_code, again.json["status"], again.json["stands"]) == (200, "duplicate", "applied")
    other = send(client, message(3, "move", changes={"address": "6 Hai Bà Trưng"}))
    assert (other.status_code, other.json["status"]) == (409, "conflict")
    assert read(client, f"Patient/{id}")["meta"]["versionId"] == "2"


def test_a_death_sets_the_date_and_a_later_correction_takes_it_back(client, repository):
    id = known(repository)
    send(client, message(4, "death", changes={"deceased": "2026-11-03"}))
    assert read(client, f"Patient/{id}")["deceasedDateTime"] == "2026-11-03"
    send(client, message(5, changes={"deceased": None}))
    assert "deceasedDateTime" not in read(client, f"Patient/{id}")


def birth(sequence: int = 1, **more: Any) -> dict[str, Any]:
    changes = {"name": "Lê Thị Bé", "birthDate": "2026-11-01", "gender": "female"}
    about: dict[str, Any] = {"person": {"registration": "KS-77"}, "changes": changes}
    return message(sequence, "birth", **about, mother={"cccd": CCCD, "name": "Trần Thị Mẹ"}) | more


def test_a_birth_is_a_new_patient_with_a_mother_however_often_it_is_told(client, repository):
    id = known(repository)
    assert send(client, birth()).json["status"] == "applied"
    assert send(client, birth(2)).json["status"] == "applied"
    (entry,) = read(client, f"Patient?identifier={BIRTH_REGISTRATION_BASE}CA79|KS-77")["entry"]
    child = entry["resource"]
    assert (child["birthDate"], child["gender"], child["meta"]["versionId"]) == ("2026-11-01", "female", "1")
    assert child["id"] != id
    (entry,) = read(client, f"RelatedPerson?patient={child['id']}&identifier={systems.CCCD}|{CCCD}")["entry"]
    assert entry["resource"]["relationship"][0]["coding"][0]["code"] == "MTH"


def test_a_child_who_bears_the_mothers_name_and_day_is_not_taken_for_her(client, repository):
    id = known(repository)
    same = {"name": "Lê Văn Mẫu", "birthDate": "1990-05-06", "gender": "male"}
    assert send(client, birth(changes=same)).json["status"] == "applied"
    assert read(client, "Patient?_summary=count")["total"] == 2
    assert read(client, f"Patient/{id}")["meta"]["versionId"] == "1"
    assert read(client, "Task?_summary=count")["total"] == 0


def test_somebody_unknown_waits_is_listed_and_is_served_when_they_appear(client, repository):
    answer = send(client, message(2, changes={"gender": "female"}))
    assert (answer.status_code, answer.json["status"]) == (202, "waiting")
    (item,) = client.get(CALLS).json["data"]["items"]
    assert (item["message"]["sequence"], item["reason"]) == (2, residents.UNKNOWN)
    id = known(repository)
    residents.work_through(repository)
    assert read(client, f"Patient/{id}")["gender"] == "female"
    assert client.get(CALLS).json["data"] == {"items": [], "total": 0}


def test_a_correction_that_comes_before_the_birth_is_applied_after_it(client, repository):
    about = {"registration": "KS-77"}
    assert send(client, message(2, person=about, changes={"name": "Lê Thị Bé Hai"})).json["status"] == "waiting"
    send(client, birth(1))
    (entry,) = read(client, f"Patient?identifier={BIRTH_REGISTRATION_BASE}CA79|KS-77")["entry"]
    assert entry["resource"]["name"][0]["text"] == "Lê Thị Bé Hai"


def test_a_number_with_the_name_and_birth_date_of_somebody_else_changes_nobody(client, repository):
    id = known(repository)
    stranger = {"cccd": CCCD, "name": "Phạm Thị Lạ", "birthDate": "1971-01-02"}
    assert send(client, message(2, person=stranger, changes={"gender": "female"})).json["status"] == "waiting"
    assert read(client, f"Patient/{id}")["meta"]["versionId"] == "1"


def test_what_is_wrong_is_named_by_its_json_path_in_both_languages(client):
    answer = send(client, message(1, changes={"birthDate": "6/5/1990", "colour": "x"}) | {"sequence": "1"})
    assert answer.status_code == 400
    assert set(answer.json["errors"]) == {"$.sequence", "$.changes.birthDate", "$.changes.colour"}
    assert all(" / " in text for texts in answer.json["errors"].values() for text in texts)
    assert send(client, message(1, "death", changes={"name": "A"})).json["errors"].keys() == {
        "$.changes.deceased",
        "$.changes.name",
    }
    assert client.post(CALLS, data="[1]", content_type="application/json").status_code == 400


def test_half_a_character_is_refused_and_not_a_fault(client):
    half = json.dumps(message(1, changes={"name": "x"})).replace('"x"', '"\\ud800"')
    answer = client.post(CALLS, data=half, content_type="application/json")
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["$"])


def test_who_only_may_be_meant_is_not_changed_and_is_shown_with_the_reason(client, repository):
    id = known(repository)
    mistyped = {"cccd": "079190009007", "name": "Lê Văn Mẫu", "birthDate": "1990-05-06"}
    no_number = {"name": "Lê Văn Mẫu", "birthDate": "1990-05-06"}
    for sequence, person in ((1, mistyped), (2, no_number)):
        answer = send(client, message(sequence, "death", person=person, changes={"deceased": "2026-11-03"}))
        assert (answer.status_code, answer.json["status"]) == (202, "waiting")
        assert answer.json["reason"].startswith("Có thể là người đã có hồ sơ")
    residents.work_through(repository)
    items = client.get(CALLS).json["data"]["items"]
    assert [(it["message"]["sequence"], it["possible"]) for it in items] == [
        (1, [f"Patient/{id}"]),
        (2, [f"Patient/{id}"]),
    ]
    assert read(client, f"Patient/{id}")["meta"]["versionId"] == "1"


def test_a_message_that_waits_is_shown_with_who_came_since(client, repository):
    send(
        client,
        message(
            1,
            person={"cccd": "079190009007", "name": "Lê Văn Mẫu", "birthDate": "1990-05-06"},
            changes={"gender": "female"},
        ),
    )
    assert "possible" not in client.get(CALLS).json["data"]["items"][0]
    id = known(repository)
    residents.work_through(repository)
    (item,) = client.get(CALLS).json["data"]["items"]
    assert item["possible"] == [f"Patient/{id}"]


def test_a_message_without_a_number_needs_name_and_birth_date(client):
    answer = send(client, message(1, person={"name": "Lê Văn Mẫu"}, changes={"gender": "female"}))
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["$.person"])


def child(repository: Any, name: str, *identifiers: dict[str, Any]) -> str:
    """A child born on the day of `birth`, as a roster told of her."""
    patient = {
        "resourceType": "Patient",
        "identifier": list(identifiers),
        "name": [{"text": name}],
        "gender": "female",
        "birthDate": "2026-11-01",
    }
    return repository.create(CTX, "Patient", patient).stored.id


def test_a_birth_of_a_child_certainly_on_record_is_told_of_that_child(client, repository):
    id = child(repository, "Lê Thị Bé", identifier("cccd", "079326009009"))
    states = birth()["changes"] | {"cccd": "079326009009"}
    assert send(client, birth(changes=states)).json["status"] == "applied"
    (entry,) = read(client, f"Patient?identifier={BIRTH_REGISTRATION_BASE}CA79|KS-77")["entry"]
    assert entry["resource"]["id"] == id
    assert read(client, f"RelatedPerson?patient={id}&_summary=count")["total"] == 1
    assert (
        send(client, message(2, person={"registration": "KS-77"}, changes={"gender": "male"})).json["status"]
        == "applied"
    )
    assert read(client, f"Patient/{id}")["gender"] == "male"


def test_a_birth_of_a_child_who_may_be_on_record_makes_a_new_one_in_the_queue(client, repository):
    id = child(repository, "Lê Thị Bé", identifier("card", "TE1790000000012"))
    assert send(client, birth()).json["status"] == "applied"
    assert send(client, birth(2)).json["status"] == "applied"
    (entry,) = read(client, f"Patient?identifier={BIRTH_REGISTRATION_BASE}CA79|KS-77")["entry"]
    assert entry["resource"]["id"] != id
    (task,) = read(client, "Task?code=possible-duplicate&status=requested")["entry"]
    assert task["resource"]["focus"]["reference"] == f"Patient/{entry['resource']['id']}"
    assert task["resource"]["for"]["reference"] == f"Patient/{id}"


SET = (
    message(1, changes={"name": "Lê Văn Một"}),
    message(2, changes={"name": "Lê Văn Hai", "cccd": "079190009002"}),
    message(3, "move", changes={"address": "1 Quang Trung"}),
    message(4, changes={"cccd": "079190009003", "birthDate": "1990-06-05"}),
    message(5, "death", sender="TP38", changes={"deceased": "2026-11-04"}),
    message(2, "move", sender="TP38", changes={"address": "2 Quang Trung"}),
    message(
        6,
        person={"cccd": "079190009003", "name": "Lê Văn Hai", "birthDate": "1990-06-05"},
        changes={"gender": "female"},
    ),
)
ORDERS = [random.Random(seed).choices(SET, k=4) + random.Random(seed).sample(SET, len(SET)) for seed in range(12)]


@pytest.mark.parametrize("order", [SET, SET[::-1], *ORDERS], ids=[str(number) for number in range(len(ORDERS) + 2)])
def test_any_order_and_repetition_ends_in_the_same_state(client, repository, order):
    id = known(repository)
    for sent in order:
        assert send(client, sent).status_code in (200, 202)
    patient = content(read(client, f"Patient/{id}"))
    numbers = [(it["value"], it.get("use")) for it in patient.pop("identifier")]
    assert numbers == [(CCCD, "old"), ("079190009002", "old"), ("079190009003", "official")]
    assert patient.pop("address")[0]["text"] == "1 Quang Trung"
    assert patient == {
        "resourceType": "Patient",
        "name": [{"use": "official", "text": "Lê Văn Hai", "family": "Lê", "given": ["Văn", "Hai"]}],
        "gender": "female",
        "birthDate": "1990-06-05",
        "deceasedDateTime": "2026-11-04",
    }
    assert client.get(CALLS).json["data"]["total"] == 0


def test_a_file_is_received_line_by_line(client, repository, tmp_path):
    id = known(repository)
    lines = [json.dumps(message(1, changes={"gender": "female"})), "no JSON", json.dumps({"sender": "CA79"})]
    file = tmp_path / "changes.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    receipts = residents.import_changes(repository, CTX, file)
    assert [(number, receipt.status) for number, receipt in receipts] == [
        (1, "applied"),
        (2, "invalid"),
        (3, "invalid"),
    ]
    assert read(client, f"Patient/{id}")["gender"] == "female"
