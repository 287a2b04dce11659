"""What an app launch asks of the room that knows the cards: log somebody in, and say whether a card still counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Somebody who showed a card and knows its PIN."""

    patient: str
    card: str
    card_version: int


class CardLogin(Protocol):
    """The log-in by card. Given by the application: this room knows neither cards nor PINs."""

    def log_in(self, code: str, pin: str, address: str) -> LoggedIn | None:
        """The person; None alike for everything that is not right. `address` is where the attempt comes from.

        Raises Unavailable while too many try at once.
        """

    def is_in_force(self, card: str, version: int) -> bool:
        """Whether the card is neither revoked, expired nor changed since."""
