"""The page about roster files is the one that the tables make."""

from __future__ import annotations

from mappings.roster_headers import ALIASES, field_of
from mappings.roster_page import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m mappings.roster_page"


def test_every_alias_leads_to_its_own_field() -> None:
    assert [alias for name, aliases in ALIASES.items() for alias in aliases.split() if field_of(alias) != name] == []
