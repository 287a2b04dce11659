"""Dates that come as parameters of operations: https://hl7.org/fhir/R4/datatypes.html#dateTime"""

from __future__ import annotations

from ..search.intervals import date_interval


def is_moment(text: str) -> bool:
    """Whether the text is a date, dateTime or instant of the calendar."""
    try:
        date_interval(text)
    except (ValueError, OverflowError):
        return False
    return True
