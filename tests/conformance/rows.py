"""What the server offers, read from its own tables: the rows of docs/conformance.md, each under the key of its proof."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fhir_server import history
from fhir_server.r4 import RESOURCE_TYPES
from fhir_server.rest import prefer
from fhir_server.rest.call import Interaction
from fhir_server.rest.capabilities import FORMATS, PATCH_FORMATS, searchable
from fhir_server.rest.interactions import INTERACTIONS
from fhir_server.rest.operations.registry import OPERATIONS
from fhir_server.search import query
from fhir_server.search.clauses import MODIFIERS
from fhir_server.search.intervals import PREFIXES


@dataclass(frozen=True, slots=True)
class Row:
    """One thing the server offers: `key` finds the tests that prove it, `cells` say what it is."""

    key: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A table of the page: its title, the page of FHIR it is about, its columns and its rows."""

    title: str
    url: str
    columns: tuple[str, ...]
    rows: Callable[[], list[Row]]


def interactions() -> list[Row]:
    """The table of interactions; operations have a section of their own."""
    return [
        Row(
            f"{row.method} {row.path}".strip(),
            (_codes(row), f"`{row.method} [base]/{row.path}`"),
        )
        for row in INTERACTIONS
        if "<operation>" not in row.path
    ]


def _codes(row: Interaction) -> str:
    if not row.codes:
        return "search in a compartment" if "<compartment>" in row.path else "-"
    return ("conditional " if row.conditional else "") + ", ".join(row.codes)


def formats() -> list[Row]:
    """What resources are written in, and what PATCH takes."""
    return [Row(f"format {each}", (f"`{each}`", "resources")) for each in FORMATS] + [
        Row(f"patch {each}", (f"`{each}`", "PATCH")) for each in PATCH_FORMATS
    ]


def parameter_types() -> list[Row]:
    """The types of search parameters, with how many there are of each over all resource types."""
    counts: dict[str, int] = {}
    for name in RESOURCE_TYPES:
        for parameter in searchable(name).values():
            counts[parameter.type] = counts.get(parameter.type, 0) + 1
    return [Row(f"type {kind}", (kind, f"{counts[kind]:,}")) for kind in sorted(counts)]


def modifiers() -> list[Row]:
    """The modifiers each type of parameter takes."""
    rows = [(kind, modifier) for kind, taken in sorted(MODIFIERS.items()) for modifier in sorted(taken)]
    rows.append(("reference", "[type]"))
    return [Row(f"{kind}:{modifier}", (f"`:{modifier}`", kind)) for kind, modifier in rows]


def prefixes() -> list[Row]:
    """The prefixes of dates, numbers and quantities."""
    return [Row(f"prefix {each}", (f"`{each}`",)) for each in sorted(PREFIXES)]


def special_parameters() -> list[Row]:
    """Filters that are not a comparison with one indexed element, and those every type has. There are no named queries."""
    shared = set.intersection(*(set(searchable(name)) for name in RESOURCE_TYPES))
    names = sorted({*(each for each in shared if each.startswith("_")), *query._FILTERS, "chained"} - {"_query"})
    return [Row(f"filter {each}", (f"`{each}`" if each != "chained" else "`parameter.parameter`",)) for each in names]


def result_parameters() -> list[Row]:
    """The parameters that shape the answer and select nothing."""
    names = sorted({*query._CONTROLS, *query._INCLUDES, *query._PRESENTATION} - {"_cursor"})
    return [Row(f"result {each}", (f"`{each}`",)) for each in names]


def history_parameters() -> list[Row]:
    """What narrows and orders a history."""
    return [Row(f"history {each}", (f"`{each}`",)) for each in history.PARAMETERS]


def preferences() -> list[Row]:
    """What a client may ask for in the Prefer header."""
    wanted = [
        *(f"return={each}" for each in prefer._RETURNS.values()),
        "handling=strict",
        "handling=lenient",
        "respond-async",
    ]
    return [Row(f"Prefer: {each}", (f"`Prefer: {each}`",)) for each in wanted]


def operations() -> list[Row]:
    """The table of operations."""
    return [
        Row(
            f"${each.name} {' '.join(each.types)}".strip(),
            (f"`${each.name}`", ", ".join(each.levels), ", ".join(each.types) or "all", each.definition),
        )
        for each in OPERATIONS
    ]


SECTIONS = (
    Section("Interactions", "https://hl7.org/fhir/R4/http.html", ("interaction", "request"), interactions),
    Section("Formats", "https://hl7.org/fhir/R4/http.html#mime-type", ("format", "of"), formats),
    Section(
        "Types of search parameters",
        "https://hl7.org/fhir/R4/search.html#ptypes",
        ("type", "parameters, counted once for each resource type"),
        parameter_types,
    ),
    Section("Modifiers", "https://hl7.org/fhir/R4/search.html#modifiers", ("modifier", "parameter type"), modifiers),
    Section("Prefixes", "https://hl7.org/fhir/R4/search.html#prefix", ("prefix",), prefixes),
    Section("Filters of every type", "https://hl7.org/fhir/R4/search.html#all", ("parameter",), special_parameters),
    Section("Result parameters", "https://hl7.org/fhir/R4/search.html#return", ("parameter",), result_parameters),
    Section("Parameters of a history", "https://hl7.org/fhir/R4/http.html#history", ("parameter",), history_parameters),
    Section("Preferences", "https://hl7.org/fhir/R4/http.html#ops", ("header",), preferences),
    Section(
        "Operations",
        "https://hl7.org/fhir/R4/operationslist.html",
        ("operation", "level", "types", "definition"),
        operations,
    ),
)
