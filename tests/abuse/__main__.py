"""Writes docs/abuse.md anew: `python -m tests.abuse`."""

from __future__ import annotations

from tests.abuse.page import PAGE, written

if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
    print(f"{PAGE} is up to date.")
