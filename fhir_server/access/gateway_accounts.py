"""Accounts of facilities at the provincial gateway: a password kept as argon2id, and short-lived opaque tokens.

https://www.rfc-editor.org/rfc/rfc9106 (argon2id). Only hashes are stored: what lies in the database opens nothing.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from mongoengine import BooleanField, DateTimeField, Document, IntField, ListField, StringField
from mongoengine.errors import NotUniqueError
from mongoengine.queryset import QuerySet

from fhir_server.access.context import AccessContext
from fhir_server.access.documents import hash_of, now
from fhir_server.access.passwords import NOBODY, PASSWORD_LENGTH, AccountRefused, TooBusy, hashed, verified

__all__ = ["PASSWORD_LENGTH", "AccountRefused", "TooBusy"]

TOKEN_LIFETIME = timedelta(seconds=10_800)


class GatewayAccount(Document):
    """One facility's account. `version` goes up with every change that must end the tokens given out before."""

    id = StringField(primary_key=True)
    password_hash = StringField(required=True)
    unit_code = StringField(required=True)
    unit_name = StringField(required=True)
    facilities = ListField(StringField(), required=True)
    active = BooleanField(required=True, default=True)
    version = IntField(required=True, default=1)
    created = DateTimeField(required=True)

    meta = {"auto_create_index": False}

    @property
    def context(self) -> AccessContext:
        """The caller of what this account sends. Which facilities it may send for is checked before."""
        return AccessContext.unrestricted(f"facility:{self.id}")


class GatewayToken(Document):
    """A token that was given out; the id is a hash of it."""

    id = StringField(primary_key=True)
    account = StringField(required=True)
    account_version = IntField(required=True)
    expires = DateTimeField(required=True)

    meta = {"auto_create_index": False}


def ensure_indexes(database: Any) -> None:
    """MongoDB itself removes tokens that are over."""
    database["gateway_tokens"].create_index("expires", expireAfterSeconds=0)


def add_account(
    database: Any, username: str, password: str, *, unit_code: str, unit_name: str, facilities: list[str] | None = None
) -> None:
    """Make an account. `facilities` are the MACSKCB it may send for: the unit's own when not given.

    Raises AccountRefused.
    """
    if not username or len(username) > 100 or username != username.strip():
        raise AccountRefused("A user name has 1 to 100 characters and no blank at either end.")
    account = GatewayAccount(
        id=username,
        password_hash=hashed(password),
        unit_code=unit_code,
        unit_name=unit_name,
        facilities=facilities or [unit_code],
        created=now(),
    )
    try:
        _accounts(database).insert(account, load_bulk=False)
    except NotUniqueError:
        raise AccountRefused(f"There is an account {username} already.") from None


def set_password(database: Any, username: str, password: str) -> None:
    """Give an account another password and end its tokens. Raises AccountRefused."""
    _change(database, username, set__password_hash=hashed(password))


def set_active(database: Any, username: str, active: bool) -> None:
    """Close an account, which ends its tokens, or open it again. Raises AccountRefused."""
    _change(database, username, set__active=active)


def all_accounts(database: Any) -> list[GatewayAccount]:
    """Every account, by name."""
    return list(_accounts(database).order_by("id"))


def log_in(database: Any, username: str, password: str) -> str | None:
    """A new token; None alike for an unknown name, a wrong password and a closed account. Raises TooBusy."""
    account = _accounts(database).filter(id=username).first()
    known = account.password_hash if account is not None else NOBODY
    if not verified(known, password) or account is None or not account.active:
        return None
    token = secrets.token_urlsafe(32)
    given = GatewayToken(
        id=hash_of(token),
        account=account.id,
        account_version=account.version,
        expires=now() + TOKEN_LIFETIME,
    )
    _tokens(database).insert(given, load_bulk=False)
    return token


def account_of(database: Any, token: str) -> GatewayAccount | None:
    """The account a token speaks for; None when it is unknown, over, or its account was closed or changed."""
    given = _tokens(database).filter(id=hash_of(token), expires__gt=now()).first()
    if given is None:
        return None
    return _accounts(database).filter(id=given.account, version=given.account_version, active=True).first()


def _accounts(database: Any) -> QuerySet:
    return QuerySet(GatewayAccount, database["gateway_accounts"])


def _tokens(database: Any) -> QuerySet:
    return QuerySet(GatewayToken, database["gateway_tokens"])


def _change(database: Any, username: str, **change: Any) -> None:
    if not _accounts(database).filter(id=username).update_one(inc__version=1, **change):
        raise AccountRefused(f"There is no account {username}.")
