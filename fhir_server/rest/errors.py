"""Every failure as an OperationOutcome: refusals, HTTP errors of the framework, and what nobody foresaw.

https://hl7.org/fhir/R4/http.html#Status-Codes and https://hl7.org/fhir/R4/operationoutcome.html
"""

from __future__ import annotations

import logging
import os
import traceback

from werkzeug.exceptions import HTTPException, MethodNotAllowed

from ..errors import FhirError
from .routing import no_such_address, not_this_method

_log = logging.getLogger(__name__)


class Unexpected(FhirError):
    """A fault of the server itself: the caller gets a reference to what the log holds, and nothing more."""

    status, code = 500, "exception"


def unexpected(error: Exception) -> Unexpected:
    """What the caller is told about a fault, after the log has been told where it happened.

    The message of the exception stays out of both: it may quote the record that was worked on.
    """
    reference = os.urandom(8).hex()
    where = "".join(traceback.format_tb(error.__traceback__))
    _log.error("fault %s: %s.%s\n%s", reference, type(error).__module__, type(error).__qualname__, where)
    return Unexpected(f"The server failed to answer. Report this reference to its operator: {reference}")


def from_framework(error: HTTPException) -> FhirError:
    """The refusal that says what the web framework's own exception says, without its HTML."""
    if isinstance(error, MethodNotAllowed):
        return not_this_method(sorted(error.valid_methods or ()))
    if error.code == 404:
        return no_such_address()
    refusal = FhirError(f"The request was refused: {error.name}.", code="processing")
    refusal.status = error.code or 500
    return refusal
