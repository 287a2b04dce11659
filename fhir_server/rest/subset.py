"""_summary and _elements applied to stored texts on their way out.

https://hl7.org/fhir/R4/search.html#summary
"""

from __future__ import annotations

from ..errors import BadRequest
from ..r4 import RESOURCE_TYPES
from ..resource import exact
from ..resource.summary import Subset, cut, element_names, subset_of
from .call import Call, Pairs

_TYPES = frozenset(RESOURCE_TYPES)


def of_read(call: Call) -> Subset | None:
    """The subset that a read asks for. Raises BadRequest for what means nothing for one resource."""
    for name, value in call.query:
        if name == "_summary":
            raise BadRequest(f"_summary can be true, text, data or false here, not '{value[:40]}'.", code="value")
    return subset_of(call.form, call.type) if call.form else None


def understood(form: Pairs, resource_type: str) -> Pairs:
    """`form` without the names in _elements that are no elements of the type ("": of any): what lenient handling ignores.

    https://hl7.org/fhir/R4/search.html#errors
    """
    kept = []
    for name, value in form:
        if name == "_elements":
            known = element_names(resource_type)
            value = ",".join(each for each in value.split(",") if each.strip() in known)
        if value or name != "_elements":
            kept.append((name, value))
    return kept


def of_bundle(form: Pairs, path: str) -> Subset | None:
    """The subset of its entries that a Bundle is asked for at `path`. Raises BadRequest."""
    if not form:
        return None
    parts = path.split("/")
    named = parts[-1] if parts[-1] in _TYPES else parts[0]
    # An operation answers with other types than the one it is called on, and so does all of a compartment.
    several = named not in _TYPES or parts[-1] == "*" or "$" in path
    return subset_of(form, "" if several else named)


def shown(text: bytes, subset: Subset | None) -> bytes:
    """A stored text, or what the subset keeps of it."""
    return text if subset is None else exact.dump(cut(exact.reread(text), subset))


def shown_beside(text: bytes, subset: Subset | None) -> bytes:
    """The text of a resource that was added to the matches: _elements speaks of the elements of these alone."""
    return text if subset is None or subset.elements else shown(text, subset)
