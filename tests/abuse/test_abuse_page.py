"""Every abuse case has one test, and docs/abuse.md lists them as they are."""

from tests.abuse.page import LAST, PAGE, cases, written


def test_every_case_has_exactly_one_test_that_says_what_it_shows() -> None:
    assert [each.number for each in cases()] == list(range(1, LAST + 1))
    assert all(each.said for each in cases())


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == written(), "run: python -m tests.abuse"
