"""FHIR XML read into the same resource its JSON would give: https://hl7.org/fhir/R4/xml.html

Order of elements is not checked: every element is known by its name, so reading it elsewhere changes nothing.
"""

from __future__ import annotations

import re
from typing import Any
from xml.parsers import expat

from ..errors import BadRequest
from . import exact
from .exact import MAX_DEPTH, Resource
from .xml_narrative import Narrative
from .xml_shape import FHIR, XHTML, XML, Row, is_resource, rows

_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"  # its schemaLocation may stand on the root and means nothing
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt"})
_SPACE = " \t\r\n"


def parse(data: bytes) -> Resource:
    """The resource in `data` (UTF-8 XML), decimals as Decimal. Raises BadRequest with the path of what is wrong."""
    return _Reader(data).read()


class _Frame:
    """An element that is open: the object being made of it, and where that goes.

    `depth` counts as JSON nests: a repeating element is an object in a list. `mixed` are the names of its repeating
    primitives, whose values and siblings are lists side by side.
    """

    __slots__ = ("depth", "known", "mixed", "primitive", "row", "tag", "value", "where")

    def __init__(self, tag: str, where: str, path: str, row: Row | None, depth: int) -> None:
        self.tag = tag
        self.where = where
        self.known = rows(path) if path else {}
        self.row = row
        self.depth = depth
        self.value: dict[str, Any] = {}
        self.primitive: Any = None
        self.mixed: list[str] = []


class _Reader:
    """Builds the resource while the parser walks through the body."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._open: list[_Frame] = []
        self._narrative: Narrative | None = None
        self._result: Resource = {}
        parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartCdataSectionHandler = self._unusual
        parser.ProcessingInstructionHandler = self._unusual
        self._parser = parser

    def read(self) -> Resource:
        try:
            self._data.decode()  # expat follows the byte order mark of UTF-16 whatever it is told
        except UnicodeDecodeError as error:
            raise self._refusal(f"The body is not UTF-8 text (byte {error.start}).") from None
        try:
            self._parser.Parse(self._data, True)
        except expat.ExpatError as error:
            raise self._refusal(
                f"The body is not well-formed XML: {expat.ErrorString(error.code)} "
                f"at line {error.lineno}, column {error.offset + 1}."
            ) from None
        return self._result

    def _refusal(self, text: str, where: str | None = None) -> BadRequest:
        if where is None:
            where = self._open[-1].where if self._open else ""
        return BadRequest(text, code="structure", expression=(where,) if where else ())

    # ---- what is not allowed anywhere --------------------------------------------------------------------------------

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if (encoding or "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
            raise self._refusal("The XML must be in UTF-8.")

    def _doctype(self, *_: Any) -> None:
        raise self._refusal("The XML may not have a DOCTYPE: send the resource without it.")

    def _unusual(self, *_: Any) -> None:
        if self._narrative:
            self._narrative.write_anew()

    # ---- elements ----------------------------------------------------------------------------------------------------

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, tag = name.rpartition(" ")
        if self._narrative:
            self._open_xhtml(self._narrative, namespace, tag, attributes)
            return
        parent = self._open[-1] if self._open else None
        row = parent.known.get(tag) if parent else None
        if row and row.kind == "xhtml":
            self._narrative = Narrative(self._parser.CurrentByteIndex)
            self._open_xhtml(self._narrative, namespace, tag, attributes)
            return
        if namespace != FHIR:
            raise self._refusal(f"<{tag[:40]}> must be in the namespace {FHIR}.")
        frame = self._resource_frame(tag, parent) if not parent or not parent.known else self._frame(tag, parent, row)
        if frame.depth > MAX_DEPTH + 1 and not (frame.row and frame.row.kind == "primitive"):
            raise self._refusal(f"The body is nested deeper than {MAX_DEPTH} levels.")
        self._open.append(frame)
        for key, value in attributes.items():
            self._attribute(frame, key, value)

    def _frame(self, tag: str, parent: _Frame, row: Row | None) -> _Frame:
        if row is None or row.kind == "attribute":
            raise self._refusal(f"{parent.where} has no element <{tag[:40]}>.")
        place = f"{parent.where}.{tag}"
        depth = parent.depth + 1
        if row.is_list:
            beside = parent.value.get(tag)
            place += f"[{len(beside) if beside else 0}]"
            depth += 1
        elif tag in parent.value or f"_{tag}" in parent.value:
            raise self._refusal(f"{place} may stand there once only.", place)
        path = {"complex": row.type, "primitive": "Element", "resource": ""}[row.kind]
        return _Frame(tag, place, path, row, depth)

    def _resource_frame(self, tag: str, parent: _Frame | None) -> _Frame:
        """The frame of a resource: the outermost one, or the one that an element such as `contained` wraps."""
        where = parent.where if parent else ""
        if not is_resource(tag):
            raise self._refusal(f"<{tag[:40]}> is not a resource type of FHIR R4.")
        if parent and parent.value:
            raise self._refusal(f"{where} holds one resource.")
        frame = _Frame(tag, where or tag, tag, None, parent.depth if parent else 1)
        frame.value["resourceType"] = tag
        return frame

    def _attribute(self, frame: _Frame, name: str, value: str) -> None:
        if name.startswith(f"{_INSTANCE} "):
            return
        row = frame.known.get(name)
        if row and row.kind == "attribute":
            frame.value[name] = value
        elif name == "value" and frame.row and frame.row.kind == "primitive":
            frame.primitive = self._primitive(frame.row.type, value)
        else:
            raise self._refusal(f"{frame.where} has no attribute '{name[:40]}'.")

    def _primitive(self, type_name: str, text: str) -> Any:
        """The JSON value of an attribute `value`. White space around what is no string has no meaning in XML."""
        if type_name == "boolean":
            plain = text.strip(_SPACE)
            if plain in ("true", "false"):
                return plain == "true"
            raise self._refusal("A boolean is true or false.")
        if type_name == "decimal" or type_name in _INTEGERS:
            plain = text.strip(_SPACE).removeprefix("+")
            if not (_NUMBER if type_name == "decimal" else _INTEGER).fullmatch(plain):
                raise self._refusal(f"A value of the type {type_name} is written as a number.")
            try:
                return exact.parse_value(plain)
            except BadRequest as error:
                raise self._refusal(str(error)) from None
        return text

    def _text(self, text: str) -> None:
        if self._narrative:
            self._narrative.text(text)
        elif text.strip(_SPACE):
            raise self._refusal(f"{self._open[-1].where} holds text; a value stands in the attribute 'value'.")

    def _end(self, name: str) -> None:
        if self._narrative:
            self._close_xhtml(self._narrative, name.rpartition(" ")[2])
            return
        frame = self._open.pop()
        for key in frame.mixed:
            _tidy(frame.value, key)
        if not self._open:
            self._result = frame.value
            return
        parent = self._open[-1]
        row = frame.row
        if row is None:
            parent.value = frame.value
        elif row.kind == "primitive":
            self._add_primitive(parent, row, frame)
        else:
            if not frame.value:
                raise self._refusal(f"{frame.where} is empty: fill the element, or leave it out.", frame.where)
            if row.is_list:
                parent.value.setdefault(row.name, []).append(frame.value)
            else:
                parent.value[row.name] = frame.value

    def _add_primitive(self, parent: _Frame, row: Row, frame: _Frame) -> None:
        value, sibling = frame.primitive, frame.value or None
        if value is None and sibling is None:
            raise self._refusal(f"{frame.where} is empty: it needs a value or an extension.", frame.where)
        if sibling and not row.has_sibling:
            raise self._refusal(f"{frame.where} can have neither an id nor extensions.", frame.where)
        name, beside = row.name, f"_{row.name}"
        if row.is_list:
            if name not in parent.value:
                parent.mixed.append(name)
            parent.value.setdefault(name, []).append(value)
            parent.value.setdefault(beside, []).append(sibling)
            return
        if value is not None:
            parent.value[name] = value
        if sibling is not None:
            parent.value[beside] = sibling

    # ---- narrative ---------------------------------------------------------------------------------------------------

    def _open_xhtml(self, narrative: Narrative, namespace: str, tag: str, attributes: dict[str, str]) -> None:
        if namespace != XHTML:
            raise self._refusal(f"A narrative is XHTML: <{tag[:40]}> must be in the namespace {XHTML}.")
        if not narrative.depth and "div" in self._open[-1].value:
            raise self._refusal("A narrative has one div.")
        if narrative.depth >= MAX_DEPTH:
            raise self._refusal(f"The narrative is nested deeper than {MAX_DEPTH} levels.")
        for name in attributes:
            if " " in name and not name.startswith(XML):
                raise self._refusal(f"An attribute of <{tag[:40]}> in a narrative is in a namespace of its own.")
        at = self._parser.CurrentByteIndex + 1
        narrative.open(tag, attributes, plain=self._data.startswith(tag.encode(), at))

    def _close_xhtml(self, narrative: Narrative, tag: str) -> None:
        narrative.close(tag)
        if not narrative.depth:
            self._open[-1].value["div"] = narrative.result(self._data, self._parser.CurrentByteIndex)
            self._narrative = None


def _tidy(value: dict[str, Any], name: str) -> None:
    """Leave out the list of values, or that of siblings, when there is nothing in it."""
    for key in (name, f"_{name}"):
        if all(each is None for each in value[key]):
            del value[key]
