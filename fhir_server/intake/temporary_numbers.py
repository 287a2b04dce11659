"""Numbers for people who have none: VD-<facility>-<yyyymmdd>-<seq>, plainly no CCCD and no BHYT number.

https://hl7.org/fhir/R4/datatypes.html#Identifier
"""

from __future__ import annotations

from typing import Any

from fhir_server.repository import Repository
from mappings import person
from mappings.dates import period

_DIGITS = 4  # of the sequence; a facility that gives more in a day goes on with five


def temporary_identifier(repository: Repository, facility: str, day: str) -> dict[str, Any]:
    """An Identifier nobody else has, given by a facility (5 characters) on a day (yyyy-MM-dd).

    The sequence of a facility and day is counted in MongoDB: two who ask at once are given two numbers. One that is
    given and then not used is not given again.
    """
    beginning = f"VD-{facility}-{day.replace('-', '')}"
    number = f"{beginning}-{repository.next_number(f'temporary-number/{beginning}'):0{_DIGITS}}"
    return {**person.identifier("temporary", number, period=period(day, None)), "use": "temp"}
