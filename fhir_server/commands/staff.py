"""Accounts of staff at the desk: made, listed, closed, and given passwords that no command line shows."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from fhir_server.access import staff
from fhir_server.access.passwords import AccountRefused
from fhir_server.commands.database import visiting_accounts
from fhir_server.commands.passwords import asked_password
from fhir_server.commands.recording import changing_account
from fhir_server.config import Config


def add(
    config: Config,
    name: str,
    roles: tuple[str, ...],
    facility: str | None,
    labels: tuple[str, ...],
    *,
    narrowed: bool,
    break_glass: bool,
) -> None:
    """Make an account with a password that is asked for. Raises CommandFailed."""
    password = asked_password()
    with changing_account(config, AccountRefused, "staff-added", name) as database:
        staff.add_account(
            database,
            name,
            password,
            roles=[*roles],
            facility=facility or "",
            labels=[*labels],
            narrowed=narrowed,
            break_glass=break_glass,
        )


def change_password(config: Config, name: str) -> None:
    """Give an account a password that is asked for, and end its sessions. Raises CommandFailed."""
    password = asked_password()
    with changing_account(config, AccountRefused, "staff-password", name) as database:
        staff.set_password(database, name, password)


def set_active(config: Config, name: str, active: bool) -> None:
    """Close an account and end its sessions, or open it again. Raises CommandFailed."""
    with changing_account(config, AccountRefused, "staff-opened" if active else "staff-closed", name) as database:
        staff.set_active(database, name, active)


def show(console: Console, config: Config) -> None:
    """Print every account."""
    table = Table("account", "roles", "facility", "labels", "limits", "state", box=None, pad_edge=False)
    with visiting_accounts(config, AccountRefused) as database:
        for each in staff.all_accounts(database):
            state = "active" if each.active else "closed"
            limits = [
                word
                for word, holds in (("narrowed", each.narrowed), ("may break the glass", each.break_glass))
                if holds
            ]
            table.add_row(
                each.id, ", ".join(each.roles), each.facility, ", ".join(each.labels), ", ".join(limits), state
            )
    console.print(table)
