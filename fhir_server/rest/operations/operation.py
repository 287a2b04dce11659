"""A row of the table of operations: what it is called, where it stands and the function that carries it out.

https://hl7.org/fhir/R4/operationdefinition.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..call import Answer, Call, Service

Level = Literal["system", "type", "instance"]


@dataclass(frozen=True, slots=True)
class Operation:
    """`name` is without the $. `types` are the resource types it is for, () for every one; `definition` its canonical.

    `takes` names its input parameters, None when it takes whatever its own function understands (search parameters).
    `body` is the parameter that a resource sent without a Parameters around it stands for. An operation that
    `affects_state` is asked for by POST only. One `of_versions` can be asked by GET of a past version too. A `lasting`
    one begins work that goes on behind its answer, and has no place in a transaction.
    """

    name: str
    levels: tuple[Level, ...]
    types: tuple[str, ...]
    definition: str
    perform: Callable[[Service, Call], Answer]
    takes: tuple[str, ...] | None = ()
    body: str = ""
    affects_state: bool = False
    of_versions: bool = False
    lasting: bool = False

    def is_at(self, level: Level, resource_type: str) -> bool:
        """Whether it can be asked for at this level, of this type ("" at system level)."""
        return level in self.levels and (level == "system" or not self.types or resource_type in self.types)
