"""Facilities' accounts at the gateway: made, listed, closed, and given passwords that no command line shows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from fhir_server.access import gateway_accounts
from fhir_server.commands import CommandFailed
from fhir_server.commands.database import open_store, visiting_mongodb
from fhir_server.config import Config


def add(config: Config, username: str, unit_code: str, unit_name: str, facilities: tuple[str, ...]) -> None:
    """Make an account with a password that is asked for. Raises CommandFailed."""
    password = asked_password()
    with _accounts(config) as database:
        gateway_accounts.add_account(
            database,
            username,
            password,
            unit_code=unit_code,
            unit_name=unit_name,
            facilities=[*dict.fromkeys([unit_code, *facilities])],
        )


def change_password(config: Config, username: str) -> None:
    """Give an account a password that is asked for, and end its tokens. Raises CommandFailed."""
    password = asked_password()
    with _accounts(config) as database:
        gateway_accounts.set_password(database, username, password)


def set_active(config: Config, username: str, active: bool) -> None:
    """Close an account and end its tokens, or open it again. Raises CommandFailed."""
    with _accounts(config) as database:
        gateway_accounts.set_active(database, username, active)


def show(console: Console, config: Config) -> None:
    """Print every account."""
    table = Table("account", "unit", "name", "sends for", "state", box=None, pad_edge=False)
    with _accounts(config) as database:
        for each in gateway_accounts.all_accounts(database):
            state = "active" if each.active else "closed"
            table.add_row(each.id, each.unit_code, each.unit_name, ", ".join(each.facilities), state)
    console.print(table)


@contextmanager
def _accounts(config: Config) -> Iterator[Any]:
    try:
        with visiting_mongodb(config) as uri, closing(open_store(config, uri)) as store:
            yield store.database
    except gateway_accounts.AccountRefused as error:
        raise CommandFailed(str(error)) from error


def asked_password() -> str:
    """Asked for twice at a terminal; else the first line of the standard input."""
    if sys.stdin.isatty():
        asked: Callable[..., str] = click.prompt
        return asked("Password", hide_input=True, confirmation_prompt=True, err=True)
    return sys.stdin.readline().rstrip("\r\n")
