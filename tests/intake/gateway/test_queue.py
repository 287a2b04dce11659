"""The queue: order, one worker for each facility, requests that break, and what a dead worker leaves behind."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from fhir_server.errors import Unavailable
from fhir_server.intake import visits
from fhir_server.intake.gateway import processing, queue
from fhir_server.intake.gateway.admission import VISIT
from fhir_server.intake.gateway.documents import GatewayLane, documents
from tests.intake.gateway.conftest import MA_LK, SAMPLE, visit_called
from tests.intake.gateway.test_visits import CHANGED, encounters


@pytest.fixture
def carried_out(monkeypatch):
    """The tracking ids that were processed, in order."""
    order = []

    def receive(repository, ctx, request, body):
        order.append(request.id)
        return visits.receive(repository, ctx, body)

    monkeypatch.setitem(processing.PROCESSORS, VISIT, receive)
    return order


def received(repository, answer):
    request = queue.find_request(repository, id=tracking(answer))
    assert request is not None
    return request


def tracking(answer):
    return answer.json["data"]["tracking_id"]


def test_requests_are_carried_out_in_the_order_they_came(hospital, carried_out):
    sent = [tracking(hospital.send(xml)) for xml in (SAMPLE, CHANGED, SAMPLE)]
    hospital.work()
    assert carried_out == sent


def test_while_one_worker_has_a_facility_another_leaves_it_alone(hospital, repository, carried_out):
    hospital.send()
    with queue.lane(repository, "79001") as first:
        assert first
        hospital.work()
        assert carried_out == []
        with queue.lane(repository, "79001") as second:
            assert second is None
        with queue.lane(repository, "79002") as elsewhere:
            assert elsewhere
    hospital.work()
    assert len(carried_out) == 1


def test_a_lane_whose_worker_died_is_taken_over(hospital, repository, carried_out):
    hospital.send()
    past = datetime(2026, 1, 1, tzinfo=UTC)
    documents(repository, GatewayLane).insert(GatewayLane(id="79001", worker="dead", until=past), load_bulk=False)
    hospital.work()
    assert len(carried_out) == 1


def test_what_a_dead_worker_had_stored_is_not_doubled_and_not_lost(hospital, repository):
    """It died between storing the visit and writing down that it had."""
    request = received(repository, hospital.send())
    queue.begin(repository, request, "dead")
    processing._results(repository, request)
    before = encounters(repository)
    assert hospital.status()["ho_so"]["status"] == "RECEIVED"
    hospital.work()
    assert hospital.status()["ho_so"]["status"].startswith("VALID")
    assert encounters(repository) == before
    assert len(before) == 1


def test_a_receiver_that_died_before_it_listed_the_visit_is_made_up_for(hospital, repository):
    hospital.send()
    repository.store.database["gateway_visits"].delete_many({})
    hospital.work()
    (item,) = hospital.listed()["items"]
    assert item["status"].startswith("VALID")
    assert item["ho_ten"] == "NGUYỄN THỊ ÁNH ĐÀO"


def test_a_worker_whose_request_was_taken_over_writes_nothing_down(hospital, repository):
    request = received(repository, hospital.send())
    begun = queue.begin(repository, request, "slow")
    assert begun is not None
    assert queue.begin(repository, request, "quick") is not None
    assert not queue.finish(repository, begun, "slow", "INVALID", "chậm", [])
    assert queue.finish(repository, begun, "quick", "VALID", "nhanh", [])
    assert queue.begin(repository, request, "late") is None
    assert hospital.status()["requests"][0]["status"] == "VALID"


def test_an_unavailable_store_is_waited_for_however_long(hospital, repository, monkeypatch):
    def away(*given):
        raise Unavailable("The database does not answer; try again.")

    hospital.send()
    with monkeypatch.context() as patched:
        patched.setitem(processing.PROCESSORS, VISIT, away)
        for _ in range(processing.ATTEMPTS + 2):
            hospital.work()
    assert hospital.status()["ho_so"]["status"] == "RECEIVED"
    assert hospital.status()["requests"][0]["status"] == "RECEIVED"
    hospital.work()
    assert len(hospital.status()["requests"][0]["events"]) == 3
    assert hospital.status()["ho_so"]["status"].startswith("VALID")


def test_a_request_that_breaks_again_and_again_is_given_up_and_holds_nothing_up(hospital, monkeypatch):
    def breaks(repository, ctx, request, body):
        if MA_LK in request.keys[0]:
            raise ZeroDivisionError
        return visits.receive(repository, ctx, body)

    monkeypatch.setitem(processing.PROCESSORS, VISIT, breaks)
    hospital.send()
    hospital.send(visit_called("79001_2611_000002"))
    for _ in range(processing.ATTEMPTS):
        hospital.work()
    assert hospital.status()["ho_so"]["status"] == "FAILED"
    (error,) = hospital.status()["requests"][0]["errors"]
    assert error["code"] == "SYSTEM_ERROR"
    assert hospital.status("79001_2611_000002")["ho_so"]["status"].startswith("VALID")
    assert hospital.listed(error_status="has_error")["total"] == 1


def test_several_workers_at_once_carry_out_each_request_once(hospital, repository, carried_out):
    sent = [tracking(hospital.send(visit_called(f"79001_2611_00000{n}"))) for n in range(5)]
    threads = [threading.Thread(target=hospital.work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hospital.work()
    assert carried_out == sent
    assert len(encounters(repository)) == 5
