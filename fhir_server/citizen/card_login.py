"""Cards as the log-in of apps: what `access.login.CardLogin` asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fhir_server.access.login import LoggedIn
from fhir_server.citizen.cards import card_in_force
from fhir_server.citizen.login import check
from fhir_server.citizen.pins import TooBusy
from fhir_server.errors import Unavailable

if TYPE_CHECKING:
    from fhir_server.repository import Repository


@dataclass(frozen=True, slots=True)
class CardHolders:
    """The holders of the cards of one repository."""

    repository: Repository

    def log_in(self, code: str, pin: str, address: str) -> LoggedIn | None:
        """Whoever shows a card and its PIN; None alike for everything that is not right. Raises Unavailable."""
        try:
            card = check(self.repository, code, pin, address)
        except TooBusy:
            raise Unavailable("Many people log in at this moment: try again.", retry_after=5) from None
        return None if card is None else LoggedIn(card.patient, card.id, card.version)

    def is_in_force(self, card: str, version: int) -> bool:
        """Whether the card is neither revoked, expired nor changed since."""
        return card_in_force(self.repository, card, version) is not None
