"""Who may send by the JSON calls: a facility's gateway account, or a program on this very machine while the server
is in open access."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import request

from fhir_server.access.context import AccessContext
from fhir_server.citizen.frame import reached_locally
from fhir_server.intake.gateway.front import signed_in
from fhir_server.intake.gateway.replies import Refusal

if TYPE_CHECKING:
    from fhir_server.config import Config
    from fhir_server.repository import Repository


@dataclass(frozen=True, slots=True)
class Sender:
    """The caller: `codes` are the senders it may speak for, None for all."""

    context: AccessContext
    codes: frozenset[str] | None

    def check(self, code: str) -> None:
        """Raises Refusal ORG_MISMATCH when the caller may not speak for this sender."""
        if self.codes is not None and code not in self.codes:
            raise Refusal("ORG_MISMATCH")


def sender_of(repository: Repository, config: Config) -> Sender:
    """The caller of this request. Raises Refusal INVALID_TOKEN."""
    if "Authorization" not in request.headers and reached_locally(config):
        return Sender(AccessContext.unrestricted("open"), None)
    account = signed_in(repository)
    return Sender(account.context, frozenset([account.unit_code, *account.facilities]))
