"""The mapping of QĐ 130 against its own table: every field has a fate, and every mapped field arrives where it says."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from mappings.giamdinhhs import Visit, read_envelope
from mappings.qd130.places import ROW_PATHS, place_of
from mappings.qd130.table import FieldRow, fates, fields
from mappings.report import PAGE, page, summary
from mappings.visits import mapped, patient_from_visit
from tests.profiles.kept import check

MAPPED = [row for row in fields() if row.fate == "mapped"]
FACILITY = "79001"
MA_LK = "LK-7"

# Fields whose values have a form; any other gets a text that names the field.
_FORMED = {
    "MA_LK": (MA_LK, MA_LK),
    "MA_CSKCB": (FACILITY, FACILITY),
    "SO_CCCD": ("079185000123", "079185000123"),
    "MA_THE_BHYT": ("GD4797900000123", "GD4797900000123"),
    "MA_DKBD": ("79025", "79025"),
    "NGAY_SINH": ("198509020000", "1985-09-02"),
    "GIOI_TINH": ("2", "female"),
    "GT_THE_TU": ("20260103", "2026-01-03"),
    "GT_THE_DEN": ("20261229", "2026-12-29"),
    "MATINH_CU_TRU": ("79", "79"),
    "MAHUYEN_CU_TRU": ("760", "760"),
    "MAXA_CU_TRU": ("26740", "26740"),
    "DIEN_THOAI": ("0900000123", "0900000123"),
    "NAM_NAM_LIEN_TUC": ("20301104", "2030-11-04"),
    "NGAY_TAI_KHAM": ("20270105", "2027-01-05"),
    "MA_KHUVUC": ("K2", "K2"),
    "MA_LOAI_KCB": ("03", "03"),
    "MA_NHOM": ("8", "8"),
    "KET_QUA_DTRI": ("4", "4"),
    "MA_LOAI_RV": ("2", "2"),
    "MA_BENH_CHINH": ("J02.9", "J02.9"),
    "MA_BENH_KT": ("I10", "I10"),
    "MA_BENH_YHCT": ("U50.011", "U50.011"),
    "MA_BENH": ("K29.7", "K29.7"),
    "MA_DANTOC": ("21", "21"),
    "MA_NGHE_NGHIEP": ("22110", "22110"),
    "NHOM_MAU": ("AB-", "AB-"),
    "CAN_NANG": ("52.50", "52.50"),
    "CAN_NANG_CON": ("3150", "3150"),
    "SO_NGAY_DTRI": ("6", "6"),
    "GIA_TRI": ("13.17", "13.17"),
    "SO_LUONG": ("15.5", "15.5"),
    "CHAN_DOAN_VAO": ("Sốt chưa rõ", "Sốt chưa rõ"),
    "CHAN_DOAN_RV": ("Viêm họng; Tăng huyết áp", "Tăng huyết áp"),
    "NGAY_VAO": ("202611200810", "2026-11-20T08:10:00+07:00"),
    "NGAY_VAO_NOI_TRU": ("202611200915", "2026-11-20T09:15:00+07:00"),
    "NGAY_RA": ("202611241630", "2026-11-24T16:30:00+07:00"),
    "NGAY_YL": ("202611201041", "2026-11-20T10:41:00+07:00"),
    "NGAY_TH_YL": ("202611201042", "2026-11-20T10:42:00+07:00"),
    "NGAY_KQ": ("202611201043", "2026-11-20T10:43:00+07:00"),
    "THOI_DIEM_DBLS": ("202611201044", "2026-11-20T10:44:00+07:00"),
    "NGAY_CT": ("20261125", "2026-11-25"),
    "DON_VI_DO": ("g/dL", "g/dL"),
}
# Texts that XML7 and XML8 quote in a section.
_QUOTED = "Composition.section.text.div"
# The same service in XML3 and XML4: the results belong to the report of what was ordered.
_SERVICE = "18.0001.0001"


def probe(row: FieldRow) -> tuple[str, str]:
    """What the field is given, and what it is to become."""
    if row.field == "STT":
        return "41", f"{MA_LK}/{row.table}/41"
    if row.field == "MA_LK" and row.table not in ("XML0", "XML1"):
        text = {"XML7": "/1", "XML8": "/1"}.get(row.table, "/41")
        return MA_LK, f"{MA_LK}/{row.table}{text}"
    if row.field == "MA_DICH_VU" and row.table in ("XML3", "XML4"):
        return _SERVICE, _SERVICE
    if row.path == _QUOTED and row.field not in _FORMED:
        return f"~{row.table} {row.field}", f"~{row.table} {row.field}"
    if row.table in ("XML7", "XML8") and row.field == "CHAN_DOAN_RV":
        return "Viêm họng", "Viêm họng"
    return _FORMED.get(row.field, (f"p-{row.field[:9]}{row.table[3:]}",) * 2)  # distinct within any one path


def document(tables: tuple[str, ...], without: str = "") -> bytes:
    """A GIAMDINHHS with one row of each table, every mapped field filled; `without` names a field left out."""
    files = ""
    for table in tables:
        cells = "".join(
            f"<{row.field}>{probe(row)[0]}</{row.field}>"
            for row in MAPPED
            if row.table == table and f"{table}/{row.field}" != without
        )
        *outer, element = ROW_PATHS[table].split("/")
        body = f"<{element}>{cells}</{element}>"
        for tag in reversed(outer):
            body = f"<{tag}>{body}</{tag}>"
        content = base64.b64encode(body.encode()).decode()
        files += f"<FILEHOSO><LOAIHOSO>{table}</LOAIHOSO><NOIDUNGFILE>{content}</NOIDUNGFILE></FILEHOSO>"
    return f"<GIAMDINHHS><MACSKCB>{FACILITY}</MACSKCB><HOSO>{files}</HOSO></GIAMDINHHS>".encode()


def made(visit: Visit) -> list[dict[str, Any]]:
    return [patient_from_visit(visit)[0], *(entry["resource"] for entry in mapped(visit, "Patient/p")[0]["entry"])]


def tables_of(row: FieldRow) -> tuple[str, ...]:
    """The tables of a visit that shows the field: XML0 alone is a check-in, all others come with XML1."""
    return ("XML0",) if row.table == "XML0" else tuple(table for table in ROW_PATHS if table != "XML0")


def at(value: Any, path: list[str]) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from at(item, path)
    elif not path:
        yield str(value)
    elif isinstance(value, dict) and path[0] in value:
        yield from at(value[path[0]], path[1:])


def found(resources: list[dict[str, Any]], path: str) -> list[str]:
    kind, *elements = path.split(".")
    return [text for resource in resources if resource["resourceType"] == kind for text in at(resource, elements)]


def visit_of(*tables: str, without: str = "") -> Visit:
    (visit,) = read_envelope(document(tables, without)).visits
    return visit


@pytest.mark.parametrize("row", MAPPED, ids=lambda row: f"{row.table}-{row.field}")
def test_a_mapped_field_arrives_where_the_table_says(row: FieldRow) -> None:
    wanted = probe(row)[1]
    resources = made(visit_of(*tables_of(row)))
    for path in row.path.split("; "):
        texts = found(resources, path)
        assert any(wanted == text or (wanted in text and path.endswith(("div", "note.text"))) for text in texts), (
            f"{wanted} is not among {texts} at {path}"
        )


_KEYS = {"MA_LK", "STT", "NGAY_VAO", "MA_CSKCB"}


@pytest.mark.parametrize(
    "row", [row for row in MAPPED if row.field not in _KEYS], ids=lambda row: f"{row.table}-{row.field}"
)
def test_it_is_that_field_which_the_mapping_reads(row: FieldRow) -> None:
    with_it = made(visit_of(*tables_of(row)))
    without = made(visit_of(*tables_of(row), without=f"{row.table}/{row.field}"))
    for path in row.path.split("; "):
        assert sorted(found(with_it, path)) != sorted(found(without, path)), f"{path} does not depend on {row.field}"


def test_every_field_has_one_fate_and_a_path_or_a_reason() -> None:
    assert fates() == {"mapped": 149, "archived": 314, "ignored": 18}
    assert fates().total() == 481
    assert len({(row.table, row.field) for row in fields()}) == 481
    assert [row for row in fields() if (row.fate == "mapped") != bool(row.path)] == []
    assert [row for row in fields() if not (row.path or row.reason)] == []


def test_the_mapping_reads_no_field_that_is_not_mapped() -> None:
    visit = visit_of(*(table for table in ROW_PATHS))
    known = {(row.table, row.field) for row in MAPPED}
    rows = [(table, row) for table, several in visit.rows.items() for row in several] + [("XML1", visit.summary)]
    assert {(table, name) for table, row in rows for name in row} == known


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m mappings.report"
    assert summary() == "QĐ 130: 481 fields: 149 mapped, 314 archived, 18 ignored"


@pytest.mark.parametrize("tables", [("XML0",), tuple(table for table in ROW_PATHS), ("XML1", "XML4")])
def test_what_is_made_of_every_field_is_valid_r4_and_keeps_the_profile_it_names(tables: tuple[str, ...]) -> None:
    assert check(made(visit_of(*tables)))


def test_a_check_in_opens_the_encounter_and_the_visit_finishes_it() -> None:
    def status(visit: Visit) -> str:
        return next(it["status"] for it in made(visit) if it["resourceType"] == "Encounter")

    assert status(visit_of("XML0")) == "arrived"
    assert status(visit_of("XML1", without="XML1/NGAY_RA")) == "in-progress"
    assert status(visit_of("XML0", "XML1")) == "finished"


@pytest.mark.parametrize(
    ("remark", "table", "row", "field", "xpath"),
    [
        (
            "XML4/3/GIA_TRI",
            "XML4",
            3,
            "GIA_TRI",
            "/GIAMDINHHS/THONGTINHOSO/DANHSACHHOSO/HOSO[2]/FILEHOSO[LOAIHOSO='XML4']/NOIDUNGFILE/"
            "CHITIEU_CHITIET_DICHVUCANLAMSANG/DSACH_CHI_TIET_CLS/CHI_TIET_CLS[3]/GIA_TRI",
        ),
        (
            "XML1/NGAY_VAO",
            "XML1",
            1,
            "NGAY_VAO",
            "/GIAMDINHHS/THONGTINHOSO/DANHSACHHOSO/HOSO[2]/FILEHOSO[LOAIHOSO='XML1']/NOIDUNGFILE/TONG_HOP/NGAY_VAO",
        ),
        (
            "XML5/NOIDUNGFILE",
            "XML5",
            0,
            "NOIDUNGFILE",
            "/GIAMDINHHS/THONGTINHOSO/DANHSACHHOSO/HOSO[2]/FILEHOSO[LOAIHOSO='XML5']/NOIDUNGFILE",
        ),
        ("LOAIHOSO", "", 0, "LOAIHOSO", "/GIAMDINHHS/THONGTINHOSO/DANHSACHHOSO/HOSO[2]//LOAIHOSO"),
        ("identifier", "", 0, "identifier", ""),
    ],
)
def test_a_remark_is_found_in_the_document(remark: str, table: str, row: int, field: str, xpath: str) -> None:
    place = place_of(remark, 2)
    assert (place.table, place.row, place.field, place.xpath) == (table, row, field, xpath)


def test_a_field_that_is_too_long_is_read_with_a_remark() -> None:
    long = "x" * 60
    text = document(("XML1", "XML4")).decode()
    # GIA_TRI may have 50 characters.
    body = base64.b64encode(f"<A><CHI_TIET_CLS><STT>1</STT><GIA_TRI>{long}</GIA_TRI></CHI_TIET_CLS></A>".encode())
    start = text.rindex("<NOIDUNGFILE>") + len("<NOIDUNGFILE>")
    (visit,) = read_envelope((text[:start] + body.decode() + text[text.rindex("</NOIDUNGFILE>") :]).encode()).visits
    assert [remark.field for remark in visit.remarks if remark.field.startswith("XML4")] == ["XML4/1/GIA_TRI"]
    assert visit.rows["XML4"] == [{"STT": "1", "GIA_TRI": long}]
