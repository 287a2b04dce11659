"""What is usually given for the illnesses of the invented visits, as the rows of XML2 (QĐ 130) tell it.

The medicines are real and the prescriptions are not: nobody is to be treated after them. No codes of the national list
stand here, since an invented one might be another medicine's.
"""

from __future__ import annotations

from dataclasses import dataclass

_CHILD = 12  # years; younger ones get medicines of their own


@dataclass(frozen=True, slots=True)
class Medicine:
    """One medicine of a prescription: `each` of a unit at a time, `times` a day. `route` is the code of DUONG_DUNG."""

    name: str
    strength: str
    unit: str
    each: int
    times: int
    days: int
    advice: str
    route: str = "1.01"

    @property
    def dose(self) -> str:
        """As LIEU_DUNG has it."""
        return f"{self.each} {self.unit.lower()}/lần * {self.times} lần/ngày * {self.days} ngày"

    @property
    def quantity(self) -> int:
        """How many units that makes; of a tube there is one."""
        return 1 if self.unit == "Tuýp" else self.each * self.times * self.days


_FEVER = Medicine("Paracetamol 500mg", "500mg", "Viên", 1, 3, 5, "Uống khi sốt trên 38,5 độ hoặc đau")
_SALTS = Medicine("Oresol", "245 mOsm/L", "Gói", 1, 3, 3, "Pha một gói với 200 ml nước, uống từng ngụm")
_CHILD_FEVER = Medicine("Paracetamol 150mg", "150mg", "Gói", 1, 3, 3, "Hòa với nước, uống khi sốt trên 38,5 độ")
_PRESSURE = Medicine("Amlodipin 5mg", "5mg", "Viên", 1, 1, 30, "Uống buổi sáng, vào giờ cố định")
# Illness -> what grown-ups get, and what children get.
_GIVEN: dict[str, tuple[tuple[Medicine, ...], tuple[Medicine, ...]]] = {
    "J02.9": (
        (Medicine("Amoxicilin 500mg", "500mg", "Viên", 1, 3, 7, "Uống sau ăn, đủ số ngày"), _FEVER),
        (_CHILD_FEVER,),
    ),
    "J20.9": (
        (Medicine("Acetylcystein 200mg", "200mg", "Gói", 1, 3, 5, "Hòa với nước, uống sau ăn"), _FEVER),
        (_CHILD_FEVER,),
    ),
    "I10": ((_PRESSURE,), ()),
    "E11.9": ((Medicine("Metformin 500mg", "500mg", "Viên", 1, 2, 30, "Uống trong bữa ăn"),), ()),
    "K29.7": ((Medicine("Omeprazol 20mg", "20mg", "Viên", 1, 1, 14, "Uống trước ăn sáng 30 phút"),), ()),
    "M54.5": ((Medicine("Meloxicam 7,5mg", "7,5mg", "Viên", 1, 1, 7, "Uống sau ăn"),), ()),
    "A09": ((_SALTS,), (_SALTS,)),
    "L20.9": (
        (Medicine("Cetirizin 10mg", "10mg", "Viên", 1, 1, 7, "Uống buổi tối"),),
        (Medicine("Hydrocortison 1%", "1%", "Tuýp", 1, 2, 7, "Bôi một lớp mỏng lên chỗ ngứa", "3.05"),),
    ),
}


def prescribed(illnesses: list[str], age: int) -> list[Medicine]:
    """The medicines for ICD-10 codes at an age in years, each once."""
    given = [medicine for code in illnesses for medicine in _GIVEN[code][age < _CHILD]]
    return list(dict.fromkeys(given))
