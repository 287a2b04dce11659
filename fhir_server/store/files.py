"""Files that a job makes, kept in MongoDB where every worker process can write and read them.

A document of the collection `files` is one chunk: `_id` owner/name/number and `data`, compressed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database

from .failures import speaking_plainly

Document = dict[str, Any]
_LEVEL = 1  # FHIR JSON shrinks to a seventh with it; higher levels cost several times the processor for a few percent


class Files:
    """The files of one database, each with an owner, the id of the job that made it."""

    def __init__(self, database: Database[Document]) -> None:
        self._chunks = database["files"]

    def add(self, owner: str, name: str, number: int, data: bytes, session: ClientSession | None = None) -> None:
        """Put a chunk of a file in its place, within a transaction if there is one. `data` compressed: at most 16 MB."""
        chunk = {"_id": _key(owner, name, number), "data": zlib.compress(data, _LEVEL)}
        with speaking_plainly(session):
            self._chunks.insert_one(chunk, session=session)

    def pieces(self, owner: str, name: str) -> Iterator[bytes]:
        """The content of a file in order, a chunk in memory at a time."""
        with speaking_plainly():
            # The size of a chunk is not bounded well: a reply of MongoDB with many of them would fill the memory.
            for chunk in self._chunks.find(_within(f"{owner}/{name}/"), batch_size=2).sort("_id"):
                yield zlib.decompress(chunk["data"])

    def remove(self, owner: str) -> None:
        """Remove every file of an owner."""
        with speaking_plainly():
            self._chunks.delete_many(_within(f"{owner}/"))


def _key(owner: str, name: str, number: int) -> str:
    return f"{owner}/{name}/{number:08d}"


def _within(beginning: str) -> Document:
    return {"_id": {"$gte": beginning, "$lt": beginning[:-1] + chr(ord("/") + 1)}}
