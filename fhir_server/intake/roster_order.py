"""The order in which the rows of a roster are imported: the rows of one person together, as they stand in the file.

Rows that contradict each other would undo each other at every import, were they in different batches: together, the last
one wins and a second import finds nothing to do. So the file is read twice. The first reading notes which numbers stand
in several rows; what is noted lies in a temporary SQLite file, as hashes. Only rows that share a number take memory.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from types import TracebackType

from fhir_server.intake.tables import TextRow, read_rows
from mappings.problems import UnreadableInput
from mappings.roster import Layout, names_of

# Exports put a title above the header row.
_HEADER_WITHIN_ROWS = 20
_NOTED_AT_ONCE = 10_000


class RosterOrder(AbstractContextManager["RosterOrder"]):
    """The rows of one file. `rows` is how many it has, `layout` what its columns hold."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._database = sqlite3.connect("")  # a temporary file, which no other process can open
        self._database.execute("pragma journal_mode = off")
        self._database.execute("create table number (hash integer, row integer)")
        self._database.execute("create table row (person integer, row integer, share real, cells text)")
        self._person: dict[int, int] = {}
        try:
            self.layout = self._survey()
        except BaseException:
            self._database.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def batches(self, size: int) -> Iterator[list[TextRow]]:
        """All rows in batches of about `size`, the same ones each time: first those of people with one row.

        The rows of one person are in one batch, unless there are more of them than a batch holds.
        """
        text_rows = read_rows(self.path)
        find_header(text_rows)
        self._database.execute("delete from row")
        alone = (row for row in text_rows if not self._put_aside(row))
        while batch := list(islice(alone, size)):
            yield batch
        yield from self._together(size)

    def has(self, values: Iterable[str]) -> bool:
        """Whether any row of the file names one of these numbers."""
        hashes = [_hash(value) for value in values]
        marks = ",".join("?" * len(hashes))
        wanted = f"select 1 from number where hash in ({marks}) limit 1"
        return self._database.execute(wanted, hashes).fetchone() is not None

    def _survey(self) -> Layout:
        text_rows = read_rows(self.path)
        layout = find_header(text_rows)
        insert = "insert into number values (?, ?)"
        pending: list[tuple[int, int]] = []
        for row in text_rows:
            self.rows += 1
            pending += [(_hash(name), row.line) for name in names_of(layout, row.cells)]
            if len(pending) >= _NOTED_AT_ONCE:
                self._database.executemany(insert, pending)
                pending = []
        self._database.executemany(insert, pending)
        self._database.execute("create index by_hash on number (hash, row)")
        self._find_people()
        return layout

    def _find_people(self) -> None:
        """Rows that share a number are of one person, and so are rows that share another number with one of these."""
        previous: tuple[int, int] | None = None
        for found in self._database.execute("select hash, row from number order by hash, row"):
            if previous is not None and previous[0] == found[0]:
                one, other = sorted((self._first(previous[1]), self._first(found[1])))
                self._person[other] = self._person[one] = one
            previous = found
        for row in self._person:
            self._person[row] = self._first(row)

    def _first(self, row: int) -> int:
        while (before := self._person.get(row, row)) != row:
            row = before
        return row

    def _put_aside(self, row: TextRow) -> bool:
        person = self._person.get(row.line)
        if person is None:
            return False
        cells = json.dumps(row.cells, ensure_ascii=False)
        self._database.execute("insert into row values (?, ?, ?, ?)", (person, row.line, row.share, cells))
        return True

    def _together(self, size: int) -> Iterator[list[TextRow]]:
        batch: list[TextRow] = []
        last = 0
        for person, line, _, cells in self._database.execute("select * from row order by person, row"):
            if len(batch) >= size or (len(batch) >= size // 2 and person != last):
                yield batch
                batch = []
            batch.append(TextRow(line, json.loads(cells), 1.0))
            last = person
        if batch:
            yield batch


def find_header(rows: Iterator[TextRow]) -> Layout:
    """The layout of the header, which is among the first rows. Raises UnreadableInput."""
    failure = UnreadableInput("Tệp không có dòng nào", "the file has no rows")
    for row in islice(rows, _HEADER_WITHIN_ROWS):
        try:
            return Layout.from_header(row.cells)
        except UnreadableInput as error:
            failure = error
    raise failure


def file_hash(path: Path, *beside: Sequence[str] | str) -> str:
    """SHA-256 of what a file holds, and of what else decides what an import makes of it."""
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(json.dumps([content, *beside]).encode()).hexdigest()


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
