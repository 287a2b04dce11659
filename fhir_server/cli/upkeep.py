"""`fhir-server audit …` and `fhir-server config …`: what an operator looks at."""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.console import Console

from fhir_server.cli.options import data_option
from fhir_server.config import Config, documentation


@click.group()
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


@click.group("config")
def config_() -> None:
    """The settings."""


@config_.command()
@data_option
def check(data: Path | None) -> None:
    """Show the settings in force and say whether the server could start with them."""
    from fhir_server.commands.check import check as run

    config = Config.from_environment(os.environ, data=data)
    problems = run(Console(), config)
    for caution in config.cautions():
        click.echo(f"Warning: {caution}", err=True)
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems:
        raise SystemExit(1)


@config_.command()
def table() -> None:
    """Print every setting as a Markdown table."""
    click.echo(documentation(), nl=False)
