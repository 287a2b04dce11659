"""Cards in bulk and one by one: issued as a PDF to print, locked, and their PINs reset."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

from fhir_server.access import audit_record
from fhir_server.commands import CommandFailed
from fhir_server.commands.recording import recording
from fhir_server.config import Config

if TYPE_CHECKING:
    from fhir_server.access.context import AccessContext
    from fhir_server.citizen.cards import IssuedCard
    from fhir_server.repository import Repository

PAGE = 500


class Wanted(NamedTuple):
    """Who is to get a card: people by id, all who live with one of them, a ward by name, everybody."""

    patients: tuple[str, ...] = ()
    household: str | None = None
    ward: str | None = None
    everybody: bool = False


def issue(
    console: Console, config: Config, wanted: Wanted, *, pdf: Path | None, png: Path | None, replace: bool
) -> list[IssuedCard]:
    """Issue a card to each, and write what is asked for. With `replace` the cards they had are locked.

    A file that opens records is readable by its owner only. Raises CommandFailed, NotFound, Gone.
    """
    from fhir_server.citizen.card_sheets import sheets
    from fhir_server.citizen.cards import issue_card, reissue_card

    cards = []
    with recording(config, "cards issue") as at_work:
        repository, caller = at_work.repository, at_work.caller
        with at_work.job("credential", "cards-wanted"):
            people = people_wanted(repository, caller, wanted)
            audit_record.counted({"people": len(people)})
        if not people:
            raise CommandFailed("Nobody fits: name people by --patient or --household, a --ward, or --all.")
        make = reissue_card if replace else issue_card
        for each in people:
            with at_work.act("credential", "card-issued", patient=each):
                cards.append(make(repository, caller, each, public_url=config.public_url))
    if pdf is not None:
        _write_privately(pdf, sheets(cards, hotline=config.hotline))
        console.print(f"{len(cards)} thẻ / cards: {pdf}", markup=False)
    if png is not None:
        _write_privately(png, cards[0].qr_png())
    return cards


def people_wanted(repository: Repository, ctx: AccessContext, wanted: Wanted) -> list[str]:
    """The ids of the people who are to get a card, each once; those merged into somebody else get none."""
    from fhir_server.resource import exact

    found = [each.removeprefix("Patient/") for each in wanted.patients]
    if wanted.household is not None:
        one = wanted.household.removeprefix("Patient/")
        address = _home(exact.parse(repository.read(ctx, "Patient", one).json or b"{}"))
        found.append(one)
        if address:
            found += [id for id, home in _everybody(repository, ctx, [("address", address)]) if home == address]
    if wanted.ward is not None:
        found += [id for id, _ in _everybody(repository, ctx, [("address-city", wanted.ward)])]
    if wanted.everybody:
        found += [id for id, _ in _everybody(repository, ctx, [])]
    away = repository.merged_away(ctx, found)
    return [each for each in dict.fromkeys(found) if each not in away]


def revoke(config: Config, card: str) -> None:
    """Lock a card for good. Raises CommandFailed."""
    from fhir_server.citizen.cards import revoke_card

    with recording(config, "cards revoke") as at_work, at_work.act("credential", "card-revoked"):
        if not revoke_card(at_work.repository, card):
            raise CommandFailed(f"There is no card {card} that is in force.")


def reset_pin(config: Config, card: str) -> str:
    """A new PIN for a card, to be changed at its first use. Raises CommandFailed."""
    from fhir_server.citizen import cards

    with recording(config, "cards reset-pin") as at_work, at_work.act("credential", "pin-reset"):
        pin = cards.reset_pin(at_work.repository, card)
        if pin is None:
            raise CommandFailed(f"There is no card {card} that is in force.")
    return pin


def _everybody(repository: Repository, ctx: AccessContext, query: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """(id, home address) of all who are found, page by page."""
    from fhir_server.resource import exact

    found: list[tuple[str, str]] = []
    pairs: list[tuple[str, str]] | None = [*query, ("_count", str(PAGE)), ("_sort", "family,given,_id")]
    while pairs is not None:
        page = repository.search(ctx, "Patient", pairs)
        found += [(each.id, _home(exact.parse(each.json or b"{}"))) for _, each in page.entries]
        pairs = page.next
    return found


def _home(patient: dict[str, Any]) -> str:
    addresses = patient.get("address", [])
    home = next((each for each in addresses if each.get("use") == "home"), addresses[0] if addresses else {})
    return str(home.get("text", ""))


def _write_privately(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
