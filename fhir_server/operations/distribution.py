"""What a sample of values comes to: the codes of http://terminology.hl7.org/CodeSystem/observation-statistics

All in decimals, so that the mean of what was written with one decimal has no binary dust behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

Values = Sequence[Decimal]
"""In ascending order, at least one."""
Points = Sequence[tuple[Decimal, Decimal]]
"""(days since the first of them, value), at least one."""

_MORE_DIGITS = 2  # behind the point, of a mean of values than of the values
_SHAPE = Decimal("0.0001")  # to which the numbers without a unit are told


class Statistic(NamedTuple):
    """`unit` of what is computed: "value" as the values, "square" of them, "none". None is what has no answer."""

    display: str
    compute: Callable[[Values], Decimal | None]
    unit: str = "value"


def _mean(values: Values) -> Decimal:
    return rounded(_exact_mean(values), values)


def _exact_mean(values: Values) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


def _quantile(values: Values, part: str) -> Decimal:
    """The value below which `part` of the values lie, between two values in proportion."""
    place = Decimal(part) * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)


def _percentile(part: str) -> Callable[[Values], Decimal]:
    return lambda values: rounded(_quantile(values, part), values)


def _quartile_deviation(values: Values) -> Decimal:
    """Half of what lies between the first and the third quartile."""
    return rounded((_quantile(values, "0.75") - _quantile(values, "0.25")) / 2, values)


def _variance(values: Values) -> Decimal:
    """Of a sample: over n - 1. Zero for a single value."""
    mean = _exact_mean(values)
    return sum(((value - mean) ** 2 for value in values), Decimal(0)) / max(len(values) - 1, 1)


def _standardised(power: int) -> Callable[[Values], Decimal | None]:
    """The moment of this power over that of the standard deviation; none where all values are the same.

    https://en.wikipedia.org/wiki/Standardized_moment: 0 of power 3 is symmetry, 3 of power 4 the tails of the normal
    distribution.
    """

    def statistic(values: Values) -> Decimal | None:
        mean = _exact_mean(values)
        deviation = (sum(((value - mean) ** 2 for value in values), Decimal(0)) / len(values)).sqrt()
        if not deviation:
            return None
        moment = sum(((value - mean) ** power for value in values), Decimal(0)) / len(values)
        return _tidy((moment / deviation**power).quantize(_SHAPE, ROUND_HALF_EVEN))

    return statistic


def regression(points: Points) -> tuple[Decimal, Decimal] | None:
    """(change of the value in a day, value on the first day) of the line with the least squares.

    None where there is no line: with one point, or all at one moment.
    """
    values = [value for _, value in points]
    middle, mean = _exact_mean([day for day, _ in points]), _exact_mean(values)
    spread = sum(((day - middle) ** 2 for day, _ in points), Decimal(0))
    if not spread:
        return None
    gradient = sum(((day - middle) * (value - mean) for day, value in points), Decimal(0)) / spread
    return _tidy(gradient.quantize(_SHAPE, ROUND_HALF_EVEN)), rounded(mean - gradient * middle, values)


def rounded(value: Decimal, values: Values) -> Decimal:
    """To two digits more than the values have behind the point."""
    places = max(0, *(-int(each.as_tuple().exponent) for each in values)) + _MORE_DIGITS
    return _tidy(value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN))


def _tidy(value: Decimal) -> Decimal:
    return value.normalize() if value % 1 else value.quantize(Decimal(1))


REGRESSION = "regression"
"""The one statistic of points in time and not of values: `regression` computes it."""

STATISTICS: dict[str, Statistic] = {
    "average": Statistic("Average", _mean),
    "maximum": Statistic("Maximum", lambda values: values[-1]),
    "minimum": Statistic("Minimum", lambda values: values[0]),
    "count": Statistic("Count", lambda values: Decimal(len(values)), "none"),
    "total-count": Statistic("Total Count", lambda values: Decimal(len(values)), "none"),
    "median": Statistic("Median", _percentile("0.5")),
    "std-dev": Statistic("Standard Deviation", lambda values: rounded(_variance(values).sqrt(), values)),
    "sum": Statistic("Sum", lambda values: sum(values, Decimal(0))),
    "variance": Statistic("Variance", lambda values: rounded(_variance(values), values), "square"),
    "20-percent": Statistic("20th Percentile", _percentile("0.2")),
    "80-percent": Statistic("80th Percentile", _percentile("0.8")),
    "4-lower": Statistic("Lower Quartile", _percentile("0.25")),
    "4-upper": Statistic("Upper Quartile", _percentile("0.75")),
    "4-dev": Statistic("Quartile Deviation", _quartile_deviation),
    "5-1": Statistic("1st Quintile", _percentile("0.2")),
    "5-2": Statistic("2nd Quintile", _percentile("0.4")),
    "5-3": Statistic("3rd Quintile", _percentile("0.6")),
    "5-4": Statistic("4th Quintile", _percentile("0.8")),
    "skew": Statistic("Skew", _standardised(3), "none"),
    "kurtosis": Statistic("Kurtosis", _standardised(4), "none"),
    REGRESSION: Statistic("Regression", lambda values: None),
}
ALIASES = {"max": "maximum", "min": "minimum"}  # as the operation's own page of R4 writes them
