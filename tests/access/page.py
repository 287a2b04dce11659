"""The table of docs/security.md that is made from the proofs: the text around it is written by hand."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.access.proofs import SECTIONS

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- made by python -m tests.access -->\n", "<!-- end -->"
_SPECIFICATION = "https://hl7.org/fhir/smart-app-launch/STU2.2/"


def table() -> str:
    """What every demand is proved by, as Markdown."""
    lines = []
    for (title, where), rows in SECTIONS.items():
        lines += [f"### {title}", "", f"[{where}]({_SPECIFICATION}{where})", "", "| demand | test |", "|---|---|"]
        for demand, test in rows:
            file, _, name = test.partition("::")
            lines.append(f"| {demand} | [`{name}`](../tests/access/{file}) |")
        lines.append("")
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with its table made anew. Raises ValueError when the page has lost the marks around it."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE} has no {BEGIN.strip()} … {END}")
    return f"{before}{BEGIN}\n{table()}{END}{after}"


def missing() -> list[str]:
    """Proofs that name a test which is not there."""
    tests = [test for rows in SECTIONS.values() for _, test in rows]
    return [test for test in tests if test.partition("::")[2] not in _tests_in(test.partition("::")[0])]


@cache
def _tests_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / "access" / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))
