"""What commands read and write is in the audit trail as well, in the name of the command: `cli:import roster`.

A trail is kept where the settings say so, and where a server has begun one: whoever forgets a setting on the command
line must not go unseen. https://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fhir_server.access.audit_border import REFUSED, recorded
from fhir_server.access.audit_spool import Spool
from fhir_server.access.context import OPERATIONS, AccessContext
from fhir_server.commands import CommandFailed
from fhir_server.commands.database import repository_on, visiting_store
from fhir_server.config import Config
from fhir_server.errors import FhirError

if TYPE_CHECKING:
    from fhir_server.repository import Repository

MAX_NAME = 80

_log = logging.getLogger(__name__)


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
        with recorded(self.spool, self.caller, kind, name, failed=REFUSED) as record:
            if record is not None:
                record.address = f"Patient/{patient}" if patient else ""
            yield

    @contextmanager
    def job(self, kind: str, name: str = "", **details: str) -> Iterator[None]:
        """Something done to a great many: an event before it begins, and one with its counts when it is over."""
        with recorded(self.spool, self.caller, kind, name, failed=REFUSED) as begun:
            if begun is not None:
                begun.details = {"state": "begun"} | details
        with recorded(self.spool, self.caller, kind, name, failed=REFUSED) as record:
            if record is not None:
                record.bulk, record.details = True, dict(details)
            yield


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


@contextmanager
def changing_account(config: Config, refused: type[Exception], what: str, name: str) -> Iterator[Any]:
    """The database that accounts are kept in, for a change (`staff-added`) of the account with a name.

    Raises CommandFailed where its room refuses the change, which is in the trail as well.
    """
    try:
        with (
            recording(config, what) as at_work,
            recorded(at_work.spool, at_work.caller, "credential", what, failed=REFUSED) as record,
        ):
            if record is not None:
                record.details = {"account": name[:MAX_NAME]}
            yield at_work.repository.store.database
    except refused as error:
        raise CommandFailed(str(error)) from error


def _ship(repository: Repository, config: Config) -> None:
    """Bring what was recorded into MongoDB, unless a server that runs beside is at it. What fails waits in the spool."""
    from fhir_server.audit_shipping import AuditShipping

    try:
        repository.know_parameters()
        AuditShipping(repository.store, config.audit_spool, repository.base_url).ship()
    except (FhirError, OSError) as error:
        _log.warning("The audit trail waits in its spool: %s", error)
