"""`fhir-server cards …` and `fhir-server person …`: citizens' cards, and people who are in no roster."""

from __future__ import annotations

import os
from pathlib import Path

import click

from fhir_server.cli.options import console, data_option
from fhir_server.config import Config


@click.group()
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


@click.group()
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
