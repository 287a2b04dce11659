"""Where requests come in and answers leave: each is recorded, and no answer leaves before its record is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Token
from typing import Any

from flask import Flask, Response, g, request

from ..errors import FhirError
from . import audit_record
from .audit_record import Record
from .audit_spool import Spool
from .context import AccessContext

# What shows nothing of anybody, and is asked all the time.
_UNRECORDED = ("health", "static", "openapi")
DONE, REFUSED, FAILED = 200, 400, 500


@contextmanager
def recorded(
    spool: Spool | None,
    ctx: AccessContext,
    kind: str,
    name: str = "",
    *,
    failed: int = FAILED,
    writes_only: bool = False,
) -> Iterator[Record | None]:
    """Record what is done without a request: by a command, or in the background. Raises Unavailable when it cannot be.

    `kind` and `name` are a row of audit_events.KINDS and what it is a kind of, unless what is done says it better; `failed`
    is the status where something else is raised than a FhirError. Nothing is recorded without a spool, while another
    record is open, and with `writes_only` where nothing was written: what looks again every second must not fill the trail.
    """
    if spool is None or audit_record.current() is not None:
        yield None
        return
    spool.refuse_when_full()
    record, token = audit_record.begin(ctx.origin, ctx.request)
    record.called_by(ctx)
    record.kind, record.name, record.status = kind, name, DONE
    try:
        yield record
    except FhirError as error:
        record.status = error.status
        audit_record.refused(error)
        raise
    except BaseException:
        record.status = failed
        raise
    finally:
        audit_record.end(token)
        if not writes_only or any(each.lifecycle != audit_record.SEEN for each in record.touched):
            spool.write(audit_record.to_line(record))


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
