"""Carrying out one request of the queue, whatever its kind: PROCESSORS has a row for each.

A processor may run again for a request that its dead predecessor had half done, so it must leave alone what is so
already. What it answers is told to the sender by the status calls.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from fhir_server.access.audit_border import recorded
from fhir_server.access.audit_spool import Spool
from fhir_server.access.context import AccessContext
from fhir_server.errors import FhirError, Unavailable
from fhir_server.intake import health_records, visits
from fhir_server.intake.gateway import queue, visit_states
from fhir_server.intake.gateway.admission import HEALTH_RECORD, VISIT
from fhir_server.intake.gateway.documents import GatewayRequest
from fhir_server.intake.gateway.replies import place
from mappings.problems import UnreadableInput

if TYPE_CHECKING:
    from fhir_server.repository import Repository

log = logging.getLogger(__name__)

ATTEMPTS = (
    5  # a request whose processing breaks so often is given up, so that it does not hold up the facility's others
)


class Finding(Protocol):
    """What is wrong or doubtful, and where. `row` counts from 1; 0 when it is about no single row."""

    @property
    def severity(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def row(self) -> int: ...
    @property
    def field(self) -> str: ...
    @property
    def message_vi(self) -> str: ...


class Outcome(Protocol):
    """What became of one visit or record: created, updated, unchanged or rejected."""

    @property
    def outcome(self) -> str: ...
    @property
    def errors(self) -> Sequence[Finding]: ...
    @property
    def warnings(self) -> Sequence[Finding]: ...


Processor = Callable[["Repository", AccessContext, GatewayRequest, bytes], Sequence[Outcome]]


def _receive_visits(
    repository: Repository, ctx: AccessContext, request: GatewayRequest, body: bytes
) -> Sequence[Outcome]:
    return visits.receive(repository, ctx, body)


def _receive_health_record(
    repository: Repository, ctx: AccessContext, request: GatewayRequest, body: bytes
) -> Sequence[Outcome]:
    return [health_records.receive(repository, ctx, body)]


def _cancel(repository: Repository, ctx: AccessContext, request: GatewayRequest, body: bytes) -> Sequence[Outcome]:
    order = request.order
    return [visits.cancel_visit(repository, ctx, request.facility, order["ma_lk"], order["reason"], request.request_id)]


def _restore(repository: Repository, ctx: AccessContext, request: GatewayRequest, body: bytes) -> Sequence[Outcome]:
    order = request.order
    return [
        visits.restore_visit(repository, ctx, request.facility, order["ma_lk"], order["reason"], request.request_id)
    ]


# A kind without a row is not received: its calls answer SERVICE_NOT_AVAILABLE.
PROCESSORS: dict[str, Processor] = {
    VISIT: _receive_visits,
    HEALTH_RECORD: _receive_health_record,
    "cancel": _cancel,
    "restore": _restore,
}

_STATUS = {"VALID": 200, "VALID_WITH_WARNING": 200, "INVALID": 422, "FAILED": 500}
COMPLETED = {
    "VALID": "Hợp lệ, đã lưu",
    "VALID_WITH_WARNING": "Hợp lệ và đã lưu, có cảnh báo",
    "INVALID": "Không hợp lệ, chưa lưu; xem errors",
    "FAILED": "Lỗi của hệ thống, chưa lưu; hãy gửi lại",
}


def carry_out(repository: Repository, request: GatewayRequest, worker: str, spool: Spool | None = None) -> bool:
    """Process one request to its end; False when it has to wait: the store, or the audit trail, cannot take it now."""
    begun = queue.begin(repository, request, worker)
    if begun is None:
        return True
    visit_states.show(repository, begun)  # its receiver may have died before it did
    visit_states.mark(repository, begun, "PROCESSING", begun.subjects)
    try:
        results = _recorded_results(repository, begun, spool)
    except Unavailable:
        return _wait(repository, begun, worker, counts=False)
    except Exception as error:
        # What was in the request may be personal: the log is told where it broke, not on what.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("gateway request %s broke: %s\n%s", begun.id, type(error).__qualname__, where)
        if begun.attempts < ATTEMPTS:
            return _wait(repository, begun, worker, counts=True)
        results = _given_up(begun)
    status = _worst(result["status"] for result in results)
    # Before the request is finished: whoever takes over after a crash comes through here again.
    for result in results:
        visit_states.settle(repository, begun, result)
    queue.finish(repository, begun, worker, status, COMPLETED[status], results)
    return True


def _wait(repository: Repository, request: GatewayRequest, worker: str, *, counts: bool) -> bool:
    queue.put_back(repository, request, worker, counts=counts)
    visit_states.mark(repository, request, "RECEIVED", request.subjects)
    return False


def _recorded_results(repository: Repository, request: GatewayRequest, spool: Spool | None) -> list[dict[str, Any]]:
    """The results, and in the audit trail which versions they wrote: the request that sent them was answered long ago."""
    sender = AccessContext(request.actor, facility=request.facility, request=request.id)
    with recorded(spool, sender, "submission", request.kind) as record:
        results = _results(repository, request)
        if record is not None:
            record.status = _STATUS[_worst(result["status"] for result in results)]
    return results


def _results(repository: Repository, request: GatewayRequest) -> list[dict[str, Any]]:
    if request.attempts > ATTEMPTS:
        return _given_up(request)
    ctx = AccessContext.unrestricted(request.actor)
    body = queue.body_of(repository, request)
    try:
        outcomes = PROCESSORS[request.kind](repository, ctx, request, body)
    except UnreadableInput as error:
        return [_failed(each, "INVALID", "invalid", error.reason_vi) for each in request.subjects]
    except Unavailable:
        raise
    except FhirError as error:
        return [_failed(each, "INVALID", error.code, str(error)) for each in request.subjects]
    return [_result(request, outcome) for outcome in outcomes]


def _result(request: GatewayRequest, outcome: Outcome) -> dict[str, Any]:
    known = {name: getattr(outcome, name, "") for name in ("facility", "ma_lk")}
    findings = [*outcome.errors, *outcome.warnings]
    status = "VALID_WITH_WARNING" if findings else "VALID"
    return {
        "facility": known["facility"] or request.facility,
        "ma_lk": known["ma_lk"],
        "outcome": outcome.outcome,
        "status": "INVALID" if outcome.outcome == "rejected" else status,
        "errors": [
            {
                "severity": found.severity,
                "code": found.code.upper(),
                "field_path": place(found.table, str(found.row) if found.row else "", found.field),
                "message": found.message_vi,
            }
            for found in findings
        ],
    }


def _given_up(request: GatewayRequest) -> list[dict[str, Any]]:
    message = "Hệ thống không xử lý được hồ sơ này; hãy gửi lại hoặc báo đơn vị vận hành"
    return [_failed(each, "FAILED", "system_error", message) for each in request.subjects]


def _failed(subject: dict[str, Any], status: str, code: str, message: str) -> dict[str, Any]:
    error = {"severity": "error", "code": code.upper(), "field_path": "", "message": message}
    return {
        "facility": subject.get("facility", ""),
        "ma_lk": subject.get("ma_lk", ""),
        "outcome": "rejected",
        "status": status,
        "errors": [error],
    }


def _worst(statuses: Iterable[str]) -> str:
    order = list(COMPLETED)
    return max(statuses, key=order.index, default="VALID")
