"""A server's own search parameters: SearchParameter resources that become searchable once the records are indexed.

https://hl7.org/fhir/R4/searchparameter.html. $reindex takes up the active ones, writes index entries for them with
every record from then on, goes through the records that are there, and only then lets them be searched; whatever could
be searched before can be searched all the while.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

from .errors import Conflict
from .records import now
from .resource.exact import parse
from .search.entries import document_fields
from .search.parameters import Parameter, added_parameter, install
from .search.sources import UnsupportedExpressionError
from .store.catalogue import StoredCatalogue, documents_behind, rewrite_search_fields
from .store.failures import is_closed
from .store.records import Document, Store

REFRESH_SECONDS = 2.0  # after so long every process of the server knows a change
BATCH = 500
KEPT = ("url", "code", "type", "base", "expression", "target")

_log = logging.getLogger(__name__)
_installed: tuple[str, int] = ("", 0)  # (database, generation) of what this process searches by


class ParameterCatalogue:
    """The added parameters of one store, as this process knows them."""

    def __init__(self, store: Store, base_url: str) -> None:
        self._store = store
        self._stored = StoredCatalogue(store.database)
        self._base_url = base_url
        self._read_at = float("-inf")

    def refresh(self, *, at_once: bool = False) -> None:
        """Take up what other processes have changed, at most every REFRESH_SECONDS."""
        global _installed
        here = self._store.database_name
        if not at_once and _installed[0] == here and time.monotonic() - self._read_at < REFRESH_SECONDS:
            return
        state = self._stored.read()
        self._read_at = time.monotonic()
        if _installed != (here, state["generation"]):
            install(_parameters(state["definitions"]))
            self._store.forget_collections()
            _installed = (here, state["generation"])

    def state(self) -> Document:
        """`state` (none, running, done, failed), `done` and `total` records, `problems`, `definitions`."""
        return self._stored.read()

    def reindex(self) -> Document:
        """Start indexing for the active SearchParameter resources. Raises Conflict while a run goes on."""
        known = {each["url"]: each for each in self._stored.read()["definitions"]}
        definitions, problems = [], []
        for document in self._store.currents("SearchParameter", {"x": "status|active"}, session=None):
            resource = parse(document["json"])
            definition = {name: resource[name] for name in KEPT if name in resource}
            same = {**definition, "ready": True} == known.get(definition["url"])
            try:
                added_parameter(definition, same)
            except UnsupportedExpressionError as error:
                problems.append(f"SearchParameter/{document['_id']}: {error}")
                continue
            definitions.append({**definition, "ready": same})
        types = sorted({base for each in definitions if not each["ready"] for base in each["base"]})
        total = sum(self._store.estimated_count(type) for type in types)
        state = self._stored.begin(definitions, problems, total, now())
        if state is None:
            raise Conflict("The records are being indexed already; ask again when that is done.")
        threading.Thread(target=self._run, args=(types, definitions), name="reindex", daemon=True).start()
        return state

    def _run(self, types: list[str], definitions: list[Document]) -> None:
        try:
            self.refresh(at_once=True)
            time.sleep(REFRESH_SECONDS * 1.5)  # until every process writes the new entries
            done = 0
            for type in types:
                done = self._rewrite(type, done)
            self._stored.end("done", [{**each, "ready": True} for each in definitions], now())
            self.refresh(at_once=True)
        except Exception as error:
            if is_closed(error):
                _log.info("indexing for added search parameters was left; it can be started again in two minutes")
                return
            # Whatever went wrong: the run is over, and says so where it is asked about.
            _log.exception("indexing for added search parameters failed")
            self._stored.end("failed", definitions, now())

    def _rewrite(self, type: str, done: int) -> int:
        for collection in self._store.collections(type):
            behind = ""
            while documents := documents_behind(collection, behind, BATCH):
                fields = [
                    (each["_id"], each["v"], document_fields(type, parse(each["json"]), self._base_url))
                    for each in documents
                ]
                rewrite_search_fields(collection, fields)
                behind = documents[-1]["_id"]
                done += len(documents)
                self._stored.advance(done, now())
        return done


def _parameters(definitions: Iterable[dict[str, Any]]) -> dict[str, dict[str, Parameter]]:
    found: dict[str, dict[str, Parameter]] = {}
    for definition in definitions:
        for type, parameter in added_parameter(definition, definition["ready"]).items():
            found.setdefault(type, {})[parameter.code] = parameter
    return found
