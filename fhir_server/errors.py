"""Every refusal the server can give: a class, an HTTP status and an OperationOutcome issue code.

https://hl7.org/fhir/R4/http.html#status and https://hl7.org/fhir/R4/valueset-issue-type.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Issue:
    """One OperationOutcome.issue: what is wrong, where (FHIRPath `expression`), and what to do about it."""

    diagnostics: str
    code: str = "invalid"
    severity: str = "error"
    expression: tuple[str, ...] = ()

    def as_fhir(self) -> dict[str, Any]:
        issue: dict[str, Any] = {"severity": self.severity, "code": self.code, "diagnostics": self.diagnostics}
        if self.expression:
            issue["expression"] = list(self.expression)
        return issue


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """An OperationOutcome resource holding the issues, in order."""
    return {"resourceType": "OperationOutcome", "issue": [issue.as_fhir() for issue in issues]}


class FhirError(Exception):
    """A request that cannot be carried out. `status` is the HTTP status, `issues` go into the OperationOutcome."""

    status = 500
    code = "exception"

    def __init__(
        self,
        diagnostics: str | Sequence[Issue],
        *,
        code: str | None = None,
        expression: Sequence[str] = (),
    ) -> None:
        if isinstance(diagnostics, str):
            self.issues = [Issue(diagnostics, code or self.code, "error", tuple(expression))]
        else:
            self.issues = list(diagnostics)
        super().__init__(self.issues[0].diagnostics if self.issues else self.__class__.__name__)

    @property
    def headers(self) -> dict[str, str]:
        """HTTP headers that go with the refusal (Retry-After, Allow, WWW-Authenticate)."""
        return {}


class BadRequest(FhirError):
    """The request or resource cannot be parsed, or fails the rules of the base specification."""

    status, code = 400, "invalid"


class Unauthorized(FhirError):
    """Nobody is logged in, and the interaction needs somebody."""

    status, code = 401, "login"


class Forbidden(FhirError):
    """The caller is known and may not do this. `scope` is the one that an access token lacks for it."""

    status, code = 403, "forbidden"

    def __init__(
        self,
        diagnostics: str | Sequence[Issue],
        *,
        code: str | None = None,
        expression: Sequence[str] = (),
        scope: str = "",
    ) -> None:
        super().__init__(diagnostics, code=code, expression=expression)
        self.scope = scope


class NotFound(FhirError):
    """No such resource, version or type; also what a caller sees who may not know that it exists."""

    status, code = 404, "not-found"


class MethodNotAllowed(FhirError):
    """The address exists and does not take this HTTP method."""

    status, code = 405, "not-supported"

    def __init__(self, diagnostics: str, *, allow: str = "") -> None:
        super().__init__(diagnostics)
        self._allow = allow

    @property
    def headers(self) -> dict[str, str]:
        return {"Allow": self._allow} if self._allow else {}


class NotAcceptable(FhirError):
    """None of the formats the client accepts can be produced."""

    status, code = 406, "not-supported"


class Conflict(FhirError):
    """The write collides with another one or with what references it."""

    status, code = 409, "conflict"


class Gone(FhirError):
    """The resource existed and was deleted."""

    status, code = 410, "deleted"


class LengthRequired(FhirError):
    """The body was sent in chunks, and its content does not show where it ends."""

    status, code = 411, "required"


class PreconditionFailed(FhirError):
    """If-Match names a version that is not current, or conditional criteria match several resources."""

    status, code = 412, "conflict"


class TooLarge(FhirError):
    """The body, a bundle or a list is over its limit."""

    status, code = 413, "too-long"


class UnsupportedMediaType(FhirError):
    """The body is in a format that is not read."""

    status, code = 415, "not-supported"


class Unprocessable(FhirError):
    """Well formed, but against a rule of this server."""

    status, code = 422, "business-rule"


class TooMany(FhirError):
    """As much of this kind is going on as the server takes at once."""

    status, code = 429, "throttled"

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "60"}


class Unavailable(FhirError):
    """The server cannot do this now and may later."""

    status, code = 503, "transient"

    def __init__(self, diagnostics: str, *, retry_after: int = 1) -> None:
        super().__init__(diagnostics)
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}
