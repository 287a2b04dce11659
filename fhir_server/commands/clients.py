"""Clients of SMART on FHIR: registered, listed and disabled, beside a running server too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fhir_server.access import clients
from fhir_server.access.clients import Registration
from fhir_server.commands import CommandFailed
from fhir_server.commands.database import visiting_accounts
from fhir_server.commands.recording import changing_account
from fhir_server.config import Config


def add(config: Config, jwks: Path | None, **asked: Any) -> None:
    """Register a client, with the keys in a JWKS file if there is one. Raises CommandFailed."""
    registration = Registration(jwks=_read(jwks) if jwks is not None else None, **asked)
    with changing_account(config, clients.ClientRefused, "client-added", registration.id) as database:
        clients.register(database, registration)


def disable(config: Config, client_id: str) -> None:
    """Close a client and end its tokens. Raises CommandFailed."""
    with changing_account(config, clients.ClientRefused, "client-closed", client_id) as database:
        clients.disable(database, client_id)


def show(console: Console, config: Config) -> None:
    """Print every client."""
    table = Table("client", "name", "scopes", "facility", "state", box=None, pad_edge=False)
    with visiting_accounts(config, clients.ClientRefused) as database:
        for each in clients.all_clients(database):
            facility = f"{each.facility}{' only' if each.narrowed else ''}" if each.facility else ""
            table.add_row(each.id, each.name, " ".join(each.scopes), facility, "active" if each.active else "disabled")
    console.print(table)


def _read(jwks: Path) -> dict[str, Any]:
    try:
        found = json.loads(jwks.read_bytes())
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{jwks} cannot be read as JSON.") from error
    if not isinstance(found, dict):
        raise CommandFailed(f'{jwks} must hold a JWKS: {{"keys": [...]}}.')
    return found
