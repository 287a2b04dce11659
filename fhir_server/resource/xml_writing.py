"""A resource written as FHIR XML: https://hl7.org/fhir/R4/xml.html"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from ..errors import NotAcceptable
from .exact import Resource
from .xml_narrative import well_formed
from .xml_shape import FHIR, Row, is_resource, rows

# Line breaks and tabs in an attribute would be read back as spaces, and other control characters are no XML at all.
_SPECIAL = re.compile('[&<>"\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]')
_IMPOSSIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = {ord(letter): f"&#{ord(letter)};" for letter in map(chr, [9, 10, 13, *range(0x7F, 0xA0)])}
_ESCAPES |= {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"}


def dump(resource: Resource, *, pretty: bool = False) -> bytes:
    """The resource as UTF-8 XML, elements in the order of the specification; indented when `pretty`.

    Raises NotAcceptable for the little that XML cannot say (control characters, a narrative that is no XML).
    """
    writer = _Writer(pretty)
    writer.resource(resource, str(resource.get("resourceType")), 0, f' xmlns="{FHIR}"')
    return "".join(writer.parts).encode()


class _Writer:
    """Collects the text of one document. `where` is the FHIRPath of what is being written."""

    def __init__(self, pretty: bool) -> None:
        self.parts = ['<?xml version="1.0" encoding="UTF-8"?>']
        self._pretty = pretty

    def resource(self, resource: Any, where: str, level: int, attributes: str = "") -> None:
        """One resource, the outermost or one inside another."""
        name = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(name, str) or not is_resource(name):
            raise _not_in_xml(where)
        self._element(name, name, resource, where, level, attributes)

    def _line(self, level: int) -> str:
        return "\n" + "  " * level if self._pretty else ""

    def _element(self, tag: str, path: str, value: Any, where: str, level: int, attributes: str = "") -> None:
        """An element with what is in `value`, an object of the type `path`."""
        if not isinstance(value, dict):
            raise _not_in_xml(where)
        known = rows(path)
        inside: dict[int, Row] = {}
        for key in value:
            row = known.get(key)
            if row is None:
                if key == "resourceType" and path == tag:
                    continue
                raise _not_in_xml(f"{where}.{key[:40]}")
            if row.kind == "attribute":
                attributes += f' {key}="{_text(value[key], where)}"'
            else:
                inside[row.place] = row
        line = self._line(level)
        if not inside:
            self.parts.append(f"{line}<{tag}{attributes}/>")
            return
        self.parts.append(f"{line}<{tag}{attributes}>")
        for place in sorted(inside):
            self._property(inside[place], value, where, level + 1)
        self.parts.append(f"{line}</{tag}>")

    def _property(self, row: Row, holder: Mapping[str, Any], where: str, level: int) -> None:
        name, value = row.name, holder.get(row.name)
        here = f"{where}.{name}"
        if row.kind == "primitive":
            sibling = holder.get(f"_{name}") if row.has_sibling else None
            if not row.is_list:
                self._primitive(name, value, sibling, here, level)
                return
            for index, (one, beside) in enumerate(zip_longest(_list(value, here), _list(sibling, here))):
                self._primitive(name, one, beside, f"{here}[{index}]", level)
            return
        if not row.is_list:
            self._value(row, value, here, level)
            return
        for index, one in enumerate(_list(value, here)):
            self._value(row, one, f"{here}[{index}]", level)

    def _value(self, row: Row, value: Any, where: str, level: int) -> None:
        if row.kind == "complex":
            self._element(row.name, row.type, value, where, level)
        elif row.kind == "xhtml":
            if not isinstance(value, str) or _IMPOSSIBLE.search(value) or (div := well_formed(value)) is None:
                raise _not_in_xml(where)
            self.parts.append(self._line(level) + div)
        else:
            line = self._line(level)
            self.parts.append(f"{line}<{row.name}>")
            self.resource(value, where, level + 1)
            self.parts.append(f"{line}</{row.name}>")

    def _primitive(self, name: str, value: Any, sibling: Any, where: str, level: int) -> None:
        written = "" if value is None else f' value="{_text(value, where)}"'
        if sibling is None:
            self.parts.append(f"{self._line(level)}<{name}{written}/>")
        else:
            self._element(name, "Element", sibling, where, level, written)


def _text(value: Any, where: str) -> str:
    """A primitive value as it stands between quotes: numbers with all their digits."""
    if isinstance(value, str):
        if not _SPECIAL.search(value):
            return value
        if _IMPOSSIBLE.search(value):
            raise _not_in_xml(where)
        return value.translate(_ESCAPES)
    if value is True or value is False:
        return "true" if value else "false"
    if value is None or isinstance(value, dict | list):
        raise _not_in_xml(where)
    return str(value)


def _list(value: Any, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _not_in_xml(where)
    return value


def _not_in_xml(where: str) -> NotAcceptable:
    return NotAcceptable("This element holds what cannot be written as XML: ask for JSON.", expression=(where,))
