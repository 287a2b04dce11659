"""What a mapping has to say about its input: a problem names the field, the value and the reason in two languages."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_QUOTED_VALUE = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One remark on one field. `value` is what stood there, cut to what a person needs to find it again."""

    field: str
    value: str
    reason_vi: str
    reason_en: str


def problem(field: str, value: str, reason_vi: str, reason_en: str) -> Problem:
    """A Problem with a long value cut."""
    if len(value) > LONGEST_QUOTED_VALUE:
        value = value[: LONGEST_QUOTED_VALUE - 1] + "…"
    return Problem(field, value, reason_vi, reason_en)


class UnreadableInput(ValueError):
    """A whole file or message that cannot be read; the text tells the person who sent it what to do, twice."""

    def __init__(self, reason_vi: str, reason_en: str) -> None:
        self.reason_vi = reason_vi
        self.reason_en = reason_en
        super().__init__(f"{reason_vi} / {reason_en}")
