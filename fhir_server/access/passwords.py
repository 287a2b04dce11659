"""Passwords of accounts: argon2id, so many at once, and as much work for an unknown name as for a known one.

https://www.rfc-editor.org/rfc/rfc9106
"""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

PASSWORD_LENGTH = (12, 200)
HASHES_AT_ONCE = 2  # each takes 64 MiB and a core for some 50 ms
HASH_WAIT_SECONDS = 2.0

_hasher = PasswordHasher()
_hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)
NOBODY = _hasher.hash(secrets.token_urlsafe(32))
"""What the password of an unknown account is compared with, so that its refusal takes as long as any other."""


class AccountRefused(ValueError):
    """An account cannot be made or changed as asked; the message says why."""


class TooBusy(Exception):
    """More passwords are being checked than this process takes at once."""


def hashed(password: str) -> str:
    """What is stored of a password. Raises AccountRefused for one that is too short or too long."""
    shortest, longest = PASSWORD_LENGTH
    if not shortest <= len(password) <= longest:
        raise AccountRefused(f"A password has {shortest} to {longest} characters.")
    return _hasher.hash(password)


def verified(known: str, password: str) -> bool:
    """Whether a password is the one that was hashed. Raises TooBusy."""
    if not _hashing.acquire(timeout=HASH_WAIT_SECONDS):
        raise TooBusy
    try:
        return _hasher.verify(known, password[: PASSWORD_LENGTH[1] + 1])
    except (VerificationError, InvalidHashError):
        return False
    finally:
        _hashing.release()
