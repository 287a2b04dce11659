"""People added one at a time from the command line: the staff form as JSON, or the text of a card's QR code."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from fhir_server.commands import CommandFailed
from fhir_server.commands.recording import recording
from fhir_server.config import Config
from fhir_server.intake.registration import NEW, Registration, register

LONGEST = 100_000  # characters of the standard input


def add(config: Config, *, facility: str, same_as: str, is_new: bool) -> bool:
    """Add the person on the standard input; whether somebody is stored now.

    `same_as` is the id of the known person it is, `is_new` says that it is nobody known. Raises CommandFailed,
    UnreadableInput, FhirError.
    """
    told = _told(sys.stdin.read(LONGEST + 1).strip())
    decided = NEW if is_new else same_as
    with recording(config, "person add") as at_work, at_work.act("import", "person"):
        made = register(at_work.repository, at_work.caller, told, facility=facility, decided=decided)
    for warning in made.warnings:
        click.echo(f"{warning.field}: {warning.reason_vi} / {warning.reason_en}", err=True)
    if made.patient is None:
        _ask(made)
        return False
    click.echo(f"{made.outcome} Patient/{made.patient['id']} {made.number}".rstrip())
    return True


def _ask(made: Registration) -> None:
    click.echo("Nothing was written: this may be one of these people.", err=True)
    for each in made.candidates:
        click.echo(f"Patient/{each.patient['id']}: {each.why_vi} / {each.why_en}", err=True)
    click.echo("Send it again with --same-as ID, or with --new when it is none of them.", err=True)


def _told(text: str) -> Any:
    if not text or len(text) > LONGEST:
        raise CommandFailed("Send a form as JSON, or the text of a QR code, on the standard input.")
    if not text.startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandFailed(f"The form is no JSON: {error}") from error
