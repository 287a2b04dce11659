"""Cards as a PDF to print: ten to a page, and their PIN slips on pages of their own in the same order.

Card and slip have the size of a bank card (ID-1, 85.6 x 54 mm). The slips are on other sheets so that whoever hands out
the cards does not hand out the PINs with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from fpdf import FPDF
from fpdf.enums import Align

from fhir_server.citizen.cards import IssuedCard
from fhir_server.translation import VIETNAM, write_date

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH, HEIGHT = 85.6, 54.0
COLUMNS, ROWS = 2, 5
TO_A_PAGE = COLUMNS * ROWS
LEFT, TOP = (210 - COLUMNS * WIDTH) / 2, (297 - ROWS * HEIGHT) / 2
QR = 34.0
MARGIN = 4.0
GREEN, INK, SOFT = (0, 97, 74), (22, 33, 29), (74, 90, 84)

Draw = Callable[["_Sheets", IssuedCard, float, float], None]


class _Sheets(FPDF):
    """A4 pages of cards."""

    def __init__(self, hotline: str) -> None:
        super().__init__(format="A4", unit="mm")
        self.hotline = hotline
        self.set_auto_page_break(False)
        for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf")):
            with as_file(files(__package__) / "fonts" / name) as path:
                self.add_font("DejaVu", style, path)

    def write_line(self, x: float, y: float, width: float, text: str, size: float, *, bold: bool = False) -> None:
        """One line in a width: made smaller until it fits, a name is never cut."""
        style = "B" if bold else ""
        self.set_font("DejaVu", style, size)
        while self.get_string_width(text) > width and size > 4:
            size -= 0.5
            self.set_font("DejaVu", style, size)
        self.set_xy(x, y)
        self.cell(width, size * 0.45, text, align=Align.L)


def sheets(cards: Sequence[IssuedCard], *, hotline: str) -> bytes:
    """The PDF: the pages of all cards, then the pages of all slips."""
    pdf = _Sheets(hotline)
    pdf.set_title("Thẻ sức khỏe / Health cards")
    for draw in (_card, _slip):
        for number, card in enumerate(cards):
            if number % TO_A_PAGE == 0:
                pdf.add_page()
            row, column = divmod(number % TO_A_PAGE, COLUMNS)
            x, y = LEFT + column * WIDTH, TOP + row * HEIGHT
            pdf.set_draw_color(190)
            pdf.set_line_width(0.1)
            pdf.rect(x, y, WIDTH, HEIGHT)
            draw(pdf, card, x, y)
    return bytes(pdf.output())


def _card(pdf: _Sheets, card: IssuedCard, x: float, y: float) -> None:
    pdf.set_fill_color(*GREEN)
    pdf.rect(x, y, WIDTH, 9, style="F")
    pdf.set_text_color(255)
    pdf.write_line(x + MARGIN, y + 2.8, WIDTH - 2 * MARGIN, "THẺ SỨC KHỎE · HEALTH CARD", 9, bold=True)
    _draw_qr(pdf, card, x + 2, y + 10.5)
    left, width = x + QR + 4, WIDTH - QR - 4 - MARGIN
    pdf.set_text_color(*INK)
    pdf.write_line(left, y + 13, width, card.person.name, 11, bold=True)
    pdf.set_text_color(*SOFT)
    pdf.write_line(left, y + 19, width, f"Năm sinh / born: {card.person.birth_year or '—'}", 7)
    pdf.write_line(left, y + 23, width, f"Số thẻ / card: {card.id}", 7)
    expires = write_date(card.expires.astimezone(VIETNAM).date().isoformat(), "vi")
    pdf.write_line(left, y + 27, width, f"Dùng đến / until: {expires}", 7)
    pdf.write_line(left, y + 33, width, "Quét mã QR, rồi nhập mã PIN.", 7)
    pdf.write_line(left, y + 36.5, width, "Scan the QR, then enter the PIN.", 6)
    pdf.write_line(left, y + 41, width, f"Hỗ trợ / help: {pdf.hotline}", 7, bold=True)
    pdf.set_text_color(*INK)
    pdf.write_line(x + MARGIN, y + 47.5, WIDTH - 2 * MARGIN, card.code, 9, bold=True)


def _slip(pdf: _Sheets, card: IssuedCard, x: float, y: float) -> None:
    left, width = x + MARGIN, WIDTH - 2 * MARGIN
    pdf.set_text_color(*SOFT)
    pdf.write_line(left, y + 5, width, "MÃ PIN CỦA THẺ SỨC KHỎE · PIN OF THE HEALTH CARD", 7, bold=True)
    pdf.set_text_color(*INK)
    pdf.write_line(left, y + 11, width, card.person.name, 11, bold=True)
    pdf.set_text_color(*SOFT)
    pdf.write_line(left, y + 17, width, f"Số thẻ / card: {card.id}", 7)
    pdf.set_text_color(*INK)
    pdf.write_line(left, y + 24, width, f"{card.pin[:3]} {card.pin[3:]}", 24, bold=True)
    pdf.set_text_color(*SOFT)
    pdf.write_line(left, y + 39, width, "Dùng một lần: trang sẽ hỏi mã mới do bạn chọn.", 7)
    pdf.write_line(left, y + 42.5, width, "For one use: you will be asked for a PIN of your own.", 6)
    pdf.write_line(left, y + 47, width, "Giữ riêng, đừng để cùng thẻ. Keep it apart from the card.", 7, bold=True)


def _draw_qr(pdf: _Sheets, card: IssuedCard, x: float, y: float) -> None:
    """The dark modules of each row as bars: sharp at any size, and a fraction of a picture's bytes."""
    modules = card.qr_modules()
    size = QR / len(modules)
    pdf.set_fill_color(0)
    for row, cells in enumerate(modules):
        for start, length in _runs(cells):
            pdf.rect(x + start * size, y + row * size, length * size, size * 1.02, style="F")


def _runs(cells: Sequence[bool]) -> Iterator[tuple[int, int]]:
    start = None
    for place, dark in enumerate([*cells, False]):
        if dark and start is None:
            start = place
        elif not dark and start is not None:
            yield start, place - start
            start = None
