"""The demo: a roster, clinic visits and self-declarations of invented people, and the generator that scales them.

The numbers are in ranges that are not issued (ten-digit numbers with 000 after the province). Nobody here exists.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def _folder() -> Path:
    # Wheels are installed as files, so what importlib finds is a folder.
    return Path(str(resources.files("seed")))


def roster_file() -> Path:
    """The demo roster, CSV."""
    return _folder() / "roster.csv"


def visit_files() -> list[Path]:
    """The demo visits, GIAMDINHHS XML, in order."""
    return sorted((_folder() / "visits").glob("*.xml"))


def self_declared_file() -> Path:
    """The demo answers to the citizens' form, JSON."""
    return _folder() / "self_declared.json"
