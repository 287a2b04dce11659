"""Delimited text files as people export them, as rows: flat memory, delimiter detected, bad quoting contained."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mappings.problems import UnreadableInput

_DELIMITERS = (",", ";", "\t")
# A quoted cell may hold line breaks. One that runs on longer than this has lost its closing quote.
_LONGEST_RECORD_LINES = 10
_LONGEST_LINE_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class TextRow:
    """One record: the number of its first line (1 = first line of the file) and its cells; `share` of the file read."""

    line: int
    cells: list[str]
    share: float


def read_rows(path: Path) -> Iterator[TextRow]:
    """The records of a UTF-8 file (with or without a byte order mark), blank ones left out.

    Raises UnreadableInput when the file is empty or not UTF-8 text.
    """
    size = path.stat().st_size
    if not size:
        raise UnreadableInput("Tệp rỗng", "the file is empty")
    delimiter = ""
    consumed = 0
    with path.open("rb") as file:
        for first, lines in _records(file):
            consumed += sum(len(line.encode()) for line in lines)
            delimiter = delimiter or max(_DELIMITERS, key=lines[0].count)
            if _quote_is_open(lines):
                # Give up on the quote, not on the rows it would swallow.
                parts = [(first + offset, line.replace('"', "")) for offset, line in enumerate(lines)]
            else:
                parts = [(first, "".join(lines))]
            for line, text in parts:
                cells = next(csv.reader([text], delimiter=delimiter), [])
                if any(cell.strip() for cell in cells):
                    yield TextRow(line, cells, min(consumed / size, 1.0))


def _records(file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """(number of the first line, lines) of each record; more than one line while a quote is open."""
    pending: list[str] = []
    number = 0
    while data := file.readline(_LONGEST_LINE_BYTES + 1):
        number += 1
        pending.append(_decoded(data, number))
        if not _quote_is_open(pending) or len(pending) >= _LONGEST_RECORD_LINES:
            yield number - len(pending) + 1, pending
            pending = []
    if pending:
        yield number - len(pending) + 1, pending


def _quote_is_open(lines: list[str]) -> bool:
    return sum(line.count('"') for line in lines) % 2 == 1


def _decoded(data: bytes, number: int) -> str:
    if len(data) > _LONGEST_LINE_BYTES or b"\0" in data:
        raise UnreadableInput(
            f"Dòng {number} không phải văn bản CSV; hãy xuất tệp dạng CSV UTF-8",
            f"line {number} is not CSV text; export the file as CSV UTF-8",
        )
    try:
        return data.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise UnreadableInput(
            f"Dòng {number} không phải mã UTF-8; hãy lưu tệp lại dạng CSV UTF-8",
            f"line {number} is not UTF-8; save the file as CSV UTF-8",
        ) from None
