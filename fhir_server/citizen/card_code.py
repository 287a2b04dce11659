"""The 128 bits of a card as a code of letters and digits that is easy to read aloud and to type, and back."""

from __future__ import annotations

import base64
import binascii

# Crockford's base 32 leaves out I, L, O and U; what people write instead of a digit is read as that digit.
CODE_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 26
CODE_GROUP = 4
MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})
# Dashes that phone keyboards put in place of the hyphen are dropped with the blanks.
SEPARATORS = str.maketrans("", "", " \t\r\n.-\u2010\u2011\u2012\u2013\u2014")


def written(secret: bytes) -> str:
    """Seven groups of at most four letters, to be printed."""
    number = int.from_bytes(secret, "big")
    letters = "".join(CODE_LETTERS[number >> (5 * place) & 31] for place in reversed(range(CODE_LENGTH)))
    return "-".join(letters[start : start + CODE_GROUP] for start in range(0, CODE_LENGTH, CODE_GROUP))


def read(typed: str) -> bytes | None:
    """The 16 bytes behind a base64url token (22 characters) or a typed code (26), None for anything else."""
    token = typed.strip()
    if len(token) == 22:
        try:
            return base64.b64decode(token + "==", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
    letters = token.translate(SEPARATORS).upper().translate(MISREAD)
    if len(letters) != CODE_LENGTH or any(letter not in CODE_LETTERS for letter in letters):
        return None
    number = 0
    for letter in letters:
        number = number * 32 + CODE_LETTERS.index(letter)
    return number.to_bytes(17, "big")[1:] if number >> 128 == 0 else None
