"""The command line, `fhir-server`: what can be typed, a module for each family of commands; commands/ carries it out."""

from __future__ import annotations

from typing import Any

import click

from fhir_server.cli import accounts, exports, imports, people, serving, upkeep
from fhir_server.commands import CommandFailed
from fhir_server.config import ConfigError
from fhir_server.errors import FhirError
from fhir_server.store.connection import MongoDBUnusable
from mappings.problems import UnreadableInput


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


for _command in (
    *(serving.serve, serving.demo, imports.import_, exports.export_qd831, exports.export, people.cards, people.person),
    *(accounts.gateway_account, accounts.staff, accounts.client, upkeep.audit, upkeep.config_),
):
    main.add_command(_command)
