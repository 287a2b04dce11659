"""How much one client and one address may ask for in a minute, over all workers.

The count is in MongoDB. A worker takes it in portions and spends these on its own, so that a request costs no write: the
sum of what is granted never exceeds the limit, and at most one portion a worker is left unused. Headers:
https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from mongoengine import DateTimeField, Document, IntField, StringField

from .documents import documents, hash_of

WINDOW = 60
PORTIONS = 50
"""A limit is taken in so many portions."""


class Spending(Document):
    """What one client or address has taken in one minute; MongoDB deletes it afterwards."""

    id = StringField(primary_key=True)
    taken = IntField(required=True, default=0)
    expires = DateTimeField()

    meta = {"collection": "smart_spending", "auto_create_index": False}


class Standing(NamedTuple):
    """How a caller stands after a request: `remaining` of `limit`, until `reset` seconds from now."""

    policy: str
    limit: int
    remaining: int
    reset: int
    exceeded: bool

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers that tell it."""
        told = [
            ("RateLimit-Policy", f'"{self.policy}";q={self.limit};w={WINDOW}'),
            ("RateLimit", f'"{self.policy}";r={self.remaining};t={self.reset}'),
        ]
        return [*told, ("Retry-After", str(self.reset))] if self.exceeded else told


@dataclass(slots=True)
class _Purse:
    """What this process holds for a caller in this minute, and what was left for all when it last asked."""

    own: int = 0
    shared: int = 0


@dataclass(slots=True)
class Limit:
    """One limit: so much weight a minute for each caller of a kind. Thread-safe."""

    database: Any
    policy: str
    weight: int
    clock: Callable[[], float] = time.time
    _purses: dict[str, _Purse] = field(default_factory=dict)
    _minute: int = -1
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spend(self, caller: str, weight: int) -> Standing:
        """Take `weight` for a caller; `exceeded` says that there is not enough left and nothing was taken."""
        at = self.clock()
        minute, weight = int(at) // WINDOW, min(weight, self.weight)
        with self._lock:
            if minute != self._minute:
                self._minute, self._purses = minute, {}
            purse = self._purses.get(caller)
            if purse is None:
                purse = self._purses[caller] = _Purse(shared=self.weight)
            if purse.own < weight and purse.shared > 0:
                self._fill(purse, caller, minute, max(weight - purse.own, self.weight // PORTIONS))
            exceeded = purse.own < weight
            if not exceeded:
                purse.own -= weight
            remaining = purse.own + purse.shared
        reset = max(1, math.ceil((minute + 1) * WINDOW - at))
        return Standing(self.policy, self.weight, 0 if exceeded else remaining, reset, exceeded)

    def _fill(self, purse: _Purse, caller: str, minute: int, asked: int) -> None:
        ends = datetime.fromtimestamp((minute + 2) * WINDOW, UTC)
        spending = documents(self.database, Spending).filter(id=hash_of(f"{self.policy}\n{caller}\n{minute}"))
        taken = spending.modify(upsert=True, new=True, inc__taken=asked, set__expires=ends).taken
        purse.own += max(0, min(asked, self.weight - (taken - asked)))
        purse.shared = max(0, self.weight - taken)


def ensure_indexes(database: Any) -> None:
    """MongoDB removes the counts of past minutes."""
    database[Spending._get_collection_name()].create_index("expires", expireAfterSeconds=0)
