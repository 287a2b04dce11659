"""Which character encoding a text file from Vietnam is in: Unicode, windows-1258, or a font encoding that is refused.

TCVN3 (ABC) and VNI are encodings of fonts and not of characters: capitals depend on the font, so what was meant cannot
be told from the bytes. They are recognised to be refused with a sentence that says what to do.
"""

from __future__ import annotations

import codecs
import unicodedata

from mappings.problems import UnreadableInput

# Words that nearly every roster has, as the bytes of each encoding read in Latin-1.
_TCVN3 = "nguyôn v¨n thþ hä tªn ngµy §þa chø sè thî trçn ph¹m ph­êng ®þnh giíi".split()
_VNI = "nguyeãn vaên thò hoï teân ngaøy ñòa chæ soá theû traàn phaïm phöôøng ñònh giôùi".split()
_WINDOWS_1258 = "nguyễn văn thị họ tên ngày địa chỉ số thẻ trần phạm phường định giới".split()

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def encoding_of(beginning: bytes) -> str:
    """The codec that reads a file that begins so. Raises UnreadableInput for one that cannot be read rightly."""
    for mark, name in _MARKS:
        if beginning.startswith(mark):
            return name
    if b"\0" in beginning:
        return _without_mark(beginning)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return _legacy(beginning)
    return "utf-8"


def _without_mark(beginning: bytes) -> str:
    """UTF-16 without a byte order mark: of the delimiters and digits every second byte is nought."""
    even, odd = beginning[0::2].count(0), beginning[1::2].count(0)
    if max(even, odd) < len(beginning) // 8 or min(even, odd) > max(even, odd) // 8:
        raise UnreadableInput(
            "Tệp không phải văn bản; hãy xuất dạng CSV UTF-8 hoặc XLSX",
            "the file is not text; export it as CSV UTF-8 or XLSX",
        )
    return "utf-16-be" if even > odd else "utf-16-le"


def _legacy(beginning: bytes) -> str:
    latin = beginning.decode("latin-1").lower()
    windows = unicodedata.normalize("NFC", beginning.decode("cp1258", errors="replace")).lower()
    found = {
        "TCVN3 (ABC)": sum(word in latin for word in _TCVN3),
        "VNI": sum(word in latin for word in _VNI),
        "cp1258": sum(word in windows for word in _WINDOWS_1258),
    }
    name = max(found, key=lambda each: found[each])
    if found[name] == 0:
        raise UnreadableInput(
            "Không nhận ra bảng mã của tệp; hãy lưu lại dạng CSV UTF-8",
            "the character encoding of the file is not recognised, not UTF-8 nor UTF-16; save it as CSV UTF-8",
        )
    if name != "cp1258":
        raise UnreadableInput(
            f"Tệp dùng bảng mã {name}; hãy chuyển sang Unicode (UTF-8) rồi nhập lại",
            f"the file is in the font encoding {name}; convert it to Unicode (UTF-8) and import it again",
        )
    return name
