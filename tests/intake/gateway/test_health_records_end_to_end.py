"""QĐ 831 by the gateway's own calls: accepted, processed, found by FHIR search, duplicate, conflict."""

from __future__ import annotations

import json
from pathlib import Path

RECORDS = "/api/ho-so-suc-khoe/qd-831-2017"
SAMPLE = (Path(__file__).parents[2] / "mappings" / "data" / "qd831.xml").read_bytes()


def send(hospital, xml=SAMPLE):
    return hospital.send(xml, path=f"{RECORDS}/tiep-nhan")


def status(hospital, tracking_id):
    return hospital.get(f"{RECORDS}/ho-so/trang-thai", tracking_id=tracking_id).json["data"]


def test_a_record_is_accepted_processed_and_found(hospital, client):
    answer = send(hospital)
    assert (answer.status_code, answer.json["code"]) == (200, "ACCEPTED")
    hospital.work()
    done = status(hospital, answer.json["data"]["tracking_id"])
    assert (done["status"], done["errors"]) == ("VALID", [])
    entries = json.loads(client.get("/fhir/Observation?code=http://loinc.org|8480-6,http://loinc.org|85354-9").data)[
        "entry"
    ]
    assert len(entries) == 1
    again = send(hospital)
    assert again.json["code"] == "ACCEPTED_DUPLICATE"
    assert again.json["data"]["tracking_id"] == answer.json["data"]["tracking_id"]
    conflict = send(hospital, SAMPLE.replace(b"<MACH>78", b"<MACH>79"))
    assert (conflict.status_code, conflict.json["code"]) == (409, "REQUEST_ID_CONFLICT")


def test_a_record_without_a_number_is_invalid_and_says_where(hospital):
    general, rest = SAMPLE.split(b"<QUANHE_GIADINH>", 1)
    for tag in ("MABHXH", "MATHE", "SOCMND", "MADINHDANH"):
        start, end = f"<{tag}>".encode(), f"</{tag}>".encode()
        general = general[: general.index(start)] + general[general.index(end) + len(end) :]
    answer = send(hospital, general + b"<QUANHE_GIADINH>" + rest)
    hospital.work()
    done = status(hospital, answer.json["data"]["tracking_id"])
    assert done["status"] == "INVALID"
    assert [it["field_path"] for it in done["errors"]] == ["THONGTINCHUNG/MADINHDANH"]


def test_a_record_of_who_may_be_known_is_stored_and_told_of_as_a_warning(hospital, client):
    send(hospital)
    general, rest = SAMPLE.replace(b"831-0001", b"831-0002").split(b"<QUANHE_GIADINH>", 1)
    general = general.replace(b"079185000123", b"079185000128").replace(b"7900000123", b"7900000128")
    answer = send(hospital, general + b"<QUANHE_GIADINH>" + rest)
    hospital.work()
    done = status(hospital, answer.json["data"]["tracking_id"])
    assert done["status"] == "VALID_WITH_WARNING"
    (warning,) = done["errors"]
    assert warning["message"].startswith("Có thể là người đã có hồ sơ")
    assert json.loads(client.get("/fhir/Task?code=possible-duplicate&_summary=count").data)["total"] == 1
