"""What commands read and write is in the audit trail as well, in the name of the command: `cli:import roster`.

A trail is kept where the settings say so, and where a server has begun one: whoever forgets a setting on the command
line must not go unseen. https://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fhir_server.access import audit_record
from fhir_server.access.audit_spool import Spool
from fhir_server.access.context import OPERATIONS, AccessContext
from fhir_server.commands.database import repository_on, visiting_store
from fhir_server.config import Config
from fhir_server.errors import FhirError

if TYPE_CHECKING:
    from fhir_server.repository import Repository

_log = logging.getLogger(__name__)
DONE, REFUSED = 200, 400


@dataclass(frozen=True, slots=True)
class Recording:
    """A command at work: the records, who does it, and the spool of the trail; None where none is kept."""

    repository: Repository
    caller: AccessContext
    spool: Spool | None

    @contextmanager
    def act(self, kind: str, name: str = "", *, patient: str = "") -> Iterator[None]:
        """Something done to the records of few people: an event for each of them, with the versions it touched.

        `kind` and `name` are a row of audit_events.KINDS and what it is a kind of, unless what is done says it better.
        """
        with self._recorded(kind, name) as record:
            if record is not None:
                record.address = f"Patient/{patient}" if patient else ""
            yield

    @contextmanager
    def job(self, kind: str, name: str = "", **details: str) -> Iterator[None]:
        """Something done to a great many: an event before it begins, and one with its counts when it is over."""
        with self._recorded(kind, name) as begun:
            if begun is not None:
                begun.details = {"state": "begun"} | details
        with self._recorded(kind, name) as record:
            if record is not None:
                record.bulk, record.details = True, dict(details)
            yield

    @contextmanager
    def _recorded(self, kind: str, name: str) -> Iterator[audit_record.Record | None]:
        if self.spool is None:
            yield None
            return
        self.spool.refuse_when_full()
        record, token = audit_record.begin()
        record.called_by(self.caller)
        record.kind, record.name, record.status = kind, name, REFUSED
        try:
            yield record
            record.status = DONE
        except FhirError as error:
            record.status = error.status
            audit_record.refused(error)
            raise
        finally:
            audit_record.end(token)
            self.spool.write(audit_record.to_line(record))


@contextmanager
def recording(config: Config, command: str) -> Iterator[Recording]:
    """The records for a command that comes and goes, and the trail of what it does. Raises MongoDBUnusable."""
    kept = config.audit or config.audit_spool.is_dir()
    caller = AccessContext(f"cli:{command}", purpose=OPERATIONS)
    with visiting_store(config) as store:
        at_work = Recording(repository_on(store, config), caller, Spool(config.audit_spool) if kept else None)
        try:
            yield at_work
        finally:
            if at_work.spool is not None:
                at_work.spool.close()
                _ship(at_work.repository, config)


def _ship(repository: Repository, config: Config) -> None:
    """Bring what was recorded into MongoDB, unless a server that runs beside is at it. What fails waits in the spool."""
    from fhir_server.audit_shipping import AuditShipping

    try:
        repository.know_parameters()
        AuditShipping(repository.store, config.audit_spool, repository.base_url).ship()
    except (FhirError, OSError) as error:
        _log.warning("The audit trail waits in its spool: %s", error)
