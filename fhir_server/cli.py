"""The command line: `fhir-server`."""

from __future__ import annotations

import os
from contextlib import closing
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
    from fhir_server.commands.serve import serve as run

    config = Config.from_environment(os.environ, **options)
    run(config, prepare=lambda uri: None, ready=lambda: _say_ready(config))


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
@data_option
def roster(file: Path, rejected: Path | None, data: Path | None) -> None:
    """Import rows of the health-insurance roster (CSV). The same file again changes nothing."""
    from fhir_server.commands.database import open_store, repository_on, visiting_mongodb
    from fhir_server.commands.imports import import_roster

    config = Config.from_environment(os.environ, data=data)
    with visiting_mongodb(config) as uri, closing(open_store(config, uri)) as store:
        rejected = rejected or file.with_name(f"{file.name}.rejected.csv")
        refused = import_roster(console, repository_on(store, config), file, rejected)
    if refused:
        raise SystemExit(1)


@import_.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_option
def visits(files: tuple[Path, ...], data: Path | None) -> None:
    """Import clinic visits (GIAMDINHHS XML of QĐ 130). The same visit again changes nothing."""
    from fhir_server.commands.database import open_store, repository_on, visiting_mongodb
    from fhir_server.commands.imports import import_visits

    config = Config.from_environment(os.environ, data=data)
    with visiting_mongodb(config) as uri, closing(open_store(config, uri)) as store:
        refused = import_visits(console, repository_on(store, config), files)
    if refused:
        raise SystemExit(1)


@main.group()
def card() -> None:
    """The QR cards of citizens."""


@card.command()
@click.argument("patient")
@click.option(
    "--png", type=click.Path(dir_okay=False, path_type=Path), help="Also write the QR code to this picture file."
)
@data_option
def issue(patient: str, png: Path | None, data: Path | None) -> None:
    """Issue a card for the Patient with this id; its link is shown this once."""
    from fhir_server.access.context import AccessContext
    from fhir_server.citizen.cards import issue_card
    from fhir_server.commands.database import open_store, repository_on, visiting_mongodb

    config = Config.from_environment(os.environ, data=data)
    with visiting_mongodb(config) as uri, closing(open_store(config, uri)) as store:
        caller = AccessContext.unrestricted("command line")
        issued = issue_card(
            repository_on(store, config), caller, patient.removeprefix("Patient/"), public_url=config.public_url
        )
    if png is not None:
        descriptor = os.open(png, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # the picture opens the record
        with os.fdopen(descriptor, "wb") as picture:
            picture.write(issued.qr_png())
    click.echo(issued.link)
    click.echo(issued.code)


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
