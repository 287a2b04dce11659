"""The words of the pages, Vietnamese first with English beside it, and how numbers and days are written in each.

The catalogue is one JSON table with both languages in a row, so that a translator sees what belongs together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files

LANGUAGES = ("vi", "en")
# All of Vietnam keeps one time, all year.
VIETNAM = timezone(timedelta(hours=7))


def now_here() -> datetime:
    """The time in Vietnam."""
    return datetime.now(VIETNAM)


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Every message: key -> language -> text with {placeholders}."""
    messages: dict[str, dict[str, str]] = {}
    for name in ("messages.json", "desk.json"):
        messages |= json.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))
    return messages


def translate(key: str, language: str, **values: str) -> str:
    """The message in one of LANGUAGES. KeyError for an unknown key: a page with a hole in it is a bug."""
    return catalogue()[key][language].format(**values)


def write_number(value: Decimal | int | str, language: str) -> str:
    """A number with all its digits; Vietnamese writes the decimal comma."""
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    return text.replace(".", ",") if language == "vi" else text


def write_date(fhir: str | None, language: str) -> str:
    """A FHIR date or dateTime as a day in Vietnam, as precise as it is known: 05/03/2026, 03/2026 or 2026."""
    if not fhir:
        return ""
    if "T" in fhir:
        # Python reads at most six digits of a second; the day does not depend on them.
        moment = datetime.fromisoformat(re.sub(r"\.\d+", "", fhir).replace("Z", "+00:00"))
        fhir = (moment.astimezone(VIETNAM) if moment.tzinfo else moment).date().isoformat()
    return "/".join(reversed(fhir.split("-"))) if language == "vi" else fhir
