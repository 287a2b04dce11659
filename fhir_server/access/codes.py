"""What an app launch keeps between its steps: the consent that is asked for, and the authorization code.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code and, for PKCE,
https://www.rfc-editor.org/rfc/rfc7636. Both are used once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import timedelta
from typing import Any

from mongoengine import DateTimeField, Document, IntField, StringField

from .documents import documents, hash_of, new_secret, now
from .tokens import Authorization, end_family

CODE_LIFETIME = timedelta(seconds=60)
CONSENT_LIFETIME = timedelta(minutes=5)
# A code is remembered beyond its use, so that a second use is known for what it is.
REMEMBERED = timedelta(minutes=10)

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class Launch(Document):
    """One launch: from the log-in on as a consent page that waits, then as a code that waits."""

    id = StringField(primary_key=True)
    kind = StringField(required=True)
    client = StringField(required=True)
    redirect_uri = StringField(required=True)
    state = StringField(required=True)
    challenge = StringField(required=True)
    family = StringField(required=True)
    scope = StringField(required=True)
    patient = StringField(required=True)
    card = StringField(required=True)
    card_version = IntField(required=True)
    used = DateTimeField()
    valid = DateTimeField(required=True)
    expires = DateTimeField(required=True)

    meta = {"collection": "smart_launches", "auto_create_index": False}

    @property
    def authorization(self) -> Authorization:
        """What is granted with it."""
        return Authorization(self.family, self.scope, self.patient, self.card, self.card_version)


_AGREED = ("client", "redirect_uri", "state", "challenge", "family", "scope", "patient", "card", "card_version")


def ensure_indexes(database: Any) -> None:
    """MongoDB removes what is over."""
    database[Launch._get_collection_name()].create_index("expires", expireAfterSeconds=0)


def await_consent(database: Any, given: Authorization, **request: str) -> str:
    """Keep a launch whose person has logged in; the answer is the secret of its consent page.

    `request` holds client, redirect_uri, state and challenge.
    """
    secret, valid = new_secret(), now() + CONSENT_LIFETIME
    launch = Launch(
        id=hash_of(secret),
        kind="consent",
        family=given.family,
        scope=given.scope,
        patient=given.patient,
        card=given.card,
        card_version=given.card_version,
        valid=valid,
        expires=valid,
        **request,
    )
    documents(database, Launch).insert(launch, load_bulk=False)
    return secret


def decide(database: Any, secret: str) -> Launch | None:
    """The launch behind a consent page, taken away: a decision is made once."""
    found = documents(database, Launch).filter(id=hash_of(secret), kind="consent", valid__gt=now())
    return found.modify(remove=True)


def issue_code(database: Any, launch: Launch) -> str:
    """The code that the app exchanges for its tokens within a minute."""
    code, at = new_secret(), now()
    agreed = {name: getattr(launch, name) for name in _AGREED}
    given = Launch(id=hash_of(code), kind="code", valid=at + CODE_LIFETIME, expires=at + REMEMBERED, **agreed)
    documents(database, Launch).insert(given, load_bulk=False)
    return code


def redeem(database: Any, code: str, *, client: str, redirect_uri: str, verifier: str) -> Authorization | None:
    """What a code stands for; None unless the client, the redirect URI and the PKCE verifier are those of its launch.

    A code is spent by the attempt, right or wrong; one that comes again ends the tokens it gave.
    """
    launch = documents(database, Launch).filter(id=hash_of(code), kind="code", used=None).modify(set__used=now())
    if launch is None:
        reused = documents(database, Launch).filter(id=hash_of(code), kind="code").modify(remove=True)
        if reused is not None:
            end_family(database, reused.family)
        return None
    fits = launch.client == client and launch.redirect_uri == redirect_uri and _verifies(verifier, launch.challenge)
    return launch.authorization if fits and launch.valid > now() else None


def is_remembered(database: Any, code: str) -> bool:
    """Whether a code was not used again meanwhile: asked after tokens were issued for it, so that none outlives that."""
    return bool(documents(database, Launch).filter(id=hash_of(code), kind="code").count())


def _verifies(verifier: str, challenge: str) -> bool:
    if not _VERIFIER.fullmatch(verifier):
        return False
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"), challenge)
