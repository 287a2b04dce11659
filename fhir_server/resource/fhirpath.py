"""FHIRPath conditions, evaluated by the library fhirpathpy: https://hl7.org/fhir/R4/fhirpath.html

Slow (0.1 to 10 ms a condition), so for $validate and for the constraints of profiles only. The library keeps state in
its modules, so evaluations take turns. Regular expressions run in the engine of jsonschema-rs, in linear time whatever
a profile's author writes.
"""

from __future__ import annotations

from functools import cache, lru_cache
from threading import Lock
from typing import Any

import jsonschema_rs

from fhir_server.resource.narrative import narrative_problem

_turn = Lock()
_MAX_EXPRESSION = 4000


class NotEvaluated(Exception):
    """The library cannot tell whether the condition holds; the text says why."""


def holds(expression: str, value: Any, path: str, resource: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a condition is true of `value`, an element at `path` ("Patient.contact", "Period") of `resource`.

    `root` is the resource that contains `resource`, or itself. As in validation nothing is true of what is not there:
    only an explicit false breaks a condition. Raises NotEvaluated.
    """
    with _turn:
        try:
            found = _compiled(expression)(value, path, resource, root)
        except NotEvaluated:
            raise
        except Exception as error:  # the library raises bare exceptions for everything it does not know
            raise NotEvaluated(f"{type(error).__name__}: {str(error)[:120]}") from error
    return found != [False]


class _Condition:
    """A parsed expression."""

    def __init__(self, expression: str) -> None:
        import fhirpathpy
        from fhirpathpy.parser import parse

        if len(expression) > _MAX_EXPRESSION:
            raise NotEvaluated(f"the expression is longer than {_MAX_EXPRESSION} characters")
        untyped: Any = parse
        self.parsed = untyped(expression)
        self.apply: Any = fhirpathpy.apply_parsed_path

    def __call__(self, value: Any, path: str, resource: dict[str, Any], root: dict[str, Any]) -> list[Any]:
        from fhirpathpy.engine.nodes import ResourceNode
        from fhirpathpy.models import models

        nodes: Any = ResourceNode
        node = nodes.create_node(value, path)
        variables = {"resource": resource, "rootResource": root, "context": node}
        found: list[Any] = self.apply(node, self.parsed, variables, models["r4"], _options())
        return found


@lru_cache(maxsize=2048)
def _compiled(expression: str) -> _Condition:
    return _Condition(expression)


@cache
def _options() -> dict[str, Any]:
    table = {
        "hasValue": {"fn": _has_value, "arity": {0: []}},
        "htmlChecks": {"fn": _html_checks, "arity": {0: []}},
        "matches": {"fn": _matches, "arity": {1: ["String"]}},
        "replaceMatches": {"fn": _replace_matches, "arity": {2: ["String", "String"]}},
    }
    return {"userInvocationTable": table, "traceFn": lambda *_: None}


def _has_value(inputs: list[Any]) -> bool:
    return len(inputs) == 1 and not isinstance(inputs[0], dict)


def _html_checks(inputs: list[Any]) -> bool:
    return all(narrative_problem(str(each)) is None for each in inputs)


def _matches(inputs: list[Any], pattern: Any) -> Any:
    if not inputs or not pattern:
        return []
    return pattern_found(pattern, str(inputs[0]))


def _replace_matches(inputs: list[Any], pattern: Any, replacement: Any) -> Any:
    if not inputs or not isinstance(pattern, str) or pattern != r"\..*" or replacement != "":
        raise NotEvaluated("replaceMatches is not supported")
    return str(inputs[0]).partition(".")[0]  # the one use of it in R4, sdf-8a


def pattern_found(pattern: str, text: str) -> bool:
    """Whether a regular expression is found in a text. Raises NotEvaluated for one that is not understood."""
    return _matcher(pattern).is_valid(text)


@lru_cache(maxsize=512)
def _matcher(pattern: str) -> jsonschema_rs.Draft202012Validator:
    options = jsonschema_rs.RegexOptions(size_limit=1 << 20)
    try:
        return jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=options)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise NotEvaluated(f"the regular expression is not understood: {str(error)[:80]}") from error


def own_copy(value: Any) -> Any:
    """A copy, of a resource or of a value in it, for the library, which leaves notes in what it is given."""
    if isinstance(value, dict):
        return {name: own_copy(inner) for name, inner in value.items()}
    return [own_copy(inner) for inner in value] if isinstance(value, list) else value
