"""FHIR resources as XML, lossless against their JSON: `parse` reads it, `dump` writes it.

https://hl7.org/fhir/R4/xml.html. Both are driven by the table of R4 elements. The work is done on Python's own expat
and on text instead of on a tree: a Narrative then keeps its XHTML as it came, to the letter, and a DOCTYPE or a depth
that is refused stops the parser before anything is built from it.
"""

from __future__ import annotations

from .xml_reading import parse
from .xml_writing import dump

__all__ = ["dump", "parse"]
