"""A profile laid out as a tree of what it asks of each element: https://hl7.org/fhir/R4/profiling.html

From the snapshot where there is one; else the differential is applied onto the tree of the base profile. What R4 itself
asks is not in the tree: a resource has passed that by the time a profile is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from fhir_server.r4 import RESOURCE_TYPES, Element, Invariant, invariants, properties

Json = dict[str, Any]
Find = Callable[[str], Json | None]
"""A canonical -> the StructureDefinition, None when there is none."""

CORE = "http://hl7.org/fhir/StructureDefinition/"
_SYSTEM_TYPES = "http://hl7.org/fhirpath/System."
_FHIR_TYPE = CORE + "structuredefinition-fhir-type"
_MAX_BASES = 16


class Problem(Exception):
    """A profile that cannot be laid out; the text says why."""


class TypeRef(NamedTuple):
    code: str
    profiles: tuple[str, ...]
    targets: tuple[str, ...]


class Discriminator(NamedTuple):
    type: str
    path: str


_BY_URL = (Discriminator("value", "url"),)


@dataclass(slots=True)
class Node:
    """What a profile asks of one element, or of one slice of it."""

    name: str
    path: str
    min: int = 0
    max: int | None = None
    types: tuple[TypeRef, ...] = ()
    fixed: tuple[Any, ...] = ()
    """The value it must equal, as the only item; empty when there is none."""
    pattern: tuple[Any, ...] = ()
    value_set: str = ""
    max_length: int | None = None
    low: tuple[Any, ...] = ()
    """The least value it may have, as the only item; empty when there is none."""
    high: tuple[Any, ...] = ()
    constraints: tuple[Invariant, ...] = ()
    content: str = ""
    """The id of the element whose content this one repeats."""
    children: dict[str, Node] = field(default_factory=dict)
    slices: dict[str, Node] = field(default_factory=dict)
    discriminators: tuple[Discriminator, ...] = ()
    closed: bool = False
    ordered: bool = False
    of_value: bool = False
    """Whether it asks anything of the value itself, and not only how often it is there and what is in it."""
    keys: dict[str, str] | None = None
    """Where one text tells the slices apart: the text -> the slice. What most slicings of identifiers and all of
    extensions come to, so that an occurrence is looked up and not held against each slice."""
    asked_types: tuple[TypeRef, ...] = ()
    """The types, where R4 allows more than these."""
    asked_children: tuple[Node, ...] = ()
    """The children, but for those by which an occurrence was found to be of this slice."""
    may_be_absent: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile ready for use."""

    url: str
    type: str
    root: Node
    sources: tuple[tuple[str, Json], ...]
    """(canonical, definition) of what it was made from: when one of these changes it must be made anew."""
    missing: tuple[str, ...]
    """Base profiles that could not be found, so that what they ask is not in the tree."""


def lay_out(definition: Json, find: Find) -> Profile:
    """The tree of a StructureDefinition. Raises Problem."""
    sources: list[tuple[str, Json]] = []
    missing: list[str] = []
    try:
        root = _tree(definition, find, sources, missing, 0)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Problem(f"its elements cannot be read ({type(error).__name__}: {str(error)[:80]})") from error
    _prune(root)
    _settle(root, root, "")
    return Profile(definition.get("url", ""), definition["type"], root, tuple(sources), tuple(missing))


def _tree(definition: Json, find: Find, sources: list[tuple[str, Json]], missing: list[str], depth: int) -> Node:
    kind = definition["type"]
    if depth > _MAX_BASES:
        raise Problem("its base profiles go round in a circle")
    if snapshot := definition.get("snapshot", {}).get("element"):
        root = Node(kind, kind)
        _apply(root, snapshot)
        return root
    base = definition.get("baseDefinition", "")
    found = None if not base or _is_core(base) else find(base)
    if found is not None:
        sources.append((base, found))
        root = deepcopy(_tree(found, find, sources, missing, depth + 1))
    else:
        root = Node(kind, kind)
        if base and not _is_core(base):
            missing.append(base)
    _apply(root, definition.get("differential", {}).get("element", ()))
    return root


def _is_core(canonical: str) -> bool:
    """Whether it names a type of R4, and not a profile that R4 publishes too (bodyweight, vitalsigns)."""
    name = canonical.partition("|")[0].removeprefix(CORE)
    return canonical.startswith(CORE) and name[:1].isupper()


def _apply(root: Node, elements: Iterable[Json]) -> None:
    """Puts elements, in their order, into the tree."""
    named: dict[str, list[str]] = {}
    for element in elements:
        segments = _segments(element, named)
        if segments is None:
            continue
        node = root
        for segment in segments[1:]:
            node = _step(node, segment)
        _ask(node, element)


def _segments(element: Json, named: dict[str, list[str]]) -> list[str] | None:
    """["Patient", "extension:race", "value[x]"]: from the id, or from path and slice name where there is no id."""
    if ":" in element.get("id", "") or ("id" in element and "sliceName" not in element):
        return _split(str(element["id"]))
    path = element["path"]
    parent, _, last = path.rpartition(".")
    segments = [*named.get(parent, parent.split(".") if parent else []), last]
    if name := element.get("sliceName"):
        segments[-1] = f"{last}:{name}"
    named[path] = segments
    return segments


def _split(identifier: str) -> list[str]:
    """Splits an element id at its dots; a slice name may have dots itself, but not before a lower-case element name."""
    found: list[str] = []
    for part in identifier.split("."):
        if found and part and not part[0].isalpha():
            found[-1] += "." + part
        else:
            found.append(part)
    return found


def _step(node: Node, segment: str) -> Node:
    name, _, slice_name = segment.partition(":")
    kind = inside_of(node)
    plain = name.removesuffix("[x]")
    if kind and not name.endswith("[x]"):
        known = properties(kind).get(name)
        if known is not None and known.element.choice:  # valueQuantity is short for value[x]:valueQuantity
            plain, slice_name = known.element.name, slice_name or name
    child = node.children.get(plain)
    if child is None:
        child = node.children[plain] = Node(plain, f"{node.path}.{plain}")
    for part in slice_name.split("/") if slice_name else ():
        child = child.slices.setdefault(part, Node(plain, child.path))
    return child


def inside_of(node: Node) -> str:
    """Which type or backbone describes the inside of an element, "" when it is open or none of R4's."""
    path = node.path
    if "." not in path:
        return path if described(path) else ""
    if described(path):
        return path
    codes = {each.code for each in node.types}
    if len(codes) == 1 and described(next(iter(codes))):
        return next(iter(codes))
    return ""


def described(path: str) -> bool:
    """Whether R4 says what is in a type or backbone."""
    try:
        properties(path)
    except KeyError:
        return False
    return True


def _ask(node: Node, element: Json) -> None:
    """Notes on a node what an element definition asks; what it does not say stays as it was."""
    if "min" in element:
        node.min = element["min"]
    if "max" in element:
        node.max = None if element["max"] == "*" else int(element["max"])
    types = element.get("type") if "." in node.path else None  # of the whole it could only name this profile again
    if types:
        node.types = tuple(_type(each) for each in types)
    for key, value in element.items():
        if key.startswith("fixed"):
            node.fixed = (value,)
        elif key.startswith("pattern"):
            node.pattern = (value,)
        elif key.startswith("minValue"):
            node.low = (value,)
        elif key.startswith("maxValue"):
            node.high = (value,)
    if element.get("contentReference", "").startswith("#"):  # any other is to R4 itself, which has asked already
        node.content = element["contentReference"][1:]
    if "maxLength" in element:
        node.max_length = element["maxLength"]
    binding = element.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        node.value_set = binding["valueSet"]
    node.constraints += tuple(
        Invariant(each["key"], each["severity"], each["human"], each["expression"], node.path)
        for each in element.get("constraint", ())
        if "expression" in each and not _of_r4(each["key"])
    )
    if slicing := element.get("slicing"):
        given = slicing.get("discriminator", ())
        node.discriminators = tuple(Discriminator(each["type"], each["path"]) for each in given)
        node.closed = slicing.get("rules") == "closed"
        node.ordered = slicing.get("ordered", False)


def _prune(node: Node) -> None:
    """Takes out what only repeats R4, which is most of a snapshot."""
    for slice_ in node.slices.values():
        _prune(slice_)
    kind = inside_of(node)
    known = {each.element.name: each.element for each in properties(kind).values()} if kind else {}
    for name, child in list(node.children.items()):
        _prune(child)
        if name in known and not _asks(child, known[name]):
            del node.children[name]


def _asks(node: Node, element: Element) -> bool:
    """Whether a node asks anything that R4 does not ask of the element."""
    if node.value_set.partition("|")[0] == (element.binding or ""):
        node.value_set = ""
    if node.fixed or node.pattern or node.value_set or node.constraints or node.children or node.slices:
        return True
    if node.low or node.high or node.content:
        return True
    if node.min > element.min or (node.max is not None and node.max != element.max) or node.max_length is not None:
        return True
    if any(each.profiles for each in node.types):
        return True
    codes = {each.code for each in node.types}
    targets = {target.removeprefix(CORE) for each in node.types for target in each.targets}
    return bool(codes - {"Element", "BackboneElement"}) and (
        codes != set(element.types) or (bool(targets) and targets not in ({"Resource"}, set(element.targets)))
    )


def _settle(node: Node, root: Node, around: str) -> None:
    """Works out once what every occurrence would have to ask again, and joins repeated content: last, since a tree
    with an item in its own item has no end. `around` is the type or backbone that the element is of."""
    kind = inside_of(node)
    for child in node.children.values():
        _settle(child, root, kind)
    for slice_ in node.slices.values():
        _settle(slice_, root, around)
    node.of_value = bool(
        node.fixed or node.pattern or node.value_set or node.low or node.high or node.max_length is not None
    )
    node.keys = _keys(node) if node.slices else None
    if node.content and not node.children:
        repeated: Node | None = root
        for segment in _split(node.content)[1:]:
            name, _, slice_name = segment.partition(":")
            repeated = repeated.children.get(name) if repeated is not None else None
            if repeated is not None and slice_name:
                repeated = repeated.slices.get(slice_name)
        if repeated is not None:
            node.children = repeated.children
            node.constraints += repeated.constraints
    node.asked_types = () if _any_type_will_do(node, around) else node.types
    node.asked_children = tuple(node.children.values())
    if node.keys is not None:
        told_by = slicing_of(node)[0].path
        for slice_ in node.slices.values():
            slice_.asked_children = tuple(each for each in slice_.asked_children if each.name != told_by or _more(each))
    node.may_be_absent = node.min == 0 and all(slice_.min == 0 for slice_ in node.slices.values())


def _any_type_will_do(node: Node, around: str) -> bool:
    """Whether the types a node names are all that R4 allows there."""
    if not around or any(each.profiles or each.targets for each in node.types):
        return False
    possible = {row.type for row in properties(around).values() if row.element.name == node.name}
    return bool(possible) and possible <= {each.code for each in node.types}


def _more(node: Node) -> bool:
    """Whether a node asks more than that its value is a certain one."""
    asked = (node.children, node.slices, node.constraints, node.asked_types, node.value_set, node.low, node.high)
    return any(asked) or node.max_length is not None


def slicing_of(node: Node) -> tuple[Discriminator, ...]:
    """How the slices of a node are told apart; extensions, where nothing is said, as R4 slices them itself."""
    if not node.discriminators and node.name in ("extension", "modifierExtension"):
        return _BY_URL
    return node.discriminators


def _keys(node: Node) -> dict[str, str] | None:
    discriminators = slicing_of(node)
    if len(discriminators) != 1 or discriminators[0].type not in ("value", "pattern"):
        return None
    path = discriminators[0].path
    found: dict[str, str] = {}
    for name, slice_ in node.slices.items():
        texts = _texts(slice_, path)
        if not texts or slice_.fixed or slice_.pattern or not found.keys().isdisjoint(texts):
            return None
        found |= dict.fromkeys(texts, name)
    return found


def _texts(slice_: Node, path: str) -> tuple[str, ...]:
    """The texts at a path that make a slice; none when it is not told by a text there."""
    inner = slice_.children.get(path)
    if inner is not None:
        wanted = inner.fixed or inner.pattern
        return (wanted[0],) if wanted and isinstance(wanted[0], str) else ()
    if path != "url":
        return ()
    return tuple(dict.fromkeys(url.partition("|")[0] for each in slice_.types for url in each.profiles))


@cache
def _of_r4(key: str) -> bool:
    return any(each.key == key for several in invariants().values() for each in several)


def _type(row: Json) -> TypeRef:
    code = row["code"]
    if code.startswith(_SYSTEM_TYPES):
        given = [each for each in row.get("extension", ()) if each.get("url") == _FHIR_TYPE]
        code = given[0].get("valueUrl", "") if given else code.removeprefix(_SYSTEM_TYPES).lower()
    profiles = tuple(each for each in row.get("profile", ()) if not _is_core(each))
    return TypeRef(code, profiles, tuple(row.get("targetProfile", ())))


def resource_type_of(target: str, find: Find) -> str | None:
    """Which resource type a target profile is of; None when that is not known."""
    name = target.partition("|")[0].removeprefix(CORE)
    if name in RESOURCE_TYPES or name == "Resource":
        return name
    found = find(target)
    return None if found is None else found.get("type")
