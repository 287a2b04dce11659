"""docs/conformance.md is what the code says, and everything on it is proved."""

from tests.conformance.page import PAGE, problems_of, written


def test_everything_the_server_offers_is_proved_by_a_test_that_is_there():
    assert problems_of() == []


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == written(), "run: python -m tests.conformance"
