"""Records that are read in the same question to MongoDB as something else, such as the token they are asked for with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..search.plan import Plan
from .records import SERVED

Document = dict[str, Any]


def record_stage(type: str, id: str) -> Document:
    """The stage that adds the live document of a record, as it is served, to whatever another collection is asked."""
    return {"$unionWith": {"coll": type, "pipeline": [{"$match": {"_id": id}}, {"$project": SERVED}]}}


def matches_stage(type: str, plan: Plan, limit: int) -> Document:
    """The stage that adds at most `limit` matches of a plan that begins at the beginning."""
    order = {key.field: key.direction for key in plan.keys}
    steps = [{"$match": plan.filter}, {"$sort": order}, {"$limit": limit}, {"$project": SERVED}]
    return {"$unionWith": {"coll": type, "pipeline": steps}}


def told_apart(found: Sequence[Document]) -> tuple[Sequence[Document], Sequence[Document]]:
    """(the documents that these stages added, what the stages behind them added): none of the latter has a text."""
    amount = next((number for number, each in enumerate(found) if "json" not in each), len(found))
    return found[:amount], found[amount:]
