"""Writes the table of docs/security.md anew: `python -m tests.access`."""

from __future__ import annotations

from tests.access.page import PAGE, written

if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{PAGE} is up to date.")
