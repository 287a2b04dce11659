"""Old and new places in addresses: which codes are certain, and what is only a candidate."""

from __future__ import annotations

from typing import Any

import pytest

from mappings import places, systems
from mappings.addresses import read_address
from mappings.merging import merge_patient
from mappings.places import NEW, OLD


def codes(address: dict[str, Any] | None, element: str) -> list[str]:
    """`version:code` of the codes beside an element."""
    assert address is not None
    codings = [each["valueCoding"] for each in address.get(f"_{element}", {}).get("extension", ())]
    assert all(each["system"].startswith(f"{systems.OWN_BASE}/CodeSystem/") for each in codings)
    return [f"{each['version']}:{each['code']}" for each in codings]


def test_the_tables_are_whole() -> None:
    counts = {
        (level, version): len(places.places(level, version))
        for level, version in (("province", OLD), ("district", OLD), ("ward", OLD), ("province", NEW), ("ward", NEW))
    }
    assert list(counts.values()) == [63, 696, 10_035, 34, 3_321]
    new_wards = places.places("ward", NEW)
    assert all(ward.became and set(ward.became) <= new_wards.keys() for ward in places.places("ward", OLD).values())
    # Every ward of today comes from somewhere: an old ward, or one of the five island districts without wards.
    old = [*places.places("ward", OLD).values(), *places.places("district", OLD).values()]
    assert {code for place in old for code in place.became} == new_wards.keys()


def test_seven_codes_of_provinces_changed_meaning() -> None:
    old, new = places.places("province", OLD), places.places("province", NEW)
    changed = [
        code
        for code in sorted(old.keys() & new.keys())
        if places.province_key(old[code].name) != places.province_key(new[code].name)
    ]
    assert changed == ["15", "24", "44", "52", "80", "82", "91"]
    assert set(places.province_became()) == old.keys()
    assert set(places.province_became().values()) == new.keys()


def test_an_old_place_keeps_its_code_and_gets_todays_beside_it() -> None:
    address, problems = read_address("Địa chỉ", "5 Hàng Than, P. Phúc Xá, Q. Ba Đình, TP Hà Nội")
    assert problems == []
    assert address is not None
    assert address["text"] == "5 Hàng Than, P. Phúc Xá, Q. Ba Đình, TP Hà Nội"
    assert codes(address, "city") == ["2004:00001", "2025:00097"]
    assert codes(address, "district") == ["2004:001"]
    assert codes(address, "state") == ["2004:01", "2025:01"]


def test_a_province_that_is_gone_leads_to_the_one_of_today() -> None:
    address, problems = read_address("", "Tỉnh Bắc Kạn")
    assert (codes(address, "state"), problems) == (["2004:06", "2025:19"], [])


def test_a_province_of_both_versions_says_nothing_about_the_version() -> None:
    address, problems = read_address("", "Tỉnh Lào Cai")
    assert (codes(address, "state"), problems) == ([], [])


def test_an_old_ward_that_was_divided_has_candidates_and_no_code_of_today() -> None:
    divided = next(place for place in places.places("ward", OLD).values() if len(place.became) == 5)
    district = places.places("district", OLD)[divided.parent]
    text = f"{divided.name}, {district.name}, {places.province_of(divided).name}"
    address, (problem,) = read_address("Địa chỉ", text)
    assert codes(address, "city") == [f"2004:{divided.code}"]
    assert problem.field == "Địa chỉ"
    assert all(code in problem.reason_vi and code in problem.reason_en for code in divided.became)


@pytest.mark.parametrize("text", ["Xã Cẩm Giàng, Hải Phòng", "xã cẩm giang, hai phong"])
def test_two_wards_of_one_folded_name_are_never_narrowed_down(text: str) -> None:
    address, (problem,) = read_address("", text)
    assert codes(address, "city") == []
    assert ("10888" in problem.reason_vi, "10903" in problem.reason_vi) == (True, True)


def test_numbered_wards_are_found_with_and_without_the_zero() -> None:
    for name in ("Phường 1", "Phường 01", "P.1", "P. 1"):
        address, _ = read_address("", f"{name}, Quận Bình Thạnh, Thành phố Hồ Chí Minh")
        assert codes(address, "city")[0] == "2004:26944", name


def test_codes_alone_make_an_address_and_are_read_by_the_version_they_exist_in() -> None:
    new, _ = read_address("", "", province="79", ward="26740")
    assert new is not None
    assert (new["text"], codes(new, "city")) == ("Phường Sài Gòn, Thành phố Hồ Chí Minh", ["2025:26740"])
    old, _ = read_address("", "", province="01", district="001", ward="00001")
    assert codes(old, "city") == ["2004:00001", "2025:00097"]
    # A ward that is not in the province it is sent with is believed in neither version.
    none, (told,) = read_address("MAXA", "", province="01", ward="26740")
    assert (none, told.field, told.value) == (None, "MAXA", "01, 26740")
    assert "were not stored" in told.reason_en
    for sent in ({"province": "999"}, {"ward": "99999"}, {"province": "79", "district": "001"}):
        assert [each.value for each in read_address("", "Số 1, Phường Sài Gòn", **sent)[1]] == [
            ", ".join(sent.values())
        ]
    assert read_address("", "12 Lê Lợi")[1] == []
    assert read_address("", "", province="99", ward="99999")[0] is None
    assert read_address("", " ") == (None, [])


SAIGON = {"province": "79", "ward": "26740"}


@pytest.mark.parametrize(
    ("text", "sent", "city"),
    [
        # 26740 was Bến Nghé and is Sài Gòn: the text tells, then the district, then the day.
        ("P. Bến Nghé, TP HCM", {"as_of": "2026-11-24"}, ["2004:26740", "2025:26740"]),
        ("Phường Sài Gòn, TP HCM", {"district": "760", "as_of": "2026-11-24"}, ["2025:26740"]),
        ("12 Lê Lợi", {"district": "760", "as_of": "2026-11-24"}, ["2004:26740", "2025:26740"]),
        ("12 Lê Lợi", {"as_of": "2025-06-30"}, ["2004:26740", "2025:26740"]),
        ("12 Lê Lợi", {"as_of": "2025-07-01"}, ["2025:26740"]),
        # The district is gone, and is still sent with a ward of today.
        ("12 Lê Lợi", {"district": "001", "as_of": "2026-11-24"}, ["2025:26740"]),
    ],
)
def test_a_code_of_both_versions_is_read_by_text_district_and_day(
    text: str, sent: dict[str, str], city: list[str]
) -> None:
    address, problems = read_address("XML1/DIA_CHI", text, **SAIGON, **sent)
    assert (codes(address, "city"), problems) == (city, [])
    assert address is not None
    assert address["text"] == text
    assert codes(address, "state")[-1] == "2025:79"


def test_what_the_text_leaves_out_is_named_by_the_codes() -> None:
    address, _ = read_address("", "12 Lê Lợi", **SAIGON, as_of="2026-11-24")
    assert address is not None
    assert (address["line"], address["city"], address["state"]) == (
        ["12 Lê Lợi"],
        "Phường Sài Gòn",
        "Thành phố Hồ Chí Minh",
    )


def test_codes_that_contradict_the_text_are_told_and_the_text_stands() -> None:
    address, (problem,) = read_address("F", "Phường Bến Thành, Thành phố Hồ Chí Minh", **SAIGON, as_of="2026-11-24")
    assert codes(address, "city") == ["2025:26743"]
    assert (problem.field, "26740" in problem.reason_vi) == ("F", True)


def test_a_province_alone_is_coded_where_its_code_means_one_place() -> None:
    for province, sent, state in (
        ("74", {"as_of": "2026-11-24"}, ["2004:74", "2025:79"]),  # Bình Dương, gone
        ("24", {"as_of": "2026-11-24"}, []),  # Bắc Giang, or Bắc Ninh of today
        ("79", {"as_of": "2026-11-24"}, ["2025:79"]),
        ("79", {"as_of": "2024-11-24"}, ["2004:79", "2025:79"]),
        ("79", {}, []),
        ("79", {"district": "760"}, ["2004:79", "2025:79"]),
    ):
        address, problems = read_address("", "12 Lê Lợi", province=province, **sent)
        assert (province, codes(address, "state")) == (province, state)
        assert [each.value for each in problems] == ([] if state else [province])
    address, _ = read_address("", "Tỉnh Bắc Giang", province="24", as_of="2026-11-24")
    assert codes(address, "state") == ["2004:24", "2025:24"]


def test_an_address_stored_before_places_had_codes_is_not_rewritten_for_the_codes() -> None:
    address, _ = read_address("", "Phường Sài Gòn, Thành phố Hồ Chí Minh")
    assert address is not None
    plain = {key: value for key, value in address.items() if not key.startswith("_")}
    stored = {"resourceType": "Patient", "id": "1", "meta": {"versionId": "1"}, "address": [plain], "gender": "male"}
    incoming = {"resourceType": "Patient", "meta": {"profile": ["http://p"]}, "address": [address], "gender": "male"}
    stored["identifier"] = incoming["identifier"] = []
    assert merge_patient(stored, incoming) == stored
    corrected = merge_patient(stored, {**incoming, "gender": "female"})
    assert (corrected["gender"], corrected["meta"]) == ("female", {"versionId": "1", "profile": ["http://p"]})
