"""Visits of QĐ 130: the exact values of the sample, and what hostile or sloppy files lead to."""

from __future__ import annotations

import base64
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhir_server.resource import exact
from fhir_server.resource.validation import validate_issues
from mappings import systems
from mappings.giamdinhhs import MAX_BYTES, Envelope, Visit
from mappings.laboratory import parse_number, quantity
from mappings.problems import UnreadableInput
from mappings.resend import identifier_of
from mappings.visits import mapped, patient_from_visit, patient_keys, read_envelope, refusals, visit_bundle

SAMPLE = (Path(__file__).parent / "data" / "giamdinhhs_visit.xml").read_bytes()
MA_LK = "79001_2611_000001"
ROWS = systems.visit_row_system("79001")


def envelope(*tables: tuple[str, str], facility: str = "79001") -> bytes:
    files = "".join(
        f"<FILEHOSO><LOAIHOSO>{kind}</LOAIHOSO>"
        f"<NOIDUNGFILE>{base64.b64encode(body.encode()).decode()}</NOIDUNGFILE></FILEHOSO>"
        for kind, body in tables
    )
    head = f"<THONGTINDONVI><MACSKCB>{facility}</MACSKCB></THONGTINDONVI>"
    return f"<GIAMDINHHS>{head}<DANHSACHHOSO><HOSO>{files}</HOSO></DANHSACHHOSO></GIAMDINHHS>".encode()


def xml1(**fields: str) -> tuple[str, str]:
    given = {"MA_LK": "LK1", "NGAY_VAO": "202611200810", "MA_LOAI_KCB": "01", "MA_CSKCB": "79001"} | fields
    return "XML1", "<TONG_HOP>" + "".join(f"<{key}>{value}</{key}>" for key, value in given.items()) + "</TONG_HOP>"


def xml4(*rows: dict[str, str]) -> tuple[str, str]:
    texts = (
        "<CHI_TIET_CLS>" + "".join(f"<{key}>{value}</{key}>" for key, value in row.items()) + "</CHI_TIET_CLS>"
        for row in rows
    )
    return "XML4", f"<X><DSACH_CHI_TIET_CLS>{''.join(texts)}</DSACH_CHI_TIET_CLS></X>"


def only(document: Envelope) -> Visit:
    (visit,) = document.visits
    return visit


def resources(visit: Visit, resource_type: str) -> dict[str, dict[str, Any]]:
    """The resources of a type in the visit's bundle, by the value of their first identifier."""
    made = (entry["resource"] for entry in visit_bundle(visit, "Patient/p")["entry"])
    return {identifier_of(made)["value"]: made for made in made if made["resourceType"] == resource_type}


def sample() -> Visit:
    return only(read_envelope(SAMPLE))


def test_the_sample_is_read_without_a_remark() -> None:
    visit = sample()
    assert (visit.facility, visit.ma_lk, visit.remarks) == ("79001", MA_LK, ())
    assert refusals(visit) == []
    assert {table: len(rows) for table, rows in visit.rows.items()} == {"XML2": 1, "XML3": 1, "XML4": 4, "XML5": 1}
    assert mapped(visit, "Patient/p")[1] == []


def test_the_encounter_of_the_sample() -> None:
    (encounter,) = resources(sample(), "Encounter").values()
    assert encounter["identifier"][0] == {
        "use": "official",
        "type": {"coding": [{"system": systems.V2_IDENTIFIER_TYPE, "code": "VN"}], "text": "MA_LK"},
        "system": "http://hososuckhoe.example.vn/fhir/sid/visit/79001",
        "value": MA_LK,
    }
    assert encounter["status"] == "finished"
    assert encounter["class"] == {"system": systems.V3_ACT_CODE, "code": "AMB"}
    assert [kind["coding"][0]["code"] for kind in encounter["type"]] == ["02", "1.1"]
    assert encounter["period"] == {"start": "2026-11-20T08:10:00+07:00", "end": "2026-11-24T23:59:00+07:00"}
    assert encounter["reasonCode"] == [{"text": "Ho, sốt 2 ngày"}]
    assert encounter["subject"] == {"reference": "Patient/p"}
    (facility,) = [
        e["fullUrl"] for e in visit_bundle(sample(), "Patient/p")["entry"] if "Organization" in e["request"]["url"]
    ]
    assert encounter["serviceProvider"] == {
        "reference": facility,
        "identifier": {"system": systems.FACILITY, "value": "79001"},
        "display": "Cơ sở KCB 79001",
    }
    assert [code["code"] for code in encounter["hospitalization"]["dischargeDisposition"]["coding"]] == ["home", "1"]
    assert encounter["extension"][0]["valueCodeableConcept"]["coding"][0]["display"] == "Đỡ"
    assert [entry["use"]["coding"][0]["code"] for entry in encounter["diagnosis"]] == ["DD", "CM", "AD"]


def test_the_diagnoses_of_the_sample() -> None:
    conditions = resources(sample(), "Condition")
    assert {value: condition["code"] for value, condition in conditions.items()} == {
        f"{MA_LK}/XML1/MA_BENH/J02.9": {
            "coding": [{"system": systems.ICD_10, "code": "J02.9"}],
            "text": "Viêm họng cấp",
        },
        f"{MA_LK}/XML1/MA_BENH/I10": {"coding": [{"system": systems.ICD_10, "code": "I10"}], "text": "Tăng huyết áp"},
        f"{MA_LK}/XML1/CHAN_DOAN_VAO": {"text": "Viêm họng cấp"},
    }
    assert {condition["clinicalStatus"]["coding"][0]["code"] for condition in conditions.values()} == {"active"}


def test_the_results_of_the_sample() -> None:
    observations = resources(sample(), "Observation")
    hemoglobin = observations[f"{MA_LK}/XML4/1"]
    assert hemoglobin["valueQuantity"] == {
        "value": Decimal("13.1"),
        "unit": "g/dL",
        "system": systems.UCUM,
        "code": "g/dL",
    }
    assert hemoglobin["code"]["coding"][0]["code"] == "718-7"
    assert hemoglobin["effectiveDateTime"] == "2026-11-20T09:00:00+07:00"
    assert hemoglobin["status"] == "final"
    leukocytes = observations[f"{MA_LK}/XML4/2"]
    assert leukocytes["valueQuantity"] == {
        "value": Decimal("12.4"),
        "unit": "G/L",
        "system": systems.UCUM,
        "code": "10*9/L",
    }
    crp = observations[f"{MA_LK}/XML4/3"]
    assert (crp["valueString"], crp["code"]) == ("Âm tính", {"text": "CRP định tính"})
    culture = observations[f"{MA_LK}/XML4/4"]
    assert culture["status"] == "registered"
    assert culture["dataAbsentReason"]["coding"][0]["code"] == "temp-unknown"
    assert not any(key.startswith(("value", "effective")) for key in culture)


def test_the_weight_and_blood_group_of_the_sample() -> None:
    observations = resources(sample(), "Observation")
    weight = observations[f"{MA_LK}/XML1/CAN_NANG"]
    assert str(weight["valueQuantity"]["value"]) == "52.50"
    assert weight["code"]["coding"][0]["code"] == "29463-7"
    assert weight["effectiveDateTime"] == "2026-11-20T08:10:00+07:00"
    group = observations[f"{MA_LK}/XML1/NHOM_MAU"]
    assert group["code"]["coding"][0]["code"] == "882-1"
    assert group["valueCodeableConcept"]["coding"][0]["code"] == "O-pos"


def test_the_course_of_the_sample() -> None:
    (impression,) = resources(sample(), "ClinicalImpression").values()
    assert impression["summary"] == "Tỉnh, tiếp xúc tốt, họng đỏ"
    assert impression["effectiveDateTime"] == "2026-11-20T08:15:00+07:00"


def test_the_person_of_the_sample() -> None:
    patient, remarks = patient_from_visit(sample())
    assert remarks == []
    assert (patient["birthDate"], patient["gender"]) == ("1985-09-02", "female")
    assert patient_keys(patient) == (
        (systems.CCCD, "079185000123"),
        (systems.BHXH_NUMBER, "7900000123"),
        (systems.BHYT_CARD, "GD4797900000123"),
        (systems.facility_patient_system("79001"), "BN000001"),
    )


def test_what_the_sample_makes_is_valid_r4() -> None:
    visit = sample()
    made = [entry["resource"] for entry in visit_bundle(visit, "Patient/p")["entry"]] + [patient_from_visit(visit)[0]]
    assert len(made) == 21
    for resource in made:
        text = exact.dump(resource)
        assert validate_issues(exact.parse(text)) == []
        get_fhir_model_class(resource["resourceType"]).model_validate_json(text)


def test_the_bundle_is_the_same_every_time_and_updates_by_identifier() -> None:
    bundle = visit_bundle(sample(), "Patient/p")
    assert bundle == visit_bundle(sample(), "Patient/p")
    assert bundle["type"] == "transaction"
    methods = {entry["resource"]["resourceType"]: entry["request"]["method"] for entry in bundle["entry"]}
    # What other visits share is created where there is none; the visit's own is replaced.
    shared = {kind for kind, method in methods.items() if method == "POST"}
    assert shared == {"Coverage", "Practitioner", "Organization", "Location"}
    assert all("ifNoneExist" in entry["request"] for entry in bundle["entry"] if entry["request"]["method"] == "POST")
    assert {method for kind, method in methods.items() if kind not in shared} == {"PUT"}
    assert bundle["entry"][0]["request"]["url"] == (
        f"Encounter?identifier=http://hososuckhoe.example.vn/fhir/sid/visit/79001|{MA_LK}"
    )
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    references = set(
        re.findall(r"urn:uuid:[0-9a-f-]{36}", json.dumps([e["resource"] for e in bundle["entry"]], default=str))
    )
    assert references < set(urls)


def test_a_visit_not_yet_ended_is_in_progress() -> None:
    visit = only(read_envelope(envelope(xml1())))
    (encounter,) = resources(visit, "Encounter").values()
    assert encounter["status"] == "in-progress"
    assert encounter["period"] == {"start": "2026-11-20T08:10:00+07:00"}


def test_an_emergency_has_priority() -> None:
    visit = only(read_envelope(envelope(xml1(MA_DOITUONG_KCB="2"))))
    (encounter,) = resources(visit, "Encounter").values()
    assert encounter["priority"]["coding"][0]["code"] == "EM"


def test_a_cured_main_illness_is_resolved_and_the_others_are_not() -> None:
    visit = only(read_envelope(envelope(xml1(KET_QUA_DTRI="1", MA_BENH_CHINH="J02.9", MA_BENH_KT="I10;E11.9;I10"))))
    conditions = resources(visit, "Condition")
    assert [condition["clinicalStatus"]["coding"][0]["code"] for condition in conditions.values()] == [
        "resolved",
        "active",
        "active",
    ]


@pytest.mark.parametrize(
    ("text", "code", "coded"),
    [
        ("O+", "882-1", "O-pos"),
        ("AB Rh-", "882-1", "AB-neg"),
        ("A Rh(D)+", "882-1", "A-pos"),
        ("B(+)", "882-1", "B-pos"),
        ("B", "883-9", "B"),
        ("O Dương", "882-1", "O-pos"),
    ],
)
def test_blood_groups_as_they_are_written(text: str, code: str, coded: str) -> None:
    observation = resources(only(read_envelope(envelope(xml1(NHOM_MAU=text)))), "Observation")["LK1/XML1/NHOM_MAU"]
    assert observation["code"]["coding"][0]["code"] == code
    assert observation["valueCodeableConcept"]["coding"][0]["code"] == coded
    assert observation["valueCodeableConcept"]["text"] == text


def test_a_blood_group_nobody_understands_is_kept_as_text() -> None:
    observation = resources(only(read_envelope(envelope(xml1(NHOM_MAU="chưa rõ")))), "Observation")["LK1/XML1/NHOM_MAU"]
    assert observation["valueCodeableConcept"] == {"text": "chưa rõ"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("13.1", ("", Decimal("13.1"))),
        ("12,4", ("", Decimal("12.4"))),
        ("5", ("", 5)),
        ("7.10", ("", Decimal("7.10"))),
        ("<5", ("<", 5)),
        ("≥ 0,50", (">=", Decimal("0.50"))),
        ("0,125", ("", Decimal("0.125"))),
        ("-1.5", ("", Decimal("-1.5"))),
        ("12,400", None),
        ("1.234,5", None),
        ("Âm tính", None),
        ("1e5", None),
        ("", None),
    ],
)
def test_numbers_keep_their_digits_and_are_not_guessed(text: str, expected: object) -> None:
    assert parse_number(text) == expected


def test_g_per_litre_and_giga_per_litre_differ() -> None:
    assert quantity(5, "g/L")["code"] == "g/L"
    assert quantity(5, "G/L")["code"] == "10*9/L"
    assert quantity(5, "tế bào") == {"value": 5, "unit": "tế bào"}


def test_an_ambiguous_comma_is_kept_as_text_with_a_remark() -> None:
    visit = only(read_envelope(envelope(xml1(), xml4({"STT": "1", "GIA_TRI": "12,400", "DON_VI_DO": "/mm3"}))))
    bundle, remarks = mapped(visit, "Patient/p")
    assert bundle["entry"][1]["resource"]["valueString"] == "12,400 /mm3"
    assert [remark.field for remark in remarks] == ["XML4/1/GIA_TRI"]


def test_an_image_result_without_a_value_keeps_its_conclusion() -> None:
    row = {"STT": "1", "TEN_CHI_SO": "X-quang ngực", "MO_TA": "Hai phế trường sáng", "KET_LUAN": "Bình thường"}
    observation = resources(only(read_envelope(envelope(xml1(), xml4(row)))), "Observation")["LK1/XML4/1"]
    assert (observation["status"], observation["valueString"]) == ("final", "Bình thường")
    assert observation["note"] == [{"text": "Hai phế trường sáng"}]


def test_rows_without_distinct_numbers_are_told_apart_by_their_place() -> None:
    visit = only(read_envelope(envelope(xml1(), xml4({"STT": "1", "GIA_TRI": "1"}, {"STT": "1", "GIA_TRI": "2"}))))
    assert list(resources(visit, "Observation")) == ["LK1/XML4/1", "LK1/XML4/2"]


def test_the_order_of_tables_does_not_matter() -> None:
    row = xml4({"MA_LK": "LK1", "STT": "1", "GIA_TRI": "1"})
    first = only(read_envelope(envelope(xml1(), row)))
    last = only(read_envelope(envelope(row, xml1())))
    assert first == last


def test_unknown_tags_and_tables_are_tolerated_and_named() -> None:
    visit = only(read_envelope(envelope(xml1(LA_LUNG="x"), ("XML99", "<A/>"))))
    assert [(remark.field, remark.value) for remark in visit.remarks] == [("LOAIHOSO", "XML99"), ("XML1/LA_LUNG", "")]


def test_a_row_of_another_visit_does_not_enter_this_record() -> None:
    visit = only(read_envelope(envelope(xml1(), xml4({"MA_LK": "LK2", "STT": "1", "GIA_TRI": "1"}))))
    assert visit.rows["XML4"] == []
    assert [remark.field for remark in visit.remarks] == ["XML4/MA_LK"]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (envelope(xml4({"STT": "1"})), "XML1"),
        (envelope(xml1(MA_LK="")), "XML1/MA_LK"),
        (envelope(xml1(MA_CSKCB="79/../001")), "XML1/MA_CSKCB"),
        (envelope(("XML1", "<TONG_HOP>")), "XML1/NOIDUNGFILE"),
        (
            envelope(("XML1", '<!DOCTYPE a [<!ENTITY b "c">]><TONG_HOP><MA_LK>&b;</MA_LK></TONG_HOP>')),
            "XML1/NOIDUNGFILE",
        ),
        (envelope(xml1()).replace(b"<NOIDUNGFILE>", b"<NOIDUNGFILE>*"), "XML1/NOIDUNGFILE"),
    ],
)
def test_a_visit_that_cannot_be_read_is_refused_with_the_field(document: bytes, field: str) -> None:
    result = read_envelope(document)
    assert result.visits == []
    ((found,),) = [refused.problems for refused in result.refused]
    assert found.field == field


def test_one_bad_visit_does_not_keep_the_others_out() -> None:
    bad = b"<HOSO><FILEHOSO><LOAIHOSO>XML1</LOAIHOSO><NOIDUNGFILE>*</NOIDUNGFILE></FILEHOSO></HOSO>"
    result = read_envelope(envelope(xml1()).replace(b"<DANHSACHHOSO>", b"<DANHSACHHOSO>" + bad))
    assert ([visit.ma_lk for visit in result.visits], len(result.refused)) == (["LK1"], 1)


def test_a_visit_without_a_time_of_arrival_cannot_be_stored() -> None:
    visit = only(read_envelope(envelope(xml1(NGAY_VAO="20261399"))))
    assert [found.field for found in refusals(visit)] == ["XML1/NGAY_VAO"]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "malformed|empty"),
        (b"<GIAMDINHHS>", "malformed"),
        (b"<HOSO/>", "not GIAMDINHHS"),
        (b"<GIAMDINHHS/>", "no HOSO"),
        (b'<!DOCTYPE GIAMDINHHS SYSTEM "file:///etc/passwd"><GIAMDINHHS/>', "DOCTYPE"),
        ('<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a><GIAMDINHHS/>'.encode("utf-16"), "DOCTYPE"),
        ('<?xml version="1.0"?><!DOCTYPE a><GIAMDINHHS/>'.encode("utf-32-le"), "DOCTYPE"),
        (b"<GIAMDINHHS>" + b"<a>" * 40 + b"</a>" * 40 + b"</GIAMDINHHS>", "nested deeper"),
        (b"<GIAMDINHHS>" + b" " * MAX_BYTES + b"</GIAMDINHHS>", "10 MiB"),
        (b"<GIAMDINHHS>&unknown;</GIAMDINHHS>", "malformed"),
    ],
)
def test_a_document_that_is_not_an_envelope_is_refused(document: bytes, reason: str) -> None:
    with pytest.raises(UnreadableInput, match=reason):
        read_envelope(document)


def xml3(*rows: dict[str, str]) -> tuple[str, str]:
    texts = (
        "<CHI_TIET_DVKT>" + "".join(f"<{key}>{value}</{key}>" for key, value in row.items()) + "</CHI_TIET_DVKT>"
        for row in rows
    )
    return "XML3", f"<X><DSACH_CHI_TIET_DVKT>{''.join(texts)}</DSACH_CHI_TIET_DVKT></X>"


def test_a_report_and_a_procedure_say_what_they_were_ordered_by() -> None:
    services = xml3(
        {"STT": "1", "MA_DICH_VU": "D1", "TEN_DICH_VU": "Chụp X-quang", "MA_NHOM": "2"},
        {"STT": "2", "MA_DICH_VU": "D2", "TEN_DICH_VU": "Khâu vết thương", "MA_NHOM": "18"},
        {"STT": "3", "MA_DICH_VU": "D1", "MA_VAT_TU": "V1", "TEN_VAT_TU": "Phim", "MA_NHOM": "10", "SO_LUONG": "2"},
    )
    document = envelope(xml1(), services, xml4({"STT": "1", "MA_DICH_VU": "D1", "KET_LUAN": "Bình thường"}))
    visit = only(read_envelope(document))
    entries = visit_bundle(visit, "Patient/p")["entry"]
    orders = [entry["fullUrl"] for entry in entries if entry["resource"]["resourceType"] == "ServiceRequest"]
    (report,) = resources(visit, "DiagnosticReport").values()
    (procedure,) = resources(visit, "Procedure").values()
    assert [it["basedOn"] for it in (report, procedure)] == [[{"reference": url}] for url in orders]
    assert (report["conclusion"], report["category"][0]["coding"][0]["code"]) == ("Bình thường", "imaging")
    (film,) = resources(visit, "DeviceRequest").values()
    assert film["codeCodeableConcept"] == {"coding": [{"system": systems.SUPPLY_ITEM, "code": "V1"}], "text": "Phim"}
    assert film["parameter"][0]["valueQuantity"] == {"value": 2}
