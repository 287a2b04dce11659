"""A transaction that is carried out to its end and then taken back: what it would do, without doing it.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .access.context import AccessContext
from .resource.exact import Resource
from .transactions import carry_out

if TYPE_CHECKING:
    from .repository import Repository


class _Enough(Exception):
    """The rehearsal is over: MongoDB takes back what it wrote."""


def rehearse(repository: Repository, ctx: AccessContext, bundle: Resource) -> None:
    """Raises the FhirError that the transaction would end with; nothing is written either way."""

    def stop(session: Any) -> None:
        raise _Enough

    try:
        carry_out(repository, ctx, bundle, lenient=False, base=None, perform=None, beside=stop)
    except _Enough:
        return
