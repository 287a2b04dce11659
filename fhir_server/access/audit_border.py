"""Where requests come in and answers leave: each is recorded, and no answer leaves before its record is kept."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Token
from typing import Any

from flask import Flask, Response, g, request

from ..errors import FhirError
from . import audit_record
from .audit_record import Record
from .audit_spool import Spool

# What shows nothing of anybody, and is asked all the time.
_UNRECORDED = ("health", "static", "openapi")


def watch(app: Flask, spool: Spool, number_of: Callable[[dict[str, Any]], str]) -> None:
    """Record what an application does. `number_of` gives the number that a request goes by, from its environ."""

    @app.before_request
    def begin() -> None:
        if request.method == "OPTIONS" or (request.endpoint or "").rpartition(".")[2] in _UNRECORDED:
            return
        spool.refuse_when_full()
        g.audit_record, g.audit_token = audit_record.begin(request.remote_addr or "", number_of(request.environ))

    @app.after_request
    def keep(response: Response) -> Response:
        record: Record | None = g.pop("audit_record", None)
        if record is None:
            return response
        record.status = response.status_code
        if not record.kind and not record.touched:
            # Refused before anybody looked what it was: tell at least of which resource it was.
            record.name = request.method
            record.address = "/".join(str((request.view_args or {}).get(name, "")) for name in ("type", "id"))
        if record.worth_keeping:
            try:
                spool.write(audit_record.to_line(record))
            except FhirError as error:
                return app.make_response(app.handle_user_exception(error))
        return response

    @app.teardown_request
    def end(_: BaseException | None) -> None:
        token: Token[Record | None] | None = g.pop("audit_token", None)
        if token is not None:
            audit_record.end(token)
