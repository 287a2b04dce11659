"""The file that tells people which rows were not taken and why, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import TextIO

from mappings.problems import Problem

HEADER = ("Dòng (row)", "Cột (field)", "Giá trị (value)", "Lý do", "Reason")


class RejectionFile:
    """A CSV of rejected rows, written as they come. It quotes personal data, so only its owner may read it.

    `kept` bytes of what an interrupted import has written are right; what is behind them is written anew.
    """

    def __init__(self, path: Path | None, *, header: tuple[str, ...] = HEADER, kept: int = 0) -> None:
        self._path = path
        self._header = header
        self._kept = kept
        self._file: TextIO | None = None

    def __enter__(self) -> RejectionFile:
        if self._path is not None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            os.fchmod(descriptor, 0o600)
            # With a byte order mark, since that is how spreadsheets recognise UTF-8.
            begun = 0 < self._kept <= os.fstat(descriptor).st_size
            os.ftruncate(descriptor, self._kept if begun else 0)
            self._file = os.fdopen(descriptor, "r+", encoding="utf-8" if begun else "utf-8-sig", newline="")
            self._file.seek(0, os.SEEK_END)
            if not begun:
                self._write(self._header)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, row: int, problems: Iterable[Problem]) -> None:
        """One line for each problem of a row."""
        for found in problems:
            self._write((str(row), found.field, found.value, found.reason_vi, found.reason_en))

    def line(self, cells: tuple[str, ...]) -> None:
        """One line of a file with another header."""
        self._write(cells)

    def size(self) -> int:
        """How many bytes have been written and handed to the system."""
        if self._file is None:
            return 0
        self._file.flush()
        return os.fstat(self._file.fileno()).st_size

    def cut(self, size: int) -> None:
        """Take back what is behind `size` bytes."""
        if self._file is not None:
            self._file.flush()
            self._file.truncate(size)
            self._file.seek(0, os.SEEK_END)

    def _write(self, cells: tuple[str, ...]) -> None:
        if self._file is not None:
            csv.writer(self._file).writerow([harmless(cell) for cell in cells])


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def element_of(expression: str) -> str:
    """The element that an issue of a transaction names, without its place in a bundle the sender never saw."""
    return expression.rpartition(".resource.")[2]
