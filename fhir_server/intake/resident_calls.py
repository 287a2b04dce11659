"""POST and GET /residents/v1/changes: the inbox of resident changes over HTTP. docs/mappings/resident-changes.md"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from fhir_server.intake import resident_inbox as inbox
from fhir_server.intake import residents
from fhir_server.intake.gateway.front import gateway_blueprint, reply
from fhir_server.intake.gateway.replies import Refusal, succeeded
from fhir_server.intake.senders import sender_of

if TYPE_CHECKING:
    from fhir_server.config import Config
    from fhir_server.repository import Repository

CHANGES = "/residents/v1/changes"
AT_ONCE = 500
LISTED = 200
STATUSES = {"invalid": 400, "conflict": 409, "waiting": 202, "refused": 422}


def create_blueprint(repository: Repository, config: Config) -> Blueprint:
    """The calls of registries and of the staff who look after what waits."""
    blueprint = gateway_blueprint("residents")
    inbox.ensure_indexes(repository)

    @blueprint.post(CHANGES)
    def receive() -> Response:
        sender = sender_of(repository, config)
        sent = request.get_json(force=True, silent=True)
        payloads: list[Any] = sent if isinstance(sent, list) else [sent]
        if not 0 < len(payloads) <= AT_ONCE or not all(isinstance(it, dict) for it in payloads):
            raise Refusal("INVALID_REQUEST", f"Cần một đối tượng JSON, hoặc danh sách tối đa {AT_ONCE} đối tượng")
        for payload in payloads:
            sender.check(str(payload.get("sender", "")))
        receipts = [residents.receive(repository, sender.context, payload) for payload in payloads]
        told = [dataclasses.asdict(receipt) for receipt in receipts]
        if isinstance(sent, list):
            return reply(succeeded({"items": told}))
        return reply(told[0], STATUSES.get(receipts[0].status, 200))

    @blueprint.get(CHANGES)
    def listed() -> Response:
        """What waits or was refused, oldest first."""
        sender = sender_of(repository, config)
        status = request.args.get("status", inbox.WAITING)
        found = inbox.messages(repository).filter(status=status)
        if sender.codes is not None:
            found = found.filter(sender__in=sorted(sender.codes))
        items = [_item(message) for message in found.order_by("received").limit(LISTED)]
        return reply(succeeded({"items": items, "total": found.count()}))

    return blueprint


def _item(message: inbox.ResidentMessage) -> dict[str, Any]:
    received = message.received.isoformat(timespec="seconds")
    possible = [f"Patient/{id}" for id in message.possible]
    about = {"status": message.status, "reason": message.reason, "received": received, "message": message.payload}
    return about | ({"possible": possible} if possible else {})
