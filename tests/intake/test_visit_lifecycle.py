"""A visit from its check-in to its cancellation and back: sent again and again, archived, found by search."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from flask.testing import FlaskClient

from fhir_server.access.context import AccessContext
from fhir_server.errors import NotFound
from fhir_server.intake.visit_archive import unpacked
from fhir_server.intake.visits import VisitOutcome, cancel_visit, receive, restore_visit
from fhir_server.repository import Repository
from fhir_server.resource import exact
from mappings import systems
from mappings.giamdinhhs import MAX_BYTES, read_envelope

CTX = AccessContext.unrestricted("test")
SAMPLE = (Path(__file__).parents[1] / "mappings" / "data" / "giamdinhhs_visit.xml").read_bytes()
FACILITY, MA_LK = "79001", "79001_2611_000001"
# What the sample makes besides the person and what visits share.
PARTS = {
    "Encounter": 1,
    "Condition": 3,
    "Observation": 6,
    "DiagnosticReport": 1,
    "MedicationRequest": 1,
    "ServiceRequest": 1,
    "CarePlan": 1,
    "ClinicalImpression": 1,
    "DocumentReference": 1,
}


def send(repository: Repository, xml: bytes = SAMPLE) -> VisitOutcome:
    (outcome,) = receive(repository, CTX, xml)
    return outcome


def found(repository: Repository, resource_type: str, **query: str) -> list[dict[str, Any]]:
    page = repository.search(CTX, resource_type, [*query.items(), ("_count", "100")])
    return [exact.parse(stored.json) for _, stored in page.entries if stored.json]


def row(repository: Repository, resource_type: str, key: str) -> dict[str, Any]:
    (resource,) = found(repository, resource_type, identifier=f"{systems.visit_row_system(FACILITY)}|{MA_LK}/{key}")
    return resource


def whole(repository: Repository) -> dict[str, dict[str, Any]]:
    """Everything the visit made, by reference, without version and moment."""
    made = {}
    for kind in PARTS:
        for resource in found(repository, kind):
            del resource["meta"]["versionId"], resource["meta"]["lastUpdated"]
            made[f"{kind}/{resource['id']}"] = resource
    return made


def versions(repository: Repository, *kinds: str) -> dict[str, int]:
    return {kind: len(repository.history(CTX, kind, query=[("_count", "1000")]).entries) for kind in kinds or PARTS}


def edited(edit: Callable[[str], str], xml: bytes = SAMPLE) -> bytes:
    """The document with the same edit made in each of its tables."""

    def again(match: re.Match[bytes]) -> bytes:
        body = edit(base64.b64decode(match[1]).decode())
        return b"<NOIDUNGFILE>" + base64.b64encode(body.encode()) + b"</NOIDUNGFILE>"

    return re.sub(rb"<NOIDUNGFILE>(.*?)</NOIDUNGFILE>", again, xml, flags=re.DOTALL)


def check_in(**fields: str) -> bytes:
    given = {
        "MA_LK": MA_LK,
        "HO_TEN": "NGUYỄN THỊ ÁNH ĐÀO",
        "SO_CCCD": "079185000123",
        "NGAY_SINH": "198509020000",
        "GIOI_TINH": "2",
        "NGAY_VAO": "202611200810",
        "MA_LOAI_KCB": "02",
        "MA_CSKCB": FACILITY,
        "MA_DICH_VU": "02.1896",
        "TEN_DICH_VU": "Khám nội",
        "NGAY_YL": "202611200811",
    } | fields
    body = "".join(f"<{name}>{text}</{name}>" for name, text in given.items())
    return envelope("XML0", f"<CHI_TIEU_TRANG_THAI_KCB>{body}</CHI_TIEU_TRANG_THAI_KCB>")


def envelope(table: str, body: str) -> bytes:
    content = base64.b64encode(body.encode()).decode()
    file = f"<FILEHOSO><LOAIHOSO>{table}</LOAIHOSO><NOIDUNGFILE>{content}</NOIDUNGFILE></FILEHOSO>"
    return f"<GIAMDINHHS><MACSKCB>{FACILITY}</MACSKCB><HOSO>{file}</HOSO></GIAMDINHHS>".encode()


def test_each_clinical_value_of_the_sample_is_found_over_http(repository: Repository, client: FlaskClient) -> None:
    send(repository)

    def only(query: str) -> dict[str, Any]:
        bundle = exact.parse(client.get(f"/fhir/{query}").data)
        (entry,) = bundle["entry"]
        resource: dict[str, Any] = entry["resource"]
        return resource

    patient = f"patient={only('Patient?identifier=079185000123')['id']}"
    value = "Observation?{}&value-quantity={}"
    assert only(value.format(patient, "13.1||g/dL"))["code"]["text"] == "Hemoglobin"
    assert only(value.format(patient, "12.4||10*9/L"))["code"]["text"] == "WBC"
    assert only(value.format(patient, "52.50||kg"))["code"]["coding"][0]["code"] == "29463-7"
    assert only(f"Observation?{patient}&value-string=Âm tính")["code"]["text"] == "CRP định tính"
    assert only(f"Observation?{patient}&status=registered")["code"]["text"] == "Cấy máu"
    assert only(f"Observation?{patient}&value-concept=O-pos")["code"]["coding"][0]["code"] == "882-1"
    for code, text in (("J02.9", "Viêm họng cấp"), ("I10", "Tăng huyết áp")):
        assert only(f"Condition?{patient}&code={systems.ICD_10}|{code}")["code"]["text"] == text
    medicine = only(f"MedicationRequest?{patient}&code={systems.ACTIVE_INGREDIENT}|40.67")
    assert medicine["medicationCodeableConcept"]["text"] == "Paracetamol 500mg"
    assert medicine["dispenseRequest"]["quantity"] == {"value": 15, "unit": "Viên"}
    assert medicine["dosageInstruction"][0]["text"] == "1 viên/lần * 3 lần/ngày"
    assert only(f"ServiceRequest?{patient}&code=22.0120.1370")["authoredOn"].startswith("2026-11-20")
    report = only(f"DiagnosticReport?{patient}&code={systems.TECHNICAL_SERVICE}|22.0120.1370")
    assert (report["status"], len(report["result"])) == ("partial", 4)
    assert only(f"CarePlan?{patient}")["activity"][0]["detail"]["scheduledPeriod"] == {"start": "2026-11-27"}
    assert only(f"Encounter?{patient}&date=ge2026-11-20&class=AMB")["status"] == "finished"
    assert only(f"Coverage?{patient}")["subscriberId"] == "GD4797900000123"
    assert only(f"Organization?identifier={systems.FACILITY}|79001")["name"] == "Cơ sở KCB 79001"
    assert {kind: len(found(repository, kind)) for kind in PARTS} == PARTS


def test_sent_three_times_with_changes_then_cancelled_and_restored(repository: Repository) -> None:
    assert send(repository).outcome == "created"
    # The second sending brings the culture and corrects the weight; the third forgets the culture and drops the WBC.
    culture = re.compile(r"(Cấy máu]]></TEN_CHI_SO><GIA_TRI>)(.*?<NGAY_KQ>)", re.DOTALL)
    second = edited(
        lambda text: culture.sub(r"\1Âm tính\g<2>202611231000", text).replace(
            "<CAN_NANG>52.50</CAN_NANG>", "<CAN_NANG>53.00</CAN_NANG>"
        )
    )
    assert send(repository, second).outcome == "updated"
    assert row(repository, "Observation", "XML4/4")["valueString"] == "Âm tính"
    assert row(repository, "DiagnosticReport", "XML4/BAO_CAO/22.0120.1370")["status"] == "final"
    assert str(row(repository, "Observation", "XML1/CAN_NANG")["valueQuantity"]["value"]) == "53.00"
    wbc = re.compile(r"<CHI_TIET_CLS>(?:(?!</CHI_TIET_CLS>).)*WBC.*?</CHI_TIET_CLS>", re.DOTALL)
    third = edited(lambda text: wbc.sub("", text))
    assert send(repository, third).outcome == "updated"
    assert row(repository, "Observation", "XML4/4")["valueString"] == "Âm tính"
    assert row(repository, "Observation", "XML4/2")["status"] == "entered-in-error"
    assert send(repository, third).outcome == "unchanged"

    before = whole(repository)
    assert cancel_visit(repository, CTX, FACILITY, MA_LK, "Nhầm người bệnh", "yc-1").outcome == "updated"
    in_error = {
        resource.get("status") or resource["verificationStatus"]["coding"][0]["code"]
        for resource in whole(repository).values()
    }
    assert in_error == {"entered-in-error"}
    assert cancel_visit(repository, CTX, FACILITY, MA_LK, "Nhầm người bệnh", "yc-1").outcome == "unchanged"
    refused = send(repository, second)
    assert (refused.outcome, [error.code for error in refused.errors]) == ("rejected", ["cancelled"])
    assert restore_visit(repository, CTX, FACILITY, MA_LK, "Hủy nhầm", "yc-2").outcome == "updated"
    assert whole(repository) == before
    assert row(repository, "Observation", "XML4/2")["status"] == "entered-in-error"
    assert restore_visit(repository, CTX, FACILITY, MA_LK, "Hủy nhầm", "yc-2").outcome == "unchanged"
    # Cancelled once more: nothing of the first time makes this one look like a repetition.
    assert cancel_visit(repository, CTX, FACILITY, MA_LK, "Nhầm người bệnh", "yc-3").outcome == "updated"
    encounter = found(repository, "Encounter")[0]
    told = found(repository, "Provenance", target=f"Encounter/{encounter['id']}")
    reasons = [
        (it["reason"][0]["text"], it["entity"][0]["what"]["identifier"]["value"]) for it in told if "reason" in it
    ]
    assert sorted(reasons) == [("Hủy nhầm", "yc-2"), ("Nhầm người bệnh", "yc-1"), ("Nhầm người bệnh", "yc-3")]


def test_a_visit_that_was_never_received_can_be_neither_cancelled_nor_restored(repository: Repository) -> None:
    for change in (cancel_visit, restore_visit):
        with pytest.raises(NotFound, match=MA_LK):
            change(repository, CTX, FACILITY, MA_LK, "x", "yc-1")


def test_a_check_in_opens_the_encounter_and_the_visit_finishes_it(repository: Repository) -> None:
    assert send(repository, check_in()).outcome == "created"
    (encounter,) = found(repository, "Encounter")
    assert encounter["status"] == "arrived"
    (order,) = found(repository, "ServiceRequest")
    assert (order["status"], order["code"]["text"]) == ("active", "Khám nội")
    assert send(repository).outcome == "updated"
    (finished,) = found(repository, "Encounter")
    assert (finished["id"], finished["status"]) == (encounter["id"], "finished")
    assert row(repository, "ServiceRequest", "XML0/1/DICH_VU")["status"] == "completed"
    assert len(found(repository, "Patient")) == 1


def test_a_check_in_that_comes_late_does_not_open_the_visit_again(repository: Repository) -> None:
    send(repository)
    before = versions(repository, "Encounter", "Condition", "Observation")
    assert send(repository, check_in()).outcome == "updated"
    assert versions(repository, "Encounter", "Condition", "Observation") == before
    order = row(repository, "ServiceRequest", "XML0/1/DICH_VU")
    assert order["encounter"]["reference"] == f"Encounter/{found(repository, 'Encounter')[0]['id']}"


def without(*tables: str) -> bytes:
    """The sample as a sending that leaves tables out."""
    xml = SAMPLE
    for table in tables:
        file = re.compile(f"<FILEHOSO><LOAIHOSO>{table}</LOAIHOSO>.*?</FILEHOSO>".encode(), re.DOTALL)
        assert file.search(xml)
        xml = file.sub(b"", xml)
    return xml


@pytest.mark.parametrize("table", ["XML2", "XML3", "XML4", "XML5"])
def test_a_table_that_is_not_sent_again_keeps_its_rows(repository: Repository, table: str) -> None:
    send(repository)
    before = versions(repository)
    assert send(repository, without(table)).outcome == "updated"
    # Another content to archive, and nothing else.
    assert versions(repository) == before | {"DocumentReference": 2}
    assert row(repository, "Observation", "XML4/1")["status"] == "final"


def test_results_that_come_without_their_orders_are_joined_to_those_sent_before(repository: Repository) -> None:
    send(repository, without("XML4"))
    (order,) = found(repository, "ServiceRequest")
    encounter = found(repository, "Encounter")[0]
    send(repository, without("XML3"))
    report = row(repository, "DiagnosticReport", "XML4/BAO_CAO/22.0120.1370")
    assert report["basedOn"] == [{"reference": f"ServiceRequest/{order['id']}"}]
    assert report["code"] == order["code"]
    assert found(repository, "Encounter")[0]["location"] == encounter["location"]
    # Both tables say the same as one after the other, but for the moment of the result, which only XML3 gives.
    assert "issued" not in report
    send(repository)
    again = row(repository, "DiagnosticReport", "XML4/BAO_CAO/22.0120.1370")
    assert {name for name in again if again[name] != report.get(name)} == {"meta", "issued"}


def test_an_image_stays_one_when_its_result_comes_without_the_order(repository: Repository) -> None:
    image = edited(lambda body: body.replace("<MA_NHOM>1</MA_NHOM>", "<MA_NHOM>2</MA_NHOM>"))
    assert image != SAMPLE
    send(repository, image)
    before = versions(repository, "Observation")
    assert row(repository, "Observation", "XML4/1")["category"][0]["coding"][0]["code"] == "imaging"
    send(repository, without("XML3"))
    assert versions(repository, "Observation") == before


def test_the_xml_is_kept_once_for_each_content(repository: Repository) -> None:
    send(repository)
    (document,) = found(repository, "DocumentReference")
    (binary,) = found(repository, "Binary")
    assert document["content"][0]["attachment"]["url"] == f"Binary/{binary['id']}"
    (visit,) = read_envelope(SAMPLE).visits
    assert unpacked(binary) == visit.raw
    assert document["content"][0]["attachment"]["size"] < len(visit.raw)
    send(repository)
    assert versions(repository, "Binary", "DocumentReference", "Provenance") == {
        "Binary": 1,
        "DocumentReference": 1,
        "Provenance": 1,
    }
    send(repository, edited(lambda text: text.replace("Ho, sốt 2 ngày", "Ho")))
    assert versions(repository, "Binary", "DocumentReference", "Provenance") == {
        "Binary": 2,
        "DocumentReference": 2,
        "Provenance": 2,
    }
    provenances = found(repository, "Provenance", _sort="-_lastUpdated")
    assert {it["entity"][0]["what"]["reference"] for it in provenances} == {f"DocumentReference/{document['id']}"}
    (encounter,) = found(repository, "Encounter")
    assert provenances[0]["target"] == [{"reference": f"Encounter/{encounter['id']}"}]
    # 18 resources of the visit itself; what it shares with others is not its own.
    assert len(provenances[1]["target"]) == 15


def test_an_error_names_table_row_field_and_xpath_in_both_languages(repository: Repository) -> None:
    bad = edited(lambda text: text.replace("<NGAY_VAO>202611200810", "<NGAY_VAO>20261320"))
    outcome = send(repository, bad)
    assert (outcome.outcome, outcome.ma_lk, outcome.facility, outcome.encounter) == ("rejected", MA_LK, FACILITY, "")
    (error,) = outcome.errors
    assert (error.severity, error.code, error.table, error.row, error.field) == (
        "error",
        "invalid",
        "XML1",
        1,
        "NGAY_VAO",
    )
    assert error.xpath.endswith("/HOSO[1]/FILEHOSO[LOAIHOSO='XML1']/NOIDUNGFILE/TONG_HOP/NGAY_VAO")
    assert error.message_vi.startswith("Thiếu thời điểm vào")
    assert error.message_en.startswith("time of arrival missing")


def test_a_warning_names_the_row(repository: Repository) -> None:
    outcome = send(repository, edited(lambda text: text.replace("12,4]", "12,400]").replace(">12,4<", ">12,400<")))
    assert [(it.table, it.row, it.field) for it in outcome.warnings] == [("XML4", 2, "GIA_TRI")]


def _renumbered(text: str, number: int) -> str:
    return text.replace(MA_LK, f"{MA_LK[:-1]}{number}")


def test_visits_sent_at_once_make_one_person(repository: Repository) -> None:
    documents = [edited(partial(_renumbered, number=number)) for number in range(2, 8)]
    with ThreadPoolExecutor(6) as pool:
        outcomes = [
            outcome for several in pool.map(lambda xml: receive(repository, CTX, xml), documents) for outcome in several
        ]
    assert [outcome.outcome for outcome in outcomes] == ["created"] * 6
    (patient,) = found(repository, "Patient")
    assert {it["subject"]["reference"] for it in found(repository, "Encounter")} == {f"Patient/{patient['id']}"}
    assert len(found(repository, "Encounter")) == 6
    for kind in ("Coverage", "Organization"):
        assert len(found(repository, kind)) == 1, kind


def test_the_same_visit_sent_at_once_is_one_visit(repository: Repository) -> None:
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: send(repository), range(4)))
    assert {outcome.outcome for outcome in outcomes} <= {"created", "updated", "unchanged"}
    assert {kind: len(found(repository, kind)) for kind in PARTS} == PARTS
    assert len(found(repository, "Patient")) == 1


def test_a_visit_too_large_to_archive_is_refused_and_the_largest_is_archived_whole(repository: Repository) -> None:
    # Noise packs worst: 3.5 MB of it stay 3.5 MB and a third, and are 6.2 MB as base64 of base64 in the document.
    def with_noise(size: int) -> bytes:
        noise = base64.b64encode(Random(1).randbytes(size)).decode()
        return edited(lambda text: text.replace("</TONG_HOP>", f"<DU_PHONG>{noise}</DU_PHONG></TONG_HOP>"))

    outcome = send(repository, with_noise(5_400_000))
    assert [(error.field, error.code) for error in outcome.errors] == [("FILEHOSO", "invalid")]
    assert found(repository, "Encounter") == []
    large = with_noise(3_500_000)
    assert send(repository, large).outcome == "created"
    (binary,) = found(repository, "Binary")
    (visit,) = read_envelope(large).visits
    assert unpacked(binary) == visit.raw
    assert len(visit.raw) < MAX_BYTES


def test_ordinary_text_of_10_mib_is_archived(repository: Repository) -> None:
    prices = "".join(f"{number * 7919 % 100_003};" for number in range(1_150_000))
    large = edited(lambda text: text.replace("</TONG_HOP>", f"<DU_PHONG>{prices}</DU_PHONG></TONG_HOP>"))
    assert 0.85 < len(large) / MAX_BYTES < 1
    assert send(repository, large).outcome == "created"
