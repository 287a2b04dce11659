"""Answers in the form that was asked for: JSON or XML, plain or indented.

https://hl7.org/fhir/R4/http.html#parameters. Everything that answers writes JSON; it becomes XML here, at the very end.
"""

from __future__ import annotations

from ..resource import exact, xml
from . import pretty
from .negotiation import Presentation


def present(json: bytes, wanted: Presentation) -> bytes:
    """The FHIR JSON that an interaction answered with, as it is to be sent. Raises NotAcceptable for what XML cannot say."""
    if wanted.format == "xml":
        return xml.dump(exact.reread(json), pretty=wanted.pretty)
    return pretty.indent(json) if wanted.pretty else json
