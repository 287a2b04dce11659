"""XLSX files as rows of texts: read as a stream, and refused before they can unpack into more than is bearable.

https://openpyxl.readthedocs.io/en/stable/optimized.html#read-only-mode
"""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Iterator
from typing import IO, Any

from mappings.problems import UnreadableInput

# What a sheet holds at most, by its format; further columns are no roster's.
_ROWS, _COLUMNS = 1_048_576, 200
_PARTS = 2_000
# The texts that cells share are the one part that is kept in memory whole; the rows are a stream.
_SHARED_BYTES, _SHEET_BYTES, _OTHER_BYTES = 250_000_000, 3_000_000_000, 20_000_000


def sheet_rows(file: IO[bytes]) -> Iterator[list[str]]:
    """The rows of the first sheet, blank ones as empty lists. Raises UnreadableInput."""
    import openpyxl

    _bound(file)
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        # Some programs write a wrong size of the sheet, and rows would be cut by it.
        sheet.reset_dimensions()
        for row in sheet.iter_rows(max_row=_ROWS, max_col=_COLUMNS, values_only=True):
            cells = [_text(value) for value in row]
            while cells and not cells[-1]:
                cells.pop()
            yield cells
    except (KeyError, ValueError, IndexError, SyntaxError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise _unreadable() from error


def _bound(file: IO[bytes]) -> None:
    """Refuse what would unpack into too much. A part that lies of its size is cut there by `zipfile`."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
            if len(parts) > _PARTS:
                raise _too_large()
            for part in parts:
                if part.file_size > _limit(part.filename):
                    raise _too_large()
                if part.filename.endswith((".xml", ".rels")):
                    with archive.open(part) as opened:
                        beginning = opened.read(4_096)
                    if b"<!DOCTYPE" in beginning or b"<!ENTITY" in beginning:
                        raise _unreadable()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise _unreadable() from error


def _limit(name: str) -> int:
    if name.startswith("xl/worksheets/"):
        return _SHEET_BYTES
    return _SHARED_BYTES if name.endswith("sharedStrings.xml") else _OTHER_BYTES


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return value.date().isoformat()
    return str(value)


def _unreadable() -> UnreadableInput:
    return UnreadableInput(
        "Không đọc được tệp Excel; hãy lưu lại dạng XLSX hoặc CSV UTF-8",
        "the Excel file cannot be read; save it again as XLSX or as CSV UTF-8",
    )


def _too_large() -> UnreadableInput:
    return UnreadableInput(
        "Tệp Excel giải nén ra quá lớn; hãy lưu dạng CSV UTF-8 (có thể nén gzip)",
        "the Excel file unpacks into too much; save it as CSV UTF-8 (gzip is fine)",
    )
