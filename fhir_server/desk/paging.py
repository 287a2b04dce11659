"""Where the next page of a list begins: behind a signed position of the door's search, or at the next number of a list of ours.

https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.records import SearchPage

Pair = tuple[str, str]
MOST_PAGES = 10_000


def behind(query: Sequence[Pair], cursor: str) -> list[Pair]:
    """The search, from where `cursor_of` said on; from its beginning for "". Others' cursors are refused by the door."""
    return [*query, *([("_cursor", cursor)] if cursor else [])]


def cursor_of(page: SearchPage) -> str:
    """What the next page of a search is asked with; "" when there is none."""
    return dict(page.next or ()).get("_cursor", "")


def page_number(text: str) -> int:
    """The number of a page as it was asked for; 1 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= MOST_PAGES else 1


def numbered(found: Any, text: str, size: int) -> tuple[list[Any], int]:
    """(a page of administrative documents, the number of the next one or 0). `text` is the number as it was asked for."""
    number = page_number(text)
    rows = list(found.skip((number - 1) * size).limit(size + 1))
    return rows[:size], number + 1 if len(rows) > size else 0
