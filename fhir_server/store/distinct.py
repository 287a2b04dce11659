"""The different index entries that begin alike: read off the index, one seek for each, however many records have them."""

from __future__ import annotations

from typing import Any

from pymongo.collection import Collection

from .failures import speaking_plainly
from .pages import WORD_INDEX

Document = dict[str, Any]

_LAST = "\U0010ffff"


def distinct_tokens(collection: Collection[Document], beginning: str, limit: int, *, milliseconds: int) -> list[str]:
    """At most `limit` tokens, ascending, without their beginning."""
    found: list[str] = []
    low, high = beginning, beginning + _LAST
    with speaking_plainly():
        while len(found) < limit:
            within = {"x": {"$elemMatch": {"$gte": low, "$lt": high}}}
            document = collection.find_one(within, within | {"_id": 0}, hint=WORD_INDEX, max_time_ms=milliseconds)
            if document is None:
                break
            # The index gives the record with the least token in the range, and tokens of a record stand in order.
            token: str = document["x"][0]
            found.append(token.removeprefix(beginning))
            low = token + "\0"
    return found
