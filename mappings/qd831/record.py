"""A QĐ 831 document as texts, read from untrusted XML and written again. Nothing here knows FHIR."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from mappings.giamdinhhs import parse_xml
from mappings.problems import Problem, UnreadableInput, problem
from mappings.qd831.table import HEADER, OF_A_VISIT, REPEATED, VISIT, fields, fields_of

MAX_ROWS = 2_000
Row = dict[str, str]


@dataclass(slots=True)
class RecordedVisit:
    """One visit of a record: its own fields, and the rows below it by path.

    QĐ 831 has no prescriptions; other messages that are read into a record do.
    """

    fields: Row = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    prescriptions: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class HealthRecord:
    """A person's record: path -> field -> text for what stands once, path -> rows for what is listed.

    Texts are NFC and never empty; only fields that the table calls mapped are here.
    """

    single: dict[str, Row] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    visits: list[RecordedVisit] = field(default_factory=list)

    def of(self, path: str) -> Row:
        """The fields of an element that stands once; empty when it is not there."""
        return self.single.get(path, {})


def read_record(xml: bytes) -> tuple[HealthRecord, list[Problem]]:
    """The record in a document, and remarks on what was not read. Raises UnreadableInput."""
    root = parse_xml(xml)
    body = root.find("BODY/HOSOSUCKHOE") if root.tag == "DATA" else None
    if body is None:
        raise UnreadableInput(
            "Cần DATA/BODY/HOSOSUCKHOE theo QĐ 831", "the document is no DATA/BODY/HOSOSUCKHOE of QĐ 831"
        )
    remarks: list[Problem] = []
    record = HealthRecord()
    for path in _SINGLE:
        element = root.find(path) if path == HEADER else body.find(path)
        if element is not None and (row := _row(path, element, remarks)):
            record.single[path] = row
    for path in REPEATED:
        if rows := list(_rows(path, body.findall(path), remarks)):
            record.rows[path] = rows
    for element in _bounded(VISIT, body.findall(VISIT)):
        visit = RecordedVisit(_row(VISIT, element, remarks))
        for path in OF_A_VISIT:
            if rows := list(_rows(path, element.findall(path.removeprefix(f"{VISIT}/")), remarks)):
                visit.rows[path] = rows
        if visit.fields or visit.rows:
            record.visits.append(visit)
    return record, list(dict.fromkeys(remarks))


_SINGLE = tuple(
    dict.fromkeys(
        row.path for row in fields() if row.path not in (*REPEATED, *OF_A_VISIT, VISIT) and row.fate == "mapped"
    )
)
# Elements that are there to hold others.
_CONTAINERS = {part for row in fields() for part in row.path.split("/")}


def _rows(path: str, elements: list[etree._Element], remarks: list[Problem]) -> Iterator[Row]:
    for element in _bounded(path, elements):
        if row := _row(path, element, remarks):
            yield row


def _bounded(path: str, elements: list[etree._Element]) -> list[etree._Element]:
    if len(elements) > MAX_ROWS:
        raise UnreadableInput(f"{path}: hơn {MAX_ROWS} dòng", f"{path}: more than {MAX_ROWS} rows")
    return elements


def _row(path: str, element: etree._Element, remarks: list[Problem]) -> Row:
    known = fields_of(path)
    row: Row = {}
    for child in element:
        name = str(child.tag)
        if name not in known:
            if name not in _CONTAINERS:
                remarks.append(
                    problem(
                        f"{path}/{name[:40]}", "", "Thẻ không có trong quy định, đã bỏ qua", "unknown tag, not read"
                    )
                )
        elif known[name].fate == "mapped" and (text := _text(child)):
            row.setdefault(name, text)
    return row


def _text(element: etree._Element) -> str:
    return unicodedata.normalize("NFC", "".join(str(text) for text in element.itertext())).strip()


def to_xml(record: HealthRecord) -> bytes:
    """The record as a QĐ 831 document in UTF-8, its elements in the published order."""
    root = etree.Element("DATA")
    _write(etree.SubElement(root, HEADER), HEADER, {"MESSAGE_VERSION": "1.0", **record.of(HEADER), "ACTION_TYPE": "0"})
    body = etree.SubElement(etree.SubElement(root, "BODY"), "HOSOSUCKHOE")
    for path in dict.fromkeys(row.path for row in fields()):
        if path in REPEATED:
            _write_rows(body, path, record.rows.get(path, []))
        elif path == VISIT:
            for visit in record.visits:
                element = _made(body, VISIT)
                _write(element, VISIT, visit.fields)
                for below in OF_A_VISIT:
                    _write_rows(element, below, visit.rows.get(below, []), above=VISIT)
        elif path != HEADER and record.of(path):
            _write(_holder(body, path), path, record.of(path))
    etree.SubElement(etree.SubElement(root, "SECURITY"), "SIGNATURE")
    xml: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return xml


def _write_rows(parent: etree._Element, path: str, rows: list[Row], *, above: str = "") -> None:
    for row in rows:
        _write(_made(parent, path.removeprefix(f"{above}/")), path, row)


def _write(element: etree._Element, path: str, row: Row) -> None:
    for name in fields_of(path):
        if name in row:
            etree.SubElement(element, name).text = "".join(letter for letter in row[name] if _allowed(letter))


def _allowed(letter: str) -> bool:
    """Whether XML 1.0 has the character: https://www.w3.org/TR/xml/#charsets"""
    return letter in "\t\n\r" or (letter >= " " and not "\ud800" <= letter <= "\udfff" and letter not in "\ufffe\uffff")


def _made(parent: etree._Element, path: str) -> etree._Element:
    """A new element at the end of a path whose other elements are made where they are not there."""
    above, _, name = path.rpartition("/")
    return etree.SubElement(_holder(parent, above) if above else parent, name)


def _holder(parent: etree._Element, path: str) -> etree._Element:
    found = parent
    for name in path.split("/"):
        below = found.find(name)
        found = etree.SubElement(found, name) if below is None else below
    return found
