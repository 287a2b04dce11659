"""What goes out: records as ndjson, one person's record as XML."""

from __future__ import annotations

import os
from pathlib import Path

import click

from fhir_server.cli.options import console, data_option
from fhir_server.config import Config


@click.command("export-qd831")
@click.argument("patient")
@click.option("--sender", default="", help="Code of the facility that sends it (SENDER_CODE).")
@data_option
def export_qd831(patient: str, sender: str, data: Path | None) -> None:
    """Write the record of the Patient with this id to the standard output, as the XML of QĐ 831."""
    from fhir_server.commands.health_record import health_record
    from fhir_server.commands.recording import recording

    config, id = Config.from_environment(os.environ, data=data), patient.removeprefix("Patient/")
    with recording(config, "export-qd831") as at_work, at_work.act("export", "qd831", patient=id):
        xml = health_record(at_work.repository, at_work.caller, id, sender)
    click.echo(xml, nl=False)


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--type", "types", multiple=True, help="Only resources of this type; can be given again.")
@click.option("--since", help="Only what has changed after this instant, such as an earlier export's transactionTime.")
@click.option("--gzip", is_flag=True, help="Compress the files.")
@data_option
def export(directory: Path, types: tuple[str, ...], since: str | None, gzip: bool, data: Path | None) -> None:
    """Write all records into ndjson files in DIRECTORY, as they stand at one moment, beside a running server too."""
    from fhir_server.commands.export import export as run
    from fhir_server.commands.recording import recording

    config = Config.from_environment(os.environ, data=data)
    with recording(config, "export") as at_work, at_work.job("export", types=", ".join(types) or "all"):
        run(console, at_work.repository, at_work.caller, directory, types=types, since=since, gzip=gzip)
