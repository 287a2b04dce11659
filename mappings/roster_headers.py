"""The column names that health-insurance rosters use, so that a file needs no fixed layout.

A header is compared folded and without anything but letters and digits: "Số thẻ BHYT", "soTheBHYT" and "SO_THE_BHYT"
are one name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mappings.names import clean, fold
from mappings.problems import UnreadableInput

ALIASES: Mapping[str, str] = {
    "card": """sothebhyt mathebhyt mathe sothe thebhyt bhyt sobhyt mabhyt mathebaohiemyte sothebaohiemyte mathebh
        sothebh cardnumber""",
    "bhxh": "masobhxh sobhxh mabhxh masobaohiemxahoi sosobhxh masosobhxh masobh",
    "name": "hoten hovaten tennguoi hotennguoithamgia tennguoithamgia hovatennguoithamgia hovatenchuthe fullname",
    "birth_date": "ngaysinh ngaythangnamsinh namsinh ngaysinhnamsinh ntns birthdate dateofbirth",
    "sex": "gioitinh phai gioi sex gender",
    "address": """diachi diachithuongtru noicutru diachicutru hokhauthuongtru diachilienhe diachihientai noithuongtru
        address""",
    "facility": """noidangkykcbbd noidkkcbbd madkbd madkkcb noidkbd dkkcbbd noidangkykhamchuabenhbandau noidkkcb
        cosokcbbd cskcbbd macskcb noikcbbd noidkkhamchuabenh mabv""",
    "valid_from": """giatritungay gtthetu giatritu hantungay hieuluctu tungay thoihantu gttu ngaybatdau hieuluctungay
        giatrithetu""",
    "valid_to": """giatridenngay gttheden giatriden handenngay hieulucden denngay thoihanden gtden ngayketthuc
        hieulucdenngay giatritheden""",
    "five_years": "thoidiemdu5nam ngaydu5nam du5namlientuc namnamlientuc ngaydu5namlientuc thoidiemdu5namlientuc",
    "area": "makhuvuc makv khuvuc manoisinhsong manoidoituongsinhsong",
    "identity": """socccd cccd socancuoc cancuoc cancuoccongdan socmnd cmnd cmndcccd cccdcmnd socmndcccd socccdcmnd
        sodinhdanh sodinhdanhcanhan sogiayto socmt socccdcmndhochieu nationalid""",
    "old_identity": "socmndcu cmndcu cmnd9so socmnd9so",
    "phone": "sodienthoai dienthoai sdt dienthoailienhe sodt phone",
    "row": "stt sott sothutu tt",
}
_FIELD_OF = {alias: name for name, aliases in ALIASES.items() for alias in aliases.split()}
NUMBER_FIELDS = ("card", "bhxh", "identity", "old_identity")


def field_of(header: str) -> str | None:
    """The roster field a column header names, None when no alias fits."""
    return _FIELD_OF.get(re.sub(r"[^a-z0-9]", "", fold(header)))


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column holds what in one file. `unknown`: headers that no alias fits; their columns are not read."""

    columns: Mapping[str, tuple[int, ...]]
    headers: tuple[str, ...]
    unknown: tuple[str, ...]

    @classmethod
    def from_header(cls, headers: Sequence[str]) -> Layout:
        """The layout of a header row. Raises UnreadableInput when a name, birth date or any number has no column."""
        columns: dict[str, tuple[int, ...]] = {}
        unknown = []
        for position, header in enumerate(headers):
            name = field_of(header)
            if name:
                columns[name] = (*columns.get(name, ()), position)
            elif clean(header):
                unknown.append(clean(header))
        if "name" not in columns or "birth_date" not in columns or not any(key in columns for key in NUMBER_FIELDS):
            raise UnreadableInput(
                "Không tìm thấy dòng tiêu đề: cần ít nhất các cột Họ và tên, Ngày sinh và Số thẻ BHYT, Mã số BHXH "
                "hoặc Số CCCD",
                "no header row found: the columns Họ và tên (name), Ngày sinh (birth date) and one of Số thẻ BHYT, "
                "Mã số BHXH, Số CCCD are needed",
            )
        return cls(columns, tuple(clean(header) for header in headers), tuple(unknown))

    def facts(self, values: Sequence[str]) -> dict[str, str]:
        """field -> cleaned text of one row: of columns with the same meaning the first that is filled."""
        result = {}
        for name, positions in self.columns.items():
            text = ""
            for position in positions:
                if position < len(values) and (text := clean(values[position])):
                    break
            result[name] = text
        return result

    def header(self, name: str) -> str:
        """What this file calls a field, for reports; the field's own name when it has no column."""
        return self.headers[self.columns[name][0]] if name in self.columns else name
