"""docs/security.md says what is so, and every demand on it is proved by a test that is there."""

from tests.access.page import PAGE, missing, written


def test_every_demand_is_proved_by_a_test_that_is_there():
    assert missing() == []


def test_the_page_is_up_to_date():
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(page), "run: python -m tests.access"
