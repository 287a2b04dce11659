"""Roster files that staff hand in: imported beside the requests, by the same importer as the command line's.

A process that ends leaves its import where it was; whoever asks for it again goes on from there.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mongoengine import DateTimeField, DictField, Document, FloatField, IntField, StringField

from fhir_server.access import audit_record
from fhir_server.access.audit_border import REFUSED, recorded
from fhir_server.access.audit_spool import Spool
from fhir_server.access.context import OPERATIONS, AccessContext
from fhir_server.access.documents import documents, now
from fhir_server.errors import FhirError
from fhir_server.intake.roster import import_roster
from mappings.problems import UnreadableInput

if TYPE_CHECKING:
    from fhir_server.config import Config
    from fhir_server.repository import Repository

log = logging.getLogger(__name__)

SILENT = timedelta(minutes=2)
"""An import that gave no sign of life for so long has lost its process."""
SIGN_OF_LIFE = 30.0  # seconds
_GONE = {
    "vi": "Máy này không còn giữ tệp. Hãy chọn lại tệp: các dòng đã nhập không bị nhập hai lần.",
    "en": "The file is not on this machine any more. Hand it in again: rows that were imported are not imported twice.",
}
_one_at_a_time = threading.Lock()


class RosterUpload(Document):
    """One file. `state` is waiting, running, done or failed; `why` says in two languages why it failed."""

    id = StringField(primary_key=True)
    name = StringField(required=True)
    actor = StringField(required=True)
    received = DateTimeField(required=True)
    seen = DateTimeField(required=True)
    state = StringField(required=True, default="waiting")
    rows = IntField(required=True, default=0)
    share = FloatField(required=True, default=0.0)
    summary = DictField()
    why = DictField()

    meta = {"auto_create_index": False, "collection": "roster_uploads"}

    @property
    def stopped(self) -> bool:
        """Whether it is not finished and nobody works on it."""
        return self.state in ("waiting", "running") and bool(self.seen < now() - SILENT)


class Uploads:
    """The uploads of one server; their files lie below its data directory, for its own eyes."""

    def __init__(self, repository: Repository, config: Config) -> None:
        self._repository = repository
        self._directory = config.data / "uploads"
        self._spool = Spool(config.audit_spool) if config.audit else None

    def newest(self) -> Any:
        """The uploads, the newest first."""
        return self._documents().order_by("-received", "id")

    def get(self, id: str) -> RosterUpload | None:
        """One upload."""
        return self._documents().filter(id=id).first()

    def rejected(self, upload: RosterUpload) -> Path:
        """The CSV of its rejected rows; there is none before the import has begun."""
        return self._directory / f"{upload.id}.rejected.csv"

    def take(self, name: str, content: bytes, ctx: AccessContext) -> RosterUpload:
        """Keep a file, and begin to import it in the name of whoever hands it in."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        at = now()
        upload = RosterUpload(id=secrets.token_hex(8), name=name, actor=ctx.actor, received=at, seen=at)
        path = self._file(upload)
        path.touch(mode=0o600)
        path.write_bytes(content)
        self._documents().insert(upload, load_bulk=False)
        self.begin(upload, ctx)
        return upload

    def begin(self, upload: RosterUpload, ctx: AccessContext) -> threading.Thread:
        """Import it, or go on with it, in a thread of this process, with the rights of whoever asks for it now."""
        self._say(upload, state="waiting")
        thread = threading.Thread(target=self._work, args=(upload, ctx), name=f"upload {upload.id}", daemon=True)
        thread.start()
        return thread

    def _work(self, upload: RosterUpload, ctx: AccessContext) -> None:
        with self._turn(upload) as due:
            if not due:
                return
            try:
                with self._recorded(upload, ctx):
                    self._import(upload, ctx)
            except FileNotFoundError:
                self._say(upload, state="failed", why=_GONE)
            except UnreadableInput as error:
                self._say(upload, state="failed", why={"vi": error.reason_vi, "en": error.reason_en})
            except FhirError as error:
                self._say(upload, state="failed", why={"vi": str(error), "en": str(error)})
            except Exception as error:
                # The log is told what broke, not on which row: that may be personal.
                log.error("The import of upload %s broke: %s", upload.id, type(error).__qualname__)
                self._say(upload, state="failed", why={"vi": "Lỗi của hệ thống", "en": "A fault of the server"})

    def _import(self, upload: RosterUpload, ctx: AccessContext) -> None:
        self._say(upload, state="running")
        summary = import_roster(
            self._repository,
            # The importer has to recognise everybody: who hides a record must not come in a second time. So no
            # Consent is asked, and nobody is shown what it reads; the scopes of the account hold all the same.
            replace(ctx, purpose=OPERATIONS, denials=()),
            self._file(upload),
            named=upload.name,
            rejected_path=self.rejected(upload),
            progress=lambda rows, share: self._say(upload, rows=rows, share=share),
        )
        counts = {name: value for name, value in summary.as_document().items() if isinstance(value, int)}
        audit_record.counted(counts)
        self._say(upload, state="done", share=1.0, rows=summary.read, summary=counts)
        self._file(upload).unlink(missing_ok=True)

    @contextmanager
    def _turn(self, upload: RosterUpload) -> Iterator[bool]:
        """Wait, with a sign of life now and then, until no other list is imported: whether this one still is to be."""
        while not _one_at_a_time.acquire(timeout=SIGN_OF_LIFE):
            self._say(upload)
        try:
            current = self.get(upload.id)
            yield current is not None and current.state != "done"
        finally:
            _one_at_a_time.release()

    @contextmanager
    def _recorded(self, upload: RosterUpload, ctx: AccessContext) -> Iterator[None]:
        """In the audit trail, what the whole list came to: the request that handed it in has ended long before."""
        with recorded(self._spool, ctx, "import", "roster", failed=REFUSED) as record:
            if record is not None:
                record.bulk, record.details = True, {"file": upload.name}
            yield

    def _say(self, upload: RosterUpload, **change: Any) -> None:
        named = {f"set__{name}": value for name, value in change.items()}
        self._documents().filter(id=upload.id).update_one(set__seen=now(), **named)

    def _file(self, upload: RosterUpload) -> Path:
        return self._directory / f"{upload.id}{Path(upload.name).suffix.lower()}"

    def _documents(self) -> Any:
        return documents(self._repository.store.database, RosterUpload)
