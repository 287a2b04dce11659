"""`fhir-server gateway-account|staff|client …`: the accounts of facilities, of people at the desk, and of apps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from fhir_server.cli.options import data_option
from fhir_server.config import Config


@click.group("gateway-account")
def gateway_account() -> None:
    """The accounts of facilities that send by the provincial gateway's calls.

    A password is asked for, or read as the first line of the standard input.
    """


@gateway_account.command("add")
@click.argument("username")
@click.option("--unit-code", required=True, help="Code of the unit (MACSKCB).")
@click.option("--unit-name", required=True, help="Name of the unit.")
@click.option("--facility", "facilities", multiple=True, help="A further MACSKCB it may send for; can be repeated.")
@data_option
def add_gateway_account(
    username: str, unit_code: str, unit_name: str, facilities: tuple[str, ...], data: Path | None
) -> None:
    """Make an account."""
    from fhir_server.commands.gateway_accounts import add

    add(Config.from_environment(os.environ, data=data), username, unit_code, unit_name, facilities)


@gateway_account.command("password")
@click.argument("username")
@data_option
def change_gateway_password(username: str, data: Path | None) -> None:
    """Give an account another password; its tokens end."""
    from fhir_server.commands.gateway_accounts import change_password

    change_password(Config.from_environment(os.environ, data=data), username)


@gateway_account.command("disable")
@click.argument("username")
@data_option
def disable_gateway_account(username: str, data: Path | None) -> None:
    """Close an account; its tokens end."""
    from fhir_server.commands.gateway_accounts import set_active

    set_active(Config.from_environment(os.environ, data=data), username, False)


@gateway_account.command("enable")
@click.argument("username")
@data_option
def enable_gateway_account(username: str, data: Path | None) -> None:
    """Open a closed account again."""
    from fhir_server.commands.gateway_accounts import set_active

    set_active(Config.from_environment(os.environ, data=data), username, True)


@gateway_account.command("list")
@data_option
def list_gateway_accounts(data: Path | None) -> None:
    """Show every account, without passwords."""
    from fhir_server.commands.gateway_accounts import show

    show(Console(), Config.from_environment(os.environ, data=data))


@click.group()
def staff() -> None:
    """The accounts of staff at the desk (/desk/).

    A password is asked for, or read as the first line of the standard input.
    """


@staff.command("add")
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    help="registrar, clinician, auditor, integrator or admin; can be repeated.",
)
@click.option("--facility", help="Code of the facility (MACSKCB) it works for.")
@click.option("--label", "labels", multiple=True, help="A restricted security label it may see; can be repeated.")
@click.option("--narrowed", is_flag=True, help="A clinician who sees the facility's own patients only.")
@click.option("--break-glass", is_flag=True, help="A clinician who may see more in an emergency, with a reason.")
@data_option
def add_staff(
    name: str,
    roles: tuple[str, ...],
    facility: str | None,
    labels: tuple[str, ...],
    narrowed: bool,
    break_glass: bool,
    data: Path | None,
) -> None:
    """Make an account."""
    from fhir_server.commands.staff import add

    limits = {"narrowed": narrowed, "break_glass": break_glass}
    add(Config.from_environment(os.environ, data=data), name, roles, facility, labels, **limits)


@staff.command("password")
@click.argument("name")
@data_option
def change_staff_password(name: str, data: Path | None) -> None:
    """Give an account another password; its sessions end."""
    from fhir_server.commands.staff import change_password

    change_password(Config.from_environment(os.environ, data=data), name)


@staff.command("disable")
@click.argument("name")
@data_option
def disable_staff(name: str, data: Path | None) -> None:
    """Close an account; its sessions end."""
    from fhir_server.commands.staff import set_active

    set_active(Config.from_environment(os.environ, data=data), name, False)


@staff.command("enable")
@click.argument("name")
@data_option
def enable_staff(name: str, data: Path | None) -> None:
    """Open a closed account again."""
    from fhir_server.commands.staff import set_active

    set_active(Config.from_environment(os.environ, data=data), name, True)


@staff.command("list")
@data_option
def list_staff(data: Path | None) -> None:
    """Show every account, without passwords."""
    from fhir_server.commands.staff import show

    show(Console(), Config.from_environment(os.environ, data=data))


@click.group()
def client() -> None:
    """The clients of SMART on FHIR: systems of facilities (backend services) and apps."""


@client.command("add")
@click.argument("client_id")
@click.option("--name", required=True, help="What people see when they are asked to agree.")
@click.option(
    "--scope", "scopes", multiple=True, required=True, help="A scope it may have, such as system/*.rs; can be repeated."
)
@click.option("--jwks", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its public keys (JWKS).")
@click.option("--jwks-url", help="Where it publishes its public keys, by https.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Where an app is returned to; can be repeated.")
@click.option("--facility", help="Code of the facility (MACSKCB) it works for.")
@click.option("--narrowed", is_flag=True, help="Only the facility's own patients.")
@click.option("--label", "labels", multiple=True, help="A restricted security label it may see; can be repeated.")
@click.option(
    "--purpose", "purposes", multiple=True, default=("TREAT",), help="A purpose it may claim [default: TREAT]."
)
@click.option("--break-glass", is_flag=True, help="May see more in an emergency, with a reason.")
@click.option("--introspect", "introspects", is_flag=True, help="May ask about the tokens of every client.")
@data_option
def add_client(client_id: str, data: Path | None, **asked: Any) -> None:
    """Register a client."""
    from fhir_server.commands.clients import add

    add(Config.from_environment(os.environ, data=data), id=client_id, **asked)


@client.command("list")
@data_option
def list_clients(data: Path | None) -> None:
    """Show every client."""
    from fhir_server.commands.clients import show

    show(Console(), Config.from_environment(os.environ, data=data))


@client.command("disable")
@click.argument("client_id")
@data_option
def disable_client(client_id: str, data: Path | None) -> None:
    """Close a client; its tokens end at once."""
    from fhir_server.commands.clients import disable

    disable(Config.from_environment(os.environ, data=data), client_id)
