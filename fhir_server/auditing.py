"""What the door notes for the audit trail: every version that it gives out or writes, and whose it is.

https://hl7.org/fhir/R4/auditevent.html. Whoever answers a request keeps the notes (access/audit_border.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from .access.audit_record import CHANGED, CREATED, DELETED, SEEN, Record, Touched, current
from .access.context import AccessContext
from .records import EntryResult, HistoryPage, SearchPage, Stored, WriteResult

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_Door = TypeVar("_Door")
_Method = Callable[Concatenate[_Door, AccessContext, _Arguments], _Result]

_LIFECYCLES = {"created": CREATED, "updated": CHANGED, "deleted": DELETED}


def noted(method: _Method[_Door, _Arguments, _Result]) -> _Method[_Door, _Arguments, _Result]:
    """A method of the door whose caller and result go into the record of the request."""

    @wraps(method)
    def noting(self: _Door, ctx: AccessContext, /, *arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Result:
        record = current()
        if record is None or record.bulk:
            return method(self, ctx, *arguments, **named)
        record.called_by(ctx)
        result = method(self, ctx, *arguments, **named)
        _note(record, result)
        return result

    return noting


def note_written(several: Iterable[Stored], outcome: str) -> None:
    """Note what was written where the result of a method does not tell."""
    record = current()
    if record is not None and not record.bulk:
        for each in several:
            _keep(record, each, _LIFECYCLES[outcome])


def _note(record: Record, result: Any) -> None:
    """Note a result of the door, whatever it is: one version, a page of them, what writes did."""
    if isinstance(result, Stored):
        _keep(record, result, SEEN)
    elif isinstance(result, SearchPage):
        for _, each in result.entries:
            _keep(record, each, SEEN)
    elif isinstance(result, HistoryPage):
        for each in result.entries:
            _keep(record, each, SEEN)
    elif isinstance(result, WriteResult):
        _keep(record, result.stored, _LIFECYCLES.get(result.outcome, SEEN))
    elif isinstance(result, EntryResult):
        if result.stored is not None:
            _keep(record, result.stored, _LIFECYCLES.get(result.outcome, SEEN))
    elif isinstance(result, list):
        for each in result:
            _note(record, each)
    elif isinstance(result, dict):
        for each in result.values():
            _note(record, each)


def _keep(record: Record, stored: Stored, lifecycle: str) -> None:
    type, id = (stored.container.split("/", 1)) if stored.container else (stored.type, stored.id)
    record.touched[Touched(type, id, stored.version, stored.owner, lifecycle)] = None  # type: ignore[call-overload]  # a list only once it is over
