"""The epoch: another one from the moment that something is taken away which callers were shown or allowed, so that the
processes of a server may remember for a while what they have read of it.

Three rules make it safe. Whoever takes something away begins another epoch in the same transaction. Whoever remembers reads
the epoch first and what is remembered afterwards, and believes that an epoch is still the present one for LEASE_SECONDS
from the moment they began to read it. And what was taken away is told as taken away only when that time is over for
everybody, WAIT_SECONDS after the transaction: from then on nobody acts on anything older. No process has to know of
another one. docs/decisions/0007-what-workers-remember.md
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from bson import ObjectId
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

LEASE_SECONDS = 0.1
WAIT_SECONDS = LEASE_SECONDS + 0.01  # clocks of two machines do not run at quite the same rate
_WANTED = {"_id": "access"}

Epoch = ObjectId | None
"""Never the same twice, also where the database was put back to how it was."""


class Epochs:
    """The epoch of one database. Thread-safe."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._collection = database["epochs"]
        self._begun: WeakSet[ClientSession] = WeakSet()
        self._seen: tuple[float, Epoch] = (float("-inf"), None)

    def present(self) -> Epoch:
        """The epoch as it was less than LEASE_SECONDS ago."""
        began, epoch = self._seen
        asked = time.monotonic()
        if asked - began < LEASE_SECONDS:
            return epoch
        found = self._collection.find_one(_WANTED)
        epoch = found["n"] if found else None
        self._seen = asked, epoch
        return epoch

    def begin_in(self, session: ClientSession) -> None:
        """Begin another epoch with the transaction of a session."""
        self._collection.update_one(_WANTED, {"$set": {"n": ObjectId()}}, upsert=True, session=session)
        self._begun.add(session)

    def began_in(self, session: ClientSession) -> bool:
        """Whether `begin_in` was called with the session: after its transaction one has to `wait`."""
        return session in self._begun

    @staticmethod
    def wait() -> None:
        """Wait until nobody believes an older epoch than that of a transaction which is over."""
        time.sleep(WAIT_SECONDS)


def take_away(database: Database[dict[str, Any]], work: Callable[[ClientSession], bool]) -> None:
    """Carry out, in a transaction of its own, what takes something away; when this returns nobody acts on it any more.

    `work` says whether it was anything that is remembered.
    """
    epochs = Epochs(database)

    def attempt(session: ClientSession) -> None:
        if work(session):
            epochs.begin_in(session)

    with database.client.start_session() as session:
        session.with_transaction(attempt, write_concern=WriteConcern("majority", j=True))
    if epochs.began_in(session):
        epochs.wait()
