"""What is read from the QR codes of cards; the people are invented."""

from __future__ import annotations

import pytest

from fhir_server.resource.validation import validate
from mappings import systems
from mappings.card_qr import read_qr
from mappings.identity import judge
from mappings.problems import UnreadableInput

NAME, HOME = "Nguyễn Thị Ánh Đào", "12 Lê Lợi, Phường Sài Gòn, Thành phố Hồ Chí Minh"
CCCD = f"079185000123|025123456|{NAME}|02091985|Nữ|{HOME}|10052021"
BHYT = (
    f"GD4797900000123|{NAME.encode().hex()}|02/09/1985|2|{HOME.encode().hex()}|79 - 001|01/01/2026|31/12/2026"
    "|15/12/2025|7900|-||01/01/2024"
)


def numbers(patient):
    return [(each["system"], each["value"], each["use"]) for each in patient["identifier"]]


def test_a_cccd_gives_a_patient_with_the_old_number_as_old() -> None:
    card = read_qr(CCCD + "|more|and more")
    assert numbers(card.patient) == [
        (systems.CCCD, "079185000123", "official"),
        (systems.CMND, "025123456", "old"),
    ]
    assert (card.patient["name"][0]["text"], card.patient["birthDate"]) == (NAME, "1985-09-02")
    assert (card.patient["gender"], card.patient["address"][0]["text"]) == ("female", HOME)
    assert (card.coverages, card.warnings) == ((), ())
    assert validate(card.patient)


@pytest.mark.parametrize(("born", "date"), [("02091985", "1985-09-02"), ("091985", "1985-09"), ("1985", "1985")])
def test_a_birth_date_has_eight_six_or_four_digits(born: str, date: str) -> None:
    assert read_qr(CCCD.replace("02091985", born)).patient["birthDate"] == date


def test_a_cccd_without_an_older_number() -> None:
    assert [each["value"] for each in read_qr(CCCD.replace("025123456", "")).patient["identifier"]] == ["079185000123"]


def test_a_bhyt_card_gives_a_patient_and_a_coverage() -> None:
    card = read_qr(BHYT)
    assert numbers(card.patient) == [
        (systems.BHYT_CARD, "GD4797900000123", "official"),
        (systems.BHXH_NUMBER, "7900000123", "official"),
    ]
    assert (card.patient["name"][0]["text"], card.patient["address"][0]["text"]) == (NAME, HOME)
    (coverage,) = card.coverages
    assert coverage["period"] == {"start": "2026-01-01", "end": "2026-12-31"}
    assert (coverage["network"], coverage["beneficiary"]) == ("79001", {"reference": card.full_url})
    assert coverage["extension"] == [{"url": systems.FIVE_YEAR_DATE, "valueDate": "2024-01-01"}]
    assert validate(card.patient)


def test_an_open_end_and_single_digit_days_are_read() -> None:
    card = read_qr(BHYT.replace("|31/12/2026|", "|-|").replace("02/09/1985", "2/9/1985"))
    assert (card.coverages[0]["period"], card.patient["birthDate"]) == ({"start": "2026-01-01"}, "1985-09-02")


def test_both_cards_of_one_person_may_be_one_person() -> None:
    assert judge(read_qr(CCCD).patient, read_qr(BHYT).patient).grade == "possible"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://example.test/",
        "079185000123",
        "079185000123|||02091985|Nữ",
        "079185000123||Lê A|99999999|Nam",
        BHYT.replace(NAME.encode().hex(), "ffffffffffff"),
        CCCD + "|" + "x" * 2000,
    ],
)
def test_what_is_no_card_is_refused_with_what_to_do(text: str) -> None:
    with pytest.raises(UnreadableInput, match="quét lại"):
        read_qr(text)
