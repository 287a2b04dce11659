"""Which rows of a file are told to be about one person, and the cells that exports write in their own ways."""

from __future__ import annotations

import pytest

from mappings.dates import parse_date
from mappings.names import clean
from mappings.roster import Layout, names_of

LAYOUT = Layout.from_header(["Số thẻ BHYT", "Mã số BHXH", "Họ và tên", "Ngày sinh", "Số CCCD", "CMND cũ"])


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["GD4 79 7900000123", "", "A", "", "", ""], {"GD4797900000123", "7900000123"}),
        (["", "7900000123", "A", "", "079185000123", ""], {"7900000123", "79185000123"}),
        (["", "0100000123", "A", "", "79185000123", "023456789"], {"100000123", "79185000123", "23456789"}),
        (["gd4797900000123"], {"GD4797900000123", "7900000123"}),
        (["", "", "A", "1990", "", ""], set()),
        (["000", "", "A", "1990", "", ""], {"000"}),
    ],
)
def test_a_row_is_named_by_each_of_its_numbers(cells: list[str], names: set[str]) -> None:
    assert names_of(LAYOUT, cells) == names


@pytest.mark.parametrize(
    ("text", "value"),
    [("03/05/1990 00:00:00", "1990-05-03"), ("3-5-1990 7:30", "1990-05-03"), ("1990-05-03T00:00:00.000", "1990-05-03")],
)
def test_a_time_behind_a_date_is_passed_over(text: str, value: str) -> None:
    found = parse_date(text)
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Nguyễn Thị Ánh", "Nguyễn Thị Ánh"),
        (" a", "a"),
        ("a  b", "a b"),
        ("a\u00a0b", "a b"),
        ("a\u200bb", "ab"),
        ("a\tb\n", "a b"),
        ("e\u0302\u0303", "ễ"),
        ("a\u00adb", "ab"),
        ("", ""),
    ],
)
def test_a_text_is_cleaned_whether_or_not_it_needs_it(text: str, expected: str) -> None:
    assert clean(text) == expected
