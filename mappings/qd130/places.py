"""Where in a GIAMDINHHS document something is: the path of tags to each table's rows, and the place a remark names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Table -> the tags from its root to one of its rows.
ROW_PATHS: Mapping[str, str] = {
    "XML0": "CHI_TIEU_TRANG_THAI_KCB",
    "XML1": "TONG_HOP",
    "XML2": "CHITIEU_CHITIET_THUOC/DSACH_CHI_TIET_THUOC/CHI_TIET_THUOC",
    "XML3": "CHITIEU_CHITIET_DVKT_VTYT/DSACH_CHI_TIET_DVKT/CHI_TIET_DVKT",
    "XML4": "CHITIEU_CHITIET_DICHVUCANLAMSANG/DSACH_CHI_TIET_CLS/CHI_TIET_CLS",
    "XML5": "CHITIEU_CHITIET_DIENBIENLAMSANG/DSACH_CHI_TIET_DIEN_BIEN_BENH/CHI_TIET_DIEN_BIEN_BENH",
    "XML7": "CHI_TIEU_DU_LIEU_GIAY_RA_VIEN",
    "XML8": "CHI_TIEU_DU_LIEU_TOM_TAT_HO_SO_BENH_AN",
}
# The element that is one row of each table.
ROW_ELEMENTS: Mapping[str, str] = {table: path.rpartition("/")[2] for table, path in ROW_PATHS.items()}
_SINGLE = ("XML1", "XML7", "XML8")
_RECORD = "/GIAMDINHHS/THONGTINHOSO/DANHSACHHOSO/HOSO"


@dataclass(frozen=True, slots=True)
class Place:
    """Table, row from 1 (0: no single row), field and XPath; each empty where there is none."""

    table: str
    row: int
    field: str
    xpath: str


def place_of(remark: str, record: int) -> Place:
    """The place a remark's field names: `XML4/3/GIA_TRI`, `XML1/NGAY_VAO`, `XML4/NOIDUNGFILE`, `LOAIHOSO`, or neither.

    `record` is the HOSO's position from 1. What is inside NOIDUNGFILE goes on in the decoded document.
    """
    table, *rest = remark.split("/")
    if table not in ROW_PATHS:
        # Only names of elements are places in the document; "identifier" is about what is already stored.
        return Place("", 0, remark, f"{_RECORD}[{record}]//{remark}" if remark.isupper() else "")
    file = f"{_RECORD}[{record}]/FILEHOSO[LOAIHOSO='{table}']"
    row = int(rest.pop(0)) if rest and rest[0].isdigit() else 0
    field = "/".join(rest)
    if field == "NOIDUNGFILE" or not (row or field):
        return Place(table, row, field, f"{file}/NOIDUNGFILE" if field else file)
    row = row or (1 if table in _SINGLE else 0)
    position = f"[{row}]" if row and table not in _SINGLE else ""
    return Place(table, row, field, f"{file}/NOIDUNGFILE/{ROW_PATHS[table]}{position}" + (f"/{field}" if field else ""))
