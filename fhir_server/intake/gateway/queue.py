"""The queue of accepted requests: stored before they are called accepted, carried out in order, by one worker for each
facility at a time.

A facility's lane is leased: whoever holds it renews the lease while it works, and when its process dies another one
takes the lane over and carries out again what was not finished. That changes nothing twice, since every processor
leaves alone what is so already.
"""

from __future__ import annotations

import secrets
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mongoengine.errors import NotUniqueError

from fhir_server.intake.gateway.documents import (
    GatewayBody,
    GatewayCounter,
    GatewayLane,
    GatewayRequest,
    documents,
    now,
)

if TYPE_CHECKING:
    from fhir_server.repository import Repository

LEASE = timedelta(seconds=15)
RENEWED_EVERY = 5.0
BODY_KEPT = timedelta(days=30)
WAITED_FOR = ("cancel", "restore")  # somebody waits for the answer, so these go first


def enqueue(repository: Repository, request: GatewayRequest, body: bytes) -> None:
    """Store a request durably. Raises NotUniqueError when its request_id is taken.

    The request is written last: without its body it would be nothing, and a body without request is removed later.
    """
    counter = documents(repository, GatewayCounter).filter(id="requests")
    request.number = counter.modify(upsert=True, new=True, inc__last=1).last
    if body:
        kept = GatewayBody(id=request.id, content=zlib.compress(body, 1), expires=now() + BODY_KEPT)
        documents(repository, GatewayBody).insert(kept, load_bulk=False)
    try:
        documents(repository, GatewayRequest).insert(request, load_bulk=False)
    except NotUniqueError:
        documents(repository, GatewayBody).filter(id=request.id).delete()
        raise
    # From now on it stays for as long as it waits.
    documents(repository, GatewayBody).filter(id=request.id).update_one(unset__expires=1)


def is_held(repository: Repository, facility: str, worker: str) -> bool:
    """Whether the lane is still this worker's."""
    return documents(repository, GatewayLane).filter(id=facility, worker=worker).first() is not None


def event(event_type: str, to_status: str, message: str) -> dict[str, Any]:
    """A line of a request's history."""
    return {"event_type": event_type, "to_status": to_status, "message": message, "at": now()}


def find_request(repository: Repository, **wanted: Any) -> GatewayRequest | None:
    """The newest request of this description."""
    return documents(repository, GatewayRequest).filter(**wanted).order_by("-number").first()


def waiting_facilities(repository: Repository) -> list[str]:
    """The facilities with requests that are not finished."""
    return sorted(documents(repository, GatewayRequest).filter(finished=False).distinct("facility"))


def next_request(repository: Repository, facility: str) -> GatewayRequest | None:
    """The request to carry out next: what somebody waits for and what it depends on, else the oldest."""
    waiting = documents(repository, GatewayRequest).filter(finished=False, facility=facility).order_by("number")
    request = waiting.filter(kind__in=WAITED_FOR).first() or waiting.first()
    while request is not None:
        earlier = waiting.filter(keys__in=request.keys, number__lt=request.number).first()
        if earlier is None:
            return request
        request = earlier
    return None


def body_of(repository: Repository, request: GatewayRequest) -> bytes:
    """The bytes that came with a request."""
    kept = documents(repository, GatewayBody).filter(id=request.id).first()
    return zlib.decompress(kept.content) if kept is not None else b""


def begin(repository: Repository, request: GatewayRequest, worker: str) -> GatewayRequest | None:
    """Mark a request as being processed; None when another worker has finished it meanwhile."""
    waiting = documents(repository, GatewayRequest).filter(id=request.id, finished=False)
    change = {"inc__attempts": 1, "set__worker": worker, "set__status": "PROCESSING"}
    # Its history tells of the first attempt only: a store that is away for an hour would fill it.
    if len(request.events) == 1:
        change["push__events"] = event("PROCESSING", "PROCESSING", "Bắt đầu xử lý")
    return waiting.modify(new=True, **change)


def put_back(repository: Repository, request: GatewayRequest, worker: str, *, counts: bool) -> None:
    """Have a request wait again; `counts` when it broke, and not just found the store unavailable."""
    held = documents(repository, GatewayRequest).filter(id=request.id, worker=worker, finished=False)
    held.update_one(set__status="RECEIVED", inc__attempts=0 if counts else -1)


def finish(
    repository: Repository, request: GatewayRequest, worker: str, status: str, message: str, results: list[Any]
) -> bool:
    """Write down what came of a request; False when it is no longer this worker's."""
    held = documents(repository, GatewayRequest).filter(id=request.id, worker=worker, finished=False)
    done = held.update_one(
        set__status=status,
        set__results=results,
        set__finished=True,
        set__completed=now(),
        push__events=event("COMPLETED", status, message),
    )
    documents(repository, GatewayBody).filter(id=request.id).update_one(set__expires=now() + BODY_KEPT)
    return bool(done)


@contextmanager
def lane(repository: Repository, facility: str) -> Iterator[str | None]:
    """The facility's lane, for as long as the block lasts: the name of this worker, or None when another has it."""
    worker = secrets.token_hex(8)
    if not _take(repository, facility, worker):
        yield None
        return
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(repository, facility, worker, ended), daemon=True)
    renewing.start()
    try:
        yield worker
    finally:
        ended.set()
        renewing.join()
        documents(repository, GatewayLane).filter(id=facility, worker=worker).delete()


def _take(repository: Repository, facility: str, worker: str) -> bool:
    moment = now()
    free = documents(repository, GatewayLane).filter(id=facility, until__lte=moment)
    try:
        free.modify(upsert=True, set__worker=worker, set__until=moment + LEASE)
    except NotUniqueError:
        return False
    return True


def _renew(repository: Repository, facility: str, worker: str, ended: threading.Event) -> None:
    while not ended.wait(RENEWED_EVERY):
        documents(repository, GatewayLane).filter(id=facility, worker=worker).update_one(set__until=now() + LEASE)
