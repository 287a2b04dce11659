"""What an interaction is given and what it gives back, the same whether it came over HTTP or inside a batch.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from ..access.context import AccessContext
from ..config import Config
from ..patch import Patch
from ..repository import Repository, Stored
from .prefer import REPRESENTATION, Preference

if TYPE_CHECKING:
    from .capabilities import Capabilities

Pairs = list[tuple[str, str]]

WRITES = frozenset({"create", "update", "patch", "delete"})
"""The interactions that write one resource, by their R4 codes."""


@dataclass(slots=True)
class Call:
    """One interaction somebody asks for.

    `base` is the address of the FHIR service without a final slash. `query` holds the parameters without those that
    only choose the form of the answer; these are in `form`, so that paging links can repeat them. The `if_...` values
    are as they came (`W/"3"`), apart from `if_modified_since`, which is already a moment in UTC.
    """

    context: AccessContext
    base: str
    type: str = ""
    id: str = ""
    version: str = ""
    compartment: str = ""
    operation: str = ""
    query: Pairs = field(default_factory=list)
    form: Pairs = field(default_factory=list)
    resource: dict[str, Any] | None = None
    patch: Patch | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: datetime | None = None
    if_none_exist: str | None = None
    prefer: Preference = REPRESENTATION
    raw: bool = field(default=False, init=False)
    """Whether the content of a Binary is asked for, and not the resource around it."""


@dataclass(slots=True)
class Answer:
    """What came of a call: `stored` is the version it is about (ETag, Last-Modified), `body` the JSON to send.

    `written` says that the call made or found `stored` by writing, so that the client is told its Location.
    """

    status: int
    body: bytes = b""
    stored: Stored | None = None
    written: bool = False
    media_type: str = ""
    """What `body` is when it is no FHIR JSON; it then goes out as it is, whatever format was asked for."""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Interaction:
    """A row of the table of interactions: where it is addressed and the function that performs it.

    `codes` are the R4 codes it is declared with (https://hl7.org/fhir/R4/valueset-restful-interaction.html). `path` is
    relative to the base; `<type>`, `<id>`, `<version>` and `<operation>` stand for what varies. `body` says what the request carries;
    with "operation" it is a resource or nothing.
    """

    codes: tuple[str, ...]
    level: Literal["instance", "type", "system"]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    perform: Callable[[Service, Call], Answer]
    body: Literal["resource", "form", "operation", "patch"] | None = None
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """What every interaction works with: the door to the records, the settings, and the table it stands in."""

    repository: Repository
    config: Config
    interactions: tuple[Interaction, ...]
    capabilities: Capabilities
