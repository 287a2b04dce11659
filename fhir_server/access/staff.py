"""Accounts of staff at the desk: a password kept as argon2id, a facility, and roles that come down to scopes.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html: a role grants nothing but what these
scopes say, and the door enforces them as it does those of an access token.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from mongoengine import BooleanField, DateTimeField, Document, IntField, ListField, StringField
from mongoengine.errors import NotUniqueError

from ..r4 import RESOURCE_TYPES
from . import audit_record
from .context import EMERGENCY, TREATMENT, AccessContext
from .documents import documents, hash_of, new_secret, now
from .passwords import NOBODY, AccountRefused, hashed, verified
from .scopes import parse_all
from .sensitivity import RESTRICTED

IDLE = timedelta(minutes=30)
EMERGENCY_TIME = timedelta(minutes=30)
"""How long what is declared an emergency lasts."""

_CARE = (
    *("AllergyIntolerance", "CarePlan", "Condition", "DiagnosticReport", "Encounter", "Immunization"),
    *("MedicationAdministration", "MedicationRequest", "MedicationStatement", "Observation", "Procedure"),
    *("QuestionnaireResponse", "ServiceRequest"),
)
_DIRECTORY = "user/Organization.rs user/Practitioner.rs user/Location.rs user/Medication.rs"
_REGISTERING = "user/Patient.crus user/Coverage.crus user/Task.crus user/RelatedPerson.crus user/Consent.rs"

ROLES: dict[str, str] = {
    "registrar": f"{_REGISTERING} {_DIRECTORY}",
    "clinician": " ".join(f"user/{type}.crus" for type in _CARE)
    + f" user/Patient.rs user/Coverage.rs user/Consent.rs user/DocumentReference.rs {_DIRECTORY}",
    "auditor": "user/AuditEvent.rs user/Patient.rs",
    "integrator": " ".join(f"user/{type}.crus" for type in RESOURCE_TYPES if type != "AuditEvent"),
    "admin": f"{_REGISTERING} {_DIRECTORY}",
}
"""role -> the scopes it grants. https://hl7.org/fhir/R4/security.html#rbac"""


class StaffAccount(Document):
    """One member of staff. `version` goes up with every change that must end the sessions begun before.

    `narrowed` limits it to the patients of its facility, `break_glass` lets it see others in an emergency.
    """

    id = StringField(primary_key=True)
    password_hash = StringField(required=True)
    roles = ListField(StringField(), required=True)
    facility = StringField(default="")
    narrowed = BooleanField(default=False)
    break_glass = BooleanField(default=False)
    labels = ListField(StringField())
    active = BooleanField(required=True, default=True)
    version = IntField(required=True, default=1)
    created = DateTimeField(required=True)

    meta = {"auto_create_index": False, "collection": "staff_accounts"}

    def context(self, origin: str, emergency: str = "") -> AccessContext:
        """The caller of what is done in this account's name, from a network address; `emergency` is why the glass is broken."""
        return AccessContext(
            actor=f"staff:{self.id}",
            scopes=parse_all(" ".join(ROLES[role] for role in self.roles)),
            labels=frozenset(self.labels),
            facility=self.facility or None,
            narrowed=bool(self.narrowed),
            purpose=EMERGENCY if emergency else TREATMENT,
            reason=emergency,
            origin=origin,
        )


class StaffSession(Document):
    """A log-in that lasts; the id is a hash of the cookie, so that what is stored opens nothing."""

    id = StringField(primary_key=True)
    account = StringField(required=True)
    account_version = IntField(required=True)
    expires = DateTimeField(required=True)
    emergency = StringField(default="")
    emergency_until = DateTimeField()

    meta = {"auto_create_index": False, "collection": "staff_sessions"}


class Emergency(NamedTuple):
    """Why the glass is broken in a session, and until when."""

    reason: str
    until: datetime


def ensure_indexes(database: Any) -> None:
    """MongoDB itself removes sessions that are over."""
    database["staff_sessions"].create_index("expires", expireAfterSeconds=0)


def add_account(
    database: Any,
    name: str,
    password: str,
    *,
    roles: list[str],
    facility: str = "",
    labels: list[str] | None = None,
    narrowed: bool = False,
    break_glass: bool = False,
) -> None:
    """Make an account. `labels` are the restricted security labels it may see. Raises AccountRefused."""
    if not 1 <= len(name) <= 60 or not name.isascii() or not name.replace(".", "").replace("-", "").isalnum():
        raise AccountRefused("A name has 1 to 60 letters a-z, digits, dots and hyphens.")
    unknown = sorted({*roles} - ROLES.keys())
    if unknown or not roles:
        raise AccountRefused(f"The roles are {', '.join(ROLES)}" + (f", not {', '.join(unknown)}." if unknown else "."))
    unknown = sorted({*(labels or ())} - RESTRICTED)
    if unknown:
        raise AccountRefused(f"The restricted labels are {', '.join(sorted(RESTRICTED))}, not {', '.join(unknown)}.")
    if narrowed and {*roles} != {"clinician"}:
        # Who registers people has to find everybody, or enters them a second time.
        raise AccountRefused("Narrowed to the facility's own patients: for the role clinician alone.")
    if break_glass and "clinician" not in roles:
        raise AccountRefused("Breaking the glass is for clinicians.")
    if narrowed and not facility:
        raise AccountRefused("Narrowed to the facility's own patients: then the facility's code is needed.")
    account = StaffAccount(
        id=name,
        password_hash=hashed(password),
        roles=[*dict.fromkeys(roles)],
        facility=facility,
        narrowed=narrowed,
        break_glass=break_glass,
        labels=labels or [],
        created=now(),
    )
    try:
        documents(database, StaffAccount).insert(account, load_bulk=False)
    except NotUniqueError:
        raise AccountRefused(f"There is an account {name} already.") from None


def set_password(database: Any, name: str, password: str) -> None:
    """Give an account another password and end its sessions. Raises AccountRefused."""
    _change(database, name, set__password_hash=hashed(password))


def set_active(database: Any, name: str, active: bool) -> None:
    """Close an account, which ends its sessions, or open it again. Raises AccountRefused."""
    _change(database, name, set__active=active)


def all_accounts(database: Any) -> list[StaffAccount]:
    """Every account, by name."""
    return list(documents(database, StaffAccount).order_by("id"))


def log_in(database: Any, name: str, password: str) -> tuple[str, StaffAccount] | None:
    """(secret for the cookie, account); None alike for an unknown name, a wrong password and a closed account.

    Whoever calls this has spent an attempt before. Raises TooBusy.
    """
    audit_record.tried("login", f"staff:{name}")
    account = documents(database, StaffAccount).filter(id=name).first()
    known = account.password_hash if account is not None else NOBODY
    if not verified(known, password) or account is None or not account.active:
        return None
    secret = new_secret()
    session = StaffSession(
        id=hash_of(secret), account=account.id, account_version=account.version, expires=now() + IDLE
    )
    documents(database, StaffSession).insert(session, load_bulk=False)
    return secret, account


def account_of(database: Any, secret: str | None) -> StaffAccount | None:
    """The account behind a cookie, kept alive for another 30 minutes; None when the session or the account ended."""
    found = visit_of(database, secret)
    return found[0] if found else None


def visit_of(database: Any, secret: str | None) -> tuple[StaffAccount, Emergency | None] | None:
    """The same account, and the emergency that was declared in its session while that lasts."""
    if not secret:
        return None
    at: datetime = now()
    alive = documents(database, StaffSession).filter(id=hash_of(secret), expires__gt=at)
    session = alive.modify(new=True, set__expires=at + IDLE)
    if session is None:
        return None
    account = (
        documents(database, StaffAccount)
        .filter(id=session.account, version=session.account_version, active=True)
        .first()
    )
    if account is None:
        return None
    lasts = session.emergency and account.break_glass and session.emergency_until > at
    return account, Emergency(session.emergency, session.emergency_until) if lasts else None


def declare_emergency(database: Any, secret: str | None, reason: str) -> None:
    """Break the glass in a session for EMERGENCY_TIME; a reason of "" ends it."""
    change = {"set__emergency": reason, "set__emergency_until": now() + EMERGENCY_TIME}
    documents(database, StaffSession).filter(id=hash_of(secret or "")).update_one(**change)


def log_out(database: Any, secret: str | None) -> None:
    """Forget the session behind a cookie, if there is one."""
    if secret:
        documents(database, StaffSession).filter(id=hash_of(secret)).delete()


def form_token(secret: str) -> str:
    """The value a form must carry to count as sent from our own page: derived from the cookie, useless without it."""
    return hmac.new(secret.encode("utf-8", "surrogatepass"), b"desk form", "sha256").hexdigest()


def form_token_matches(secret: str | None, sent: str | None) -> bool:
    """Whether a form was made by this browser's own page."""
    return bool(secret and sent) and hmac.compare_digest(
        form_token(secret or "").encode(), (sent or "").encode("utf-8", "replace")
    )


def _change(database: Any, name: str, **change: Any) -> None:
    if not documents(database, StaffAccount).filter(id=name).update_one(inc__version=1, **change):
        raise AccountRefused(f"There is no account {name}.")
