"""Invents clinic visits and writes them as the GIAMDINHHS XML of QĐ 130 that hospital systems send."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from xml.sax.saxutils import escape

from seed.medicines import prescribed
from seed.people import Invented

_XML = '<?xml version="1.0" encoding="utf-8"?>'
# code, name, reason for coming
_ILLNESSES = (
    ("J02.9", "Viêm họng cấp", "Đau họng, sốt 2 ngày"),
    ("J20.9", "Viêm phế quản cấp", "Ho kéo dài"),
    ("I10", "Tăng huyết áp", "Tái khám huyết áp"),
    ("E11.9", "Đái tháo đường típ 2", "Tái khám đái tháo đường"),
    ("K29.7", "Viêm dạ dày", "Đau thượng vị"),
    ("M54.5", "Đau lưng dưới", "Đau lưng"),
    ("A09", "Tiêu chảy nhiễm khuẩn", "Tiêu chảy"),
    ("L20.9", "Viêm da cơ địa", "Ngứa, nổi ban"),
)
# name, unit, lowest, highest, decimals
_TESTS = (
    ("Hemoglobin", "g/dL", 10.5, 16.5, 1),
    ("WBC", "G/L", 4.0, 14.0, 1),
    ("RBC", "T/L", 3.8, 5.6, 2),
    ("PLT", "G/L", 150, 420, 0),
    ("Glucose máu", "mmol/L", 4.2, 11.5, 1),
    ("Creatinin", "µmol/L", 50, 130, 0),
    ("HbA1c", "%", 5.0, 9.5, 1),
)


@dataclass(frozen=True, slots=True)
class InventedVisit:
    """One visit: `results` are rows (name, value, unit), an empty value being a result still to come."""

    ma_lk: str
    person: Invented
    facility: str
    arrived: datetime.datetime
    left: datetime.datetime
    kind: str
    illnesses: Sequence[tuple[str, str]]
    reason: str
    weight: str
    blood_group: str = ""
    finding: str = ""
    results: Sequence[tuple[str, str, str]] = field(default_factory=tuple)


def visits(people: Sequence[Invented], count: int, seed: int = 1) -> list[InventedVisit]:
    """`count` visits of some of the people between January and October 2026, in order of arrival."""
    random = Random(seed)
    made = [_visit(random, random.choice(people), number) for number in range(2, count + 2)]
    return sorted(made, key=lambda visit: visit.arrived)


def _visit(random: Random, person: Invented, number: int) -> InventedVisit:
    arrived = datetime.datetime(2026, 1, 5, 7, 30) + datetime.timedelta(
        days=random.randint(0, 290), minutes=5 * random.randint(0, 100)
    )
    kind = random.choices(("01", "02", "03", "06"), (60, 20, 12, 8))[0]
    stay = {"01": 0, "02": random.randint(3, 10), "03": random.randint(2, 9), "06": 1}[kind]
    left = (arrived + datetime.timedelta(days=stay)).replace(hour=16, minute=0)
    code, name, reason = random.choice(_ILLNESSES)
    illnesses = [(code, name)]
    if person.age > 50 and code != "I10" and random.random() < 0.5:
        illnesses.append(("I10", "Tăng huyết áp"))
    weight = random.uniform(45, 75) if person.age >= 16 else 3.5 + 2.9 * person.age + random.uniform(0, 2)
    tests = random.sample(_TESTS, random.choice((0, 2, 3, 4))) if person.age >= 3 else []
    return InventedVisit(
        f"{person.place.facility}_{arrived:%y%m}_{number:06}",
        person,
        person.place.facility,
        arrived,
        left,
        kind,
        illnesses,
        reason,
        f"{weight:.2f}",
        person.blood_group if kind == "03" else "",
        random.choice(("Tỉnh, tiếp xúc tốt", "Tỉnh, da niêm hồng", "Đau nhẹ, không sốt")),
        [_result(random, *test) for test in tests],
    )


def _result(random: Random, name: str, unit: str, low: float, high: float, decimals: int) -> tuple[str, str, str]:
    value = f"{random.uniform(low, high):.{decimals}f}"
    return name, value.replace(".", ",") if random.random() < 0.3 else value, unit


def sample_visit(person: Invented) -> InventedVisit:
    """A visit with a result of each kind: with a point, with a comma, in words, and still to come."""
    return InventedVisit(
        "79001_2611_000001",
        person,
        "79001",
        datetime.datetime(2026, 11, 20, 8, 10),
        datetime.datetime(2026, 11, 24, 23, 59),
        "02",
        [("J02.9", "Viêm họng cấp"), ("I10", "Tăng huyết áp")],
        "Ho, sốt 2 ngày",
        "52.50",
        person.blood_group,
        "Tỉnh, tiếp xúc tốt, họng đỏ",
        [
            ("Hemoglobin", "13.1", "g/dL"),
            ("WBC", "12,4", "G/L"),
            ("CRP định tính", "Âm tính", ""),
            ("Cấy máu", "", ""),
        ],
    )


def envelope(facility: str, visits_of_facility: Sequence[InventedVisit]) -> str:
    """The GIAMDINHHS document of a facility's visits. XML1 stands last in each, which readers have to bear."""
    records = "".join(f"<HOSO>{_record(visit)}</HOSO>\n" for visit in visits_of_facility)
    return (
        f"{_XML}\n<GIAMDINHHS><THONGTINDONVI><MACSKCB>{facility}</MACSKCB></THONGTINDONVI><THONGTINHOSO>"
        f"<NGAYLAP>20261125</NGAYLAP><SOLUONGHOSO>{len(visits_of_facility)}</SOLUONGHOSO>"
        f"<DANHSACHHOSO>\n{records}</DANHSACHHOSO></THONGTINHOSO><CHUKYDONVI/></GIAMDINHHS>\n"
    )


def _record(visit: InventedVisit) -> str:
    tables = {"XML1": _summary(visit)}
    if medicines := _medicines(visit):
        tables["XML2"] = medicines
    if visit.results:
        tables["XML4"] = _results(visit)
    if visit.finding:
        tables["XML5"] = _findings(visit)
    files = (
        f"<FILEHOSO><LOAIHOSO>{kind}</LOAIHOSO>"
        f"<NOIDUNGFILE>{base64.b64encode((_XML + body).encode()).decode()}</NOIDUNGFILE></FILEHOSO>"
        for kind, body in reversed(tables.items())
    )
    return "".join(files)


def _elements(**texts: str) -> str:
    return "".join(f"<{name}>{escape(text)}</{name}>" for name, text in texts.items())


def _summary(visit: InventedVisit) -> str:
    person = visit.person
    return (
        "<TONG_HOP>"
        + _elements(
            MA_LK=visit.ma_lk,
            STT="1",
            MA_BN=f"BN{person.serial:06}",
            HO_TEN=person.name.upper(),
            SO_CCCD=person.cccd if person.has_cccd else "",
            NGAY_SINH=f"{person.born:%Y%m%d}0000",
            GIOI_TINH="2" if person.sex == "female" else "1",
            NHOM_MAU=visit.blood_group,
            MA_QUOCTICH="000",
            MA_DANTOC="01",
            DIA_CHI=person.address,
            MATINH_CU_TRU=person.place.bhyt_code,
            DIEN_THOAI=person.phone,
            MA_THE_BHYT=person.card if person.object_code else "",
            MA_DKBD=person.place.facility,
            GT_THE_TU="20260101",
            GT_THE_DEN="20261231",
            LY_DO_VV=visit.reason,
            CHAN_DOAN_RV="; ".join(name for _, name in visit.illnesses),
            MA_BENH_CHINH=visit.illnesses[0][0],
            MA_BENH_KT=";".join(code for code, _ in visit.illnesses[1:]),
            MA_DOITUONG_KCB="1.1" if person.object_code else "9",
            NGAY_VAO=f"{visit.arrived:%Y%m%d%H%M}",
            NGAY_RA=f"{visit.left:%Y%m%d%H%M}",
            KET_QUA_DTRI="2",
            MA_LOAI_RV="1",
            MA_LOAI_KCB=visit.kind,
            MA_KHOA="K01",
            MA_CSKCB=visit.facility,
            CAN_NANG=visit.weight,
            MA_HSBA=f"HS{visit.ma_lk[-6:]}",
        )
        + "</TONG_HOP>"
    )


def _medicines(visit: InventedVisit) -> str:
    ordered = visit.arrived + datetime.timedelta(minutes=60)
    rows = "".join(
        "<CHI_TIET_THUOC>"
        + _elements(
            MA_LK=visit.ma_lk,
            STT=str(position),
            TEN_THUOC=medicine.name,
            DON_VI_TINH=medicine.unit,
            HAM_LUONG=medicine.strength,
            DUONG_DUNG=medicine.route,
            LIEU_DUNG=medicine.dose,
            CACH_DUNG=medicine.advice,
            SO_LUONG=str(medicine.quantity),
            NGAY_YL=f"{ordered:%Y%m%d%H%M}",
        )
        + "</CHI_TIET_THUOC>"
        for position, medicine in enumerate(
            prescribed([code for code, _ in visit.illnesses], visit.person.age), start=1
        )
    )
    return (
        f"<CHITIEU_CHITIET_THUOC><DSACH_CHI_TIET_THUOC>{rows}</DSACH_CHI_TIET_THUOC></CHITIEU_CHITIET_THUOC>"
        if rows
        else ""
    )


def _results(visit: InventedVisit) -> str:
    finished = visit.arrived + datetime.timedelta(minutes=50)
    rows = "".join(
        "<CHI_TIET_CLS>"
        + _elements(
            MA_LK=visit.ma_lk,
            STT=str(position),
            MA_DICH_VU="22.0120.1370",
            MA_CHI_SO="",
            TEN_CHI_SO=name,
            GIA_TRI=value,
            DON_VI_DO=unit,
            NGAY_KQ=f"{finished:%Y%m%d%H%M}" if value else "",
        )
        + "</CHI_TIET_CLS>"
        for position, (name, value, unit) in enumerate(visit.results, start=1)
    )
    return (
        f"<CHITIEU_CHITIET_DICHVUCANLAMSANG><DSACH_CHI_TIET_CLS>{rows}"
        "</DSACH_CHI_TIET_CLS></CHITIEU_CHITIET_DICHVUCANLAMSANG>"
    )


def _findings(visit: InventedVisit) -> str:
    seen = visit.arrived + datetime.timedelta(minutes=5)
    row = _elements(
        MA_LK=visit.ma_lk, STT="1", DIEN_BIEN_LS=visit.finding, THOI_DIEM_DBLS=f"{seen:%Y%m%d%H%M}", NGUOI_THUC_HIEN=""
    )
    return (
        "<CHITIEU_CHITIET_DIENBIENLAMSANG><DSACH_CHI_TIET_DIEN_BIEN_BENH>"
        f"<CHI_TIET_DIEN_BIEN_BENH>{row}</CHI_TIET_DIEN_BIEN_BENH>"
        "</DSACH_CHI_TIET_DIEN_BIEN_BENH></CHITIEU_CHITIET_DIENBIENLAMSANG>"
    )
