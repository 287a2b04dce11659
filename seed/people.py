"""Invents Vietnamese people in households and writes them as rows of a health-insurance roster, tidy or messy."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

# Everybody is as old as on this day, whenever the generator runs.
TODAY = datetime.date(2026, 11, 1)

# Family names with their rough share of the population.
_FAMILIES = {
    "Nguyễn": 314,
    "Trần": 109,
    "Lê": 95,
    "Phạm": 71,
    "Huỳnh": 28,
    "Hoàng": 27,
    "Phan": 45,
    "Vũ": 21,
    "Võ": 19,
    "Đặng": 21,
    "Bùi": 20,
    "Đỗ": 14,
    "Hồ": 13,
    "Ngô": 13,
    "Dương": 10,
    "Lý": 5,
    "Đinh": 8,
    "Trịnh": 6,
    "Lâm": 5,
    "Mai": 4,
}
_MIDDLE = {
    "female": ("Thị", "Thị", "Thị", "Ngọc", "Thu", "Thanh", "Kim", "Minh", "Bích", "Thị Ngọc", "Thị Thu", "Khánh"),
    "male": ("Văn", "Văn", "Văn", "Hữu", "Đức", "Minh", "Quốc", "Công", "Ngọc", "Xuân", "Thanh", "Gia"),
}
_GIVEN = {
    "female": (
        *("Đào", "Hoa", "Lan", "Hương", "Ơn", "Mai", "Trang", "Linh", "Ngân", "Thảo", "Yến", "Phượng", "Hạnh"),
        *("Dung", "Nga", "Hà", "Oanh", "Tuyết", "Quỳnh", "Như", "Vy", "Châu", "Diễm", "Hiền", "Loan", "Xuân"),
    ),
    "male": (
        *("Hùng", "Dũng", "Sơn", "Đức", "Bảo", "Long", "Nam", "Tuấn", "Hải", "Phúc", "Khoa", "Thắng", "Quang"),
        *("Trung", "Kiên", "Vinh", "Lộc", "Thịnh", "Đạt", "Huy", "Tâm", "Bình", "An", "Cường", "Nghĩa", "Tài"),
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A commune: the province codes of BHYT and CCCD numbers (before July 2025) and today's names."""

    bhyt_code: str
    cccd_code: str
    province: str
    ward: str
    facility: str


PLACES = tuple(
    Place(code, f"0{code}", province, ward, facility)
    for code, province, ward, facility in (
        ("79", "Thành phố Hồ Chí Minh", "Phường Sài Gòn", "79001"),
        ("79", "Thành phố Hồ Chí Minh", "Phường Bến Thành", "79010"),
        ("79", "Thành phố Hồ Chí Minh", "Xã Cần Giờ", "79030"),
        ("01", "Thành phố Hà Nội", "Phường Hoàn Kiếm", "01001"),
        ("01", "Thành phố Hà Nội", "Xã Sóc Sơn", "01015"),
        ("31", "Thành phố Hải Phòng", "Phường Hồng Bàng", "31001"),
        ("48", "Thành phố Đà Nẵng", "Phường Hải Châu", "48001"),
        ("92", "Thành phố Cần Thơ", "Phường Ninh Kiều", "92001"),
        ("38", "Tỉnh Thanh Hóa", "Phường Bỉm Sơn", "38010"),
        ("46", "Thành phố Huế", "Phường Thuận Hóa", "46001"),
        ("66", "Tỉnh Đắk Lắk", "Xã Krông Pắc", "66012"),
        ("96", "Tỉnh Cà Mau", "Xã Năm Căn", "96007"),
    )
)
_BLOOD_GROUPS = ("A+", "O+", "B+", "A+", "O-", "B+", "O+", "O+", "AB+")
_STREETS = ("Lê Lợi", "Trần Hưng Đạo", "Nguyễn Huệ", "Hai Bà Trưng", "Quang Trung", "Lý Thường Kiệt", "Thôn 3", "Ấp 2")


@dataclass(frozen=True, slots=True)
class Invented:
    """A person who does not exist. `serial` makes the numbers; `card` is the 15-character BHYT card."""

    serial: int
    name: str
    sex: str
    born: datetime.date
    place: Place
    address: str
    object_code: str
    benefit: str
    phone: str = ""
    has_cccd: bool = True

    @property
    def bhxh(self) -> str:
        return f"{self.place.bhyt_code}{self.serial:08}"

    @property
    def card(self) -> str:
        return f"{self.object_code}{self.benefit}{self.place.bhyt_code}{self.bhxh}"

    @property
    def cccd(self) -> str:
        century_and_sex = 2 * (self.born.year // 100 - 19) + (self.sex == "female")
        return f"{self.place.cccd_code}{century_and_sex}{self.born.year % 100:02}{self.serial % 1_000_000:06}"

    @property
    def blood_group(self) -> str:
        return _BLOOD_GROUPS[7 * self.serial % len(_BLOOD_GROUPS)]

    @property
    def age(self) -> int:
        return TODAY.year - self.born.year - ((TODAY.month, TODAY.day) < (self.born.month, self.born.day))


# The person of the sample visit, who is also the first of every generated population.
DAO = Invented(
    123,
    "Nguyễn Thị Ánh Đào",
    "female",
    datetime.date(1985, 9, 2),
    PLACES[0],
    "12 Lê Lợi, Phường Sài Gòn, Thành phố Hồ Chí Minh",
    "GD",
    "4",
    "0900000000",
)


def people(count: int, seed: int = 1) -> Iterator[Invented]:
    """`count` people in households, the same for the same seed."""
    yield DAO
    random = Random(seed)
    serial = 1001
    made = 1
    while made < count:
        household = list(_household(random, serial))[: count - made]
        yield from household
        made += len(household)
        serial += len(household)


def _household(random: Random, serial: int) -> Iterator[Invented]:
    place = random.choice(PLACES)
    address = f"{random.randint(1, 300)} {random.choice(_STREETS)}, {place.ward}, {place.province}"
    poor = random.choices(("", "HN2", "CN3"), (88, 5, 7))[0]
    head_age = int(random.triangular(22, 92, 45))
    family = _family_name(random)
    ages = [(family, "male" if random.random() < 0.6 else "female", head_age)]
    if random.random() < 0.6:
        other = "female" if ages[0][1] == "male" else "male"
        ages.append((_family_name(random), other, max(20, head_age + random.randint(-6, 5))))
    if head_age < 65:
        for _ in range(random.choices((0, 1, 2, 3), (25, 30, 35, 10))[0]):
            ages.append((family, random.choice(("male", "female")), random.randint(0, max(0, head_age - 21))))
    for position, (name, sex, age) in enumerate(ages):
        born = TODAY - datetime.timedelta(days=age * 365 + age // 4 + random.randint(1, 360))
        full = f"{name} {random.choice(_MIDDLE[sex])} {random.choice(_GIVEN[sex])}"
        code, benefit = _object_code(random, age, poor)
        number = serial + position
        phone = f"09{number:08}" if age >= 15 and random.random() < 0.7 else ""
        yield Invented(
            number, full, sex, born, place, address, code, benefit, phone, age >= 14 and random.random() < 0.85
        )


def _family_name(random: Random) -> str:
    return random.choices(list(_FAMILIES), list(_FAMILIES.values()))[0]


def _object_code(random: Random, age: int, poor: str) -> tuple[str, str]:
    if age < 6:
        return "TE", "1"
    if poor:
        return poor[:2], poor[2]
    if age < 18:
        return "HS", "4"
    if age >= 60:
        return random.choice((("HT", "3"), ("GD", "4"), ("CB", "2")))
    return random.choice((("DN", "4"), ("DN", "4"), ("GD", "4"), ("CH", "4"), ("SV" if age < 24 else "GD", "4")))


HEADER = (
    "STT",
    "Mã số BHXH",
    "Số thẻ BHYT",
    "Họ và tên",
    "Ngày sinh",
    "Giới tính",
    "Địa chỉ",
    "Nơi đăng ký KCB BĐ",
    "Giá trị từ ngày",
    "Giá trị đến ngày",
    "Thời điểm đủ 5 năm",
    "Mã khu vực",
    "Số CCCD",
    "Số điện thoại",
)


def tidy_row(person: Invented) -> list[str]:
    """The roster row of a person as a careful office would write it, under HEADER without its first column."""
    return [
        person.bhxh,
        person.card,
        person.name,
        f"{person.born:%d/%m/%Y}",
        "Nữ" if person.sex == "female" else "Nam",
        person.address,
        person.place.facility,
        "01/01/2026",
        "31/12/2026",
        "",
        "",
        person.cccd if person.has_cccd else "",
        person.phone,
    ]


def messy_row(person: Invented, random: Random) -> list[str]:
    """The same row with the liberties that real rosters take: none of them hides who the person is."""
    row = tidy_row(person)
    born = person.born
    forms = [row[3], row[3], row[3], f"{born.day}/{born.month}/{born.year}", f"{born:%Y%m%d}", f"{born:%d-%m-%Y}"]
    if person.age >= 60:
        forms += [f"{born.year}", f"00/00/{born.year}"]
    row[3] = random.choice(forms)
    row[4] = random.choice((row[4], row[4], "1" if person.sex == "male" else random.choice(("2", "0"))))
    if random.random() < 0.15:
        row[2] = person.name.upper()
    if random.random() < 0.1:
        row[0], row[1] = "", person.bhxh  # cards printed since 2021 show the ten digits only
    elif random.random() < 0.1:
        row[1] = f"{person.card[:5]} {person.card[5:10]} {person.card[10:]}"
    row[6] = random.choice((row[6], row[6], f"{row[6][:2]}-{row[6][2:]}", f"{row[6][:2]} – {row[6][2:]}"))
    if random.random() < 0.1:
        row[7], row[8] = "20260101", "20261231"
    if person.place.ward.startswith("Xã") and random.random() < 0.5:
        row[10] = random.choice(("K1", "K2", "K3"))
    return row


def changed_card(person: Invented) -> Invented:
    """The person after a change of job: same numbers of ten digits, another card."""
    return replace(person, object_code="DN" if person.object_code != "DN" else "GD", benefit="4")
