"""Who a record is about, in the few words that cards and pages show: never a whole number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from fhir_server.citizen.declaration import read_date

CARD_SYSTEM = "http://fhir.ehealth.gov.vn/core/sid/insurance_number"


@dataclass(frozen=True, slots=True)
class Person:
    """Who the record is about; the card number is masked but for its end."""

    name: str
    birth: str | None
    gender: str | None
    card: str | None

    @property
    def masked_name(self) -> str:
        """Enough for the holder to know themselves by, and little for whoever found the card: N••••• Thị Ánh Đ••."""
        words = self.name.split()
        if len(words) < 3:
            return " ".join(word[0] + "•" * (len(word) - 1) for word in words)
        first, *between, last = words
        return " ".join([first[0] + "•" * (len(first) - 1), *between, last[0] + "•" * (len(last) - 1)])

    @property
    def birth_year(self) -> str | None:
        """The year alone."""
        return self.birth[:4] if self.birth else None


def person_of(patient: dict[str, Any]) -> Person:
    """The person of a Patient resource."""
    names = patient.get("name") or [{}]
    chosen = next((name for name in names if name.get("use") == "official"), names[0])
    parts = [chosen.get("family"), *chosen.get("given", [])]
    return Person(
        name=chosen.get("text") or " ".join(part for part in parts if part),
        birth=patient.get("birthDate"),
        gender=patient.get("gender"),
        card=_masked_card(patient),
    )


def birth_day(person: Person) -> date | None:
    """The birth date when the day is known."""
    return read_date(person.birth or "")


def mask(number: str) -> str:
    """A card number with everything but the last three characters hidden."""
    return "•" * max(len(number) - 3, 0) + number[-3:]


def _masked_card(patient: dict[str, Any]) -> str | None:
    cards = [entry for entry in patient.get("identifier", []) if entry.get("system") == CARD_SYSTEM]
    current = next((entry for entry in cards if entry.get("use") != "old"), None)
    return mask(current["value"]) if current and current.get("value") else None
