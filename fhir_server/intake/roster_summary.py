"""What became of the rows of a roster, kept with each batch so that an interrupted import goes on counting."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class RosterSummary:
    """Each row read is created, updated, unchanged or rejected.

    `warnings` counts remarks on accepted rows, `warning_reasons` by reason; `unread_columns` are headers nobody knows.
    `ended` are the cards that vanished from a list that was declared whole, `continued` the rows that an interrupted
    import before this one had done.
    """

    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    warnings: int = 0
    ended: int = 0
    continued: int = 0
    warning_reasons: Counter[str] = field(default_factory=Counter)
    unread_columns: tuple[str, ...] = ()

    def remark(self, reasons: list[str]) -> None:
        """Count the remarks on accepted rows."""
        self.warnings += len(reasons)
        self.warning_reasons.update(reasons)

    def copy(self) -> RosterSummary:
        """The same numbers, to count on with."""
        return RosterSummary.from_document(self.as_document())

    def as_document(self) -> dict[str, Any]:
        """The numbers as MongoDB can hold them."""
        return asdict(self) | {
            "warning_reasons": [list(each) for each in self.warning_reasons.items()],
            "unread_columns": list(self.unread_columns),
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> RosterSummary:
        """What as_document() made."""
        reasons = Counter(dict(document["warning_reasons"]))
        kept = {**document, "warning_reasons": reasons, "unread_columns": tuple(document["unread_columns"])}
        return cls(**kept)
