"""A roster that is declared whole ends the cards it does not hold; a roster that is not never does."""

from __future__ import annotations

import csv
import datetime
from collections.abc import Sequence
from pathlib import Path

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.intake.roster import RosterSummary, import_roster
from fhir_server.intake.roster_whole import TooManyEnded, Whole
from fhir_server.repository import Repository
from fhir_server.resource import exact
from mappings.problems import UnreadableInput
from mappings.systems import BHYT_CARD

CTX = AccessContext.unrestricted("test")
HEADER = ["Số thẻ BHYT", "Họ và tên", "Ngày sinh", "Giới tính", "Từ ngày", "Đến ngày", "Nơi đăng ký KCB BĐ"]
AS_OF = datetime.date(2026, 7, 1)
AN = ["GD4797900000501", "Lê Văn An", "03/05/1990", "Nam", "01/01/2026", "31/12/2026", "79001"]
BINH = ["GD4797900000502", "Trần Thị Bình", "1975", "Nữ", "01/01/2026", "", "79001"]
CUC = ["GD4797900000503", "Phạm Thị Cúc", "1980", "Nữ", "01/01/2026", "31/12/2026", "79010"]
DUNG = ["GD4010100000504", "Võ Dũng", "1981", "Nam", "01/01/2026", "31/12/2026", "01001"]
EM = ["GD4797900000505", "Bùi Thị Em", "1982", "Nữ", "01/01/2026", "31/12/2026", ""]
GIANG = ["GD4797900000506", "Hồ Giang", "1983", "Nam", "01/08/2026", "31/12/2026", "79001"]
EVERYBODY = [AN, BINH, CUC, DUNG, EM, GIANG]


def imported(
    repository: Repository, folder: Path, rows: Sequence[Sequence[str]], whole: Whole | None = None
) -> RosterSummary:
    path = folder / "roster.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return import_roster(repository, CTX, path, whole=whole)


def periods(repository: Repository) -> dict[str, tuple[str, str]]:
    """The last digit of each card -> version and end."""
    page = repository.search(CTX, "Coverage", [])
    found = [exact.parse(stored.json or b"") for _, stored in page.entries]
    return {
        each["identifier"][0]["value"][-1]: (each["meta"]["versionId"], each["period"].get("end", "")) for each in found
    }


def card_ends(repository: Repository) -> dict[str, str]:
    """The last digit of each card -> its end as an identifier of its Patient."""
    page = repository.search(CTX, "Patient", [])
    found = [each for _, stored in page.entries for each in exact.parse(stored.json or b"")["identifier"]]
    return {each["value"][-1]: each["period"].get("end", "") for each in found if each["system"] == BHYT_CARD}


BEFORE = {number: ("1", "" if number == "2" else "2026-12-31") for number in "123456"}
ENDED = ("2", "2026-06-30")


def test_a_list_that_is_not_declared_whole_ends_nothing(repository: Repository, tmp_path: Path) -> None:
    imported(repository, tmp_path, EVERYBODY)
    assert imported(repository, tmp_path, [AN]).ended == 0
    assert periods(repository) == BEFORE


@pytest.mark.parametrize(
    ("of", "ended"),
    # A card without a facility is of the province on it; one that begins later has not vanished.
    [("79001", {"2"}), ("79", {"2", "3", "5"}), ("01", {"4"}), ("48", set())],
)
def test_vanished_cards_of_a_province_or_facility_are_ended_the_day_before(
    repository: Repository, tmp_path: Path, of: str, ended: set[str]
) -> None:
    imported(repository, tmp_path, EVERYBODY)
    listed = tmp_path / "ended.csv"
    whole = Whole(of, AS_OF, confirmed=True, listed=listed)
    assert imported(repository, tmp_path, [AN], whole).ended == len(ended)
    assert periods(repository) == {number: ENDED if number in ended else was for number, was in BEFORE.items()}
    ends = {number: ENDED[1] if number in ended else end for number, (_, end) in BEFORE.items()}
    assert card_ends(repository) == ends
    if ended:
        with listed.open(encoding="utf-8-sig", newline="") as file:
            assert {line[0][-1] for line in list(csv.reader(file))[1:]} == ended
        assert listed.stat().st_mode & 0o777 == 0o600
    # Again: nothing is left to end.
    assert imported(repository, tmp_path, [AN], whole).ended == 0
    assert periods(repository) == {number: ENDED if number in ended else was for number, was in BEFORE.items()}


def test_more_than_a_share_is_ended_only_when_somebody_says_yes(repository: Repository, tmp_path: Path) -> None:
    imported(repository, tmp_path, EVERYBODY)
    with pytest.raises(TooManyEnded, match=r"3 of the 4 cards of 79 .* --yes"):
        imported(repository, tmp_path, [AN], Whole("79", AS_OF))
    assert periods(repository) == BEFORE
    assert imported(repository, tmp_path, [AN], Whole("79", AS_OF, confirmed=True)).ended == 3


def test_a_card_in_a_row_that_is_rejected_has_not_vanished(repository: Repository, tmp_path: Path) -> None:
    imported(repository, tmp_path, EVERYBODY)
    nameless = [BINH[0], "", *BINH[2:]]
    done = imported(repository, tmp_path, [AN, nameless], Whole("79001", AS_OF))
    assert (done.rejected, done.ended) == (1, 0)


def test_a_card_that_comes_back_is_valid_again(repository: Repository, tmp_path: Path) -> None:
    imported(repository, tmp_path, EVERYBODY)
    imported(repository, tmp_path, [AN], Whole("79010", AS_OF, confirmed=True))
    assert periods(repository)["3"] == ENDED
    imported(repository, tmp_path, [CUC])
    assert periods(repository)["3"] == ("3", "2026-12-31")


@pytest.mark.parametrize("of", ["", "7", "790", "79-001", "Hà Nội"])
def test_a_whole_list_is_of_a_province_or_a_facility(of: str) -> None:
    with pytest.raises(UnreadableInput, match="province"):
        Whole(of, AS_OF)
