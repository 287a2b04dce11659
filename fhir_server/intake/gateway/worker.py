"""Works through the queue: in a thread of every serving process, and in a request's own where somebody waits."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from fhir_server.access.audit_spool import Spool
from fhir_server.intake.gateway import queue
from fhir_server.intake.gateway.documents import GatewayRequest
from fhir_server.intake.gateway.processing import carry_out

if TYPE_CHECKING:
    from fhir_server.repository import Repository

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
WAIT_SECONDS = 20.0
LOOK_AGAIN_SECONDS = 0.05

_something_came = threading.Event()


def start(repository: Repository, spool: Spool | None = None) -> threading.Thread:
    """Work through the queue from now on, in a thread that ends with the process. `spool` is that of the audit trail."""
    thread = threading.Thread(target=_work, args=(repository, spool), name="gateway", daemon=True)
    thread.start()
    return thread


def tell() -> None:
    """Have this process's worker look at the queue at once."""
    _something_came.set()


def work_through(repository: Repository, spool: Spool | None = None) -> None:
    """Carry out whatever waits, but for facilities that another worker is at."""
    for facility in queue.waiting_facilities(repository):
        with queue.lane(repository, facility) as worker:
            if worker is not None:
                _drain(repository, facility, worker, spool=spool)


def finished(repository: Repository, tracking_id: str, seconds: float = WAIT_SECONDS) -> GatewayRequest:
    """The request once it was carried out, by this thread unless another worker is at it; as it is after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        request = queue.find_request(repository, id=tracking_id)
        assert request is not None
        if request.finished or time.monotonic() > deadline:
            return request
        with queue.lane(repository, request.facility) as worker:
            if worker is not None:
                _drain(repository, request.facility, worker, until=tracking_id)
        if worker is None:
            time.sleep(LOOK_AGAIN_SECONDS)


def _work(repository: Repository, spool: Spool | None) -> None:
    while True:
        _something_came.clear()
        try:
            work_through(repository, spool)
        except Exception as error:
            # The next round tries again: the store may have been away. What was asked is not logged.
            log.warning("the gateway's worker could not work: %s", type(error).__qualname__)
            time.sleep(IDLE_SECONDS)
        _something_came.wait(IDLE_SECONDS)


def _drain(repository: Repository, facility: str, worker: str, until: str = "", spool: Spool | None = None) -> None:
    while request := queue.next_request(repository, facility):
        if not queue.is_held(repository, facility, worker) or not carry_out(repository, request, worker, spool):
            return
        if request.id == until:
            return
