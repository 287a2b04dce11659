"""A record that is read in the same question to MongoDB as something else, such as the token that it is asked for with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .records import SERVED

Document = dict[str, Any]


def record_stage(type: str, id: str) -> Document:
    """The stage that adds the live document of a record, as it is served, to whatever another collection is asked."""
    return {"$unionWith": {"coll": type, "pipeline": [{"$match": {"_id": id}}, {"$project": SERVED}]}}


def told_apart(found: Sequence[Document]) -> tuple[Document | None, Sequence[Document]]:
    """(the document that `record_stage` added, or None; what the stages behind it added): none of these has a text."""
    return (found[0], found[1:]) if found and "json" in found[0] else (None, found)
