"""Importing rosters into a real store: exact counts, idempotency, and what becomes of bad rows."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.intake.people import today_here
from fhir_server.intake.rejections import harmless
from fhir_server.intake.roster import RosterSummary, import_roster
from fhir_server.intake.roster_batch import plan, write
from fhir_server.intake.tables import read_rows
from fhir_server.repository import Repository
from fhir_server.resource import exact
from mappings import systems
from mappings.problems import UnreadableInput
from mappings.roster import Layout, RosterRow, map_row

CTX = AccessContext.unrestricted("test")
DIRTY = Path(__file__).parents[1] / "mappings" / "data" / "bhyt_roster_dirty.csv"
HEADER = ["Số thẻ BHYT", "Họ và tên", "Ngày sinh", "Giới tính", "Từ ngày", "Địa chỉ", "Số CCCD"]
AN = ["GD4797900000501", "Lê Văn An", "03/05/1990", "Nam", "01/01/2026", "Phường A", ""]
BINH = ["GD4797900000502", "Trần Thị Bình", "1975", "Nữ", "01/01/2026", "Phường B", ""]


def written(folder: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER) -> Path:
    path = folder / "roster.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def imported(repository: Repository, path: Path, **options: Any) -> RosterSummary:
    return import_roster(repository, CTX, path, **options)


def counts(summary: RosterSummary) -> tuple[int, int, int, int, int]:
    return summary.read, summary.created, summary.updated, summary.unchanged, summary.rejected


def found(repository: Repository, resource_type: str, **query: str) -> list[dict[str, Any]]:
    page = repository.search(CTX, resource_type, [(key.replace("_", "-"), value) for key, value in query.items()])
    return [exact.parse(stored.json) for _, stored in page.entries if stored.json]


def versions(repository: Repository) -> int:
    return sum(
        len(repository.history(CTX, kind, query=[("_count", "1000")]).entries) for kind in ("Patient", "Coverage")
    )


def test_the_dirty_sample_comes_in_whole_and_only_once(repository: Repository) -> None:
    assert counts(imported(repository, DIRTY)) == (5, 5, 0, 0, 0)
    before = versions(repository)
    assert before == 10
    assert counts(imported(repository, DIRTY)) == (5, 0, 0, 5, 0)
    assert versions(repository) == before


@pytest.mark.parametrize(
    "number",
    [
        f"{systems.BHYT_CARD}|GD4797900000123",
        f"{systems.BHXH_NUMBER}|7900000123",
        f"{systems.CCCD}|079185000123",
        "GD4797900000123",
    ],
)
def test_a_person_is_found_by_each_number(repository: Repository, number: str) -> None:
    imported(repository, DIRTY)
    (patient,) = found(repository, "Patient", identifier=number)
    assert patient["name"][0]["text"] == "Nguyễn Thị Ánh Đào"


def test_the_coverage_names_its_person(repository: Repository) -> None:
    imported(repository, DIRTY)
    (patient,) = found(repository, "Patient", identifier="7900000127")
    (coverage,) = found(repository, "Coverage", beneficiary=f"Patient/{patient['id']}")
    assert coverage["identifier"] == [{"system": systems.BHXH_NUMBER, "value": "7900000127"}]


def test_a_changed_row_makes_exactly_one_new_version(repository: Repository, tmp_path: Path) -> None:
    imported(repository, written(tmp_path, [AN, BINH]))
    before = versions(repository)
    moved = [*AN[:5], "Phường C", ""]
    assert counts(imported(repository, written(tmp_path, [moved, BINH]))) == (2, 0, 1, 1, 0)
    assert versions(repository) == before + 1
    (patient,) = found(repository, "Patient", identifier="7900000501")
    assert (patient["meta"]["versionId"], patient["address"][0]["text"]) == ("2", "Phường C")


def test_two_cards_of_one_person_in_one_file_are_one_patient(repository: Repository, tmp_path: Path) -> None:
    second = ["DN4797900000501", *AN[1:4], "01/06/2026", *AN[5:]]
    path = written(tmp_path, [AN, second])
    assert counts(imported(repository, path)) == (2, 1, 1, 0, 0)
    (patient,) = found(repository, "Patient", identifier="7900000501")
    cards = {entry["value"]: entry["use"] for entry in patient["identifier"] if entry["system"] == systems.BHYT_CARD}
    assert cards == {"GD4797900000501": "old", "DN4797900000501": "official"}
    assert len(found(repository, "Coverage", beneficiary=f"Patient/{patient['id']}")) == 2
    assert counts(imported(repository, path)) == (2, 0, 0, 2, 0)


def test_a_card_replaced_later_keeps_both_periods(repository: Repository, tmp_path: Path) -> None:
    imported(repository, written(tmp_path, [AN]))
    new = ["DN4797900000501", *AN[1:4], "01/06/2026", *AN[5:]]
    assert counts(imported(repository, written(tmp_path, [new]))) == (1, 0, 1, 0, 0)
    (patient,) = found(repository, "Patient", identifier="GD4797900000501")
    cards = [entry for entry in patient["identifier"] if entry["system"] == systems.BHYT_CARD]
    assert [card["period"]["start"] for card in cards] == ["2026-01-01", "2026-06-01"]


def test_rejected_rows_are_listed_with_row_field_value_and_reason(repository: Repository, tmp_path: Path) -> None:
    path = written(
        tmp_path, [AN, ["", "=cmd|' /C calc'!A0", "=1+1", "", "", "", ""], ["GD4797900000501", "Đỗ Thị Mận", "1960"]]
    )
    rejected = tmp_path / "rejected.csv"
    assert counts(imported(repository, path, rejected_path=rejected)) == (3, 2, 0, 0, 1)
    with rejected.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    assert lines == [
        ["Dòng (row)", "Cột (field)", "Giá trị (value)", "Lý do", "Reason"],
        [
            "3",
            "Ngày sinh",
            "'=1+1",
            "Ngày sinh không đọc được; dùng ngày/tháng/năm, hoặc chỉ năm",
            "birth date not readable; write day/month/year, or the year alone",
        ],
        [
            "3",
            "Số thẻ BHYT",
            "",
            "Không có số thẻ BHYT, mã số BHXH hay CCCD nào để tìm lại người này",
            "no BHYT card, BHXH number or CCCD by which this person could be found again",
        ],
    ]
    assert rejected.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@a", "\tx"])
def test_a_cell_that_looks_like_a_formula_is_made_harmless(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"
    assert harmless("Lê A") == "Lê A"


def test_a_number_that_two_people_have_is_for_a_person_to_decide(repository: Repository, tmp_path: Path) -> None:
    imported(repository, written(tmp_path, [BINH]))
    (stored,) = found(repository, "Patient", identifier="7900000502")
    other = {key: value for key, value in stored.items() if key not in ("id", "meta")}
    repository.create(CTX, "Patient", other)
    changed = [*BINH[:5], "Phường Z", ""]
    assert counts(imported(repository, written(tmp_path, [AN, changed]))) == (2, 1, 0, 0, 1)


def test_a_row_with_somebody_elses_number_becomes_a_new_person_in_the_queue(
    repository: Repository, tmp_path: Path
) -> None:
    other = [AN[0], "Đỗ Thị Mận", "1960", "Nữ", *AN[4:]]
    for rows in ([AN], [AN, other], [AN, other]):
        imported(repository, written(tmp_path, rows))
    by_name = {each["name"][0]["text"]: each["id"] for each in found(repository, "Patient")}
    assert sorted(by_name) == ["Lê Văn An", "Đỗ Thị Mận"]
    (task,) = found(repository, "Task", code="possible-duplicate", status="requested")
    assert task["focus"]["reference"] == f"Patient/{by_name['Đỗ Thị Mận']}"
    assert task["for"]["reference"] == f"Patient/{by_name['Lê Văn An']}"
    assert [each["valueString"] for each in task["input"]] == [
        "cùng mã số BHXH; khác họ tên; khác ngày sinh; khác giới tính",
        "same BHXH number; another name; another birth date; another sex",
    ]
    assert repository.search(AccessContext.for_patient(by_name["Lê Văn An"], "card:1"), "Task", []).entries == []


def test_both_in_one_file_are_two_people_and_one_question(repository: Repository, tmp_path: Path) -> None:
    path = written(tmp_path, [AN, [AN[0], "Đỗ Thị Mận", "1960", "Nữ", *AN[4:]]])
    assert counts(imported(repository, path)) == (2, 2, 0, 0, 0)
    assert len(found(repository, "Task", code="possible-duplicate")) == 1
    assert counts(imported(repository, path)) == (2, 0, 0, 2, 0)


def test_a_roster_row_ends_the_temporary_number_of_whom_it_finds(repository: Repository, tmp_path: Path) -> None:
    before, row = today_here(), ["", *AN[1:6], "079090000501"]
    imported(repository, written(tmp_path, [row]))
    (stored,) = found(repository, "Patient", identifier="079090000501")
    temporary = {"use": "temp", "system": systems.TEMPORARY_NUMBER, "value": "VD-79001-20260101-0001"}
    stored["identifier"].append({**temporary, "period": {"start": "2026-01-01"}})
    repository.update(CTX, "Patient", stored["id"], stored)
    path = written(tmp_path, [[*AN[:6], "079090000501"]])
    for _ in range(2):
        imported(repository, path)
        (joined,) = found(repository, "Patient", identifier="VD-79001-20260101-0001")
        (ended,) = [each for each in joined["identifier"] if each["system"] == systems.TEMPORARY_NUMBER]
        assert (ended["use"], ended["period"]["start"]) == ("old", "2026-01-01")
        assert before <= ended["period"]["end"] <= today_here()
    assert joined["meta"]["versionId"] == "3"


def test_two_rows_of_a_file_without_a_common_number_are_two_people_and_one_question(
    repository: Repository, tmp_path: Path
) -> None:
    by_card = [*AN[:6], ""]
    by_identity = ["", *AN[1:6], "079090000501"]
    path = written(tmp_path, [by_card, BINH, by_identity])
    assert counts(imported(repository, path)) == (3, 3, 0, 0, 0)
    (task,) = found(repository, "Task", code="possible-duplicate")
    both = {each["id"] for each in found(repository, "Patient", name="an")}
    assert {task["focus"]["reference"], task["for"]["reference"]} == {f"Patient/{id}" for id in both}
    assert counts(imported(repository, path)) == (3, 0, 0, 3, 0)


@pytest.mark.parametrize("mistyped", ["GD4797900000591", "GD4799700000501", "GD479790000501"])
@pytest.mark.parametrize("at_once", [True, False], ids=["in one file", "in two files"])
def test_a_card_with_a_digit_mistyped_is_a_new_person_and_a_question(
    repository: Repository, tmp_path: Path, mistyped: str, at_once: bool
) -> None:
    other = [mistyped, *AN[1:]]
    for rows in [[AN, other]] if at_once else [[AN], [other]]:
        imported(repository, written(tmp_path, rows))
    assert len(found(repository, "Patient")) == 2
    assert len(found(repository, "Task", code="possible-duplicate")) == 1


def test_a_namesake_of_the_same_day_with_another_card_is_no_question(repository: Repository, tmp_path: Path) -> None:
    imported(repository, written(tmp_path, [AN, ["GD4797911111222", *AN[1:]], ["GD4797922222333", *AN[1:]]]))
    assert len(found(repository, "Patient")) == 3
    assert found(repository, "Task", code="possible-duplicate") == []


def test_rows_of_a_merged_person_reach_who_stands_for_it(repository: Repository, tmp_path: Path) -> None:
    old = ["GD4797900000777", *AN[1:]]
    imported(repository, written(tmp_path, [AN]))
    imported(repository, written(tmp_path, [old]))
    ids = {each["identifier"][0]["value"]: each["id"] for each in found(repository, "Patient")}
    repository.merging.merge(CTX, ids[old[0]], ids[AN[0]])
    assert counts(imported(repository, written(tmp_path, [old])))[1] == 0
    (entry,) = repository.search(CTX, "Coverage", [("identifier", old[0]), ("patient", ids[AN[0]])]).entries[:1]
    assert entry[1].type == "Coverage"


def test_where_one_person_cannot_be_written_the_others_of_the_batch_are(repository: Repository, tmp_path: Path) -> None:
    imported(repository, written(tmp_path, [AN]))
    layout = Layout.from_header(HEADER)
    rows = [map_row(layout, 2, [*AN[:5], "Phường C", ""]), map_row(layout, 3, BINH)]
    people, doubts = plan(repository, CTX, [row for row in rows if isinstance(row, RosterRow)])
    # Somebody else changes the first person between reading and writing.
    (stored,) = found(repository, "Patient", identifier="7900000501")
    repository.update(CTX, "Patient", stored["id"], {**stored, "maritalStatus": {"text": "Đã kết hôn"}})

    outcomes = list(write(repository, CTX, [(person, person.entries()) for person in people]))

    assert doubts == []
    assert [(person.rows[0].number, error and error.status) for person, error in outcomes] == [(2, 412), (3, None)]
    assert [patient["name"][0]["text"] for patient in found(repository, "Patient", address="Phường B")] == [
        "Trần Thị Bình"
    ]
    assert found(repository, "Patient", address="Phường C") == []


def test_progress_ends_at_the_whole_file(repository: Repository, tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []
    imported(repository, written(tmp_path, [AN, BINH]), progress=lambda done, share: seen.append((done, share)))
    assert seen == [(2, 1.0)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found_and_titles_above_the_header_are_passed_over(
    repository: Repository, tmp_path: Path, delimiter: str
) -> None:
    path = tmp_path / "roster.csv"
    lines = [delimiter.join(["DANH SÁCH", *[""] * 6]), delimiter.join(HEADER), delimiter.join(AN)]
    path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8-sig")
    assert counts(imported(repository, path)) == (1, 1, 0, 0, 0)


def test_a_lost_quote_spoils_its_row_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    lines = ["a,b", 'x,"lost'] + [f"{number},ok" for number in range(30)]
    path.write_text("\n".join(lines), encoding="utf-8")
    rows = list(read_rows(path))
    assert [row.cells for row in rows] == [["a", "b"], ["x", "lost"], *([str(number), "ok"] for number in range(30))]
    assert [row.line for row in rows] == list(range(1, 33))


def test_a_quoted_cell_may_hold_a_line_break(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_text('a,b\nx,"one\ntwo"\ny,z\n', encoding="utf-8")
    assert [(row.line, row.cells) for row in read_rows(path)] == [
        (1, ["a", "b"]),
        (2, ["x", "one\ntwo"]),
        (4, ["y", "z"]),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        ("Họ tên".encode("utf-16"), "header"),
        (b"PK\x03\x04\0", "cannot be read"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old kind"),
        (b"\0\0\1\2" * 100, "not text"),
        (b"a,b\n1,2\n", "header"),
    ],
)
def test_a_file_that_is_no_roster_is_refused(
    repository: Repository, tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes(content)
    with pytest.raises(UnreadableInput, match=reason):
        imported(repository, path)
