"""Puts the definitions of `profiles/` and the citizens' form among the records, to be read and searched like any other.

At every start but the first one small document is read, and nothing is written while the definitions are as they were;
what somebody has changed or deleted on the server since stays so. https://hl7.org/fhir/R4/http.html#upsert
"""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from typing import Any

from fhir_server.access.context import AccessContext
from fhir_server.citizen.questionnaire import questionnaire
from fhir_server.commands.database import open_store, repository_on
from fhir_server.config import Config
from fhir_server.store.connection import connect
from profiles import conformance_resources, fingerprint


def load_definitions(config: Config, uri: str) -> int:
    """Write those that differ from what the database has, and return how many. Raises MongoDBUnusable."""
    form = questionnaire()
    state = hashlib.sha256(f"{fingerprint()} {json.dumps(form, sort_keys=True)}".encode()).hexdigest()
    with closing(connect(uri)) as client:
        setup = client[config.database]["setup"]
        if setup.find_one({"_id": "definitions", "fingerprint": state}) is not None:
            return 0
        written = _write(config, uri, [*conformance_resources(), form])
        setup.replace_one({"_id": "definitions"}, {"fingerprint": state}, upsert=True)
    return written


def _write(config: Config, uri: str, resources: list[dict[str, Any]]) -> int:
    # Imported only when there is something to write: a start should not wait for it.
    from fhir_server.errors import Gone, NotFound
    from fhir_server.resource.exact import parse, same_content

    caller = AccessContext.unrestricted("definitions")
    written = 0
    with closing(open_store(config, uri)) as store:
        repository = repository_on(store, config)
        for resource in resources:
            kind, key = resource["resourceType"], resource["id"]
            try:
                stored = repository.read(caller, kind, key).json
            except (NotFound, Gone):
                stored = None
            if stored is None or not same_content(parse(stored), resource):
                repository.update(caller, kind, key, resource)
                written += 1
    return written
