"""`fhir-server import …`: files that come in."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import click

from fhir_server.cli.options import console, data_option
from fhir_server.config import Config


@click.group("import")
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
    from fhir_server.commands.imports import import_roster, whole_list
    from fhir_server.commands.recording import recording
    from mappings.person import SEX_CODINGS
    from mappings.roster import RosterSource

    config = Config.from_environment(os.environ, data=data)
    source = RosterSource(SEX_CODINGS[sex])
    whole = whole_list(file, whole_of, as_of, yes) if whole_of else None
    rejected = rejected or file.with_name(f"{file.name}.rejected.csv")
    with recording(config, "import roster") as at_work, at_work.job("import", "roster", file=file.name):
        refused = import_roster(console, at_work.repository, file, rejected, source=source, whole=whole)
    if refused:
        raise SystemExit(1)


@import_.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_option
def visits(files: tuple[Path, ...], data: Path | None) -> None:
    """Import clinic visits (GIAMDINHHS XML of QĐ 130). The same visit again changes nothing."""
    from fhir_server.commands.imports import import_visits
    from fhir_server.commands.recording import recording

    config = Config.from_environment(os.environ, data=data)
    with recording(config, "import visits") as at_work, at_work.job("import", "visits", files=str(len(files))):
        refused = import_visits(console, at_work.repository, files)
    if refused:
        raise SystemExit(1)


@import_.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_option
def residents(file: Path, data: Path | None) -> None:
    """Receive changes of residents (JSON lines: birth, death, move, correction). The same message again changes nothing."""
    from fhir_server.commands.imports import import_residents
    from fhir_server.commands.recording import recording

    config = Config.from_environment(os.environ, data=data)
    with recording(config, "import residents") as at_work, at_work.job("import", "residents", file=file.name):
        refused = import_residents(console, at_work.repository, file)
    if refused:
        raise SystemExit(1)
