"""The GIAMDINHHS envelope of QĐ 130/QĐ-BYT (amended by 4750 and 3176) read into visits, each a set of tables of texts.

Nothing here knows FHIR. XML is untrusted: no DOCTYPE, no entities, no network, bounded size and depth.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lxml import etree

from mappings.problems import Problem, UnreadableInput, problem
from mappings.qd130.decisions import ARCHIVED_TABLES
from mappings.qd130.places import ROW_ELEMENTS
from mappings.qd130.table import FieldRow, fields_of

MAX_BYTES = 10 * 1024 * 1024
MAX_DEPTH = 32
MAX_ROWS = 20_000

# A DOCTYPE is refused before libxml2 sees it in these encodings, and after it has seen it in rarer ones.
_DOCTYPES = tuple("<!DOCTYPE".encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be"))
_FACILITY = re.compile(r"[0-9A-Za-z]{1,10}")
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit as its facility sent it: field name -> text (NFC), of the fields that the mapping table calls mapped.

    `summary` is XML1, or XML0 for somebody who has only checked in; `source` says which. `rows` are the other tables.
    `record` is the position of its HOSO in the document, from 1, and `raw` that HOSO as XML.
    """

    facility: str
    ma_lk: str
    summary: Row
    rows: dict[str, list[Row]]
    remarks: tuple[Problem, ...] = ()
    source: str = "XML1"
    record: int = 1
    raw: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class RefusedVisit:
    """A visit that cannot be read; `ma_lk` is empty where not even that is known."""

    ma_lk: str
    facility: str
    problems: tuple[Problem, ...]
    record: int = 1


@dataclass(frozen=True, slots=True)
class Envelope:
    """What one GIAMDINHHS document holds."""

    facility: str
    visits: list[Visit]
    refused: list[RefusedVisit]


class _Refusal(Exception):
    def __init__(self, field: str, value: str, reason_vi: str, reason_en: str) -> None:
        self.problem = problem(field, value, reason_vi, reason_en)
        super().__init__(reason_en)


def read_envelope(xml: bytes) -> Envelope:
    """The visits in a document. Raises UnreadableInput when it is not a GIAMDINHHS document at all.

    One unreadable visit does not keep the others out; unknown tags and tables are tolerated and remarked upon.
    """
    root = parse_xml(xml)
    if _name(root) != "GIAMDINHHS":
        raise UnreadableInput(
            f"Phần tử gốc là {_name(root)[:40]}, cần GIAMDINHHS",
            f"the root element is {_name(root)[:40]}, not GIAMDINHHS",
        )
    facility = next((_text(element) for element in root.iter() if _name(element) == "MACSKCB"), "")
    visits: list[Visit] = []
    refused: list[RefusedVisit] = []
    records = (element for element in root.iter() if _name(element) == "HOSO")
    for position, record in enumerate(records, start=1):
        outcome = _visit(record, facility, position)
        if isinstance(outcome, Visit):
            visits.append(outcome)
        else:
            refused.append(outcome)
    if not visits and not refused:
        raise UnreadableInput("Tệp không có HOSO nào", "the document holds no HOSO")
    return Envelope(facility, visits, refused)


def parse_xml(data: bytes) -> etree._Element:
    """The root element of untrusted XML. Raises UnreadableInput: too large, not XML, a DOCTYPE, nested too deep."""
    if len(data) > MAX_BYTES:
        raise UnreadableInput("Tệp XML lớn hơn 10 MiB; hãy chia nhỏ", "the XML is larger than 10 MiB; split it")
    if any(mark in data for mark in _DOCTYPES):
        raise _doctype()
    parser = etree.XMLPullParser(
        events=("start", "end"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    depth = 0
    try:
        # In pieces, so that too deep a nesting is seen before the whole of it is built.
        for start in range(0, len(data), 65536):
            parser.feed(data[start : start + 65536])
            for event, _ in parser.read_events():
                depth += 1 if event == "start" else -1
                if depth > MAX_DEPTH:
                    raise UnreadableInput("XML lồng quá sâu", f"the XML is nested deeper than {MAX_DEPTH} levels")
        root = parser.close()
    except etree.XMLSyntaxError as error:
        line = error.lineno or 0
        raise UnreadableInput(f"XML sai cú pháp ở dòng {line}", f"the XML is malformed at line {line}") from None
    if not isinstance(root, etree._Element):
        raise UnreadableInput("Tệp rỗng", "the document is empty")
    if root.getroottree().docinfo.internalDTD is not None:
        raise _doctype()
    return root


def _doctype() -> UnreadableInput:
    return UnreadableInput("XML không được có DOCTYPE", "a DOCTYPE is not accepted")


def _visit(record: etree._Element, envelope_facility: str, position: int) -> Visit | RefusedVisit:
    ma_lk, facility = "", envelope_facility
    try:
        documents, remarks = _documents(record)
        source = next((table for table in ("XML1", "XML0") if table in documents), "")
        if not source:
            raise _Refusal(
                "XML1", "", "Hồ sơ không có bảng XML1 hay XML0", "the record has neither an XML1 nor an XML0 table"
            )
        # XML1 first, whatever the order: it names the visit that the other tables belong to.
        first = _rows(source, documents[source], remarks)
        summary = next(iter(first), {})
        ma_lk = summary.get("MA_LK", "")
        if not ma_lk or len(ma_lk) > 100:
            raise _Refusal(
                f"{source}/MA_LK", ma_lk, "Thiếu MA_LK hoặc dài quá 100", "MA_LK is missing or over 100 characters"
            )
        facility = summary.get("MA_CSKCB") or envelope_facility
        if not _FACILITY.fullmatch(facility):
            raise _Refusal(
                f"{source}/MA_CSKCB", facility, "Mã cơ sở KCB thiếu hoặc sai", "facility code missing or malformed"
            )
        if envelope_facility and facility != envelope_facility:
            remarks.append(_other_facility(source, facility, envelope_facility))
        rows = {
            table: _of_visit(table, _rows(table, root, remarks) if table != source else first, ma_lk, remarks)
            for table, root in documents.items()
            if table != "XML1"
        }
        return Visit(facility, ma_lk, summary, rows, tuple(remarks), source, position, etree.tostring(record))
    except _Refusal as refusal:
        return RefusedVisit(ma_lk, facility, (refusal.problem,), position)


def _other_facility(source: str, facility: str, envelope_facility: str) -> Problem:
    return problem(
        f"{source}/MA_CSKCB",
        facility,
        f"Khác với MACSKCB của tệp ({envelope_facility[:10]})",
        f"differs from the MACSKCB of the file ({envelope_facility[:10]})",
    )


def _documents(record: etree._Element) -> tuple[dict[str, etree._Element], list[Problem]]:
    """LOAIHOSO -> root of the decoded document, the first of each kind."""
    documents: dict[str, etree._Element] = {}
    remarks: list[Problem] = []
    for file in (element for element in record.iter() if _name(element) == "FILEHOSO"):
        parts = {_name(child): _text(child) for child in file}
        kind = parts.get("LOAIHOSO", "").upper().replace(" ", "")
        if kind in ARCHIVED_TABLES:
            continue
        if kind not in ROW_ELEMENTS:
            remarks.append(
                problem("LOAIHOSO", kind, "Bảng này chưa được chuyển sang FHIR", "this table is not mapped to FHIR")
            )
        elif kind in documents:
            remarks.append(
                problem("LOAIHOSO", kind, "Bảng lặp lại, chỉ đọc bảng đầu", "table repeated, the first is read")
            )
        else:
            documents[kind] = _decoded(kind, parts.get("NOIDUNGFILE", ""))
    return documents, remarks


def _decoded(kind: str, content: str) -> etree._Element:
    field = f"{kind}/NOIDUNGFILE"
    try:
        data = base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _Refusal(field, "", "Nội dung không phải base64", "the content is not base64") from None
    try:
        return parse_xml(data)
    except UnreadableInput as error:
        raise _Refusal(field, "", error.reason_vi, error.reason_en) from None


def _rows(table: str, root: etree._Element, remarks: list[Problem]) -> list[Row]:
    known = fields_of(table)
    rows: list[Row] = []
    unknown: set[str] = set()
    for element in (element for element in root.iter() if _name(element) == ROW_ELEMENTS[table]):
        if len(rows) >= MAX_ROWS:
            raise _Refusal(table, "", f"Bảng có hơn {MAX_ROWS} dòng", f"the table has more than {MAX_ROWS} rows")
        row: Row = {}
        for child in element:
            name = _name(child)
            if name not in known:
                unknown.add(name[:40])
            elif known[name].fate == "mapped":
                row.setdefault(name, _text(child))
        rows.append(row)
        remarks += _too_long(table, len(rows), row, known)
    for name in sorted(unknown):
        remarks.append(
            problem(f"{table}/{name}", "", "Thẻ không có trong quy định, đã bỏ qua", "unknown tag, not read")
        )
    return rows


def _too_long(table: str, position: int, row: Row, known: Mapping[str, FieldRow]) -> Iterator[Problem]:
    """Remarks on the fields of a row that are longer than the decision allows; they are read all the same."""
    for name, text in row.items():
        if 0 < known[name].longest < len(text):
            yield problem(
                f"{table}/{position}/{name}",
                text,
                f"Dài {len(text)} ký tự, quy định tối đa {known[name].longest}",
                f"{len(text)} characters, {known[name].longest} at most by the decision",
            )


def _of_visit(table: str, rows: list[Row], ma_lk: str, remarks: list[Problem]) -> list[Row]:
    """The rows of the visit: one that names another MA_LK would put a stranger's result into this record."""
    own = []
    for row in rows:
        if row.get("MA_LK") in (None, "", ma_lk):
            own.append(row)
        else:
            remarks.append(
                problem(
                    f"{table}/MA_LK", row["MA_LK"], "Dòng thuộc đợt khám khác, đã bỏ", "row of another visit, left out"
                )
            )
    return own


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _text(element: etree._Element) -> str:
    return unicodedata.normalize("NFC", "".join(_texts(element))).strip()


def _texts(element: etree._Element) -> Iterator[str]:
    for text in element.itertext():
        yield str(text)
