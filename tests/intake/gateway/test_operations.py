"""Cancel and restore: at once, in order with what was sent before, and once for each MA_YEU_CAU."""

from __future__ import annotations

import json
import threading

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.intake.gateway import queue, worker
from tests.intake.gateway.conftest import MA_LK, VISITS, visit_called

CTX = AccessContext.unrestricted("test")


def cancel(hospital, request_id, **more):
    body = {"MA_LK": MA_LK, "MA_CSKCB": "79001", "LY_DO_HUY": "Nhập nhầm người", "MA_YEU_CAU": request_id}
    return hospital.post(f"{VISITS}/huy-ho-so", **{**body, **more})


def restore(hospital, request_id, **more):
    body = {"MA_LK": MA_LK, "MA_CSKCB": "79001", "LY_DO": "Hủy nhầm", "MA_YEU_CAU": request_id}
    return hospital.post(f"{VISITS}/khoi-phuc-ho-so", **{**body, **more})


def encounter_status(repository):
    ((_, stored),) = repository.search(CTX, "Encounter", []).entries
    return json.loads(stored.json)["status"]


@pytest.fixture
def stored(hospital):
    hospital.send()
    hospital.work()
    return hospital


def test_a_cancelled_visit_is_in_error_at_once_and_leaves_the_list(stored, repository):
    answer = cancel(stored, "huy-1")
    assert (answer.status_code, answer.json["success"], answer.json["code"]) == (200, True, "SUCCESS")
    assert answer.json["data"]["status"] == "CANCELLED"
    assert encounter_status(repository) == "entered-in-error"
    assert stored.status()["ho_so"] == {"ma_lk": MA_LK, "status": "CANCELLED", "is_cancelled": True}
    assert stored.listed()["total"] == 0
    (item,) = stored.listed(include_cancelled="true")["items"]
    assert (item["status"], item["is_cancelled"]) == ("CANCELLED", True)


def test_a_restored_visit_is_back_as_it_was(stored, repository):
    before = encounter_status(repository)
    cancel(stored, "huy-1")
    answer = restore(stored, "phuc-hoi-1")
    assert (answer.status_code, answer.json["data"]["status"]) == (200, "RESTORED")
    assert encounter_status(repository) == before
    assert stored.status()["ho_so"]["status"].startswith("VALID")
    assert stored.listed()["total"] == 1


def test_cancel_restore_and_cancel_again_all_take_effect(stored, repository):
    cancel(stored, "1")
    restore(stored, "2")
    assert cancel(stored, "3").json["data"]["status"] == "CANCELLED"
    assert encounter_status(repository) == "entered-in-error"
    assert stored.status()["ho_so"]["status"] == "CANCELLED"
    assert len(stored.status()["requests"]) == 4


def test_the_same_request_id_again_gets_the_same_answer_and_does_nothing(stored, repository):
    first = cancel(stored, "huy-1").json
    restore(stored, "phuc-hoi-1")
    before = encounter_status(repository)
    assert cancel(stored, "huy-1").json == first
    assert encounter_status(repository) == before


def test_the_same_request_id_for_something_else_is_a_conflict(stored):
    cancel(stored, "huy-1")
    answer = cancel(stored, "huy-1", LY_DO_HUY="Lý do khác")
    assert (answer.status_code, answer.json["code"]) == (409, "REQUEST_ID_CONFLICT")


def test_a_request_id_names_one_operation_of_one_kind(stored):
    cancel(stored, "1")
    assert restore(stored, "1").json["data"]["status"] == "RESTORED"


@pytest.mark.parametrize("operation", [cancel, restore])
def test_an_unknown_visit_is_404_and_uses_up_no_request_id(hospital, operation):
    answer = operation(hospital, "1")
    assert (answer.status_code, answer.json["code"]) == (404, "NOT_FOUND")
    hospital.send()
    assert cancel(hospital, "1").status_code == 200


@pytest.mark.parametrize("operation", [cancel, restore])
@pytest.mark.parametrize("name", ["MA_LK", "MA_CSKCB", "MA_YEU_CAU"])
@pytest.mark.parametrize("value", ["", None, 1, "x" * 1001])
def test_what_is_missing_is_named(stored, operation, name, value):
    answer = operation(stored, "1", **{name: value})
    assert (answer.status_code, answer.json["code"]) == (400, "MISSING_FIELD")
    assert name in answer.json["message"]


@pytest.mark.parametrize("operation", [cancel, restore])
def test_another_facilitys_visit_is_403(stored, operation):
    answer = operation(stored, "1", MA_CSKCB="79002")
    assert (answer.status_code, answer.json["code"]) == (403, "ORG_MISMATCH")


def test_a_cancel_waits_for_what_was_sent_before_it(hospital, repository):
    hospital.send()
    assert cancel(hospital, "huy-1").json["data"]["status"] == "CANCELLED"
    assert encounter_status(repository) == "entered-in-error"
    assert queue.waiting_facilities(repository) == []


def test_a_cancel_does_not_wait_for_other_visits(hospital, repository):
    others = [f"79001_2611_00000{n}" for n in range(2, 5)]
    for ma_lk in [*others, MA_LK]:
        hospital.send(visit_called(ma_lk))
    cancel(hospital, "huy-1")
    assert [hospital.status(ma_lk)["ho_so"]["status"] for ma_lk in others] == ["RECEIVED"] * 3
    assert hospital.status()["ho_so"]["status"] == "CANCELLED"


def test_a_cancel_that_another_worker_is_kept_from_is_accepted_and_told_later(stored, repository, monkeypatch):
    monkeypatch.setattr(worker, "WAIT_SECONDS", 0)
    monkeypatch.setattr(worker.finished, "__defaults__", (0,))
    with queue.lane(repository, "79001") as held:
        assert held
        answer = cancel(stored, "huy-1")
    assert (answer.status_code, answer.json["code"]) == (202, "ACCEPTED")
    stored.work()
    assert stored.status()["ho_so"]["status"] == "CANCELLED"
    assert cancel(stored, "huy-1").json["data"]["status"] == "CANCELLED"


def test_two_cancels_at_the_same_moment_with_one_request_id_are_one(stored, app, repository):
    answers = []

    def send():
        client = app.test_client()
        body = {"MA_LK": MA_LK, "MA_CSKCB": "79001", "LY_DO_HUY": "Nhập nhầm người", "MA_YEU_CAU": "huy-1"}
        answers.append(client.post(f"{VISITS}/huy-ho-so", json=body, headers=stored.headers).json)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["data"]["tracking_id"] for answer in answers}) == 1
    assert repository.store.database["gateway_requests"].count_documents({"kind": "cancel"}) == 1
