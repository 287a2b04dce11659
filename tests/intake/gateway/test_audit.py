"""What the worker writes after the sender was answered is in the audit trail as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fhir_server.access import audit_record
from fhir_server.access.audit_events import events_of
from fhir_server.access.audit_spool import Spool, segments
from fhir_server.errors import Unavailable
from fhir_server.intake import residents
from fhir_server.intake.gateway import worker
from fhir_server.resource.validation import validate_issues
from tests.intake import test_residents
from tests.intake.gateway.conftest import SAMPLE, without

if TYPE_CHECKING:
    from pathlib import Path


def kept(spool: Spool) -> list[audit_record.Record]:
    lines = [line for each in segments(spool.directory) for line in each.read_bytes().splitlines()]
    return [audit_record.from_line(line) for line in lines]


@pytest.fixture
def spool(tmp_path: Path) -> Any:
    opened = Spool(tmp_path / "audit")
    yield opened
    opened.close()


def test_a_visit_that_is_stored_behind_the_answer_is_told_of_with_every_version(hospital, repository, spool):
    tracking = hospital.send().json["data"]["tracking_id"]
    worker.work_through(repository, spool)
    (record,) = kept(spool)
    assert (record.kind, record.status, record.facility, record.request) == ("submission", 200, "79001", tracking)
    assert record.actor.endswith("bv79001") or record.actor == "facility:79001"
    written = {(each.type, each.lifecycle) for each in record.touched}
    assert {(type, audit_record.CREATED) for type in ("Patient", "Encounter", "Observation", "Condition")} <= written
    (owner,) = {each.owner for each in record.touched if each.type == "Observation"}
    events = list(events_of(record, "http://127.0.0.1"))
    assert [validate_issues(each) for each in events] == [[]] * len(events)
    assert any(f"Patient/{owner}" in str(each["entity"]) for each in events)


def test_a_visit_that_cannot_be_taken_is_a_refusal(hospital, repository, spool):
    hospital.send(without("NGAY_VAO"))
    worker.work_through(repository, spool)
    assert [each.status for each in kept(spool)] == [422]
    hospital.send(SAMPLE)
    worker.work_through(repository, spool)
    assert kept(spool)[-1].status == 200


def test_nothing_is_processed_that_could_not_be_told_of(hospital, repository, spool, monkeypatch):
    hospital.send()

    def full() -> None:
        raise Unavailable("full")

    monkeypatch.setattr(spool, "refuse_when_full", full)
    worker.work_through(repository, spool)
    assert hospital.status()["ho_so"]["status"] == "RECEIVED"
    assert repository.store.estimated_count("Encounter") == 0
    monkeypatch.undo()
    worker.work_through(repository, spool)
    assert hospital.status()["ho_so"]["status"].startswith("VALID")


def test_a_resident_change_that_waited_is_told_of_once_and_looking_again_is_not(client, repository, spool):
    test_residents.send(client, test_residents.message(2, changes={"gender": "female"}))
    for _ in range(3):
        residents.work_through(repository, spool)
    assert kept(spool) == []
    id = test_residents.known(repository)
    for _ in range(3):
        residents.work_through(repository, spool)
    (record,) = kept(spool)
    assert ("Patient", id, audit_record.CHANGED) in {(each.type, each.id, each.lifecycle) for each in record.touched}
