"""The XHTML of a narrative on its way into XML and out of it: https://hl7.org/fhir/R4/narrative.html#xhtml"""

from __future__ import annotations

import re
from html import escape
from html.entities import html5
from xml.parsers import expat

from .xml_shape import XHTML, XML

_REFERENCE = re.compile(r"&(?:(?P<known>#[0-9]+|#x[0-9a-fA-F]+|amp|lt|gt|quot|apos);|(?P<html>[A-Za-z][A-Za-z0-9]*;))?")
_DIV = f"{XHTML} div"


def well_formed(div: str) -> str | None:
    """The text of `Narrative.div` as an XML element in its namespace, as it is wherever it can be; None when it cannot.

    JSON lets pass what XML does not: HTML's named characters (`&nbsp;`), a lone `&`, a div without its namespace.
    """
    if "&" in div:
        div = _REFERENCE.sub(_xml_reference, div)
    root = _root(div)
    if root == "div":
        div = f'<div xmlns="{XHTML}"{div.removeprefix("<div")}'
        root = _root(div)
    return div if root == _DIV else None


def _xml_reference(match: re.Match[str]) -> str:
    if match["known"]:
        return match.group()
    name = match["html"]
    if name and name in html5:
        return escape(html5[name])
    return "&amp;" + match.group()[1:]


def _root(div: str) -> str | None:
    """The name of the outermost element, None when this is not one well-formed element and nothing else."""
    names: list[str] = []

    def refuse(*_: object) -> None:
        raise _NotOneElement

    def note(name: str, _: object) -> None:
        if not names:
            names.append(name)

    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    parser.StartElementHandler = note
    parser.XmlDeclHandler = refuse
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(div.encode(), True)
    except (expat.ExpatError, _NotOneElement):
        return None
    return names[0] if div.startswith("<") and div.rstrip().endswith(">") else None


class _NotOneElement(Exception):
    """There is more than an element here."""


class Narrative:
    """The XHTML of one div while it is read: as it stands in the body, and the same written anew.

    The body's own text is kept wherever it says the same alone as in its place. Where it leans on a prefix, or uses
    what a narrative in JSON may not (CDATA sections, processing instructions), it is written anew.
    """

    def __init__(self, start: int) -> None:
        self.start = start
        self.depth = 0
        self._anew: list[str] = []
        self._is_plain = True
        self._is_open = False

    def open(self, name: str, attributes: dict[str, str], *, plain: bool) -> None:
        """A start tag; `plain` says that the name has no prefix in the body."""
        self._is_plain &= plain
        self._close_tag()
        self.depth += 1
        written = "".join(f' {_attribute(key)}="{_attribute_text(value)}"' for key, value in attributes.items())
        namespace = "" if self._anew else f' xmlns="{XHTML}"'
        self._anew.append(f"<{name}{namespace}{written}")
        self._is_open = True

    def text(self, text: str) -> None:
        """Characters between tags."""
        self._close_tag()
        self._anew.append(escape(text, quote=False))

    def close(self, name: str) -> None:
        """An end tag."""
        self.depth -= 1
        self._anew.append("/>" if self._is_open else f"</{name}>")
        self._is_open = False

    def write_anew(self) -> None:
        """Something stood in the body that a narrative in JSON may not hold."""
        self._is_plain = False

    def result(self, body: bytes, end: int) -> str:
        """The text of `Narrative.div`; `end` is where its end tag begins in the body."""
        if self._is_plain and end > self.start:
            own = body[self.start : body.find(b">", end) + 1].decode()
            for div in (own, own.replace("<div", f'<div xmlns="{XHTML}"', 1)):
                if _root(div) == _DIV:
                    return div
        return "".join(self._anew)

    def _close_tag(self) -> None:
        if self._is_open:
            self._anew.append(">")
            self._is_open = False


def _attribute(name: str) -> str:
    return f"xml:{name.removeprefix(XML).lstrip()}" if name.startswith(XML) else name


def _attribute_text(value: str) -> str:
    return escape(value).replace("\n", "&#10;").replace("\t", "&#9;").replace("\r", "&#13;")
