"""The command line: `fhir-server`."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from fhir_server.commands import CommandFailed
from fhir_server.config import Config, ConfigError, documentation
from fhir_server.errors import FhirError
from fhir_server.store.connection import MongoDBUnusable
from mappings.problems import UnreadableInput

# What happens is told on the error stream, so that what a command yields can be piped on.
console = Console(stderr=True)

data_option = click.option(
    "--data", type=click.Path(path_type=Path), help="Directory of the embedded MongoDB [default: ./data]."
)


class Commands(click.Group):
    """A group whose commands end with one sentence, not a traceback, when something stands in their way."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ConfigError, MongoDBUnusable, CommandFailed, UnreadableInput, FhirError) as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vn-fhir-server")
def main() -> None:
    """A FHIR R4 server for the health record of a population.

    Settings are environment variables FHIR_*; `fhir-server config table` lists them.
    """


def _serving(command: Any) -> Any:
    """The options of the commands that serve."""
    options = [
        click.option("--host", help="Address to listen on [default: 127.0.0.1]."),
        click.option("--port", type=int, help="Port to listen on [default: 8080]."),
        data_option,
        click.option("--access", type=click.Choice(["open", "smart"]), help="Who may use the server [default: open]."),
        click.option("--workers", type=int, help="Processes that answer requests [default: 1]."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@main.command()
@_serving
def serve(**options: Any) -> None:
    """Serve FHIR at /fhir until Ctrl-C or SIGTERM."""
    from fhir_server.commands.definitions import load_definitions
    from fhir_server.commands.serve import serve as run

    config = Config.from_environment(os.environ, **options)
    run(config, prepare=lambda uri: load_definitions(config, uri), ready=lambda: _say_ready(config))


def _say_ready(config: Config) -> None:
    console.print(f"FHIR R4: http://{config.authority}/fhir  ·  http://{config.authority}/", markup=False)


@main.command()
@_serving
def demo(**options: Any) -> None:
    """Import invented people and their visits once, then serve them."""
    from fhir_server.commands.demo import Demo
    from fhir_server.commands.serve import serve as run

    config = Config.from_environment(os.environ, **options)
    demonstration = Demo(console, config)
    run(config, prepare=demonstration.prepare, ready=demonstration.ready)


@main.group("import")
def import_() -> None:
    """Import files, beside a running server or without one."""


@import_.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--rejected",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where rejected rows go [default: FILE.rejected.csv].",
)
@click.option(
    "--sex",
    type=click.Choice(["auto", "1-2-3", "1-0", "0-1"]),
    default="auto",
    help="Which digits stand for the sexes.",
)
@click.option(
    "--whole-of",
    metavar="PROVINCE|FACILITY",
    help="The file is the whole list of a province (2 digits) or facility (5): cards that are not in it are ended.",
)
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d", "%d/%m/%Y"]),
    help="Day of the list; vanished cards end the day before [default: the day the file was last changed].",
)
@click.option("--yes", is_flag=True, help="End vanished cards even if they are more than 5% of all.")
@data_option
def roster(
    file: Path,
    rejected: Path | None,
    sex: str,
    whole_of: str | None,
    as_of: datetime | None,
    yes: bool,
    data: Path | None,
) -> None:
    """Import rows of the health-insurance roster: CSV, XLSX or JSON lines, each perhaps gzipped.

    The same file again changes nothing. An import that was interrupted goes on where it was.
    """
    from fhir_server.commands.database import repository_on, visiting_store
    from fhir_server.commands.imports import import_roster, whole_list
    from mappings.person import SEX_CODINGS
    from mappings.roster import RosterSource

    config = Config.from_environment(os.environ, data=data)
    source = RosterSource(SEX_CODINGS[sex])
    whole = whole_list(file, whole_of, as_of, yes) if whole_of else None
    with visiting_store(config) as store:
        rejected = rejected or file.with_name(f"{file.name}.rejected.csv")
        refused = import_roster(console, repository_on(store, config), file, rejected, source=source, whole=whole)
    if refused:
        raise SystemExit(1)


@import_.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_option
def visits(files: tuple[Path, ...], data: Path | None) -> None:
    """Import clinic visits (GIAMDINHHS XML of QĐ 130). The same visit again changes nothing."""
    from fhir_server.commands.database import repository_on, visiting_store
    from fhir_server.commands.imports import import_visits

    config = Config.from_environment(os.environ, data=data)
    with visiting_store(config) as store:
        refused = import_visits(console, repository_on(store, config), files)
    if refused:
        raise SystemExit(1)


@import_.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_option
def residents(file: Path, data: Path | None) -> None:
    """Receive changes of residents (JSON lines: birth, death, move, correction). The same message again changes nothing."""
    from fhir_server.commands.database import repository_on, visiting_store
    from fhir_server.commands.imports import import_residents

    config = Config.from_environment(os.environ, data=data)
    with visiting_store(config) as store:
        refused = import_residents(console, repository_on(store, config), file)
    if refused:
        raise SystemExit(1)


@main.command("export-qd831")
@click.argument("patient")
@click.option("--sender", default="", help="Code of the facility that sends it (SENDER_CODE).")
@data_option
def export_qd831(patient: str, sender: str, data: Path | None) -> None:
    """Write the record of the Patient with this id to the standard output, as the XML of QĐ 831."""
    from fhir_server.commands.database import repository_on, visiting_store
    from fhir_server.commands.health_record import health_record

    config = Config.from_environment(os.environ, data=data)
    with visiting_store(config) as store:
        xml = health_record(repository_on(store, config), patient.removeprefix("Patient/"), sender)
    click.echo(xml, nl=False)


@main.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--type", "types", multiple=True, help="Only resources of this type; can be given again.")
@click.option("--since", help="Only what has changed after this instant, such as an earlier export's transactionTime.")
@click.option("--gzip", is_flag=True, help="Compress the files.")
@data_option
def export(directory: Path, types: tuple[str, ...], since: str | None, gzip: bool, data: Path | None) -> None:
    """Write all records into ndjson files in DIRECTORY, as they stand at one moment, beside a running server too."""
    from fhir_server.commands.database import repository_on, visiting_store
    from fhir_server.commands.export import export as run

    config = Config.from_environment(os.environ, data=data)
    with visiting_store(config) as store:
        run(console, repository_on(store, config), directory, types=types, since=since, gzip=gzip)


@main.group()
def cards() -> None:
    """The QR cards of citizens."""


@cards.command()
@click.option("--patient", "patients", multiple=True, help="A Patient by id; can be given again.")
@click.option("--household", help="A Patient by id: everybody with the same home address.")
@click.option("--ward", help="Everybody whose address is in the ward of this name.")
@click.option("--all", "everybody", is_flag=True, help="Everybody.")
@click.option("--pdf", type=click.Path(dir_okay=False, path_type=Path), help="Cards and PIN slips to print.")
@click.option("--png", type=click.Path(dir_okay=False, path_type=Path), help="The QR code of the first card.")
@click.option("--replace", is_flag=True, help="Lock the cards they had before.")
@data_option
def issue(
    patients: tuple[str, ...],
    household: str | None,
    ward: str | None,
    everybody: bool,
    pdf: Path | None,
    png: Path | None,
    replace: bool,
    data: Path | None,
) -> None:
    """Issue cards. Without --pdf the link, the code and the PIN of each are shown, this once."""
    from fhir_server.commands.cards import Wanted
    from fhir_server.commands.cards import issue as run

    config = Config.from_environment(os.environ, data=data)
    wanted = Wanted(patients, household, ward, everybody)
    issued = run(console, config, wanted, pdf=pdf, png=png, replace=replace)
    for card in issued if pdf is None else ():
        click.echo(f"{card.link}\n{card.code}\n{card.pin}")


@cards.command()
@click.argument("card")
@data_option
def revoke(card: str, data: Path | None) -> None:
    """Lock the card with this number for good; its sessions end."""
    from fhir_server.commands.cards import revoke as run

    run(Config.from_environment(os.environ, data=data), card)


@cards.command("reset-pin")
@click.argument("card")
@data_option
def reset_pin(card: str, data: Path | None) -> None:
    """Give the card with this number a new PIN, shown this once; it must be changed at the first use."""
    from fhir_server.commands.cards import reset_pin as run

    click.echo(run(Config.from_environment(os.environ, data=data), card))


@main.group()
def person() -> None:
    """People who are in no roster."""


@person.command("add")
@click.option("--facility", default="", help="Code of the facility (5 characters) that gives a temporary number.")
@click.option("--same-as", "same_as", default="", help="Id of the known person it is, when somebody may be meant.")
@click.option("--new", "is_new", is_flag=True, help="It is none of those who may be meant.")
@data_option
def add_person(facility: str, same_as: str, is_new: bool, data: Path | None) -> None:
    """Add the person on the standard input: a form as JSON, or the text of the QR code of a CCCD or BHYT card.

    Exits with 1 when it may be somebody known; then nothing is written.
    """
    from fhir_server.commands.person import add

    if same_as and is_new:
        raise click.UsageError("--same-as and --new exclude each other.")
    config = Config.from_environment(os.environ, data=data)
    if not add(config, facility=facility, same_as=same_as.removeprefix("Patient/"), is_new=is_new):
        raise SystemExit(1)


@main.group("gateway-account")
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


@main.group()
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
@data_option
def add_staff(
    name: str, roles: tuple[str, ...], facility: str | None, labels: tuple[str, ...], data: Path | None
) -> None:
    """Make an account."""
    from fhir_server.commands.staff import add

    add(Config.from_environment(os.environ, data=data), name, roles, facility, labels)


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


@main.group()
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


@main.group()
def audit() -> None:
    """The audit trail."""


@audit.command()
@click.option(
    "--anchors",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with anchors to compare with [default: audit/anchors in the data directory].",
)
@data_option
def verify(anchors: Path | None, data: Path | None) -> None:
    """Say whether every AuditEvent is as it was written, else where each chain is broken first. Exits with 1 then."""
    from fhir_server.commands.audit import verify as run

    if run(Console(), Config.from_environment(os.environ, data=data), anchors):
        raise SystemExit(1)


@main.group("config")
def config_() -> None:
    """The settings."""


@config_.command()
@data_option
def check(data: Path | None) -> None:
    """Show the settings in force and say whether the server could start with them."""
    from fhir_server.commands.check import check as run

    problems = run(Console(), Config.from_environment(os.environ, data=data))
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems:
        raise SystemExit(1)


@config_.command()
def table() -> None:
    """Print every setting as a Markdown table."""
    click.echo(documentation(), nl=False)


if __name__ == "__main__":
    main()
