"""Who is who, and what a newer account of a person changes."""

from __future__ import annotations

from itertools import permutations
from typing import Any

from mappings import systems
from mappings.identity import match
from mappings.merging import merge_coverage, merge_patient
from mappings.roster import Layout, RosterRow, map_row

HEADERS = ["Số thẻ BHYT", "Họ và tên", "Ngày sinh", "Số CCCD", "Từ ngày", "Đến ngày", "Địa chỉ", "Giới tính"]


def row(card: str, name: str, born: str, cccd: str = "", start: str = "", end: str = "", home: str = "") -> RosterRow:
    mapped = map_row(Layout.from_header(HEADERS), 2, [card, name, born, cccd, start, end, home, "Nam"])
    assert isinstance(mapped, RosterRow)
    return mapped


def known(*patients: dict[str, Any]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for patient in patients:
        for entry in patient["identifier"]:
            found.setdefault((entry["system"], entry["value"]), []).append(patient)
    return found


OLD = row("GD4797900000123", "Lê Văn An", "03/05/1990", "079090000123", "01/01/2025", "31/12/2025", "Phường A")


def test_the_same_ten_digits_on_another_card_are_the_same_person() -> None:
    new = row("DN4797900000123", "LE VAN AN", "1990")
    assert match(new.patient, new.match_keys, known(OLD.patient)).patient is OLD.patient


def test_a_corrected_birth_date_is_noticed() -> None:
    new = row("GD4797900000123", "Lê Văn An", "03/06/1990")
    found = match(new.patient, new.match_keys, known(OLD.patient))
    assert found.patient is OLD.patient
    assert found.corrected is not None
    assert found.corrected.field == "birthDate"


def test_a_number_of_somebody_else_is_for_a_person_to_decide() -> None:
    new = row("GD4797900000123", "Trần Thị Bình", "1975")
    found = match(new.patient, new.match_keys, known(OLD.patient))
    assert found.patient is None
    assert found.doubt is not None
    assert found.doubt.value == "7900000123"


def test_numbers_of_two_people_are_for_a_person_to_decide() -> None:
    other = row("GD4797900000555", "Lê Văn An", "03/05/1990")
    new = row("GD4797900000555", "Lê Văn An", "03/05/1990", "079090000123")
    found = match(new.patient, new.match_keys, known(OLD.patient, other.patient))
    assert found.patient is None
    assert found.doubt is not None
    assert found.doubt.reason_en == "the numbers lead to two different people; somebody has to decide"


def test_a_name_alone_confirms_nobody_where_newborns_carry_their_mothers_name() -> None:
    newborn = row("GD4797900000123", "Lê Văn An", "20/11/2026")
    assert match(newborn.patient, newborn.match_keys, known(OLD.patient), by_name=False).doubt is not None


def test_nobody_known_is_no_match() -> None:
    found = match(OLD.patient, OLD.match_keys, {})
    assert (found.patient, found.doubt) == (None, None)


def test_an_older_card_stays_as_old_with_its_period() -> None:
    new = row("DN4797900000123", "Lê Văn An", "03/05/1990", "", "01/01/2026", "", "Phường B")
    merged = merge_patient(OLD.patient, new.patient, valid_from="2026-01-01")
    cards = [entry for entry in merged["identifier"] if entry["system"] == systems.BHYT_CARD]
    assert [(card["value"], card["use"], card["period"]) for card in cards] == [
        ("GD4797900000123", "old", {"start": "2025-01-01", "end": "2025-12-31"}),
        ("DN4797900000123", "official", {"start": "2026-01-01"}),
    ]
    assert [entry["value"] for entry in merged["identifier"] if entry["system"] == systems.BHXH_NUMBER] == [
        "7900000123"
    ]
    assert [entry["value"] for entry in merged["identifier"] if entry["system"] == systems.CCCD] == ["079090000123"]
    assert merged["address"][0]["text"] == "Phường B"


def test_facts_come_from_the_newest_card_in_whatever_order_rows_arrive() -> None:
    rows = [
        row("GD4797900000123", "Lê Văn An", "03/05/1990", "", "01/01/2024", "31/12/2024", "Phường A"),
        row("DN4797900000123", "Lê Văn An", "03/05/1990", "", "01/01/2025", "31/12/2025", "Phường B"),
        row("HT3797900000123", "Lê Văn An", "03/05/1990", "", "01/01/2026", "", "Phường C"),
    ]
    starts = {"GD": "2024-01-01", "DN": "2025-01-01", "HT": "2026-01-01"}
    for order in permutations(rows):
        first, *others = order
        patient = first.patient
        for other in [*others, *order]:
            patient = merge_patient(patient, other.patient, valid_from=starts[other.coverages[0]["subscriberId"][:2]])
        assert patient["address"][0]["text"] == "Phường C"
        uses = {entry["value"]: entry["use"] for entry in patient["identifier"] if entry["system"] == systems.BHYT_CARD}
        assert uses == {"GD4797900000123": "old", "DN4797900000123": "old", "HT3797900000123": "official"}


def test_less_precise_facts_do_not_replace_precise_ones() -> None:
    new = row("GD4797900000123", "Lê Văn An", "1990")
    assert merge_patient(OLD.patient, {**new.patient, "gender": "unknown"})["birthDate"] == "1990-05-03"
    assert merge_patient(OLD.patient, {**new.patient, "gender": "unknown"})["gender"] == "male"


def test_another_cccd_makes_the_earlier_one_old() -> None:
    new = row("GD4797900000123", "Lê Văn An", "03/05/1990", "079090000999")
    merged = merge_patient(OLD.patient, new.patient)
    uses = [(entry["value"], entry["use"]) for entry in merged["identifier"] if entry["system"] == systems.CCCD]
    assert uses == [("079090000123", "old"), ("079090000999", "official")]


def test_what_others_wrote_on_the_patient_stays() -> None:
    stored = {**OLD.patient, "id": "1", "meta": {"versionId": "3"}, "maritalStatus": {"text": "Đã kết hôn"}}
    merged = merge_patient(stored, OLD.patient)
    assert merged == stored


def test_a_coverage_is_renewed_but_not_set_back() -> None:
    def covered(start: str, end: str) -> dict[str, Any]:
        return row("GD4797900000123", "Lê Văn An", "1990", "", start, end).coverages[0]

    stored = {**covered("01/01/2026", "31/12/2026"), "id": "1"}
    assert merge_coverage(stored, covered("01/01/2025", "31/12/2025")) == stored
    renewed = merge_coverage(stored, covered("01/01/2027", "31/12/2027"))
    assert renewed["period"] == {"start": "2027-01-01", "end": "2027-12-31"}
    assert renewed["id"] == "1"
