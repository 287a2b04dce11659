"""A facility asks for a record by showing a code; the citizen types or scans it and opens the record for half an hour.

The citizen sees the facility's name before agreeing, and nothing about the citizen goes to the facility until then.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from mongoengine import DateTimeField, Document, StringField

from fhir_server.citizen.card_code import CODE_LETTERS, MISREAD, SEPARATORS
from fhir_server.citizen.documents import documents, now

if TYPE_CHECKING:
    from fhir_server.repository import Repository

LENGTH = 8
ASKING_TIME = timedelta(hours=12)
"""How long a shown code can be used: a shift at the desk."""


class FacilityAsking(Document):
    """A code that a facility shows."""

    id = StringField(primary_key=True)
    facility = StringField(required=True)
    name = StringField(required=True)
    expires = DateTimeField(required=True)

    meta = {"auto_create_index": False}


def ask(repository: Repository, facility: str, name: str) -> str:
    """A new code for a facility (its MACSKCB and its name), to be shown as text and as the QR of `asking_link`."""
    code = "".join(secrets.choice(CODE_LETTERS) for _ in range(LENGTH))
    asking = FacilityAsking(id=code, facility=facility, name=name, expires=now() + ASKING_TIME)
    documents(repository, FacilityAsking).insert(asking, load_bulk=False)
    return code


def asking_link(public_url: str, code: str) -> str:
    """What a QR that a facility shows says."""
    return f"{public_url.rstrip('/')}/c/facility#{code}"


def shown_by(repository: Repository, facility: str) -> FacilityAsking | None:
    """The code that a facility shows now, the one that lasts longest; None when it shows none."""
    alive = documents(repository, FacilityAsking).filter(facility=facility, expires__gt=now())
    return alive.order_by("-expires").first()


def asking_of(repository: Repository, typed: str) -> FacilityAsking | None:
    """The facility behind a code as it was typed; None when it is not known or over."""
    code = typed[:40].translate(SEPARATORS).upper().translate(MISREAD)
    return documents(repository, FacilityAsking).filter(id=code, expires__gt=now()).first()
