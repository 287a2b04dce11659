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
    """A CSV of rejected rows, written as they come. It quotes personal data, so only its owner may read it."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> RejectionFile:
        if self._path is not None:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            # With a byte order mark, since that is how spreadsheets recognise UTF-8.
            self._file = os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")
            self._write(HEADER)
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
