"""The `_filter` parameter: `name sw "ng" and (gender eq female or not (birthdate lt 1990))`.

https://hl7.org/fhir/R4/search_filter.html
"""

from __future__ import annotations

import re
from dataclasses import replace

from ..errors import BadRequest
from .clauses import AnyClause, Chain, Clause, Either, Has, parse_clause

MAX_TOKENS = 400
_TOKEN = re.compile(r'\s*(?:(?P<bracket>[()])|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s()"]+))')

# operator -> how the parameter is written in a query string, by (modifier, prefix)
_COMPARISONS = {"eq": "eq", "gt": "gt", "lt": "lt", "ge": "ge", "le": "le", "ap": "ap", "sa": "sa", "eb": "eb"}
_RANGES = ("date", "number", "quantity")
_MODIFIERS = {"in": "in", "ni": "not-in", "sb": "below", "ss": "above", "co": "contains"}


def parse_filter(resource_type: str, text: str) -> AnyClause:
    """The clause tree of a filter expression. Raises BadRequest."""
    parser = _Parser(resource_type, text)
    tree = parser.either()
    if parser.position < len(parser.tokens):
        raise parser.wrong("something follows the end of the expression")
    return tree


class _Parser:
    def __init__(self, resource_type: str, text: str) -> None:
        self.resource_type = resource_type
        self.tokens = _tokens(text)
        self.position = 0

    def wrong(self, why: str) -> BadRequest:
        return BadRequest(f"The _filter expression is not understood near word {self.position + 1}: {why}.")

    def peek(self) -> str:
        return self.tokens[self.position][0] if self.position < len(self.tokens) else ""

    def take(self) -> tuple[str, bool]:
        if self.position >= len(self.tokens):
            raise self.wrong("it ends too early")
        self.position += 1
        return self.tokens[self.position - 1]

    def either(self) -> AnyClause:
        parts = [self.both()]
        while self.peek() == "or":
            self.take()
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Either("or", tuple(parts))

    def both(self) -> AnyClause:
        parts = [self.one()]
        while self.peek() == "and":
            self.take()
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else Either("and", tuple(parts))

    def one(self) -> AnyClause:
        if self.peek() == "not":
            self.take()
            return Either("not", (self.one(),))
        if self.peek() == "(":
            self.take()
            inside = self.either()
            if self.take()[0] != ")":
                raise self.wrong("a bracket is not closed")
            return inside
        return self.comparison()

    def comparison(self) -> AnyClause:
        name, operator = self.take()[0], self.take()[0]
        value, quoted = self.take()
        plain = value if not quoted else re.sub(r"\\(.)", r"\1", value)
        escaped = re.sub(r"([,$\\])", r"\\\1", plain)
        if operator == "pr":
            return parse_clause(self.resource_type, f"{name}:missing", "false" if plain == "true" else "true")
        if operator in ("ne", "re"):
            same = self.parsed(name, "", escaped)
            return Either("not", (same,)) if operator == "ne" else same
        if operator in ("sw", "ew"):
            clause = self.parsed(name, "", escaped)
            chained = isinstance(clause, Chain | Has) and operator == "sw"  # what strings are compared by anyway
            if not chained and not (isinstance(clause, Clause) and clause.parameter.type == "string"):
                raise self.wrong(f"'{operator}' compares strings only")
            return replace(clause, modifier="ends") if operator == "ew" and isinstance(clause, Clause) else clause
        if operator in _MODIFIERS:
            return self.parsed(name, _MODIFIERS[operator], escaped)
        if operator not in _COMPARISONS:
            raise self.wrong(f"'{operator[:10]}' is no operator")
        clause = self.parsed(name, "", escaped)
        if isinstance(clause, Clause) and clause.parameter.type in _RANGES:
            return replace(clause, values=(_COMPARISONS[operator] + escaped,))
        if operator != "eq":
            raise self.wrong(f"'{operator}' compares dates, numbers and quantities only")
        if isinstance(clause, Clause) and clause.parameter.type == "string":
            return replace(clause, modifier="whole")
        return clause

    def parsed(self, name: str, modifier: str, value: str) -> AnyClause:
        return parse_clause(self.resource_type, f"{name}:{modifier}" if modifier else name, value)


def _tokens(text: str) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadRequest("The _filter expression has a quote that is not closed.")
        quoted = match.group("quoted")
        found.append((quoted, True) if quoted is not None else (match.group("bracket") or match.group("word"), False))
        position = match.end()
        if len(found) > MAX_TOKENS:
            raise BadRequest(f"A _filter expression has at most {MAX_TOKENS} words.")
    return found
