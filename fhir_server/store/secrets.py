"""A secret that all processes of one server share: made once, kept in its database."""

from __future__ import annotations

import secrets
from typing import Any

from pymongo import ReturnDocument
from pymongo.database import Database


def shared_secret(database: Database[dict[str, Any]], name: str) -> bytes:
    """32 random bytes under a name; the same for everybody who asks."""
    made = {"$setOnInsert": {"secret": secrets.token_bytes(32)}}
    found = database["setup"].find_one_and_update(
        {"_id": name}, made, upsert=True, return_document=ReturnDocument.AFTER
    )
    assert found is not None
    return bytes(found["secret"])
