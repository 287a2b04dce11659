"""Writes docs/conformance.md anew: `python -m tests.conformance`."""

from __future__ import annotations

import sys

from tests.conformance.page import PAGE, written

if __name__ == "__main__":
    try:
        PAGE.write_text(written(), encoding="utf-8")
    except LookupError as error:
        sys.exit(str(error))
    print(f"{PAGE} is up to date.")
