"""Whether a narrative is the XHTML that FHIR allows and nothing that runs: https://hl7.org/fhir/R4/narrative.html

A narrative is accepted as it is or refused, never rewritten: silently altering what a record says is worse than asking
its author for a clean one. Accepting works by what is allowed (invariant txt-1), not by what is known to be
bad: every tag and attribute must match, and a URL must have one of a few schemes once character references and the
white space that browsers ignore are taken out of it.
"""

from __future__ import annotations

import re
from html import unescape

_NAMESPACE = "http://www.w3.org/1999/xhtml"
_TAGS = frozenset(
    # HTML 4.0 chapters 8 to 11 (without ins and del) and 15, and a and img
    "div span p br pre blockquote q h1 h2 h3 h4 h5 h6 hr address bdo em strong dfn code samp kbd var cite abbr acronym "
    "sub sup tt i b big small u s strike ul ol li dl dt dd a img "
    "table caption thead tfoot tbody colgroup col tr th td".split()
)
_ATTRIBUTES = frozenset(
    "abbr align alt axis bgcolor border cellpadding cellspacing char charoff class clear color colspan compact dir "
    "frame headers height hspace id lang name noshade nowrap rel rev rowspan rules scope size span start style "
    "summary title type valign value vspace width xml:lang xml:space xmlns cite href src longdesc".split()
)
_URLS = frozenset({"href", "src", "cite", "longdesc"})
_SCHEMES = frozenset({"", "http", "https", "ftp", "mailto", "tel", "urn"})

_ATTRIBUTE = re.compile(r"""\s++([A-Za-z][A-Za-z:]*+)\s*+=\s*+(?:"([^"<]*+)"|'([^'<]*+)')""")
_TAG = re.compile(
    r"""<(?:(?P<close>/)?(?P<name>[a-z][a-z0-9]*+)(?P<attributes>(?:\s++[A-Za-z][A-Za-z:]*+\s*+=\s*+"""
    r"""(?:"[^"<]*+"|'[^'<]*+'))*+)\s*+(?P<empty>/)?>|(?P<comment>!--(?!-?>)(?:(?!--).)*+-->))""",
    re.DOTALL,
)
_IGNORED_IN_URL = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028\u2029\ufeff]+")
_SCHEME = re.compile(r"([^:/?#]*):")
_IMAGE = re.compile(r"data:image/(?:png|gif|jpeg|webp|bmp)[;,]", re.IGNORECASE)
_STYLE_URL = re.compile(r"url\((?!['\"]?data:image/(?:png|gif|jpeg|webp|bmp)[;,])")
_STYLE_ACTIVE = re.compile(r"expression\(|javascript:|vbscript:|-moz-binding|behavior:|@import|\\")
_STYLE_NOISE = re.compile(r"/\*.*?\*/|\s+", re.DOTALL)

# Most tags are written in one of these ways and need no closer look.
_PLAIN = {
    written: (name, kind)
    for name in _TAGS
    for written, kind in ((f"<{name}>", "open"), (f"</{name}>", "close"), (f"<{name}/>", "empty"))
}
_PLAIN[f'<div xmlns="{_NAMESPACE}">'] = ("div", "open")


def narrative_problem(div: str) -> str | None:
    """What is wrong with the text of `Narrative.div`, as a sentence; None when it is fine. Never quotes the text."""
    if not div.startswith("<div"):
        return "The narrative must be one XHTML <div> element."
    opened: list[str] = []
    end = 0
    while (start := div.find("<", end)) >= 0:
        end = div.find(">", start) + 1
        tag = _PLAIN.get(div[start:end])
        if tag is None:
            match = _TAG.match(div, start)
            if match is None:
                return "The narrative holds a tag that is not well-formed XHTML: a name and quoted attributes."
            end = match.end()
            if match["comment"]:
                continue
            if problem := _tag_problem(match):
                return problem
            tag = match["name"], "close" if match["close"] else "empty" if match["empty"] else "open"
        name, kind = tag
        if kind == "open":
            opened.append(name)
        elif kind == "close" and (not opened or opened.pop() != name):
            return f"The narrative closes <{name}> where it is not open."
        if not opened:
            break
    return _end_problem(div[end:], opened)


def _end_problem(rest: str, opened: list[str]) -> str | None:
    if opened:
        return f"The narrative ends inside <{opened[-1]}>."
    return "The narrative must be one XHTML <div> element with nothing after it." if rest.strip() else None


def _tag_problem(tag: re.Match[str]) -> str | None:
    """What is wrong with a well-formed tag that is written out of the ordinary."""
    if tag["name"] not in _TAGS:
        return f"A narrative may not hold <{tag['name'][:40]}>: only text formatting, tables, links and images."
    if tag["close"] and (tag["attributes"] or tag["empty"]):
        return f"The narrative closes <{tag['name']}> with more than its name."
    return _attributes_problem(tag["name"], tag["attributes"]) if tag["attributes"] else None


def _attributes_problem(tag: str, attributes: str) -> str | None:
    for match in _ATTRIBUTE.finditer(attributes):
        name, value = match[1], unescape(match[2] if match[3] is None else match[3])
        if name not in _ATTRIBUTES:
            return f"<{tag}> in a narrative may not have the attribute {name[:40]}."
        if name == "style" and _style_is_active(value):
            return f"The style of <{tag}> in a narrative may not run code or load anything but inline images."
        if name in _URLS and not _url_is_allowed(tag, name, value):
            return f"The {name} of <{tag}> in a narrative must be a web, mail or telephone address or a local one."
        if name == "xmlns" and value != _NAMESPACE:
            return f"The namespace of a narrative must be {_NAMESPACE}."
    return None


def _url_is_allowed(tag: str, attribute: str, value: str) -> bool:
    plain = _IGNORED_IN_URL.sub("", value)
    if attribute == "src" and _IMAGE.match(plain):
        return tag == "img"
    scheme = _SCHEME.match(plain)
    return (scheme[1].lower() if scheme else "") in _SCHEMES


def _style_is_active(value: str) -> bool:
    plain = _STYLE_NOISE.sub("", value).lower()
    return bool(_STYLE_ACTIVE.search(plain) or _STYLE_URL.search(plain))
