"""What one request did, noted while it is answered: the raw material of its AuditEvents.

A record belongs to the thread that answers; what is noted while there is none is not kept, so that the door need not
know whether there is an audit trail. https://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token

import msgspec

from ..errors import FhirError, Forbidden
from .context import AccessContext

CREATED, CHANGED, SEEN, DELETED = "1", "3", "6", "14"
"""What happened to a resource: https://hl7.org/fhir/R4/valueset-dicom-audit-lifecycle.html"""


class Touched(msgspec.Struct, frozen=True, array_like=True):
    """One version that was given out or written; `owner` is the patient whose record it is part of, "" for none."""

    type: str
    id: str
    version: int
    owner: str
    lifecycle: str = SEEN


class Record(msgspec.Struct, omit_defaults=True):
    """One request, or one entry of a batch.

    `kind` is a row of audit_events.KINDS, `name` that of an operation; `address` is Type/id or Type, as it was asked
    for, `why` says in codes why it was refused, and `query` is the path and parameters of a search. `at` is in milliseconds since 1970. A `bulk` job is told of by
    `details` (counts, the file's name) and not by the versions it reads and writes: an event for each would name
    everybody, and take as long as the job.
    """

    at: int
    kind: str = ""
    name: str = ""
    address: str = ""
    query: str = ""
    status: int = 200
    actor: str = ""
    facility: str = ""
    purpose: str = ""
    reason: str = ""
    origin: str = ""
    request: str = ""
    bulk: bool = False
    why: str = ""
    details: dict[str, str] = msgspec.field(default_factory=dict)
    touched: dict[Touched, None] | list[Touched] = msgspec.field(default_factory=dict)
    parts: list[Record] = msgspec.field(default_factory=list)

    @property
    def worth_keeping(self) -> bool:
        """Whether anything happened that an audit asks about."""
        return bool(self.kind or self.touched or self.parts or self.status in (401, 403))

    def called_by(self, ctx: AccessContext) -> None:
        """Take the caller from the context of the first call that had one; it says more than whose token was sent."""
        if not self.actor or (self.actor == ctx.actor and not self.purpose):
            self.actor, self.purpose, self.reason = ctx.actor, ctx.purpose, ctx.reason
            self.facility = ctx.facility or ""
            self.origin = ctx.origin or self.origin


_LONGEST_ACTOR = 120
"""Names that were typed in vain are kept as well, and only so much of them."""
_current: ContextVar[Record | None] = ContextVar("audit_record", default=None)


def current() -> Record | None:
    """The record of what is being done, if it is to be kept."""
    return _current.get()


def begin(origin: str = "", request: str = "") -> tuple[Record, Token[Record | None]]:
    """Begin a record; `end` takes the token."""
    record = Record(time.time_ns() // 1_000_000, origin=origin, request=request)
    return record, _current.set(record)


def end(token: Token[Record | None]) -> None:
    """Note nothing more into the record that was begun."""
    _current.reset(token)


def asked(kind: str, address: str = "", query: str = "", name: str = "") -> None:
    """Note what is asked for."""
    record = _current.get()
    if record is not None:
        record.kind, record.address, record.query, record.name = kind, address, query, name


def caller(ctx: AccessContext) -> None:
    """Note who asks."""
    record = _current.get()
    if record is not None:
        record.called_by(ctx)


def happened(kind: str, ctx: AccessContext, *, patient: str = "") -> None:
    """Note what is no FHIR interaction: a log-in, the use of a card, a submission. `patient` is whose record it opens."""
    record = _current.get()
    if record is not None:
        record.kind, record.address = kind, f"Patient/{patient}" if patient else ""
        record.called_by(ctx)


def identified(actor: str, facility: str | None) -> None:
    """Note whose token it is that was sent, whether it counts for this request or not."""
    record = _current.get()
    if record is not None and not record.actor:
        record.actor, record.facility = actor, facility or ""


def refused(error: FhirError) -> None:
    """Note why a request is refused: in codes, since the words of a refusal may repeat what was sent."""
    record = _current.get()
    if record is not None:
        record.why = _why(error)


def _why(error: FhirError) -> str:
    """The code of a refusal, and the scope that is missing: `forbidden system/Patient.r`."""
    code = error.issues[0].code if error.issues else error.code
    return f"{code} {error.scope}" if isinstance(error, Forbidden) and error.scope else code


def tried(kind: str, actor: str, *, patient: str = "", outcome: str = "") -> None:
    """Note an attempt to prove who one is: by a card, a PIN, a password, a client's assertion."""
    record = _current.get()
    if record is not None:
        record.kind, record.actor, record.name = kind, actor[:_LONGEST_ACTOR], outcome
        record.address = f"Patient/{patient}" if patient else record.address


def credential(what: str, *, patient: str = "") -> None:
    """Note that what opens a patient's record was given out, changed or taken away: a card, a PIN."""
    record = _current.get()
    if record is not None:
        record.kind, record.name = "credential", what
        record.address = f"Patient/{patient}" if patient else record.address


def counted(counts: Mapping[str, int]) -> None:
    """Note how much a job in bulk has done."""
    record = _current.get()
    if record is not None:
        record.details |= {name: str(count) for name, count in counts.items()}


@contextmanager
def part() -> Iterator[Record | None]:
    """One entry of a batch: what is noted inside is an event of its own, with the status of a refusal it ends with."""
    whole = _current.get()
    if whole is None:
        yield None
        return
    entry = Record(whole.at, actor=whole.actor, facility=whole.facility, purpose=whole.purpose, reason=whole.reason)
    entry.origin, entry.request = whole.origin, whole.request
    whole.parts.append(entry)
    token = _current.set(entry)
    try:
        yield entry
    except FhirError as error:
        entry.status, entry.why = error.status, _why(error)
        raise
    except Exception:
        entry.status = 500
        raise
    finally:
        _current.reset(token)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


def to_line(record: Record) -> bytes:
    """The record as one line of JSON."""
    flat(record)
    return _encoder.encode(record) + b"\n"


def from_line(line: bytes) -> Record:
    """The record in a line. Raises msgspec.DecodeError."""
    return _decoder.decode(line)


def flat(record: Record) -> None:
    """Make lists of what was a dictionary for the sake of order without repetition."""
    for each in (record, *record.parts):
        each.touched = list(each.touched)
