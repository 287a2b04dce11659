"""Accounts of staff at the desk: made, listed, closed, and given passwords that no command line shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from fhir_server.access import staff
from fhir_server.access.passwords import AccountRefused
from fhir_server.commands import CommandFailed
from fhir_server.commands.database import open_store, visiting_mongodb
from fhir_server.commands.gateway_accounts import asked_password
from fhir_server.config import Config


def add(config: Config, name: str, roles: tuple[str, ...], facility: str | None, labels: tuple[str, ...]) -> None:
    """Make an account with a password that is asked for. Raises CommandFailed."""
    password = asked_password()
    with _accounts(config) as database:
        staff.add_account(database, name, password, roles=[*roles], facility=facility or "", labels=[*labels])


def change_password(config: Config, name: str) -> None:
    """Give an account a password that is asked for, and end its sessions. Raises CommandFailed."""
    password = asked_password()
    with _accounts(config) as database:
        staff.set_password(database, name, password)


def set_active(config: Config, name: str, active: bool) -> None:
    """Close an account and end its sessions, or open it again. Raises CommandFailed."""
    with _accounts(config) as database:
        staff.set_active(database, name, active)


def show(console: Console, config: Config) -> None:
    """Print every account."""
    table = Table("account", "roles", "facility", "labels", "state", box=None, pad_edge=False)
    with _accounts(config) as database:
        for each in staff.all_accounts(database):
            state = "active" if each.active else "closed"
            table.add_row(each.id, ", ".join(each.roles), each.facility, ", ".join(each.labels), state)
    console.print(table)


@contextmanager
def _accounts(config: Config) -> Iterator[Any]:
    try:
        with visiting_mongodb(config) as uri, closing(open_store(config, uri)) as store:
            yield store.database
    except AccountRefused as error:
        raise CommandFailed(str(error)) from error
