"""People added one by one: given a temporary number, found again, asked about, joined to their card later."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.errors import Conflict, Forbidden
from fhir_server.intake.registration import NEW, Registration, register
from fhir_server.intake.roster import import_roster
from fhir_server.intake.temporary_numbers import temporary_identifier
from fhir_server.repository import Repository
from fhir_server.resource import exact
from mappings import systems
from mappings.problems import UnreadableInput
from mappings.staff_form import InvalidForm

CTX = AccessContext.unrestricted("test")
TODAY = "2026-11-24"
FORM = {"name": "Hồ Thị Mơ", "birth_date": "03/02/1950", "sex": "nữ", "address": "Xã Thử"}
CCCD = "000150000001"
CARD = "GD4797900000001"
CCCD_QR = f"{CCCD}||Hồ Thị Mơ|03021950|Nữ|Xã Thử|01012022"
HEADER = "Số thẻ BHYT,Họ và tên,Ngày sinh,Giới tính,CCCD,Từ ngày\n"
ROW = f"{CARD},Hồ Thị Mơ,03/02/1950,Nữ,{CCCD},01/01/2026\n"


def added(repository: Repository, told: Any, **more: str) -> Registration:
    return register(repository, CTX, told, **{"facility": "79001", "today": TODAY, **more})


def found(repository: Repository, type: str, **query: str) -> list[dict[str, Any]]:
    page = repository.search(CTX, type, [*query.items(), ("_count", "100")])
    return [exact.parse(stored.json) for _, stored in page.entries if stored.json]


def imported(repository: Repository, folder: Path, rows: str = ROW) -> None:
    path = folder / "roster.csv"
    path.write_text(HEADER + rows, encoding="utf-8")
    import_roster(repository, CTX, path)


def uses(patient: dict[str, Any]) -> dict[str, str]:
    return {each["value"]: each["use"] for each in patient["identifier"]}


def test_who_has_no_number_is_given_a_temporary_one_and_found_by_it(repository: Repository) -> None:
    made = added(repository, FORM)
    assert (made.outcome, made.number) == ("created", "VD-79001-20261124-0001")
    (patient,) = found(repository, "Patient", identifier=f"{systems.TEMPORARY_NUMBER}|VD-79001-20261124-0001")
    assert patient == made.patient
    (number,) = patient["identifier"]
    assert (number["use"], number["period"]) == ("temp", {"start": TODAY})


def test_who_has_a_number_is_given_no_other(repository: Repository) -> None:
    made = added(repository, {**FORM, "cccd": CCCD})
    assert made.patient is not None
    assert (made.number, uses(made.patient)) == ("", {CCCD: "official"})


def test_numbers_asked_for_at_once_are_all_different(repository: Repository) -> None:
    with ThreadPoolExecutor(8) as pool:
        several = list(pool.map(lambda _: temporary_identifier(repository, "79001", TODAY)["value"], range(40)))
    assert sorted(several) == [f"VD-79001-20261124-{number:04}" for number in range(1, 41)]
    assert temporary_identifier(repository, "79002", TODAY)["value"] == "VD-79002-20261124-0001"


def test_a_temporary_number_needs_a_facility_and_says_so(repository: Repository) -> None:
    with pytest.raises(InvalidForm) as caught:
        register(repository, CTX, FORM, today=TODAY)
    assert [each.field for each in caught.value.problems] == ["facility"]
    assert found(repository, "Patient") == []
    assert register(repository, CTX, {**FORM, "facility": "79003"}, today=TODAY).number == "VD-79003-20261124-0001"


def test_the_same_card_again_changes_nothing(repository: Repository) -> None:
    first = added(repository, CCCD_QR)
    again = added(repository, CCCD_QR)
    assert (first.outcome, again.outcome) == ("created", "unchanged")
    assert first.patient == again.patient


def test_who_may_be_known_is_asked_about_before_anything_is_written(repository: Repository) -> None:
    first = added(repository, FORM)
    asked = added(repository, {**FORM, "name": "Mơ Hồ Thị"})
    assert (asked.outcome, asked.patient) == ("confirm", None)
    (candidate,) = asked.candidates
    assert candidate.patient == first.patient
    assert (candidate.why_vi, candidate.why_en) == (
        "họ tên gần giống; cùng ngày sinh; cùng giới tính",
        "names resemble each other; same birth date; same sex",
    )
    assert len(found(repository, "Patient")) == 1


def test_what_the_desk_decides_is_done(repository: Repository) -> None:
    first = added(repository, FORM).patient
    assert first is not None
    other = added(repository, FORM, decided=NEW)
    assert (other.outcome, other.number) == ("created", "VD-79001-20261124-0002")
    joined = added(repository, CCCD_QR, decided=first["id"])
    assert joined.patient is not None
    assert (joined.outcome, joined.patient["id"]) == ("updated", first["id"])
    with pytest.raises(Conflict, match="look again"):
        added(repository, {**FORM, "birth_date": "1999"}, decided=first["id"])


def test_a_number_of_somebody_else_is_asked_about_and_may_be_a_new_person(repository: Repository) -> None:
    added(repository, {**FORM, "cccd": CCCD})
    other = {"name": "Lý Văn Khác", "birth_date": "1990", "sex": "nam", "cccd": CCCD}
    assert added(repository, other).outcome == "confirm"
    assert added(repository, other, decided=NEW).outcome == "created"
    assert len(found(repository, "Patient", identifier=CCCD)) == 2


def test_a_card_joins_who_had_a_temporary_number_without_losing_anything(repository: Repository) -> None:
    first = added(repository, FORM).patient
    assert first is not None
    joined = added(repository, CCCD_QR, decided=first["id"], today="2026-12-01").patient
    assert joined is not None
    temporary = joined["identifier"][0]
    assert (temporary["use"], temporary["period"]) == ("old", {"start": TODAY, "end": "2026-12-01"})
    assert uses(joined)[CCCD] == "official"
    assert added(repository, CCCD_QR, today="2026-12-02").outcome == "unchanged"
    assert repository.vread(CTX, "Patient", first["id"], "1").json == exact.dump(first)


def test_a_roster_row_adds_its_card_to_who_is_known_by_the_cccd(repository: Repository, tmp_path: Path) -> None:
    first = added(repository, FORM).patient
    assert first is not None
    added(repository, CCCD_QR, decided=first["id"])
    imported(repository, tmp_path)
    (patient,) = found(repository, "Patient")
    assert patient["id"] == first["id"]
    assert uses(patient) == {
        "VD-79001-20261124-0001": "old",
        CCCD: "official",
        CARD: "official",
        "7900000001": "official",
    }
    (coverage,) = found(repository, "Coverage")
    assert coverage["beneficiary"] == {"reference": f"Patient/{first['id']}"}
    imported(repository, tmp_path)
    (again,) = found(repository, "Patient")
    assert again == patient


def test_a_roster_row_asks_whether_it_is_who_has_a_temporary_number(repository: Repository, tmp_path: Path) -> None:
    first = added(repository, FORM).patient
    assert first is not None
    other = "GD4797900000002,Lê Văn Khác,03/02/1950,Nam,000050000002,01/01/2026\n"
    imported(repository, tmp_path, ROW + other)
    (task,) = found(repository, "Task", code="possible-duplicate", status="requested")
    assert task["for"] == {"reference": f"Patient/{first['id']}"}
    (newer,) = found(repository, "Patient", identifier=CCCD)
    assert task["focus"] == {"reference": f"Patient/{newer['id']}"}
    imported(repository, tmp_path, ROW + other)
    assert (len(found(repository, "Patient")), len(found(repository, "Task"))) == (3, 1)
    repository.merging.merge(CTX, first["id"], newer["id"])
    imported(repository, tmp_path, ROW + other)
    survivor = exact.parse(repository.read(CTX, "Patient", newer["id"]).json or b"")
    assert uses(survivor)["VD-79001-20261124-0001"] == "old"
    assert len(found(repository, "Coverage")) == 2


def test_a_card_of_who_was_merged_is_not_written_down_twice(repository: Repository, tmp_path: Path) -> None:
    imported(repository, tmp_path)
    (carded,) = found(repository, "Patient")
    first = added(repository, FORM, decided=NEW).patient
    assert first is not None
    repository.merging.merge(CTX, carded["id"], first["id"])
    imported(repository, tmp_path, ROW.replace("01/01/2026", "01/02/2026"))
    (coverage,) = found(repository, "Coverage")
    assert coverage["beneficiary"] == {"reference": f"Patient/{carded['id']}"}
    assert coverage["period"]["start"] == "2026-02-01"


def test_a_roster_that_came_first_is_found_by_the_form(repository: Repository, tmp_path: Path) -> None:
    imported(repository, tmp_path)
    (known,) = found(repository, "Patient")
    assert added(repository, {**FORM, "cccd": CCCD}).outcome in ("updated", "unchanged")
    asked = added(repository, FORM)
    assert [each.patient["id"] for each in asked.candidates] == [known["id"]]
    same = added(repository, FORM, decided=known["id"])
    assert (same.number, len(found(repository, "Patient"))) == ("", 1)


def test_a_merge_keeps_the_temporary_number_as_an_old_one(repository: Repository) -> None:
    first = added(repository, FORM).patient
    second = added(repository, CCCD_QR, decided=NEW).patient
    assert first is not None
    assert second is not None
    repository.merging.merge(CTX, first["id"], second["id"])
    survivor = exact.parse(repository.read(CTX, "Patient", second["id"]).json or b"")
    assert uses(survivor) == {CCCD: "official", "VD-79001-20261124-0001": "old"}
    again = added(repository, CCCD_QR)
    assert again.patient is not None
    assert again.patient["id"] == second["id"]


def test_neither_a_card_nor_a_person_is_refused_in_two_languages(repository: Repository) -> None:
    with pytest.raises(UnreadableInput, match="Mã QR này không phải"):
        added(repository, "https://example.org")


def test_a_citizen_adds_nobody(repository: Repository) -> None:
    with pytest.raises(Forbidden):
        register(repository, AccessContext.for_patient("a", "card:1"), FORM, facility="79001")
