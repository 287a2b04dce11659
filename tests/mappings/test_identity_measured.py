"""Matching measured on 2,000 accounts of invented people, with exact counts: what changes them is to be seen."""

from __future__ import annotations

from bench.identity import measure, report


def test_duplicates_are_joined_or_queued_and_nobody_is_joined_wrongly() -> None:
    found = measure(2000)
    assert (found.accounts, found.duplicates) == (2000, 569)
    assert (found.joined, found.joined_rightly) == (321, 321)
    assert (found.queued, found.queued_rightly) == (264, 247)
    assert dict(found.missed) == {"no CCCD": 1}
    assert found.most_candidates == 8


def test_the_page_tells_precision_and_recall() -> None:
    page = report(measure(500), measure(500, keyed=False))
    assert "| precision | 1.00000 |" in page
