"""Visits through the province's calls: accepted is not valid, sent again, refused, listed, cancelled, restored."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime

import pytest

from fhir_server.access import gateway_accounts
from fhir_server.access.context import AccessContext
from fhir_server.intake.gateway import queue
from fhir_server.resource import exact
from mappings.giamdinhhs import MAX_BYTES
from tests.intake.gateway.conftest import MA_LK, PASSWORD, SAMPLE, VISITS, Hospital, edited, visit_called, without

CTX = AccessContext.unrestricted("test")
CHANGED = edited(lambda text: text.replace("12,4", "12,5"))
# No time of arrival: a visit that can be read and not be stored.
INVALID = without("NGAY_VAO")


def encounters(repository):
    return [exact.parse(stored.json or b"") for _, stored in repository.search(CTX, "Encounter", []).entries]


def with_invalid_visit() -> bytes:
    """One document with the sample visit and another that cannot be stored."""

    def other(text: str) -> str:
        text = text.replace(MA_LK, "79001_2611_000002")
        return re.sub("<NGAY_VAO>.*?</NGAY_VAO>", "<NGAY_VAO></NGAY_VAO>", text, flags=re.DOTALL)

    first, second = (re.search(r"<HOSO>.*</HOSO>", xml.decode(), re.DOTALL)[0] for xml in (SAMPLE, edited(other)))
    return SAMPLE.decode().replace(first, first + second).encode()


def nulls(value):
    if isinstance(value, dict):
        return [found for item in value.values() for found in nulls(item)]
    if isinstance(value, list):
        return [found for item in value for found in nulls(item)]
    return [value] if value is None else []


# ---- accepted, and then valid or not ---------------------------------------------------------------------------------


def test_a_visit_is_accepted_stored_and_only_later_valid(hospital, repository):
    answer = hospital.send()
    assert answer.status_code == 200
    assert (answer.json["success"], answer.json["code"]) == (True, "ACCEPTED")
    tracking_id = answer.json["data"]["tracking_id"]
    assert encounters(repository) == []
    status = hospital.status()
    assert status["ho_so"] == {"ma_lk": MA_LK, "status": "RECEIVED", "is_cancelled": False}
    assert status["requests"][0]["status"] == "RECEIVED"
    hospital.work()
    status = hospital.status()
    assert status["ho_so"]["status"].startswith("VALID")
    (request,) = status["requests"]
    assert request["tracking_id"] == tracking_id
    assert [line["to_status"] for line in request["events"]] == ["RECEIVED", "PROCESSING", status["ho_so"]["status"]]
    assert [each["identifier"][0]["value"] for each in encounters(repository)] == [MA_LK]


def test_an_accepted_visit_that_is_not_valid_is_never_shown_as_if_it_were(hospital, repository):
    """ "Xanh giả": the hospital saw green while its record was refused."""
    assert hospital.send(INVALID).json["code"].startswith("ACCEPTED")
    assert hospital.listed(error_status="no_error")["total"] == 0
    assert hospital.listed()["total"] == 1
    hospital.work()
    assert hospital.status()["ho_so"]["status"] == "INVALID"
    assert hospital.listed(error_status="no_error")["total"] == 0
    (item,) = hospital.listed(error_status="has_error")["items"]
    assert item["status"] == "INVALID"
    (request,) = hospital.status()["requests"]
    (error,) = [each for each in request["errors"] if each["severity"] == "error"]
    assert set(error) == {"severity", "code", "field_path", "message"}
    assert "NGAY_VAO" in error["field_path"]
    assert error["message"]
    assert encounters(repository) == []


def test_a_correction_after_a_refusal_makes_it_valid(hospital, repository):
    hospital.send(INVALID)
    hospital.work()
    hospital.send()
    hospital.work()
    assert hospital.status()["ho_so"]["status"].startswith("VALID")
    assert [each["status"][:5] for each in hospital.status()["requests"]] == ["VALID", "INVAL"]
    assert len(encounters(repository)) == 1


def test_the_same_content_again_is_a_duplicate_with_the_old_tracking_id(hospital):
    first = hospital.send().json
    assert hospital.send().json["code"] == "ACCEPTED_DUPLICATE"
    hospital.work()
    again = hospital.send().json
    assert (again["code"], again["data"]["tracking_id"]) == ("ACCEPTED_DUPLICATE", first["data"]["tracking_id"])
    assert len(hospital.status()["requests"]) == 1


def test_going_back_to_what_was_sent_before_is_no_duplicate(hospital, repository):
    for xml in (SAMPLE, CHANGED, SAMPLE):
        assert hospital.send(xml).json["code"] == "ACCEPTED"
        hospital.work()
    assert len(hospital.status()["requests"]) == 3
    values = [
        json.loads(stored.json)["valueQuantity"]["value"]
        for _, stored in repository.search(CTX, "Observation", [("code", "6690-2")]).entries
    ]
    assert values == [12.4]


def test_what_was_refused_may_be_sent_again_as_it_is(hospital):
    first = hospital.send(INVALID).json["data"]["tracking_id"]
    hospital.work()
    again = hospital.send(INVALID).json
    assert again["code"] != "ACCEPTED_DUPLICATE"
    assert again["data"]["tracking_id"] != first


def test_what_is_often_missing_is_told_at_once_and_refuses_nothing(hospital):
    answer = hospital.send(without("SO_CCCD")).json
    assert answer["code"] == "ACCEPTED_WITH_WARNING"
    (warning,) = [each for each in answer["data"]["warnings"] if "SO_CCCD" in each["field_path"]]
    assert warning["field_path"] == "XML1/1/SO_CCCD"
    hospital.work()
    assert hospital.status()["ho_so"]["status"].startswith("VALID")


def test_of_two_visits_in_one_file_one_may_be_valid_and_the_other_not(hospital, repository):
    hospital.send(with_invalid_visit())
    hospital.work()
    assert hospital.status()["ho_so"]["status"].startswith("VALID")
    assert hospital.status("79001_2611_000002")["ho_so"]["status"] == "INVALID"
    assert not any(error["severity"] == "error" for error in hospital.status()["requests"][0]["errors"])
    assert hospital.status("79001_2611_000002")["requests"][0]["status"] == "INVALID"
    assert len(encounters(repository)) == 1


# ---- refused at the door ---------------------------------------------------------------------------------------------


def test_a_visit_of_another_facility_is_refused(hospital, repository):
    answer = hospital.send(edited(lambda text: text.replace(">79001<", ">79999<").replace("[79001]", "[79999]")))
    assert (answer.status_code, answer.json["code"]) == (403, "ORG_MISMATCH")
    assert repository.store.database["gateway_requests"].count_documents({}) == 0


def test_a_visit_of_another_facility_in_an_envelope_of_ones_own_is_refused(hospital):
    def foreign(text):
        return re.sub(r"(<MA_CSKCB>\D*?)79001", r"\g<1>79999", text)

    assert edited(foreign) != SAMPLE
    assert hospital.send(edited(foreign)).json["code"] == "ORG_MISMATCH"


def test_an_account_may_send_for_every_facility_it_lists(client, repository):
    gateway_accounts.add_account(
        repository.store.database, "trung tâm", PASSWORD, unit_code="79000", unit_name="TT", facilities=["79001"]
    )
    centre = Hospital(client, repository)
    centre.log_in("trung tâm")
    assert centre.send().json["code"] == "ACCEPTED"
    centre.work()
    assert centre.listed()["total"] == 1


@pytest.mark.parametrize(
    ("xml", "code"),
    [
        (b"", "INVALID_XML"),
        (b"   ", "INVALID_XML"),
        (b"{}", "INVALID_XML"),
        (b"<GIAMDINHHS>", "INVALID_XML"),
        (b"<DATA/>", "INVALID_XML"),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><GIAMDINHHS>&b;</GIAMDINHHS>', "INVALID_XML"),
        (b"<GIAMDINHHS>" + b"<a>" * 100 + b"</a>" * 100 + b"</GIAMDINHHS>", "INVALID_XML"),
        (re.sub(rb"<NOIDUNGFILE>.*?</NOIDUNGFILE>", b"<NOIDUNGFILE>***</NOIDUNGFILE>", SAMPLE), "MISSING_FIELD"),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(hospital, xml, code):
    answer = hospital.send(xml)
    assert (answer.status_code, answer.json["success"], answer.json["code"]) == (400, False, code)
    assert answer.json["message"]


def test_more_than_10_mib_is_413_in_the_same_shape(hospital):
    answer = hospital.send(b" " * (MAX_BYTES + 1))
    assert answer.status_code == 413
    assert answer.json == {
        "success": False,
        "code": "PAYLOAD_TOO_LARGE",
        "message": "Dữ liệu lớn hơn 10 MiB; hãy chia nhỏ",
        "data": {},
    }


def test_more_than_10_mib_without_its_length_is_413_too(hospital):
    answer = hospital.client.post(
        f"{VISITS}/hoan-tat",
        input_stream=io.BytesIO(SAMPLE + b" " * MAX_BYTES),
        content_type="application/xml",
        headers={**hospital.headers, "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert (answer.status_code, answer.json["code"]) == (413, "PAYLOAD_TOO_LARGE")


def test_10_mib_is_taken(hospital):
    answer = hospital.send(SAMPLE + b" " * (MAX_BYTES - len(SAMPLE)))
    assert answer.json["code"] == "ACCEPTED"


def test_json_in_place_of_xml_is_415(hospital):
    answer = hospital.client.post(f"{VISITS}/hoan-tat", json={}, headers=hospital.headers)
    assert (answer.status_code, answer.json["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


# ---- status and list -------------------------------------------------------------------------------------------------


def test_a_visit_that_never_came_is_404_and_another_facilitys_is_too(hospital, client, repository):
    answer = hospital.get(f"{VISITS}/ho-so/trang-thai", ma_lk="79001_0")
    assert (answer.status_code, answer.json["code"]) == (404, "NOT_FOUND")
    hospital.send()
    gateway_accounts.add_account(repository.store.database, "khác", PASSWORD, unit_code="79002", unit_name="Khác")
    other = Hospital(client, repository)
    other.log_in("khác")
    assert other.get(f"{VISITS}/ho-so/trang-thai", ma_lk=MA_LK).status_code == 404
    assert other.listed()["total"] == 0
    assert hospital.get(f"{VISITS}/ho-so/trang-thai").json["code"] == "MISSING_FIELD"


def test_the_list_shows_each_visit_once_with_its_latest_sending(hospital):
    hospital.send()
    hospital.work()
    latest = hospital.send(CHANGED).json["data"]["tracking_id"]
    (item,) = hospital.listed()["items"]
    assert item == {
        "ma_lk": MA_LK,
        "ho_ten": "NGUYỄN THỊ ÁNH ĐÀO",
        "ma_bn": "BN000001",
        "ngay_vao": "202611200810",
        "status": "RECEIVED",
        "is_cancelled": False,
        "latest_tracking_id": latest,
    }


def test_pages_hold_every_visit_once(hospital):
    sent = [f"79001_2611_00000{n}" for n in range(1, 6)]
    for ma_lk in sent:
        hospital.send(visit_called(ma_lk))
    pages = [hospital.listed(page=str(page), page_size="2") for page in (1, 2, 3, 4)]
    assert [page["total"] for page in pages] == [5, 5, 5, 5]
    assert [item["ma_lk"] for page in pages for item in page["items"]] == sent
    assert [len(page["items"]) for page in pages] == [2, 2, 1, 0]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"from_date": "2026-01-01"},
        {"from_date": "01/01/2026", "to_date": "02/01/2026"},
        {"from_date": "2026-01-02", "to_date": "2026-01-01"},
        {"from_date": "2026-01-01", "to_date": "2026-04-02"},
        {"from_date": "2026-11-30", "to_date": "2027-03-01"},
        {"from_date": "2026-01-01", "to_date": "9999-12-31"},
        {"from_date": "9999-11-01", "to_date": "9999-12-31"},
        {"from_date": "2026-01-01", "to_date": "2026-01-02", "page": "0"},
        {"from_date": "2026-01-01", "to_date": "2026-01-02", "page": "²"},
        {"from_date": "2026-01-01", "to_date": "2026-01-02", "page_size": "501"},
        {"from_date": "2026-01-01", "to_date": "2026-01-02", "error_status": "some"},
        {"from_date": "2026-01-01", "to_date": "2026-01-02", "include_cancelled": "maybe"},
    ],
)
def test_a_list_that_cannot_be_made_says_why(hospital, query):
    answer = hospital.get(f"{VISITS}/ho-so", **query)
    assert (answer.status_code, answer.json["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(("begin", "end"), [("2026-01-01", "2026-04-01"), ("2026-11-30", "2027-02-28")])
def test_three_months_are_allowed_and_what_lies_outside_is_not_shown(hospital, begin, end):
    hospital.send()
    hospital.repository.store.database["gateway_visits"].update_many(
        {}, {"$set": {"received": datetime(2025, 12, 31, 16, 59, tzinfo=UTC)}}
    )
    assert hospital.listed(from_date=begin, to_date=end)["total"] == 0
    # 23:59 in Vietnam on the last day of the year
    assert hospital.listed(from_date="2025-12-31", to_date="2025-12-31")["total"] == 1


def test_no_answer_holds_a_null(hospital):
    answers = [hospital.send(INVALID).json, hospital.send().json, hospital.status(), hospital.listed()]
    hospital.work()
    answers += [hospital.status(), hospital.listed(), hospital.get(f"{VISITS}/ho-so").json]
    answers += [hospital.get(f"{VISITS}/ho-so/trang-thai", ma_lk="x").json, hospital.log_in(password="x").json]
    assert nulls(answers) == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/api/kham-suc-khoe/qd-2062/tiep-nhan", 410, "KSK_LEGACY_API_DISABLED"),
        ("POST", "/api/platform/data-sync/push", 501, "NOT_IMPLEMENTED"),
        ("GET", "/api/kham-suc-khoe/doi-soat-byt/trang-thai", 501, "NOT_IMPLEMENTED"),
    ],
)
def test_calls_that_are_not_served_say_so(client, method, path, status, code):
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.json["code"], answer.json["success"]) == (status, code, False)


def test_bodies_are_stored_before_they_are_accepted_and_removed_a_while_after(hospital, repository):
    tracking_id = hospital.send().json["data"]["tracking_id"]
    bodies = repository.store.database["gateway_bodies"]
    assert repository.store.database.write_concern.document == {"w": "majority", "j": True}
    kept = bodies.find_one({"_id": tracking_id})
    assert "expires" not in kept
    assert len(kept["content"]) < len(SAMPLE)
    request = queue.find_request(repository, id=tracking_id)
    assert request is not None
    assert queue.body_of(repository, request) == SAMPLE
    hospital.work()
    assert "expires" in bodies.find_one({"_id": tracking_id})
