"""Roster rows: the exact outcome of each row of the dirty sample, and of each way a row can be wrong."""

from __future__ import annotations

import csv
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhir_server.resource.validation import validate_issues
from mappings import profile_names, systems
from mappings.person import SEX_CODINGS
from mappings.problems import UnreadableInput
from mappings.roster import Layout, Refused, RosterRow, RosterSource, map_row

DIRTY = Path(__file__).parent / "data" / "bhyt_roster_dirty.csv"
HEADERS = ["Số thẻ BHYT", "Họ và tên", "Ngày sinh", "Giới tính", "Số CCCD"]


def dirty_rows() -> list[RosterRow]:
    with DIRTY.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    layout = Layout.from_header(header)
    mapped = [map_row(layout, number, row) for number, row in enumerate(rows, start=2)]
    assert all(isinstance(row, RosterRow) for row in mapped)
    return [row for row in mapped if isinstance(row, RosterRow)]


def row_of(*values: str, headers: list[str] | None = None, source: RosterSource | None = None) -> RosterRow:
    mapped = map_row(Layout.from_header(headers or HEADERS), 2, list(values), source)
    assert isinstance(mapped, RosterRow), mapped
    return mapped


def refused(*values: str) -> Refused:
    mapped = map_row(Layout.from_header(HEADERS), 2, list(values))
    assert isinstance(mapped, Refused)
    return mapped


def identifiers(row: RosterRow) -> list[tuple[str, str, dict[str, str]]]:
    return [(entry["system"], entry["value"], entry.get("period", {})) for entry in row.patient["identifier"]]


def place_code(system: str, code: str) -> dict[str, Any]:
    return {"url": systems.PLACE_CODE, "valueCoding": {"system": system, "version": "2025", "code": code}}


YEAR_2026 = {"start": "2026-01-01", "end": "2026-12-31"}


def test_row_1_is_complete() -> None:
    row = dirty_rows()[0]
    assert row.warnings == ()
    assert identifiers(row) == [
        (systems.BHYT_CARD, "GD4797900000123", YEAR_2026),
        (systems.BHXH_NUMBER, "7900000123", {}),
        (systems.CCCD, "079185000123", {}),
    ]
    assert [entry["type"]["coding"][0]["code"] for entry in row.patient["identifier"]] == ["SB", "SS", "NI"]
    assert {key: value for key, value in row.patient.items() if key != "identifier"} == {
        "resourceType": "Patient",
        "meta": {"profile": [profile_names.PATIENT]},
        "active": True,
        "name": [{"use": "official", "text": "Nguyễn Thị Ánh Đào", "family": "Nguyễn", "given": ["Thị", "Ánh", "Đào"]}],
        "telecom": [{"system": "phone", "value": "0900000000"}],
        "gender": "female",
        "birthDate": "1985-09-02",
        "address": [
            {
                "use": "home",
                "text": "12 Lê Lợi, Phường Sài Gòn, Thành phố Hồ Chí Minh",
                "line": ["12 Lê Lợi"],
                "city": "Phường Sài Gòn",
                "_city": {"extension": [place_code(systems.WARD, "26740")]},
                "state": "Thành phố Hồ Chí Minh",
                "_state": {"extension": [place_code(systems.PROVINCE, "79")]},
                "country": "VN",
            }
        ],
    }
    assert row.coverages == [
        {
            "resourceType": "Coverage",
            "meta": {"profile": [profile_names.COVERAGE]},
            "extension": [{"url": systems.FIVE_YEAR_DATE, "valueDate": "2024-01-01"}],
            "identifier": [{"system": systems.BHYT_CARD, "value": "GD4797900000123"}],
            "status": "active",
            "type": {"coding": [{"system": systems.V3_ACT_CODE, "code": "PUBLICPOL"}], "text": "Bảo hiểm y tế"},
            "subscriberId": "GD4797900000123",
            "beneficiary": {"reference": row.full_url},
            "period": YEAR_2026,
            "payor": [{"display": "Bảo hiểm xã hội Việt Nam"}],
            "class": [
                {
                    "type": {"coding": [{"system": systems.COVERAGE_CLASS, "code": "group"}]},
                    "value": "GD",
                    "name": "Hộ gia đình",
                },
                {"type": {"coding": [{"system": systems.COVERAGE_CLASS, "code": "plan"}]}, "value": "4"},
            ],
            "network": "79001",
        }
    ]
    assert row.match_keys == (
        (systems.CCCD, "079185000123"),
        (systems.BHXH_NUMBER, "7900000123"),
        (systems.BHYT_CARD, "GD4797900000123"),
    )


def test_row_2_has_a_birth_year_an_open_period_and_an_area() -> None:
    row = dirty_rows()[1]
    # Hải Phòng has a Cẩm Giang and a Cẩm Giàng: which is meant is not ours to say.
    (warning,) = row.warnings
    assert (warning.field, warning.value) == ("Địa chỉ", "Xã Cẩm Giàng")
    assert "Xã Cẩm Giang, Thành phố Hải Phòng (10888); Xã Cẩm Giàng, Thành phố Hải Phòng (10903)" in warning.reason_vi
    assert "_city" not in row.patient["address"][0]
    assert identifiers(row) == [
        (systems.BHYT_CARD, "HT3797900000124", {"start": "2026-01-01"}),
        (systems.BHXH_NUMBER, "7900000124", {}),
    ]
    assert row.patient["birthDate"] == "1950"
    assert row.patient["gender"] == "male"
    assert row.patient["name"][0]["text"] == "TRẦN VĂN ĐỨC"
    assert "telecom" not in row.patient
    (coverage,) = row.coverages
    assert coverage["period"] == {"start": "2026-01-01"}
    assert coverage["extension"] == [{"url": systems.LIVING_AREA, "valueCode": "K1"}]
    assert coverage["network"] == "79001"


def test_row_3_is_a_child_with_sex_as_a_digit() -> None:
    row = dirty_rows()[2]
    assert row.warnings == ()
    assert identifiers(row) == [
        (systems.BHYT_CARD, "TE1383800000125", {"start": "2023-03-15", "end": "2029-09-30"}),
        (systems.BHXH_NUMBER, "3800000125", {}),
    ]
    assert (row.patient["gender"], row.patient["birthDate"]) == ("male", "2023-03-15")
    assert row.coverages[0]["network"] == "38010"


def test_row_4_has_an_unknown_day_and_month() -> None:
    row = dirty_rows()[3]
    assert row.warnings == ()
    assert row.patient["birthDate"] == "1962"
    assert row.patient["address"] == [{"use": "home", "text": "Huyện cũ không còn", "district": "Huyện cũ không còn"}]
    assert row.coverages[0]["period"] == YEAR_2026


def test_row_5_has_ten_digits_only_and_zero_for_female() -> None:
    row = dirty_rows()[4]
    assert row.warnings == ()
    assert identifiers(row) == [(systems.BHXH_NUMBER, "7900000127", {}), (systems.CCCD, "079190000127", {})]
    assert (row.patient["gender"], row.patient["birthDate"]) == ("female", "1990-07-05")
    (coverage,) = row.coverages
    assert coverage["identifier"] == [{"system": systems.BHXH_NUMBER, "value": "7900000127"}]
    assert coverage["period"] == YEAR_2026


def test_what_a_row_makes_is_valid_r4() -> None:
    resources: list[dict[str, Any]] = []
    for row in dirty_rows():
        resources += [row.patient, *row.coverages]
    assert len(resources) == 10
    for resource in resources:
        assert validate_issues(resource) == []
        get_fhir_model_class(resource["resourceType"]).model_validate_json(json.dumps(resource))


@pytest.mark.parametrize(
    "header",
    ["Số thẻ BHYT", "soTheBHYT", "SO_THE_BHYT", "Mã thẻ", "SỐ THẺ  BHYT", unicodedata.normalize("NFD", "Số thẻ BHYT")],
)
def test_a_column_is_known_by_any_of_its_names(header: str) -> None:
    row = row_of("GD4797900000123", "Lê A", "1990", headers=[header, "HO TEN", "ngaysinh"])
    assert (systems.BHYT_CARD, "GD4797900000123") in row.match_keys


def test_a_column_nobody_knows_is_named() -> None:
    layout = Layout.from_header([*HEADERS, "Sở thích", ""])
    assert layout.unknown == ("Sở thích",)


def test_a_file_without_the_needed_columns_is_no_roster() -> None:
    with pytest.raises(UnreadableInput, match="Số thẻ BHYT"):
        Layout.from_header(["Họ và tên", "Ngày sinh"])


@pytest.mark.parametrize(
    ("coding", "text", "expected"),
    [
        ("auto", "0", "female"),
        ("1-0", "0", "female"),
        ("0-1", "0", "male"),
        ("0-1", "1", "female"),
        ("1-2-3", "3", "unknown"),
    ],
)
def test_sex_is_read_as_its_source_codes_it(coding: str, text: str, expected: str) -> None:
    row = row_of("7900000123", "Lê A", "1990", text, source=RosterSource(sex=SEX_CODINGS[coding]))
    assert row.patient["gender"] == expected


def test_sex_that_is_not_understood_is_unknown_with_a_warning() -> None:
    row = row_of("7900000123", "Lê A", "1990", "x")
    assert row.patient["gender"] == "unknown"
    assert [(warning.field, warning.value) for warning in row.warnings] == [("Giới tính", "x")]


def test_a_number_of_another_length_is_kept_with_a_warning() -> None:
    row = row_of("GD47979000001", "Lê A", "1990", "Nam")
    assert identifiers(row) == [(systems.BHYT_CARD, "GD47979000001", {})]
    assert [warning.reason_en for warning in row.warnings] == [
        "not a BHYT number of 10, 12 or 15 characters; kept as it is, please check"
    ]
    assert row.coverages[0]["subscriberId"] == "GD47979000001"


def test_a_twelve_digit_bhyt_number_is_the_cccd() -> None:
    row = row_of("079090000123", "Lê A", "1990", "Nam")
    assert identifiers(row) == [(systems.CCCD, "079090000123", {})]
    assert row.coverages[0]["identifier"] == [{"system": systems.CCCD, "value": "079090000123"}]


def test_an_unknown_object_code_is_a_warning() -> None:
    row = row_of("ZZ4797900000123", "Lê A", "1990", "Nam")
    assert [(warning.value, warning.field) for warning in row.warnings] == [("ZZ", "Số thẻ BHYT")]


def test_a_cccd_that_disagrees_with_sex_or_year_is_a_warning() -> None:
    row = row_of("7900000123", "Lê A", "1990", "Nam", "079190000123")
    assert (systems.CCCD, "079190000123", {}) in identifiers(row)
    assert [warning.field for warning in row.warnings] == ["Số CCCD"]


def test_a_leading_zero_that_a_spreadsheet_dropped_is_restored() -> None:
    row = row_of("7900000123", "Lê A", "1990", "Nam", "79090000123")
    assert (systems.CCCD, "079090000123", {}) in identifiers(row)
    assert [warning.value for warning in row.warnings] == ["79090000123"]


def test_an_end_before_the_start_is_left_out_with_a_warning() -> None:
    headers = [*HEADERS, "Từ ngày", "Đến ngày"]
    row = row_of("7900000123", "Lê A", "1990", "Nam", "", "01/06/2026", "01/01/2026", headers=headers)
    assert row.coverages[0]["period"] == {"start": "2026-06-01"}
    assert [warning.field for warning in row.warnings] == ["Đến ngày"]


def test_a_second_number_that_contradicts_the_card_is_not_used() -> None:
    row = row_of("GD4797900000123", "Lê A", "1990", "Nam", "", "7900000999", headers=[*HEADERS, "Mã số BHXH"])
    assert (systems.BHXH_NUMBER, "7900000999") not in row.match_keys
    assert [warning.value for warning in row.warnings] == ["7900000999"]


def test_rows_that_cannot_be_stored_say_why_in_two_languages() -> None:
    assert [(p.field, p.value, p.reason_vi, p.reason_en) for p in refused("7900000123", "", "31/02/1990").problems] == [
        ("Họ và tên", "", "Thiếu họ tên", "the name is missing"),
        (
            "Ngày sinh",
            "31/02/1990",
            "Ngày sinh không đọc được; dùng ngày/tháng/năm, hoặc chỉ năm",
            "birth date not readable; write day/month/year, or the year alone",
        ),
    ]
    assert [p.field for p in refused(" ", "Lê A", "1990").problems] == ["Số thẻ BHYT"]
    assert [p.reason_en for p in refused("7900000123", "Lê A", "").problems] == ["birth date is missing"]


def test_a_row_with_more_cells_than_columns_is_refused() -> None:
    (found,) = refused("7900000123", "Lê A", "1990", "Nam", "", "Phường Sài Gòn").problems
    assert found.value == "Phường Sài Gòn"


def test_nobody_is_born_after_the_roster_was_sent() -> None:
    mapped = map_row(Layout.from_header(HEADERS), 2, ["7900000123", "Lê A", "2027"], RosterSource(sent_on="2026-11-24"))
    assert isinstance(mapped, Refused)
    assert [p.reason_en for p in mapped.problems] == ["the birth date lies in the future"]


def test_a_long_value_is_cut_in_the_report() -> None:
    (found,) = refused("7900000123", "Lê A", "x" * 200).problems
    assert len(found.value) == 60
