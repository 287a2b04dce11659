"""Facilities' accounts at the gateway: made, listed, closed, and given passwords that no command line shows."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from fhir_server.access import gateway_accounts
from fhir_server.commands.database import visiting_accounts
from fhir_server.commands.passwords import asked_password
from fhir_server.commands.recording import changing_account
from fhir_server.config import Config


def add(config: Config, username: str, unit_code: str, unit_name: str, facilities: tuple[str, ...]) -> None:
    """Make an account with a password that is asked for. Raises CommandFailed."""
    password = asked_password()
    with changing_account(config, gateway_accounts.AccountRefused, "gateway-account-added", username) as database:
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
    with changing_account(config, gateway_accounts.AccountRefused, "gateway-account-password", username) as database:
        gateway_accounts.set_password(database, username, password)


def set_active(config: Config, username: str, active: bool) -> None:
    """Close an account and end its tokens, or open it again. Raises CommandFailed."""
    with changing_account(
        config,
        gateway_accounts.AccountRefused,
        "gateway-account-opened" if active else "gateway-account-closed",
        username,
    ) as database:
        gateway_accounts.set_active(database, username, active)


def show(console: Console, config: Config) -> None:
    """Print every account."""
    table = Table("account", "unit", "name", "sends for", "state", box=None, pad_edge=False)
    with visiting_accounts(config, gateway_accounts.AccountRefused) as database:
        for each in gateway_accounts.all_accounts(database):
            state = "active" if each.active else "closed"
            table.add_row(each.id, each.unit_code, each.unit_name, ", ".join(each.facilities), state)
    console.print(table)
