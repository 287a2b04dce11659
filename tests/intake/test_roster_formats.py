"""One roster in every form that people send: the same rows come out, and what cannot be read says what to do."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import unicodedata
import zipfile
from pathlib import Path

import openpyxl
import pytest

from fhir_server.access.context import AccessContext
from fhir_server.intake import tables
from fhir_server.intake.roster import import_roster
from fhir_server.intake.tables import read_rows
from fhir_server.repository import Repository
from mappings.problems import UnreadableInput

CTX = AccessContext.unrestricted("test")
HEADER = ["Số thẻ BHYT", "Họ và tên", "Ngày sinh", "Giới tính", "Địa chỉ"]
ROWS = [
    ["GD4797900000501", "Lê Văn Ẩn", "03/05/1990", "Nam", "12 Lê Lợi, Phường Sài Gòn"],
    ["GD4797900000502", "Nguyễn Thị Đượm", "1975", "Nữ", "Xã Cẩm Giàng; thôn 3"],
]
# Windows writes Vietnamese letters as a base letter and a mark behind it: ệ as ê and a dot below.
_SINGLE = set("ăâđêôơưĂÂĐÊÔƠƯàâèéêùûôçäëïöüáíóúñÀÂÈÉÊÙÛÔÁÍÓÚ")


def delimited(delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([HEADER, *ROWS])
    return text.getvalue()


def windows_1258(text: str) -> bytes:
    return b"".join(letter.encode("cp1258") for each in text for letter in _as_windows_does(each))


def _as_windows_does(letter: str) -> str:
    if letter in _SINGLE or letter.isascii():
        return letter
    base, *marks = list(unicodedata.normalize("NFD", letter))
    tones = [mark for mark in marks if mark in "\u0300\u0301\u0303\u0309\u0323"]
    rest = unicodedata.normalize("NFC", base + "".join(mark for mark in marks if mark not in tones))
    return rest + "".join(tones)


def spreadsheet() -> bytes:
    book = openpyxl.Workbook()
    for row in [["DANH SÁCH THAM GIA"], HEADER, *ROWS]:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def json_lines() -> bytes:
    return "".join(json.dumps(dict(zip(HEADER, row, strict=True)), ensure_ascii=False) + "\n" for row in ROWS).encode()


FORMS = {
    "UTF-8": delimited().encode(),
    "UTF-8 with a mark": delimited().encode("utf-8-sig"),
    "NFD": unicodedata.normalize("NFD", delimited()).encode(),
    "semicolon": delimited(";").encode(),
    "tab": delimited("\t").encode("utf-8-sig"),
    "UTF-16": delimited("\t").encode("utf-16"),
    "UTF-16 big-endian, no mark": delimited().encode("utf-16-be"),
    "UTF-16 little-endian, no mark": delimited().encode("utf-16-le"),
    "windows-1258": windows_1258(delimited()),
    "XLSX": spreadsheet(),
    "JSON lines": json_lines(),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_rows(tmp_path: Path, form: str, packed: bool) -> None:
    path = tmp_path / "roster"
    path.write_bytes(gzip.compress(FORMS[form]) if packed else FORMS[form])
    rows = [[unicodedata.normalize("NFC", cell) for cell in row.cells] for row in read_rows(path)]
    assert rows[-3:] == [HEADER, *ROWS]
    assert [row.fault for row in read_rows(path)] == [None] * len(rows)


def test_what_came_in_in_one_form_is_unchanged_in_every_other(repository: Repository, tmp_path: Path) -> None:
    path = tmp_path / "roster"
    outcomes = {}
    for form, content in FORMS.items():
        path.write_bytes(content)
        done = import_roster(repository, CTX, path)
        outcomes[form] = (done.created, done.updated, done.unchanged, done.rejected)
    assert outcomes == {form: (2, 0, 0, 0) if form == "UTF-8" else (0, 0, 2, 0) for form in FORMS}


def test_dates_and_numbers_of_a_spreadsheet_are_texts(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append([datetime.datetime(1990, 5, 3), 79185000123, 1.0, 1.5, None, True, "x"])
    path = tmp_path / "a.xlsx"
    book.save(path)
    assert [row.cells for row in read_rows(path)] == [["1990-05-03", "79185000123", "1", "1.5", "", "True", "x"]]


def test_json_objects_may_lack_fields_and_bad_lines_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"hoTen": "A", "n": 1}\nxx\n{"n": null, "card": "C"}\n[1]\n{"hoTen": {}}\n\n', encoding="utf-8")
    rows = list(read_rows(path))
    assert [(row.line, row.cells) for row in rows] == [
        (0, ["hoTen", "n", "card"]),
        (1, ["A", "1", ""]),
        (2, []),
        (3, ["", "", "C"]),
        (4, []),
        (5, []),
    ]
    assert [row.fault.reason_en for row in rows if row.fault] == ["the line is not a JSON object"] * 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TCVN3", "Sè thÎ BHYT,Hä vµ tªn,Ngµy sinh\nGD4797900000501,NguyÔn V¨n Èn,1990\n"),
        ("VNI", "Soá theû BHYT,Hoï vaø teân,Ngaøy sinh\nGD4797900000501,Nguyeãn Vaên Aån,1990\n"),
        ("TCVN3", "SÈ THÎ BHYT,HÄ Vµ TªN,NGµY SINH\nGD4797900000501,NGUYÔN V¨N ÈN,1990\n"),
    ],
)
def test_a_font_encoding_is_refused_by_its_name(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UnreadableInput, match=f"font encoding {name}.*convert it to Unicode"):
        list(read_rows(path))


def test_bytes_in_no_known_encoding_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(UnreadableInput, match="not recognised"):
        list(read_rows(path))


def test_lines_that_cannot_be_read_are_rejected_and_stop_nothing(repository: Repository, tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    # Behind the part by which the encoding is told.
    many = [f"GD47979{number:08},Trần Văn B,1975,Nam,Xã A".encode() for number in range(2_000)]
    bad = [b"GD4797900000501,L\xea,1990,Nam,X", b"x" * 150_000, b"GD4797900000501,a\0b,1990,Nam,X"]
    path.write_bytes(b"\n".join([",".join(HEADER).encode(), *many, *bad, many[0]]))
    rejected = tmp_path / "rejected.csv"
    done = import_roster(repository, CTX, path, rejected_path=rejected)
    assert (done.read, done.created, done.rejected) == (2_004, 2_000, 3)
    with rejected.open(encoding="utf-8-sig", newline="") as file:
        lines = [(row[0], row[4]) for row in csv.reader(file)][1:]
    assert lines == [
        ("2002", "not readable in the encoding of the file"),
        ("2003", "longer than 100000 characters"),
        ("2004", "not readable in the encoding of the file"),
    ]


def test_a_spreadsheet_that_unpacks_into_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", b"\0" * 260_000_000)
    with pytest.raises(UnreadableInput, match="unpacks into too much"):
        list(read_rows(path))


def test_a_spreadsheet_with_entities_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(spreadsheet())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/extra.xml", '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    with pytest.raises(UnreadableInput, match="cannot be read"):
        list(read_rows(path))


def test_a_gzip_file_that_unpacks_into_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + (b"x" * 90_000 + b"\n") * 1_200))
    assert path.stat().st_size * tables._GZIP_RATIO < 108_000_000
    with pytest.raises(UnreadableInput, match="unpacks into too much"):
        for _ in read_rows(path):
            pass


def test_a_gzip_file_without_its_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(FORMS["UTF-8"])[:-20])
    with pytest.raises(UnreadableInput, match="gzip"):
        list(read_rows(path))


def test_a_spreadsheet_is_not_believed_about_its_size(tmp_path: Path) -> None:
    original = tmp_path / "a.xlsx"
    original.write_bytes(spreadsheet())
    path = tmp_path / "b.xlsx"
    with zipfile.ZipFile(original) as source, zipfile.ZipFile(path, "w") as target:
        for part in source.infolist():
            content = source.read(part).decode()
            target.writestr(part.filename, content.replace('<dimension ref="A1:E4"', '<dimension ref="A1:A1"'))
    assert [row.cells for row in read_rows(path)][1:] == [HEADER, *ROWS]
