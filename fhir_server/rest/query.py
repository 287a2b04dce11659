"""Query strings: into pairs, kept apart from what only chooses the form of the answer, and back into links.

https://hl7.org/fhir/R4/http.html#general and https://hl7.org/fhir/R4/http.html#parameters
"""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode

from ..errors import BadRequest
from ..resource.summary import CUTTING
from .call import Pairs

MAX_PARAMETERS = 1000

_FORM_PARAMETERS = ("_format", "_pretty", "_elements")


def parse(text: str) -> Pairs:
    """The parameters of a query string or URL-encoded form, in order, empty ones included. Raises BadRequest."""
    if not text:
        return []
    try:
        if not text.isascii():  # WSGI hands raw bytes over as Latin-1
            text = text.encode("latin-1").decode("utf-8")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except UnicodeError:
        raise BadRequest("The parameters must be UTF-8, escaped as %XX.", code="value") from None
    except ValueError:
        raise BadRequest(f"A request may carry at most {MAX_PARAMETERS} parameters.", code="too-costly") from None


def split_form(pairs: Pairs) -> tuple[Pairs, Pairs]:
    """The parameters that say what is asked, and those that say how to write the answer and how much of each resource."""
    form = [pair for pair in pairs if _is_form(pair)]
    if not form:
        return pairs, form
    return [pair for pair in pairs if not _is_form(pair)], form


def _is_form(pair: tuple[str, str]) -> bool:
    """_summary is one of them as long as it leaves the resources in: with `count` it asks something else."""
    return pair[0] in _FORM_PARAMETERS or (pair[0] == "_summary" and (pair[1] in CUTTING or pair[1] == "false"))


def encode(pairs: Pairs) -> str:
    """The pairs as a query string of plain ASCII, with what FHIR uses much left readable."""
    return urlencode(pairs, quote_via=quote, safe=":,/")
