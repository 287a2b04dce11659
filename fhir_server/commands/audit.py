"""The audit trail from the command line: shipping what waits in the spool, and the proof that nothing was changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rich.console import Console

from fhir_server.commands.database import open_store, repository_on, visiting_store
from fhir_server.config import Config

STOP_SECONDS = 2.0  # what is not shipped by then waits in the spool for the next start


def verify(console: Console, config: Config, anchors: Path | None) -> int:
    """Ship what waits, read every chain, print what is broken, and return how many chains are. Raises MongoDBUnusable."""
    from fhir_server.audit_shipping import ANCHORS, AuditShipping
    from fhir_server.audit_verifying import verify as run

    with visiting_store(config) as store:
        repository = repository_on(store, config)
        repository.know_parameters()
        AuditShipping(store, config.audit_spool, repository.base_url).ship()
        with console.status("0 events") as status:
            found = run(
                store,
                repository.base_url,
                anchors=anchors or config.audit_spool / ANCHORS,
                progress=lambda read: status.update(f"{read:,} events"),
            )
    for each in found.broken:
        console.print(f"Broken: {each}", markup=False)
    whole = "" if found.broken else " Everything is as it was written."
    console.print(f"{found.events:,} events in {found.chains} chains were read.{whole}", markup=False)
    return len(found.broken)


@contextmanager
def shipping(config: Config) -> Iterator[None]:
    """Ship the audit trail in a thread of its own, and at the end what the last requests left. Nothing without one."""
    if not config.audit or config.mongodb_uri is None:
        yield
        return
    from fhir_server.audit_shipping import AuditShipping

    stop = threading.Event()
    with closing(open_store(config, config.mongodb_uri)) as store:
        shipper = AuditShipping(store, config.audit_spool, repository_on(store, config).base_url)
        thread = threading.Thread(target=shipper.keep_shipping, args=(stop,), name="audit", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(STOP_SECONDS)
