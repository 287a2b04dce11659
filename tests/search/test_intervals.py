"""A date covers an interval; a number stands for what its digits leave open."""

from datetime import UTC, datetime

import pytest

from fhir_server.search.intervals import Interval, date_interval, milliseconds, number_interval, period_interval


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    return milliseconds(datetime(year, month, day, hour, minute, second, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2026", at(2025, 12, 31, 17), at(2026, 12, 31, 17)),
        ("2026-02", at(2026, 1, 31, 17), at(2026, 2, 28, 17)),
        ("2026-12", at(2026, 11, 30, 17), at(2026, 12, 31, 17)),
        ("2024-02-29", at(2024, 2, 28, 17), at(2024, 2, 29, 17)),
        ("2026-11-20T08:10", at(2026, 11, 20, 1, 10), at(2026, 11, 20, 1, 11)),
        ("2026-11-20T08:10:00+07:00", at(2026, 11, 20, 1, 10), at(2026, 11, 20, 1, 10, 1)),
        ("2026-11-20T08:10:00Z", at(2026, 11, 20, 8, 10), at(2026, 11, 20, 8, 10, 1)),
        ("2026-11-20T08:10:00.5-03:30", at(2026, 11, 20, 11, 40) + 500, at(2026, 11, 20, 11, 40) + 501),
        ("2016-12-31T23:59:60Z", at(2016, 12, 31, 23, 59, 59), at(2017, 1, 1)),
    ],
)
def test_a_date_covers_what_its_precision_leaves_open(text, low, high):
    assert date_interval(text) == Interval(low, high)


@pytest.mark.parametrize("text", ["2026-13", "2026-02-30", "26", "2026-1-1", "2026-11-20T25:00", "hôm qua", ""])
def test_what_is_no_calendar_date_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        date_interval(text)


def test_a_period_without_an_end_is_open():
    interval = period_interval({"start": "2026-01-01"})
    assert interval is not None
    assert interval.low == at(2025, 12, 31, 17)
    assert interval.high > at(9998, 1, 1)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("100", 99.5, 100.5), ("100.00", 99.995, 100.005), ("1e2", 50.0, 150.0), ("-5.4", -5.45, -5.35)],
)
def test_a_number_stands_for_the_interval_its_digits_leave_open(text, low, high):
    assert number_interval(text) == Interval(low, high)
