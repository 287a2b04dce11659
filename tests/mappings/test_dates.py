"""Dates in the forms rosters and visits use."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.dates import PartialDate, agree, parse_date, parse_timestamp

DAYS = st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 12, 31))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("02/09/1985", "1985-09-02"),
        ("5/7/1990", "1990-07-05"),
        ("05-07-1990", "1990-07-05"),
        ("1990-07-05", "1990-07-05"),
        ("1990-07-05 00:00:00", "1990-07-05"),
        ("19900705", "1990-07-05"),
        ("198509020000", "1985-09-02"),
        ("1950", "1950"),
        ("00/00/1962", "1962"),
        ("19620000", "1962"),
        ("196200000000", "1962"),
        ("00/05/1962", "1962-05"),
        ("05/1962", "1962-05"),
        (" 02 / 09 / 1985 ".replace(" / ", "/"), "1985-09-02"),
    ],
)
def test_a_date_keeps_the_precision_that_is_known(text: str, expected: str) -> None:
    assert parse_date(text) == PartialDate(expected)


def test_the_first_of_january_is_marked_as_doubtful() -> None:
    assert parse_date("01/01/1950") == PartialDate("1950-01-01", doubtful=True)


@pytest.mark.parametrize(
    "text",
    ["", "31/02/1990", "29/02/2023", "12/25/1985", "02091985", "85", "02/09/85", "00/00/0000", "05/00/1962", "hôm qua"],
)
def test_what_is_no_date_is_not_guessed(text: str) -> None:
    assert parse_date(text) is None


@given(
    DAYS, st.sampled_from(["{d:02}/{m:02}/{y}", "{d}/{m}/{y}", "{y}{m:02}{d:02}", "{y}{m:02}{d:02}0000", "{y}-{m}-{d}"])
)
def test_every_form_of_a_day_gives_the_same_day(day: datetime.date, form: str) -> None:
    parsed = parse_date(form.format(d=day.day, m=day.month, y=day.year))
    assert parsed is not None
    assert parsed.value == day.isoformat()


@given(st.text(max_size=20))
def test_any_text_gives_a_fhir_date_or_none(text: str) -> None:
    parsed = parse_date(text)
    if parsed is not None:
        known = [int(part) for part in parsed.value.split("-")]
        datetime.date(*[*known, 1, 1][:3])


def test_a_timestamp_is_in_vietnamese_time() -> None:
    assert parse_timestamp("202611200810") == "2026-11-20T08:10:00+07:00"
    assert parse_timestamp("20261120") == "2026-11-20"


@pytest.mark.parametrize("text", ["", "202613010000", "202611202460", "20261120 08:10", "20260000"])
def test_an_impossible_timestamp_is_none(text: str) -> None:
    assert parse_timestamp(text) is None


def test_dates_agree_as_far_as_both_are_known() -> None:
    assert agree("1962", "1962-05-03")
    assert not agree("1962-05", "1962-06-03")
    assert not agree("", "1962")
