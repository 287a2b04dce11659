"""QĐ 831 both ways: what a record says comes back word for word, and its own table says all of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.resource import exact
from fhir_server.resource.validation import validate_issues
from mappings.problems import UnreadableInput
from mappings.qd831.into import mapped, record_key, refusals
from mappings.qd831.out_of import record_of
from mappings.qd831.person import patient_of, row_of
from mappings.qd831.record import HealthRecord, read_record, to_xml
from mappings.qd831.report import PAGE, page, summary
from mappings.qd831.table import HEADER, PERSON, fields, fields_of
from seed.people import people

SAMPLE = (Path(__file__).parent / "data" / "qd831.xml").read_bytes()
PATIENT = "Patient/p1"


def stored(record: HealthRecord) -> list[dict[str, Any]]:
    """The resources of a record as a server would give them: with ids, and with references to those."""
    bundle, remarks = mapped(record, PATIENT, record_key(record))
    assert remarks == []
    ids = {it["fullUrl"]: f"{it['resource']['resourceType']}/{n}" for n, it in enumerate(bundle["entry"])}
    text = exact.dump(bundle)
    for url, reference in ids.items():
        text = text.replace(f'"{url}"'.encode(), f'"{reference}"'.encode())
    return [{**it["resource"], "id": str(n)} for n, it in enumerate(exact.parse(text)["entry"])]


def there_and_back(record: HealthRecord) -> HealthRecord:
    """The record as it comes out of the resources that were made of it."""
    patient = patient_of(record.of(PERSON))[0]
    return record_of(patient, stored(record), sender=record.of(HEADER)["SENDER_CODE"], day="", request_id="")


def test_a_record_comes_back_from_its_resources_word_for_word() -> None:
    record, remarks = read_record(SAMPLE)
    assert remarks == []
    assert refusals(record) == []
    assert there_and_back(record) == record
    assert read_record(to_xml(record))[0] == record


def test_every_resource_of_a_record_is_valid_r4() -> None:
    record = read_record(SAMPLE)[0]
    made = [*stored(record), patient_of(record.of(PERSON))[0]]
    for resource in made:
        assert [issue for issue in validate_issues(resource) if issue.severity == "error"] == [], resource[
            "resourceType"
        ]
    assert len(made) == 39


@pytest.mark.parametrize("person", list(people(60, seed=7)), ids=lambda person: str(person.serial))
def test_a_generated_patient_survives_the_way_through_the_xml(person: Any) -> None:
    row = {
        "MADINHDANH": person.cccd if person.has_cccd else "",
        "SOCMND": person.cccd if person.has_cccd else "",
        "MATHE": person.card,
        "MABHXH": person.bhxh,
        "HOTEN": person.name,
        "GIOITINH": {"male": "1", "female": "2"}[person.sex],
        "NGAYSINH": f"{person.born:%d/%m/%Y}",
        "DIACHI_HIENTAI": person.address,
        "DIENTHOAI_DD": person.phone,
    }
    patient = patient_of({field: text for field, text in row.items() if text})[0]
    record = record_of(patient, [], sender="79001", day="2026-11-24", request_id="r")
    again = patient_of(read_record(to_xml(record))[0].of(PERSON))[0]
    assert again == patient


WORDS = st.lists(st.sampled_from('Nguyễn Trần Thị Văn Ánh Đào Hòa ý Ê-đê <&> "'.split()), min_size=1, max_size=5).map(
    " ".join
)
DATES = st.dates(min_value=__import__("datetime").date(1900, 1, 1), max_value=__import__("datetime").date(2026, 1, 1))
DIGITS = st.integers(1, 9_999_999).map(str)
ROWS = st.fixed_dictionaries(
    {"HOTEN": WORDS, "MABHXH": st.integers(7900000000, 7999999999).map(str)},
    optional={
        "GIOITINH": st.sampled_from(["1", "2"]),
        "NGAYSINH": DATES.map(lambda day: f"{day:%d/%m}/{day.year:04}"),
        "MADANTOC": st.sampled_from(["01", "21", "54"]),
        "MATONGIAO": st.integers(1, 16).map(str),
        "MAQUOCTICH": st.just("VN"),
        "MANGHENGHIEP": DIGITS,
        "MATINH_KHAISINH": st.sampled_from(["01", "79", "96", "24", "00"]),
        "DIACHI_THUONGTRU": WORDS,
        "DIACHI_HIENTAI": WORDS,
        "DIENTHOAI_CD": DIGITS,
        "DIENTHOAI_DD": DIGITS,
        "EMAIL": st.just("a@example.vn"),
    },
)


@settings(deadline=None, max_examples=150)
@given(row=ROWS)
def test_patient_to_xml_to_patient_is_equal_in_all_mapped_fields(row: dict[str, str]) -> None:
    patient = patient_of(row)[0]
    assert row_of(patient) == row
    record = record_of(patient, [], sender="79001", day="2026-11-24", request_id="r")
    assert patient_of(read_record(to_xml(record))[0].of(PERSON))[0] == patient


@pytest.mark.parametrize(
    ("code", "state", "version"),
    [("79", "Thành phố Hồ Chí Minh", "2004"), ("02", "Tỉnh Hà Giang", "2004"), ("24", "24", None), ("00", "00", None)],
)
def test_a_province_of_birth_is_coded_where_its_code_has_one_meaning(
    code: str, state: str, version: str | None
) -> None:
    (extension,) = patient_of({"HOTEN": "A", "MATINH_KHAISINH": code})[0]["extension"]
    born = extension["valueAddress"]
    assert born["state"] == state
    codings = [each["valueCoding"] for each in born.get("_state", {}).get("extension", ())]
    assert [(each["code"], each["version"]) for each in codings] == ([(code, version)] if version else [])


def test_a_service_without_a_name_comes_back_without_one() -> None:
    unnamed = read_record(SAMPLE.replace(b"<TENDICHVU>Glucose</TENDICHVU>", b""))[0]
    assert there_and_back(unnamed) == unnamed
    bare = read_record(re.sub(rb"<MADICHVU>.*?<KETQUA>", b"<KETQUA>", SAMPLE))[0]
    assert [row for visit in bare.visits for rows in visit.rows.values() for row in rows if "KETQUA" in row] == [
        {"KETQUA": "5.4 mmol/L"}
    ]
    assert there_and_back(bare) == bare


def test_the_no_of_a_smoker_is_kept_but_taken_for_no_value() -> None:
    smoking = next(it for it in stored(read_record(SAMPLE)[0]) if "72166-2" in str(it.get("code", "")))
    assert "valueCodeableConcept" not in smoking
    assert smoking["dataAbsentReason"]["coding"][0]["code"] == "unknown"
    edited = SAMPLE.replace(b"<TRANGTHAI>0</TRANGTHAI><DABO>0</DABO>", b"<TRANGTHAI>0</TRANGTHAI><DABO>1</DABO>")
    former = next(it for it in stored(read_record(edited)[0]) if "72166-2" in str(it.get("code", "")))
    assert former["valueCodeableConcept"]["coding"][0]["code"] == "LA15920-4"


@pytest.mark.parametrize(
    ("old", "new"), [(b"<DATA>", b"<!DOCTYPE DATA><DATA>"), (b"HOSOSUCKHOE", b"HOSO"), (b"</DATA>", b"")]
)
def test_what_is_no_record_is_refused_with_the_reason(old: bytes, new: bytes) -> None:
    with pytest.raises(UnreadableInput):
        read_record(SAMPLE.replace(old, new))


def test_unknown_tags_are_tolerated_and_told() -> None:
    record, remarks = read_record(SAMPLE.replace(b"<HOTEN>", b"<LA_LAM>x</LA_LAM><HOTEN>", 1))
    assert [it.field for it in remarks] == ["THONGTINCHUNG/LA_LAM"]
    assert record == read_record(SAMPLE)[0]


def test_a_record_without_a_number_or_a_name_is_refused() -> None:
    empty = re.sub(rb"<(MADINHDANH|MABHXH|MATHE|SOCMND|HOTEN)>[^<]*</\1>", b"", SAMPLE)
    assert [it.field for it in refusals(read_record(empty)[0])] == ["THONGTINCHUNG/MADINHDANH", "THONGTINCHUNG/HOTEN"]


def test_every_field_has_a_fate_and_a_reason_where_it_is_not_mapped() -> None:
    assert summary() == "QĐ 831: 160 fields: 143 mapped, 17 archived, 0 ignored"
    for row in fields():
        assert row.target if row.fate == "mapped" else row.reason, row
        assert fields_of(row.path)[row.field] is row


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
