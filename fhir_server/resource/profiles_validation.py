"""Whether a resource keeps what its profiles ask, and if not, which element does not.

https://hl7.org/fhir/R4/profiling.html: cardinality, fixed values and patterns, types, reference targets, required
bindings, slices, extensions and constraints. mustSupport asks something of systems, not of resources.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.errors import Issue
from fhir_server.resource.fhirpath import NotEvaluated, holds, own_copy
from fhir_server.resource.profiles import Find, Node, Problem, Profile, TypeRef, lay_out, resource_type_of
from fhir_server.resource.profiles_items import Item, beyond, fits, is_of, occurrences, root_item, same
from fhir_server.resource.profiles_quick import Surely, surely_keeps
from fhir_server.resource.profiles_references import reference_type, resolved
from fhir_server.resource.profiles_slicing import Unsliced, Ways, slice_of

Json = dict[str, Any]
CodeCheck = Callable[[Json | str, str, str], bool | None]
"""(value, its type, value set) -> whether one of its codes is in the value set; None when that cannot be told."""

MAX_ISSUES = 100
MAX_STEPS = 100_000
"""How many values of one resource are held against a profile, and against those its types name, before it is given up:
about a second's work. A profile that names itself could otherwise ask for any amount."""
_CONSTRAINT_STEPS = 50  # what a FHIRPath expression costs against looking at a value
_MAX_DEPTH = 12
_KEPT = 512


class Profiles:
    """Checks resources against profiles it is given a way to find. Thread-safe; lays a profile out once per version."""

    def __init__(self, find: Find, code_check: CodeCheck) -> None:
        self.find = find
        self.code_check = code_check
        self._laid_out: dict[str, tuple[Json, Profile]] = {}
        self._quick: dict[str, tuple[list[tuple[str, Json | None]], Surely | None]] = {}

    def profile(self, canonical: str) -> Profile | None:
        """The profile with this canonical, None when it is not known. Raises Problem."""
        definition = self.find(canonical)
        if definition is None:
            return None
        kept = self._laid_out.get(canonical)
        if kept is not None and kept[0] is definition and self._is_current(kept[1]):
            return kept[1]
        made = lay_out(definition, self.find)
        if len(self._laid_out) >= _KEPT:
            self._laid_out.clear()
        self._laid_out[canonical] = (definition, made)
        return made

    def _is_current(self, profile: Profile) -> bool:
        return all(self.find(canonical) is made_from for canonical, made_from in profile.sources)

    def surely_kept(self, resource: Json, canonical: str) -> bool:
        """Whether a valid resource keeps a profile, told in a tenth of the time; False says to ask for the issues."""
        made_from, surely = self._quick.get(canonical) or self._made_quick(canonical)
        for name, definition in made_from:
            if self.find(name) is not definition:
                made_from, surely = self._made_quick(canonical)
                break
        return surely is not None and surely(resource)

    def _made_quick(self, canonical: str) -> tuple[list[tuple[str, Json | None]], Surely | None]:
        """The function of a profile, and each definition that was asked for to make it."""
        made_from: dict[str, Json | None] = {}

        def find(name: str) -> Json | None:
            return made_from.setdefault(name, self.find(name))

        def profile(name: str) -> Profile | None:
            definition = find(name)
            return None if definition is None else lay_out(definition, find)

        try:
            laid_out = profile(canonical)
            surely = None if laid_out is None else surely_keeps(laid_out, profile, self.code_check)
        except Problem:
            surely = None
        if len(self._quick) >= _KEPT:
            self._quick.clear()
        self._quick[canonical] = made = list(made_from.items()), surely
        return made

    def issues(self, resource: Json, canonical: str) -> list[Issue] | None:
        """What the resource does not keep of a profile; None when the profile is not known."""
        try:
            profile = self.profile(canonical)
        except Problem as problem:
            return [Issue(f"The profile {canonical[:200]} cannot be used: {problem}.", "processing", "warning")]
        if profile is None:
            return None
        return _Check(self, resource, canonical).run(profile)


class _Check:
    """One resource against one profile."""

    def __init__(self, profiles: Profiles, resource: Json, canonical: str) -> None:
        self.profiles = profiles
        self.resource = resource
        self.canonical = canonical
        self.issues: list[Issue] = []
        self.depth = 0
        self.budget = [MAX_STEPS]
        """What is left of MAX_STEPS, in one list for all checks of the resource."""
        self.ways = Ways(
            profiles.find, self._profile, self._in_value_set, self._conforms, lambda item: resolved(item, self.resource)
        )
        self._copied: Json | None = None

    def run(self, profile: Profile) -> list[Issue]:
        item = root_item(self.resource, self.resource["resourceType"])
        if profile.type != item.type:
            self.add(f"It is for {profile.type}, and this is a {item.type}.", item.expression, "structure")
            return self.issues
        for base in profile.missing:
            self.add(f"Its base {base} is not on this server: only what it adds was checked.", item.expression,
                     "not-found", "information")  # fmt: skip
        self.each(profile.root, item)
        if self.budget[0] < 0:
            text = "It asks too much of a resource of this size: what follows was not checked."
            self.issues.insert(0, Issue(f"{self.canonical}: {text}", "incomplete", "warning", (item.expression,)))
        return self.issues[:MAX_ISSUES]

    def add(self, text: str, expression: str, code: str = "business-rule", severity: str = "error") -> None:
        self.issues.append(Issue(f"{self.canonical}: {text}", code, severity, (expression,)))

    # ---- one occurrence ------------------------------------------------------------------------------------------------

    def each(self, node: Node, item: Item) -> None:
        """What a node asks of one occurrence, and of what is in it."""
        self.budget[0] -= 1 + _CONSTRAINT_STEPS * len(node.constraints)
        if len(self.issues) >= MAX_ISSUES or self.budget[0] < 0:
            return
        if node.of_value:
            self._values(node, item)
        if node.asked_types:
            self._types(node.asked_types, item)
        for constraint in node.constraints:
            self._constraint(constraint.key, constraint.severity, constraint.human, constraint.expression, item)
        for child in node.asked_children:
            found = occurrences(item, child.name)
            if found or not child.may_be_absent:
                self.all(child, found, item.expression)

    def _values(self, node: Node, item: Item) -> None:
        if node.fixed and not same(item.value, node.fixed[0]):
            self.add(f"The value must be {_shown(node.fixed[0])}.", item.expression, "value")
        if node.pattern and not fits(item.value, node.pattern[0]):
            self.add(f"The value must have {_shown(node.pattern[0])}.", item.expression, "value")
        if node.max_length is not None and isinstance(item.value, str) and len(item.value) > node.max_length:
            self.add(f"The text may have {node.max_length} characters.", item.expression, "value")
        if way := beyond(item.value, node.low, node.high):
            limit = node.low if way == "least" else node.high
            self.add(f"The value must be at {way} {_shown(limit[0])}.", item.expression, "value")
        if node.value_set and item.value is not None:
            known = self._in_value_set(item, node.value_set)
            if known is False:
                self.add(f"The code must be from {node.value_set}.", item.expression, "code-invalid")
            elif known is None:
                text = f"Whether the code is from {node.value_set} cannot be told here."
                self.add(text, item.expression, "not-supported", "information")

    def _in_value_set(self, item: Item, value_set: str) -> bool | None:
        if not isinstance(item.value, dict | str):
            return None
        return self.profiles.code_check(item.value, item.type, value_set)

    def _types(self, types: tuple[TypeRef, ...], item: Item) -> None:
        if item.expression == self.resource["resourceType"]:
            return
        here = [each for each in types if is_of(item.type, each.code)]
        if not here:
            allowed = ", ".join(dict.fromkeys(each.code for each in types))
            self.add(f"The value must be of the type {allowed}, not {item.type}.", item.expression, "structure")
            return
        if targets := tuple(target for each in here for target in each.targets):
            self._reference(targets, item)
        profiles = list(dict.fromkeys(url for each in here for url in each.profiles))
        if profiles and all(each.profiles for each in here):
            self._type_profiles(profiles, item)

    def _reference(self, targets: tuple[str, ...], item: Item) -> None:
        kind = reference_type(item)
        if kind is None or item.type != "Reference":
            return
        known = {resource_type_of(each, self.profiles.find) for each in targets}
        if None not in known and "Resource" not in known and kind not in known:
            names = ", ".join(sorted(str(each) for each in known))
            self.add(f"The reference must be to {names}, not to a {kind}.", item.expression, "structure")

    def _type_profiles(self, urls: list[str], item: Item) -> None:
        """The value must keep one of the profiles named for its type."""
        if self.depth >= _MAX_DEPTH:
            return
        several: list[list[Issue]] = []
        for url in urls:
            found = self._against(url, item)
            if found is None:
                text = f"The profile {url} of this element is not on this server: it was not checked."
                self.add(text, item.expression, "not-found", "information")
                return
            if not any(each.severity == "error" for each in found):
                self.issues += found
                return
            several.append(found)
        self.issues += sorted(several, key=len)[0]

    def _against(self, url: str, item: Item) -> list[Issue] | None:
        profile = self._profile(url)
        if profile is None:
            return None
        inner = _Check(self.profiles, self.resource, url)
        inner.depth, inner.budget = self.depth + 1, self.budget
        inner.each(profile.root, item)
        return inner.issues

    def _profile(self, url: str) -> Profile | None:
        try:
            return self.profiles.profile(url)
        except Problem:
            return None

    def _conforms(self, item: Item, url: str) -> bool:
        found = self._against(url, item) if self.depth < _MAX_DEPTH else None
        return found is not None and not any(each.severity == "error" for each in found)

    def _constraint(self, key: str, severity: str, human: str, expression: str, item: Item) -> None:
        if item.value is None:
            return
        try:
            whole = self._copy()
            value = whole if item.value is self.resource else own_copy(item.value)
            kept = holds(expression, value, item.type, whole, whole)
        except NotEvaluated as error:
            self.add(f"The constraint {key} was not evaluated: {error}.", item.expression,
                     "not-supported", "information")  # fmt: skip
            return
        if not kept:
            self.add(f"{key}: {human}", item.expression, "invariant", severity)

    def _copy(self) -> Json:
        """What the library may leave its notes in; made when the first constraint asks for it."""
        if self._copied is None:
            self._copied = own_copy(self.resource)
        return self._copied

    # ---- all occurrences -----------------------------------------------------------------------------------------------

    def all(self, node: Node, items: list[Item], parent: str) -> None:
        """What a node asks of all occurrences of its element in one parent."""
        self._count(node, items, parent, node.name)
        for item in items:
            self.each(node, item)
        if node.slices:
            self._slices(node, items, parent)

    def _count(self, node: Node, items: list[Item], parent: str, name: str) -> None:
        if len(items) >= node.min and (node.max is None or len(items) <= node.max):
            return
        where = f"{parent}.{node.name}"
        if len(items) < node.min:
            text = f"'{name}' must be there" + (f" {node.min} times" if node.min > 1 else "")
            self.add(f"{text}; it is there {len(items)} times." if items else f"{text}.", where, "required")
        else:
            text = f"'{name}' may be there at most {node.max} times, not {len(items)}."
            self.add(text if node.max else f"'{name}' must not be there.", where, "structure")

    def _slices(self, node: Node, items: list[Item], parent: str) -> None:
        members: dict[str, list[Item]] = {name: [] for name in node.slices}
        order: list[int] = []
        names = list(node.slices)
        for item in items:
            try:
                name = slice_of(item, node, self.ways)
            except Unsliced as why:
                self.add(str(why), f"{parent}.{node.name}", "not-supported", "information")
                return
            if name is not None:
                members[name].append(item)
            elif node.closed:
                self.add("It is none of the slices that are allowed here.", item.expression, "structure")
            if node.ordered and name is not None:
                order.append(names.index(name))
        if node.ordered and order != sorted(order):
            self.add(f"The slices must stand in this order: {', '.join(names)}.", f"{parent}.{node.name}", "structure")
        for name, slice_ in node.slices.items():
            self._count(slice_, members[name], parent, f"{node.name}:{name}")
            for item in members[name]:
                self.each(slice_, item)
            if slice_.slices:
                self._slices(slice_, members[name], parent)


def _shown(value: Any) -> str:
    return str(value)[:200]
