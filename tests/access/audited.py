"""What the tests of the audit trail share: a server with a trail, and its events by what was asked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from fhir_server.app import create_app
from fhir_server.audit_shipping import ANCHORS, AuditShipping
from fhir_server.audit_verifying import Verified, verify
from fhir_server.config import Config
from fhir_server.repository import Repository
from fhir_server.resource.validation import validate
from fhir_server.store.records import Store

Json = dict[str, Any]


@dataclass
class Trail:
    """An application that keeps an audit trail in a directory of its own."""

    store: Store
    config: Config
    repository: Repository
    client: FlaskClient

    @classmethod
    def on(cls, store: Store, data: Path) -> Trail:
        """The trail of a server on a store."""
        config = Config.from_environment({"FHIR_AUDIT": "yes", "FHIR_DATA": str(data)})
        repository = Repository(store)
        return cls(store, config, repository, create_app(repository, config=config).test_client())

    @property
    def shipper(self) -> AuditShipping:
        """What ships the directory's records."""
        return AuditShipping(self.store, self.config.audit_spool, self.repository.base_url)

    def events(self) -> list[Json]:
        """All events so far, valid ones, in the order of the chain."""
        self.shipper.ship()
        found = [json.loads(each["json"]) for each in self.store.database["AuditEvent"].find().sort("_id")]
        for each in found:
            validate(each)
        return found

    def new_events(self) -> list[Json]:
        """The events since the last time they were asked for."""
        before = self.store.database["AuditEvent"].count_documents({})
        return self.events()[before:]

    def verified(self, *, anchored: bool = False) -> Verified:
        """What a verification says."""
        anchors = self.config.audit_spool / ANCHORS
        return verify(self.store, self.repository.base_url, anchors=anchors if anchored else None)


def said(event: Json) -> tuple[str, str, str, list[str]]:
    """(subtypes, action, outcome, what it names) of an event, in brief."""
    subtypes = " ".join(each["code"] for each in event["subtype"])
    named = [each["what"]["reference"] for each in event.get("entity", []) if "reference" in each.get("what", {})]
    return subtypes, event["action"], event["outcome"], named
