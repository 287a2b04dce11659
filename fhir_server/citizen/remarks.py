"""What is to be said about a field of a form, and the reading of single answers."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Remark:
    """What to tell the person about a field: the key of a message and what goes into it."""

    field: str
    message: str
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)


def choice(text: str, allowed: tuple[str, ...], name: str, problems: list[Remark]) -> str | None:
    """The answer to a question with given answers; None when it was left out, or was none of them."""
    if text and text not in allowed:
        problems.append(Remark(name, "declare.choose"))
        return None
    return text or None


def one_line(text: str) -> str:
    """What was typed as one line: control characters are invisible, and have no place in the name of anything."""
    normal = unicodedata.normalize("NFC", text)
    visible = "".join(sign if not unicodedata.category(sign).startswith("C") else " " for sign in normal)
    return " ".join(visible.split())
