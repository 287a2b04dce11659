"""What the driver raises, turned into refusals that a caller can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.client_session import ClientSession
from pymongo.errors import (
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
)

from ..errors import Conflict, FhirError, TooLarge, Unavailable, Unprocessable

_OVER_LIMITS = (17280, 10334, 17419, 17420)  # MongoDB's codes for a key or an object that is too large
_OVER_CACHE = 388
_NO_SUCH_TRANSACTION = 251
_DUPLICATE = 11000


@contextmanager
def speaking_plainly(session: ClientSession | None = None) -> Iterator[None]:
    """Turn what the driver raises into what a caller can act on.

    Inside a transaction (with a session) nothing is turned: `transact` must see a conflict to run its work again.
    """
    try:
        yield
    except DocumentTooLarge:  # which is no PyMongoError
        raise _too_large() from None
    except PyMongoError as error:
        if session is not None:
            raise
        raise _plain(error) from error
    except OverflowError:
        raise Unprocessable("The resource holds a whole number of more than 64 bits.") from None


def is_closed(error: Exception) -> bool:
    """Whether this process has closed its own connection: what still runs in it can do no more, and need not."""
    return isinstance(error, InvalidOperation) and "after close" in str(error)


def refusal(error: Exception) -> FhirError | None:
    """What a caller can act on, for an error that the driver raised wherever it was; None for any other."""
    if not isinstance(error, PyMongoError):
        return None
    try:
        return _plain(error)
    except OperationFailure:
        return None


def _plain(error: PyMongoError) -> FhirError:
    codes = _codes(error)
    if isinstance(error, DuplicateKeyError) or _DUPLICATE in codes:
        return Conflict("A resource with this id was written at the same moment; read it and try again.")
    if isinstance(error, ExecutionTimeout):
        narrow = "The search took too long; narrow it, for example to a patient, a code or a date."
        return Unprocessable(narrow, code="too-costly")
    if _OVER_CACHE in codes:
        return too_large_to_keep()
    if error.has_error_label("TransientTransactionError"):
        return Unavailable("The write collided with others again and again; send it again.")
    if isinstance(error, OperationFailure):
        if not codes.isdisjoint(_OVER_LIMITS):
            return _too_large()
        raise error
    return Unavailable("The database does not answer; try again.")


def _too_large() -> TooLarge:
    return TooLarge("The resource is larger than can be stored (16 MB with its index entries).")


def _codes(error: PyMongoError) -> set[int]:
    """MongoDB's codes for what went wrong; a bulk write has one for each operation that failed."""
    if not isinstance(error, OperationFailure):
        return set()
    details = error.details or {}
    return {code for code in (error.code, *(each.get("code") for each in details.get("writeErrors", ()))) if code}


def was_aborted(error: PyMongoError) -> bool:
    """Whether MongoDB itself ended the transaction: it took too long, or the cache needed the room.

    It calls that transient, as a conflict with another one is; but the next try may well end in the same way.
    """
    return isinstance(error, OperationFailure) and error.code == _NO_SUCH_TRANSACTION


def too_large_to_keep(lasted: float = 0, limit: float = 0) -> TooLarge:
    """The refusal of a transaction that MongoDB cannot carry to its end."""
    if limit and lasted >= limit:
        reason = f"The transaction took longer than the {limit:g} seconds that one may take"
    else:
        reason = "The transaction is larger than MongoDB's cache takes at once (FHIR_CACHE_MB for the embedded one)"
    return TooLarge(f"{reason}; nothing of it was kept. Split it into smaller ones.", code="too-costly")
