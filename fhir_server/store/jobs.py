"""Work that outlives the request that asked for it: a queue in MongoDB that the worker processes share by leases.

A document of the collection `jobs`: `_id` an id that cannot be guessed, `kind` what the job is ("export"), `state`,
`actor` who asked, `order` what was asked, `progress` how far it is and from where it goes on, `result` what came of it
or `error` why nothing did, `created`, `ended`, and the lease: `until`, and `attempt`, which each claim counts up.

    queued -> running -> done | failed          claim, then finish or fail
    running -> running (another attempt)        claim, once the lease has run out: its worker died
    queued | running -> cancelled               cancel

Whoever has claimed a job renews the lease as it works. A worker whose lease was taken over, or whose job was cancelled,
learns so by LeaseLost at its next step: so each step, and what it writes, belong in one transaction (`session`), and
then nothing is done twice. Times are MongoDB's own ($$NOW): the clocks of the workers do not matter.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo import IndexModel, ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database

from .failures import speaking_plainly

Document = dict[str, Any]

LEASE_SECONDS: float = 60
ATTEMPTS = 5
"""A job that is taken up this often and whose worker dies each time is failed and not taken up again."""

UNFINISHED = ("queued", "running")
_WORN_OUT = "The job was taken up several times, and each time the process that worked on it ended."


class LeaseLost(Exception):
    """The job is another worker's by now, or was cancelled: stop, and keep nothing of the step. Not a FhirError."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when it was read."""

    id: str
    kind: str
    state: str
    actor: str
    order: Document
    progress: Document
    created: datetime
    attempt: int = 0
    result: Document = field(default_factory=dict)
    error: str = ""
    ended: datetime | None = None
    left: bool = False
    """Whether its worker is gone: told of those that `newest` lists."""


class Jobs:
    """The queue of one database. Thread-safe."""

    def __init__(self, database: Database[Document]) -> None:
        self._jobs = database["jobs"]
        self._jobs.create_indexes(
            [
                IndexModel([("kind", 1), ("state", 1), ("created", 1)]),
                IndexModel([("ended", 1)], partialFilterExpression={"ended": {"$exists": True}}),
            ]
        )

    # ---- those who ask ----------------------------------------------------------------------------------------------

    def submit(self, kind: str, actor: str, order: Document, *, progress: Document | None = None) -> Job:
        """Queue a job. `order` and `progress` are documents that MongoDB can hold."""
        job_id = secrets.token_hex(16)
        made = {
            "kind": kind,
            "state": "queued",
            "actor": actor,
            "order": order,
            "progress": progress or {},
            "attempt": 0,
        }
        set_created = [{"$set": {name: {"$literal": value} for name, value in made.items()} | {"created": "$$NOW"}}]
        with speaking_plainly():
            found = self._jobs.find_one_and_update(
                {"_id": job_id}, set_created, upsert=True, return_document=ReturnDocument.AFTER
            )
        assert found is not None
        return _job(found)

    def get(self, job_id: str, kind: str, actor: str) -> Job | None:
        """The job of this id, None when there is none of this kind that this actor asked for."""
        with speaking_plainly():
            found = self._jobs.find_one({"_id": job_id, "kind": kind, "actor": actor})
        return None if found is None else _job(found)

    def newest(self, family: str, skip: int, limit: int) -> list[Job]:
        """The jobs whose kind begins with the word `family`, the newest first."""
        is_left = {"$and": [{"$eq": ["$state", "running"]}, {"$lte": ["$until", "$$NOW"]}]}
        steps: list[Document] = [
            {"$match": {"kind": {"$gte": f"{family} ", "$lt": f"{family}!"}}},
            {"$sort": {"created": -1, "_id": 1}},
            {"$skip": skip},
            {"$limit": limit},
            {"$set": {"left": is_left}},
        ]
        with speaking_plainly():
            return [_job(each) for each in self._jobs.aggregate(steps)]

    def unfinished(self, kind: str, limit: int) -> int:
        """How many jobs of a kind are queued or running, counted up to `limit`."""
        with speaking_plainly():
            return self._jobs.count_documents({"kind": kind, "state": {"$in": list(UNFINISHED)}}, limit=limit)

    def cancel(self, job_id: str) -> bool:
        """End a queued or running job; its worker stops at its next step. False when it had ended."""
        return self._end({"_id": job_id, "state": {"$in": list(UNFINISHED)}}, {"state": "cancelled"})

    # ---- those who work ---------------------------------------------------------------------------------------------

    def claim(self, kinds: Iterable[str], *, lease_seconds: float = LEASE_SECONDS) -> Job | None:
        """The oldest job of these kinds that nobody works on, from now on this worker's; None when there is none."""
        wanted: Document = {"kind": {"$in": list(kinds)}}
        left = {**wanted, "state": "running", "$expr": {"$lte": ["$until", "$$NOW"]}}
        taken = [{"$set": {"state": "running", "until": _later(lease_seconds), "attempt": {"$add": ["$attempt", 1]}}}]
        self._end({**left, "attempt": {"$gte": ATTEMPTS}}, {"state": "failed", "error": _WORN_OUT}, several=True)
        with speaking_plainly():
            for free in (left, {**wanted, "state": "queued"}):
                found = self._jobs.find_one_and_update(
                    free, taken, sort=[("created", 1)], return_document=ReturnDocument.AFTER
                )
                if found is not None:
                    return _job(found)
        return None

    def renew(
        self,
        job: Job,
        progress: Document | None = None,
        *,
        lease_seconds: float = LEASE_SECONDS,
        session: ClientSession | None = None,
    ) -> None:
        """Keep the lease, and note how far the job is. Raises LeaseLost, which rolls back a transaction it is in."""
        change: Document = {"until": _later(lease_seconds)}
        if progress is not None:
            change["progress"] = {"$literal": progress}
        with speaking_plainly(session):
            renewed = self._jobs.update_one(_held(job), [{"$set": change}], session=session)
        if not renewed.matched_count:
            raise LeaseLost(job.id)

    def release(self, job: Job) -> None:
        """Give a job back to the queue, with its progress: this worker ends and the job does not."""
        with speaking_plainly():
            self._jobs.update_one(_held(job), {"$set": {"state": "queued"}, "$inc": {"attempt": -1}})

    def finish(self, job: Job, result: Document) -> None:
        """The job is done. Raises LeaseLost."""
        if not self._end(_held(job), {"state": "done", "result": result}):
            raise LeaseLost(job.id)

    def fail(self, job: Job, error: str) -> None:
        """The job cannot be done; `error` says why to whoever asked. Raises LeaseLost."""
        if not self._end(_held(job), {"state": "failed", "error": error}):
            raise LeaseLost(job.id)

    # ---- clearing up ------------------------------------------------------------------------------------------------

    def ended_before(self, kind: str, moment: datetime, limit: int) -> list[str]:
        """The ids of jobs of a kind that are done, failed or cancelled since before a moment, the oldest first."""
        with speaking_plainly():
            found = self._jobs.find({"ended": {"$lt": moment}, "kind": kind}, {"_id": 1})
            return [each["_id"] for each in found.sort([("ended", 1)]).limit(limit)]

    def remove(self, job_id: str) -> None:
        """Forget a job that has ended, after what it made has been removed."""
        with speaking_plainly():
            self._jobs.delete_one({"_id": job_id, "state": {"$nin": list(UNFINISHED)}})

    def _end(self, wanted: Document, change: Document, *, several: bool = False) -> bool:
        literal = {name: {"$literal": value} for name, value in change.items()}
        pipeline: list[Document] = [{"$set": {**literal, "ended": "$$NOW"}}, {"$unset": "until"}]
        update = self._jobs.update_many if several else self._jobs.update_one
        with speaking_plainly():
            return update(wanted, pipeline).matched_count > 0


def _held(job: Job) -> Document:
    """The job as long as it is in the hands of the worker that claimed it this time."""
    return {"_id": job.id, "state": "running", "attempt": job.attempt}


def _later(seconds: float) -> Document:
    return {"$add": ["$$NOW", int(seconds * 1000)]}


def _job(document: Document) -> Job:
    names = ("kind", "state", "actor", "order", "progress", "created", "attempt", "result", "error", "ended", "left")
    return Job(id=document["_id"], **{name: document[name] for name in names if name in document})
