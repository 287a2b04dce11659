"""Small line charts as SVG made on the server: they need no script, and the numbers stand in a table beside them.

https://www.w3.org/TR/SVG2/. Colours and fonts come from the style sheet by class names, as the strict policy wants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from markupsafe import Markup, escape

WIDTH, HEIGHT = 320, 150
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 12, 24
LINES = 3


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement: day (ISO, at least yyyy-mm-dd), the values of the lines, and whether a citizen told them."""

    day: str
    values: tuple[Decimal, ...]
    declared: bool


def chart(
    points: Sequence[Point],
    *,
    title: str,
    write_day: Callable[[str], str],
    write_number: Callable[[Decimal], str],
) -> Markup:
    """The chart of at least two points in the order of time; "" for fewer. A hollow mark is a self-declared value."""
    if len({point.day for point in points}) < 2:
        return Markup("")
    from_day, to_day = _ordinal(points[0].day), _ordinal(points[-1].day)
    everything = [value for point in points for value in point.values]
    low, high = min(everything), max(everything)
    room = max((high - low) / 10, Decimal(1))
    low, high = low - room, high + room

    def x(day: str) -> str:
        share = (_ordinal(day) - from_day) / (to_day - from_day)
        return f"{LEFT + share * (WIDTH - LEFT - RIGHT):.1f}"

    def y(value: Decimal) -> str:
        share = float((value - low) / (high - low))
        return f"{TOP + (1 - share) * (HEIGHT - TOP - BOTTOM):.1f}"

    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
    ]
    for step in range(LINES):
        level = low + (high - low) * step / (LINES - 1)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(level)}" y2="{y(level)}"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{y(level)}" dy="4" text-anchor="end">{escape(write_number(level.quantize(Decimal(1))))}</text>'
        )
    for day, anchor in ((points[0].day, "start"), (points[-1].day, "end")):
        parts.append(f'<text x="{x(day)}" y="{HEIGHT - 6}" text-anchor="{anchor}">{escape(write_day(day))}</text>')
    for line in range(len(points[0].values)):
        places = " ".join(f"{x(point.day)},{y(point.values[line])}" for point in points)
        parts.append(f'<polyline class="line-{line}" points="{places}"/>')
        parts += [
            f'<circle class="line-{line}{" declared" if point.declared else ""}" cx="{x(point.day)}" '
            f'cy="{y(point.values[line])}" r="3.5"/>'
            for point in points
        ]
    return Markup("".join([*parts, "</svg>"]))


def _ordinal(day: str) -> int:
    return date.fromisoformat(day[:10]).toordinal()
