"""A form that is not sent yet, kept on the server for the holder of the card until it is stored or a month is over.

Encrypted with a key of this server (JWE, dir and A256GCM, https://www.rfc-editor.org/rfc/rfc7516), so that a copy of the
collection alone tells nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from mongoengine import DateTimeField, Document, StringField

from fhir_server.citizen.documents import documents, now
from fhir_server.store.secrets import shared_secret

if TYPE_CHECKING:
    from fhir_server.citizen.sessions import CitizenSession
    from fhir_server.repository import Repository

KEPT = timedelta(days=30)


class Draft(Document):
    """The fields of one card's form about one person, unreadable without the server's key."""

    id = StringField(primary_key=True)
    form = StringField(required=True)
    expires = DateTimeField(required=True)

    meta = {"auto_create_index": False}


def keep_draft(repository: Repository, session: CitizenSession, form: Mapping[str, str]) -> None:
    """Keep the form as it is now in place of what was kept before."""
    header = {"alg": "dir", "enc": "A256GCM"}
    sealed = jwe.encrypt_compact(header, json.dumps(dict(form)).encode(), _key(repository))
    entry = documents(repository, Draft).filter(id=_id(session))
    entry.update_one(upsert=True, set__form=sealed, set__expires=now() + KEPT)


def kept_draft(repository: Repository, session: CitizenSession) -> dict[str, str] | None:
    """The form as it was kept, None when there is none."""
    entry = documents(repository, Draft).filter(id=_id(session)).first()
    if entry is None:
        return None
    try:
        opened = jwe.decrypt_compact(entry.form, _key(repository)).plaintext
    except JoseError:
        return None  # sealed with the key of another server: as good as gone
    form: dict[str, str] = json.loads(opened or b"{}")
    return form


def drop_draft(repository: Repository, session: CitizenSession) -> None:
    """Forget the form."""
    documents(repository, Draft).filter(id=_id(session)).delete()


def _id(session: CitizenSession) -> str:
    return f"{session.card}|{session.person}"


def _key(repository: Repository) -> OctKey:
    return OctKey.import_key(shared_secret(repository.store.database, "citizen-drafts"))
