"""POST /clinic/v1/visits: a small station's visit as JSON; sent again it replaces itself. docs/mappings/clinic-json.md"""

from __future__ import annotations

import dataclasses
import json
import uuid
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from fhir_server.intake.gateway.front import gateway_blueprint, reply
from fhir_server.intake.gateway.replies import Refusal
from fhir_server.intake.health_records import Incoming, store
from fhir_server.intake.senders import sender_of
from mappings.clinic_json import patient_of_visit, read_visit, record_of_visit, schema

if TYPE_CHECKING:
    from fhir_server.config import Config
    from fhir_server.repository import Repository

TOLD = ("Clinic JSON", "Lượt khám dạng JSON của trạm y tế")
STATUSES = {"created": 201, "rejected": 422}


def create_blueprint(repository: Repository, config: Config) -> Blueprint:
    """The calls of small stations."""
    blueprint = gateway_blueprint("clinic")

    @blueprint.get("/clinic/v1/schema")
    def form() -> Response:
        return reply(schema())

    @blueprint.post("/clinic/v1/visits")
    def receive() -> Response:
        sender = sender_of(repository, config)
        raw = request.get_data(cache=False)
        try:
            payload = json.loads(raw)
        except ValueError:
            raise Refusal("INVALID_REQUEST", "Nội dung không phải JSON / the body is not JSON") from None
        visit, errors = read_visit(payload)
        if visit is None:
            return reply({"outcome": "rejected", "errors": errors}, 400)
        sender.check(visit["facility"])
        record = record_of_visit(visit)
        described, remarks = patient_of_visit(record)
        # A visit's number names it within its facility, whoever it turns out to be about.
        key = uuid.uuid5(uuid.NAMESPACE_URL, f"clinic|{visit['visit']}").hex
        incoming = Incoming(record, described, key, raw, TOLD)
        outcome = store(repository, sender.context, incoming, remarks)
        return reply(dataclasses.asdict(outcome), STATUSES.get(outcome.outcome, 200))

    return blueprint
