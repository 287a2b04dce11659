"""Batches made ready in other processes are those that this process would make."""

from __future__ import annotations

import pytest

from fhir_server.access.context import AccessContext
from fhir_server.importing import Encoded
from fhir_server.intake.roster_preparing import MANY_ROWS, Preparing, ReadyRow, Work
from fhir_server.intake.tables import TextRow
from fhir_server.repository import Repository
from fhir_server.store.records import Store
from mappings.problems import problem
from mappings.roster import Layout, Refused, RosterSource
from seed.people import HEADER, people, tidy_row

WORK = Work(AccessContext.unrestricted("test"), Layout.from_header(HEADER), RosterSource())


def batches() -> list[list[TextRow]]:
    rows = [TextRow(line, [str(line), *tidy_row(each)], 0) for line, each in enumerate(people(60, 1), start=2)]
    rows[3].cells[3] = ""
    rows[5] = TextRow(7, [], 0, problem("", "", "hỏng", "broken"))
    rows[8].cells[2] = rows[7].cells[2]
    return [rows[start : start + 10] for start in range(0, 60, 10)]


def told(ready: ReadyRow | Refused, cells: list[str]) -> object:
    """What does not depend on the process: ids and moments do."""
    if isinstance(ready, Refused):
        return ready
    encoded: list[Encoded] = list(ready.encoded)
    return (
        ready.mapped(WORK, cells),
        ready.keys,
        ready.claims,
        ready.warnings,
        [(type, len(content)) for type, content in encoded],
    )


@pytest.mark.parametrize("rows", [60, MANY_ROWS], ids=["here", "in processes"])
def test_batches_come_in_order_with_what_became_of_their_rows(repository: Repository, store: Store, rows: int) -> None:
    assert store.uri
    with Preparing(repository, WORK, rows) as preparing:
        made = list(preparing.batches(batches()))
    assert [batch for batch, _ in made] == batches()
    ready = [each for _, several in made for each in several]
    assert [each.number for each in ready] == list(range(2, 62))
    assert [each.number for each in ready if isinstance(each, Refused)] == [5, 7]
    # Rows 9 and 10 share a card: which of them is whom is found out with both in view.
    assert [each.number for each in ready if isinstance(each, ReadyRow) and not each.encoded] == [9, 10]
    with Preparing(repository, WORK, 0) as here:
        for (batch, others), (_, several) in zip(here.batches(batches()), made, strict=True):
            for row, one, other in zip(batch, others, several, strict=True):
                assert told(one, row.cells) == told(other, row.cells)
