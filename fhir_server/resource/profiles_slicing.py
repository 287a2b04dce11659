"""Which slice an occurrence of an element belongs to: https://hl7.org/fhir/R4/profiling.html#slicing"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from fhir_server.resource.profiles import CORE, Discriminator, Find, Node, Profile, resource_type_of
from fhir_server.resource.profiles_items import Item, fits, occurrences, same

_EXTENSION = re.compile(r"extension\('([^']+)'\)")
_LITERAL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?$")

_BY_URL = (Discriminator("value", "url"),)


class Unsliced(Exception):
    """The discriminator is of a kind that is not understood here; the text says which."""


class Ways(NamedTuple):
    """What telling slices apart needs from outside."""

    find: Find
    profile: Callable[[str], Profile | None]
    in_value_set: Callable[[Item, str], bool | None]
    conforms: Callable[[Item, str], bool]


def belongs(item: Item, sliced: Node, slice_: Node, name: str, ways: Ways) -> bool:
    """Whether an occurrence is of a slice. Raises Unsliced."""
    discriminators = sliced.discriminators
    if not discriminators:
        if sliced.name in ("extension", "modifierExtension"):
            discriminators = _BY_URL  # as R4 slices them itself
        elif name.startswith(sliced.name):  # how the types of a choice are sliced: valueQuantity of value[x]
            return item.type.lower() == name.removeprefix(sliced.name).lower()
        else:
            raise Unsliced("it has no discriminator")
    return all(_discriminated(item, slice_, each, ways) for each in discriminators)


def _discriminated(item: Item, slice_: Node, discriminator: Discriminator, ways: Ways) -> bool:
    steps = _steps(discriminator.path)
    if discriminator.type in ("value", "pattern"):
        return _by_value(item, slice_, steps, ways)
    nodes = _nodes(slice_, steps, ways)
    found = _values(item, steps)
    if discriminator.type == "exists":
        if any(each.max == 0 for each in nodes):
            return not found
        return bool(found) or not any(each.min > 0 for each in nodes)
    types = [each for node in nodes for each in node.types]
    if discriminator.type == "type":
        through_reference = bool(steps) and steps[-1] == "resolve()"
        if through_reference:
            wanted = {resource_type_of(target, ways.find) for each in types for target in each.targets}
            return bool(found) and all(reference_type(each) in wanted for each in found)
        codes = {each.code for each in types}
        return bool(found) and all(each.type in codes or _backbone(each) in codes for each in found)
    if discriminator.type == "profile":
        profiles = [url for each in types for url in (each.targets if steps[-1:] == ["resolve()"] else each.profiles)]
        if steps[-1:] == ["resolve()"]:
            kinds = {resource_type_of(url, ways.find) for url in profiles}
            return bool(found) and all(reference_type(each) in kinds for each in found)
        return bool(found) and all(any(ways.conforms(each, url) for url in profiles) for each in found)
    raise Unsliced(f"its discriminator is of the kind '{discriminator.type}'")


def _backbone(item: Item) -> str:
    return "BackboneElement" if "." in item.type else item.type


def _steps(path: str) -> list[str]:
    if path == "$this":
        return []
    found = re.findall(r"extension\('[^']+'\)|resolve\(\)|ofType\(\w+\)|[A-Za-z]\w*|\$this", path)
    if ".".join(found) != path:
        raise Unsliced(f"its discriminator path is '{path[:60]}'")
    return [each for each in found if each != "$this"]


def _by_value(item: Item, slice_: Node, steps: list[str], ways: Ways) -> bool:
    """The value at the path is the one the slice fixes there or anywhere above."""
    told = False
    for depth in range(len(steps) + 1):
        for node in _nodes(slice_, steps[:depth], ways):
            if not (node.fixed or node.pattern or (node.value_set and depth == len(steps))):
                continue
            told = True
            found = _values(item, steps[:depth])
            if not any(_matches(each, node, ways) for each in found):
                return False
    if not told and steps == ["url"]:  # an extension that is named by its profile alone
        urls = {url.partition("|")[0] for each in slice_.types for url in each.profiles}
        told = bool(urls)
        if told and not any(each.value in urls for each in _values(item, steps)):
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
        following: list[Node] = []
        for each in found:
            if step == "resolve()" or step.startswith("ofType("):
                following.append(each)
                continue
            if extension := _EXTENSION.fullmatch(step):
                slices = each.children["extension"].slices.values() if "extension" in each.children else ()
                following += [one for one in slices if any(extension[1] in kind.profiles for kind in one.types)]
                continue
            if step in each.children:
                following.append(each.children[step])
            for kind in each.types:
                for url in kind.profiles:
                    profile = ways.profile(url)
                    if profile is not None and step in profile.root.children:
                        following.append(profile.root.children[step])
        found = following
    return found


def _values(item: Item, steps: list[str]) -> list[Item]:
    found = [item]
    for step in steps:
        if step == "resolve()":
            continue
        if step.startswith("ofType("):
            found = [each for each in found if each.type == step[7:-1]]
        elif extension := _EXTENSION.fullmatch(step):
            found = [
                inner
                for each in found
                for inner in occurrences(each, "extension")
                if isinstance(inner.value, dict) and inner.value.get("url") == extension[1]
            ]
        else:
            found = [inner for each in found for inner in occurrences(each, step)]
    return found


def reference_type(item: Item) -> str | None:
    """Which type a Reference says it points to; None when it does not say."""
    value = item.value
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("type"), str):
        return str(value["type"]).removeprefix(CORE)
    literal = _LITERAL.search(str(value.get("reference", "")))
    return literal[1] if literal else None
