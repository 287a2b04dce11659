"""Tables as people export them (CSV, XLSX, JSON lines, each perhaps gzipped), as rows: flat memory, bad rows contained.

Format, encoding and delimiter are told from the content, never from the name.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, TextIO

from fhir_server.intake.encodings import encoding_of
from fhir_server.intake.spreadsheets import sheet_rows
from mappings.names import clean
from mappings.problems import Problem, UnreadableInput, problem

_DELIMITERS = (",", ";", "\t", "|")
# A quoted cell may hold line breaks. One that runs on longer than this has lost its closing quote.
_LONGEST_RECORD_LINES = 10
_LONGEST_LINE = 100_000
_SAMPLE_BYTES = 65_536
_SAMPLE_LINES = 20
_MOST_KEYS = 500
# Text shrinks to a tenth or a thirtieth by gzip; what shrinks to less was made to fill a disk.
_GZIP_RATIO, _GZIP_FREE = 200, 100_000_000
_GZIP, _ZIP, _OLD_EXCEL = b"\x1f\x8b", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True, slots=True)
class TextRow:
    """One record: the number of its first line (1 = first line of the file) and its cells; `share` of the file read.

    `fault` says why a record cannot be read; it has no cells then.
    """

    line: int
    cells: list[str]
    share: float
    fault: Problem | None = None


def read_rows(path: Path) -> Iterator[TextRow]:
    """The records of a file, blank ones left out; of JSON lines the first is the names of the fields.

    Raises UnreadableInput when the file is empty or no table in a form that can be read.
    """
    size = path.stat().st_size
    if not size:
        raise UnreadableInput("Tệp rỗng", "the file is empty")
    with path.open("rb") as raw, _unpacked(raw, size) as file:
        beginning = file.read(_SAMPLE_BYTES)
        file.seek(0)
        for number, cells, fault in _records(file, beginning):
            if fault or any(cell.strip() for cell in cells):
                yield TextRow(number, cells, min(raw.tell() / size, 1.0), fault)


_Record = tuple[int, list[str], Problem | None]


def _records(file: IO[bytes], beginning: bytes) -> Iterator[_Record]:
    if beginning.startswith(_OLD_EXCEL):
        raise UnreadableInput(
            "Tệp Excel kiểu cũ (XLS); hãy lưu lại dạng XLSX hoặc CSV UTF-8",
            "an Excel file of the old kind (XLS), not CSV or XLSX; save it as XLSX or CSV UTF-8",
        )
    if beginning.startswith(_ZIP):
        for number, cells in enumerate(sheet_rows(file), start=1):
            yield number, cells, None
        return
    encoding = encoding_of(beginning)
    text = io.TextIOWrapper(file, encoding=encoding, errors="replace")
    sample = beginning.decode(encoding, errors="ignore").lstrip("\ufeff \t\r\n")
    if sample.startswith("{"):
        names = _names(_lines(text))
        text.seek(0)
        yield 0, names, None
        yield from _objects(_lines(text), names)
    else:
        lines = sample.splitlines()[:_SAMPLE_LINES]
        delimiter = max(_DELIMITERS, key=lambda each: max((line.count(each) for line in lines), default=0))
        yield from _delimited(_lines(text), delimiter)


@contextmanager
def _unpacked(raw: BinaryIO, size: int) -> Iterator[IO[bytes]]:
    beginning = raw.read(4)
    raw.seek(0)
    if not beginning.startswith(_GZIP):
        yield raw
        return
    try:
        with gzip.GzipFile(fileobj=raw) as file:
            packed: IO[bytes] = _Bounded(file, max(_GZIP_FREE, size * _GZIP_RATIO))
            if not packed.read(4).startswith(_ZIP):
                packed.seek(0)
                yield packed
                return
            packed.seek(0)
            with tempfile.TemporaryFile() as plain:  # what is in a ZIP is found from its end
                shutil.copyfileobj(packed, plain)
                plain.seek(0)
                yield plain
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableInput(
            "Tệp nén gzip bị hỏng hoặc thiếu phần cuối; hãy gửi lại tệp",
            "the gzip file is damaged or its end is missing; send the file again",
        ) from error


class _Bounded(io.BufferedReader):
    """What a gzip file unpacks into, up to a limit."""

    def __init__(self, file: gzip.GzipFile, limit: int) -> None:
        super().__init__(file)
        self._limit = limit

    def read1(self, size: int = -1) -> bytes:
        """Raises UnreadableInput behind the limit."""
        data = super().read1(size)
        self._check()
        return data

    def read(self, size: int | None = -1) -> bytes:
        """Raises UnreadableInput behind the limit."""
        data = super().read(size)
        self._check()
        return data

    def _check(self) -> None:
        if self.tell() > self._limit:
            raise UnreadableInput(
                "Tệp nén giải nén ra quá lớn; hãy gửi tệp không nén",
                "the gzip file unpacks into too much; send it unpacked",
            )


def _lines(text: TextIO) -> Iterator[tuple[int, str, Problem | None]]:
    """(number, line, what is wrong with it)."""
    number = 0
    while line := text.readline(_LONGEST_LINE):
        number += 1
        fault = None
        if len(line) == _LONGEST_LINE and not line.endswith("\n"):
            fault = problem("", "", f"Dòng dài hơn {_LONGEST_LINE} ký tự", f"longer than {_LONGEST_LINE} characters")
            while (rest := text.readline(_LONGEST_LINE)) and not rest.endswith("\n"):
                pass
        elif "\ufffd" in line or "\0" in line:
            fault = problem(
                "", "", "Dòng có ký tự không đọc được trong bảng mã của tệp", "not readable in the encoding of the file"
            )
        yield number, line.lstrip("\ufeff") if number == 1 else line, fault


def _delimited(lines: Iterator[tuple[int, str, Problem | None]], delimiter: str) -> Iterator[_Record]:
    """The records of delimited text; a record is more than one line while a quote is open."""
    pending: list[tuple[int, str]] = []
    for number, line, fault in lines:
        if fault:
            yield from _record(pending, delimiter)
            pending = []
            yield number, [], fault
            continue
        if not pending and '"' not in line:  # as nearly every one is: nothing for a parser to do
            plain = line.rstrip("\r\n")
            if "\r" not in plain:
                yield number, plain.split(delimiter) if plain else [], None
                continue
        pending.append((number, line))
        if not _quote_is_open(pending) or len(pending) >= _LONGEST_RECORD_LINES:
            yield from _record(pending, delimiter)
            pending = []
    yield from _record(pending, delimiter)


def _record(lines: list[tuple[int, str]], delimiter: str) -> Iterator[_Record]:
    if not lines:
        return
    if _quote_is_open(lines):
        # Give up on the quote, not on the rows it would swallow.
        parts = [(number, line.replace('"', "")) for number, line in lines]
    else:
        parts = [(lines[0][0], "".join(line for _, line in lines))]
    for number, text in parts:
        yield number, next(csv.reader([text], delimiter=delimiter), []), None


def _quote_is_open(lines: list[tuple[int, str]]) -> bool:
    return sum(line.count('"') for _, line in lines) % 2 == 1


def _names(lines: Iterator[tuple[int, str, Problem | None]]) -> list[str]:
    """The names that any of the objects has, in the order of their first appearance."""
    names: dict[str, None] = {}
    for _, line, fault in lines:
        found = _object(line) if not fault else None
        names.update(dict.fromkeys(found or ()))
        if len(names) > _MOST_KEYS:
            raise UnreadableInput(
                "Các dòng JSON có quá nhiều tên trường khác nhau", "the JSON lines have too many different fields"
            )
    return list(names)


def _objects(lines: Iterator[tuple[int, str, Problem | None]], names: list[str]) -> Iterator[_Record]:
    for number, line, fault in lines:
        found = None if fault else _object(line)
        if found is not None:
            yield number, [found.get(name, "") for name in names], None
        elif fault or line.strip():
            unread = problem("", line.strip(), "Dòng không phải một đối tượng JSON", "the line is not a JSON object")
            yield number, [], fault or unread


def _object(line: str) -> dict[str, str] | None:
    """name -> text of a JSON object of plain values; None when it is none."""
    try:
        found = json.loads(line, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or any(isinstance(value, dict | list) for value in found.values()):
        return None
    return {clean(name): "" if value is None else str(value) for name, value in found.items()}
