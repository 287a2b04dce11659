"""How it stands with each visit: what the reconciliation list shows, kept up to date by senders and workers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mongoengine.errors import NotUniqueError

from fhir_server.intake.gateway.admission import VISIT, visit_key
from fhir_server.intake.gateway.documents import GatewayRequest, GatewayVisit, documents

if TYPE_CHECKING:
    from fhir_server.repository import Repository


def show(repository: Repository, request: GatewayRequest) -> None:
    """Have the visits of a request stand in the list, unless this or something newer already does."""
    if request.kind != VISIT:
        return
    for subject in request.subjects:
        key = visit_key(subject["facility"], subject["ma_lk"])
        shown = {f"set__{name}": value for name, value in subject.items() if value}
        older = documents(repository, GatewayVisit).filter(id=key, number__lt=request.number)
        try:
            older.modify(
                upsert=True,
                set__status="RECEIVED",
                set__latest_tracking_id=request.id,
                set__number=request.number,
                set__received=request.received,
                set_on_insert__is_cancelled=False,
                **shown,
            )
        except NotUniqueError:
            continue


def mark(repository: Repository, request: GatewayRequest, status: str, subjects: Iterable[dict[str, Any]]) -> None:
    """Say how it stands with what was sent for some visits, unless something newer was sent for them."""
    if request.kind != VISIT:
        return
    for subject in subjects:
        key = visit_key(subject["facility"], subject["ma_lk"])
        documents(repository, GatewayVisit).filter(id=key, number=request.number).update_one(set__status=status)


def settle(repository: Repository, request: GatewayRequest, result: dict[str, Any]) -> None:
    """Take up what came of a request for one visit; twice is the same as once."""
    mark(repository, request, result["status"], [result])
    visit = documents(repository, GatewayVisit).filter(id=visit_key(result["facility"], result["ma_lk"]))
    # Sending a visit again does not bring it back: a cancelled one is refused until it is restored.
    if request.kind in ("cancel", "restore") and result["outcome"] != "rejected":
        visit.update_one(set__is_cancelled=request.kind == "cancel")


def status_of(visit: GatewayVisit) -> str:
    """What the list calls its status: a cancelled visit is CANCELLED until something is sent for it again."""
    pending = visit.status in ("RECEIVED", "PROCESSING")
    return "CANCELLED" if visit.is_cancelled and not pending else visit.status
