"""Which slice an occurrence of an element belongs to: https://hl7.org/fhir/R4/profiling.html#slicing

A discriminator's path has element names, extension('url'), resolve() and ofType(type), and nothing else: R4 allows it no
where(). https://hl7.org/fhir/R4/profiling.html#discriminator
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from fhir_server.resource.profiles import Discriminator, Find, Node, Profile, resource_type_of, slicing_of
from fhir_server.resource.profiles_items import Item, fits, occurrences, same
from fhir_server.resource.profiles_references import reference_type

_STEP = re.compile(r"""extension\((?:'[^']+'|"[^"]+")\)|resolve\(\)|ofType\(\w+\)|[A-Za-z]\w*(?!\w*\()|\$this""")
_RESOLVE = "resolve()"


class Unsliced(Exception):
    """The discriminator is of a kind that is not understood here, or leads out of the resource; the text says which."""


class Ways(NamedTuple):
    """What telling slices apart needs from outside."""

    find: Find
    profile: Callable[[str], Profile | None]
    in_value_set: Callable[[Item, str], bool | None]
    conforms: Callable[[Item, str], bool]
    resolved: Callable[[Item], Item | None]


def slice_of(item: Item, sliced: Node, ways: Ways) -> str | None:
    """The name of the slice an occurrence belongs to, None when it is of none. Raises Unsliced."""
    if sliced.keys is not None and isinstance(item.value, dict):
        key = item.value.get(slicing_of(sliced)[0].path)
        if key is None or isinstance(key, str):
            return sliced.keys.get(key) if key is not None else None
    for name, slice_ in sliced.slices.items():
        try:
            if _belongs(item, sliced, slice_, name, ways):
                return name
        except Unsliced as why:
            raise Unsliced(f"The slice '{name}' was not checked: {why}.") from None
    return None


def _belongs(item: Item, sliced: Node, slice_: Node, name: str, ways: Ways) -> bool:
    discriminators = slicing_of(sliced)
    if not discriminators:
        if name.startswith(sliced.name):  # how the types of a choice are sliced: valueQuantity of value[x]
            return item.type.lower() == name.removeprefix(sliced.name).lower()
        raise Unsliced("it has no discriminator")
    return all(_discriminated(item, slice_, each, ways) for each in discriminators)


def _discriminated(item: Item, slice_: Node, discriminator: Discriminator, ways: Ways) -> bool:
    steps = _steps(discriminator.path)
    if discriminator.type in ("value", "pattern"):
        return _by_value(item, slice_, steps, ways)
    if discriminator.type not in _BY_NATURE:
        raise Unsliced(f"its discriminator is of the kind '{discriminator.type}'")
    return _BY_NATURE[discriminator.type](item, slice_, steps, ways)


@lru_cache(maxsize=512)
def _steps(path: str) -> list[str]:
    found = _STEP.findall(path)
    if ".".join(found) != path:
        raise Unsliced(f"its discriminator path is '{path[:60]}'")
    return [each for each in found if each != "$this"]


def _by_existence(item: Item, slice_: Node, steps: list[str], ways: Ways) -> bool:
    nodes, found = _nodes(slice_, steps, ways), _values(item, steps, ways)
    if any(each.max == 0 for each in nodes):
        return not found
    return bool(found) or not any(each.min > 0 for each in nodes)


def _by_type(item: Item, slice_: Node, steps: list[str], ways: Ways) -> bool:
    if steps[-1:] == [_RESOLVE]:
        wanted = {resource_type_of(target, ways.find) for target in _targets(slice_, steps, ways)}
        found = _values(item, steps[:-1], ways)
        return bool(found) and all(_led_to(each, ways) in wanted for each in found)
    found = _values(item, steps, ways)
    codes = {kind.code for node in _nodes(slice_, steps, ways) for kind in node.types}
    return bool(found) and all(each.type in codes or _backbone(each) in codes for each in found)


def _by_profile(item: Item, slice_: Node, steps: list[str], ways: Ways) -> bool:
    if steps[-1:] == [_RESOLVE]:
        urls, found = _targets(slice_, steps, ways), _values(item, steps[:-1], ways)
        return bool(found) and all(any(_leads_to(each, url, ways) for url in urls) for each in found)
    urls = [url for node in _nodes(slice_, steps, ways) for kind in node.types for url in kind.profiles]
    found = _values(item, steps, ways)
    return bool(found) and all(any(ways.conforms(each, url) for url in urls) for each in found)


_BY_NATURE = {"exists": _by_existence, "type": _by_type, "profile": _by_profile}


def _targets(slice_: Node, steps: list[str], ways: Ways) -> list[str]:
    return [target for node in _nodes(slice_, steps[:-1], ways) for kind in node.types for target in kind.targets]


def _led_to(reference: Item, ways: Ways) -> str | None:
    target = ways.resolved(reference)
    return target.type if target is not None else reference_type(reference)


def _leads_to(reference: Item, profile: str, ways: Ways) -> bool:
    """Whether what is referred to keeps a profile; of what is not at hand only the type can be held against it."""
    target, kind = ways.resolved(reference), resource_type_of(profile, ways.find)
    if target is None:
        return kind is not None and reference_type(reference) == kind
    return ways.conforms(target, profile) if ways.profile(profile) is not None else target.type == kind


def _backbone(item: Item) -> str:
    return "BackboneElement" if "." in item.type else item.type


def _by_value(item: Item, slice_: Node, steps: list[str], ways: Ways) -> bool:
    """The value at the path is the one the slice fixes there or anywhere above."""
    told = False
    for depth in range(len(steps) + 1):
        for node in _nodes(slice_, steps[:depth], ways):
            if not (node.fixed or node.pattern or (node.value_set and depth == len(steps))):
                continue
            told = True
            found = _values(item, steps[:depth], ways)
            if not any(_matches(each, node, ways) for each in found):
                return False
    if not told and steps == ["url"]:  # an extension that is named by its profile alone
        urls = {url.partition("|")[0] for each in slice_.types for url in each.profiles}
        told = bool(urls)
        if told and not any(each.value in urls for each in _values(item, steps, ways)):
            return False
    if not told:
        raise Unsliced("the slice says no value for its discriminator")
    return True


def _matches(item: Item, node: Node, ways: Ways) -> bool:
    if node.fixed:
        return same(item.value, node.fixed[0])
    if node.pattern:
        return fits(item.value, node.pattern[0])
    return ways.in_value_set(item, node.value_set) is True


def _nodes(node: Node, steps: list[str], ways: Ways) -> list[Node]:
    """The nodes at a path below a slice, in the profile itself and in those its types name."""
    found = [node]
    for step in steps:
        found = [inner for each in found for inner in _inside(each, step, ways)]
    return found


def _inside(node: Node, step: str, ways: Ways) -> list[Node]:
    if step == _RESOLVE:
        targets = [ways.profile(target) for kind in node.types for target in kind.targets]
        return [profile.root for profile in targets if profile is not None]
    if step.startswith("ofType("):
        # valueQuantity is a slice of value[x]; where the element has one type only, it is not sliced.
        return [node, *(each for name, each in node.slices.items() if name.lower().endswith(step[7:-1].lower()))]
    if step.startswith("extension("):
        slices = node.children["extension"].slices.values() if "extension" in node.children else ()
        held = [one for one in slices if any(_url(step) in kind.profiles for kind in one.types)]
        return held + [one for one in slices if one not in held and _fixed_url(one) == _url(step)]
    found = [node.children[step]] if step in node.children else []
    for kind in node.types:
        for url in kind.profiles:
            profile = ways.profile(url)
            if profile is not None and step in profile.root.children:
                found.append(profile.root.children[step])
    return found


def _url(step: str) -> str:
    return step[len("extension('") : -len("')")]


def _fixed_url(extension: Node) -> str | None:
    url = extension.children.get("url")
    return str(url.fixed[0]) if url is not None and url.fixed else None


def _values(item: Item, steps: list[str], ways: Ways) -> list[Item]:
    found = [item]
    for step in steps:
        if step == _RESOLVE:
            led = [ways.resolved(each) for each in found]
            if None in led:
                raise Unsliced("its discriminator follows a reference out of the resource")
            found = [each for each in led if each is not None]
        elif step.startswith("ofType("):
            found = [each for each in found if each.type == step[7:-1]]
        elif step.startswith("extension("):
            inside = [inner for each in found for inner in occurrences(each, "extension")]
            found = [each for each in inside if isinstance(each.value, dict) and each.value.get("url") == _url(step)]
        else:
            found = [inner for each in found for inner in occurrences(each, step)]
    return found
