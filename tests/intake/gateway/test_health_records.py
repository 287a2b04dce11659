"""QĐ 831 records: whose they are, one REQUEST_ID for one content, lists and status."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import pytest

from fhir_server.access import gateway_accounts
from fhir_server.intake.gateway.admission import HEALTH_RECORD
from fhir_server.intake.gateway.processing import PROCESSORS
from tests.intake.gateway.conftest import PASSWORD, Hospital

RECORDS = "/api/ho-so-suc-khoe/qd-831-2017"
NUMBER = "079085009999"


def record(request_id="YC-1", sender="79001", name="Nguyễn Văn Thử", number=NUMBER):
    return (
        f"<DATA><HEADER><MESSAGE_VERSION>1.0</MESSAGE_VERSION><SENDER_CODE>{sender}</SENDER_CODE>"
        f"<REQUEST_ID>{request_id}</REQUEST_ID></HEADER><BODY><HOSOSUCKHOE><THONGTINCHUNG>"
        f"<MADINHDANH>{number}</MADINHDANH><HOTEN>{name}</HOTEN>"
        "</THONGTINCHUNG></HOSOSUCKHOE></BODY></DATA>"
    ).encode()


@dataclass
class Found:
    severity: str = "error"
    code: str = "invalid"
    table: str = "THONGTINCHUNG"
    row: int = 0
    field: str = "NGAYSINH"
    message_vi: str = "Thiếu ngày sinh"


@dataclass
class Read:
    outcome: str = "created"
    errors: list[Found] = field(default_factory=list)
    warnings: list[Found] = field(default_factory=list)


@pytest.fixture
def seen(monkeypatch):
    """What a processor of health records is given; the one here refuses the nameless."""
    given = []

    def process(repository, ctx, request, body):
        given.append((ctx.actor, body))
        return [Read("rejected", errors=[Found()])] if b"<HOTEN></HOTEN>" in body else [Read()]

    monkeypatch.setitem(PROCESSORS, HEALTH_RECORD, process)
    return given


def send(hospital, xml):
    return hospital.send(xml, path=f"{RECORDS}/tiep-nhan")


def status(hospital, tracking_id):
    return hospital.get(f"{RECORDS}/ho-so/trang-thai", tracking_id=tracking_id).json["data"]


def test_a_record_is_accepted_and_its_status_tells_the_rest(hospital, seen):
    answer = send(hospital, record()).json
    assert (answer["success"], answer["code"]) == (True, "ACCEPTED")
    tracking_id = answer["data"]["tracking_id"]
    before = status(hospital, tracking_id)
    assert (before["status"], before["completed_at"], before["errors"]) == ("RECEIVED", "", [])
    hospital.work()
    after = status(hospital, tracking_id)
    assert after["status"] == "VALID"
    assert after["completed_at"] >= after["received_at"]
    assert after["received_at"].endswith("+07:00")
    assert [line["to_status"] for line in after["events"]] == ["RECEIVED", "PROCESSING", "VALID"]
    assert seen == [("facility:bv79001", record())]


def test_a_record_that_is_refused_says_where(hospital, seen):
    tracking_id = send(hospital, record(name="")).json["data"]["tracking_id"]
    hospital.work()
    after = status(hospital, tracking_id)
    assert after["status"] == "INVALID"
    assert after["errors"] == [
        {
            "severity": "error",
            "code": "INVALID",
            "field_path": "THONGTINCHUNG/NGAYSINH",
            "message": "Thiếu ngày sinh",
        }
    ]


def test_the_same_request_id_and_content_is_a_duplicate(hospital, seen):
    first = send(hospital, record()).json
    again = send(hospital, record()).json
    assert (again["code"], again["data"]["tracking_id"]) == ("ACCEPTED_DUPLICATE", first["data"]["tracking_id"])
    hospital.work()
    assert len(seen) == 1


def test_the_same_request_id_with_other_content_is_a_conflict(hospital, seen):
    send(hospital, record())
    answer = send(hospital, record(name="Người khác"))
    assert (answer.status_code, answer.json["code"]) == (409, "REQUEST_ID_CONFLICT")
    hospital.work()
    assert len(seen) == 1


def test_two_facilities_may_use_the_same_request_id(hospital, client, repository, seen):
    gateway_accounts.add_account(repository.store.database, "tram", PASSWORD, unit_code="79002", unit_name="Trạm")
    station = Hospital(client, repository)
    station.log_in("tram")
    one = send(hospital, record()).json
    two = send(station, record(sender="79002")).json
    assert (one["code"], two["code"]) == ("ACCEPTED", "ACCEPTED")
    tracking_id = one["data"]["tracking_id"]
    assert station.get(f"{RECORDS}/ho-so/trang-thai", tracking_id=tracking_id).status_code == 404
    assert station.listed(f"{RECORDS}/ho-so")["total"] == 1


@pytest.mark.parametrize("sender", ["79002", ""])
def test_a_sender_that_is_not_the_tokens_unit_is_403(hospital, seen, sender):
    answer = send(hospital, record(sender=sender))
    assert (answer.status_code, answer.json["code"]) == (403, "ORG_MISMATCH")


@pytest.mark.parametrize("request_id", ["", " ", "x" * 101])
def test_a_request_id_has_1_to_100_characters(hospital, seen, request_id):
    assert send(hospital, record(request_id=request_id)).json["code"] == "MISSING_FIELD"
    assert send(hospital, record(request_id="x" * 100)).json["code"] == "ACCEPTED"


@pytest.mark.parametrize("xml", [b"<GIAMDINHHS/>", b"<DATA", b"<!DOCTYPE DATA><DATA/>", b""])
def test_what_is_no_record_is_400(hospital, seen, xml):
    assert (send(hospital, xml).status_code, send(hospital, xml).json["code"]) == (400, "INVALID_XML")


def test_the_list_finds_by_number_and_by_state(hospital, seen):
    send(hospital, record("1"))
    send(hospital, record("2", name=""))
    send(hospital, record("3", number="079085009998"))
    path = f"{RECORDS}/ho-so"
    assert hospital.listed(path, error_status="no_error")["total"] == 0
    hospital.work()
    assert hospital.listed(path)["total"] == 3
    assert hospital.listed(path, ma_dinh_danh=NUMBER)["total"] == 2
    (item,) = hospital.listed(path, error_status="has_error")["items"]
    assert set(item) == {"ma_dinh_danh", "ho_ten", "status", "received_at", "tracking_id"}
    assert (item["ma_dinh_danh"], item["status"]) == (NUMBER, "INVALID")


def test_a_status_without_a_known_tracking_id_is_refused(hospital):
    assert hospital.get(f"{RECORDS}/ho-so/trang-thai").json["code"] == "MISSING_FIELD"
    assert hospital.get(f"{RECORDS}/ho-so/trang-thai", tracking_id="x").status_code == 404


def test_without_a_processor_nothing_is_taken(hospital, monkeypatch, repository):
    monkeypatch.delitem(PROCESSORS, HEALTH_RECORD, raising=False)
    answer = send(hospital, record())
    assert (answer.status_code, answer.json["code"]) == (503, "SERVICE_NOT_AVAILABLE")
    assert repository.store.database["gateway_requests"].count_documents({}) == 0


def test_the_older_call_takes_the_same_records(hospital, seen):
    path = "/CSDLYTE831/import-csdlyte831-mobile"
    answer = hospital.upload(path, xmlFile=(io.BytesIO(record()), "ho_so.xml"), nguoi_gui="Y sĩ Thử")
    assert answer.json["StatusCode"] == 200
    assert set(answer.json) == {"ContentType", "SerializerSettings", "StatusCode", "Value"}
    hospital.work()
    assert seen == [("facility:bv79001", record())]
    missing = hospital.upload(path, xmlFile=(io.BytesIO(record()), "ho_so.xml"))
    assert missing.json["code"] == "MISSING_FIELD"
