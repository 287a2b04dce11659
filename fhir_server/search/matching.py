"""Whether a document in memory fulfils a MongoDB filter: the operators that search writes, read as MongoDB reads them.

Used where values must stand together in one element of a list, which no index entry tells.
https://www.mongodb.com/docs/manual/reference/operator/query/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Filter = dict[str, Any]


def holds(wanted: Filter, document: Any) -> bool:
    """Whether every condition of the filter is met."""
    return all(_holds(name, condition, document) for name, condition in wanted.items())


def _holds(name: str, condition: Any, document: Any) -> bool:
    if name == "$and":
        return all(holds(each, document) for each in condition)
    if name == "$or":
        return any(holds(each, document) for each in condition)
    if name == "$nor":
        return not any(holds(each, document) for each in condition)
    values = list(_reached(document, name.split(".")))
    if isinstance(condition, dict) and all(key.startswith("$") for key in condition):
        return all(_operator(operator, argument, values) for operator, argument in condition.items())
    return any(value == condition for value in values)


def _reached(value: Any, path: list[str]) -> Iterator[Any]:
    """What a dotted path leads to, through lists; a list at its end stands for itself and for its items."""
    if not path:
        yield value
        if isinstance(value, list):
            yield from value
        return
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield from _reached(item, path)
    elif isinstance(value, dict) and path[0] in value:
        yield from _reached(value[path[0]], path[1:])


_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda value, limit: bool(value > limit),
    "$gte": lambda value, limit: bool(value >= limit),
    "$lt": lambda value, limit: bool(value < limit),
    "$lte": lambda value, limit: bool(value <= limit),
}


def _operator(operator: str, argument: Any, values: list[Any]) -> bool:
    if operator == "$in":
        return any(value in argument for value in values if not isinstance(value, list | dict))
    if operator == "$exists":
        return bool(values) == argument
    if operator == "$elemMatch":
        return any(_element(argument, item) for value in values if isinstance(value, list) for item in value)
    if operator == "$regex":
        return any(isinstance(value, str) and re.search(argument, value) for value in values)
    compare = _COMPARED[operator]
    return any(_comparable(value, argument) and compare(value, argument) for value in values)


def _element(argument: Filter, item: Any) -> bool:
    if all(key.startswith("$") and key not in ("$and", "$or", "$nor") for key in argument):
        return all(_operator(operator, each, [item]) for operator, each in argument.items())
    return isinstance(item, dict) and holds(argument, item)


def _comparable(value: Any, limit: Any) -> bool:
    return isinstance(value, str) == isinstance(limit, str) and isinstance(value, int | float | str)
