"""docs/conformance.md: everything the server offers, each with the tests that prove it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.conformance.proofs import PROOFS
from tests.conformance.rows import SECTIONS, Row, Section

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "conformance.md"

_HEAD = """\
# What the server does, and what proves it

Made from the tables in the code by `python -m tests.conformance`; a test fails when this page is stale, when something
the server offers has no proof, or when a proof names a test that is not there. The proofs are in
`tests/conformance/proofs.py`; the searches and what they must find in `tests/conformance/search_cases.py`.

`python -m tests.clients` runs clients from the package registries against the real server process and prints what each
could do: fhirpy, fhirclient and fhir-pyrate for Python; fhir-kit-client, @medplum/core and fhirclient for JavaScript, the
last also as a page of another origin. It needs Node.js 20 or later, npm and the network, so it is not among the tests of
every change; `--environments DIR` keeps what it installs for the next run. What a program may ask is also told by
`/fhir/metadata` (with `mode=terminology` for terminology) and, as OpenAPI, by `/openapi.json`.
"""


def written() -> str:
    """The page. Raises LookupError naming every row without a proof and every proof without a test or a row."""
    problems = problems_of()
    if problems:
        raise LookupError("\n".join(problems))
    return "\n".join([_HEAD, *(_section(section) for section in SECTIONS)])


def problems_of() -> list[str]:
    """What keeps the page from being written: each in a sentence that says what to do."""
    offered = [row.key for section in SECTIONS for row in section.rows()]
    problems = [
        f"'{key}' has no proof: name the test that shows it in tests/conformance/proofs.py."
        for key in offered
        if not PROOFS.get(key)
    ]
    problems += [f"The server offers no '{key}' (any more): take its proof away." for key in PROOFS.keys() - {*offered}]
    for key, tests in PROOFS.items():
        for test in tests:
            path, _, name = test.partition("::")
            if name.partition("[")[0] not in _tests_in(path):
                problems.append(f"The proof of '{key}' is not there: {test}.")
    return problems


@cache
def _tests_in(path: str) -> frozenset[str]:
    """The names of the test functions of a file, methods included."""
    file = ROOT / "tests" / path
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return frozenset(name for name in functions if name.startswith("test_"))


def _section(section: Section) -> str:
    columns = (*section.columns, "proved by")
    lines = [f"## {section.title}", "", f"{section.url}", ""]
    lines += [_line(columns), _line(("---",) * len(columns))]
    lines += [_line((*row.cells, _links(row))) for row in section.rows()]
    return "\n".join([*lines, ""])


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _links(row: Row) -> str:
    parts = (test.partition("::") for test in PROOFS[row.key])
    return "<br>".join(f"[`{name}`](../tests/{path})" for path, _, name in parts)
