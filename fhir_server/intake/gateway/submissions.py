"""Taking requests into the queue: what is new, what is the same again, and what contradicts an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mongoengine.errors import NotUniqueError
from uuid_utils import uuid7

from fhir_server.access import audit_record
from fhir_server.access.gateway_accounts import GatewayAccount
from fhir_server.intake.gateway import queue, visit_states, worker
from fhir_server.intake.gateway.admission import Admitted, hash_of, visit_key
from fhir_server.intake.gateway.documents import GatewayRequest, GatewayVisit, documents, now
from fhir_server.intake.gateway.processing import PROCESSORS
from fhir_server.intake.gateway.replies import Refusal

if TYPE_CHECKING:
    from fhir_server.repository import Repository

UNSUCCESSFUL = ("INVALID", "FAILED")


def submit(repository: Repository, account: GatewayAccount, admitted: Admitted, body: bytes) -> tuple[str, str]:
    """Queue a body: (ACCEPTED..., tracking_id). Raises Refusal: REQUEST_ID_CONFLICT, SERVICE_NOT_AVAILABLE."""
    audit_record.asked("submission", name=admitted.kind)
    if admitted.kind not in PROCESSORS:
        raise Refusal("SERVICE_NOT_AVAILABLE")
    earlier = _same_request(repository, admitted) if admitted.request_id else _same_visits(repository, admitted)
    if earlier is not None:
        return "ACCEPTED_DUPLICATE", earlier.id
    request = _request(account, admitted.kind, admitted.facility, admitted.keys, admitted.content_hash)
    request.request_id = admitted.request_id
    request.subjects = admitted.subjects
    request.warnings = admitted.warnings
    try:
        queue.enqueue(repository, request, body)
    except NotUniqueError:
        earlier = _same_request(repository, admitted)
        assert earlier is not None
        return "ACCEPTED_DUPLICATE", earlier.id
    visit_states.show(repository, request)
    worker.tell()
    return ("ACCEPTED_WITH_WARNING" if admitted.warnings else "ACCEPTED"), request.id


def operate(
    repository: Repository, account: GatewayAccount, kind: str, facility: str, ma_lk: str, reason: str, request_id: str
) -> GatewayRequest:
    """Carry out "cancel" or "restore" at once, or give what came of it when this request_id was used before.

    Raises Refusal: NOT_FOUND for a visit that never came, REQUEST_ID_CONFLICT. The answer may not be finished yet.
    """
    audit_record.asked("submission", name=kind)
    key = visit_key(facility, ma_lk)
    if documents(repository, GatewayVisit).filter(id=key).first() is None:
        raise Refusal("NOT_FOUND")
    request = _request(account, kind, facility, [key], hash_of(f"{key}|{reason}".encode()))
    request.request_id = request_id
    request.order = {"ma_lk": ma_lk, "reason": reason}
    request.subjects = [{"facility": facility, "ma_lk": ma_lk}]
    try:
        queue.enqueue(repository, request, b"")
    except NotUniqueError:
        earlier = queue.find_request(repository, facility=facility, kind=kind, request_id=request_id)
        assert earlier is not None
        if earlier.content_hash != request.content_hash:
            raise Refusal("REQUEST_ID_CONFLICT") from None
        request = earlier
    return worker.finished(repository, request.id)


def _request(account: GatewayAccount, kind: str, facility: str, keys: list[str], content_hash: str) -> GatewayRequest:
    return GatewayRequest(
        id=str(uuid7()),
        kind=kind,
        actor=account.context.actor,
        facility=facility,
        keys=keys,
        content_hash=content_hash,
        status="RECEIVED",
        received=now(),
        events=[queue.event("RECEIVED", "RECEIVED", "Đã tiếp nhận, chờ xử lý")],
    )


def _same_request(repository: Repository, admitted: Admitted) -> GatewayRequest | None:
    earlier = queue.find_request(
        repository, facility=admitted.facility, kind=admitted.kind, request_id=admitted.request_id
    )
    if earlier is not None and earlier.content_hash != admitted.content_hash:
        raise Refusal("REQUEST_ID_CONFLICT")
    return earlier


def _same_visits(repository: Repository, admitted: Admitted) -> GatewayRequest | None:
    """The request that said the same about the same visits, when nothing has come for any of them since.

    One that was not successful is no reason to skip this one: what stood in its way may be gone.
    """
    latest = [queue.find_request(repository, keys=key) for key in admitted.keys]
    first = latest[0]
    if first is None or (first.kind, first.content_hash) != (admitted.kind, admitted.content_hash):
        return None
    if first.status in UNSUCCESSFUL or any(each is None or each.id != first.id for each in latest):
        return None
    return first
