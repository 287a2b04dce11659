"""docs/abuse.md, made from the tests themselves: a row for each case, with what its test says of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "abuse.md"
LAST = 64
_NAME = re.compile(r"test_case_(\d\d)_\w+")
_HEAD = """# Abuse cases

What is tried against this server at every run of the tests, and the test that shows that it fails: over HTTP at a real server of
two workers with `FHIR_ACCESS=smart`, with real clients, tokens, cards and PINs. There are two patients, A and B, whose records
name each other; the attacker holds A's session or a `patient/*` token of A. No id, value or count of B may be in a body, header
or total, and where time could tell, the work of MongoDB is counted. What the numbers mean follows from the order: 1-24 the
compartment, 25-30 writes, 31-42 injection and parsing, 43-55 authentication, 56-64 reach and leaks.
`python -m tests.abuse.walk 20000` adds a random walk of A beside B. Made by `python -m tests.abuse`.

| case | what is tried, and what comes of it | test |
|---|---|---|
"""


class Case(NamedTuple):
    """One case and its test."""

    number: int
    said: str
    file: str
    test: str


def cases() -> list[Case]:
    """Every test of a case, by number."""
    found = []
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and (match := _NAME.fullmatch(node.name)):
                said = " ".join((ast.get_docstring(node) or "").split())
                found.append(Case(int(match[1]), said, path.name, node.name))
    return sorted(found)


def written() -> str:
    """The page."""
    rows = (f"| {each.number} | {each.said} | [`{each.test}`](../tests/abuse/{each.file}) |\n" for each in cases())
    return _HEAD + "".join(rows)
