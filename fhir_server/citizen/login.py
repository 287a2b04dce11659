"""Card and PIN as one step of logging in, for whoever must know that the holder of a card is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_server.access import audit_record
from fhir_server.citizen.attempts import return_attempt, spend_attempt
from fhir_server.citizen.cards import Card, is_merged_away, open_card
from fhir_server.citizen.pins import must_change, try_pin

if TYPE_CHECKING:
    from fhir_server.repository import Repository


def check(repository: Repository, card: str, pin: str, address: str) -> Card | None:
    """The card of a token or typed code when the PIN is its own; None alike for everything that is not right.

    `address` is where the request came from: each may be wrong only so often. A printed PIN that was never changed
    opens nothing here, since only the pages ask for another one. Raises TooBusy.
    """
    if not spend_attempt(repository, address):
        return None
    found = open_card(repository, card)
    known, patient = (found.id, found.patient) if found is not None else (None, "")
    outcome = try_pin(repository, known, pin, patient=patient)
    if found is None or outcome != "right" or must_change(repository, found.id):
        return None
    if is_merged_away(repository, found.patient, found.id):
        audit_record.tried("card", f"card:{found.id}", patient=found.patient, outcome="merged")
        return None
    return_attempt(repository, address)
    return found
