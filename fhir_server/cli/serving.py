"""The commands that serve, until they are told to end."""

from __future__ import annotations

import os
from typing import Any

import click

from fhir_server.cli.options import console, data_option
from fhir_server.config import Config


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


@click.command()
@_serving
def serve(**options: Any) -> None:
    """Serve FHIR at /fhir until Ctrl-C or SIGTERM."""
    from fhir_server.commands.definitions import load_definitions
    from fhir_server.commands.serve import serve as run

    config = Config.from_environment(os.environ, **options)
    run(config, prepare=lambda uri: load_definitions(config, uri), ready=lambda: _say_ready(config))


def _say_ready(config: Config) -> None:
    console.print(f"FHIR R4: http://{config.authority}/fhir  ·  http://{config.authority}/", markup=False)


@click.command()
@_serving
def demo(**options: Any) -> None:
    """Import invented people and their visits once, then serve them."""
    from fhir_server.commands.demo import Demo
    from fhir_server.commands.serve import serve as run

    config = Config.from_environment(os.environ, **options)
    demonstration = Demo(console, config)
    run(config, prepare=demonstration.prepare, ready=demonstration.ready)
